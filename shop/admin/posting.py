"""Posting one parcel from the desk: a key names what is to be posted, a sentence what stands in the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin.desk import locale
from shop.admin.order_words import FULFILMENT, PAYMENT
from shop.database import transact
from shop.errors import OutOfStock, WrongState
from shop.extensions import settings
from shop.markets import write_moment
from shop.orders import fulfilment, numbers, parcels
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Order, Shipment
from shop.orders.timeline import Actor

FREE = re.compile(r"free-([1-9][0-9]{0,8})")
"""The key of a free parcel; that of an order's own is the order's number."""


def key_of(shipment: Shipment) -> str:
    return f"free-{shipment.id}"


def find(session: Session, key: str) -> tuple[Order, Shipment | None] | None:
    """The order, and the free parcel if it is one, that a key names; ``None`` for any other text."""
    if free := FREE.fullmatch(key):
        shipment = session.get(Shipment, int(free[1]))
        return (shipment.order, shipment) if shipment is not None and shipment.is_free else None
    number = numbers.read_number(key)
    order = session.scalar(select(Order).where(Order.number == number)) if number else None
    return (order, None) if order is not None else None


def post(
    session: Session,
    key: str,
    carrier: str,
    tracking: str,
    actor: Actor,
    at: datetime,
    copies: Mapping[int, int] | None = None,
) -> str:
    """Mark one parcel as posted, in a transaction of its own; answers a sentence about what kept it from that."""
    found = find(session, key)
    if found is None:
        return str(_("There is no such order."))
    order_id, shipment_id = found[0].id, found[1].id if found[1] else None
    grace = settings().undo

    def work(s: Session) -> None:
        if shipment_id is None:
            fulfilment.post(s, order_id, carrier, tracking, actor, at, copies=copies, grace=grace)
        else:
            parcels.post(s, shipment_id, carrier, tracking, actor, at, grace=grace)

    try:
        transact(session, work)
    except OutOfStock:
        return str(_("There are fewer copies on the shelf than this order needs. Count the stock first."))
    except WrongState:
        session.expire_all()
        return not_now(
            session.get_one(Order, order_id), session.get(Shipment, shipment_id) if shipment_id else None
        )
    return ""


def not_now(order: Order, shipment: Shipment | None = None) -> str:
    """Why a parcel cannot be posted now; who was quicker is named."""
    last = shipment if shipment is not None else next(reversed(order.shipments), None)
    done = last is not None and last.has_left
    if done and last is not None and (shipment is not None or order.fulfilment_state is FulfilmentState.POSTED):
        assert last.posted_at is not None
        return str(
            _(
                "%(name)s marked it as posted already, on %(moment)s.",
                name=last.posted_by,
                moment=write_moment(last.posted_at, locale()),
            )
        )
    if order.needs_attention or order.disputed:
        return str(_("This order cannot be posted before somebody has looked at it: it needs attention."))
    if order.refunding:
        return str(_("A refund of this order is under way. It cannot be posted before that has come to an end."))
    if shipment is None and order.may_be_posted:
        return str(_("A parcel holds at least one copy, and no more than are left to post. Nothing was changed."))
    return str(
        _(
            "This order cannot be posted now. Its payment: %(payment)s. Its parcel: %(parcel)s.",
            payment=PAYMENT[order.payment_state],
            parcel=FULFILMENT[order.fulfilment_state],
        )
    )
