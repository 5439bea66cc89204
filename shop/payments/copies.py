"""Copies that refunds are about: how many can still be refunded, and how they come back to the shelf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop import stock
from shop.errors import WrongState
from shop.orders import fulfilment, parcels, placing, timeline
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Order
from shop.orders.timeline import Actor
from shop.payments.models import Payment, PaymentRole, Refund, RefundLine, RefundState

DEAD = (RefundState.FAILED, RefundState.CANCELLED)

Copies = Mapping[int, int]
"""Position of an order's line → number of copies."""


def refundable(session: Session, order: Order) -> dict[int, int]:
    """Copies of each line that no refund has taken.

    A refund that did not come about takes none, unless its copies are back on the shelf.
    """
    taken: Counter[int] = Counter()
    rows = session.execute(
        select(RefundLine, Refund.state)
        .join(Refund, Refund.id == RefundLine.refund_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.order_id == order.id)
    )
    for line, state in rows:
        if state not in DEAD or line.returned_at is not None:
            taken[line.position] += line.quantity
    return {line.position: line.quantity - taken[line.position] for line in order.lines}


def price(session: Session, order: Order, copies: Copies) -> int:
    """What copies cost the buyer, in minor units: as on the order; postage with the last of them only.

    Raises ``WrongState`` for copies that cannot be refunded, or for none.
    """
    left = refundable(session, order)
    wanted = {position: number for position, number in copies.items() if number}
    if not wanted or order.fulfilment_state not in (FulfilmentState.TO_POST, FulfilmentState.POSTED):
        raise WrongState(f"{order.number}: no copies")
    if any(not 0 < number <= left.get(position, 0) for position, number in wanted.items()):
        raise WrongState(f"{order.number}: {left} can be refunded, not {wanted}")
    units = {line.position: line.unit_amount for line in order.lines}
    amount = sum(units[position] * number for position, number in wanted.items())
    return amount + (order.postage_amount if is_rest(left, wanted) else 0)


def is_rest(left: Copies, wanted: Copies) -> bool:
    """Whether nothing is left beside what is wanted."""
    return all(wanted.get(position, 0) == number for position, number in left.items())


def attach(session: Session, order: Order, refund: Refund, copies: Copies) -> None:
    """Write down which copies a refund is about: those that are still in the house first. The order must be locked."""
    here = _unposted(session, order)
    for position, number in sorted(copies.items()):
        first = min(number, here.get(position, 0))
        for quantity, posted in ((first, False), (number - first, True)):
            if quantity:
                session.add(RefundLine(refund_id=refund.id, position=position, quantity=quantity, posted=posted))
                if posted:
                    parcels.close_ways_back(order)
    session.flush()
    session.refresh(refund, ["lines"])


def _unposted(session: Session, order: Order) -> dict[int, int]:
    """Copies of each line that are still to be posted and that no refund has taken."""
    if order.fulfilment_state is FulfilmentState.POSTED:
        return {}
    taken: Counter[int] = Counter()
    rows = (
        select(RefundLine.position, RefundLine.quantity)
        .join(Refund, Refund.id == RefundLine.refund_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Payment.order_id == order.id,
            Refund.state.not_in(DEAD),
            ~RefundLine.posted,
            RefundLine.returned_at.is_(None),
        )
    )
    for position, quantity in session.execute(rows):
        taken[position] += quantity
    return {line.position: max(0, line.to_post - taken[line.position]) for line in order.lines}


def gone(session: Session, order: Order, about: Copies) -> dict[int, int]:
    """Which of the copies that a refund would be about have left the house: line position → number above zero."""
    here = _unposted(session, order)
    left = {position: number - min(number, here.get(position, 0)) for position, number in about.items()}
    return {position: number for position, number in left.items() if number > 0}


def are_away(session: Session, order: Order, posted: Copies) -> bool:
    """Whether so many posted copies may still come back: none of them stands on the shelf already."""
    away = stock.away(session, order.id)
    editions = {line.position: line.edition_id for line in order.lines}
    return all(number <= away.get(editions[position], 0) for position, number in posted.items())


def attach_rest(session: Session, order: Order, refund: Refund) -> None:
    """A refund of all that is left of an order that was posted, or in part, is about every copy not refunded."""
    posted = order.fulfilment_state is FulfilmentState.POSTED or order.is_partly_posted
    if not posted or refund.lines:
        return
    attach(session, order, refund, refundable(session, order))


def hand_over(session: Session, order: Order, failed: Refund, refund: Refund) -> None:
    """Let a refund be about the copies of the failed one that it repeats; what is back on the shelf stays there.

    Raises ``WrongState`` when another refund has taken them meanwhile. The order must be locked.
    """
    left = refundable(session, order)
    if any(line.returned_at is None and line.quantity > left.get(line.position, 0) for line in failed.lines):
        raise WrongState(f"the copies of refund {failed.id} were taken by another")
    left_since = order.fulfilment_state is FulfilmentState.POSTED
    moved: dict[tuple[int, bool], tuple[int, datetime | None]] = {}
    for line in list(failed.lines):
        posted = line.posted or (left_since and line.returned_at is None)
        number, returned_at = moved.get((line.position, posted), (0, line.returned_at))
        if returned_at != line.returned_at:
            raise WrongState(f"some copies of refund {failed.id} are back and others have left since")
        moved[line.position, posted] = number + line.quantity, returned_at
        session.delete(line)
    session.flush()
    for (position, posted), (number, returned_at) in moved.items():
        session.add(
            RefundLine(
                refund_id=refund.id,
                position=position,
                quantity=number,
                posted=posted,
                returned_at=returned_at,
            )
        )
        if posted:
            parcels.close_ways_back(order)
    session.flush()
    session.refresh(failed, ["lines"])
    session.refresh(refund, ["lines"])


def call_off(session: Session, order: Order, refund: Refund, now: datetime) -> bool:
    """Give the unposted copies of a refund back to sale, now that the provider has confirmed it; once."""
    lines = [line for line in refund.lines if line.to_call_off]
    if not lines or order.fulfilment_state is not FulfilmentState.TO_POST:
        return False
    for line in lines:
        line.returned_at = now
    copies = {line.position: line.quantity for line in lines}
    fulfilment.call_off_copies(session, order, copies, timeline.SYSTEM, now)
    return True


def call_off_unseen(session: Session, order: Order, refund: Refund, now: datetime, *, whole: bool) -> None:
    """A refund that had failed before anybody heard of it ends as one that was seen under way: nothing is posted.

    ``whole``: it was of all that was left.
    """
    call_off(session, order, refund, now)
    if whole and order.fulfilment_state is FulfilmentState.TO_POST:
        fulfilment.call_off(session, order, timeline.SYSTEM, now)


def put_back(session: Session, refund_id: int, actor: Actor, now: datetime) -> int:
    """The posted copies of a refund have come back and stand on the shelf; answers how many.

    Raises ``WrongState`` when they stand there already, or when other refunds have taken them meanwhile.
    """
    refund = session.get_one(Refund, refund_id)
    if refund.payment.order_id is None or refund.payment.role is not PaymentRole.ORDER:
        raise WrongState(f"refund {refund_id} is about no copies")
    order = placing.locked(session, refund.payment.order_id)
    session.refresh(refund)
    left = refundable(session, order)
    came = dict(
        iter(
            session.execute(
                update(RefundLine)
                .where(RefundLine.refund_id == refund_id, RefundLine.posted, RefundLine.returned_at.is_(None))
                .values(returned_at=now)
                .returning(RefundLine.position, RefundLine.quantity)
            )
        )
    )
    if not came:
        raise WrongState(f"the copies of refund {refund_id} are back already")
    if refund.state in DEAD and any(number > left.get(position, 0) for position, number in came.items()):
        raise WrongState(f"the copies of refund {refund_id} were taken by another")
    editions = {line.position: line.edition_id for line in order.lines}
    copies = {editions[position]: number for position, number in came.items()}
    away = stock.away(session, order.id)
    if any(number > away.get(edition_id, 0) for edition_id, number in copies.items()):
        raise WrongState(f"the copies of refund {refund_id} came back with their parcel")
    stock.take_back(session, copies, order.id, f"refund:{refund_id}", str(actor), now)
    number = sum(came.values())
    timeline.note(session, order, "copies_back", actor, now, refund=refund_id, copies=number)
    return number


def can_come_back(session: Session, order: Order, refund: Refund) -> int:
    """Copies of a refund that somebody may put back on the shelf; 0 when they came back with their parcel.

    A refund that was taken back before the provider heard of it is about no copies any more.
    """
    if not refund.awaited or (refund.state is RefundState.CANCELLED and refund.provider_id is None):
        return 0
    waiting = {line.position: line.quantity for line in refund.lines if line.posted and line.returned_at is None}
    return refund.awaited if are_away(session, order, waiting) else 0


def were_not_back(session: Session, order: Order, refund: Refund, actor: Actor, now: datetime) -> None:
    """Take copies from the shelf again that were put back since a refund was asked for. The order must be locked.

    Raises ``OutOfStock`` when they have been promised to others meanwhile.
    """
    lines = [
        line
        for line in refund.lines
        if line.posted and line.returned_at is not None and line.returned_at >= refund.asked_at
    ]
    if not lines:
        return
    editions = {line.position: line.edition_id for line in order.lines}
    copies = {editions[line.position]: line.quantity for line in lines}
    for line in lines:
        line.returned_at = None
    session.flush()
    stock.withdraw(session, copies, order.id, f"refund:{refund.id}", str(actor), now)
