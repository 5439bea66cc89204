"""Backups: everything of a shop that cannot be made again, in one file, and a shop made of such a file.

``making`` writes one, ``restoring`` reads one; ``archive`` knows the file, ``databases`` how either database is copied
and replaced, ``latest`` which backup was the last. The commands use the first two, the set-up page the last.
"""
