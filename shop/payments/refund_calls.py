"""Refunds that are decided are told to the provider, and told again until he has answered."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from shop.database import lock, transact
from shop.errors import GatewayError, GatewayRefused
from shop.orders import timeline
from shop.orders.models import Worry
from shop.payments import invoice_news
from shop.payments.gateway import PaymentGateway
from shop.payments.models import PaymentRole, Refund, RefundState
from shop.payments.refunds import learn, mark_refunding, refundable

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=3)


def waiting(now: datetime) -> Select[int]:
    """The ids of refunds that the provider has not confirmed and nobody is working on."""
    return (
        select(Refund.id)
        .where(
            Refund.state == RefundState.OWED,
            or_(Refund.next_try_at.is_(None), Refund.next_try_at <= now),
            or_(Refund.claimed_until.is_(None), Refund.claimed_until <= now),
        )
        .order_by(Refund.id)
    )


def due(session: Session, now: datetime) -> list[int]:
    """Which refunds the provider is to be told about."""
    found = list(session.scalars(waiting(now)))
    session.rollback()
    return found


def perform(session: Session, gateway: PaymentGateway, refund_id: int, now: datetime) -> None:
    """Tell the provider about a decided refund and apply his answer.

    Raises ``GatewayUnavailable`` when the outcome is unknown, ``GatewayRefused`` when the payment is not known
    there: the row stays owed and is tried again later.
    """

    def claim(s: Session) -> tuple[str, str, int, str, int] | None:
        refund = lock(s, Refund, refund_id)
        if refund is None or refund.state is not RefundState.OWED:
            return None
        if refund.claimed_until is not None and refund.claimed_until > now:
            return None
        if refund.undo_until is not None and refund.undo_until > now:
            return None  # whoever asked for it may think again
        refund.claimed_until = now + LEASE
        refund.tries += 1
        return refund.key, refund.payment.intent_id, refund.amount, refund.reason, refund.tries

    claimed = transact(session, claim)
    if claimed is None:
        return
    try:
        _tell(session, gateway, refund_id, *claimed, now)
    except GatewayError as error:
        # Without this the lease alone would space the tries, and a payment that is not known there never becomes so.
        code = error.code if isinstance(error, GatewayRefused) else ""
        transact(session, _later, refund_id, code, now)
        raise


def _tell(
    session: Session,
    gateway: PaymentGateway,
    refund_id: int,
    key: str,
    intent_id: str,
    amount: int,
    reason: str,
    tries: int,
    now: datetime,
) -> None:
    try:
        # The provider forgets keys after 24 hours: what an earlier try has done is looked for in his list.
        known = tries > 1 and any(facts.metadata.get("refund") == key for facts in gateway.refunds_of(intent_id))
        if not known:
            gateway.refund(key, intent_id, amount, _stripe_reason(reason), {"refund": key})
    except GatewayRefused as error:
        log.warning("refund %s was refused: %s", refund_id, error)
        refused = error.code
        learn(session, gateway, intent_id, now, also=lambda s: _refused(s, refund_id, refused, now))
        return
    learn(session, gateway, intent_id, now)


def _stripe_reason(reason: str) -> str:
    """The provider knows three reasons only; ``duplicate`` and ``requested_by_customer`` are ours to use."""
    return {Worry.PAID_TWICE.value: "duplicate"}.get(reason, "requested_by_customer")


def _later(session: Session, refund_id: int, code: str, now: datetime) -> None:
    """Try again later, each time after twice as long; ``code`` is why the provider refused to tell."""
    refund = session.get_one(Refund, refund_id)
    if refund.state is not RefundState.OWED:
        return
    refund.claimed_until, refund.failure = None, code
    refund.next_try_at = now + timedelta(seconds=min(30 * 2 ** min(refund.tries, 10), 3600))


def _refused(session: Session, refund_id: int, code: str, now: datetime) -> None:
    """The provider will not do it: unless his list says that it is done, a person must look.

    The order must be locked.
    """
    refund = session.get_one(Refund, refund_id)
    if refund.state is not RefundState.OWED:
        return
    refund.state, refund.failure, refund.finished_at = RefundState.FAILED, code, now
    order = refund.payment.order
    if refund.payment.paper_id is not None and refundable(session, refund.payment) > 0:
        invoice_news.refund_failed(session, refund.payment, refund, now)
    if order is None:
        return
    if refund.payment.role is PaymentRole.ORDER:
        session.flush()
        mark_refunding(session, order, refund.payment)
    timeline.note(session, order, "refund_refused", timeline.STRIPE, now, refund=refund.id, code=code)
    if refundable(session, refund.payment) > 0:
        timeline.worry(session, order, Worry.REFUND_FAILED, now, cause=f"refund:{refund.id}", code=code)
