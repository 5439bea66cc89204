"""Made-up orders: as many as wanted, in both languages and every state, so that a shop can be tried at its later size.

``making.make`` is the way in. Rows are written past the domain, by the thousand, but agree with it to the last sum,
digest and search term: ``flask shop audit`` finds nothing.
"""
