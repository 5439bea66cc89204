"""What happens to a parcel beside being posted: its posting is taken back, it comes back, another goes in its place.

A free parcel is decided first, which puts its copies aside, and posted later, like an order's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import stock
from shop.errors import WrongState
from shop.letters.models import Kind, Letter, LetterState
from shop.orders import timeline
from shop.orders.fulfilment import AT_ONCE, by_edition, cause, write
from shop.orders.lifecycle import FulfilmentState, PaymentState, Step, after_step
from shop.orders.models import Order, ParcelKind, ReturnEnd, Shipment, ShipmentLine
from shop.orders.placing import locked
from shop.orders.timeline import Actor

REASONS = ("lost", "damaged", "wrong")
PAID = (PaymentState.PAID, PaymentState.PART_REFUNDED)


def entitled(order: Order) -> bool:
    """Whether the buyer may be sent something free: he has paid, and nobody asks for the money back."""
    return (
        order.payment_state in PAID
        and not order.disputed
        and not order.refunding
        and order.buyer.erased_at is None
    )


def may_be_posted(shipment: Shipment) -> bool:
    """Whether a free parcel that was decided may leave the house."""
    return shipment.is_waiting and entitled(shipment.order) and not shipment.order.needs_attention


def replaceable(shipment: Shipment) -> dict[int, int]:
    """Copies of a parcel that were not replaced yet: line position → number above zero."""
    if not shipment.has_left or not entitled(shipment.order):
        return {}
    replaced: Counter[int] = Counter()
    for other in shipment.order.parcels:
        if other.of_id == shipment.id and other.undone_at is None:
            replaced.update({line.position: line.quantity for line in other.lines})
    left = {line.position: line.quantity - replaced[line.position] for line in shipment.lines}
    return {position: number for position, number in left.items() if number > 0}


def replace(
    session: Session, shipment_id: int, copies: Mapping[int, int], reason: str, actor: Actor, now: datetime
) -> Shipment:
    """Decide a free parcel in place of copies that were lost, damaged or wrong; its copies are put aside.

    Raises ``WrongState`` for more copies than the parcel held and nobody replaced, ``OutOfStock`` when there are none.
    """
    shipment = _locked(session, shipment_id)
    wanted = {position: number for position, number in copies.items() if number}
    left = replaceable(shipment)
    if reason not in REASONS or shipment.returned_at is not None:
        raise WrongState(f"parcel {shipment_id} is not to be replaced")
    if not wanted or any(not 0 < number <= left.get(position, 0) for position, number in wanted.items()):
        raise WrongState(f"parcel {shipment_id}: {left} can be replaced, not {wanted}")
    return _decide(session, shipment, ParcelKind.REPLACEMENT, reason, wanted, actor, now)


def resend(session: Session, shipment_id: int, actor: Actor, now: datetime) -> Shipment:
    """Decide to post again what came back; the copies are taken from the shelf.

    Raises ``WrongState`` unless it came back and nothing was decided, ``OutOfStock`` when there are no copies.
    """
    shipment = _locked(session, shipment_id)
    wanted = replaceable(shipment)
    if not shipment.awaits_decision or not wanted:
        raise WrongState(f"parcel {shipment_id} is not to be posted again")
    _settle(shipment, ReturnEnd.RESENT, now)
    return _decide(session, shipment, ParcelKind.RESENT, "came_back", wanted, actor, now)


def _decide(
    session: Session,
    of: Shipment,
    kind: ParcelKind,
    reason: str,
    copies: Mapping[int, int],
    actor: Actor,
    now: datetime,
) -> Shipment:
    order = of.order
    of.undo_until = None
    made = Shipment(
        kind=kind,
        reason=reason,
        of_id=of.id,
        asked_by=actor.name,
        asked_at=now,
        lines=[ShipmentLine(position=position, quantity=number) for position, number in sorted(copies.items())],
    )
    order.parcels.append(made)
    session.flush()
    stock.put_aside(session, by_edition(order, copies), order.id, cause(made), str(actor), now)
    timeline.note(
        session,
        order,
        "parcel_decided",
        actor,
        now,
        parcel=made.id,
        free=kind.value,
        why=reason,
        copies=sum(copies.values()),
    )
    return made


def post(
    session: Session,
    shipment_id: int,
    carrier: str,
    tracking: str,
    actor: Actor,
    now: datetime,
    *,
    grace: timedelta = AT_ONCE,
) -> Shipment:
    """Record that a free parcel was posted; raises ``WrongState`` when it may not be, or was already."""
    shipment = _locked(session, shipment_id)
    order = shipment.order
    if not may_be_posted(shipment):
        raise WrongState(f"parcel {shipment_id} may not be posted")
    shipment.carrier, shipment.tracking = carrier, tracking
    shipment.posted_by, shipment.posted_at = actor.name, now
    session.flush()
    stock.ship(session, _copies(shipment), order.id, str(actor), now)
    timeline.note(
        session,
        order,
        "posted",
        actor,
        now,
        personal={"tracking": tracking},
        carrier=carrier,
        free=shipment.kind.value,
    )
    write(session, order, shipment, now, grace)
    return shipment


def drop(session: Session, shipment_id: int, actor: Actor, now: datetime) -> None:
    """Call off a free parcel that was not posted; its copies go back to sale."""
    shipment = _locked(session, shipment_id)
    if not shipment.is_waiting:
        raise WrongState(f"parcel {shipment_id} is not waiting")
    shipment.undone_at, shipment.undone_by = now, actor.name
    session.flush()
    stock.free(session, _copies(shipment), shipment.order_id, str(actor), now)
    if shipment.kind is ParcelKind.RESENT and shipment.of_id is not None:
        came_back = session.get_one(Shipment, shipment.of_id)
        came_back.settled_at = came_back.settled_as = None  # what is to follow is open again
    timeline.note(session, shipment.order, "parcel_dropped", actor, now, parcel=shipment.id)


def undo(session: Session, shipment_id: int, actor: Actor, now: datetime) -> None:
    """Take a posting back while its letter has not left: the copies are here again, and the letter is not owed.

    Raises ``WrongState`` afterwards, and when something has followed from the posting.
    """
    shipment = _locked(session, shipment_id)
    order = shipment.order
    if not can_be_undone(shipment, now) or not _unsent(session, shipment, now):
        raise WrongState(f"the posting of parcel {shipment_id} cannot be taken back any more")
    shipment.undone_at, shipment.undone_by, shipment.undo_until = now, actor.name, None
    copies = {line.position: line.quantity for line in shipment.lines}
    if shipment.is_free:
        again = Shipment(
            kind=shipment.kind,
            reason=shipment.reason,
            of_id=shipment.of_id,
            asked_by=shipment.asked_by,
            asked_at=shipment.asked_at,
            lines=[ShipmentLine(position=position, quantity=number) for position, number in copies.items()],
        )
        order.parcels.append(again)
    else:
        for line in order.lines:
            line.posted -= copies.get(line.position, 0)
        if order.fulfilment_state is FulfilmentState.POSTED:
            order.fulfilment_state = after_step(order.fulfilment_state, Step.UNPOST)
        order.allocated = True
    session.flush()
    stock.unpost(session, by_edition(order, copies), order.id, cause(shipment), str(actor), now)
    timeline.note(session, order, "posting_undone", actor, now, parcel=shipment.id)


def can_be_undone(shipment: Shipment, now: datetime) -> bool:
    """Whether the way back is open; whether the letter has left is looked up when it is taken."""
    order = shipment.order
    if not shipment.has_left or shipment.returned_at is not None:
        return False
    if shipment.undo_until is None or shipment.undo_until <= now:
        return False
    if order.payment_state not in PAID or order.refunding:
        return False
    # What was called off with a whole refund is nobody's any more: it could not be told from what comes back.
    over = order.fulfilment_state is FulfilmentState.POSTED and bool(order.copies)
    return shipment.is_free or not over


def _unsent(session: Session, shipment: Shipment, now: datetime) -> bool:
    """Take back the letter about a parcel; false when it has left, or somebody has it in hand."""
    wanted = select(Letter).where(Letter.kind == Kind.POSTED, Letter.cause == cause(shipment))
    found = list(session.scalars(wanted.with_for_update().execution_options(populate_existing=True)))
    for letter in found:
        if (
            letter.state is not LetterState.OWED
            or letter.message_id
            or letter.claimed_until
            or letter.due_at <= now
        ):
            return False
    for letter in found:
        session.delete(letter)
    return True


def close_ways_back(order: Order) -> None:
    """Something follows from an order's parcels having left: their posting cannot be taken back any more."""
    for shipment in order.parcels:
        shipment.undo_until = None


def come_back(session: Session, shipment_id: int, restock: bool, actor: Actor, now: datetime) -> None:
    """A parcel came back undelivered; with ``restock`` its copies stand on the shelf again.

    Raises ``WrongState`` when it came back before, or when its copies stand on the shelf already.
    """
    shipment = _locked(session, shipment_id)
    order = shipment.order
    if not shipment.has_left or shipment.returned_at is not None:
        raise WrongState(f"parcel {shipment_id} has not left, or came back already")
    copies = _copies(shipment)
    if restock:
        away = stock.away(session, order.id)
        if any(number > away.get(edition_id, 0) for edition_id, number in copies.items()):
            raise WrongState(f"the copies of parcel {shipment_id} are back already")
        stock.take_back(session, copies, order.id, cause(shipment), str(actor), now)
    shipment.returned_at, shipment.returned_by, shipment.restocked = now, actor.name, restock
    shipment.undo_until = None
    timeline.note(session, order, "parcel_back", actor, now, parcel=shipment.id, restocked=restock)


def settle(session: Session, shipment_id: int, end: ReturnEnd, actor: Actor, now: datetime) -> None:
    """Note what follows from a parcel's coming back; raises ``WrongState`` when that was decided before."""
    shipment = _locked(session, shipment_id)
    if not shipment.awaits_decision:
        raise WrongState(f"nothing is to be decided about parcel {shipment_id}")
    _settle(shipment, end, now)
    timeline.note(session, shipment.order, "return_settled", actor, now, parcel=shipment.id, end=end.value)


def _settle(shipment: Shipment, end: ReturnEnd, now: datetime) -> None:
    shipment.settled_at, shipment.settled_as = now, end


def track(session: Session, shipment_id: int, carrier: str, tracking: str, actor: Actor, now: datetime) -> None:
    """Note the carrier's number of a parcel that was posted without one; raises ``WrongState`` if it has one."""
    shipment = _locked(session, shipment_id)
    if not shipment.has_left or shipment.tracking or not tracking:
        raise WrongState(f"parcel {shipment_id} has a tracking number, or has not left")
    shipment.carrier, shipment.tracking = shipment.carrier or carrier, tracking
    timeline.note(
        session,
        shipment.order,
        "tracked",
        actor,
        now,
        personal={"tracking": tracking},
        carrier=shipment.carrier,
    )


def _locked(session: Session, shipment_id: int) -> Shipment:
    """A parcel afresh, its order locked; raises ``LookupError`` for none."""
    order_id = session.scalar(select(Shipment.order_id).where(Shipment.id == shipment_id))
    if order_id is None:
        raise LookupError(f"no parcel {shipment_id}")
    order = locked(session, order_id)
    session.refresh(order, ["parcels"])
    return session.scalars(
        select(Shipment).where(Shipment.id == shipment_id).execution_options(populate_existing=True)
    ).one()


def _copies(shipment: Shipment) -> dict[int, int]:
    return by_edition(shipment.order, {line.position: line.quantity for line in shipment.lines})


WAITING = Shipment.posted_at.is_(None) & Shipment.undone_at.is_(None)
"""Free parcels that are still to be posted."""
CAME_BACK = Shipment.returned_at.is_not(None) & Shipment.settled_at.is_(None)
"""Parcels that came back and about which nothing was decided."""
