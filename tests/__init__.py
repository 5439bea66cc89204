"""The suite: it speaks HTTP to a real shop on a real database, and its names are sentences."""
