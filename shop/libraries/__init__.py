"""Orders from university libraries: kept first, then routed to the distributor; nothing is ever charged."""
