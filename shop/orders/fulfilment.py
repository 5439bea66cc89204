"""Posting parcels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from shop import stock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders import timeline
from shop.orders.lifecycle import Step, after_step
from shop.orders.models import Order, Shipment
from shop.orders.placing import locked
from shop.orders.snapshot import order_facts
from shop.orders.timeline import Actor


def post(session: Session, order_id: int, carrier: str, tracking: str, actor: Actor, now: datetime) -> Shipment:
    """Record that an order's parcel was posted: copies leave stock, the buyer is owed a letter.

    Raises ``WrongState`` when it was posted already or may not be posted.
    """
    order = locked(session, order_id)
    if not order.may_be_posted:
        raise WrongState(f"{order.number} may not be posted")
    order.fulfilment_state = after_step(order.fulfilment_state, Step.POST)
    stock.ship(session, order.copies, order.id, str(actor), now)
    order.allocated = False
    shipment = Shipment(order_id=order.id, carrier=carrier, tracking=tracking, posted_by=actor.name, posted_at=now)
    session.add(shipment)
    session.flush()
    timeline.note(session, order, "posted", actor, now, personal={"tracking": tracking}, carrier=carrier)
    context = order_facts(session, order) | {
        "carrier": carrier,
        "tracking": tracking,
        "posted_at": now.isoformat(),
    }
    if order.buyer.email:
        outbox.owe(
            session,
            Kind.POSTED,
            f"shipment:{shipment.id}",
            order.buyer.email,
            order.market.locale,
            context,
            now,
            order_id=order.id,
        )
    return shipment


def call_off(session: Session, order: Order, actor: Actor, now: datetime) -> None:
    """Cancel what was paid but not posted; its copies go back to sale. The order must be locked."""
    order.fulfilment_state = after_step(order.fulfilment_state, Step.CANCEL)
    if order.allocated:
        stock.free(session, order.copies, order.id, str(actor), now)
        order.allocated = False
    timeline.note(session, order, "fulfilment_cancelled", actor, now)


def call_off_copies(
    session: Session, order: Order, copies: Mapping[int, int], actor: Actor, now: datetime
) -> None:
    """Take copies (line position → number) out of a parcel that is still to be posted; they go back to sale.

    The order must be locked. When nothing remains, the parcel is called off.
    """
    freed = {}
    for line in order.lines:
        if number := copies.get(line.position, 0):
            line.called_off += number
            freed[line.edition_id] = number
    session.flush()
    stock.free(session, freed, order.id, str(actor), now)
    timeline.note(session, order, "copies_called_off", actor, now, copies=sum(freed.values()))
    if not order.copies:
        call_off(session, order, actor, now)
