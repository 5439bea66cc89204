"""A refund that was decided at the desk can be taken back until the provider is told of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.orders import placing, timeline
from shop.orders.timeline import Actor
from shop.payments import copies, refunds
from shop.payments.models import Payment, PaymentRole, Refund, RefundState


def is_possible(refund: Refund, now: datetime) -> bool:
    """Whether a refund can still be taken back: nobody has told the provider, and its time has not run out."""
    return (
        refund.state is RefundState.OWED
        and refund.tries == 0
        and refund.undo_until is not None
        and refund.undo_until > now
    )


def take_back(session: Session, refund_id: int, actor: Actor, now: datetime) -> Refund:
    """Call a refund off, as if it had not been decided: its money, its copies and the order stand as before.

    Raises ``WrongState`` when the provider has been or is being told, ``OutOfStock`` when copies that were put on the
    shelf with it are promised to others by now.
    """
    found = session.get_one(Refund, refund_id)
    payment = found.payment
    order = placing.locked(session, payment.order_id) if payment.order_id else None
    lock(session, Payment, payment.id)
    refund = lock(session, Refund, refund_id)
    if refund is None or not is_possible(refund, now):
        raise WrongState(f"refund {refund_id} cannot be taken back any more")
    refund.state, refund.finished_at, refund.undo_until = RefundState.CANCELLED, now, None
    session.flush()
    if order is None:
        return refund
    if payment.role is PaymentRole.ORDER:
        copies.were_not_back(session, order, refund, actor, now)
        if refund.repeats_id is not None:
            failed = session.get_one(Refund, refund.repeats_id)
            copies.hand_over(session, order, refund, failed)
            refund.repeats_id = None
            session.flush()
        refunds.mark_refunding(session, order, payment)
    currency = payment.currency.value
    timeline.note(
        session, order, "refund_undone", actor, now, refund=refund.id, amount=refund.amount, currency=currency
    )
    return refund
