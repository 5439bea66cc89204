"""Orders from university libraries: kept first, then routed to whoever supplies the edition; nothing is ever charged.

Others use ``routing`` (``place``, ``move`` with its table ``MOVES``, ``by_token``, ``by_ticket``), ``answers`` and
``links`` (what the distributor says under his secret address), ``chasing`` (reminders), and ``files``.
"""
