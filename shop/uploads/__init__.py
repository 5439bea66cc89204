"""Files that the owner uploads: pictures made anew in three widths, documents of a few kinds, in the instance folder.

``pictures.prepare`` and ``documents.prepare`` refuse (``NotTaken``) or answer with what is to be kept; ``keeping``
writes that to disk under the names of its own digests and as rows. What shows an upload (an entry, a cover) has rows
of its own that refer to it, and only as long as one of them is published is it to be had by readers.
"""
