"""Reconciliation: with no webhook at all the shop ends as with every one, and a second run changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayUnavailable
from shop.letters.models import Kind
from shop.orders import timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order
from shop.payments import checkouts, inbox, reconciliation, refunds
from shop.payments.models import InboxEvent, InboxState, Payment, PaymentRole, Refund, RefundState
from tests.factories import Catalogue, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import at_once, attempts, counters, differences, letters, payments
from tests.till import refunds as rows

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ADMIN = timeline.admin("Vera Keeper")
AWAY = GatewayUnavailable("no answer")


@pytest.fixture(autouse=True)
def _provider_time(gateway: FakeGateway, now: datetime) -> None:
    gateway.now = now


def is_quiet(session: Session, gateway: FakeGateway, now: datetime) -> None:
    """A second run changes nothing, and the audit agrees."""
    again = reconciliation.run(session, gateway, now, now)
    assert again.clean, again
    assert differences(session) == []


def test_a_day_without_any_webhook_ends_as_it_should(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    bought, delayed, failed, left, refunded, disputed = (make_order(session, now=now) for _ in range(6))
    pay(session, gateway, bought, now)
    pay(session, gateway, delayed, now, paid=False)
    gateway.pay(pay(session, gateway, failed, now, paid=False), failed=True)
    checkouts.pay_page(session, gateway, left.id, "http://localhost", now)
    money = gateway.checkouts[pay(session, gateway, refunded, now)]
    gateway.refund_in_dashboard(money.intent_id, money.total)
    gateway.dispute(gateway.checkouts[pay(session, gateway, disputed, now)])
    for order in (bought, delayed, failed, left, refunded, disputed):
        session.refresh(order)
        assert order.payment_state is PaymentState.AWAITING

    then = now + 50 * MINUTE
    report = reconciliation.run(session, gateway, then)
    assert not report.clean
    states = []
    for order in (bought, delayed, failed, left, refunded, disputed):
        session.refresh(order)
        states.append((order.payment_state, order.fulfilment_state, order.disputed))
    assert states == [
        (PaymentState.PAID, FulfilmentState.TO_POST, False),
        (PaymentState.PROCESSING, FulfilmentState.PENDING, False),
        (PaymentState.FAILED, FulfilmentState.PENDING, False),
        (PaymentState.EXPIRED, FulfilmentState.PENDING, False),
        (PaymentState.REFUNDED, FulfilmentState.CANCELLED, False),
        (PaymentState.PAID, FulfilmentState.TO_POST, True),
    ]
    assert counters(session, catalogue.paperback) == (40, 1, 2)
    assert len(letters(session, Kind.ORDER_PAID)) == 3
    assert len(letters(session, Kind.REFUNDED)) == 1
    is_quiet(session, gateway, then)


def test_a_page_paid_long_after_it_was_made_is_found(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """It is read by its id: a list by date of making would not show it any more."""
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now, paid=False)
    reconciliation.run(session, gateway, now)
    gateway.pay(page)
    then = now + 40 * DAY
    gateway.now = then
    reconciliation.run(session, gateway, then, then - 10 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    is_quiet(session, gateway, then)


def test_a_refund_that_fails_weeks_later_is_found(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    asked = transact(session, refunds.ask, payments(session)[0].id, 2550, "", ADMIN, now)
    refunds.perform(session, gateway, asked.id, now)
    gateway.fail_refund(next(iter(gateway.refunds)))
    then = now + 60 * DAY
    report = reconciliation.run(session, gateway, then, then - 10 * MINUTE)
    assert report.applied == [payments(session)[0].intent_id]
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.PAID, True)
    is_quiet(session, gateway, then)


def test_a_refund_owed_is_made(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime):
    order = make_paid_order(session, gateway, now)
    transact(session, refunds.ask, payments(session)[0].id, 100, "", ADMIN, now)
    reconciliation.run(session, gateway, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.PART_REFUNDED
    assert [row.state for row in rows(session)] == [RefundState.SUCCEEDED]
    is_quiet(session, gateway, now)


def test_an_orphan_is_found_once(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime):
    order = make_order(session, now=now)
    pay(session, gateway, order, now)
    parameters = attempts(session, order)[0].parameters
    for metadata in ({**parameters["metadata"], "order": "RR-00000000"}, {"shop": "shop_other"}, {}):
        page = gateway.open_checkout(str(metadata), {**parameters, "metadata": metadata})
        gateway.pay(page.checkout_id)
    report = reconciliation.run(session, gateway, now)
    assert len(report.orphans) == 1
    assert sorted(payment.role for payment in payments(session)) == [PaymentRole.ORDER, PaymentRole.ORPHAN]
    is_quiet(session, gateway, now)


def test_a_page_the_provider_does_not_know_is_reported_and_keeps_nothing_from_being_done(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    lost, other = make_order(session, now=now), make_order(session, now=now)
    pay(session, gateway, lost, now)
    [page] = gateway.checkouts
    pay(session, gateway, other, now)
    del gateway.checkouts[page]
    report = reconciliation.run(session, gateway, now + 50 * MINUTE)
    assert report.missing_there == [page]
    session.refresh(lost)
    session.refresh(other)
    assert (lost.payment_state, other.payment_state) == (PaymentState.AWAITING, PaymentState.PAID)
    assert counters(session, catalogue.paperback) == (40, 1, 1)


def test_a_refund_or_event_the_provider_does_not_know_keeps_nothing_from_being_done(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """After a move to another account, say, a single lost thing must not stop everything after it, each time."""
    paid, order = make_paid_order(session, gateway, now), make_order(session, now=now)
    asked = transact(session, refunds.ask, payments(session, paid)[0].id, 100, "", ADMIN, now)
    original = gateway.refunds_of
    ghost = gateway.tell("refund.created", "re_ghost")
    page = pay(session, gateway, order, now)
    seen = gateway.tell("checkout.session.completed", page)
    gateway.undelivered = [ghost.event_id, seen.event_id]

    def unknown(intent_id: str):  # type: ignore[no-untyped-def]
        if intent_id == gateway.checkouts[next(iter(gateway.checkouts))].intent_id:
            raise reconciliation.GatewayRefused("resource_missing", intent_id)
        return original(intent_id)

    gateway.refunds_of = unknown  # type: ignore[method-assign]
    try:
        report = reconciliation.run(session, gateway, now)
    finally:
        del gateway.refunds_of
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert f"refund {asked.id}" in report.missing_there
    assert ghost.event_id in report.missing_there
    states = {row.id: row.state for row in session.scalars(select(InboxEvent))}
    assert states == {ghost.event_id: InboxState.FAILED, seen.event_id: InboxState.DONE}


def test_events_that_were_not_delivered_are_worked(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    gateway.warnings["issfr_1"] = payments(session)[0].charge_id
    event = gateway.tell("radar.early_fraud_warning.created", "issfr_1")
    gateway.undelivered.append(event.event_id)
    reconciliation.run(session, gateway, now)
    session.refresh(order)
    assert order.needs_attention
    is_quiet(session, gateway, now)


def test_an_event_kept_here_and_failed_is_worked_when_the_provider_lists_it(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now)
    event = gateway.tell("checkout.session.completed", page)
    gateway.undelivered.append(event.event_id)
    transact(session, inbox.keep, event, now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        inbox.work(session, gateway, event.event_id, now)
    reconciliation.run(session, gateway, now)
    assert session.get_one(InboxEvent, event.event_id).state is InboxState.DONE


def test_without_an_answer_nothing_changes_and_the_next_run_does_it_all(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    pay(session, gateway, order, now)
    gateway.before += [AWAY] * 2  # the page by its id, then the list
    with pytest.raises(GatewayUnavailable):
        reconciliation.run(session, gateway, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    reconciliation.run(session, gateway, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    is_quiet(session, gateway, now)


def test_one_question_without_an_answer_delays_no_other_and_is_asked_again(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    orders = [make_order(session, now=now) for _ in range(3)]
    gateway.now = now - timedelta(days=40)  # no list shows them any more
    for order in orders:
        pay(session, gateway, order, now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        reconciliation.run(session, gateway, now)
    session.expire_all()
    assert sorted(order.payment_state for order in orders) == ["awaiting", "paid", "paid"]
    reconciliation.run(session, gateway, now)
    session.expire_all()
    assert {order.payment_state for order in orders} == {PaymentState.PAID}


def test_a_provider_who_is_away_is_not_asked_about_everything(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    for _ in range(5):
        pay(session, gateway, make_order(session, now=now), now)
    gateway.before += [AWAY] * 5
    with pytest.raises(GatewayUnavailable):
        reconciliation.run(session, gateway, now)
    assert len(gateway.before) == 2


def test_two_runs_at_once_do_everything_once(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    orders = [make_order(session, now=now) for _ in range(4)]
    for order in orders:
        pay(session, gateway, order, now)
    paid = make_paid_order(session, gateway, now)
    transact(session, refunds.ask, payments(session, paid)[0].id, 2550, "", ADMIN, now)
    session.rollback()
    found = at_once(app, 3, lambda s, _: reconciliation.run(s, gateway, now))
    assert all(isinstance(each, reconciliation.Report) for each in found), found
    assert len(gateway.refunds) == 1
    assert len(payments(session)) == 5
    is_quiet(session, gateway, now)


def test_money_that_came_while_the_database_was_set_back_is_found_again(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """A restored backup knows the order but neither its page nor its payment."""
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    page = next(iter(gateway.checkouts))
    attempt = attempts(session, order)[0]
    attempt.checkout_id, attempt.url, attempt.state = None, "", "new"
    session.commit()
    gateway.pay(page)
    gateway.checkouts[page] = replace(gateway.checkouts[page], created=now)
    reconciliation.run(session, gateway, now + MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert session.scalars(select(Payment)).one().attempt_id == attempt.id
    is_quiet(session, gateway, now + MINUTE)


def test_the_command_says_what_it_put_right(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    gateway.now = None
    order: Order = make_order(session)
    page = pay(session, gateway, order)
    session.rollback()
    first = app.test_cli_runner().invoke(args=["shop", "reconcile"])
    assert first.exit_code == 0
    assert f"applied: {page}" in first.stdout
    assert "put right 0" in app.test_cli_runner().invoke(args=["shop", "reconcile"]).stdout
    gateway.before.append(AWAY)
    assert app.test_cli_runner().invoke(args=["shop", "reconcile"]).exit_code == 1
    assert session.scalars(select(Refund)).all() == []
