"""Disputes and fraud warnings: they stop an order from being posted and call for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from shop.database import lock, transact
from shop.errors import GatewayUnavailable
from shop.letters import outbox
from shop.letters.models import Kind, Letter
from shop.orders import placing, timeline
from shop.orders.models import Concern, Order, Worry
from shop.payments import invoice_news
from shop.payments.gateway import DisputeFacts, PaymentGateway, WarningFacts
from shop.payments.models import HARMLESS, Dispute, Payment

OVER = ("won", "lost", "warning_closed", "prevented")
TO_ANSWER = ("warning_needs_response", "needs_response", "appeal_needs_response")
WARNINGS = "warnings"
"""Where money without an order keeps the ids of the fraud warnings about it, for the order that may be rebuilt."""

LOOKS = 4

Also = Callable[[Session], None]


def learn(
    session: Session, gateway: PaymentGateway, dispute_id: str, now: datetime, also: Also | None = None
) -> bool:
    """Ask the provider what a dispute is now and apply it; false when its payment is not known here."""
    for _ in range(LOOKS):
        seen = (
            select(Order.sync_version)
            .join(Payment, Payment.order_id == Order.id)
            .join(Dispute, Dispute.payment_id == Payment.id)
            .where(Dispute.provider_id == dispute_id)
        )
        version = session.scalar(seen)
        session.rollback()
        facts = gateway.look_up_dispute(dispute_id)

        def work(s: Session, facts: DisputeFacts = facts, version: int | None = version) -> bool | None:
            known = apply(s, facts, now, version)
            if known and also is not None:
                also(s)
            return known

        known = transact(session, work)
        if known is not None:
            return known
    raise GatewayUnavailable(f"{dispute_id} keeps changing")


def apply(session: Session, facts: DisputeFacts, now: datetime, version: int | None) -> bool | None:
    """Bring a dispute to what was fetched; false when its payment is not known here.

    ``version`` is the order's from before the fetch, if the dispute was known then; the answer is ``None`` when
    somebody else has changed either meanwhile. A lost dispute can go on: it may be appealed.
    """
    payment = _payment(session, facts.intent_id, facts.charge_id)
    if payment is None:
        return False
    order = placing.locked(session, payment.order_id) if payment.order_id else None
    if payment.paper_id is not None:
        invoice_news.locked(session, payment.paper_id)
    lock(session, Payment, payment.id)
    if payment.order_id != (order.id if order else None):
        return None  # an order was rebuilt for it meanwhile
    row = session.scalar(select(Dispute).where(Dispute.provider_id == facts.provider_id))
    if row is not None and order is not None and order.sync_version != version:
        return None
    if row is None:
        row = Dispute(
            payment_id=payment.id,
            provider_id=facts.provider_id,
            status=facts.status,
            reason=facts.reason,
            amount=facts.amount,
            due_by=facts.due_by,
            opened_at=facts.created,
        )
        session.add(row)
        session.flush()
        if order is not None:
            order.sync_version += 1
            _stop(session, order, row, now)
        elif payment.paper_id is not None:
            invoice_news.disputed(session, payment, row, now, new=True)
        else:
            _tell_of_ownerless(session, payment, Worry.DISPUTE, facts.provider_id, now, due_by=_due(row))
    elif row.status != facts.status:
        row.status = facts.status
        if order is not None:
            order.sync_version += 1
            timeline.note(session, order, "dispute_changed", timeline.STRIPE, now, status=facts.status)
        elif payment.paper_id is not None:
            invoice_news.disputed(session, payment, row, now, new=False)
    row.due_by = facts.due_by
    row.closed_at = (row.closed_at or now) if facts.status in OVER else None
    if order is not None:
        _mark(session, order)
    elif payment.paper_id is not None:
        session.flush()
        invoice_news.mark_disputed(session, payment, stand(session, payment, None))
    return True


def follow(session: Session, order: Order, payment: Payment, now: datetime) -> None:
    """An order was rebuilt for a payment: what is disputed or was warned of stops it, as if it had always stood."""
    for row in session.scalars(select(Dispute).where(Dispute.payment_id == payment.id).order_by(Dispute.id)):
        _stop(session, order, row, now)
    for warning_id in payment.facts.get(WARNINGS, ()):
        timeline.worry(session, order, Worry.FRAUD_WARNING, now, cause=warning_id)
    _mark(session, order)


def stand(session: Session, payment: Payment, order: Order | None) -> bool:
    """Whether the buyer's bank asks for the money, or has taken it: then nothing can be given back of it."""
    if order is not None:
        return order.disputed
    return session.scalar(_standing(Dispute.payment_id == payment.id)) is not None


def _stop(session: Session, order: Order, row: Dispute, now: datetime) -> None:
    timeline.note(session, order, "dispute_opened", timeline.STRIPE, now, status=row.status)
    timeline.worry(session, order, Worry.DISPUTE, now, cause=row.provider_id, due_by=_due(row))


def _due(row: Dispute) -> str:
    return row.due_by.isoformat() if row.due_by else ""


def _mark(session: Session, order: Order) -> None:
    session.flush()
    order.disputed = session.scalar(_standing(Payment.order_id == order.id)) is not None


def _standing(of: ColumnElement[bool]) -> Select[int]:
    return select(Dispute.id).join(Payment).where(of, Dispute.status.not_in(HARMLESS)).limit(1)


def _tell_of_ownerless(
    session: Session, payment: Payment, what: Worry, cause: str, now: datetime, **details: str
) -> None:
    """Money without an order has nothing that could be stopped; the shopkeeper is told all the same."""
    number = payment.facts.get("order", "")
    context = {"number": number, "worry": what.value, "details": {"ownerless": True, **details}}
    outbox.owe_shopkeepers(session, Kind.ATTENTION, cause, context, now)


def warn(
    session: Session, gateway: PaymentGateway, warning_id: str, now: datetime, also: Also | None = None
) -> bool:
    """Flag the order an early fraud warning is about; false when its payment is not known here."""
    charge_id = gateway.look_up_warning(warning_id).charge_id

    def work(s: Session) -> bool | None:
        payment = _payment(s, "", charge_id)
        if payment is None:
            return False
        order = placing.locked(s, payment.order_id) if payment.order_id else None
        if payment.paper_id is not None:
            invoice_news.locked(s, payment.paper_id)
        lock(s, Payment, payment.id)
        if payment.order_id != (order.id if order else None):
            return None  # an order was rebuilt for it meanwhile
        if order is not None:
            timeline.worry(s, order, Worry.FRAUD_WARNING, now, cause=warning_id)
        elif payment.paper_id is not None:
            invoice_news.warned(s, payment, warning_id, now)
        else:
            payment.facts = payment.facts | {WARNINGS: sorted({*payment.facts.get(WARNINGS, ()), warning_id})}
            _tell_of_ownerless(s, payment, Worry.FRAUD_WARNING, warning_id, now)
        if also is not None:
            also(s)
        return True

    for _ in range(LOOKS):
        known = transact(session, work)
        if known is not None:
            return known
    raise GatewayUnavailable(f"the payment of {warning_id} keeps changing")


def is_new(session: Session, facts: WarningFacts) -> bool:
    """Whether a warning is about a payment that is known here, and nobody has been told of it."""
    payment = _payment(session, "", facts.charge_id)
    raised = select(Concern.id).where(Concern.worry == Worry.FRAUD_WARNING, Concern.cause == facts.provider_id)
    told = select(Letter.id).where(
        Letter.kind.in_((Kind.ATTENTION, Kind.LIBRARY_ATTENTION)), Letter.cause == facts.provider_id
    )
    new = payment is not None and not any(session.scalar(each.limit(1)) for each in (raised, told))
    session.rollback()
    return new


def _payment(session: Session, intent_id: str, charge_id: str) -> Payment | None:
    same = [Payment.intent_id == intent_id] if intent_id else []
    if charge_id:
        same.append(Payment.charge_id == charge_id)
    return session.scalar(select(Payment).where(or_(*same))) if same else None
