"""Offers: what copies cost, delivered, and whether they can be ordered."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.catalogue import postage, shelf
from shop.catalogue.models import Edition, PostageZone, Status, Unconfirmed
from shop.errors import NotOrderable
from shop.markets import COUNTRIES, REGIONS, Region
from shop.money import Money, total
from shop.stock import Stock
from shop.trader import SHOP, Trader

NEEDED = ("prices", "weight", "postage_weight", "postage", "stock", "identity")
"""Facts without whose confirmation a shop in production takes no order."""


class Availability(enum.StrEnum):
    """What a public page may say about copies: a class, never a count."""

    IN_STOCK = "in_stock"
    LAST_COPIES = "last_copies"
    NONE = "none"
    ANNOUNCED = "announced"
    OUT_OF_PRINT = "out_of_print"
    NOT_YET = "not_yet"
    """The shop has not opened, and nobody has confirmed how many copies there are."""

    @property
    def orderable(self) -> bool:
        return self in (Availability.IN_STOCK, Availability.LAST_COPIES)


class Refusal(enum.StrEnum):
    """Why an order cannot be placed as asked."""

    NO_COPIES = "no_copies"
    """Nothing was asked for."""
    TOO_MANY = "too_many"
    """More than the edition's limit in one order."""
    UNKNOWN_COUNTRY = "unknown_country"
    REFUSED_COUNTRY = "refused_country"
    ZONE_OFF = "zone_off"
    NOT_SENT_THERE = "not_sent_there"
    NOT_AVAILABLE = "not_available"
    TOO_HEAVY = "too_heavy"
    CLOSED = "closed"
    """The shop takes no orders until its facts are confirmed."""


@dataclass(frozen=True, slots=True)
class OfferLine:
    edition: Edition
    quantity: int
    unit: Money

    @property
    def amount(self) -> Money:
        return self.unit * self.quantity


@dataclass(frozen=True, slots=True)
class Offer:
    """Copies delivered to a country: ``books + postage = total``, all in the region's currency."""

    lines: tuple[OfferLine, ...]
    country: str
    zone: PostageZone
    books: Money
    postage: Money

    @property
    def region(self) -> Region:
        return REGIONS[self.zone.region]

    @property
    def total(self) -> Money:
        return self.books + self.postage

    @property
    def copies(self) -> dict[int, int]:
        return {line.edition.id: line.quantity for line in self.lines}


def editions(session: Session) -> list[Edition]:
    if known := shelf.of(session):
        return list(known.editions)
    return list(session.scalars(select(Edition).order_by(Edition.position)))


def edition(session: Session, slug: str) -> Edition | None:
    return session.scalar(select(Edition).where(Edition.slug == slug))


CLASS_COLUMNS = (
    Edition.status,
    func.coalesce(Stock.on_hand - Stock.held - Stock.allocated, 0),
    Edition.last_copies,
    func.coalesce(Edition.weight_grams, Edition.postage_weight_grams),
)
"""What ``class_of`` asks for, as columns."""


def availability(session: Session, edition: Edition) -> Availability:
    """The class a page may show; an edition without weight counts as not to be had."""
    if known := shelf.of(session):
        return Availability(known.availability[edition.slug])
    stock = session.get(Stock, edition.id)
    return class_of(edition.status, stock.available if stock else 0, edition.last_copies, edition.mailing_grams)


def class_of(status: Status, left: int, last_copies: int, grams: int | None) -> Availability:
    if status is Status.ANNOUNCED:
        return Availability.ANNOUNCED
    if status is Status.OUT_OF_PRINT:
        return Availability.OUT_OF_PRINT
    if left <= 0 or grams is None:
        return Availability.NONE
    return Availability.LAST_COPIES if left <= last_copies else Availability.IN_STOCK


def offer(session: Session, quantities: Mapping[str, int], country: str) -> Offer:
    """Price copies (edition slug → quantity) delivered to a country; raises ``NotOrderable`` with the reason.

    Stock is not looked at here: it is decided when the copies are held.
    """
    zone = deliverable(session, country)
    forbidden = postage.not_sent(session, country)
    wanted = {slug: number for slug, number in quantities.items() if number > 0}
    if not wanted:
        raise NotOrderable(Refusal.NO_COPIES)
    currency = REGIONS[zone.region].currency
    lines, grams = [], 0
    for each in editions(session):
        number = wanted.pop(each.slug, 0)
        if not number:
            continue
        if number > each.order_limit:
            raise NotOrderable(Refusal.TOO_MANY, each.slug, each.order_limit)
        if each.id in forbidden:
            raise NotOrderable(Refusal.NOT_SENT_THERE, each.slug)
        unit = each.price_in(currency)
        if each.status is not Status.AVAILABLE or unit is None or each.mailing_grams is None:
            raise NotOrderable(Refusal.NOT_AVAILABLE, each.slug)
        lines.append(OfferLine(each, number, unit))
        grams += each.mailing_grams * number
    if wanted:
        raise NotOrderable(Refusal.NOT_AVAILABLE, next(iter(wanted)))
    if not postage.carries(zone, grams):
        raise NotOrderable(Refusal.TOO_HEAVY)
    books = total(currency, (line.amount for line in lines))
    return Offer(tuple(lines), country, zone, books, postage.postage(zone, grams))


def deliverable(session: Session, country: str) -> PostageZone:
    """The zone of a country that parcels go to; raises ``NotOrderable`` for any other."""
    if country not in COUNTRIES:
        raise NotOrderable(Refusal.UNKNOWN_COUNTRY)
    zone = postage.zone_of(session, country)
    if zone is None or postage.is_refused(session, country):
        raise NotOrderable(Refusal.REFUSED_COUNTRY)
    if not zone.enabled:
        raise NotOrderable(Refusal.ZONE_OFF)
    return zone


def unconfirmed(session: Session) -> list[Unconfirmed]:
    """Facts of the set-up that nobody has ticked off."""
    if known := shelf.of(session):
        return list(known.unconfirmed)
    return list(
        session.scalars(select(Unconfirmed).where(Unconfirmed.confirmed_at.is_(None)).order_by(Unconfirmed.id))
    )


def doubted(session: Session, slug: str) -> frozenset[str]:
    """Which facts of an edition nobody has confirmed."""
    return frozenset(row.fact for row in unconfirmed(session) if row.subject == slug)


def missing_for_sale(session: Session) -> list[str]:
    """What keeps a shop in production from taking orders, as words for the set-up page; empty when it may."""
    missing = [f"{row.subject}.{row.fact}" for row in unconfirmed(session) if row.fact in NEEDED]
    known = shelf.of(session)
    seller = known.trader if known else session.get(Trader, SHOP)
    if seller is None or not seller.name or not seller.address:
        missing.append("trader.identity")
    return list(dict.fromkeys(missing))
