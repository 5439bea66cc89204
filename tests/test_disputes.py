"""Disputes and fraud warnings stop the parcel; what the bank decides is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import WrongState
from shop.letters.models import Kind
from shop.orders import fulfilment, placing, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, Worry
from shop.payments import disputes, reconciliation
from shop.payments.gateway import CheckoutFacts, DisputeFacts
from shop.payments.models import Dispute, InboxEvent
from tests.client import Client
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import counters, deliver, differences, letters, story

ADMIN = timeline.admin("Vera Keeper")
CREATED, UPDATED, CLOSED = (f"charge.dispute.{each}" for each in ("created", "updated", "closed"))
WARNED = "radar.early_fraud_warning.created"


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    gateway.now = now
    return make_paid_order(session, gateway, now)


def page(gateway: FakeGateway) -> CheckoutFacts:
    return next(iter(gateway.checkouts.values()))


def look_through(session: Session, order: Order, now: datetime) -> None:
    """A person has looked at everything."""

    def work(s: Session) -> None:
        locked = placing.locked(s, order.id)
        for concern in locked.concerns:
            timeline.settle_worry(s, locked, concern, ADMIN, now)

    transact(session, work)
    session.refresh(order)


def is_stopped(session: Session, order: Order, now: datetime) -> bool:
    session.rollback()
    session.refresh(order)
    try:
        transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    except WrongState:
        return True
    return False


def test_a_dispute_stops_the_parcel_and_tells_the_deadline(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    make_admin(session)
    opened = gateway.dispute(page(gateway))
    gateway.disputes[opened.provider_id] = replace(opened, due_by=now + timedelta(days=9))
    assert deliver(client, gateway, CREATED, opened.provider_id, times=3).status_code == 200
    assert is_stopped(session, order, now)
    assert order.disputed
    [row] = session.scalars(select(Dispute))
    assert (row.status, row.amount, row.due_by) == ("needs_response", 2550, now + timedelta(days=9))
    [concern] = order.concerns
    assert concern.worry is Worry.DISPUTE
    assert len(letters(session, Kind.ATTENTION)) == 1
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert order.payment_state is PaymentState.PAID
    assert differences(session) == []


def test_settling_the_worry_does_not_lift_an_open_dispute(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    deliver(client, gateway, CREATED, gateway.dispute(page(gateway)).provider_id)
    look_through(session, order, now)
    assert not order.needs_attention
    assert is_stopped(session, order, now)


@pytest.mark.parametrize("status", ["won", "warning_closed", "prevented"])
def test_a_dispute_that_ends_well_lifts_the_stop(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime, status: str
):
    opened = gateway.dispute(page(gateway))
    deliver(client, gateway, CREATED, opened.provider_id)
    gateway.close_dispute(opened.provider_id, status)
    deliver(client, gateway, CLOSED, opened.provider_id, times=2)
    look_through(session, order, now)
    assert not order.disputed
    assert story(session, order).count("dispute_changed") == 1
    assert not is_stopped(session, order, now)
    assert differences(session) == []


def test_a_dispute_that_is_lost_stays(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    opened = gateway.dispute(page(gateway))
    deliver(client, gateway, CREATED, opened.provider_id)
    gateway.close_dispute(opened.provider_id, "lost")
    deliver(client, gateway, CLOSED, opened.provider_id)
    look_through(session, order, now)
    assert order.disputed
    assert is_stopped(session, order, now)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert differences(session) == []


def test_a_lost_dispute_that_is_appealed_and_won_lifts_the_stop(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    opened = gateway.dispute(page(gateway))
    deliver(client, gateway, CREATED, opened.provider_id)
    for status in ("lost", "appeal_needs_response", "appeal_under_review", "won"):
        gateway.close_dispute(opened.provider_id, status)
        deliver(client, gateway, UPDATED, opened.provider_id)
        session.refresh(order)
        assert order.disputed is (status != "won")
    [row] = session.scalars(select(Dispute))
    assert (row.status, row.closed_at is None) == ("won", False)


def test_a_dispute_closed_months_later_is_found_without_a_webhook(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    opened = gateway.dispute(page(gateway))
    deliver(client, gateway, CREATED, opened.provider_id)
    gateway.close_dispute(opened.provider_id, "won")
    later = now + timedelta(days=120)
    report = reconciliation.run(session, gateway, later, later - timedelta(minutes=10))
    assert report.applied == [opened.provider_id]
    session.refresh(order)
    assert not order.disputed
    assert reconciliation.run(session, gateway, later, later).clean


def test_older_news_of_a_dispute_does_not_reopen_it(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """Looked up while open; before that is applied, it is won and somebody else applies it."""
    opened = gateway.dispute(page(gateway))
    disputes.learn(session, gateway, opened.provider_id, now)
    original = gateway.look_up_dispute
    calls = []

    def overtaken(dispute_id: str) -> DisputeFacts:
        facts = original(dispute_id)
        calls.append(dispute_id)
        if len(calls) == 1:
            gateway.close_dispute(dispute_id, "won")
            with Session(session.get_bind()) as other:
                disputes.learn(other, gateway, dispute_id, now)
        return facts

    gateway.look_up_dispute = overtaken
    try:
        disputes.learn(session, gateway, opened.provider_id, now)
    finally:
        del gateway.look_up_dispute
    session.refresh(order)
    assert not order.disputed
    assert [row.status for row in session.scalars(select(Dispute))] == ["won"]


def test_a_dispute_before_news_of_the_payment_settles_the_payment_first(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session)
    checkout = gateway.checkouts[pay(session, gateway, order)]
    opened = gateway.dispute(checkout)
    assert deliver(client, gateway, CREATED, opened.provider_id).status_code == 200
    session.refresh(order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PAID, FulfilmentState.TO_POST)
    assert order.disputed
    assert is_stopped(session, order, now)


def test_a_fraud_warning_stops_the_parcel_until_a_person_has_looked(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    make_admin(session)
    gateway.warnings["issfr_1"] = page(gateway).charge_id
    assert deliver(client, gateway, WARNED, "issfr_1", times=2).status_code == 200
    assert is_stopped(session, order, now)
    assert [concern.worry for concern in order.concerns] == [Worry.FRAUD_WARNING]
    assert len(letters(session, Kind.ATTENTION)) == 1
    look_through(session, order, now)
    assert not is_stopped(session, order, now)
    assert differences(session) == []


def test_a_dispute_about_another_shops_charge_is_ignored(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    opened = gateway.dispute(replace(page(gateway), intent_id="pi_other", charge_id="ch_other"))
    assert deliver(client, gateway, CREATED, opened.provider_id).status_code == 200
    assert session.scalars(select(InboxEvent.outcome)).all() == ["stranger"]
    assert session.scalars(select(Dispute)).all() == []


def test_a_dispute_of_a_posted_order_is_recorded(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    assert not is_stopped(session, order, now)
    deliver(client, gateway, CREATED, gateway.dispute(page(gateway)).provider_id)
    session.refresh(order)
    assert (order.fulfilment_state, order.disputed) == (FulfilmentState.POSTED, True)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []
