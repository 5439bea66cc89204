"""The bibliographic description: what is known of each edition, as every record, citation and page tag needs it.

Facts that may not be claimed are empty here, so that whatever is written from a description cannot claim them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session
from stdnum import isbn as isbn_numbers

from shop.bibliography.romanisation import ala_lc, without_ties
from shop.catalogue import offers
from shop.catalogue.models import Binding, Edition, Role, Status
from shop.markets import day_of
from shop.stock import StockMovement

Doubts = frozenset[str]


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever made the book. ``sort_name`` is inverted: family name, comma, the other names."""

    role: Role
    name: str
    sort_name: str
    names: dict[str, str]

    @property
    def family(self) -> str:
        return self.sort_name.partition(", ")[0]

    @property
    def given(self) -> str:
        return self.sort_name.partition(", ")[2]


@dataclass(frozen=True, slots=True)
class Format:
    """Another form of the same text that is not sold here: ``hardback``, ``ebook`` …; ``pages`` is a pagination."""

    kind: str
    isbn: str
    published: str
    pages: str


@dataclass(frozen=True, slots=True)
class Words:
    """What the shop says of an edition in one language; ``description`` is Markdown."""

    name: str
    summary: str
    description: str


@dataclass(frozen=True, slots=True)
class Description:
    """One edition. Numbers and texts that are not known, or not to be claimed, are ``None`` or empty."""

    slug: str
    language: str
    binding: Binding
    status: Status
    announced_for: date | None
    title: str
    subtitle: str
    people: tuple[Person, ...]
    translated: bool
    """A translation, whether or not its translators may be named."""
    isbn: str | None
    publisher: str
    place: str
    published: str
    series: str
    series_volume: str
    pages: int | None
    illustrations: int | None
    height_mm: int | None
    width_mm: int | None
    weight_grams: int | None
    subjects: tuple[tuple[str, str], ...]
    """(scheme, code or heading), the main one first."""
    contents: tuple[str, ...]
    formats: tuple[Format, ...]
    words: dict[str, Words] = field(hash=False)

    @property
    def heading(self) -> str:
        return f"{self.title}: {self.subtitle}" if self.subtitle else self.title

    @property
    def year(self) -> str:
        return self.published[:4]

    @property
    def first_year(self) -> str:
        """When the text first came out, in whatever form the shop knows of."""
        years = (self.year, *(each.published[:4] for each in self.formats))
        return min((year for year in years if year), default="")

    def of(self, role: Role) -> list[Person]:
        return [person for person in self.people if person.role is role]


@dataclass(frozen=True, slots=True)
class Title:
    """The book in all its editions, and how these belong together."""

    editions: tuple[Description, ...]

    def edition(self, slug: str) -> Description | None:
        return next((each for each in self.editions if each.slug == slug), None)

    def original_of(self, edition: Description) -> Description | None:
        """The edition that a translation was made from, as far as the shop knows it."""
        if not edition.translated:
            return None
        others = (each for each in self.editions if not each.translated and each.language != edition.language)
        return next(others, None)

    def translations_of(self, edition: Description) -> list[Description]:
        return [each for each in self.editions if each.translated and self.original_of(each) is edition]

    def siblings_of(self, edition: Description) -> list[Description]:
        """Other forms of the same text."""
        return [each for each in self.editions if each is not edition and each.language == edition.language]

    def established(self, edition: Description, person: Person) -> str:
        """A name in Latin letters, inverted: as the original has it, else romanised (``Gorbach, Denis``)."""
        original = self.original_of(edition) or edition
        for other in original.of(person.role):
            if other.name in (person.name, person.names.get(original.language)):
                return other.sort_name
        return ala_lc(person.sort_name)

    def latin(self, edition: Description, person: Person) -> tuple[str, str]:
        """(family, given) names as an English citation writes them."""
        family, _, given = without_ties(self.established(edition, person)).partition(", ")
        written = person.names.get("en")
        if written and given and person.role is not Role.AUTHOR:
            given, _, family = written.rpartition(" ")
        return family, given


def describe(session: Session, *, claim_doubted: bool) -> Title:
    """Every edition as it may be described; ``claim_doubted`` is for a demonstration, which shows all there is."""
    return Title(
        tuple(
            _described(
                each,
                frozenset() if claim_doubted else offers.doubted(session, each.slug),
            )
            for each in offers.editions(session)
        )
    )


def _described(edition: Edition, doubted: Doubts) -> Description:
    def sure(fact: str) -> bool:
        return fact not in doubted

    people = tuple(
        Person(each.role, each.name, each.sort_name, dict(each.names))
        for each in edition.contributors
        # The author stands on the cover; who translated may be in doubt.
        if each.role is Role.AUTHOR or sure("contributors")
    )
    series = edition.series if sure("series") else ""
    sized, numbered = sure("size"), verified(edition.isbn) if sure("isbn") else None
    return Description(
        slug=edition.slug,
        language=edition.language,
        binding=edition.binding,
        status=edition.status,
        announced_for=edition.announced_for,
        title=edition.title,
        subtitle=edition.subtitle,
        people=people,
        translated=bool(edition.people(Role.TRANSLATOR)),
        isbn=numbered,
        publisher=edition.publisher,
        place=edition.place,
        published=edition.published if sure("published") else "",
        series=series,
        series_volume=edition.series_volume if series else "",
        pages=edition.pages if sure("pages") else None,
        illustrations=edition.illustrations,
        height_mm=edition.height_mm if sized else None,
        width_mm=edition.width_mm if sized else None,
        weight_grams=edition.weight_grams if sure("weight") else None,
        subjects=tuple((each.scheme, each.code) for each in edition.subjects) if sure("subjects") else (),
        contents=tuple(edition.contents) if edition.contents_complete and sure("contents") else (),
        formats=tuple(
            Format(
                each["format"],
                verified(each.get("isbn")) or "",
                each.get("published", ""),
                each.get("pages", ""),
            )
            for each in edition.other_formats
        ),
        words={each.language: Words(each.name, each.summary, each.description) for each in edition.texts},
    )


def entered(session: Session, slug: str) -> date | None:
    """The day on which the shop first had a record of an edition: that of the first count of its copies."""
    first = (
        select(StockMovement.at)
        .join(Edition, Edition.id == StockMovement.edition_id)
        .where(Edition.slug == slug)
        .order_by(StockMovement.id)
        .limit(1)
    )
    at = session.scalar(first)
    return day_of(at) if at else None


def verified(isbn: str | None) -> str | None:
    """An ISBN-13 whose check digit fits; nothing else leaves the shop as an ISBN, for no schema looks at the digits."""
    return isbn if isbn and len(isbn) == 13 and isbn_numbers.is_valid(isbn) else None
