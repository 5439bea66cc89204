"""The catalogue: one title in its editions, their prices by region, and what postage costs where.

Others use ``models`` to read, ``offers`` for what copies cost delivered and whether they can be ordered, and
``interchange`` to read and write a catalogue file.
"""
