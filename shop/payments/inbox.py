"""The inbox: each verified webhook is kept before it is worked, and is done only together with its effect."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Select, Table, bindparam, or_, select, update
from sqlalchemy.orm import Session

from shop.database import add_once, transact
from shop.errors import GatewayError, GatewayRefused
from shop.gathering import write
from shop.payments import disputes, refunds, settling
from shop.payments.gateway import IncomingEvent, PaymentGateway
from shop.payments.models import UNDONE, InboxEvent, InboxState
from shop.payments.settling import Outcome, Seen

log = logging.getLogger(__name__)

CHECKOUT = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
REFUND = ("refund.created", "refund.updated", "refund.failed")
DISPUTE = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
WARNING = "radar.early_fraud_warning.created"
TYPES = [*CHECKOUT, "charge.refunded", *REFUND, *DISPUTE, WARNING]
"""What the webhook endpoint at Stripe is to be registered for."""

LEASE = timedelta(minutes=2)


def keep(session: Session, event: IncomingEvent, now: datetime, *, delivered: bool = False) -> bool:
    """Keep an event; a second delivery finds the row and adds nothing. Answers whether it waits to be worked.

    Whoever keeps it may work it at once. ``delivered``: it came as a webhook.
    """
    new = add_once(
        session,
        InboxEvent,
        id=event.event_id,
        type=event.type,
        object_id=event.object_id,
        received_at=now,
        delivered=delivered,
        due_at=now + LEASE,
    )
    if new:
        return True
    row = session.get_one(InboxEvent, event.event_id, populate_existing=True)
    row.delivered = row.delivered or delivered
    return row.state is not InboxState.DONE


def work(session: Session, gateway: PaymentGateway, event_id: str, now: datetime) -> None:
    """Do what a kept event asks for, unless it is done; see ``work_now``."""
    event = session.get_one(InboxEvent, event_id)
    done, kind, object_id = event.state is InboxState.DONE, event.type, event.object_id
    session.rollback()
    if not done:
        work_now(session, gateway, event_id, kind, object_id, now)


def work_now(
    session: Session,
    gateway: PaymentGateway,
    event_id: str,
    kind: str,
    object_id: str,
    now: datetime,
    seen: Seen | None = None,
) -> None:
    """Do what an event asks for; effect and mark are one commit. An exception leaves the event for a next try.

    ``seen`` is the order of a checkout as ``settling.see`` told of it just now.
    """
    try:
        _work(session, gateway, event_id, kind, object_id, now, seen)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        transact(session, _failed, event_id, failure, now)
        raise


def _work(
    session: Session,
    gateway: PaymentGateway,
    event_id: str,
    kind: str,
    object_id: str,
    now: datetime,
    seen: Seen | None,
) -> None:
    def applied(s: Session) -> None:
        _done(s, event_id, Outcome.APPLIED, now)

    if kind in CHECKOUT:
        settling.learn(session, gateway, object_id, now, lambda s, outcome: _done(s, event_id, outcome, now), seen)
        return
    known = False
    if kind == "charge.refunded" or kind in REFUND:
        intent_id = (
            gateway.charge_intent(object_id) if kind == "charge.refunded" else gateway.refund_intent(object_id)
        )
        known = bool(intent_id) and _paid_first(session, gateway, intent_id, now)
        known = known and refunds.learn(session, gateway, intent_id, now, also=applied)
    elif kind in DISPUTE:
        facts = gateway.look_up_dispute(object_id)
        known = bool(facts.intent_id) and _paid_first(session, gateway, facts.intent_id, now)
        known = known and disputes.learn(session, gateway, object_id, now, also=applied)
    elif kind == WARNING:
        intent_id = gateway.charge_intent(gateway.look_up_warning(object_id).charge_id)
        known = bool(intent_id) and _paid_first(session, gateway, intent_id, now)
        known = known and disputes.warn(session, gateway, object_id, now, also=applied)
    if not known:
        outcome = Outcome.STRANGER if kind in TYPES else Outcome.IGNORED
        transact(session, _done, event_id, outcome, now)


def _paid_first(session: Session, gateway: PaymentGateway, intent_id: str, now: datetime) -> bool:
    """Make sure that a payment is settled before what came after it: events arrive in any order."""
    if settling.knows(session, intent_id):
        return True
    facts = gateway.checkout_of(intent_id)
    if facts is None:
        return False
    settling.learn(session, gateway, facts.checkout_id, now)
    return settling.knows(session, intent_id)


def _done(session: Session, event_id: str, outcome: Outcome, now: datetime) -> None:
    mark = {"event_id": event_id, "came_to": outcome.value, "now": now}
    # An effect without its mark is no effect.
    write(session, DONE, mark, failure=lambda: LookupError(f"{event_id} is not kept"))


EVENTS: Table = InboxEvent.__table__  # type: ignore[assignment]
DONE = (
    update(EVENTS)
    .where(InboxEvent.id == bindparam("event_id"))
    .values(
        state=InboxState.DONE,
        outcome=bindparam("came_to"),
        done_at=bindparam("now"),
        claimed_until=None,
        last_error="",
    )
)


def ignore(session: Session, event_id: str, outcome: Outcome, now: datetime) -> None:
    """Mark an event that needs no work, such as one of the other mode."""
    _done(session, event_id, outcome, now)


def _failed(session: Session, event_id: str, failure: str, now: datetime) -> None:
    event = session.get_one(InboxEvent, event_id)
    if event.state is InboxState.DONE:
        return
    event.state, event.last_error = InboxState.FAILED, failure[:2000]
    event.tries += 1
    event.claimed_until = None
    event.due_at = now + timedelta(seconds=min(15 * 2 ** min(event.tries, 10), 3600))


def left_over(now: datetime) -> Select[str]:
    """The ids of events that wait to be worked and are claimed by nobody, those first that came first."""
    return (
        select(InboxEvent.id)
        .where(
            InboxEvent.state.in_(UNDONE),
            InboxEvent.due_at <= now,
            or_(InboxEvent.claimed_until.is_(None), InboxEvent.claimed_until <= now),
        )
        .order_by(InboxEvent.received_at)
    )


def claim_due(session: Session, now: datetime, limit: int = 20) -> list[str]:
    """Claim events that are left over, by a lease, so that several workers share them."""

    def claim(s: Session) -> list[str]:
        found = list(s.scalars(left_over(now).limit(limit).with_for_update(skip_locked=True)))
        s.execute(
            update(InboxEvent)
            .where(InboxEvent.id.in_(found))
            .values(claimed_until=now + LEASE)
            .execution_options(synchronize_session=False)
        )
        return found

    return transact(session, claim)


def work_due(session: Session, gateway: PaymentGateway, now: datetime) -> int:
    """Work what webhooks have left undone; one event's failure does not keep the others waiting."""
    found = claim_due(session, now)
    for event_id in found:
        try:
            work(session, gateway, event_id, now)
        except GatewayError as error:
            log.warning("event %s waits: %s", event_id, error)
        except Exception:
            # work() has kept it as failed, with its error and its next try; the others must not wait for it.
            log.exception("event %s could not be worked", event_id)
    return len(found)


def replay(session: Session, gateway: PaymentGateway, event_id: str, now: datetime) -> None:
    """Fetch an event from the provider and do again what it asks for; raises what that raises."""
    try:
        event = gateway.event(event_id)
    except GatewayRefused:
        known = session.get(InboxEvent, event_id)
        if known is None:
            raise
        event = IncomingEvent(event_id, known.type, known.object_id, gateway.livemode, known.received_at)

    def reopen(s: Session) -> None:
        keep(s, event, now)
        row = s.get_one(InboxEvent, event_id, populate_existing=True)
        row.state, row.claimed_until = InboxState.NEW, None

    transact(session, reopen)
    work(session, gateway, event_id, now)
