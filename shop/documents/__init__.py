"""Papers that go with a parcel, as PDF: packing slip, address label, customs declaration data.

``consignments`` says what is in a parcel and where it goes; ``slips``, ``labels`` and ``customs`` make pages of any
number of them, in order. ``typesetting`` alone knows Typst. Everything is read from rows that were loaded already.
"""
