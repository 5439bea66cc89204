"""Reconciliation: with no webhook at all the shop ends as with every one, and a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from shop.database import transact
from shop.duty import Duty
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.letters.models import Kind, Letter
from shop.money import Currency
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, Worry
from shop.payments import checkouts, inbox, reconciliation, refund_calls, refunds, settling
from shop.payments.comparison import Comparison, Found
from shop.payments.gateway import BalanceFacts, WarningFacts
from shop.payments.ledger import LedgerEntry
from shop.payments.models import Dispute, InboxEvent, InboxState, Payment, PaymentRole, Refund, RefundState
from tests.client import Client, let_in
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import at_once, attempts, counters, deliver, differences, letters, payments
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
    refund_calls.perform(session, gateway, asked.id, now)
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


def test_a_fraud_warning_of_which_no_event_was_owed_is_found_once(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """While its endpoint is switched off the provider owes it no event, so none is ever listed as undelivered."""
    make_admin(session)
    order = make_paid_order(session, gateway, now)
    gateway.warnings["issfr_1"] = payments(session)[0].charge_id
    gateway.warnings["issfr_2"] = "ch_of_another_shop"
    report = reconciliation.run(session, gateway, now, now)
    assert report.applied == ["issfr_1"]
    assert gateway.calls.count("look_up_warning") == 1
    session.refresh(order)
    assert [(each.worry, each.cause) for each in order.concerns] == [(Worry.FRAUD_WARNING, "issfr_1")]
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    is_quiet(session, gateway, now)
    assert deliver(client, gateway, "radar.early_fraud_warning.created", "issfr_1").status_code == 200
    assert len(letters(session, Kind.ATTENTION)) == 1


class Narrow(FakeGateway):
    """A provider whose key has no right to read warnings of fraud."""

    def warnings_since(self, moment: datetime) -> Iterator[WarningFacts]:
        raise GatewayRefused("more_permissions_required", f"warnings since {moment}")


def test_a_key_that_may_not_read_warnings_is_named_and_everything_else_is_compared(
    session: Session, catalogue: Catalogue, now: datetime
):
    narrow = Narrow()
    narrow.now = now
    order = make_order(session, now=now)
    money = narrow.checkouts[pay(session, narrow, order, now)]
    narrow.balance["txn_1"] = BalanceFacts("txn_1", "charge", money.charge_id, 2550, 58, 2492, Currency.GBP, now)
    report = reconciliation.run(session, narrow, now)
    assert report.missing_there == ["early_fraud_warnings"]
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert session.scalars(select(LedgerEntry.net)).all() == [2492]


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


def test_the_command_looks_back_to_when_the_worker_last_did_it(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    """A backup of seven weeks ago does not know what was ordered and paid six weeks ago."""
    today = datetime.now(UTC)
    gateway.now = then = today - 42 * DAY
    order = make_order(session, now=then)
    pay(session, gateway, order, then)
    request = attempts(session, order)[0].parameters
    unknown = {**request, "metadata": {**request["metadata"], "order": "RR-00000000"}}
    gateway.pay(gateway.open_checkout("a key of then", {**unknown, "expires_at": str(then + DAY)}).checkout_id)
    session.add(Duty(name="reconciliation", begun_at=today - 49 * DAY, due_at=today))
    session.commit()
    told = app.test_cli_runner().invoke(args=["shop", "reconcile"])
    assert told.exit_code == 0, told.output
    assert PaymentRole.ORPHAN in [payment.role for payment in payments(session)]


def life(session: Session, gateway: FakeGateway, now: datetime, tell: Callable[[str, str], None]) -> list[Order]:
    """A day on which everything happens once at the provider; ``tell`` hears of each thing when it does."""
    orders = []

    def bought(paid: bool = True) -> tuple[Order, str, str]:
        order = make_order(session, now=now)
        orders.append(order)
        page = pay(session, gateway, order, now, paid=paid)
        tell("checkout.session.completed", page)
        return order, page, gateway.checkouts[page].intent_id

    def refunded(amount: int) -> str:
        made = gateway.refund_in_dashboard(bought()[2], amount)
        tell("refund.created", made.provider_id)
        return made.provider_id

    bought()
    bought(paid=False)
    _, page, _ = bought(paid=False)
    gateway.pay(page)
    tell("checkout.session.async_payment_succeeded", page)
    _, page, _ = bought(paid=False)
    gateway.pay(page, failed=True)
    tell("checkout.session.async_payment_failed", page)
    left = make_order(session, now=now)
    orders.append(left)
    checkouts.pay_page(session, gateway, left.id, "http://localhost", now)
    page = list(gateway.checkouts)[-1]
    gateway.close_checkout(page)
    tell("checkout.session.expired", page)
    refunded(2550)
    refunded(50)
    failing = refunded(2550)
    gateway.fail_refund(failing)
    tell("refund.failed", failing)
    for end in ("", "won", "lost"):
        _, page, _ = bought()
        case = gateway.dispute(gateway.checkouts[page])
        tell("charge.dispute.created", case.provider_id)
        if end:
            gateway.close_dispute(case.provider_id, end)
            tell("charge.dispute.closed", case.provider_id)
    order, page, _ = bought()
    again = gateway.open_checkout("by hand", attempts(session, order)[0].parameters)
    gateway.pay(again.checkout_id)  # the buyer has paid twice
    tell("checkout.session.completed", again.checkout_id)
    return orders


def outcome(session: Session, order: Order) -> tuple[object, ...]:
    session.refresh(order)
    given_back = select(Refund.amount, Refund.state).join(Payment).where(Payment.order_id == order.id)
    cases = select(Dispute.status, Dispute.closed_at.is_(None)).join(Payment).where(Payment.order_id == order.id)
    written = select(Letter.kind).where(Letter.order_id == order.id, Letter.kind.not_in(PASSING))
    return (
        order.payment_state,
        order.fulfilment_state,
        order.disputed,
        order.needs_attention,
        order.holding,
        order.allocated,
        sorted(map(tuple, session.execute(given_back))),
        sorted(map(tuple, session.execute(cases))),
        sorted(session.scalars(written)),
        sorted(concern.worry for concern in order.concerns),
    )


PASSING = (Kind.PAYMENT_DELAYED, Kind.REFUNDED, Kind.REFUND_FAILED)
"""What is written about a state that was over before anybody looked."""


def test_with_every_webhook_of_a_day_dropped_the_shop_ends_as_with_all_delivered(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    gateway.now = now = datetime.now(UTC)
    make_admin(session)

    def deliver_it(kind: str, object_id: str) -> None:
        assert deliver(client, gateway, kind, object_id).status_code == 200

    told = life(session, gateway, now, deliver_it)
    gateway._by_key.pop("by hand")
    dropped = life(session, gateway, now, lambda kind, object_id: None)
    then = now + 50 * MINUTE
    report = reconciliation.run(session, gateway, then)
    assert {each.number for each in report.paid_there} <= {order.number for order in dropped}
    assert [outcome(session, order) for order in dropped] == [outcome(session, order) for order in told]
    is_quiet(session, gateway, then)


# The report


def test_what_was_paid_there_and_not_here_is_named(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now)
    lost = make_paid_order(session, gateway, now)
    known = payments(session, lost)[0].checkout_id
    for row in (LedgerEntry, Payment):
        session.execute(delete(row))
    session.commit()
    report = reconciliation.run(session, gateway, now)
    assert report.paid_there[0] == Found(page, order.number, there="2550 GBP")
    assert str(report.paid_there[0]) == f"{page} ({order.number}): nothing here, 2550 GBP there"
    assert report.paid_there[1] == Found(known, there="2550 GBP")
    assert report.stuck == [known]  # the order says that it is paid: the audit tells a person what is wrong
    assert (report.paid_here, report.amounts, report.holds) == ([], [], [])


@pytest.mark.parametrize("how", ["unknown", "unpaid", "another"])
def test_what_is_paid_here_and_not_there_is_named(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, how: str
):
    order = make_paid_order(session, gateway, now)
    [page] = gateway.checkouts
    if how == "unknown":
        del gateway.checkouts[page]
    elif how == "unpaid":
        gateway.checkouts[page] = replace(gateway.checkouts[page], status="open", paid=False)
    else:
        gateway.checkouts[page] = replace(gateway.checkouts[page], intent_id=payments(session)[0].intent_id + "x")
    report = reconciliation.run(session, gateway, now)
    intent_id = payments(session)[0].intent_id
    assert report.paid_here == [Found(intent_id, order.number, here="2550 GBP")]
    assert not report.clean
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID  # a person decides


def test_sums_that_differ_are_named(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime):
    order = make_paid_order(session, gateway, now)
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, 50)
    reconciliation.run(session, gateway, now)
    session.execute(update(Payment).values(amount=2551))
    session.execute(update(Refund).values(amount=40))
    session.commit()
    report = reconciliation.run(session, gateway, now)
    assert report.amounts == [
        Found(payments(session)[0].intent_id, order.number, "2551 GBP", "2550 GBP"),
        Found(made.provider_id, order.number, "40 GBP", "50 GBP"),
    ]


def test_a_refund_that_is_known_here_alone_is_named(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_paid_order(session, gateway, now)
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, 50)
    reconciliation.run(session, gateway, now)
    del gateway.refunds[made.provider_id]
    assert reconciliation.run(session, gateway, now).missing_there == [made.provider_id]


def test_holds_without_a_live_page_are_named_and_ended_unless_a_person_must_look(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    dead, differing, open_still = (make_order(session, now=now) for _ in range(3))
    for order in (dead, open_still):
        checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    gateway.close_checkout(next(iter(gateway.checkouts)))
    pay(session, gateway, differing, now, total=1)
    report = reconciliation.run(session, gateway, now)
    assert report.holds_ended == [dead.number]
    assert report.holds == [differing.number]
    session.refresh(open_still)
    assert open_still.holding


def test_a_hold_whose_page_nobody_ever_opened_is_ended_in_its_time(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    early = reconciliation.run(session, gateway, now)
    late = reconciliation.run(session, gateway, now + 50 * MINUTE)
    assert (early.holds, late.holds, late.holds_ended) == ([order.number], [], [order.number])
    is_quiet(session, gateway, now + 50 * MINUTE)


def test_runs_that_found_the_same_are_kept_as_one(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_paid_order(session, gateway, now)
    for minute in range(3):
        reconciliation.run(session, gateway, now + minute * MINUTE)
    gateway.checkouts.clear()
    for minute in (3, 4):
        reconciliation.run(session, gateway, now + minute * MINUTE)
    rows = list(session.scalars(select(Comparison).order_by(Comparison.id)))
    assert [(row.is_clean, row.unresolved, row.last_at - now) for row in rows] == [
        (True, 0, 2 * MINUTE),
        (False, 1, 4 * MINUTE),
    ]
    later = now + 120 * DAY
    reconciliation.run(session, gateway, later, later)
    assert session.scalars(select(Comparison)).one().last_at == later


def test_the_command_and_the_desk_name_every_difference(
    app: Flask, client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    gateway.now = None
    make_admin(session)
    let_in(client)
    assert "It has not been compared yet" in client.get("/admin/money").text
    found, gone, differing, odd = (make_order(session) for _ in range(4))
    page = pay(session, gateway, found)
    del gateway.checkouts[pay_and_settle(session, gateway, gone)]
    pay_and_settle(session, gateway, differing)
    session.execute(update(Payment).where(Payment.order_id == differing.id).values(amount=2551))
    session.commit()
    pay(session, gateway, odd, total=1)
    session.rollback()
    said = app.test_cli_runner().invoke(args=["shop", "reconcile"]).stdout
    assert f"paid there and not here: {page} ({found.number}): nothing here, 2550 GBP there" in said
    assert f"({gone.number}): 2550 GBP here, nothing there" in said
    assert f"({differing.number}): 2551 GBP here, 2550 GBP there" in said
    assert f"holds without a live page: {odd.number}" in said
    desk = client.get("/admin/money").text
    for order in (found, gone, differing, odd):
        assert f"/admin/orders/{order.number}" in desk
    assert "£25.51 here, £25.50 at Stripe" in desk
    assert "Differences with Stripe" in client.get("/admin/").text


def pay_and_settle(session: Session, gateway: FakeGateway, order: Order) -> str:
    page = pay(session, gateway, order)
    settling.learn(session, gateway, page, datetime.now(UTC))
    return page


def test_a_lost_dispute_that_is_appealed_weeks_later_is_found(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """It is read by its id for as long as an appeal is possible: no list shows it any more."""
    order = make_paid_order(session, gateway, now)
    case = gateway.dispute(next(iter(gateway.checkouts.values())))
    reconciliation.run(session, gateway, now)
    gateway.close_dispute(case.provider_id, "lost")
    reconciliation.run(session, gateway, now, now)
    for days, status in ((100, "appeal_under_review"), (130, "lost"), (300, "won")):
        gateway.close_dispute(case.provider_id, status)
        then = now + days * DAY
        reconciliation.run(session, gateway, then, then)
        assert session.scalars(select(Dispute.status)).one() == status
    session.refresh(order)
    assert not order.disputed
    gateway.close_dispute(case.provider_id, "lost")
    then = now + 600 * DAY
    reconciliation.run(session, gateway, then, then)
    assert session.scalars(select(Dispute.status)).one() == "won"  # for ever would be too long
