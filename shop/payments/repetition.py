"""Refunds that failed, asked for once more: the money is still here, and the buyer is owed it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.orders import placing
from shop.orders.timeline import Actor
from shop.payments import refunds
from shop.payments.models import Payment, Refund, RefundState


def again(
    session: Session, refund_id: int, actor: Actor, now: datetime, grace: timedelta = timedelta(0)
) -> Refund:
    """Decide once more a refund that failed, of the same sum and about the same copies; each is repeated once.

    Copies that were called off with the first one stay so: they may be sold by now. Raises ``WrongState`` when it did
    not fail, was repeated already, or when less than its sum is left.
    """
    failed = session.get_one(Refund, refund_id)
    if failed.payment.order_id is not None:
        placing.locked(session, failed.payment.order_id)
    lock(session, Payment, failed.payment_id)
    session.refresh(failed)
    if failed.state is not RefundState.FAILED or _is_repeated(session, failed):
        raise WrongState(f"refund {refund_id} is not to be repeated")
    return refunds.ask(
        session, failed.payment_id, failed.amount, failed.reason, actor, now, repeats=failed, grace=grace
    )


def is_possible(session: Session, refund: Refund, left: int) -> bool:
    """Whether a refund failed and can be asked for again, with so many minor units left of its payment."""
    return refund.state is RefundState.FAILED and refund.amount <= left and not _is_repeated(session, refund)


def _is_repeated(session: Session, refund: Refund) -> bool:
    return session.scalar(select(Refund.id).where(Refund.repeats_id == refund.id)) is not None
