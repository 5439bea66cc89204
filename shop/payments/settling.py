"""Settling: what a checkout has become at the provider is applied here and nowhere else.

Webhook, return page, reconciliation and the sweeper all come through ``learn``: the object is fetched afresh with
no transaction open, then the order is locked and everything that follows is one commit.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, load_only

from shop.catalogue import memory
from shop.database import mark_locked, put, run, transact
from shop.errors import GatewayError, GatewayUnavailable
from shop.gathering import gathered
from shop.letters.models import Kind
from shop.orders import placing, timeline
from shop.orders.lifecycle import Action, PaymentState, after_payment
from shop.orders.models import Buyer, Order, OrderLine, Worry
from shop.orders.numbers import read_number
from shop.payments import arrivals, invoice_arrivals
from shop.payments.gateway import CheckoutFacts, PaymentGateway
from shop.payments.models import AttemptState, CheckoutAttempt, InvoiceAttempt, Payment
from shop.trader import Trader, trader

log = logging.getLogger(__name__)

LOOKS = 4


class Outcome(enum.StrEnum):
    """What a piece of news came to."""

    APPLIED = "applied"
    NOTHING_NEW = "nothing_new"
    STRANGER = "stranger"
    """Another shop's, on the same account."""
    OTHER_MODE = "other_mode"
    ORPHAN = "orphan"
    """Ours by its mark, but no order is known."""
    IGNORED = "ignored"
    STALE = "stale"
    """The order changed while the provider was asked: ask again."""


class Seen(NamedTuple):
    """An order of which a checkout is known to be a page, and its ``sync_version`` before the provider is asked."""

    order_id: int
    version: int


Also = Callable[[Session, Outcome], None]
"""Something to be committed together with the effect, such as the inbox mark."""


def learn(
    session: Session,
    gateway: PaymentGateway,
    checkout_id: str,
    now: datetime,
    also: Also | None = None,
    seen: Seen | None = None,
) -> Outcome:
    """Ask the provider what a checkout is now, and apply it. Whoever has just used ``see`` hands over its answer."""
    for _ in range(LOOKS):
        if seen is None:
            seen = see(session, checkout_id)
            session.rollback()
        facts = gateway.look_up(checkout_id)

        def work(s: Session, facts: CheckoutFacts = facts, seen: Seen | None = seen) -> Outcome:
            with gathered(s):
                outcome = apply(s, gateway, facts, now, seen)
                if also is not None and outcome is not Outcome.STALE:
                    also(s, outcome)
            return outcome

        outcome = transact(session, work)
        if outcome is not Outcome.STALE:
            return outcome
        seen = None
    raise GatewayUnavailable(f"{checkout_id} keeps changing")


def refresh(session: Session, gateway: PaymentGateway, order_id: int, now: datetime) -> bool:
    """Ask about an order's pages that are not final; false when the provider did not answer."""
    waiting = select(CheckoutAttempt.checkout_id).where(
        CheckoutAttempt.order_id == order_id,
        CheckoutAttempt.state.in_((AttemptState.OPEN, AttemptState.COMPLETE)),
    )
    order = session.get_one(Order, order_id)
    if order.payment_state not in (PaymentState.AWAITING, PaymentState.PROCESSING):
        return True
    checkouts = [each for each in session.scalars(waiting) if each]
    session.rollback()
    try:
        for checkout_id in checkouts:
            learn(session, gateway, checkout_id, now)
    except GatewayError as error:
        log.warning("order %s could not be looked up: %s", order_id, error)
        return False
    return True


def ours(session: Session, facts: CheckoutFacts) -> bool:
    """Whether a checkout bears this shop's mark or is one of its attempts."""
    mark = session.scalar(select(Trader.shop_id))
    found = facts.metadata.get("shop") == mark or any(
        session.scalar(select(attempts.id).where(attempts.checkout_id == facts.checkout_id)) is not None
        for attempts in (CheckoutAttempt, InvoiceAttempt)
    )
    session.rollback()
    return found


def knows(session: Session, intent_id: str) -> bool:
    """Whether a payment has been recorded."""
    found = session.scalar(select(Payment.id).where(Payment.intent_id == intent_id)) is not None
    session.rollback()
    return found


SEE = (
    select(Order.id, Order.sync_version)
    .join(CheckoutAttempt, CheckoutAttempt.order_id == Order.id)
    .where(CheckoutAttempt.checkout_id == bindparam("checkout_id"))
)


def see(session: Session, checkout_id: str) -> Seen | None:
    """Which order a checkout is a page of, as it stands before the provider is asked."""
    found = run(session, SEE, {"checkout_id": checkout_id}).first()
    return Seen(*found) if found else None


def apply(
    session: Session,
    gateway: PaymentGateway,
    facts: CheckoutFacts,
    now: datetime,
    seen: Seen | None = None,
    *,
    lapsing: bool = True,
) -> Outcome:
    """Apply what was fetched, inside one transaction. ``seen`` is the order from before the fetch.

    Whoever closes pages on purpose says himself what becomes of the order: ``lapsing=False``.
    """
    if facts.livemode != gateway.livemode:
        return Outcome.OTHER_MODE
    known = seen or see(session, facts.checkout_id)
    order_id = known.order_id if known else None
    if order_id is None:
        shop_id = trader(session).shop_id
        invoice_id = invoice_arrivals.invoice_of(session, facts, shop_id)
        if invoice_id is not None:
            changed = invoice_arrivals.apply(session, invoice_id, facts, now)
            return Outcome.APPLIED if changed else Outcome.NOTHING_NEW
        if facts.metadata.get("shop") != shop_id:
            return Outcome.STRANGER
        number = read_number(facts.metadata.get("order", ""))
        order_id = session.scalar(select(Order.id).where(Order.number == number)) if number else None
        if order_id is None:
            if not facts.paid:
                return Outcome.IGNORED
            return Outcome.ORPHAN if arrivals.keep_orphan(session, facts, now) else Outcome.NOTHING_NEW
    order, attempt = _locked(session, order_id, facts.checkout_id)
    version = order.sync_version
    if seen is not None and version != seen.version:
        return Outcome.STALE
    attempt = attempt or _recognise(session, order, facts)
    before = _state(order, attempt)
    _apply(session, order, attempt, facts, now, lapsing)
    if _state(order, attempt) == before:
        return Outcome.NOTHING_NEW
    if order.sync_version == version:
        order.sync_version = version + 1
    return Outcome.APPLIED


def _locked(session: Session, order_id: int, checkout_id: str) -> tuple[Order, CheckoutAttempt | None]:
    """An order and the page of it that is known by its id, both locked, by one question."""
    asked = {"order_id": order_id, "checkout_id": checkout_id}
    found = session.execute(PAGE, asked, execution_options={"populate_existing": True}).unique().first()
    if found is None:
        return placing.locked(session, order_id), None
    order, attempt, version = found
    memory.see(session, version)
    mark_locked(session, order)
    return order, attempt


PAGE = (
    placing.LOCKED.add_columns(CheckoutAttempt, memory.VERSION)
    .join(CheckoutAttempt, CheckoutAttempt.order_id == Order.id)
    .options(load_only(CheckoutAttempt.state, CheckoutAttempt.checkout_id))
    .where(CheckoutAttempt.checkout_id == bindparam("checkout_id"))
    .with_for_update(of=(Order, Buyer, OrderLine, CheckoutAttempt))
)


def _state(order: Order, attempt: CheckoutAttempt | None) -> tuple[object, ...]:
    return order.payment_state, order.timeline_count, attempt and (attempt.state, attempt.checkout_id)


def _recognise(session: Session, order: Order, facts: CheckoutFacts) -> CheckoutAttempt | None:
    """The attempt whose answer was lost: same order, same end, no id yet."""
    for attempt in session.scalars(
        select(CheckoutAttempt).where(CheckoutAttempt.order_id == order.id, CheckoutAttempt.checkout_id.is_(None))
    ):
        if attempt.expires_at == facts.expires_at:
            attempt.checkout_id, attempt.url = facts.checkout_id, facts.url
            if attempt.state is AttemptState.NEW:
                attempt.state = AttemptState.OPEN
            session.flush()
            return attempt
    return None


def _apply(
    session: Session,
    order: Order,
    attempt: CheckoutAttempt | None,
    facts: CheckoutFacts,
    now: datetime,
    lapsing: bool,
) -> None:
    if attempt is not None:
        state = attempt.state
        if facts.status == "expired":
            state = AttemptState.CLOSED
        elif facts.status == "complete":
            state = AttemptState.CLOSED if facts.failed or facts.paid else AttemptState.COMPLETE
        put(session, attempt, state=state, checked_at=now)
    if facts.status == "expired" and lapsing:
        _lapse(session, order, now)
    elif facts.paid:
        arrivals.receive(session, order, attempt, facts, now)
    elif facts.failed:
        _failed(session, order, attempt, facts, now)
    elif facts.status == "complete":
        _delayed(session, order, attempt, facts, now)


def waits_for_person(order: Order) -> bool:
    """Whether money has come that disagrees: its copies stay put aside until somebody has looked."""
    return any(each.worry is Worry.AMOUNT_DIFFERS and each.settled_at is None for each in order.concerns)


def _lapse(session: Session, order: Order, now: datetime) -> None:
    """The page can never be paid: the copies go back, unless another page of the order still lives."""
    session.flush()
    other = select(CheckoutAttempt.id).where(
        CheckoutAttempt.order_id == order.id, CheckoutAttempt.state != AttemptState.CLOSED
    )
    waiting = order.payment_state is PaymentState.AWAITING and not waits_for_person(order)
    if waiting and session.scalar(other.limit(1)) is None:
        order.payment_state = after_payment(order.payment_state, Action.EXPIRE)
        placing.expire(session, order, now)


def _delayed(
    session: Session, order: Order, attempt: CheckoutAttempt | None, facts: CheckoutFacts, now: datetime
) -> None:
    """Checkout is complete, the money is on its way: nothing is posted, the copies stay held."""
    if order.payment_state is not PaymentState.AWAITING:
        return
    order.payment_state = after_payment(order.payment_state, Action.WAIT)
    arrivals.keep_buyer(order, facts)
    timeline.note(session, order, "processing", timeline.STRIPE, now)
    arrivals.write(
        session, order, Kind.PAYMENT_DELAYED, f"attempt:{attempt.id if attempt else facts.checkout_id}", now
    )


def _failed(
    session: Session, order: Order, attempt: CheckoutAttempt | None, facts: CheckoutFacts, now: datetime
) -> None:
    """A delayed method's money did not come: the copies go back, unless another page may still bring it."""
    if order.payment_state not in (PaymentState.AWAITING, PaymentState.PROCESSING):
        return
    session.flush()
    hopeful = [AttemptState.COMPLETE]
    if order.payment_state is PaymentState.AWAITING:
        hopeful += [AttemptState.NEW, AttemptState.OPEN]
    other = select(CheckoutAttempt.id).where(
        CheckoutAttempt.order_id == order.id, CheckoutAttempt.state.in_(hopeful)
    )
    if session.scalar(other.limit(1)) is not None:
        return
    order.payment_state = after_payment(order.payment_state, Action.FAIL)
    arrivals.keep_buyer(order, facts)
    placing.let_go(session, order, now)
    timeline.note(session, order, "payment_failed", timeline.STRIPE, now)
    arrivals.write(
        session, order, Kind.PAYMENT_FAILED, f"attempt:{attempt.id if attempt else facts.checkout_id}", now
    )
