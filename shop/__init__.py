"""Bookstall: a shop that sells one book.

``shop.app.create_app`` is the only place where the parts meet; ARCHITECTURE.md is the plan of the rooms.
"""
