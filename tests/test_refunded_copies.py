"""Refunds by copies: no copy is refunded twice, posted without being paid for, or put back on the shelf twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.orders import fulfilment, placing, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order
from shop.payments import copies, refund_calls, refunds, repetition
from shop.payments.models import RefundState
from tests.factories import Catalogue, make_paid_order
from tests.fake_gateway import FakeGateway
from tests.till import at_once, counters, differences, letters, payments, story
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
REASON = "requested_by_customer"
FULL, FULL_RUSSIAN = (40, 0, 0), (25, 0, 0)
"""Nothing is promised and nothing has left."""
PAPERBACK, RUSSIAN = 1, 2


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """Two paperbacks and one Russian copy to London, paid, not posted."""
    gateway.now = now
    order = make_paid_order(session, gateway, now, paperback=2, russian=1)
    assert [line.quantity for line in order.lines] == [2, 1]
    return order


def ask(session: Session, order: Order, wanted: dict[int, int], now: datetime) -> int:
    return transact(session, refunds.ask_copies, payments(session, order)[0].id, wanted, REASON, ADMIN, now).id


def refund(session: Session, gateway: FakeGateway, order: Order, wanted: dict[int, int], now: datetime) -> int:
    asked = ask(session, order, wanted, now)
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    return asked


def post(session: Session, order: Order, now: datetime) -> None:
    transact(session, fulfilment.post, order.id, "Royal Mail", "AB123", ADMIN, now)
    look(session, order)


def look(session: Session, order: Order) -> None:
    session.rollback()
    session.expire_all()
    session.refresh(order)


def test_unposted_copies_go_back_to_sale_when_stripe_confirms_and_the_rest_is_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, {PAPERBACK: 1}, now)
    look(session, order)
    assert order.refunding
    assert not order.may_be_posted
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PART_REFUNDED, FulfilmentState.TO_POST)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert rows(session)[0].amount == order.lines[0].unit_amount
    assert order.copies == {catalogue.paperback: 1, catalogue.russian: 1}
    assert story(session, order)[-3:] == ["refund_asked", "refunded", "copies_called_off"]
    post(session, order, now)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert counters(session, catalogue.russian) == (24, 0, 0)
    assert differences(session) == []


def test_the_last_copies_take_the_postage_and_end_the_order(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    refund(session, gateway, order, {PAPERBACK: 2}, now)
    refund(session, gateway, order, {RUSSIAN: 1}, now)
    assert rows(session)[1].amount == order.lines[1].unit_amount + order.postage_amount
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.CANCELLED)
    assert (counters(session, catalogue.paperback), counters(session, catalogue.russian)) == (FULL, FULL_RUSSIAN)
    assert len(letters(session, Kind.REFUNDED)) == 2
    assert differences(session) == []


@pytest.mark.parametrize("wanted", [{}, {1: 0}, {1: 3}, {3: 1}, {1: -1}, {1: 1, 2: 2}])
def test_copies_that_are_not_there_are_not_refunded(
    session: Session, order: Order, now: datetime, wanted: dict[int, int]
):
    with pytest.raises(WrongState):
        ask(session, order, wanted, now)
    assert rows(session) == []


@pytest.mark.parametrize("posted", [False, True])
def test_no_copy_is_refunded_twice(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime, posted: bool
):
    if posted:
        post(session, order, now)
    refund(session, gateway, order, {PAPERBACK: 1}, now)
    with pytest.raises(WrongState):
        ask(session, order, {PAPERBACK: 2}, now)
    refund(session, gateway, order, {PAPERBACK: 1}, now)
    with pytest.raises(WrongState):
        ask(session, order, {PAPERBACK: 1}, now)
    assert differences(session) == []


def test_many_asking_for_one_copy_at_once_get_one_refund(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    payment_id = payments(session)[0].id
    session.rollback()
    found = at_once(
        app, 6, lambda s, _: transact(s, refunds.ask_copies, payment_id, {RUSSIAN: 1}, REASON, ADMIN, now).id
    )
    assert sum(isinstance(each, WrongState) for each in found) == 5, found
    assert len(rows(session)) == 1


def test_copies_cannot_cost_more_than_is_left(session: Session, gateway: FakeGateway, order: Order, now: datetime):
    total = order.total.amount
    transact(session, refunds.ask, payments(session)[0].id, total - 100, REASON, ADMIN, now)
    with pytest.raises(WrongState):
        ask(session, order, {PAPERBACK: 1}, now)


def test_copies_of_a_refused_refund_are_posted_after_all(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    gateway.before.extend([GatewayRefused("insufficient_funds")])
    refund(session, gateway, order, {PAPERBACK: 1}, now)
    assert rows(session)[0].state is RefundState.FAILED
    assert not order.refunding
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert copies.refundable(session, order) == {1: 2, 2: 1}
    assert differences(session) == []


def test_copies_of_a_refund_that_failed_later_stay_on_sale(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    refund(session, gateway, order, {PAPERBACK: 1}, now)
    gateway.fail_refund(next(iter(gateway.refunds)))
    for _ in range(2):
        refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    look(session, order)
    assert order.payment_state is PaymentState.PAID
    assert order.needs_attention
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert copies.refundable(session, order) == {1: 1, 2: 1}
    assert differences(session) == []


def test_an_answer_that_was_lost_calls_copies_off_once(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, {PAPERBACK: 1}, now)
    gateway.after.append(GatewayUnavailable("no answer"))
    with pytest.raises(GatewayUnavailable):
        refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    assert not order.may_be_posted
    refund_calls.perform(session, gateway, asked, now + timedelta(hours=1))
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert len(gateway.refunds) == 1
    assert differences(session) == []


def test_all_of_it_going_back_in_the_dashboard_meanwhile_frees_each_copy_once(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, {PAPERBACK: 1}, now)
    gateway.refund_in_dashboard(payments(session)[0].intent_id, order.total.amount)
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.CANCELLED)
    assert (counters(session, catalogue.paperback), counters(session, catalogue.russian)) == (FULL, FULL_RUSSIAN)
    assert differences(session) == []


@pytest.mark.parametrize("by", ["copies", "all", "dashboard"])
def test_posted_copies_come_back_when_somebody_says_so_and_once(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime, by: str
):
    post(session, order, now)
    payment = payments(session)[0]
    if by == "copies":
        refund(session, gateway, order, {PAPERBACK: 2, RUSSIAN: 1}, now)
    elif by == "all":
        asked = transact(session, refunds.ask, payment.id, payment.amount, REASON, ADMIN, now).id
        refund_calls.perform(session, gateway, asked, now)
    else:
        gateway.refund_in_dashboard(payment.intent_id, payment.amount)
        refunds.learn(session, gateway, payment.intent_id, now)
    [made] = rows(session)
    assert made.awaited == 3
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert transact(session, copies.put_back, made.id, ADMIN, now) == 3
    assert (counters(session, catalogue.paperback), counters(session, catalogue.russian)) == (FULL, FULL_RUSSIAN)
    with pytest.raises(WrongState):
        transact(session, copies.put_back, made.id, ADMIN, now)
    assert counters(session, catalogue.paperback) == FULL
    assert story(session, order).count("copies_back") == 1
    look(session, order)
    assert made.awaited == 0
    assert order.fulfilment_state is FulfilmentState.POSTED
    assert differences(session) == []


def test_many_saying_at_once_that_copies_are_back_put_them_back_once(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now)
    asked = refund(session, gateway, order, {PAPERBACK: 1}, now)
    session.rollback()
    found = at_once(app, 6, lambda s, _: transact(s, copies.put_back, asked, ADMIN, now))
    assert sum(isinstance(each, WrongState) for each in found) == 5, found
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []


def test_a_copy_of_a_failed_refund_and_of_the_next_one_comes_back_once(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now)
    first = refund(session, gateway, order, {RUSSIAN: 1}, now)
    gateway.fail_refund(next(iter(gateway.refunds)))
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    second = refund(session, gateway, order, {RUSSIAN: 1}, now)
    transact(session, copies.put_back, second, ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, copies.put_back, first, ADMIN, now)
    assert counters(session, catalogue.russian) == FULL_RUSSIAN
    assert differences(session) == []


def test_unposted_copies_are_not_put_back_by_hand(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = refund(session, gateway, order, {RUSSIAN: 1}, now)
    with pytest.raises(WrongState):
        transact(session, copies.put_back, asked, ADMIN, now)
    assert counters(session, catalogue.russian) == FULL_RUSSIAN


# Refunds that failed, once more


def fails(session: Session, gateway: FakeGateway, order: Order, now: datetime) -> None:
    gateway.fail_refund(list(gateway.refunds)[-1])
    refunds.learn(session, gateway, payments(session)[0].intent_id, now)
    look(session, order)


def repeat(session: Session, gateway: FakeGateway, order: Order, refund_id: int, now: datetime) -> int:
    made = transact(session, repetition.again, refund_id, ADMIN, now).id
    refund_calls.perform(session, gateway, made, now)
    look(session, order)
    return made


def test_a_failed_refund_is_repeated_without_calling_its_copies_off_again(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    """The copies may be sold by now: the money alone goes once more."""
    order_id = order.id
    first = refund(session, gateway, order, {PAPERBACK: 1}, now)
    amount = rows(session)[0].amount
    fails(session, gateway, order, now)
    second = repeat(session, gateway, order, first, now)
    assert [(row.amount, row.state, row.repeats_id) for row in rows(session)] == [
        (amount, RefundState.FAILED, None),
        (amount, RefundState.SUCCEEDED, first),
    ]
    assert order.payment_state is PaymentState.PART_REFUNDED
    assert order.lines[0].called_off == 1
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert story(session, order).count("copies_called_off") == 1
    assert copies.refundable(session, order) == {1: 1, 2: 1}
    assert differences(session) == []
    # The repetition fails as well, and is repeated in its turn.
    order = session.get_one(Order, order_id)
    fails(session, gateway, order, now)
    repeat(session, gateway, order, second, now)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert copies.refundable(session, order) == {1: 1, 2: 1}
    assert differences(session) == []


def test_a_repetition_does_not_keep_the_rest_of_the_order_from_being_posted(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    first = refund(session, gateway, order, {PAPERBACK: 1}, now)
    fails(session, gateway, order, now)
    transact(session, repetition.again, first, ADMIN, now)
    look(session, order)
    assert not order.refunding  # its copies are called off already


def test_a_failed_refund_is_repeated_once(
    app: Flask, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    first = refund(session, gateway, order, {PAPERBACK: 1}, now)
    with pytest.raises(WrongState):  # it has not failed
        transact(session, repetition.again, first, ADMIN, now)
    fails(session, gateway, order, now)
    session.rollback()
    found = at_once(app, 6, lambda s, _: transact(s, repetition.again, first, ADMIN, now).id)
    assert sum(isinstance(each, int) for each in found) == 1, found
    assert all(isinstance(each, int | WrongState) for each in found), found
    assert len(rows(session)) == 2


def test_a_failed_refund_of_everything_is_repeated_and_nothing_is_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = transact(session, refunds.ask, payments(session)[0].id, order.total.amount, REASON, ADMIN, now).id
    refund_calls.perform(session, gateway, asked, now)
    fails(session, gateway, order, now)
    assert order.fulfilment_state is FulfilmentState.CANCELLED
    repeat(session, gateway, order, asked, now)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.CANCELLED)
    assert counters(session, catalogue.paperback) == FULL
    assert differences(session) == []


def test_posted_copies_of_a_failed_refund_go_over_to_its_repetition(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now)
    first = refund(session, gateway, order, {PAPERBACK: 1}, now)
    fails(session, gateway, order, now)
    second = repeat(session, gateway, order, first, now)
    assert copies.refundable(session, order) == {1: 1, 2: 1}
    with pytest.raises(WrongState):
        transact(session, copies.put_back, first, ADMIN, now)
    assert transact(session, copies.put_back, second, ADMIN, now) == 1
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []


def test_a_failed_refund_is_not_repeated_when_its_copies_were_refunded_otherwise(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now)
    first = refund(session, gateway, order, {PAPERBACK: 2}, now)
    fails(session, gateway, order, now)
    refund(session, gateway, order, {PAPERBACK: 1}, now)
    with pytest.raises(WrongState):
        transact(session, repetition.again, first, ADMIN, now)
    assert differences(session) == []


def test_a_refusal_repeated_after_posting_is_about_every_copy_that_was_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    """While it was refused the parcel has left, so what comes back must be asked about."""
    asked = transact(session, refunds.ask, payments(session)[0].id, order.total.amount, REASON, ADMIN, now).id
    gateway.before.append(GatewayRefused("charge_disputed", "the bank has it"))
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)

    def looked_at(s: Session) -> None:
        locked = placing.locked(s, order.id)
        for concern in locked.concerns:
            timeline.settle_worry(s, locked, concern, ADMIN, now)

    transact(session, looked_at)
    post(session, order, now)
    made = repeat(session, gateway, order, asked, now)
    assert order.payment_state is PaymentState.REFUNDED
    assert rows(session)[1].awaited == 3
    assert transact(session, copies.put_back, made, ADMIN, now) == 3
    assert counters(session, catalogue.paperback) == FULL
    assert differences(session) == []


def test_what_the_dashboard_gave_back_last_is_about_the_copies_however_rows_lie_in_the_table(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """A row that was changed lies behind newer ones in PostgreSQL, and is not the last refund for that."""
    order_id, payment = order.id, payments(session)[0]
    payment_id, intent_id, rest = payment.id, payment.intent_id, payment.amount - 500
    post(session, order, now)
    ours = transact(session, refunds.ask, payment_id, 500, REASON, ADMIN, now).id
    gateway.refund_in_dashboard(intent_id, rest)
    refunds.learn(session, gateway, intent_id, now)
    session.execute(text("ANALYZE refund"))  # so that the table is read as it lies
    session.commit()
    refund_calls.perform(session, gateway, ours, now)
    assert session.get_one(Order, order_id, populate_existing=True).payment_state is PaymentState.REFUNDED
    assert [row.awaited for row in rows(session)] == [0, 3]
    assert differences(session) == []
