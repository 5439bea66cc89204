"""Cyrillic in Latin letters, as libraries write it: the ALA-LC table for Russian (Library of Congress, 2012)."""

from __future__ import annotations

import re
import unicodedata

TIE = "\u0361"  # the ligature over two letters, as it is written on a screen
LIGATURE = re.compile(f"(.){TIE}(.)")
CYRILLIC = re.compile("[\u0400-\u04ff]")
LETTERS = {
    "а": "a",
    "б": "b",
    "в": "v",
    "г": "g",
    "д": "d",
    "е": "e",
    "ё": "ë",
    "ж": "zh",
    "з": "z",
    "и": "i",
    "й": "ĭ",
    "к": "k",
    "л": "l",
    "м": "m",
    "н": "n",
    "о": "o",
    "п": "p",
    "р": "r",
    "с": "s",
    "т": "t",
    "у": "u",
    "ф": "f",
    "х": "kh",
    "ц": f"t{TIE}s",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ъ": "ʺ",
    "ы": "y",
    "ь": "ʹ",
    "э": "ė",
    "ю": f"i{TIE}u",
    "я": f"i{TIE}a",
    # Letters of the orthography before 1918
    "і": "ī",
    "ѣ": f"i{TIE}e",
    "ѳ": "ḟ",
    "ѵ": "ẏ",
    # Letters of other languages, as their own tables have them
    "ґ": "g",
    "є": f"i{TIE}e",
    "ї": "ï",
    "ў": "ŭ",
    "ђ": "đ",
    "ѓ": "ǵ",
    "ѕ": "dz",
    "ј": "j",
    "љ": "lj",
    "њ": "nj",
    "ћ": "ć",
    "ќ": "ḱ",
    "џ": "dž",
}


def ala_lc(text: str) -> str:
    """``Русская революция`` → ``Russkai͡a revoli͡ut͡sii͡a``; whatever is no such letter stays as it is.

    A word of another language is read as Russian where the tables differ (``г``, ``и``), so that no field of a record
    mixes the scripts.
    """
    letters = unicodedata.normalize("NFC", text)
    written = []
    for place, letter in enumerate(letters):
        latin = LETTERS.get(letter.lower())
        if latin is None:
            written.append(letter)
        elif letter.islower():
            written.append(latin)
        elif TIE in latin or _among_capitals(letters, place):
            written.append(latin.upper())
        else:
            written.append(latin[:1].upper() + latin[1:])
    return "".join(written)


def _among_capitals(letters: str, place: int) -> bool:
    """Whether a capital stands in a word of capitals, where all that it becomes is capital: ``ЩИТ``, not ``Щит``."""
    beside = letters[place + 1 : place + 2] or letters[max(place - 1, 0) : place]
    if not beside.isalpha():
        beside = letters[max(place - 1, 0) : place]
    return beside.isalpha() and beside.isupper()


def half_marks(text: str) -> str:
    """Ligatures as MARC 21 writes them: half a mark over each letter (U+FE20, U+FE21) instead of one over both."""
    return LIGATURE.sub("\\1\ufe20\\2\ufe21", text)


def without_ties(text: str) -> str:
    """Romanised words as citations print them: ``Russkaia``, the letters without their ligatures."""
    return text.replace(TIE, "")


def is_cyrillic(text: str) -> bool:
    return CYRILLIC.search(text) is not None
