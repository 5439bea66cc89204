"""Orders from university libraries: kept first, then routed to the distributor; nothing is ever charged.

Others use ``routing``: ``place``, ``move`` with its table ``MOVES``, ``by_token``, ``by_ticket``.
"""
