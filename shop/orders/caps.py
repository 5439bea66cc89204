"""Caps on unpaid holds, so that nobody can lock the stock by opening pages and leaving.

A cap refuses new pages only. It never closes one: a page is the buyer's until Stripe says that it is dead.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.catalogue.offers import Offer
from shop.errors import TooMany
from shop.orders.models import Order, OrderLine
from shop.stock import Stock

PAGE = timedelta(minutes=45)
VISITOR_SHARE = 4
"""One visitor may keep a quarter of an edition's copies waiting …"""
VISITOR_ORDERS = 2
"""… or this many orders at the edition's limit, whichever is more: a reading room has one address."""
TOGETHER_SHARE = 2
"""All visitors together may keep half of the copies waiting …"""
TOGETHER_ORDERS = 4


def check(session: Session, offer: Offer, visitor: str, now: datetime) -> None:
    """Raise ``TooMany`` when an address, or everybody, already keeps too many copies waiting unpaid."""
    for line in offer.lines:
        on_hand = session.scalar(select(Stock.on_hand).where(Stock.edition_id == line.edition.id)) or 0
        limit = line.edition.order_limit
        _refuse(
            session,
            line.edition.id,
            line.quantity,
            max(limit * VISITOR_ORDERS, on_hand // VISITOR_SHARE),
            visitor,
            now,
        )
        _refuse(
            session,
            line.edition.id,
            line.quantity,
            max(limit * TOGETHER_ORDERS, on_hand // TOGETHER_SHARE),
            None,
            now,
        )


def _refuse(
    session: Session, edition_id: int, quantity: int, cap: int, visitor: str | None, now: datetime
) -> None:
    waiting = (
        select(func.coalesce(func.sum(OrderLine.quantity), 0), func.min(Order.placed_at))
        .join(Order)
        .where(Order.holding, OrderLine.edition_id == edition_id)
    )
    if visitor is not None:
        waiting = waiting.where(Order.visitor == visitor)
    held, oldest = session.execute(waiting).one()
    if held + quantity > cap:
        ends = (oldest or now) + PAGE
        raise TooMany(max(60, int((ends - now).total_seconds())))
