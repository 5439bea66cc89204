"""Refunds that were decided at the desk can be taken back, until Stripe is told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import OutOfStock, WrongState
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import copies, refund_calls, refunds, repetition, second_thoughts
from shop.payments.models import RefundState
from tests.factories import Catalogue, make_order, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.till import at_once, counters, differences, payments, story
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
GRACE = timedelta(seconds=60)
SOON = timedelta(seconds=59)


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    gateway.now = now
    return make_paid_order(session, gateway, now, paperback=2)


def ask(
    session: Session, order: Order, now: datetime, amount: int = 0, wanted: dict[int, int] | None = None
) -> int:
    payment = payments(session, order)[0]

    def work(s: Session) -> int:
        sum_asked = copies.price(s, s.get_one(Order, order.id), wanted) if wanted else amount or payment.amount
        return refunds.ask(s, payment.id, sum_asked, "other", ADMIN, now, copies=wanted, grace=GRACE).id

    return transact(session, work)


def look(session: Session, order: Order) -> Order:
    session.rollback()
    session.expire_all()
    session.refresh(order)
    return order


def test_stripe_is_not_told_before_the_time_has_run_out(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, now)
    assert refund_calls.due(session, now + SOON) == []
    refund_calls.perform(session, gateway, asked, now + SOON)
    assert rows(session)[0].state is RefundState.OWED
    assert gateway.refunds_of(payments(session, order)[0].intent_id) == []
    assert refund_calls.due(session, now + GRACE) == [asked]
    refund_calls.perform(session, gateway, asked, now + GRACE)
    assert look(session, order).payment_state is PaymentState.REFUNDED
    assert differences(session) == []


def test_what_waits_is_counted_against_refunding_too_much(session: Session, order: Order, now: datetime):
    ask(session, order, now, amount=payments(session, order)[0].amount - 100)
    with pytest.raises(WrongState):
        ask(session, order, now, amount=101)
    ask(session, order, now, amount=100)
    assert differences(session) == []


def test_a_refund_that_was_taken_back_leaves_everything_as_it_was(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, now)
    assert not look(session, order).may_be_posted
    transact(session, second_thoughts.take_back, asked, ADMIN, now + SOON)
    assert look(session, order).may_be_posted
    assert refunds.refundable(session, payments(session, order)[0]) == payments(session, order)[0].amount
    assert refund_calls.due(session, now + GRACE) == []
    refund_calls.perform(session, gateway, asked, now + GRACE)
    assert gateway.refunds_of(payments(session, order)[0].intent_id) == []
    assert story(session, order)[-2:] == ["refund_asked", "refund_undone"]
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert differences(session) == []


def test_it_is_too_late_when_stripe_has_been_asked(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, now)
    with pytest.raises(WrongState):
        transact(session, second_thoughts.take_back, asked, ADMIN, now + GRACE)
    refund_calls.perform(session, gateway, asked, now + GRACE)
    for at in (now + SOON, now + GRACE):  # whatever another machine's clock says
        with pytest.raises(WrongState):
            transact(session, second_thoughts.take_back, asked, ADMIN, at)
    assert differences(session) == []


def test_taking_back_and_telling_stripe_at_once_do_only_one_of_them(
    app: Flask, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    asked = ask(session, order, now)

    def race(s: Session, place: int) -> None:
        if place % 2:
            refund_calls.perform(s, gateway, asked, now + GRACE)
        else:
            transact(s, second_thoughts.take_back, asked, ADMIN, now + SOON)

    at_once(app, 4, race)
    made = gateway.refunds_of(payments(session, order)[0].intent_id)
    session.expire_all()
    assert (rows(session)[0].state is RefundState.SUCCEEDED) == bool(made)
    assert (rows(session)[0].state is RefundState.CANCELLED) == (not made)
    assert differences(session) == []


def test_copies_put_on_the_shelf_with_a_refund_are_taken_from_it_with_the_refund(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    asked = ask(session, look(session, order), now, wanted={1: 2})
    transact(session, copies.put_back, asked, ADMIN, now)
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    transact(session, second_thoughts.take_back, asked, ADMIN, now + SOON)
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert copies.refundable(session, look(session, order)) == {1: 2}
    assert differences(session) == []


def test_copies_that_were_sold_meanwhile_keep_a_refund_from_being_taken_back(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    set_stock(session, catalogue.paperback, 0, now)
    asked = ask(session, look(session, order), now, wanted={1: 2})
    transact(session, copies.put_back, asked, ADMIN, now)
    make_order(session, now=now, paperback=1)
    with pytest.raises(OutOfStock):
        transact(session, second_thoughts.take_back, asked, ADMIN, now + SOON)
    assert rows(session)[0].state is RefundState.OWED
    assert differences(session) == []


def test_a_repetition_that_was_taken_back_can_be_asked_for_again(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    asked = ask(session, look(session, order), now, wanted={1: 1})
    refund_calls.perform(session, gateway, asked, now + GRACE)
    payment = payments(session, order)[0]
    gateway.fail_refund(rows(session)[0].provider_id)
    refunds.learn(session, gateway, payment.intent_id, now + GRACE)
    later = now + timedelta(hours=1)
    again = transact(session, lambda s: repetition.again(s, asked, ADMIN, later, GRACE).id)
    transact(session, second_thoughts.take_back, again, ADMIN, later)
    session.expire_all()
    first = rows(session)[0]
    assert [line.quantity for line in first.lines] == [1]
    assert repetition.is_possible(session, first, refunds.refundable(session, payment))
    assert differences(session) == []
