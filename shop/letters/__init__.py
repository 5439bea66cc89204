"""Letters: rows of an outbox, written in the transaction that causes them, delivered by the worker.

Others use ``outbox.owe`` and ``outbox.owe_shopkeepers``; ``models.Kind`` names every letter there is.
"""
