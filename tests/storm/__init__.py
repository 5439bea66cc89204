"""A storm: a whole shop on which everything is let loose at once, and what must agree when it is over.

``lots`` draws from a seed what buyers and weather do; ``parts`` are the processes, which may be killed; ``buyers``,
``desk`` and ``weather`` act; ``reckoning`` compares the shop with its stand-in for Stripe and with the letters that
arrived. ``python -m tests.storm`` runs it (``make storm``), ``tests/test_storm.py`` a small one. The same seed draws
the same fates and the same weather; how they meet is up to the machine.
"""
