"""Orders: what was ordered, its two lives (payment and fulfilment), and everything that happened to it.

Others use ``models``, ``placing.place``, ``fulfilment`` (post, undo), ``timeline`` and ``lifecycle``.
"""
