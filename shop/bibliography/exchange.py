"""Citations for programs: BibTeX, RIS and CSL-JSON, all in UTF-8.

Sources: BibTeXing (Patashnik, 1988) and the fields that BibLaTeX adds; RIS Format Specifications (2011); CSL-JSON
schema 1.0.2. Names stand in the language of the edition. No address is given: styles would print it, and a bookseller's
page is no part of a citation of a printed book.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from babel import Locale

from shop.bibliography.description import Description, Person, Title
from shop.bibliography.romanisation import ala_lc, without_ties
from shop.catalogue.models import Role

LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "#$%&_"},
}
"""Signs that TeX would take for commands; letters and dashes it reads as they are (LaTeX since 2018)."""
LINE_BREAK = re.compile(r"[\r\n]+")


def latex(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in text)


def key(title: Title, edition: Description) -> str:
    """How a manuscript refers to the entry: ``pirani2009paperback``, the same for good while the year is."""
    authors = edition.of(Role.AUTHOR)
    family = title.latin(edition, authors[0])[0] if authors else ""
    plain = re.sub(r"[^a-z]", "", without_ties(ala_lc(family)).lower())
    return f"{plain}{edition.year}{edition.slug.replace('-', '')}"


def bibtex(title: Title, edition: Description) -> str:
    """One ``@book`` entry. The title keeps its capitals (double braces), for its words are names."""
    people = {"author": Role.AUTHOR, "translator": Role.TRANSLATOR}
    values = {name: " and ".join(_braced(each) for each in edition.of(role)) for name, role in people.items()}
    values |= {
        "title": f"{{{latex(edition.heading)}}}",
        "publisher": latex(edition.publisher),
        "address": latex(edition.place),
        "year": edition.year,
        "date": edition.published,
        "series": latex(edition.series),
        "number": latex(edition.series_volume),
        "pagetotal": str(edition.pages or ""),
        "isbn": edition.isbn or "",
        "language": str(Locale("en").languages.get(edition.language, "")).lower(),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in values.items() if value and value != "{}"]
    return f"@book{{{key(title, edition)},\n" + ",\n".join(lines) + "\n}\n"


def _braced(person: Person) -> str:
    """A name with its parts told apart; one without given names is kept whole."""
    if not person.given:
        return f"{{{latex(person.family)}}}"
    return f"{latex(person.family)}, {latex(person.given)}"


def ris(edition: Description) -> str:
    """One ``BOOK``; lines end with CR and LF."""
    fields: list[tuple[str, str]] = [("TY", "BOOK")]
    fields += [("AU", each.sort_name) for each in edition.of(Role.AUTHOR)]
    fields += [("A4", each.sort_name) for each in edition.of(Role.TRANSLATOR)]
    fields += [
        ("TI", edition.heading),
        ("T2", edition.series),
        ("M1", edition.series_volume),  # for a book; VL is the volume of a work in several
        ("CY", edition.place),
        ("PB", edition.publisher),
        ("PY", edition.year),
        ("DA", edition.published.replace("-", "/")),
        ("SP", str(edition.pages or "")),
        ("SN", edition.isbn or ""),
        ("LA", edition.language),
    ]
    lines = [f"{tag}  - {LINE_BREAK.sub(' ', value)}" for tag, value in fields if value]
    return "\r\n".join([*lines, "ER  - ", ""])


def csl(title: Title, edition: Description) -> str:
    """A list of one item of type ``book``."""
    original = title.original_of(edition)
    item: dict[str, Any] = {
        "id": key(title, edition),
        "type": "book",
        "title": edition.heading,
        "author": _people(edition.of(Role.AUTHOR)),
        "translator": _people(edition.of(Role.TRANSLATOR)),
        "original-title": original.heading if original else "",
        "publisher": edition.publisher,
        "publisher-place": edition.place,
        "issued": {"date-parts": [[int(part) for part in edition.published.split("-")]]}
        if edition.published
        else None,
        "collection-title": edition.series,
        "collection-number": edition.series_volume,
        "number-of-pages": str(edition.pages or ""),
        "ISBN": edition.isbn or "",
        "language": edition.language,
    }
    known = {name: value for name, value in item.items() if value}
    return json.dumps([known], ensure_ascii=False, indent=2) + "\n"


def _people(people: Iterable[Person]) -> list[dict[str, str]]:
    return [
        {"family": each.family, "given": each.given} if each.given else {"literal": each.family} for each in people
    ]
