"""Making texts comparable whatever their case and accents, the same on every database."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Text as it is searched: no case, no accents, ё as е (but й stays й), one blank between words.

    SQLite's ``lower`` knows ASCII alone, so this is done here and the result is stored.
    """
    text = unicodedata.normalize("NFC", text).replace("й", "\ue000").replace("Й", "\ue000")
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.replace("\ue000", "й").casefold().split())
