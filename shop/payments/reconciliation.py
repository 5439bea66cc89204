"""Reconciliation: what the provider knows, compared with what is known here, with no webhook at all.

First everything here that is not final is read again by its id, whatever its age: a list by date never shows again
what was made earlier and changed later. Then what was made lately is listed, with a day's overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayRefused
from shop.payments import checkouts, disputes, inbox, ledger, refunds, settling
from shop.payments.gateway import PaymentGateway, Trials
from shop.payments.models import (
    AttemptState,
    CheckoutAttempt,
    Dispute,
    InboxEvent,
    Payment,
    Refund,
    RefundState,
)
from shop.payments.settling import Outcome

log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=25)
REFUND_MEMORY = timedelta(days=90)
"""So long after it was made a refund may still fail (Stripe, "Refunds", failed refunds)."""
EVENT_MEMORY = timedelta(days=29)
"""The provider lists events for 30 days."""


@dataclass(slots=True)
class Report:
    """What a run has found and put right, and what it could not."""

    looked_up: int = 0
    applied: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    missing_there: list[str] = field(default_factory=list)
    """Ids kept here that the provider does not know."""
    trials: Trials = field(default_factory=Trials)

    @property
    def clean(self) -> bool:
        return not (self.applied or self.orphans or self.missing_there)

    @contextmanager
    def known_there(self, what: str) -> Iterator[None]:
        """Note what the provider does not know or answer, instead of leaving everything after it undone."""
        try:
            with self.trials.of(what):
                yield
        except GatewayRefused as error:
            log.warning("the provider refused to tell of %s: %s", what, error)
            self.missing_there.append(what)


def run(session: Session, gateway: PaymentGateway, now: datetime, since: datetime | None = None) -> Report:
    """Bring everything up to date; a second run finds nothing to do. ``since`` is when the last run began.

    Raises ``GatewayUnavailable`` at the end when a question was not answered, and at once when the provider is away.
    """
    report = Report()
    start = (since or now - EVENT_MEMORY) - OVERLAP
    for refund_id in refunds.due(session, now):
        with report.known_there(f"refund {refund_id}"):
            refunds.perform(session, gateway, refund_id, now)
            report.applied.append(f"refund {refund_id}")
    _checkouts(session, gateway, now, start, report)
    _refunds(session, gateway, now, start, report)
    _disputes(session, gateway, now, start, report)
    ledger.keep(session, gateway.balance_since(start))
    with report.trials.of("pages that are over"):
        checkouts.sweep(session, gateway, now)
    for event in gateway.undelivered_since(max(start, now - EVENT_MEMORY), inbox.TYPES):
        kept = session.get(InboxEvent, event.event_id)
        done = kept is not None and kept.done_at is not None
        session.rollback()
        if not done:
            transact(session, inbox.keep, event, now)
            with report.known_there(event.event_id):
                inbox.work(session, gateway, event.event_id, now)
    report.trials.end()
    return report


def _checkouts(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    open_here = select(CheckoutAttempt.checkout_id).where(
        CheckoutAttempt.state.in_((AttemptState.OPEN, AttemptState.COMPLETE))
    )
    for checkout_id in _ids(session, open_here):
        report.looked_up += 1
        with report.known_there(checkout_id):
            if settling.learn(session, gateway, checkout_id, now) is Outcome.APPLIED:
                report.applied.append(checkout_id)
    for facts in gateway.checkouts_since(start):
        report.looked_up += 1
        if not settling.ours(session, facts):
            continue
        if facts.paid and settling.knows(session, facts.intent_id):
            continue
        if not facts.paid and _closed_here(session, facts.checkout_id):
            continue
        outcome = Outcome.NOTHING_NEW
        with report.known_there(facts.checkout_id):
            outcome = settling.learn(session, gateway, facts.checkout_id, now)
        if outcome is Outcome.APPLIED:
            report.applied.append(facts.checkout_id)
        elif outcome is Outcome.ORPHAN:
            report.orphans.append(facts.checkout_id)


def _refunds(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    pending = (
        select(Payment.intent_id)
        .join(Refund)
        .where(Refund.provider_id.is_not(None), Refund.state == RefundState.PENDING)
        .distinct()
    )
    intents = dict.fromkeys(_ids(session, pending))
    # A hundred refunds are one question, and those that stand here as they stand there need no other.
    for facts in gateway.refunds_since(min(start, now - REFUND_MEMORY)):
        if facts.intent_id and not refunds.agrees(session, facts) and settling.knows(session, facts.intent_id):
            intents[facts.intent_id] = None
    for intent_id in intents:
        report.looked_up += 1
        before = _refund_states(session, intent_id)
        with report.known_there(intent_id):
            refunds.learn(session, gateway, intent_id, now)
        if _refund_states(session, intent_id) != before:
            report.applied.append(intent_id)


def _disputes(session: Session, gateway: PaymentGateway, now: datetime, start: datetime, report: Report) -> None:
    open_here = select(Dispute.provider_id).where(Dispute.closed_at.is_(None))
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


def _ids(session: Session, wanted: object) -> Iterable[str]:
    found = [each for each in session.scalars(wanted) if each]  # type: ignore[call-overload]
    session.rollback()
    return found


def _closed_here(session: Session, checkout_id: str) -> bool:
    state = session.scalar(select(CheckoutAttempt.state).where(CheckoutAttempt.checkout_id == checkout_id))
    session.rollback()
    return state is AttemptState.CLOSED


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
