"""Orphans: money that bears our mark, whose order is not known. From what it tells of itself, the order is rebuilt."""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue import offers, postage
from shop.catalogue.models import Edition
from shop.database import add_once, lock, mark_locked, transact
from shop.errors import WrongState
from shop.markets import COUNTRIES, MARKETS
from shop.money import Currency
from shop.orders import terms, timeline
from shop.orders.models import Buyer, Order, OrderLine
from shop.orders.numbers import read_number
from shop.orders.timeline import Actor
from shop.payments import arrivals, disputes
from shop.payments.copies import DEAD
from shop.payments.gateway import CheckoutFacts, PaymentGateway
from shop.payments.models import Payment, PaymentRole, Refund

MOST = 1000
"""Copies of one edition that a mark may speak of."""


class Obstacle(enum.StrEnum):
    """Why an order cannot be rebuilt."""

    NO_ORPHAN = "no_orphan"
    REFUNDED = "refunded"
    """Some of the money has gone back, or is about to."""
    MARK = "mark"
    """The mark does not say which order it was, or of what."""
    NUMBER_TAKEN = "number_taken"
    """An order with this number is known after all."""
    SUMS = "sums"
    """What was paid is not books and postage, or cannot be split into prices of copies."""


class NotRebuildable(WrongState):
    """The order cannot be rebuilt, because of an ``Obstacle``."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle


def rebuild(session: Session, gateway: PaymentGateway, payment_id: int, actor: Actor, now: datetime) -> Order:
    """Rebuild the order that a payment was made for; a second call answers the same order.

    Raises ``NotRebuildable``, or whatever the provider raises when asked for the checkout. Copies that are gone
    meanwhile are not promised: then the order stands there with its money owed back.
    """
    payment = session.get_one(Payment, payment_id)
    checkout_id = payment.checkout_id
    session.rollback()
    if not checkout_id:
        raise NotRebuildable(Obstacle.MARK)
    facts = gateway.look_up(checkout_id)
    return transact(session, _rebuild, payment_id, facts, actor, now)


def _rebuild(session: Session, payment_id: int, facts: CheckoutFacts, actor: Actor, now: datetime) -> Order:
    payment = lock(session, Payment, payment_id)
    if payment is None:
        raise NotRebuildable(Obstacle.NO_ORPHAN)
    if payment.order_id is not None and payment.role is not PaymentRole.ORPHAN:
        return session.get_one(Order, payment.order_id)
    if facts.intent_id != payment.intent_id or not facts.paid:
        raise NotRebuildable(Obstacle.NO_ORPHAN)
    given_back = select(Refund.id).where(Refund.payment_id == payment.id, Refund.state.not_in(DEAD))
    if session.scalar(given_back.limit(1)) is not None:
        raise NotRebuildable(Obstacle.REFUNDED)
    if facts.books + facts.postage != payment.amount or facts.currency is not payment.currency:
        raise NotRebuildable(Obstacle.SUMS)
    order = _order(session, payment, facts, now)
    timeline.note(session, order, "rebuilt", actor, now, payment=payment.id)
    arrivals.adopt(session, order, payment, facts, now)
    disputes.follow(session, order, payment, now)
    return order


def _order(session: Session, payment: Payment, facts: CheckoutFacts, now: datetime) -> Order:
    """Write the order that the mark speaks of, with its lines; nobody has paid it yet."""
    mark = payment.facts
    number = read_number(str(mark.get("order", "")))
    market = MARKETS.get(str(mark.get("market", "")))
    country = str(mark.get("country", ""))
    if number is None or market is None or country not in COUNTRIES:
        raise NotRebuildable(Obstacle.MARK)
    copies = _copies(session, str(mark.get("copies", "")))
    units = _units(copies, payment.currency, facts.books)
    zone = postage.zone_of(session, country)
    inserted = add_once(
        session,
        Order,
        number=number,
        token=secrets.token_urlsafe(32),
        attempt=hashlib.sha256(f"rebuilt:{payment.intent_id}".encode()).hexdigest(),
        content=hashlib.sha256(facts.checkout_id.encode()).hexdigest(),
        market=market.slug,
        country=country,
        currency=payment.currency,
        books_amount=facts.books,
        postage_amount=facts.postage,
        min_days=zone.min_days if zone else 0,
        max_days=zone.max_days if zone else 0,
        placed_at=facts.created or payment.received_at,
    )
    if not inserted:
        raise NotRebuildable(Obstacle.NUMBER_TAKEN)
    order = session.scalars(select(Order).where(Order.number == number)).one()
    mark_locked(session, order)
    order.buyer = Buyer()
    for position, (edition, quantity) in enumerate(copies, start=1):
        text = edition.text_in(market.language)
        order.lines.append(
            OrderLine(
                position=position,
                edition_id=edition.id,
                slug=edition.slug,
                title=edition.heading,
                name=text.name if text else "",
                isbn=edition.isbn,
                language=edition.language,
                quantity=quantity,
                unit_amount=units[edition.id],
                grams=edition.mailing_grams or 0,
            )
        )
    session.flush()
    terms.keep_number(session, order)
    return order


def _copies(session: Session, written: str) -> list[tuple[Edition, int]]:
    """Editions and numbers of copies from ``paperback:1,russian:2``."""
    wanted: dict[str, int] = {}
    for part in written.split(","):
        slug, _colon, number = part.partition(":")
        if not number.isascii() or not number.isdigit() or not 0 < int(number[:5]) <= MOST or slug in wanted:
            raise NotRebuildable(Obstacle.MARK)
        wanted[slug] = int(number)
    found = [(each, wanted.pop(each.slug)) for each in offers.editions(session) if each.slug in wanted]
    if wanted:
        raise NotRebuildable(Obstacle.MARK)
    return found


def _units(copies: list[tuple[Edition, int]], currency: Currency, books: int) -> dict[int, int]:
    """What one copy of each edition cost: the catalogue's price if it still adds up, else what a single one tells."""
    prices = {edition.id: edition.price_in(currency) for edition, _number in copies}
    known = {edition_id: price.amount for edition_id, price in prices.items() if price is not None}
    if len(known) == len(copies) and sum(known[each.id] * number for each, number in copies) == books:
        return known
    if len(copies) == 1:
        edition, number = copies[0]
        if books > 0 and books % number == 0:
            return {edition.id: books // number}
    raise NotRebuildable(Obstacle.SUMS)
