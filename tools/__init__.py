"""Programs that look after the project itself; the shop does not need them to run."""
