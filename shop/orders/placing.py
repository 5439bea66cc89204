"""Placing an order: rows and held copies, before any money is asked for."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, contains_eager

from shop import stock
from shop.catalogue.offers import Offer
from shop.database import add_once, mark_locked
from shop.markets import Market
from shop.orders import terms, timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Buyer, Order, OrderLine, Worry
from shop.orders.numbers import new_number, read_number

OVER = (PaymentState.EXPIRED, PaymentState.CANCELLED, PaymentState.FAILED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a buyer asks for on the order form. ``attempt`` is the form's random mark."""

    quantities: dict[str, int] = field(default_factory=dict)
    country: str = ""
    purchase_order: str = ""
    note: str = ""
    attempt: str = ""


def place(session: Session, market: Market, wish: Wish, offer: Offer, now: datetime, visitor: str = "") -> Order:
    """Write an order and hold its copies; raises ``OutOfStock`` and then nothing is written.

    The same attempt with the same content is the same order, however many times and however fast it is asked
    for; once that order is over (expired, cancelled, failed), the next one is a new order. ``visitor`` stands for
    the address that ordered (see ``caps``).
    """
    attempt, content, known = _look(session, market, wish)
    if known is not None:
        return known
    values: dict[str, Any] = {
        "attempt": attempt,
        "content": content,
        "market": market.slug,
        "country": offer.country,
        "currency": offer.books.currency,
        "books_amount": offer.books.amount,
        "postage_amount": offer.postage.amount,
        "min_days": offer.zone.min_days,
        "max_days": offer.zone.max_days,
        "placed_at": now,
        "visitor": visitor,
    }
    number = new_number()
    # The row comes before the copies: a rival with the same attempt waits here and then finds this order,
    # instead of being told that the last copy has just gone, to himself.
    while not add_once(session, Order, number=number, token=secrets.token_urlsafe(32), **values):
        _, values["content"], known = _look(session, market, wish)
        if known is not None:
            return known
        number = new_number()
    order = session.scalars(select(Order).where(Order.number == number)).one()
    mark_locked(session, order)  # nobody else sees a row that is not committed
    terms.keep_number(session, order)
    order.buyer = Buyer(purchase_order=wish.purchase_order, note=wish.note)
    for position, line in enumerate(offer.lines, start=1):
        text = line.edition.text_in(market.language)
        order.lines.append(
            OrderLine(
                position=position,
                edition_id=line.edition.id,
                slug=line.edition.slug,
                title=line.edition.heading,
                name=text.name if text else "",
                isbn=line.edition.isbn,
                language=line.edition.language,
                quantity=line.quantity,
                unit_amount=line.unit.amount,
                grams=line.edition.mailing_grams or 0,
            )
        )
    session.flush()
    stock.hold(session, order.copies, order.id, str(timeline.BUYER), now)
    order.holding = True
    timeline.note(session, order, "placed", timeline.BUYER, now, total=order.total.amount, country=order.country)
    return order


def find(session: Session, market: Market, wish: Wish) -> Order | None:
    """The order that this attempt with this content has already led to, unless it is over."""
    return _look(session, market, wish)[2]


def superseded(session: Session, market: Market, wish: Wish) -> list[Order]:
    """Unpaid orders of the same form with other content: the buyer came back and changed his mind.

    One question, since a twin of this very request may place its order between two of them.
    """
    if not wish.attempt:
        return []
    orders = session.scalars(select(Order).where(Order.attempt == _digest(wish.attempt))).all()
    wished = {_content(market, wish, turn) for turn in range(len(orders))}
    return [
        order for order in orders if order.payment_state is PaymentState.AWAITING and order.content not in wished
    ]


def _look(session: Session, market: Market, wish: Wish) -> tuple[str, str, Order | None]:
    """Digests for an order that can be written, and the order that stands in its place, if any."""
    attempt = _digest(wish.attempt or secrets.token_urlsafe(16))
    turn = 0
    while True:
        content = _content(market, wish, turn)
        order = session.scalar(select(Order).where(Order.attempt == attempt, Order.content == content))
        if order is None or order.payment_state not in OVER:
            return attempt, content, order
        turn += 1


def _content(market: Market, wish: Wish, turn: int) -> str:
    """What is asked for, as a digest; ``turn`` counts the orders with this content that are over."""
    copies = sorted((slug, number) for slug, number in wish.quantities.items() if number)
    body = [market.slug, copies, wish.country, wish.purchase_order, wish.note]
    return _digest(json.dumps([body, turn], ensure_ascii=False))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def expire(session: Session, order: Order, now: datetime) -> None:
    """Let go of an unpaid order whose page can no longer be paid."""
    let_go(session, order, now)
    timeline.note(session, order, "expired", timeline.SYSTEM, now)


def let_go(session: Session, order: Order, now: datetime) -> None:
    """Give an order's held copies back; those that it lacked are promised to nobody any more."""
    if order.holding:
        stock.release(session, order.copies, order.id, str(timeline.SYSTEM), now)
        order.holding, order.visitor = False, ""
    if order.needs_attention:
        for concern in order.concerns:
            if concern.worry is Worry.COPIES_MISSING:
                timeline.settle_worry(session, order, concern, timeline.SYSTEM, now)


def by_token(session: Session, token: str) -> Order | None:
    return session.scalar(select(Order).where(Order.token == token))


def by_number(session: Session, typed: str) -> Order | None:
    """Find an order by its number, however it was typed."""
    number = read_number(typed)
    return session.scalar(select(Order).where(Order.number == number)) if number else None


def locked(session: Session, order_id: int) -> Order:
    """Read an order afresh, its buyer and its lines too, and keep it from changing until the transaction ends."""
    found = session.scalars(LOCKED, {"order_id": order_id}, execution_options={"populate_existing": True})
    order = found.unique().one_or_none()
    if order is None:
        raise LookupError(f"no order {order_id}")
    mark_locked(session, order)
    return order


# All rows are locked, so that all are as they are now, however long another transaction was waited for.
LOCKED = (
    select(Order)
    .join(Order.buyer)
    .join(Order.lines)
    .options(contains_eager(Order.buyer), contains_eager(Order.lines))
    .where(Order.id == bindparam("order_id"))
    .order_by(OrderLine.position)
    .with_for_update(of=(Order, Buyer, OrderLine))
)
