"""MARC 21 bibliographic records of an edition, by pymarc: ISO 2709 and MARCXML, in UTF-8.

Sources: MARC 21 Format for Bibliographic Data (Library of Congress), its appendix D for field 880; RDA for what is
written in the fields, ISBD for the signs between them. Words of the shop's own are in English, the language of
cataloguing. Whatever is in Cyrillic is romanised, with its twin in 880.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pymarc import Field, Indicators, Leader, Record, Subfield, XMLWriter

from shop.bibliography import codes
from shop.bibliography.description import Description, Person, Title
from shop.bibliography.romanisation import ala_lc, half_marks, is_cyrillic
from shop.catalogue.models import Binding, Role, Status

Parts = list[tuple[str, str]]
CYRILLIC = "(N"
"""Basic Cyrillic, as $6 and 066 call it."""
RELATORS = {Role.AUTHOR: ("author", "aut"), Role.TRANSLATOR: ("translator", "trl")}
QUALIFIERS = {
    Binding.PAPERBACK.value: "(paperback)",
    Binding.HARDBACK.value: "(hardback)",
    "ebook": "(e-book)",
    "audiobook": "(audiobook)",
}
ELECTRONIC = {"ebook": "E-book version:", "audiobook": "Audiobook version:"}
PRINTED = {"hardback": "Hardback edition:", "paperback": "Paperback edition:"}
CARRIER = (
    ("336", "text", "txt", "rdacontent"),
    ("337", "unmediated", "n", "rdamedia"),
    ("338", "volume", "nc", "rdacarrier"),
)
THEMA = ("thema", "thema_place", "thema_time")
NO_FICTION = set("ACGJKLMNPQRSTUVW")
"""Thema's first letters of categories without fiction, poetry, plays, comics and children's books."""
KEYBOARD = str.maketrans({"–": "-", "—": "--", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "})
"""Signs of the printer that catalogues write with those of the keyboard."""
BISAC = re.compile(r"([A-Z]{3})(\d{6})")
INITIALS = re.compile(r"(?<=\b\w\.) (?=\w\.)")
MOST_NAMED = 20
"""So many authors are named in the statement of responsibility, which is one field; all have entries."""
LONGEST = 4_000
"""Bytes of contents in one field, romanised or not: a field has room for 9,999 with its marks (ISO 2709)."""


@dataclass(frozen=True, slots=True)
class Agency:
    """Whose record it is: its control number's place, and the shop's code in MARC's list of organisations if any."""

    prefix: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Days:
    """When the shop first had a record of the edition, and when this version of it was made."""

    entered: date
    made: date


def iso_2709(title: Title, edition: Description, agency: Agency, days: Days) -> bytes:
    """The record for exchange."""
    return bytes(record(title, edition, agency, days).as_marc())


def marcxml(title: Title, edition: Description, agency: Agency, days: Days) -> bytes:
    out = io.BytesIO()
    writer = XMLWriter(out)
    writer.write(record(title, edition, agency, days))
    writer.close(close_fh=False)
    return out.getvalue()


def record(title: Title, edition: Description, agency: Agency, days: Days) -> Record:
    fields = _Fields()
    fields.control("001", f"{agency.prefix}.{edition.slug}")
    fields.control("005", f"{days.made:%Y%m%d}000000.0")
    fields.control("008", fixed_field(edition, days.entered))
    if agency.code:
        fields.control("003", agency.code)
        fields.put("040", "  ", [("a", agency.code), ("b", "eng"), ("e", "rda"), ("c", agency.code)])
    _numbers(fields, title, edition)
    _names_and_titles(fields, title, edition)
    _physical(fields, edition)
    _notes(fields, title, edition)
    _subjects(fields, edition)
    _relations(fields, title, edition)
    made = Record(force_utf8=True)
    # n new, a language material, m monograph, a UTF-8; encoding level; i: ISBD punctuation included
    made.leader = Leader(f"00000nam a2200000{_level(edition)}i 4500")
    made.add_field(*fields.sorted())  # type: ignore[no-untyped-call]
    return made


def _level(edition: Description) -> str:
    """Full, partial, or made before publication."""
    if edition.status is Status.ANNOUNCED:
        return "8"
    return " " if edition.pages else "5"


def fixed_field(edition: Description, entered: date) -> str:
    """The forty characters of field 008 for books; ``|`` where the shop has not looked."""
    dates = f"s{edition.year}    " if edition.year else "nuuuuuuuu"
    place = codes.PLACES.get(edition.place)
    thema = next((code for scheme, code in edition.subjects if scheme == "thema"), "")
    return "".join(
        (
            f"{entered:%y%m%d}",  # 00-05 entered on file
            dates,  # 06-14 type of date, dates
            place.marc if place else codes.NOWHERE,  # 15-17
            "||||" if edition.illustrations is None else "a   " if edition.illustrations else "    ",  # 18-21
            " ",  # 22 audience not specified
            " ",  # 23 form of item: none of the listed, that is print
            "||||",  # 24-27 nature of contents
            "|",  # 28 government publication
            "0",  # 29 no conference publication
            "0",  # 30 no Festschrift
            "|",  # 31 index
            " ",  # 32 undefined
            "0" if thema[:1] in NO_FICTION else "|",  # 33 literary form
            "|",  # 34 biography
            codes.language(edition.language),  # 35-37
            " ",  # 38 not modified
            "d",  # 39 cataloguing source: other
        )
    )


class _Fields:
    """Fields as they are gathered. Cyrillic becomes Latin here, and its original a linked 880."""

    def __init__(self) -> None:
        self._fields: list[Field] = []
        self._twins: list[Field] = []

    def control(self, tag: str, data: str) -> None:
        self._fields.append(Field(tag=tag, data=data))

    def put(self, tag: str, indicators: str, parts: Parts, original: Parts | None = None) -> None:
        """Add a field. ``original`` is its Cyrillic twin where that is more than the same words in other letters."""
        twin = original or parts
        if not any(is_cyrillic(words) for _, words in twin):
            self._fields.append(_field(tag, indicators, parts))
            return
        number = f"{len(self._twins) + 1:02}"
        latin = [(code, half_marks(ala_lc(words))) for code, words in parts]
        self._fields.append(_field(tag, indicators, [("6", f"880-{number}"), *latin]))
        self._twins.append(_field("880", indicators, [("6", f"{tag}-{number}/{CYRILLIC}"), *twin]))

    def sorted(self) -> list[Field]:
        if self._twins:
            self._fields.append(_field("066", "  ", [("c", CYRILLIC)]))
        return [*sorted(self._fields, key=lambda each: each.tag), *self._twins]


def _field(tag: str, indicators: str, parts: Parts) -> Field:
    return Field(
        tag=tag,
        indicators=Indicators(*indicators),
        subfields=[Subfield(code, _written(words)) for code, words in parts],
    )


def _written(words: str) -> str:
    """Composed letters (NFC), the keyboard's signs and spaces, and nothing invisible, such as soft hyphens."""
    plain = unicodedata.normalize("NFC", words).translate(KEYBOARD)
    shown = (" " if unicodedata.category(sign)[0] == "Z" else sign for sign in plain)
    return "".join(sign for sign in shown if unicodedata.category(sign) != "Cf")


def _numbers(fields: _Fields, title: Title, edition: Description) -> None:
    def qualified(code: str, isbn: str, kind: str) -> Parts:
        qualifier = QUALIFIERS.get(kind)
        return [(code, isbn), *([("q", qualifier)] if qualifier else [])]

    if edition.isbn:
        fields.put("020", "  ", qualified("a", edition.isbn, edition.binding.value))
    for other in edition.formats:
        if other.isbn:
            fields.put("020", "  ", qualified("z", other.isbn, other.kind))
    original = title.original_of(edition)
    if original:
        languages = [("a", codes.language(edition.language)), ("h", codes.language(original.language))]
        fields.put("041", "1 ", languages)
    for scheme, code in edition.subjects:
        if scheme in THEMA:
            fields.put("072", " 7", [("a", code), ("2", "thema")])
        elif scheme == "bisac":
            taken = BISAC.fullmatch(code)
            parts = [("a", taken[1]), ("x", taken[2])] if taken else [("a", code)]
            fields.put("072", " 7", [*parts, ("2", "bisacsh")])


def _names_and_titles(fields: _Fields, title: Title, edition: Description) -> None:
    authors = edition.of(Role.AUTHOR)
    for author in authors[:1]:
        _entry(fields, "100", title, edition, author)
    original = title.original_of(edition)
    if original:
        fields.put("240", "10", [("a", _stopped(filed(original))), ("l", codes.language_name(edition.language))])
    skipped = len(codes.article(edition.title, edition.language))
    # No spaces between initials here (RDA 1.7.6), unlike in access points (RDA 8.5.6).
    names = INITIALS.sub("", ", ".join(person.name for person in authors[:MOST_NAMED]))
    if len(authors) > MOST_NAMED:
        names += f" [and {len(authors) - MOST_NAMED} others]"  # RDA 2.4.1.5
    main = [("a", edition.title)]
    if edition.subtitle:
        main = [("a", f"{edition.title} :"), ("b", edition.subtitle)]
    if names:
        main[-1] = (main[-1][0], f"{main[-1][1]} /")
        main.append(("c", names))
    fields.put("245", f"{1 if authors else 0}{skipped}", _closed(main))
    if edition.subtitle:
        fields.put("246", "30", [("a", edition.subtitle)])


def _entry(fields: _Fields, tag: str, title: Title, edition: Description, person: Person) -> None:
    term, code = RELATORS[person.role]
    relator = [("e", f"{term}."), ("4", code)]
    established = [("a", f"{title.established(edition, person)},"), *relator]
    # 1: entered by family name, 0: by the only name there is
    fields.put(tag, f"{int(bool(person.given))} ", established, [("a", f"{person.sort_name},"), *relator])


def filed(edition: Description) -> str:
    """A title without the article at its beginning, for fields that have no way to skip it."""
    skipped = codes.article(edition.title, edition.language)
    rest = edition.title[len(skipped) :]
    return rest[:1].upper() + rest[1:]


def _imprint(edition: Description) -> Parts:
    """Place, publisher and year with the signs between them; what is not known is left out."""
    parts: Parts = []
    if edition.place:
        parts.append(("a", f"{edition.place} :" if edition.publisher else edition.place))
    if edition.publisher:
        parts.append(("b", edition.publisher))
    if edition.year:
        if parts:
            parts[-1] = (parts[-1][0], f"{parts[-1][1]},")
        parts.append(("c", edition.year))
    return parts


def _closed(parts: Parts) -> Parts:
    """The last words with a full stop, unless they end a sentence already."""
    code, words = parts[-1]
    return [*parts[:-1], (code, _stopped(words))]


def _stopped(words: str) -> str:
    return words if words.endswith((".", "?", "!", "-", "…")) else f"{words}."


def _physical(fields: _Fields, edition: Description) -> None:
    if imprint := _imprint(edition):
        fields.put("264", " 1", _closed(imprint))
    if edition.pages:
        extent = [("a", f"{edition.pages} pages")]
        if edition.illustrations:
            number = edition.illustrations
            extent = [
                ("a", f"{edition.pages} pages :"),
                ("b", "1 illustration" if number == 1 else f"{number} illustrations"),
            ]
        if edition.height_mm:
            extent[-1] = (extent[-1][0], f"{extent[-1][1]} ;")
            extent.append(("c", f"{-(-edition.height_mm // 10)} cm"))  # a begun centimetre counts (RDA 3.5.1.3)
        fields.put("300", "  ", _closed(extent) if edition.series else extent)
    if edition.status is Status.ANNOUNCED and edition.announced_for:
        fields.put("263", "  ", [("a", f"{edition.announced_for:%Y%m}")])  # when it is to come out
    for tag, term, code, source in CARRIER:
        fields.put(tag, "  ", [("a", term), ("b", code), ("2", source)])
    if edition.series:
        series = [("a", edition.series)]
        if edition.series_volume:
            series = [("a", f"{edition.series} ;"), ("v", edition.series_volume)]
        fields.put("490", "0 ", series)


def _notes(fields: _Fields, title: Title, edition: Description) -> None:
    for number, (chapters, last) in enumerate(_portions(edition.contents)):
        # 0: “Contents:” before it; 8: nothing, for it goes on from the field before
        listed = [("a", " -- ".join(chapters))]
        fields.put("505", "8 " if number else "0 ", _closed(listed) if last else [("a", f"{listed[0][1]} --")])
    if words := edition.words.get("en"):
        fields.put("520", "  ", _closed([("a", " ".join(words.summary.split()))]))
    original = title.original_of(edition)
    if edition.language != "en" or original:
        said = f"In {codes.language_name(edition.language)}"
        if original:
            said += f"; translated from the {codes.language_name(original.language)}"
        fields.put("546", "  ", [("a", f"{said}.")])


def _portions(contents: Iterable[str]) -> Iterator[tuple[list[str], bool]]:
    """Chapters by as many as a field has room for, and whether they are the last."""
    chapters: list[str] = []
    for chapter in contents:
        if chapters and len(" -- ".join([*chapters, chapter]).encode()) > LONGEST:
            yield chapters, False
            chapters = []
        chapters.append(chapter)
    if chapters:
        yield chapters, True


def _subjects(fields: _Fields, edition: Description) -> None:
    for scheme, written in edition.subjects:
        parts = codes.headings(written) if scheme == "lcsh" else []
        if parts:
            whole = parts if parts[-1][1].endswith(")") else _closed(parts)
            fields.put("651" if codes.is_place(parts[0][1]) else "650", " 0", whole)


def _relations(fields: _Fields, title: Title, edition: Description) -> None:
    main = edition.of(Role.AUTHOR)[:1]
    for person in edition.people:
        if person not in main:
            _entry(fields, "700", title, edition, person)
    original = title.original_of(edition)
    if original:
        fields.put("765", "0 ", *_linked(title, original))
    for translation in title.translations_of(edition):
        fields.put("767", "0 ", *_linked(title, translation))
    for sibling in title.siblings_of(edition):
        said = PRINTED.get(sibling.binding.value, "Other edition:")
        fields.put("775", "08", *_linked(title, sibling, said))
    for other in edition.formats:
        tag = "776" if other.kind in ELECTRONIC else "775"
        said = {**ELECTRONIC, **PRINTED}[other.kind]
        more: Parts = [("d", other.published[:4])] if other.published else []
        if other.pages:
            more.append(("h", f"{other.pages} pages"))
        if other.isbn:
            more.append(("z", other.isbn))
        fields.put(tag, "08", [("i", said), *_heading(title, edition, established=True), *more])


def _linked(title: Title, other: Description, said: str = "") -> tuple[Parts, Parts]:
    """How a record names another edition: (with the name as established, as it is written there)."""
    more: Parts = []
    if imprint := "".join(f" {words}" for _, words in _imprint(other)).strip():
        more.append(("d", imprint))
    if other.isbn:
        more.append(("z", other.isbn))
    before: Parts = [("i", said)] if said else []
    known, written = (_heading(title, other, established=each) for each in (True, False))
    return [*before, *known, *more], [*before, *written, *more]


def _heading(title: Title, other: Description, *, established: bool) -> Parts:
    parts: Parts = []
    for author in other.of(Role.AUTHOR)[:1]:
        name = title.established(other, author) if established else author.sort_name
        parts.append(("a", _stopped(name)))
    return [*parts, ("t", filed(other))]
