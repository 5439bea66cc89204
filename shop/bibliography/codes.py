"""Code lists that records share: languages, places, filing words, subject headings taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from babel import Locale

LANGUAGES = {
    "de": "ger",
    "en": "eng",
    "es": "spa",
    "fr": "fre",
    "it": "ita",
    "pl": "pol",
    "pt": "por",
    "ru": "rus",
    "uk": "ukr",
}
"""ISO 639-1 → the bibliographic codes of ISO 639-2, which MARC 21 and ONIX (list 74) have in common."""
UNDETERMINED = "und"


@dataclass(frozen=True, slots=True)
class Place:
    """Where books come out: MARC 21's code of the country, ISO 3166-1's, and the name in English."""

    marc: str
    country: str
    english: str


PLACES = {
    "London": Place("enk", "GB", "London"),
    "Oxford": Place("enk", "GB", "Oxford"),
    "Cambridge": Place("enk", "GB", "Cambridge"),
    "Abingdon": Place("enk", "GB", "Abingdon"),
    "New York": Place("nyu", "US", "New York"),
    "Москва": Place("ru ", "RU", "Moscow"),
    "Санкт-Петербург": Place("ru ", "RU", "St Petersburg"),
}
NOWHERE = "xx "  # no place, or one that is not in the list

FILING = {"en": re.compile(r"[\"'“‘«]?(?:The|An|A) ", re.IGNORECASE)}
"""Initial articles, with a quotation mark before them: letters that do not count in filing."""

FORMS = {"Bibliography", "Biography", "Congresses", "Exhibitions", "Maps", "Periodicals", "Sources"}
"""Form subdivisions of LCSH that a shop of scholarly books meets."""
FORMER_PLACES = {"Soviet Union", "Czechoslovakia", "Yugoslavia", "Russia", "Great Britain"}
"""Names of places in LCSH that today's list of territories does not have."""
CITIES = {"London", "Moscow", "Petrograd", "Saint Petersburg"}
"""Cities that stand alone behind their country in LCSH."""
NAMES = {
    *(
        "America",
        "Bolshevik",
        "Bolsheviks",
        "Britain",
        "British",
        "Europe",
        "European",
        "Lenin",
        "Leninist",
        "Marx",
    ),
    *("Marxist", "Menshevik", "Mensheviks", "Soviet", "Soviets", "Stalin", "Stalinist", "Trotsky"),
}
"""Proper words of the shop's field that are neither languages nor countries."""


def language(code: str) -> str:
    return LANGUAGES.get(code, UNDETERMINED)


def language_name(code: str) -> str:
    """What a language is called in English."""
    return str(Locale("en").languages.get(code, code))


def article(title: str, language: str) -> str:
    """What of a title is left out in filing: ``The `` with its space; empty for most."""
    rule = FILING.get(language)
    found = rule.match(title) if rule else None
    return found[0] if found else ""


@cache
def _proper() -> frozenset[str]:
    english = Locale("en")
    names = [*english.languages.values(), *english.territories.values(), *FORMER_PLACES, *CITIES, *NAMES]
    return frozenset(name for name in names if " " not in name and name[:1].isupper())


def sentence_case(title: str) -> str:
    """An English title with capitals in its first word, in the first of a subtitle, and in proper names alone.

    Known as proper are names of languages and countries (Unicode CLDR) and the list above; what has a capital
    elsewhere (``NEP``) or a number stays too.
    """
    words = title.split(" ")
    for place, word in enumerate(words):
        bare = re.sub(r"['’]s$", "", word.strip("“”‘’\"',.;:?!()"))
        begins = place == 0 or words[place - 1].endswith((":", "?", "!", "—"))
        if not begins and (bare == "A" or (bare[1:].islower() and bare not in _proper())):
            words[place] = word.lower()
    return " ".join(words)


def headings(written: str) -> list[tuple[str, str]]:
    """An LCSH heading as (kind, words), kind being MARC 21's subfield code.

    The first is ``a``; after it ``y`` for periods, ``z`` for places, ``v`` for forms, else ``x``.
    """
    parts = [part.strip() for part in re.split(r"\s*(?:—|--)\s*", written) if part.strip()]
    told = [("a", part) for part in parts[:1]]
    for part in parts[1:]:
        if part in FORMS:
            told.append(("v", part))
        elif re.search(r"\d", part):
            told.append(("y", part))
        else:
            told.append(("z" if is_place(part) or part in CITIES else "x", part))
    return told


def is_place(name: str) -> bool:
    """Whether a heading names a place: a country, a former one, or something in one, as ``Moscow (Russia)``."""
    countries = set(Locale("en").territories.values()) | FORMER_PLACES
    inside = re.search(r"\(([^)]+)\)$", name)
    return name.partition(" (")[0] in countries or (inside is not None and inside[1] in countries)
