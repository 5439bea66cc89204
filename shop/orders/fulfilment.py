"""Posting an order's own parcels, whole or in parts, and calling off what is not to be posted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from shop import stock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders import timeline
from shop.orders.lifecycle import Step, after_step
from shop.orders.models import Order, ParcelKind, Shipment, ShipmentLine
from shop.orders.placing import locked
from shop.orders.snapshot import order_facts
from shop.orders.timeline import Actor

AT_ONCE = timedelta(0)


def post(
    session: Session,
    order_id: int,
    carrier: str,
    tracking: str,
    actor: Actor,
    now: datetime,
    *,
    copies: Mapping[int, int] | None = None,
    grace: timedelta = AT_ONCE,
) -> Shipment:
    """Record that a parcel of an order was posted: copies leave stock, the buyer is owed a letter.

    ``copies`` (line position → number) are those in the parcel; all that remain if it is left out. The letter waits
    for ``grace``, in which the posting can be taken back. Raises ``WrongState`` when the order was posted already or
    may not be posted, or has not so many copies.
    """
    order = locked(session, order_id)
    if not order.may_be_posted:
        raise WrongState(f"{order.number} may not be posted")
    left = {line.position: line.to_post for line in order.lines if line.to_post}
    packed = {position: number for position, number in (left if copies is None else copies).items() if number}
    if not packed or any(not 0 < number <= left.get(position, 0) for position, number in packed.items()):
        raise WrongState(f"{order.number}: {left} can be posted, not {packed}")
    shipment = Shipment(
        order_id=order.id,
        kind=ParcelKind.ORDER,
        carrier=carrier,
        tracking=tracking,
        posted_by=actor.name,
        posted_at=now,
        lines=[ShipmentLine(position=position, quantity=number) for position, number in sorted(packed.items())],
    )
    session.add(shipment)
    for line in order.lines:
        line.posted += packed.get(line.position, 0)
    if packed == left:
        order.fulfilment_state = after_step(order.fulfilment_state, Step.POST)
        order.allocated = False
    session.flush()
    stock.ship(session, by_edition(order, packed), order.id, str(actor), now)
    rest = sum(left.values()) - sum(packed.values())
    details = {"rest": rest} if rest else {}
    timeline.note(
        session, order, "posted", actor, now, personal={"tracking": tracking}, carrier=carrier, **details
    )
    write(session, order, shipment, now, grace)
    return shipment


def by_edition(order: Order, copies: Mapping[int, int]) -> dict[int, int]:
    """Copies by edition instead of by line."""
    editions = {line.position: line.edition_id for line in order.lines}
    return {editions[position]: number for position, number in copies.items()}


def write(session: Session, order: Order, shipment: Shipment, now: datetime, grace: timedelta) -> None:
    """Owe the buyer the letter about a parcel that was just posted, after ``grace``."""
    shipment.undo_until = now + grace if grace else None
    if not order.buyer.email:
        return
    context = order_facts(session, order) | {
        "carrier": shipment.carrier,
        "tracking": shipment.tracking,
        "posted_at": now.isoformat(),
        "parcel": shipment.kind.value,
    }
    facts = {line.position: each for line, each in zip(order.lines, context["lines"], strict=True)}
    context["packed"] = [facts[line.position] | {"quantity": line.quantity} for line in shipment.lines]
    context["rest"] = [
        facts[line.position] | {"quantity": line.to_post}
        for line in order.lines
        if line.to_post and order.is_partly_posted
    ]
    outbox.owe(
        session,
        Kind.POSTED,
        cause(shipment),
        order.buyer.email,
        order.market.locale,
        context,
        now,
        order_id=order.id,
        due_at=now + grace,
    )


def cause(shipment: Shipment) -> str:
    """What its letter follows from."""
    return f"shipment:{shipment.id}"


def call_off(session: Session, order: Order, actor: Actor, now: datetime) -> None:
    """Cancel what was paid but not posted; its copies go back to sale. The order must be locked.

    An order of which some copies have left the house counts as posted afterwards.
    """
    step = Step.POST if any(line.posted for line in order.lines) else Step.CANCEL
    order.fulfilment_state = after_step(order.fulfilment_state, step)
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
