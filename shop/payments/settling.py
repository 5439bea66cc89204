"""Settling: what a checkout has become at the provider is applied here and nowhere else.

Webhook, return page, reconciliation and the sweeper all come through ``learn``: the object is fetched afresh with
no transaction open, then the order is locked and everything that follows is one commit.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue import postage
from shop.database import add_once, transact
from shop.errors import GatewayError, GatewayUnavailable, OutOfStock
from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders import placing, timeline
from shop.orders.lifecycle import Action, FulfilmentState, PaymentState, Step, after_payment, after_step
from shop.orders.models import Order, Worry
from shop.orders.numbers import read_number
from shop.orders.snapshot import money_fact, order_facts
from shop.payments import refunds
from shop.payments.gateway import CheckoutFacts, PaymentGateway
from shop.payments.models import AttemptState, CheckoutAttempt, Payment, PaymentRole
from shop.trader import Trader, trader

log = logging.getLogger(__name__)

LOOKS = 4
OVER = placing.OVER


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
    known = select(CheckoutAttempt.id).where(CheckoutAttempt.checkout_id == facts.checkout_id)
    mark = session.scalar(select(Trader.shop_id))
    found = facts.metadata.get("shop") == mark or session.scalar(known) is not None
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
    found = session.execute(SEE, {"checkout_id": checkout_id}).first()
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
        if facts.metadata.get("shop") != trader(session).shop_id:
            return Outcome.STRANGER
        number = read_number(facts.metadata.get("order", ""))
        order_id = session.scalar(select(Order.id).where(Order.number == number)) if number else None
        if order_id is None:
            return _orphan(session, facts, now) if facts.paid else Outcome.IGNORED
    order = placing.locked(session, order_id)
    version = order.sync_version
    if seen is not None and version != seen.version:
        return Outcome.STALE
    attempt = session.scalar(
        PAGE, {"checkout_id": facts.checkout_id}, execution_options={"populate_existing": True}
    ) or _recognise(session, order, facts)
    before = _state(order, attempt)
    _apply(session, order, attempt, facts, now, lapsing)
    if _state(order, attempt) == before:
        return Outcome.NOTHING_NEW
    order.sync_version = version + 1
    return Outcome.APPLIED


PAGE = select(CheckoutAttempt).where(CheckoutAttempt.checkout_id == bindparam("checkout_id"))


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
        attempt.checked_at = now
        if facts.status == "expired":
            attempt.state = AttemptState.CLOSED
        elif facts.status == "complete":
            attempt.state = AttemptState.CLOSED if facts.failed or facts.paid else AttemptState.COMPLETE
    if facts.status == "expired" and lapsing:
        _lapse(session, order, now)
    elif facts.paid:
        receive(session, order, attempt, facts, now)
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
    _keep_buyer(order, facts)
    timeline.note(session, order, "processing", timeline.STRIPE, now)
    _write(session, order, Kind.PAYMENT_DELAYED, f"attempt:{attempt.id if attempt else facts.checkout_id}", now)


def _failed(
    session: Session, order: Order, attempt: CheckoutAttempt | None, facts: CheckoutFacts, now: datetime
) -> None:
    """A delayed method's money did not come: the copies go back."""
    if order.payment_state not in (PaymentState.AWAITING, PaymentState.PROCESSING):
        return
    order.payment_state = after_payment(order.payment_state, Action.FAIL)
    _keep_buyer(order, facts)
    placing.let_go(session, order, now)
    timeline.note(session, order, "payment_failed", timeline.STRIPE, now)
    _write(session, order, Kind.PAYMENT_FAILED, f"attempt:{attempt.id if attempt else facts.checkout_id}", now)


KNOWN = select(Payment.intent_id, Payment.role).where(
    or_(Payment.intent_id == bindparam("intent_id"), Payment.order_id == bindparam("order_id"))
)


def receive(
    session: Session, order: Order, attempt: CheckoutAttempt | None, facts: CheckoutFacts, now: datetime
) -> None:
    """Record the buyer's money once, and do what follows from it. Money is never turned away by an error."""
    with session.no_autoflush:  # what has changed so far goes out with all the rest
        known = session.execute(KNOWN, {"intent_id": facts.intent_id, "order_id": order.id}).all()
    if any(intent_id == facts.intent_id for intent_id, _role in known):
        return
    paid_already = any(role is PaymentRole.ORDER for _intent_id, role in known)
    differs = disagreement(order, facts)
    taken = not paid_already and not differs and _take_copies(session, order, now)
    payment = Payment(
        order_id=order.id,
        attempt_id=attempt.id if attempt else None,
        role=PaymentRole.ORDER if taken else PaymentRole.SURPLUS,
        intent_id=facts.intent_id,
        charge_id=facts.charge_id,
        checkout_id=facts.checkout_id,
        amount=facts.total,
        currency=facts.currency or order.currency,
        card=facts.card,
        received_at=now,
    )
    session.add(payment)
    if taken:
        _paid(session, order, payment, facts, now)
        return
    session.flush()
    if paid_already:
        timeline.note(session, order, "paid_twice", timeline.STRIPE, now, **_sum(payment))
        _give_back(session, order, payment, Worry.PAID_TWICE, Kind.SECOND_PAYMENT_REFUNDED, now)
    elif differs:
        _keep_buyer(order, facts)
        timeline.worry(session, order, Worry.AMOUNT_DIFFERS, now, cause=facts.intent_id, **differs)
    else:
        _keep_buyer(order, facts)
        timeline.note(session, order, "paid_late", timeline.STRIPE, now, **_sum(payment))
        _give_back(session, order, payment, Worry.PAID_LATE, Kind.LATE_PAYMENT_REFUNDED, now)


def adopt(session: Session, order: Order, payment: Payment, facts: CheckoutFacts, now: datetime) -> bool:
    """Let money that was kept without an order pay the one rebuilt for it, if its copies are there.

    Otherwise the order is over, and the money is owed back. Both rows must be locked.
    """
    taken = _take_copies(session, order, now)
    payment.order_id = order.id
    payment.role = PaymentRole.ORDER if taken else PaymentRole.SURPLUS
    session.flush()
    if taken:
        _paid(session, order, payment, facts, now)
    else:
        order.payment_state = after_payment(order.payment_state, Action.EXPIRE)
        _keep_buyer(order, facts)
        timeline.note(session, order, "paid_late", timeline.STRIPE, now, **_sum(payment))
        _give_back(session, order, payment, Worry.PAID_LATE, Kind.LATE_PAYMENT_REFUNDED, now)
    return taken


def disagreement(order: Order, facts: CheckoutFacts) -> dict[str, object]:
    """Where the provider's sums differ from what the order asked for; empty when they agree."""
    asked = (order.currency, order.books_amount, order.postage_amount, order.total.amount)
    came = (facts.currency, facts.books, facts.postage, facts.total)
    if asked == came:
        return {}
    return {
        "asked": asked[3],
        "asked_currency": order.currency.value,
        "came": facts.total,
        "came_currency": facts.currency.value if facts.currency else "",
    }


def _take_copies(session: Session, order: Order, now: datetime) -> bool:
    """Whether an order has its copies: those held, or, when the hold has lapsed, copies that are still there."""
    if not order.holding:
        try:
            with session.begin_nested():
                stock.hold(session, order.copies, order.id, str(timeline.SYSTEM), now)
        except OutOfStock:
            return False
    return True


def _paid(session: Session, order: Order, payment: Payment, facts: CheckoutFacts, now: datetime) -> None:
    """The order is paid. Its copies are allocated last, since everybody else's payment waits for their row."""
    if order.payment_state in OVER:
        timeline.note(session, order, "revived", timeline.SYSTEM, now, after=order.payment_state.value)
    order.payment_state = after_payment(order.payment_state, Action.PAY)
    order.paid_at = now
    order.holding, order.allocated, order.visitor = False, True, ""
    if order.fulfilment_state is not FulfilmentState.TO_POST:
        order.fulfilment_state = after_step(order.fulfilment_state, Step.READY)
    _keep_buyer(order, facts)
    timeline.note(session, order, "paid", timeline.STRIPE, now, **_sum(payment))
    order.sync_version += 1
    session.flush()
    told = order_facts(session, order)
    _write(session, order, Kind.ORDER_PAID, f"payment:{payment.id}", now, told)
    outbox.owe_shopkeepers(session, Kind.NEW_ORDER, f"order:{order.id}:paid", told, now, order.id)
    if refused := _address_refused(session, order):
        timeline.worry(session, order, Worry.ADDRESS_REFUSED, now, cause=str(payment.id), why=refused)
    stock.allocate(session, order.copies, order.id, str(timeline.SYSTEM), now)


def _address_refused(session: Session, order: Order) -> str:
    """Why the address that was paid for may not be served; empty when it may."""
    buyer = order.buyer
    if buyer.country != order.country:
        return "other_country"
    return postage.refusal(session, buyer.country, buyer.postal_code, order.copies)


def _give_back(session: Session, order: Order, payment: Payment, why: Worry, letter: Kind, now: datetime) -> None:
    """Money that cannot buy anything goes back whole; the buyer is written to, the shopkeeper told."""
    refunds.owe(session, payment, payment.amount, why.value, now)
    timeline.tell_shopkeepers(session, order, why, f"payment:{payment.id}", now, **_sum(payment))
    told = order_facts(session, order) | {"refund": money_fact(payment.money)}
    _write(session, order, letter, f"payment:{payment.id}", now, told)


def _orphan(session: Session, facts: CheckoutFacts, now: datetime) -> Outcome:
    """Keep money that bears our mark although its order is not known (a restored backup, say)."""
    # No order can be locked, so the key alone decides between rivals.
    kept = add_once(
        session,
        Payment,
        role=PaymentRole.ORPHAN,
        intent_id=facts.intent_id,
        charge_id=facts.charge_id,
        checkout_id=facts.checkout_id,
        amount=facts.total,
        currency=facts.currency,
        card=facts.card,
        received_at=now,
        facts=dict(facts.metadata),
    )
    if not kept:
        return Outcome.NOTHING_NEW
    log.error("payment %s bears this shop's mark, but its order is not known", facts.intent_id)
    payment = session.scalars(select(Payment).where(Payment.intent_id == facts.intent_id)).one()
    context = {"number": facts.metadata.get("order", ""), "worry": "orphan", "details": _sum(payment)}
    outbox.owe_shopkeepers(session, Kind.ATTENTION, f"orphan:{payment.id}", context, now)
    return Outcome.ORPHAN


def _sum(payment: Payment) -> dict[str, Any]:
    """A payment's sum as timeline and desk letters tell it."""
    return {"amount": payment.amount, "currency": payment.currency.value}


def _keep_buyer(order: Order, facts: CheckoutFacts) -> None:
    buyer, address = order.buyer, facts.address
    buyer.email, buyer.phone = facts.email, facts.phone
    buyer.name, buyer.line1, buyer.line2 = address.name, address.line1, address.line2
    buyer.city, buyer.state = address.city, address.state
    buyer.postal_code, buyer.country = address.postal_code, address.country


def _write(
    session: Session, order: Order, kind: Kind, cause: str, now: datetime, told: dict[str, Any] | None = None
) -> None:
    """Owe the buyer a letter in the order's language; without an address there is nobody to write to."""
    if not order.buyer.email:
        return
    session.flush()
    context = told or order_facts(session, order)
    outbox.owe(session, kind, cause, order.buyer.email, order.market.locale, context, now, order_id=order.id)
