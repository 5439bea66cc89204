"""Library orders: the form, and the library's own page."""

from __future__ import annotations

from flask import Blueprint


def register(blueprint: Blueprint) -> None:
    """Put the library pages on the market's blueprint."""
