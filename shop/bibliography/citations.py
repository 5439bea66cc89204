"""Citations to be read: the parts of a sentence, each with its slant and its language, in four styles.

Sources: The Chicago Manual of Style, 17th edition (14.68, 14.99, 11.98 for Russian); MLA Handbook, 9th edition; APA
Publication Manual, 7th edition (section 10.2); ГОСТ Р 7.0.100–2018. In the first three Russian titles are romanised.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from babel import Locale
from stdnum import isbn as isbn_numbers

from shop.bibliography import codes
from shop.bibliography.description import Description, Person, Title
from shop.bibliography.romanisation import ala_lc, is_cyrillic, without_ties
from shop.catalogue.models import Role

DASH = ".\u00a0— "  # between the areas of a description
FROM_LANGUAGE = {"en": "английского", "de": "немецкого", "fr": "французского"}
"""Languages in the genitive, as a Russian description names what a book was translated from."""


class Style(enum.StrEnum):
    CHICAGO = "chicago"
    MLA = "mla"
    APA = "apa"
    GOST = "gost"


@dataclass(frozen=True, slots=True)
class Part:
    """Some words of a citation; ``language`` is what they are written in (``ru-Latn``: romanised Russian)."""

    text: str
    italic: bool
    language: str
    whole: bool = False
    """No line ends within it."""


class Citation(tuple[Part, ...]):
    """Parts that stand one after the other without anything between them."""

    __slots__ = ()

    def __str__(self) -> str:
        return "".join(part.text for part in self)


def citation(title: Title, edition: Description, style: Style) -> Citation:
    """How scholars name the edition in a list of works; what is not known is left out."""
    return Citation(part for part in WRITERS[style](title, edition) if part.text)


def _plain(text: str, language: str = "en") -> Part:
    return Part(text, False, language)


def _stop(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _italic_title(edition: Description, *, lower: bool = False) -> Part:
    if is_cyrillic(edition.title):
        return Part(without_ties(ala_lc(edition.heading)), True, f"{edition.language}-Latn")
    if not lower or edition.language != "en":
        return Part(edition.heading, True, edition.language)
    halves = [codes.sentence_case(half) for half in (edition.title, edition.subtitle) if half]
    return Part(": ".join(halves), True, edition.language)


def _names(title: Title, edition: Description, people: Iterable[Person]) -> list[str]:
    """Names in their natural order, in Latin letters."""
    return [" ".join(reversed(title.latin(edition, each))).strip() for each in people]


def _listed(names: list[str], last: str = "and") -> str:
    """``A``, ``A and B``, ``A, B, and C``."""
    if len(names) < 3:
        return f" {last} ".join(names)
    return f"{', '.join(names[:-1])}, {last} {names[-1]}"


def _inverted(title: Title, edition: Description, *, most: int = 10) -> str:
    """The authors: the first inverted, the others in natural order; of more than ``most`` the first alone."""
    authors = edition.of(Role.AUTHOR)
    if not authors:
        return ""
    first = ", ".join(part for part in title.latin(edition, authors[0]) if part)
    if len(authors) > most:
        return f"{first}, et al."
    others = _names(title, edition, authors[1:])
    return ", ".join([first, *others[:-1], f"and {others[-1]}"]) if others else first


def _latin(text: str) -> str:
    return without_ties(ala_lc(text))


def _place(edition: Description) -> str:
    known = codes.PLACES.get(edition.place)
    return known.english if known else _latin(edition.place)


def _chicago(title: Title, edition: Description) -> list[Part]:
    authors, translators = _inverted(title, edition), _names(title, edition, edition.of(Role.TRANSLATOR))
    parts = [_plain(f"{_stop(authors)} " if authors else ""), _italic_title(edition), _plain(". ")]
    if translators:
        parts.append(_plain(f"Translated by {_listed(translators)}. "))
    where = ": ".join(each for each in (_place(edition), _latin(edition.publisher)) if each)
    return [*parts, _plain(_stop(", ".join(each for each in (where, edition.year) if each)))]


def _mla(title: Title, edition: Description) -> list[Part]:
    # Of three people and more the first is named (5.8).
    authors = _inverted(title, edition, most=2)
    translators = _names(title, edition, edition.of(Role.TRANSLATOR))
    named = _listed(translators) if len(translators) < 3 else f"{translators[0]} et al."
    details = [f"Translated by {named}"] if translators else []
    details += [each for each in (_latin(edition.publisher), edition.year) if each]
    parts = [_plain(f"{_stop(authors)} " if authors else ""), _italic_title(edition)]
    return [*parts, _plain(f". {_stop(', '.join(details))}" if details else ".")]


def _apa(title: Title, edition: Description) -> list[Part]:
    authors = []
    for person in edition.of(Role.AUTHOR):
        family, given = title.latin(edition, person)
        authors.append(", ".join(each for each in (family, _initials(given)) if each))
    translators = [
        " ".join(each for each in (_initials(given), family) if each)
        for family, given in (title.latin(edition, person) for person in edition.of(Role.TRANSLATOR))
    ]
    # A comma before the ampersand even between two, since the names are inverted (9.8).
    listed = f"{', '.join(authors[:-1])}, & {authors[-1]}" if len(authors) > 1 else "".join(authors)
    when = f"({edition.year or 'n.d.'})."
    parts = [_plain(f"{_stop(listed)} {when} " if authors else ""), _italic_title(edition, lower=True)]
    original = title.original_of(edition)
    if original and original.language == "en":
        parts.append(_plain(f" [{codes.sentence_case(original.title)}]"))
    if translators:
        parts.append(_plain(f" ({_listed(translators, '&')}, Trans.)"))
    if not authors:  # the title stands in their place, before the date (9.12)
        parts.append(_plain(f". {when[:-1]}"))
    parts.append(_plain(f". {_stop(_latin(edition.publisher))}" if edition.publisher else "."))
    first = original.first_year if original else ""
    return [*parts, _plain(f" (Original work published {first})" if first else "")]


def _initials(given: str) -> str:
    return " ".join(f"{name[0]}." for name in given.split())


def _gost(title: Title, edition: Description) -> list[Part]:
    """Areas in the standard's order. Abbreviations are in the book's language, the kind of content is in Russian."""
    language, russian = edition.language, edition.language == "ru"
    authors = edition.of(Role.AUTHOR)
    heading = ""
    if 0 < len(authors) < 4:  # four and more make no heading
        heading = ", ".join(each for each in (authors[0].family, _initials(authors[0].given)) if each)
    named = "\u00a0: ".join(each for each in (edition.title, edition.subtitle) if each)
    responsible = ", ".join(each.name for each in (authors if len(authors) < 5 else authors[:3]))
    if len(authors) > 4:
        responsible += " [и\u00a0др.]" if russian else " [et\u00a0al.]"
    made = f"\u00a0/ {responsible}" if authors else ""
    parts = [_plain((f"{_stop(heading)} " if heading else "") + named + made, language)]
    if translators := ", ".join(each.name for each in edition.of(Role.TRANSLATOR)):
        parts.append(_plain(f"\u00a0; {_translation(title, edition)}: {translators}", "ru" if russian else "en"))
    where = " : ".join(each for each in (edition.place, edition.publisher) if each)
    areas = [", ".join(each for each in (where, edition.year) if each)]
    if edition.pages:
        pictures = ("ил." if russian else "ill.") if edition.illustrations else ""
        pages = f"{edition.pages}\u00a0{'с' if russian else 'p'}."
        areas.append(" : ".join(each for each in (pages, pictures) if each))
    if edition.series:
        volume = f"{'т.' if russian else 'vol.'}\u00a0{edition.series_volume}" if edition.series_volume else ""
        areas.append(f"({' ; '.join(each for each in (edition.series, volume) if each)})")
    if edition.isbn:
        areas.append(f"ISBN\u00a0{isbn_numbers.format(edition.isbn)}")
    for area in areas:
        if area:
            parts.append(_plain(DASH[1:] if _ends(parts) else DASH, language))
            text = area.replace(" :", "\u00a0:").replace(" ;", "\u00a0;")
            parts.append(Part(text, False, language, whole=area.startswith("ISBN")))
    return [*parts, _plain(f"{DASH[1:] if _ends(parts) else DASH}Текст\u00a0: непосредственный.", "ru")]


def _ends(parts: list[Part]) -> bool:
    """Whether a full stop, such as that of ``296 p.``, stands there already."""
    return parts[-1].text.endswith(".")


def _translation(title: Title, edition: Description) -> str:
    original = title.original_of(edition)
    if edition.language != "ru":
        name = Locale("en").languages.get(original.language) if original else None
        return f"translated from {name}" if name else "translated"
    known = FROM_LANGUAGE.get(original.language) if original else None
    return f"перевод с\u00a0{known}" if known else "перевод"


WRITERS = {Style.CHICAGO: _chicago, Style.MLA: _mla, Style.APA: _apa, Style.GOST: _gost}
