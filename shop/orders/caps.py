"""Caps on unpaid holds, so that nobody can lock the stock by opening pages and leaving.

A cap refuses new pages only. It never closes one: a page is the buyer's until Stripe says that it is dead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.catalogue.offers import Offer
from shop.errors import TooMany
from shop.orders.models import Order, OrderLine
from shop.stock import Stock

PAGE = timedelta(minutes=45)
VISITOR_SHARE = Fraction(1, 2)
"""So much of an edition's copies one visitor may keep waiting: half, for a reading room has one address …"""
TOGETHER_SHARE = Fraction(3, 4)
"""… and so much all visitors together; but always as many as one order may hold."""


def check(session: Session, offer: Offer, visitor: str, now: datetime) -> None:
    """Raise ``TooMany`` when an address, or everybody, already keeps too many copies waiting unpaid."""
    for line in offer.lines:
        on_hand = session.scalar(select(Stock.on_hand).where(Stock.edition_id == line.edition.id)) or 0
        for share, who in ((VISITOR_SHARE, visitor), (TOGETHER_SHARE, None)):
            cap = max(line.edition.order_limit, int(on_hand * share))
            _refuse(session, line.edition.id, line.quantity, cap, who, now)


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
