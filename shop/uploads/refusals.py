"""Why a file is not taken. The desk has a sentence for each reason."""

from __future__ import annotations

import enum

from shop.errors import ShopError


class Refusal(enum.StrEnum):
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    """More bytes than are taken."""
    NO_PICTURE = "no_picture"
    """By its content it is no picture of a kind that is taken, whatever its name says."""
    TOO_MANY_PIXELS = "too_many_pixels"
    DAMAGED = "damaged"
    NO_DOCUMENT = "no_document"
    """By its content it is no document of a kind that is taken."""
    PROGRAM = "program"
    """It holds macros or scripts."""
    SWELLS = "swells"
    """It unpacks to far more than it is."""


class NotTaken(ShopError):
    """A file that is not kept."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason
