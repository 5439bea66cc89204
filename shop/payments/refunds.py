"""Refunds: rows first, then the provider, and his list is what counts.

What has gone back is always set from the provider's list of a payment's refunds, never added up from events
(Stripe, "Refunds"). A row keeps its idempotency key, so an answer that was lost is asked for again, not paid again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from shop.database import lock, transact
from shop.errors import GatewayUnavailable, WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders import fulfilment, placing, timeline
from shop.orders.lifecycle import Action, FulfilmentState, PaymentState, after_payment
from shop.orders.models import Order, Worry
from shop.orders.snapshot import money_fact, order_facts
from shop.orders.timeline import Actor
from shop.payments import copies as refunded_copies
from shop.payments import disputes, invoice_news
from shop.payments.copies import DEAD, Copies
from shop.payments.gateway import PaymentGateway, RefundFacts
from shop.payments.models import Payment, PaymentRole, Refund, RefundSource, RefundState

STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELLED,
}
BACK = (RefundState.PENDING, RefundState.SUCCEEDED)
"""The money is on its way to the buyer."""
UNDER_WAY = (
    select(Payment.order_id)
    .join(Refund, Refund.payment_id == Payment.id)
    .where(
        Payment.order_id.in_(bindparam("ids", expanding=True)),
        Payment.role == PaymentRole.ORDER,
        Refund.state == RefundState.PENDING,
    )
)
LOOKS = 4
Standing = list[tuple[Any, ...]]


def refundable(session: Session, payment: Payment) -> int:
    """Minor units of a payment that are neither refunded nor promised back."""
    taken = select(Refund).where(Refund.payment_id == payment.id, Refund.state.not_in(DEAD))
    return payment.amount - sum(refund.amount for refund in session.scalars(taken))


def under_way(session: Session, orders: Iterable[Any]) -> frozenset[int]:
    """Ids of those orders, or rows of the list, that count as refunded while a refund of theirs is still under way."""
    ids = [each.id for each in orders if each.payment_state in (PaymentState.REFUNDED, PaymentState.PART_REFUNDED)]
    if not ids:
        return frozenset()
    found = session.scalars(UNDER_WAY, {"ids": ids})
    return frozenset(order_id for order_id in found if order_id is not None)


def ask(
    session: Session,
    payment_id: int,
    amount: int,
    reason: str,
    actor: Actor,
    now: datetime,
    *,
    copies: Copies | None = None,
    repeats: Refund | None = None,
    grace: timedelta = timedelta(0),
) -> Refund:
    """Decide a refund of so many minor units; the provider is told afterwards, by ``perform``, after ``grace``.

    Raises ``WrongState`` for more than is left, and while the buyer's bank disputes the payment. ``copies`` are
    those that the amount is the price of.
    """
    payment = session.get_one(Payment, payment_id)
    order = placing.locked(session, payment.order_id) if payment.order_id else None
    lock(session, Payment, payment_id)
    if payment.order_id != (order.id if order else None):
        raise WrongState("an order was rebuilt for the payment meanwhile")
    if disputes.stand(session, payment, order):
        raise WrongState("a disputed payment cannot be refunded")
    left = refundable(session, payment)
    if not 0 < amount <= left:
        raise WrongState(f"{left} can be refunded, not {amount}")
    if copies and (order is None or payment.role is not PaymentRole.ORDER):
        raise WrongState("a payment that pays no order is no copy's price")
    if copies and order and refunded_copies.price(session, order, copies) != amount:
        raise WrongState(f"{amount} is not the price of these copies")
    refund = _row(payment, amount, reason, RefundSource.ADMIN, now)
    refund.asked_by = actor.name
    if grace:
        refund.undo_until = refund.next_try_at = now + grace
    refund.repeats_id = repeats.id if repeats else None
    session.add(refund)
    session.flush()
    if order is not None:
        if payment.role is PaymentRole.ORDER:
            if repeats is not None:
                refunded_copies.hand_over(session, order, repeats, refund)
            elif copies:
                refunded_copies.attach(session, order, refund, copies)
            if amount == left and not copies:
                refunded_copies.attach_rest(session, order, refund)
            mark_refunding(session, order, payment)
        currency = payment.currency.value
        timeline.note(
            session, order, "refund_asked", actor, now, refund=refund.id, amount=amount, currency=currency
        )
    return refund


def ask_copies(
    session: Session, payment_id: int, copies: Copies, reason: str, actor: Actor, now: datetime
) -> Refund:
    """Decide a refund of copies (line position → number) at the order's prices, postage with the last of them."""
    payment = session.get_one(Payment, payment_id)
    if payment.order_id is None:
        raise WrongState("no order, no copies")
    order = placing.locked(session, payment.order_id)
    amount = refunded_copies.price(session, order, copies)
    return ask(session, payment_id, amount, reason, actor, now, copies=copies)


def owe(session: Session, payment: Payment, amount: int, reason: str, now: datetime) -> Refund:
    """Decide a refund by the shop's own rules; the worker performs it. The order must be locked."""
    refund = _row(payment, amount, reason, RefundSource.SYSTEM, now)
    session.add(refund)
    session.flush()
    if payment.order_id is not None:
        order = session.get_one(Order, payment.order_id)
        currency = payment.currency.value
        timeline.note(
            session,
            order,
            "refund_asked",
            timeline.SYSTEM,
            now,
            refund=refund.id,
            amount=amount,
            currency=currency,
        )
    return refund


def _row(payment: Payment, amount: int, reason: str, source: RefundSource, now: datetime) -> Refund:
    return Refund(
        key=f"refund:{secrets.token_hex(16)}",
        payment_id=payment.id,
        state=RefundState.OWED,
        source=source,
        amount=amount,
        reason=reason,
        asked_at=now,
        next_try_at=now,
    )


def learn(
    session: Session,
    gateway: PaymentGateway,
    intent_id: str,
    now: datetime,
    also: Callable[[Session], None] | None = None,
) -> bool:
    """Ask the provider for a payment's refunds and apply them; false when the payment is not known here."""
    for _ in range(LOOKS):
        seen = (
            select(Payment.id, Order.sync_version)
            .outerjoin(Order, Order.id == Payment.order_id)
            .where(Payment.intent_id == intent_id)
        )
        row = session.execute(seen).first()
        session.rollback()
        if row is None:
            return False
        payment_id, version = row
        stood = _standing(session, payment_id)
        session.rollback()
        listed = gateway.refunds_of(intent_id)

        def work(
            s: Session,
            payment_id: int = payment_id,
            version: int | None = version,
            listed: list[RefundFacts] = listed,
            stood: Standing = stood,
        ) -> bool:
            if not apply(s, payment_id, listed, now, version, stood):
                return False
            if also is not None:
                also(s)
            return True

        if transact(session, work):
            return True
    raise GatewayUnavailable(f"the refunds of {intent_id} keep changing")


def agrees(session: Session, facts: RefundFacts) -> bool:
    """Whether a refund stands here as the provider has just told."""
    state = session.scalar(select(Refund.state).where(Refund.provider_id == facts.provider_id))
    session.rollback()
    return state is STATES.get(facts.status, RefundState.PENDING)


def _standing(session: Session, payment_id: int) -> Standing:
    """How a payment's refunds stand here: what tells that somebody has applied a newer list meanwhile."""
    wanted = select(Refund.id, Refund.state, Refund.provider_id).where(Refund.payment_id == payment_id)
    return [tuple(row) for row in session.execute(wanted.order_by(Refund.id))]


def apply(
    session: Session,
    payment_id: int,
    listed: list[RefundFacts],
    now: datetime,
    version: int | None,
    stood: Standing,
) -> bool:
    """Bring a payment's refunds to what the provider's list says; false when something changed meanwhile.

    ``version`` is the order's, ``stood`` how the refunds stood, both from before the list was fetched.
    """
    payment = session.get_one(Payment, payment_id)
    order = placing.locked(session, payment.order_id) if payment.order_id else None
    if order is not None and version is not None and order.sync_version != version:
        return False
    if payment.paper_id is not None:
        invoice_news.locked(session, payment.paper_id)
    lock(session, Payment, payment_id)
    if payment.order_id != (order.id if order else None):
        return False
    if order is None and _standing(session, payment_id) != stood:  # it has no version that would tell
        return False
    rows = list(session.scalars(select(Refund).where(Refund.payment_id == payment_id).order_by(Refund.id)))
    changed = False
    for facts in sorted(listed, key=lambda each: (each.created is not None, each.created, each.provider_id)):
        row = _match(rows, facts)
        if row is None:
            row = _row(payment, facts.amount, facts.reason, RefundSource.DASHBOARD, now)
            session.add(row)
            rows.append(row)
        changed |= _bring(session, order, payment, row, facts, now)
    session.flush()
    if payment.role is PaymentRole.INVOICE:
        invoice_news.reckon(session, payment, sum(row.amount for row in rows if row.state in BACK), now)
    if order is not None:
        if payment.role is PaymentRole.ORDER:
            changed |= _reckon(session, order, payment, rows, now)
        if changed:
            order.sync_version += 1
    return True


def _match(rows: list[Refund], facts: RefundFacts) -> Refund | None:
    for row in rows:
        if row.provider_id == facts.provider_id:
            return row
    for row in rows:
        if row.provider_id is None and row.key == facts.metadata.get("refund"):
            return row
    return None


def _bring(
    session: Session, order: Order | None, payment: Payment, row: Refund, facts: RefundFacts, now: datetime
) -> bool:
    """Bring one row to its state at the provider, with its timeline entry and letter."""
    state = STATES.get(facts.status, RefundState.PENDING)
    if row.provider_id == facts.provider_id and row.state is state:
        return False
    before = row.state
    row.provider_id, row.state, row.claimed_until = facts.provider_id, state, None
    row.failure = facts.failure
    row.finished_at = None if state is RefundState.PENDING else now
    session.flush()
    if payment.paper_id is not None:
        if state in BACK and before not in BACK:
            invoice_news.refunded(session, payment, row, now)
        elif state in DEAD and before not in DEAD:
            invoice_news.refund_failed(session, payment, row, now)
    if order is None:
        return True
    entry: dict[str, Any] = {"refund": row.id, "amount": row.amount, "currency": payment.currency.value}
    if state in BACK and before not in BACK:
        timeline.note(session, order, "refunded", timeline.STRIPE, now, **entry, source=row.source.value)
        if payment.role is PaymentRole.ORDER:
            refunded_copies.call_off(session, order, row, now)
            _write(session, order, payment, row, Kind.REFUNDED, now)
    elif state in DEAD and before not in DEAD:
        if before not in BACK and payment.role is PaymentRole.ORDER:
            whole = row.amount == refundable(session, payment)
            refunded_copies.call_off_unseen(session, order, row, now, whole=whole)
        timeline.note(session, order, "refund_failed", timeline.STRIPE, now, **entry, why=facts.failure)
        cause = f"refund:{row.id}"
        timeline.worry(
            session,
            order,
            Worry.REFUND_FAILED,
            now,
            cause=cause,
            amount=row.amount,
            currency=payment.currency.value,
        )
        if before in BACK:
            _write(session, order, payment, row, Kind.REFUND_FAILED, now)
    return True


def _reckon(session: Session, order: Order, payment: Payment, rows: list[Refund], now: datetime) -> bool:
    """Set an order's payment state from what has gone back of its payment; all of it ends an unposted order."""
    back = sum(row.amount for row in rows if row.state in BACK)
    mark_refunding(session, order, payment)
    state = order.payment_state
    if back >= payment.amount:
        action = Action.REFUND_ALL if state is not PaymentState.REFUNDED else None
    elif back:
        action = Action.REFUND_PART if state is not PaymentState.PART_REFUNDED else None
    else:
        action = Action.REFUND_UNDONE if state in (PaymentState.REFUNDED, PaymentState.PART_REFUNDED) else None
    if action is None:
        return False
    order.payment_state = after_payment(state, action)
    if action is Action.REFUND_ALL and order.fulfilment_state is FulfilmentState.TO_POST:
        fulfilment.call_off(session, order, timeline.SYSTEM, now)
    elif action is Action.REFUND_ALL and rows[-1].source is RefundSource.DASHBOARD:
        refunded_copies.attach_rest(session, order, rows[-1])
    return True


def mark_refunding(session: Session, order: Order, payment: Payment) -> None:
    """Keep an order from being posted while a refund of all that is left, or of its unposted copies, is owed."""
    owed = select(Refund).where(Refund.payment_id == payment.id, Refund.state == RefundState.OWED)
    rows = list(session.scalars(owed))
    whole = bool(rows) and refundable(session, payment) <= 0
    order.refunding = whole or any(line.to_call_off for row in rows for line in row.lines)


def _write(session: Session, order: Order, payment: Payment, row: Refund, kind: Kind, now: datetime) -> None:
    if not order.buyer.email:
        return
    context = order_facts(session, order) | {
        "refund": money_fact(row.money),
        "full": row.amount == payment.amount,
        "posted": order.fulfilment_state is FulfilmentState.POSTED,
    }
    facts = {line.position: each for line, each in zip(order.lines, context["lines"], strict=True)}
    numbers = Counter[int]()
    for line in row.lines:
        numbers[line.position] += line.quantity
    context["copies"] = [facts[position] | {"quantity": number} for position, number in numbers.items()]
    outbox.owe(
        session,
        kind,
        f"refund:{row.id}",
        order.buyer.email,
        order.market.locale,
        context,
        now,
        order_id=order.id,
    )
