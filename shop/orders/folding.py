"""Making texts comparable whatever their case and accents, the same on every database."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 64
"""Characters of a term; a longer word is found by its beginning."""
PARTS = re.compile(r"[^\W_]+")
PLAIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode takes for no other with an accent, and that people without their keyboard type so."""
ALIKE = str.maketrans({"’": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-"})


def fold(text: str) -> str:
    """Text as it is searched: no case, no accents, ł as l, ё as е (but й stays й), one blank between words.

    SQLite's ``lower`` knows ASCII alone, so this is done here and the result is stored.
    """
    text = unicodedata.normalize("NFC", text).replace("й", "\ue000").replace("Й", "\ue000")
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.replace("\ue000", "й").casefold().translate(PLAIN).split())


def words(text: str) -> list[str]:
    """The words of a text, folded, without the punctuation around them."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    found = []
    for word in fold(plain.translate(ALIKE)).split():
        if parts := list(PARTS.finditer(word)):
            found.append(word[parts[0].start() : parts[-1].end()][:LONGEST])
    return found


def squeeze(text: str) -> str:
    """Letters and digits alone, folded: a code is the same code with and without blanks and strokes."""
    return "".join(PARTS.findall(fold(text)))[:LONGEST]


def terms_of(*texts: str | None) -> set[str]:
    """What texts are found by the beginning of: their words, and these from each part on (``o'brien``, ``brien``)."""
    found = {word for text in texts for word in words(text or "")}
    return {word[part.start() :] for word in found for part in PARTS.finditer(word)}


def code_terms(code: str | None) -> set[str]:
    """What a code (a tracking or purchase-order number) is found by: as a text, and in one piece."""
    return terms_of(code) | ({squeezed} if (squeezed := squeeze(code or "")) else set())


def searchable(name: str | None, email: str | None, city: str | None, purchase_order: str | None) -> str:
    """The terms that a buyer's orders are found by, with blanks between."""
    return " ".join(sorted(terms_of(name, email, city) | code_terms(purchase_order)))
