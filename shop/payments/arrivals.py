"""Arrivals: money that has come, and what follows from it. It is never turned away by an error.

First and matching → the order is paid; late → its copies are taken again or the money goes back; a second payment →
goes back, the order unchanged; disagreeing → a person looks; without an order → kept as an orphan. Whoever calls has
locked the order.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from shop import stock
from shop.catalogue import postage
from shop.database import add_once, beside, insert_once, put, run
from shop.errors import OutOfStock
from shop.letters import outbox
from shop.letters.models import Kind
from shop.money import Money
from shop.orders import placing, terms, timeline
from shop.orders.folding import searchable
from shop.orders.lifecycle import Action, FulfilmentState, PaymentState, Step, after_payment, after_step
from shop.orders.models import Order, Worry
from shop.orders.snapshot import money_fact, order_facts
from shop.payments import refunds
from shop.payments.gateway import CheckoutFacts
from shop.payments.models import CheckoutAttempt, Payment, PaymentRole

log = logging.getLogger(__name__)

KNOWN = select(Payment.intent_id, Payment.role).where(
    or_(Payment.intent_id == bindparam("intent_id"), Payment.order_id == bindparam("order_id"))
)


def receive(
    session: Session, order: Order, attempt: CheckoutAttempt | None, facts: CheckoutFacts, now: datetime
) -> None:
    """Record the buyer's money once, and do what follows from it. Money is never turned away by an error."""
    differs = disagreement(order, facts)
    if order.holding and order.payment_state in UNPAID and not differs:
        payment_id = _record(session, order, attempt, PaymentRole.ORDER, facts, now)
        if payment_id is not None:
            _paid(session, order, payment_id, facts, now)
            return
        # A key is taken: this money is known already, or other money has paid.
    known = run(session, KNOWN, {"intent_id": facts.intent_id, "order_id": order.id}).all()
    if any(intent_id == facts.intent_id for intent_id, _role in known):
        return
    paid_already = any(role is PaymentRole.ORDER for _intent_id, role in known)
    taken = not paid_already and not differs and _take_copies(session, order, now)
    role = PaymentRole.ORDER if taken else PaymentRole.SURPLUS
    payment_id = _record(session, order, attempt, role, facts, now)
    if taken and payment_id is not None:
        _paid(session, order, payment_id, facts, now)
        return
    payment = session.get_one(Payment, payment_id)
    money = payment.money
    if paid_already:
        timeline.note(session, order, "paid_twice", timeline.STRIPE, now, **money_fact(money))
        _give_back(session, order, payment, Worry.PAID_TWICE, Kind.SECOND_PAYMENT_REFUNDED, now)
    elif differs:
        keep_buyer(order, facts)
        timeline.worry(session, order, Worry.AMOUNT_DIFFERS, now, cause=facts.intent_id, **differs)
    else:
        keep_buyer(order, facts)
        timeline.note(session, order, "paid_late", timeline.STRIPE, now, **money_fact(money))
        _give_back(session, order, payment, Worry.PAID_LATE, Kind.LATE_PAYMENT_REFUNDED, now)


UNPAID = (PaymentState.AWAITING, PaymentState.PROCESSING)


def _record(
    session: Session,
    order: Order,
    attempt: CheckoutAttempt | None,
    role: PaymentRole,
    facts: CheckoutFacts,
    now: datetime,
) -> int | None:
    """Write the payment's row; answers its id, or nothing when its key is taken."""
    row: dict[str, Any] = {
        "order_id": order.id,
        "attempt_id": attempt.id if attempt else None,
        "role": role,
        "intent_id": facts.intent_id,
        "charge_id": facts.charge_id,
        "checkout_id": facts.checkout_id,
        "amount": facts.total,
        "currency": facts.currency or order.currency,
        "card": facts.card,
        "received_at": now,
        "facts": {},
    }
    return beside(session, _recorded(session.get_bind().dialect.name), row).scalar()


@cache
def _recorded(dialect: str) -> ReturningInsert[tuple[int]]:
    return insert_once(Payment, dialect).returning(Payment.id)


def adopt(session: Session, order: Order, payment: Payment, facts: CheckoutFacts, now: datetime) -> bool:
    """Let money that was kept without an order pay the one rebuilt for it, if its copies are there.

    Otherwise the order is over, and the money is owed back. Both rows must be locked.
    """
    taken = _take_copies(session, order, now)
    payment.order_id = order.id
    payment.role = PaymentRole.ORDER if taken else PaymentRole.SURPLUS
    session.flush()
    if taken:
        _paid(session, order, payment.id, facts, now)
    else:
        order.payment_state = after_payment(order.payment_state, Action.EXPIRE)
        keep_buyer(order, facts)
        timeline.note(session, order, "paid_late", timeline.STRIPE, now, **money_fact(payment.money))
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


def _paid(session: Session, order: Order, payment_id: int, facts: CheckoutFacts, now: datetime) -> None:
    """The order is paid. Its copies are allocated last, since everybody else's payment waits for their row.

    Nearly every payment goes this way, and fast: it reads first, and then writes each row once.
    """
    money = Money(facts.total, facts.currency or order.currency)
    people = outbox.shopkeepers(session)
    if order.payment_state in placing.OVER:
        timeline.note(session, order, "revived", timeline.SYSTEM, now, after=order.payment_state.value)
    entry = timeline.append(session, order, "paid", timeline.STRIPE, now, **money_fact(money))
    fulfilment_state = order.fulfilment_state
    if fulfilment_state is not FulfilmentState.TO_POST:
        fulfilment_state = after_step(fulfilment_state, Step.READY)
    put(
        session,
        order,
        payment_state=after_payment(order.payment_state, Action.PAY),
        fulfilment_state=fulfilment_state,
        paid_at=now,
        holding=False,
        allocated=True,
        visitor="",
        sync_version=order.sync_version + 1,
        **entry,
    )
    found_by = order.buyer.search
    put(session, order.buyer, **told_of_buyer(order, facts))
    terms.follow_buyer(session, order, found_by)
    refused = _address_refused(session, order)
    told = order_facts(session, order)
    letters = [
        (Kind.NEW_ORDER, f"order:{order.id}:paid", each.email, each.locale, each.due_at(Kind.NEW_ORDER, now), told)
        for each in people
    ]
    if order.buyer.email:
        to = order.buyer.email
        confirmed = told | {"held_back": True} if refused else told  # no day of posting is promised then
        letters.insert(0, (Kind.ORDER_PAID, f"payment:{payment_id}", to, order.market.locale, now, confirmed))
    outbox.owe_all(
        session,
        [
            outbox.letter_row(kind, cause, to, locale, context, now, order_id=order.id, due_at=due_at)
            for kind, cause, to, locale, due_at, context in letters
        ],
    )
    if refused:
        timeline.worry(session, order, Worry.ADDRESS_REFUSED, now, cause=str(payment_id), why=refused)
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
    timeline.tell_shopkeepers(session, order, why, f"payment:{payment.id}", now, **money_fact(payment.money))
    told = order_facts(session, order) | {"refund": money_fact(payment.money)}
    write(session, order, letter, f"payment:{payment.id}", now, told)


def keep_orphan(session: Session, facts: CheckoutFacts, now: datetime) -> bool:
    """Keep money that bears our mark although its order is not known (a restored backup, say); false when it is
    kept already."""
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
        return False
    log.error("payment %s bears this shop's mark, but its order is not known", facts.intent_id)
    payment = session.scalars(select(Payment).where(Payment.intent_id == facts.intent_id)).one()
    context = {"number": facts.metadata.get("order", ""), "worry": "orphan", "details": money_fact(payment.money)}
    outbox.owe_shopkeepers(session, Kind.ATTENTION, f"orphan:{payment.id}", context, now)
    return True


def keep_buyer(order: Order, facts: CheckoutFacts) -> None:
    """Take over what the buyer told the provider of himself."""
    for name, value in told_of_buyer(order, facts).items():
        setattr(order.buyer, name, value)


def told_of_buyer(order: Order, facts: CheckoutFacts) -> dict[str, str]:
    """What the buyer told the provider of himself, by the names of our columns."""
    address = facts.address
    return {
        "email": facts.email,
        "phone": facts.phone,
        "name": address.name,
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "country": address.country,
        "search": searchable(address.name, facts.email, address.city, order.buyer.purchase_order),
    }


def write(
    session: Session, order: Order, kind: Kind, cause: str, now: datetime, told: dict[str, Any] | None = None
) -> None:
    """Owe the buyer a letter in the order's language; without an address there is nobody to write to."""
    if not order.buyer.email:
        return
    session.flush()
    context = told or order_facts(session, order)
    outbox.owe(session, kind, cause, order.buyer.email, order.market.locale, context, now, order_id=order.id)
