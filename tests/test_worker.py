"""The worker: what nobody waits for gets done, once, by however many workers there are."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from shop import duty
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, MailServerAway
from shop.letters.models import Kind, LetterState
from shop.orders import timeline
from shop.orders.lifecycle import PaymentState
from shop.payments import checkouts, refunds
from shop.payments.models import RefundState
from shop.settings import Settings
from shop.worker import Worker
from tests.client import Client
from tests.conftest import MovedClock, engine_of, opened
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.till import at_once, counters, deliver, differences, letters, payments
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
AWAY = GatewayUnavailable("no answer")
LEASE = timedelta(minutes=15)


@pytest.fixture
def worker(app: Flask) -> Worker:
    return Worker(app)


def test_one_round_brings_a_day_without_webhooks_to_its_end(
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    mailer: FakeMailer,
    worker: Worker,
    clock: MovedClock,
):
    make_admin(session)
    bought, left = make_order(session), make_order(session, "ru-us")
    pay(session, gateway, bought)
    checkouts.pay_page(session, gateway, left.id, "http://localhost", datetime.now(UTC))
    session.rollback()
    clock.advance(minutes=46)
    worker.round(everything=True)
    session.refresh(bought)
    session.refresh(left)
    assert (bought.payment_state, left.payment_state) == (PaymentState.PAID, PaymentState.EXPIRED)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert len(mailer.to("ada@reader.example")) == 1
    assert len(mailer.to("vera@longlane.example")) == 1
    worker.round(everything=True)
    assert len(mailer.sent) == 2
    assert differences(session) == []


def test_a_duty_that_fails_keeps_the_others_from_nothing(
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    mailer: FakeMailer,
    worker: Worker,
    clock: MovedClock,
):
    """Stripe is away; letters go out all the same, and holds are released when it is back."""
    order = make_paid_order(session, gateway)
    left = make_order(session)
    checkouts.pay_page(session, gateway, left.id, "http://localhost", datetime.now(UTC))
    session.rollback()
    clock.advance(minutes=46)
    gateway.before.extend([AWAY] * 10)
    worker.round(everything=True)
    assert [letter.state for letter in letters(session, Kind.ORDER_PAID)] == [LetterState.SENT]
    assert len(mailer.to(order.buyer.email)) == 1
    assert counters(session, catalogue.paperback) == (40, 1, 1)
    gateway.before.clear()
    clock.advance(minutes=2)
    worker.round()
    assert counters(session, catalogue.paperback) == (40, 0, 1)


def test_a_mail_server_that_is_away_keeps_nothing_of_the_money(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, mailer: FakeMailer, worker: Worker
):
    order = make_order(session)
    pay(session, gateway, order)
    session.rollback()
    mailer.troubles.extend([MailServerAway("no answer")] * 5)
    worker.round(everything=True)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert [letter.state for letter in letters(session, Kind.ORDER_PAID)] == [LetterState.OWED]


def test_what_the_webhook_left_over_is_worked(
    client: Client,
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    worker: Worker,
    clock: MovedClock,
):
    order = make_order(session)
    page = pay(session, gateway, order)
    gateway.before.append(AWAY)
    assert deliver(client, gateway, "checkout.session.completed", page).status_code == 503
    clock.advance(minutes=1)
    gateway.calls.clear()
    worker.round()
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert gateway.calls[0] == "look_up"


def test_one_refund_that_cannot_be_made_does_not_keep_the_next_one_waiting(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, worker: Worker
):
    first, second = make_paid_order(session, gateway), make_paid_order(session, gateway)
    for order in (first, second):
        transact(session, refunds.ask, payments(session, order)[0].id, 100, "", ADMIN, datetime.now(UTC))
    session.rollback()
    # refused, and then its list is refused as well: the payment is not known there
    gateway.before.extend([GatewayRefused("resource_missing"), GatewayRefused("resource_missing")])
    worker.round()
    assert [row.state for row in rows(session)] == [RefundState.OWED, RefundState.SUCCEEDED]


def test_several_workers_at_once_do_everything_once(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, mailer: FakeMailer, clock: MovedClock
):
    make_admin(session)
    orders = [make_order(session) for _ in range(4)]
    for order in orders[:3]:
        pay(session, gateway, order)
    checkouts.pay_page(session, gateway, orders[3].id, "http://localhost", datetime.now(UTC))
    paid = make_paid_order(session, gateway)
    transact(session, refunds.ask, payments(session, paid)[0].id, 2550, "", ADMIN, datetime.now(UTC))
    session.rollback()
    clock.advance(minutes=46)
    at_once(app, 3, lambda _, __: Worker(app).round())
    Worker(app).round(everything=True)
    assert counters(session, catalogue.paperback) == (40, 0, 3)
    assert len(gateway.refunds) == 1
    assert len(payments(session)) == 4
    ids = [message["Message-ID"] for message in mailer.sent]
    assert len(ids) == len(set(ids))
    assert differences(session) == []


# Duties


def test_a_duty_is_done_by_one_worker_and_then_not_until_it_is_due(app: Flask, session: Session, now: datetime):
    found = at_once(app, 6, lambda s, _: transact(s, duty.claim, "sweeping", LEASE, now) is not None)
    assert sorted(found) == [False] * 5 + [True]
    transact(session, duty.finish, "sweeping", now, timedelta(minutes=10))
    assert transact(session, duty.claim, "sweeping", LEASE, now + timedelta(minutes=9)) is None
    mine = transact(session, duty.claim, "sweeping", LEASE, now + timedelta(minutes=10))
    assert mine is not None
    assert mine.begun_at == now


def test_a_duty_whose_worker_died_is_taken_up_after_its_lease(session: Session, now: datetime):
    assert transact(session, duty.claim, "sweeping", LEASE, now)
    assert transact(session, duty.claim, "sweeping", LEASE, now + timedelta(minutes=14)) is None
    assert transact(session, duty.claim, "sweeping", LEASE, now + LEASE)


class Watching(FakeGateway):
    """Notes until when a duty is in hand, each time that it asks for something."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__()
        self.engine, self.name, self.leases = engine, name, list[timedelta]()

    def _call(self, name: str):  # type: ignore[no-untyped-def]
        with Session(self.engine) as looking:
            found = looking.get(duty.Duty, self.name)
            if found is not None and found.claimed_until is not None:
                self.leases.append(found.claimed_until - datetime.now(UTC))
        return super()._call(name)


@pytest.mark.parametrize("name", ["refunds", "holds"])
def test_what_a_killed_worker_had_in_hand_waits_a_minute_and_no_longer(
    app: Flask, settings: Settings, session: Session, catalogue: Catalogue, name: str
):
    watching = Watching(engine_of(app), name)
    long_ago = datetime.now(UTC) - timedelta(minutes=46)
    if name == "holds":
        checkouts.pay_page(session, watching, make_order(session, now=long_ago).id, "http://localhost", long_ago)
    else:
        paid = payments(session, make_paid_order(session, watching))[0]
        transact(session, refunds.ask, paid.id, 100, "", ADMIN, datetime.now(UTC))
    session.rollback()
    with opened(settings, gateway=watching, mailer=FakeMailer()) as shop:
        Worker(shop).round()
    assert watching.leases
    assert max(watching.leases) <= timedelta(minutes=1)


def test_a_duty_that_failed_is_not_counted_as_done(session: Session, now: datetime):
    """What the failed run did not see, the next one must look at: it still begins where the last good one did."""
    transact(session, duty.claim, "sweeping", LEASE, now)
    transact(session, duty.put_off, "sweeping", now + timedelta(minutes=1))
    again = transact(session, duty.claim, "sweeping", LEASE, now + timedelta(minutes=1))
    assert again is not None
    assert again.begun_at is None


# Starting and stopping


def test_the_command_does_everything_once(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, mailer: FakeMailer
):
    order = make_order(session)
    pay(session, gateway, order)
    session.rollback()
    for _ in range(2):
        assert app.test_cli_runner().invoke(args=["shop", "worker", "--once"]).exit_code == 0
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert len(mailer.sent) == 1


def test_letters_go_out_while_reconciliation_waits_for_stripe(
    app: Flask, settings: Settings, session: Session, catalogue: Catalogue
):
    class Slow(FakeGateway):
        """Answers about the balance only after a letter has gone, or much too late."""

        posted = False

        def balance_since(self, moment: datetime):  # type: ignore[no-untyped-def]
            deadline = time.monotonic() + 20
            while not mailer.sent and time.monotonic() < deadline:
                time.sleep(0.02)
            self.posted = bool(mailer.sent)
            os.kill(os.getpid(), signal.SIGTERM)
            return super().balance_since(moment)

    slow, mailer = Slow(), FakeMailer()
    make_paid_order(session, slow)
    session.rollback()
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with opened(settings, gateway=slow, mailer=mailer) as shop:
            Worker(shop).run()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert slow.posted


def test_a_worker_that_is_told_to_stop_finishes_its_round(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, worker: Worker
):
    order = make_order(session)
    pay(session, gateway, order)
    session.rollback()
    original = gateway.look_up
    looked = threading.Event()

    def stopped_meanwhile(checkout_id: str):  # type: ignore[no-untyped-def]
        os.kill(os.getpid(), signal.SIGTERM)
        looked.set()
        return original(checkout_id)

    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    gateway.look_up = stopped_meanwhile  # type: ignore[method-assign]
    try:
        worker.run()
    finally:
        del gateway.look_up
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert looked.is_set()
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert [letter.state for letter in letters(session, Kind.ORDER_PAID)] == [LetterState.SENT]
