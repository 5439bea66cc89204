"""Catalogue files and rows: import a file, export what the database holds in the same form.

The database is the truth; a file is what a new shop starts from. Importing the same file again changes nothing:
neither copies on hand nor what the owner has confirmed. A file says all there is to say about the editions it
names and about postage; editions it does not name stay as they are, since orders speak of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import tomli_w
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue import version
from shop.catalogue.models import (
    Contributor,
    Edition,
    EditionText,
    NotSent,
    PostageBand,
    PostageZone,
    Price,
    RefusedCountry,
    Subject,
    Unconfirmed,
    ZoneCountry,
)
from shop.catalogue.sheet import EDITION_FACTS, TRADER_FACTS, ZONE_FACTS, read
from shop.catalogue.values import Sheet
from shop.markets import COUNTRIES, LANGUAGES
from shop.money import Currency
from shop.stock import StockMovement
from shop.trader import Distributor, Trader, distributor, trader

ACTOR = "system"
TRADER = "trader"
TRADER_FIELDS = ("name", "address", "email", "phone", "vat_number", "dispatch_days")
BEFORE_PRICES = (
    "language",
    "binding",
    "status",
    "announced_for",
    "title",
    "subtitle",
    "isbn",
    "publisher",
    "place",
    "published",
    "series",
    "series_volume",
    "pages",
    "illustrations",
    "height_mm",
    "width_mm",
    "weight_grams",
    "postage_weight_grams",
    "tax_code",
    "order_limit",
    "last_copies",
    "opening_stock",
    "cover",
    "contents",
    "contents_complete",
)
AFTER_PRICES = ("other_formats", "where_else")
EMPTY = {
    "subtitle": "",
    "publisher": "",
    "place": "",
    "published": "",
    "series": "",
    "series_volume": "",
    "cover": "",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to. ``untouched`` are editions that the file does not name."""

    changed: bool
    untouched: tuple[str, ...]


def import_catalogue(session: Session, body: bytes, now: datetime) -> Imported:
    """Make the database say what a file says; raises ``CatalogueError`` before anything is written."""
    sheet = read(body)
    before = _sheet(session)
    kept = _editions(session)
    for position, (slug, told) in enumerate(sheet["editions"].items(), start=1):
        edition = kept.get(slug)
        if edition is None:
            edition = Edition(slug=slug)
            session.add(edition)
        edition.position = position
        _write_edition(session, edition, told, now)
        _doubt(session, slug, told)
    untouched = [slug for slug in kept if slug not in sheet["editions"]]
    for position, slug in enumerate(untouched, start=len(sheet["editions"]) + 1):
        kept[slug].position = position
    _write_zones(session, sheet)
    _write_trader(session, sheet["trader"])
    session.flush()
    session.expire_all()
    changed = _sheet(session) != before
    if changed:
        version.rise(session)
    return Imported(changed, tuple(untouched))


def export_catalogue(session: Session) -> str:
    """The whole catalogue as a file that ``import_catalogue`` reads."""
    return tomli_w.dumps(_sheet(session), multiline_strings=True)


def is_empty(session: Session) -> bool:
    """Whether no catalogue was ever imported."""
    return session.scalar(select(Edition.id).limit(1)) is None


# Rows from the file


def _write_edition(session: Session, edition: Edition, told: Sheet, now: datetime) -> None:
    for name in (*BEFORE_PRICES, *AFTER_PRICES):
        unknown: Any = [] if name in ("contents", *AFTER_PRICES) else EMPTY.get(name)
        _set(edition, name, told.get(name, unknown))
    _sync(
        edition.texts,
        EditionText,
        "language",
        [{"language": code, **text} for code, text in told["texts"].items()],
    )
    people = [{"names": {}, **person} for person in told["contributors"]]
    _sync(edition.contributors, Contributor, "position", _numbered(people))
    _sync(edition.subjects, Subject, "position", _numbered(told.get("subjects", [])))
    prices = [{"currency": Currency(code), "amount": amount} for code, amount in told["prices"].items()]
    _sync(edition.prices, Price, "currency", prices)
    _sync(edition.not_sent, NotSent, "country", [{"country": code} for code in told.get("not_sent", [])])
    session.flush()
    _write_distributor(session, edition.id, told.get("distributor"))
    moved = select(StockMovement.id).where(StockMovement.edition_id == edition.id).limit(1)
    if session.scalar(moved) is None:
        stock.count(session, edition.id, edition.opening_stock, "", ACTOR, now)


def _write_distributor(session: Session, edition_id: int, told: Sheet | None) -> None:
    row = distributor(session, edition_id)
    if told is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = Distributor(edition_id=edition_id)
        session.add(row)
    for name, value in {"phone": "", **told}.items():
        _set(row, name, value)


def _write_zones(session: Session, sheet: Sheet) -> None:
    """Replace all postage. Countries change hands at once, so that none is ever in two zones."""
    kept = {zone.slug: zone for zone in session.scalars(select(PostageZone))}
    for slug, zone in kept.items():
        if slug not in sheet["zones"]:
            _doubt(session, slug, {})
            session.delete(zone)
    for position, (slug, told) in enumerate(sheet["zones"].items(), start=1):
        zone = kept.get(slug) or PostageZone(slug=slug)
        session.add(zone)
        further = told.get("further", {})
        values = {
            "position": position,
            "region": told["region"],
            "enabled": told["enabled"],
            "rest": told.get("rest", False),
            "holds_northern_ireland": told.get("holds_northern_ireland", False),
            "min_days": told["days"][0],
            "max_days": told["days"][1],
            "further_grams": further.get("grams"),
            "further_amount": further.get("amount"),
            "names": told["names"],
        }
        for name, value in values.items():
            _set(zone, name, value)
        _sync(zone.bands, PostageBand, "up_to_grams", told["bands"])
        _doubt(session, slug, told)
    session.flush()
    ids = dict(iter(session.execute(select(PostageZone.slug, PostageZone.id))))
    wanted = {code: ids[slug] for slug, codes in zone_countries(sheet).items() for code in codes}
    if wanted != dict(iter(session.execute(select(ZoneCountry.country, ZoneCountry.zone_id)))):
        session.execute(delete(ZoneCountry))
        session.execute(insert(ZoneCountry), [{"country": code, "zone_id": zone} for code, zone in wanted.items()])
    if sheet["refused"] != _refused(session):
        session.execute(delete(RefusedCountry))
        if sheet["refused"]:
            session.execute(insert(RefusedCountry), [{"country": code} for code in sheet["refused"]])


def zone_countries(sheet: Sheet) -> dict[str, list[str]]:
    """Zone → its countries; the zone that takes in the rest gets all that are neither named nor refused."""
    named = {slug: zone.get("countries", []) for slug, zone in sheet["zones"].items()}
    taken = {code for codes in named.values() for code in codes} | set(sheet["refused"])
    rest = sorted(COUNTRIES - taken)
    return {slug: rest if "rest" in sheet["zones"][slug] else codes for slug, codes in named.items()}


def _write_trader(session: Session, told: Sheet) -> None:
    """Write down who sells; what the file leaves out stays as the owner entered it."""
    if not told:
        return
    row = trader(session)
    for name in TRADER_FIELDS:
        if name in told:
            _set(row, name, told[name])
    _doubt(session, TRADER, told)


def _doubt(session: Session, subject: str, told: Sheet) -> None:
    """Note which facts nobody has confirmed; what a person has ticked off stays ticked off."""
    wanted = told.get("to_confirm", [])
    known = {row.fact: row for row in session.scalars(select(Unconfirmed).where(Unconfirmed.subject == subject))}
    for fact, row in known.items():
        if fact not in wanted and row.confirmed_at is None:
            session.delete(row)
    session.add_all(Unconfirmed(subject=subject, fact=fact) for fact in wanted if fact not in known)


def _set(row: Any, name: str, value: Any) -> None:
    """Change an attribute only when it differs, so that nothing is written without need."""
    if getattr(row, name) != value:
        setattr(row, name, value)


def _numbered(told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"position": number, **each} for number, each in enumerate(told, start=1)]


def _sync(rows: list[Any], model: type[Any], key: str, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Bring a collection in step with what is wanted, row by row."""
    known = {getattr(row, key): row for row in rows}
    for values in wanted:
        row = known.pop(values[key], None)
        if row is None:
            rows.append(model(**values))
            continue
        for name, value in values.items():
            _set(row, name, value)
    for row in known.values():
        rows.remove(row)


# The file from rows


def _sheet(session: Session) -> Sheet:
    doubts = _doubts(session)
    sheet: Sheet = {}
    if refused := _refused(session):
        sheet["refused"] = refused
    if seller := _read_trader(session, doubts.get(TRADER, set())):
        sheet["trader"] = seller
    editions, zones = _editions(session), session.scalars(select(PostageZone).order_by(PostageZone.position))
    sheet["editions"] = {
        slug: _read_edition(session, edition, doubts.get(slug, set())) for slug, edition in editions.items()
    }
    sheet["zones"] = {zone.slug: _read_zone(zone, doubts.get(zone.slug, set())) for zone in zones}
    return sheet


def _editions(session: Session) -> dict[str, Edition]:
    return {row.slug: row for row in session.scalars(select(Edition).order_by(Edition.position, Edition.id))}


def _refused(session: Session) -> list[str]:
    return list(session.scalars(select(RefusedCountry.country).order_by(RefusedCountry.country)))


def _doubts(session: Session) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in session.scalars(select(Unconfirmed).where(Unconfirmed.confirmed_at.is_(None))):
        found.setdefault(row.subject, set()).add(row.fact)
    return found


def _read_trader(session: Session, doubts: set[str]) -> Sheet:
    row = session.scalar(select(Trader))
    known = {name: getattr(row, name) for name in TRADER_FIELDS} if row else {}
    return _known(known) | _unconfirmed(TRADER_FACTS, doubts)


def _read_edition(session: Session, edition: Edition, doubts: set[str]) -> Sheet:
    plain = {name: getattr(edition, name) for name in BEFORE_PRICES}
    sheet = _known({**plain, "binding": edition.binding.value, "status": edition.status.value})
    sheet["prices"] = {price.currency.value: price.amount for price in edition.prices}
    sheet |= _known({"not_sent": [row.country for row in edition.not_sent]})
    sheet["contributors"] = [_read_person(person) for person in edition.contributors]
    sheet |= _known(
        {
            "subjects": [{"scheme": row.scheme, "code": row.code} for row in edition.subjects],
            **{name: getattr(edition, name) for name in AFTER_PRICES},
        }
    )
    sheet |= _unconfirmed(EDITION_FACTS, doubts)
    if supplier := distributor(session, edition.id):
        names = ("name", "email", "phone", "language")
        sheet["distributor"] = _known({name: getattr(supplier, name) for name in names})
    texts = {text.language: text for text in edition.texts}
    sheet["texts"] = {
        code: {name: getattr(texts[code], name) for name in ("name", "summary", "description")}
        for code in LANGUAGES
        if code in texts
    }
    return sheet


def _read_person(person: Contributor) -> Sheet:
    sheet: Sheet = {"role": person.role.value, "name": person.name, "sort_name": person.sort_name}
    return sheet | _known({"names": {code: person.names[code] for code in LANGUAGES if code in person.names}})


def _read_zone(zone: PostageZone, doubts: set[str]) -> Sheet:
    sheet: Sheet = {"region": zone.region, "enabled": zone.enabled}
    sheet |= {name: True for name in ("rest", "holds_northern_ireland") if getattr(zone, name)}
    sheet["names"] = {code: zone.names[code] for code in LANGUAGES if code in zone.names}
    if not zone.rest:
        sheet["countries"] = [row.country for row in zone.countries]
    sheet["days"] = [zone.min_days, zone.max_days]
    sheet["bands"] = [{"up_to_grams": band.up_to_grams, "amount": band.amount} for band in zone.bands]
    if zone.further_grams is not None:
        sheet["further"] = {"grams": zone.further_grams, "amount": zone.further_amount}
    return sheet | _unconfirmed(ZONE_FACTS, doubts)


def _known(facts: Mapping[str, Any]) -> Sheet:
    """Leave out what is unknown; zero and "no" are facts."""
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


def _unconfirmed(known: tuple[str, ...], doubts: set[str]) -> Sheet:
    facts = [fact for fact in known if fact in doubts]
    return {"to_confirm": facts} if facts else {}
