"""Letters: rows of an outbox, written in the transaction that causes them, delivered by the worker.

Others use ``outbox.owe``, ``outbox.owe_shopkeepers`` and ``outbox.again``; ``models.Kind`` names every letter there
is and what it is written from. The worker calls ``delivery.deliver_due`` with a ``rendering.Renderer``.
"""
