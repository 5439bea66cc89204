"""What readers and buyers see."""

from flask import Flask


def init_app(app: Flask) -> None:
    """."""
