"""Refunds: never more than came in, never twice, and always what the provider's list says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from shop import worker
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, Worry
from shop.payments import refund_calls, refunds
from shop.payments.gateway import RefundFacts
from shop.payments.models import Payment, Refund, RefundSource, RefundState
from tests.client import Client
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import at_once, counters, deliver, differences, letters, payments, story
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
AWAY = GatewayUnavailable("no answer")
REASON = "requested_by_customer"
TOTAL = 2550
HOUR = timedelta(hours=1)


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """One paperback to London, paid, not posted: £25.50."""
    gateway.now = now
    order = make_paid_order(session, gateway, now)
    assert order.total.amount == TOTAL
    return order


def ask(session: Session, order: Order, amount: int, now: datetime) -> int:
    """Decide a refund of the order's payment; answers its row's id."""
    payment = next(each for each in payments(session, order) if each.role.value == "order")
    return transact(session, refunds.ask, payment.id, amount, REASON, ADMIN, now).id


def state(session: Session, order: Order) -> tuple[PaymentState, FulfilmentState]:
    session.rollback()
    session.refresh(order)
    return order.payment_state, order.fulfilment_state


def post(session: Session, order: Order, now: datetime) -> None:
    transact(session, fulfilment.post, order.id, "Royal Mail", "AB123", ADMIN, now)


REFUNDED = (PaymentState.REFUNDED, FulfilmentState.CANCELLED)
PAID = (PaymentState.PAID, FulfilmentState.TO_POST)


def test_a_full_refund_before_posting_gives_the_copies_back_in_the_same_commit(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    refund = ask(session, order, TOTAL, now)
    assert state(session, order) == PAID
    assert order.refunding
    refund_calls.perform(session, gateway, refund, now)
    assert state(session, order) == REFUNDED
    assert not order.refunding
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert story(session, order)[-3:] == ["refund_asked", "refunded", "fulfilment_cancelled"]
    [letter] = letters(session, Kind.REFUNDED)
    assert letter.context["refund"] == {"amount": TOTAL, "currency": "GBP"}
    assert letter.context["full"] is True
    assert differences(session) == []


@pytest.mark.parametrize("kind", ["charge.refunded", "refund.created"])
def test_a_full_refund_made_in_the_dashboard_does_the_same(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, kind: str
):
    payment = payments(session)[0]
    made = gateway.refund_in_dashboard(payment.intent_id, TOTAL)
    object_id = payment.charge_id if kind == "charge.refunded" else made.provider_id
    assert deliver(client, gateway, kind, object_id, times=2).status_code == 200
    assert state(session, order) == REFUNDED
    [row] = rows(session)
    assert (row.source, row.state, row.provider_id) == (
        RefundSource.DASHBOARD,
        RefundState.SUCCEEDED,
        made.provider_id,
    )
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert len(letters(session, Kind.REFUNDED)) == 1
    assert differences(session) == []


def test_events_about_one_refund_apply_it_once(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    refund = ask(session, order, 1000, now)
    refund_calls.perform(session, gateway, refund, now)
    [made] = gateway.refunds
    for kind, thing in (
        ("refund.created", made),
        ("charge.refunded", payments(session)[0].charge_id),
        ("refund.updated", made),
    ):
        assert deliver(client, gateway, kind, thing).status_code == 200
    assert state(session, order) == (PaymentState.PART_REFUNDED, FulfilmentState.TO_POST)
    assert [(row.amount, row.state) for row in rows(session)] == [(1000, RefundState.SUCCEEDED)]
    assert len(letters(session, Kind.REFUNDED)) == 1
    assert differences(session) == []


def test_several_partial_refunds_add_up_to_a_full_one(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    for part in (500, 50):
        refund_calls.perform(session, gateway, ask(session, order, part, now), now)
        assert state(session, order) == (PaymentState.PART_REFUNDED, FulfilmentState.TO_POST)
        assert order.may_be_posted
    assert refunds.refundable(session, payments(session)[0]) == 2000
    gateway.refund_in_dashboard(payments(session)[0].intent_id, 400)
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    refund_calls.perform(session, gateway, ask(session, order, 1600, now), now)
    assert state(session, order) == REFUNDED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert [letter.context["full"] for letter in letters(session, Kind.REFUNDED)] == [False] * 4
    assert gateway.left(payments(session)[0].intent_id) == 0
    assert differences(session) == []


def test_a_part_refunded_order_can_be_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    refund_calls.perform(session, gateway, ask(session, order, 100, now), now)
    post(session, order, now)
    assert state(session, order) == (PaymentState.PART_REFUNDED, FulfilmentState.POSTED)
    assert differences(session) == []


def test_a_full_refund_after_posting_gives_no_copies_back(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    refund_calls.perform(session, gateway, ask(session, order, TOTAL, now), now)
    assert state(session, order) == (PaymentState.REFUNDED, FulfilmentState.POSTED)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []


@pytest.mark.parametrize("amount", [0, -1, TOTAL + 1])
def test_no_refund_of_nothing_or_of_more_than_came(session: Session, order: Order, now: datetime, amount: int):
    with pytest.raises(WrongState):
        ask(session, order, amount, now)
    assert rows(session) == []


def test_what_is_promised_cannot_be_promised_again(session: Session, order: Order, now: datetime):
    ask(session, order, 2000, now)
    with pytest.raises(WrongState):
        ask(session, order, 551, now)
    ask(session, order, 550, now)
    session.refresh(order)
    assert order.refunding
    with pytest.raises(WrongState):
        post(session, order, now)


def test_two_people_asking_for_everything_at_once_get_one_refund(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    payment_id = payments(session)[0].id
    session.rollback()

    def work(s: Session, _: int) -> int:
        return transact(s, refunds.ask, payment_id, TOTAL, REASON, ADMIN, now).id

    found = at_once(app, 6, work)
    assert sum(isinstance(each, WrongState) for each in found) == 5, found
    assert [row.amount for row in rows(session)] == [TOTAL]


def test_two_workers_performing_one_refund_do_it_once(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    refund = ask(session, order, 1000, now)
    session.rollback()
    found = at_once(app, 6, lambda s, _: refund_calls.perform(s, gateway, refund, now))
    assert found == [None] * 6
    assert gateway.calls.count("refund") == 1
    assert [each.amount for each in gateway.refunds.values()] == [1000]
    assert [row.state for row in rows(session)] == [RefundState.SUCCEEDED]


def test_a_refund_that_somebody_has_in_hand_is_left_alone(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    """While one worker waits for the provider's answer, another must not ask as well."""
    refund, asked = ask(session, order, 1000, now), []

    def slow(*words: object) -> RefundFacts:
        asked.append(words)
        if len(asked) == 1:
            assert refund_calls.due(session, now) == []
            with Session(session.get_bind()) as other:
                refund_calls.perform(other, gateway, refund, now)
        return FakeGateway.refund(gateway, *words)  # type: ignore[arg-type]

    gateway.refund = slow  # type: ignore[method-assign, assignment]
    try:
        refund_calls.perform(session, gateway, refund, now)
    finally:
        del gateway.refund
    assert len(asked) == 1
    assert state(session, order)[0] is PaymentState.PART_REFUNDED


def test_posting_against_refunding_one_of_them_wins(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    """Whatever comes first, a refunded order is not posted."""
    order_id, payment_id = order.id, payments(session)[0].id
    session.rollback()

    def work(s: Session, number: int) -> str:
        if number % 2:
            transact(s, fulfilment.post, order_id, "", "", ADMIN, now)
            return "posted"
        refund = transact(s, refunds.ask, payment_id, TOTAL, REASON, ADMIN, now)
        refund_calls.perform(s, gateway, refund.id, now)
        return "refunded"

    found = at_once(app, 4, work)
    assert found.count("refunded") == 1, found
    ended = state(session, order)
    assert ended[0] is PaymentState.REFUNDED
    assert ended[1] is (FulfilmentState.POSTED if "posted" in found else FulfilmentState.CANCELLED)
    assert counters(session, catalogue.paperback) == ((39, 0, 0) if "posted" in found else (40, 0, 0))
    assert differences(session) == []


@pytest.mark.parametrize("queue", ["before", "after"])
def test_a_refund_whose_answer_was_lost_is_asked_for_again_with_its_key_and_made_once(
    session: Session, catalogue: Catalogue, order: Order, now: datetime, gateway: FakeGateway, queue: str
):
    keys: list[str] = []
    original = gateway.refund

    class Keyed:
        """The same provider, remembering the keys it was asked with."""

        def __getattr__(self, name: str) -> object:
            return getattr(gateway, name)

        def refund(
            self, key: str, intent: str, amount: int, reason: str, metadata: Mapping[str, str]
        ) -> RefundFacts:
            keys.append(key)
            return original(key, intent, amount, reason, metadata)

    keyed = Keyed()
    refund = ask(session, order, TOTAL, now)
    getattr(gateway, queue).append(AWAY)
    with pytest.raises(GatewayUnavailable):
        refund_calls.perform(session, keyed, refund, now)  # type: ignore[arg-type]
    row = session.get_one(Refund, refund)
    assert (row.state, row.claimed_until) == (RefundState.OWED, None)
    assert row.next_try_at > now
    assert state(session, order) == PAID
    assert refund_calls.due(session, now) == []
    [due] = refund_calls.due(session, now + HOUR)
    refund_calls.perform(session, keyed, due, now + HOUR)  # type: ignore[arg-type]
    assert state(session, order) == REFUNDED
    assert len(gateway.refunds) == 1
    assert set(keys) == {row.key}
    assert len(keys) == (2 if queue == "before" else 1)
    assert len(letters(session, Kind.REFUNDED)) == 1
    assert differences(session) == []


def test_a_refund_whose_worker_died_after_the_call_is_found_even_when_the_key_is_forgotten(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    refund = ask(session, order, 1000, now)

    class Killed(Exception):
        """The process ended."""

    def call_and_die(*asked: object) -> None:
        FakeGateway.refund(gateway, *asked)  # type: ignore[arg-type]
        raise Killed

    gateway.refund = call_and_die  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(Killed):
            refund_calls.perform(session, gateway, refund, now)
    finally:
        del gateway.refund
    assert refund_calls.due(session, now) == []  # somebody still has it in hand, for all anybody knows
    gateway._by_key.clear()  # a day later the provider has forgotten the key
    [due] = refund_calls.due(session, now + 25 * HOUR)
    refund_calls.perform(session, gateway, due, now + 25 * HOUR)
    assert [each.amount for each in gateway.refunds.values()] == [1000]
    assert state(session, order)[0] is PaymentState.PART_REFUNDED


def test_a_refund_the_provider_refuses_waits_for_a_person(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    refund = ask(session, order, TOTAL, now)
    gateway.before.append(GatewayRefused("charge_disputed", "no"))
    refund_calls.perform(session, gateway, refund, now)
    row = session.get_one(Refund, refund)
    assert (row.state, row.failure) == (RefundState.FAILED, "charge_disputed")
    assert state(session, order) == PAID
    assert (order.refunding, order.needs_attention) == (False, True)
    assert [concern.worry for concern in order.concerns] == [Worry.REFUND_FAILED]
    assert letters(session, Kind.REFUNDED) == []
    assert len(letters(session, Kind.ATTENTION)) == 1
    assert refunds.refundable(session, payments(session)[0]) == TOTAL
    assert differences(session) == []


def test_a_refund_that_was_already_made_in_the_dashboard_is_no_trouble(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    refund = ask(session, order, TOTAL, now)
    gateway.refund_in_dashboard(payments(session)[0].intent_id, TOTAL)
    refund_calls.perform(session, gateway, refund, now)
    assert [(row.state, row.failure) for row in rows(session)] == [
        (RefundState.FAILED, "charge_already_refunded"),
        (RefundState.SUCCEEDED, ""),
    ]
    assert state(session, order) == REFUNDED
    assert not order.needs_attention
    assert len(letters(session, Kind.REFUNDED)) == 1
    assert differences(session) == []


def test_a_disputed_payment_is_not_refunded(
    client: Client, session: Session, order: Order, gateway: FakeGateway, now: datetime
):
    page = next(iter(gateway.checkouts.values()))
    deliver(client, gateway, "charge.dispute.created", gateway.dispute(page).provider_id)
    with pytest.raises(WrongState):
        ask(session, order, TOTAL, now)


def test_a_refund_may_be_pending_then_succeed_then_fail(
    client: Client, session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    payment = payments(session)[0]
    made = gateway.refund_in_dashboard(payment.intent_id, TOTAL)
    turn(gateway, made, "pending")
    deliver(client, gateway, "refund.created", made.provider_id)
    assert state(session, order) == REFUNDED
    assert rows(session)[0].state is RefundState.PENDING
    turn(gateway, made, "succeeded")
    deliver(client, gateway, "refund.updated", made.provider_id)
    assert rows(session)[0].state is RefundState.SUCCEEDED
    assert len(letters(session, Kind.REFUNDED)) == 1
    gateway.fail_refund(made.provider_id)
    deliver(client, gateway, "refund.failed", made.provider_id, times=2)
    assert state(session, order) == (PaymentState.PAID, FulfilmentState.CANCELLED)
    assert [concern.worry for concern in order.concerns] == [Worry.REFUND_FAILED]
    assert [letter.cause for letter in letters(session, Kind.REFUND_FAILED)] == [f"refund:{rows(session)[0].id}"]
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert refunds.refundable(session, payment) == TOTAL
    session.rollback()
    with pytest.raises(WrongState):
        post(session, order, now)
    assert differences(session) == []


def test_a_refund_that_failed_can_be_made_anew(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    refund_calls.perform(session, gateway, ask(session, order, TOTAL, now), now)
    gateway.fail_refund(next(iter(gateway.refunds)))
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    refund_calls.perform(session, gateway, ask(session, order, TOTAL, now), now)
    assert state(session, order) == REFUNDED
    assert [row.state for row in rows(session)] == [RefundState.FAILED, RefundState.SUCCEEDED]
    assert len({row.key for row in rows(session)}) == 2
    assert len(letters(session, Kind.REFUNDED)) == 2
    assert differences(session) == []


def test_one_of_two_refunds_failing_leaves_the_other(
    session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway, now: datetime
):
    for part in (1000, 1550):
        refund_calls.perform(session, gateway, ask(session, order, part, now), now)
    assert state(session, order) == REFUNDED
    gateway.fail_refund(next(iter(gateway.refunds)))
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    assert state(session, order) == (PaymentState.PART_REFUNDED, FulfilmentState.CANCELLED)
    assert differences(session) == []


def test_news_of_a_refund_before_news_of_the_payment_settles_the_payment_first(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = gateway.checkouts[pay(session, gateway, order)]
    made = gateway.refund_in_dashboard(page.intent_id, TOTAL)
    assert deliver(client, gateway, "charge.refunded", page.charge_id).status_code == 200
    assert state(session, order) == REFUNDED
    deliver(client, gateway, "checkout.session.completed", page.checkout_id)
    deliver(client, gateway, "refund.created", made.provider_id)
    assert state(session, order) == REFUNDED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert [letter.kind for letter in letters(session)] == [Kind.ORDER_PAID, Kind.REFUNDED]
    assert differences(session) == []


def test_a_refund_of_money_that_came_another_way_is_a_strangers(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    made = gateway.refund_in_dashboard("pi_of_an_invoice", 100)
    assert deliver(client, gateway, "refund.created", made.provider_id).status_code == 200
    assert rows(session) == []


def test_nothing_is_posted_while_all_of_its_money_is_owed_back(session: Session, order: Order, now: datetime):
    ask(session, order, TOTAL, now)
    session.refresh(order)
    assert not order.may_be_posted
    with pytest.raises(WrongState):
        post(session, order, now)


def test_a_parcel_is_posted_once(session: Session, catalogue: Catalogue, order: Order, now: datetime):
    post(session, order, now)
    with pytest.raises(WrongState):
        post(session, order, now)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert len(letters(session, Kind.POSTED)) == 1
    assert differences(session) == []


def test_two_people_posting_at_once_post_one_parcel(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    order_id = order.id
    session.rollback()
    found = at_once(app, 5, lambda s, _: transact(s, fulfilment.post, order_id, "", "", ADMIN, now).id)
    assert sum(isinstance(each, WrongState) for each in found) == 4, found
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert len(letters(session, Kind.POSTED)) == 1


def test_the_refund_of_an_order_nobody_knows_is_kept(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """An orphan's money can be given back like any other."""
    order = make_paid_order(session, gateway)
    payment = payments(session)[0]
    orphan = Payment(
        role="orphan",
        intent_id="pi_orphan",
        charge_id="ch_orphan",
        amount=100,
        currency=payment.currency,
        received_at=now,
    )
    session.add(orphan)
    session.commit()
    gateway.checkouts["cs_orphan"] = type(next(iter(gateway.checkouts.values())))(
        "cs_orphan", False, "complete", True, payment.currency, 100, 0, 100, "pi_orphan", "ch_orphan", ""
    )
    refund = transact(session, refunds.ask, orphan.id, 100, REASON, ADMIN, now)
    refund_calls.perform(session, gateway, refund.id, now)
    assert [row.state for row in rows(session)] == [RefundState.SUCCEEDED]
    assert gateway.left("pi_orphan") == 0
    assert state(session, order) == PAID


def test_an_older_list_of_refunds_does_not_undo_a_newer_one(
    session: Session, catalogue: Catalogue, order: Order, now: datetime, gateway: FakeGateway
):
    """Listed as succeeded; before that is applied, the refund fails and somebody else applies it."""
    refund_calls.perform(session, gateway, ask(session, order, TOTAL, now), now)
    [made] = gateway.refunds.values()
    turn(gateway, made, "pending")
    refunds.learn(session, gateway, made.intent_id, now)
    turn(gateway, made, "succeeded")
    rival_was = threading.Event()
    original = gateway.refunds_of

    def overtaken(intent_id: str) -> list[RefundFacts]:
        listed = original(intent_id)
        if not rival_was.is_set():
            rival_was.set()
            gateway.fail_refund(made.provider_id)
            with Session(session.get_bind()) as other:
                refunds.learn(other, gateway, intent_id, now)
        return listed

    gateway.refunds_of = overtaken  # type: ignore[method-assign]
    try:
        refunds.learn(session, gateway, made.intent_id, now)
    finally:
        del gateway.refunds_of
    assert state(session, order) == (PaymentState.PAID, FulfilmentState.CANCELLED)
    assert rows(session)[0].state is RefundState.FAILED


def test_the_worker_performs_what_is_owed(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, gateway: FakeGateway
):
    ask(session, order, TOTAL, datetime.now(UTC))
    worker.Worker(app).round()
    assert state(session, order) == REFUNDED


def turn(gateway: FakeGateway, made: RefundFacts, status: str) -> None:
    """Give a refund another status at the provider."""
    fields = {name: getattr(made, name) for name in ("provider_id", "intent_id", "amount", "metadata", "created")}
    gateway.refunds[made.provider_id] = RefundFacts(**fields, status=status)


def test_the_few_that_wait_are_found_by_an_index_among_all_that_went_back(
    session: Session, order: Order, now: datetime
):
    gone = {"payment_id": payments(session, order)[0].id, "state": RefundState.SUCCEEDED, "asked_at": now}
    gone |= {"source": RefundSource.ADMIN, "amount": 1, "next_try_at": now}
    rows_of = [{"key": f"key {number}"} | gone for number in range(2000)]
    transact(session, lambda s: s.execute(insert(Refund), rows_of))
    transact(session, lambda s: s.execute(text("ANALYZE refund")))
    late = select(func.count()).where(Refund.state == RefundState.OWED, Refund.next_try_at < now)
    explain = "EXPLAIN QUERY PLAN" if session.get_bind().dialect.name == "sqlite" else "EXPLAIN"
    for asked in (refund_calls.waiting(now), late):
        written = asked.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(str(row[-1]) for row in session.execute(text(f"{explain} {written}")))
        assert "ix_refund_waiting" in plan, plan


def test_a_refund_of_a_payment_that_stripe_does_not_know_is_tried_less_and_less_often(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """After a move to another account, say, nothing but the lease would stand between two tries."""
    asked = ask(session, order, 100, now)
    unknown = GatewayRefused("resource_missing", "no such payment")
    pauses, at = [], now
    for _ in range(9):
        gateway.before.extend([unknown] * 2)
        with pytest.raises(GatewayRefused):
            refund_calls.perform(session, gateway, asked, at)
        gateway.before.clear()
        session.expire_all()
        [row] = rows(session)
        assert (row.state, row.failure, row.claimed_until) == (RefundState.OWED, "resource_missing", None)
        assert row.next_try_at is not None
        pauses.append(row.next_try_at - at)
        assert refund_calls.due(session, row.next_try_at - timedelta(seconds=1)) == []
        at = row.next_try_at
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(minutes=1), HOUR)
    refund_calls.perform(session, gateway, asked, at)
    session.expire_all()
    assert [(row.state, row.failure) for row in rows(session)] == [(RefundState.SUCCEEDED, "")]
    assert differences(session) == []


def test_a_list_that_was_not_answered_after_the_refund_does_not_leave_it_claimed(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, 100, now)
    gateway.before.extend([None, AWAY])
    with pytest.raises(GatewayUnavailable):
        refund_calls.perform(session, gateway, asked, now)
    session.expire_all()
    assert rows(session)[0].claimed_until is None
    refund_calls.perform(session, gateway, asked, now + HOUR)
    session.expire_all()
    assert [row.state for row in rows(session)] == [RefundState.SUCCEEDED]
    assert len(gateway.refunds) == 1


@pytest.mark.parametrize("amount", [TOTAL, 50])
def test_a_refund_that_had_failed_before_anybody_heard_of_it_ends_as_one_that_was_seen(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime, amount: int
):
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, amount)
    gateway.fail_refund(made.provider_id)
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.PAID, True)
    posted = FulfilmentState.CANCELLED if amount == TOTAL else FulfilmentState.TO_POST
    assert order.fulfilment_state is posted
    assert counters(session, catalogue.paperback) == ((40, 0, 0) if amount == TOTAL else (40, 0, 1))
    assert differences(session) == []
