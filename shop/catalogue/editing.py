"""An edition as a form shows it, and back: every fact that the owner may change, as text by name.

Lists are lines; the parts of a line are divided by ``|``. Sums are written ``22.00``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import changes
from shop.catalogue import version
from shop.catalogue.models import (
    Binding,
    Contributor,
    Edition,
    EditionText,
    NotSent,
    PostageBand,
    PostageZone,
    Price,
    Role,
    Status,
    Subject,
)
from shop.catalogue.sheet import FORMATS, SCHEMES
from shop.catalogue.values import isbn_13, published, web_address
from shop.database import lock
from shop.errors import CatalogueError, WrongState
from shop.markets import COUNTRIES, LANGUAGES, REGIONS
from shop.money import Currency

LINES = ("title", "subtitle", "publisher", "place", "published", "series", "series_volume", "tax_code", "language")
NUMBERS = ("pages", "illustrations", "height_mm", "width_mm", "weight_grams", "postage_weight_grams")
COUNTS = ("order_limit", "last_copies")
TEXTS = ("name", "summary", "description")
CURRENCIES = tuple(dict.fromkeys(region.currency for region in REGIONS.values()))


class BadLine(CatalogueError):
    """A line of a list that cannot be read. ``number`` counts from one."""

    def __init__(self, number: int, line: str) -> None:
        super().__init__(f"line {number}: {line}")
        self.number = number
        self.line = line


class IsbnTaken(CatalogueError):
    """Another edition or format has this ISBN."""


def subject(slug: str) -> str:
    """What an edition is called among the changes."""
    return f"edition:{slug}"


def sum_text(amount: int | None) -> str:
    return "" if amount is None else f"{amount // 100}.{amount % 100:02}"


def minor(text: str) -> int:
    """Minor units of a sum that ``sum_text`` wrote."""
    return int(text.replace(".", ""))


def facts(edition: Edition) -> dict[str, str]:
    """Everything of an edition that the owner may change."""
    told = {name: str(getattr(edition, name) or "") for name in LINES}
    told |= {
        name: str(value) if (value := getattr(edition, name)) is not None else "" for name in NUMBERS + COUNTS
    }
    told |= {
        "isbn": edition.isbn or "",
        "binding": edition.binding.value,
        "status": edition.status.value,
        "announced_for": edition.announced_for.isoformat() if edition.announced_for else "",
        "contents": "\n".join(edition.contents),
        "contents_complete": "1" if edition.contents_complete else "",
        "not_sent": " ".join(row.country for row in edition.not_sent),
        "contributors": "\n".join(_person_line(person) for person in edition.contributors),
        "subjects": "\n".join(f"{row.scheme} | {row.code}" for row in edition.subjects),
        "other_formats": "\n".join(
            _line(each, "format", "isbn", "published", "pages") for each in edition.other_formats
        ),
        "where_else": "\n".join(_line(each, "name", "url") for each in edition.where_else),
    }
    for currency in CURRENCIES:
        price = edition.price_in(currency)
        told[f"price-{currency.value}"] = sum_text(price.amount if price else None)
    for code in LANGUAGES:
        text = edition.text_in(code)
        told |= {f"{name}-{code}": getattr(text, name).strip() if text else "" for name in TEXTS}
    return told


def revise(
    session: Session, slug: str, typed: Mapping[str, str], seen: str, actor: str, now: datetime
) -> list[str]:
    """Make an edition say what was typed; answers which fields that changed.

    Raises ``changes.Meanwhile``, ``IsbnTaken``, and ``BadLine`` for what ``people`` and its like refuse.
    """
    found = session.scalar(select(Edition.id).where(Edition.slug == slug))
    edition = lock(session, Edition, found)
    if edition is None:
        raise LookupError(slug)
    before = facts(edition)
    changes.compare(seen, before)
    _check_isbn(session, edition, typed["isbn"], formats(typed["other_formats"]))
    _write(session, edition, typed)
    session.flush()
    session.expire(edition)
    changed = changes.record(session, subject(slug), before, facts(edition), actor, now)
    if changed:
        version.rise(session)
    else:
        session.rollback()  # the same was written anew, which is no reason to make pages anew
    return changed


def set_price(edition: Edition, currency: Currency, amount: int) -> None:
    """Change a price; orders keep what they were placed at."""
    row = next((price for price in edition.prices if price.currency is currency), None)
    if row is None:
        edition.prices.append(Price(currency=currency, amount=amount))
    else:
        row.amount = amount


def zone_facts(zone: PostageZone) -> dict[str, str]:
    """What the owner may change of a postage zone."""
    told = {
        f"{zone.slug}-on": "1" if zone.enabled else "",
        f"{zone.slug}-least": str(zone.min_days),
        f"{zone.slug}-most": str(zone.max_days),
    }
    told |= {f"{zone.slug}-{band.up_to_grams}": sum_text(band.amount) for band in zone.bands}
    if zone.further_amount is not None:
        told[f"{zone.slug}-further"] = sum_text(zone.further_amount)
    return told


def add_band(zone: PostageZone, grams: int, amount: int) -> None:
    """Say what a parcel up to a weight costs; raises ``WrongState`` if the zone says so already."""
    if any(band.up_to_grams == grams for band in zone.bands):
        raise WrongState(zone.slug)
    zone.bands.append(PostageBand(up_to_grams=grams, amount=amount))


def remove_band(zone: PostageZone, grams: int) -> None:
    """Take a band away; raises ``WrongState`` for one that is not there, and for the zone's only one."""
    band = next((band for band in zone.bands if band.up_to_grams == grams), None)
    if band is None or len(zone.bands) == 1:
        raise WrongState(zone.slug)
    zone.bands.remove(band)


# Lists as lines


def people(text: str) -> list[dict[str, Any]]:
    """Contributors: role | name | name for sorting | name in another language, as ``ru: Имя``, any number of these."""
    found: list[dict[str, Any]] = []
    for number, line, parts in _rows(text):
        names: dict[str, str] = {}
        for part in parts[3:]:
            code, _, name = part.partition(":")
            if code.strip() not in LANGUAGES or not name.strip():
                raise BadLine(number, line)
            names[code.strip()] = name.strip()
        if len(parts) < 3 or parts[0] not in set(Role) or not all(parts[:3]) or max(map(len, parts)) > 200:
            raise BadLine(number, line)
        found.append({"role": Role(parts[0]), "name": parts[1], "sort_name": parts[2], "names": names})
    return found


def subjects(text: str) -> list[dict[str, str]]:
    """Subjects: scheme | code."""
    found = []
    for number, line, parts in _rows(text):
        if len(parts) != 2 or parts[0] not in SCHEMES or not 0 < len(parts[1]) <= 200:
            raise BadLine(number, line)
        found.append({"scheme": parts[0], "code": parts[1]})
    return found


def formats(text: str) -> list[dict[str, str]]:
    """Other formats: format | ISBN | published | pages; from the right, what is not known is left out or empty."""
    found = []
    for number, line, parts in _rows(text):
        told = dict(zip(("format", "isbn", "published", "pages"), parts, strict=False))
        if len(parts) > 4 or told["format"] not in FORMATS or len(told.get("pages", "")) > 40:
            raise BadLine(number, line)
        for name, check in (("isbn", isbn_13), ("published", published)):
            if told.get(name):
                _checked(check, told[name], number, line)
        found.append({name: value for name, value in told.items() if value})
    return found


def sellers(text: str) -> list[dict[str, str]]:
    """Where else the edition is sold: name | address on the web, which may be left out."""
    found = []
    for number, line, parts in _rows(text):
        if len(parts) > 2 or not 0 < len(parts[0]) <= 100:
            raise BadLine(number, line)
        told = {"name": parts[0]}
        if parts[1:] and parts[1]:
            told["url"] = _checked(web_address, parts[1], number, line)
        found.append(told)
    return found


def countries(text: str) -> list[str]:
    """Codes of countries, divided by blanks or commas."""
    codes = sorted(set(text.replace(",", " ").upper().split()))
    for code in codes:
        if code not in COUNTRIES:
            raise BadLine(1, code)
    return codes


def contents(text: str) -> list[str]:
    """One entry a line, at most 300 characters each."""
    for number, line, _parts in _rows(text):
        if len(line) > 300:
            raise BadLine(number, line)
    return [line for _number, line, _parts in _rows(text)]


def _rows(text: str) -> list[tuple[int, str, list[str]]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, line, [part.strip() for part in line.split("|")]) for number, line in lines if line]


def _checked(check: Any, value: str, number: int, line: str) -> str:
    try:
        return str(check("", value))
    except CatalogueError as error:
        raise BadLine(number, line) from error


def _line(told: Mapping[str, str], *names: str) -> str:
    return " | ".join(told.get(name, "") for name in names).rstrip(" |")


def _person_line(person: Contributor) -> str:
    others = [f"{code}: {person.names[code]}" for code in LANGUAGES if code in person.names]
    return " | ".join([person.role.value, person.name, person.sort_name, *others])


# Into rows


def _check_isbn(session: Session, edition: Edition, number: str, others: list[dict[str, str]]) -> None:
    if not number:
        return
    elsewhere = select(Edition.id).where(Edition.isbn == number, Edition.id != edition.id)
    if session.scalar(elsewhere) is not None or any(each.get("isbn") == number for each in others):
        raise IsbnTaken(number)


def _write(session: Session, edition: Edition, typed: Mapping[str, str]) -> None:
    for name in LINES:
        setattr(edition, name, typed[name])
    for name in NUMBERS:
        setattr(edition, name, int(typed[name]) if typed[name] else None)
    for name in COUNTS:
        setattr(edition, name, int(typed[name]))
    edition.isbn = typed["isbn"] or None
    edition.binding, edition.status = Binding(typed["binding"]), Status(typed["status"])
    edition.announced_for = date.fromisoformat(typed["announced_for"]) if typed["announced_for"] else None
    edition.contents, edition.contents_complete = contents(typed["contents"]), bool(typed["contents_complete"])
    edition.other_formats, edition.where_else = formats(typed["other_formats"]), sellers(typed["where_else"])
    kept = {
        "contributors": [
            Contributor(position=n, **each) for n, each in enumerate(people(typed["contributors"]), 1)
        ],
        "subjects": [Subject(position=n, **each) for n, each in enumerate(subjects(typed["subjects"]), 1)],
        "not_sent": [NotSent(country=code) for code in countries(typed["not_sent"])],
    }
    for name in kept:
        setattr(edition, name, [])
    session.flush()  # the old rows go before the new ones take their keys
    for name, rows in kept.items():
        setattr(edition, name, rows)
    for currency in CURRENCIES:
        if asked := typed[f"price-{currency.value}"]:
            set_price(edition, currency, minor(asked))
        else:
            edition.prices = [price for price in edition.prices if price.currency is not currency]
    for code in LANGUAGES:
        text = edition.text_in(code)
        if text is None:
            text = EditionText(language=code)
            edition.texts.append(text)
        for name in TEXTS:
            setattr(text, name, typed[f"{name}-{code}"] + ("\n" if name == "description" else ""))
