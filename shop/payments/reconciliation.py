"""Reconciliation: what the provider knows, compared with what is known here, with no webhook at all.

First everything here that is not final is read again by its id, whatever its age: a list by date never shows again
what was made earlier and changed later. Then what was made lately is listed, with a day's overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayRefused
from shop.libraries.paper_models import Paper
from shop.money import Currency
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import (
    checkouts,
    comparison,
    disputes,
    inbox,
    invoice_checkouts,
    ledger,
    refund_calls,
    refunds,
    settling,
)
from shop.payments.comparison import Found, Report
from shop.payments.gateway import CheckoutFacts, PaymentGateway, RefundFacts
from shop.payments.models import (
    AttemptState,
    CheckoutAttempt,
    Dispute,
    InboxEvent,
    InvoiceAttempt,
    Payment,
    Refund,
    RefundState,
)
from shop.payments.settling import Outcome

DUTY = "reconciliation"
"""What the worker calls it (``shop.duty``)."""
BATCH = 500
OVERLAP = timedelta(hours=25)
REFUND_MEMORY = timedelta(days=90)
"""So long after it was made a refund may still fail (Stripe, "Refunds", failed refunds)."""
DISPUTE_MEMORY = timedelta(days=180)
"""So long after it was closed a dispute is read again: a lost one may be appealed or withdrawn by the buyer (Stripe,
"Pre-arbitration and arbitration"). The card networks give at most 45 days to answer and 45 more to go to arbitration,
and nobody promises when Stripe hears of it: twice that."""
EVENT_MEMORY = timedelta(days=29)
"""The provider lists events for 30 days."""


def run(session: Session, gateway: PaymentGateway, now: datetime, since: datetime | None = None) -> Report:
    """Bring everything up to date; a second run finds nothing to do. ``since`` is when the last run began.

    What was found is kept for the order desk. Raises ``GatewayUnavailable`` at the end when a question was not
    answered, and at once when the provider is away.
    """
    report = Report()
    start = (since or now - EVENT_MEMORY) - OVERLAP
    pageless = _pageless(session)
    _checkouts(session, gateway, now, start, report)
    _owed(session, gateway, now, report)
    _refunds(session, gateway, now, start, report)
    _disputes(session, gateway, now, start, report)
    _warnings(session, gateway, now, start, report)
    ledger.keep(session, gateway.balance_since(start))
    with report.trials.of("pages that are over"):
        checkouts.sweep(session, gateway, now)
        invoice_checkouts.sweep(session, gateway, now)
    for event in gateway.undelivered_since(max(start, now - EVENT_MEMORY), inbox.TYPES):
        kept = session.get(InboxEvent, event.event_id)
        done = kept is not None and kept.done_at is not None
        session.rollback()
        if not done:
            transact(session, inbox.keep, event, now)
            with report.known_there(event.event_id):
                inbox.work(session, gateway, event.event_id, now)
    _owed(session, gateway, now, report)  # by what the events told
    report.holds = _pageless(session)
    report.holds_ended += [number for number in pageless if number not in report.holds]
    transact(session, comparison.keep, report, now)
    report.trials.end()
    return report


def _owed(session: Session, gateway: PaymentGateway, now: datetime, report: Report) -> None:
    """Make the refunds that are owed, those included that this run has found out about."""
    for refund_id in refund_calls.due(session, now):
        with report.known_there(f"refund {refund_id}"):
            refund_calls.perform(session, gateway, refund_id, now)
            report.applied.append(f"refund {refund_id}")


def _checkouts(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    open_here = (
        select(attempts.checkout_id).where(attempts.state.in_((AttemptState.OPEN, AttemptState.COMPLETE)))
        for attempts in (CheckoutAttempt, InvoiceAttempt)
    )
    for checkout_id in [each for wanted in open_here for each in _ids(session, wanted)]:
        report.looked_up += 1
        with report.known_there(checkout_id):
            if settling.learn(session, gateway, checkout_id, now) is Outcome.APPLIED:
                report.applied.append(checkout_id)
                _tell_applied(session, checkout_id, report)
    paid: dict[str, CheckoutFacts] = {}
    for facts in gateway.checkouts_since(start):
        report.looked_up += 1
        if not settling.ours(session, facts):
            continue
        if facts.paid:
            paid[facts.checkout_id] = facts
        if facts.paid and settling.knows(session, facts.intent_id):
            continue
        if not facts.paid and _closed_here(session, facts.checkout_id):
            continue
        with report.known_there(facts.checkout_id):
            outcome = settling.learn(session, gateway, facts.checkout_id, now)
            if outcome is Outcome.APPLIED:
                report.applied.append(facts.checkout_id)
                _tell_applied(session, facts.checkout_id, report)
            elif outcome is Outcome.ORPHAN:
                report.orphans.append(facts.checkout_id)
        if facts.checkout_id in report.stuck and facts.paid:
            report.paid_there.append(Found(facts.checkout_id, there=_sum(facts.total, facts.currency)))
    _payments(session, gateway, start, paid, report)


def _tell_applied(session: Session, checkout_id: str, report: Report) -> None:
    """Say what it was that has just been put right: money that was not known, or a hold for a dead page."""
    row = session.execute(
        select(Order, CheckoutAttempt.state)
        .join(CheckoutAttempt, CheckoutAttempt.order_id == Order.id)
        .where(CheckoutAttempt.checkout_id == checkout_id)
    ).first()
    if row is not None:
        order, state = row
        mine = select(Payment).where(Payment.order_id == order.id, Payment.checkout_id == checkout_id)
        payment = session.scalar(mine)
        if payment is not None:
            there = _sum(payment.amount, payment.currency)
            report.paid_there.append(Found(checkout_id, order.number, there=there))
        elif state is AttemptState.CLOSED and order.payment_state is PaymentState.EXPIRED:
            report.holds_ended.append(order.number)
    elif invoice := session.scalar(
        select(Payment).where(Payment.checkout_id == checkout_id, Payment.paper_id.is_not(None))
    ):
        there = _sum(invoice.amount, invoice.currency)
        report.paid_there.append(Found(checkout_id, invoice.paper.number if invoice.paper else "", there=there))
    session.rollback()


def _payments(
    session: Session, gateway: PaymentGateway, start: datetime, paid: dict[str, CheckoutFacts], report: Report
) -> None:
    """Compare the payments recorded here since ``start`` with what the provider says of each."""
    for payment in _recent_payments(session, start):
        report.looked_up += 1
        facts: CheckoutFacts | None = paid.get(payment.checkout_id)
        if facts is None:
            with report.trials.of(payment.intent_id):
                facts = _ask(gateway, payment)
            if payment.intent_id in report.trials.unanswered:
                continue
        here = _sum(payment.amount, payment.currency)
        if facts is None or not facts.paid or facts.intent_id != payment.intent_id:
            report.paid_here.append(Found(payment.intent_id, payment.number, here=here))
        elif (payment.amount, payment.currency) != (facts.total, facts.currency):
            there = _sum(facts.total, facts.currency)
            report.amounts.append(Found(payment.intent_id, payment.number, here, there))


def _ask(gateway: PaymentGateway, payment: _Recorded) -> CheckoutFacts | None:
    """The page of a payment as the provider knows it; ``None`` when he knows of none, which is then reported."""
    try:
        if payment.checkout_id:
            return gateway.look_up(payment.checkout_id)
        return gateway.checkout_of(payment.intent_id)
    except GatewayRefused:
        return None


class _Recorded(NamedTuple):
    """A payment as it is recorded here; ``number`` is its order's or its invoice's, empty for none."""

    id: int
    intent_id: str
    checkout_id: str
    amount: int
    currency: Currency
    received_at: datetime
    number: str


def _recent_payments(session: Session, start: datetime) -> list[_Recorded]:
    """Payments recorded since an instant, oldest first; read from the end, where the newest are."""
    columns = (Payment.id, Payment.intent_id, Payment.checkout_id, Payment.amount, Payment.currency)
    wanted = (
        select(*columns, Payment.received_at, func.coalesce(Order.number, Paper.number, ""))
        .outerjoin(Order, Order.id == Payment.order_id)
        .outerjoin(Paper, Paper.id == Payment.paper_id)
        .order_by(Payment.id.desc())
        .limit(BATCH)
    )
    found: list[_Recorded] = []
    batch = [_Recorded(*row) for row in session.execute(wanted)]
    while batch:
        found += [each for each in batch if each.received_at >= start]
        if batch[-1].received_at < start:
            break
        batch = [_Recorded(*row) for row in session.execute(wanted.where(Payment.id < batch[-1].id))]
    session.rollback()
    return found[::-1]


def _pageless(session: Session) -> list[str]:
    """Numbers of orders whose copies are held although none of their pages lives, as far as is known here."""
    live = select(CheckoutAttempt.id).where(
        CheckoutAttempt.order_id == Order.id, CheckoutAttempt.state != AttemptState.CLOSED
    )
    found = list(session.scalars(select(Order.number).where(Order.holding, ~live.exists()).order_by(Order.id)))
    session.rollback()
    return found


def _sum(amount: int, currency: Currency | None) -> str:
    return f"{amount} {currency.value if currency else ''}".strip()


def _refunds(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    pending = (
        select(Payment.intent_id)
        .join(Refund)
        .where(Refund.provider_id.is_not(None), Refund.state == RefundState.PENDING)
        .distinct()
    )
    intents = dict.fromkeys(_ids(session, pending))
    listed: dict[str, RefundFacts] = {}
    # A hundred refunds are one question, and those that stand here as they stand there need no other.
    for facts in gateway.refunds_since(min(start, now - REFUND_MEMORY)):
        agrees = refunds.agrees(session, facts)
        if agrees or (facts.intent_id and settling.knows(session, facts.intent_id)):
            listed[facts.provider_id] = facts
            if not agrees:
                intents[facts.intent_id] = None
    for intent_id in intents:
        report.looked_up += 1
        before = _refund_states(session, intent_id)
        with report.known_there(intent_id):
            refunds.learn(session, gateway, intent_id, now)
        if _refund_states(session, intent_id) != before:
            report.applied.append(intent_id)
    _refund_sums(session, gateway, start, listed, report)


def _refund_sums(
    session: Session, gateway: PaymentGateway, start: datetime, listed: dict[str, RefundFacts], report: Report
) -> None:
    """Compare the refunds recorded here since ``start`` with the provider's list of them."""
    wanted = (
        select(
            Refund.provider_id,
            Payment.intent_id,
            Payment.currency,
            Refund.amount,
            func.coalesce(Order.number, Paper.number, ""),
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .outerjoin(Order, Order.id == Payment.order_id)
        .outerjoin(Paper, Paper.id == Payment.paper_id)
        .where(
            Refund.asked_at >= start,
            or_(
                Refund.state.in_(refunds.BACK) & Refund.provider_id.is_not(None),
                Refund.provider_id.in_(listed),
            ),
        )
        .order_by(Refund.id)
    )
    told = [(str(row[0]), *row[1:]) for row in session.execute(wanted)]
    session.rollback()
    for name, intent_id, currency, amount, number in told:
        facts = listed.get(name)
        if facts is None:  # made before the list begins, and learned later?
            with report.known_there(name):
                facts = next((each for each in gateway.refunds_of(intent_id) if each.provider_id == name), None)
                if facts is None:
                    report.missing_there.append(name)
        if facts is not None and facts.amount != amount:
            report.amounts.append(Found(name, number, _sum(amount, currency), _sum(facts.amount, currency)))


def _disputes(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    open_here = select(Dispute.provider_id).where(
        or_(Dispute.closed_at.is_(None), Dispute.closed_at >= now - DISPUTE_MEMORY)
    )
    found = dict.fromkeys(_ids(session, open_here))
    for facts in gateway.disputes_since(start):
        found[facts.provider_id] = None
    for dispute_id in found:
        report.looked_up += 1
        before = _dispute_status(session, dispute_id)
        with report.known_there(dispute_id):
            disputes.learn(session, gateway, dispute_id, now)
        if _dispute_status(session, dispute_id) != before:
            report.applied.append(dispute_id)


def _warnings(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    """Warnings of fraud that no event has told of: with its endpoint switched off, none counts as undelivered.

    A key that may not read them is named, and keeps nothing else from being compared.
    """
    with report.known_there("early_fraud_warnings"):
        for facts in gateway.warnings_since(start):
            report.looked_up += 1
            if not disputes.is_new(session, facts):
                continue
            with report.known_there(facts.provider_id):
                if disputes.warn(session, gateway, facts.provider_id, now):
                    report.applied.append(facts.provider_id)


def _ids(session: Session, wanted: object) -> Iterable[str]:
    found = [each for each in session.scalars(wanted) if each]  # type: ignore[call-overload]
    session.rollback()
    return found


def _closed_here(session: Session, checkout_id: str) -> bool:
    states = [
        session.scalar(select(attempts.state).where(attempts.checkout_id == checkout_id))
        for attempts in (CheckoutAttempt, InvoiceAttempt)
    ]
    session.rollback()
    return AttemptState.CLOSED in states


def _refund_states(session: Session, intent_id: str) -> list[tuple[object, ...]]:
    rows = session.execute(
        select(Refund.id, Refund.state).join(Payment).where(Payment.intent_id == intent_id).order_by(Refund.id)
    )
    states = [tuple(row) for row in rows]
    session.rollback()
    return states


def _dispute_status(session: Session, dispute_id: str) -> str | None:
    status = session.scalar(select(Dispute.status).where(Dispute.provider_id == dispute_id))
    session.rollback()
    return status
