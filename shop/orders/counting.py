"""Counting the shelf, and what follows when fewer copies lie there than were promised."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import stock
from shop.orders import timeline
from shop.orders.models import Concern, Order, OrderLine, Worry
from shop.orders.placing import locked
from shop.orders.timeline import Actor
from shop.stock import Movement, StockMovement

COUNTED = "count:"
"""What the cause of a worry that a count has raised begins with; behind it is the movement's id."""


def count(
    session: Session, edition_id: int, counted: int, reason: str, actor: Actor, now: datetime
) -> list[Order]:
    """Record a count; answers the orders that its copies do not suffice for.

    Orders without their copies are put under attention, the newest first, until the rest can be kept: sold ones
    before those that are only held for. Each count is a cause of its own.
    """
    missing = stock.count(session, edition_id, counted, reason, str(actor), now)
    if not missing:
        return []
    session.flush()
    movement = session.scalars(
        select(StockMovement)
        .where(StockMovement.edition_id == edition_id, StockMovement.kind == Movement.COUNT)
        .order_by(StockMovement.id.desc())
        .limit(1)
    ).one()
    short = []
    for order_id in _promised(session, edition_id):
        if missing <= 0:
            break
        order = locked(session, order_id)
        wanted = order.copies.get(edition_id, 0)
        if not (order.allocated or order.holding) or not wanted:
            continue  # changed since it was listed
        missing -= wanted
        short.append(order)
        if not _is_known(order):
            timeline.worry(session, order, Worry.COPIES_MISSING, now, cause=f"{COUNTED}{movement.id}")
    return short


def lift(session: Session, edition_id: int, actor: Actor, now: datetime) -> list[Order]:
    """After a count that finds enough: settle what earlier counts had raised about orders of an edition.

    An order whose other edition is still short stays under attention. Answers the orders that nothing is missing for.
    """
    raised = (
        select(Concern.order_id)
        .join(OrderLine, OrderLine.order_id == Concern.order_id)
        .where(
            OrderLine.edition_id == edition_id,
            Concern.worry == Worry.COPIES_MISSING,
            Concern.settled_at.is_(None),
            Concern.cause.startswith(COUNTED),
        )
        .order_by(Concern.order_id)
        .distinct()
    )
    lifted = []
    for order_id in list(session.scalars(raised)):
        order = locked(session, order_id)
        if any(stock.available(session, each) < 0 for each in {line.edition_id for line in order.lines}):
            continue
        for concern in order.concerns:
            if _is_open(concern) and concern.cause.startswith(COUNTED):
                timeline.settle_worry(session, order, concern, actor, now)
        lifted.append(order)
    return lifted


def _promised(session: Session, edition_id: int) -> list[int]:
    """Unposted orders that have copies of an edition: paid ones first, each kind newest first."""
    wanted = (
        select(Order.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(OrderLine.edition_id == edition_id, Order.allocated | Order.holding)
        .order_by(Order.allocated.desc(), Order.id.desc())
    )
    return list(session.scalars(wanted))


def _is_known(order: Order) -> bool:
    return any(_is_open(each) for each in order.concerns)


def _is_open(concern: Concern) -> bool:
    return concern.worry is Worry.COPIES_MISSING and concern.settled_at is None
