"""Invoices paid by their link: once, for exactly what is open, whatever races; every penny is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import erasure
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.letters.models import Kind, Letter
from shop.libraries import desk, papers
from shop.libraries.paper_models import Paper
from shop.markets import day_of
from shop.money import Currency
from shop.payments import (
    checkouts,
    invoice_checkouts,
    ledger,
    orphans,
    reconciliation,
    refund_calls,
    refunds,
    settling,
)
from shop.payments.gateway import BalanceFacts, CheckoutFacts
from shop.payments.models import AttemptState, InvoiceAttempt, Payment, PaymentRole, Refund, RefundState
from shop.worker import release_holds
from tests.client import Client, make_client
from tests.factories import Catalogue, make_admin, make_order
from tests.fake_gateway import FakeGateway
from tests.test_admin_signing import sign_in
from tests.test_libraries import LIBRARIAN
from tests.test_library_desk import NOW, VERA, do, found, invoiced, letters, shelf
from tests.till import at_once, deliver

SHOP = "http://localhost"
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _shop(session: Session, catalogue: Catalogue, gateway: FakeGateway) -> None:
    make_admin(session)
    gateway.now = NOW


@pytest.fixture
def bill(session: Session, gateway: FakeGateway) -> Paper:
    """An invoice over £69.50 that nobody has paid."""
    return invoiced(session)[1]


def page_of(session: Session, gateway: FakeGateway, bill: Paper, now: datetime = NOW) -> str:
    """The id of the page that the link leads to now."""
    url = invoice_checkouts.pay_page(session, gateway, bill.id, SHOP, now)
    return next(each.checkout_id for each in gateway.checkouts.values() if each.url == url)


def learn(session: Session, gateway: FakeGateway, checkout_id: str, now: datetime = NOW) -> settling.Outcome:
    outcome = settling.learn(session, gateway, checkout_id, now)
    session.expire_all()
    return outcome


def paid(session: Session, gateway: FakeGateway, bill: Paper) -> CheckoutFacts:
    """Somebody has paid by the link, and the shop has heard of it."""
    facts = gateway.pay(page_of(session, gateway, bill))
    learn(session, gateway, facts.checkout_id)
    return facts


def payments(session: Session) -> list[Payment]:
    session.rollback()
    return list(session.scalars(select(Payment).order_by(Payment.id)))


def give_back(session: Session, gateway: FakeGateway, now: datetime = NOW) -> None:
    for refund_id in refund_calls.due(session, now):
        refund_calls.perform(session, gateway, refund_id, now)
    session.expire_all()


def reasons(session: Session) -> list[str]:
    """Of what the shopkeeper was told."""
    return [letter.context["reason"] for letter in letters(session, Kind.LIBRARY_ATTENTION)]


def story(session: Session, bill: Paper) -> list[str]:
    session.expire_all()
    return [event.kind for event in bill.order.events]


# Paying


def test_a_payment_told_three_ways_pays_the_invoice_once(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper, catalogue: Catalogue
) -> None:
    before = shelf(session, catalogue.paperback)
    facts = gateway.pay(page_of(session, gateway, bill))
    told = deliver(client, gateway, "checkout.session.completed", facts.checkout_id, times=2)
    assert told.status_code == 200
    returned = client.get(f"{papers.pay_path(bill)}?session_id={facts.checkout_id}")
    assert "It is paid." in returned.page.text.replace("\u00a0", " ")
    assert reconciliation.run(session, gateway, NOW).paid_there == []
    session.expire_all()
    assert (bill.paid_online, bill.paid_note, papers.open_sum(session, bill)) == (True, facts.intent_id, 0)
    assert bill.paid_on is not None
    (payment,) = payments(session)
    assert (payment.role, payment.amount, payment.paper_id) == (PaymentRole.INVOICE, 6950, bill.id)
    (letter,) = letters(session, Kind.LIBRARY_PAID)
    assert (letter.recipient, letter.context["sum"]) == (LIBRARIAN, {"amount": 6950, "currency": "GBP"})
    assert reasons(session) == ["paid_online"]
    assert story(session, bill).count("paid_online") == 1
    assert shelf(session, catalogue.paperback) == before
    assert found(session) == []


def test_a_payment_of_which_no_webhook_tells_is_found_by_reconciliation(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = gateway.pay(page_of(session, gateway, bill))
    report = reconciliation.run(session, gateway, NOW)
    assert [each.number for each in report.paid_there] == [bill.number]
    session.expire_all()
    assert bill.paid_note == facts.intent_id
    assert reconciliation.run(session, gateway, NOW, NOW).clean
    assert found(session) == []


def test_the_page_asks_for_the_very_sum_and_for_no_address(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    asked = gateway.checkouts[page_of(session, gateway, bill)]
    assert (asked.total, asked.currency, asked.reference) == (6950, Currency.GBP, bill.number)
    (attempt,) = session.scalars(select(InvoiceAttempt))
    assert (attempt.parameters["country"], attempt.parameters["postage"]) == ("", 0)
    assert attempt.parameters["lines"][0]["title"] == f"Invoice {bill.number}"
    assert attempt.parameters["lines"][0]["description"] == "Purchase order: PO 1"
    assert attempt.parameters["success_url"].startswith(SHOP + papers.pay_path(bill))


def test_after_a_part_was_credited_only_the_rest_is_asked_for(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    first = page_of(session, gateway, bill)
    do(session, desk.credit, bill.id, 1, 0, 0)
    second = page_of(session, gateway, bill)
    assert gateway.checkouts[first].status == "expired"
    assert gateway.checkouts[second].total == 4750
    learn(session, gateway, gateway.pay(second).checkout_id)
    assert bill.paid_online
    assert found(session) == []


def test_the_link_leads_to_the_open_page_and_to_a_fresh_one_when_it_is_over(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    first = page_of(session, gateway, bill)
    assert page_of(session, gateway, bill, NOW + 60 * MINUTE) == first
    later = NOW + timedelta(days=30)
    gateway.now = later
    second = page_of(session, gateway, bill, later)
    assert second != first
    assert gateway.checkouts[first].status == "expired"
    learn(session, gateway, gateway.pay(second).checkout_id, later)
    assert bill.paid_on == day_of(later)


def test_two_tabs_at_once_get_one_page(app: Flask, session: Session, gateway: FakeGateway, bill: Paper) -> None:
    bill_id = bill.id
    session.rollback()

    def open_page(own: Session, _number: int) -> str:
        return invoice_checkouts.pay_page(own, gateway, bill_id, SHOP, NOW)

    urls = set(at_once(app, 6, open_page))
    assert len(urls) == 1
    assert [each.status for each in gateway.checkouts.values()] == ["open"]


def test_an_answer_that_was_lost_leads_to_the_same_page(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    gateway.after.append(GatewayUnavailable("cut off"))
    with pytest.raises(GatewayUnavailable):
        page_of(session, gateway, bill)
    (lost,) = gateway.checkouts
    assert page_of(session, gateway, bill) == lost


def test_money_on_a_page_whose_answer_was_lost_pays_the_invoice(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    gateway.after.append(GatewayUnavailable("cut off"))
    with pytest.raises(GatewayUnavailable):
        page_of(session, gateway, bill)
    (lost,) = gateway.checkouts
    gateway.pay(lost)
    invoice_checkouts.sweep(session, gateway, NOW + invoice_checkouts.LIFE + 10 * MINUTE)
    session.expire_all()
    assert bill.paid_online
    assert session.scalars(select(InvoiceAttempt)).one().state is AttemptState.CLOSED
    assert found(session) == []


def test_a_page_that_was_never_opened_is_given_up_and_another_has_its_own_key(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    gateway.before.append(GatewayUnavailable("kept failure", spent=True))
    with pytest.raises(GatewayUnavailable):
        page_of(session, gateway, bill)
    page_of(session, gateway, bill)
    first, second = session.scalars(select(InvoiceAttempt).order_by(InvoiceAttempt.number))
    assert (first.state, second.state) == (AttemptState.CLOSED, AttemptState.OPEN)
    assert first.key != second.key


def test_a_refusal_leaves_the_invoice_as_it_was(session: Session, gateway: FakeGateway, bill: Paper) -> None:
    gateway.before.append(GatewayRefused("parameter_invalid", "no"))
    with pytest.raises(GatewayRefused):
        page_of(session, gateway, bill)
    session.expire_all()
    assert papers.open_sum(session, bill) == 6950
    assert page_of(session, gateway, bill)


# Money that finds nothing to pay


def by_transfer(session: Session, bill: Paper) -> None:
    do(session, desk.note_paid, bill.id, date(2026, 11, 24), "FT 1")


def credited_whole(session: Session, bill: Paper) -> None:
    do(session, desk.credit, bill.id, 3, 350, 0)


def credited_in_part(session: Session, bill: Paper) -> None:
    do(session, desk.credit, bill.id, 1, 0, 0)


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [(by_transfer, "paid_twice"), (credited_whole, "paid_late"), (credited_in_part, "paid_late")],
)
def test_money_for_what_is_not_open_any_more_goes_back_whole(
    session: Session,
    gateway: FakeGateway,
    bill: Paper,
    meanwhile: Callable[[Session, Paper], None],
    why: str,
) -> None:
    checkout_id = page_of(session, gateway, bill)
    gateway.pay(checkout_id)
    meanwhile(session, bill)
    open_before, note = papers.open_sum(session, bill), bill.paid_note
    learn(session, gateway, checkout_id)
    learn(session, gateway, checkout_id)
    give_back(session, gateway)
    (payment,) = payments(session)
    (refund,) = payment.refunds
    assert payment.role is PaymentRole.SURPLUS
    assert (refund.amount, refund.state, refund.reason) == (6950, RefundState.SUCCEEDED, why)
    assert (papers.open_sum(session, bill), bill.paid_note, bill.paid_online) == (open_before, note, False)
    (letter,) = letters(session, Kind.LIBRARY_REFUNDED)
    assert (letter.context["reason"], letter.context["sum"]["amount"]) == (why, 6950)
    assert reasons(session) == [why]
    assert found(session) == []


def test_two_pages_paid_at_once_pay_once_and_the_other_goes_back(
    app: Flask, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    """A restored backup may have forgotten the first page; its mark tells what it was for."""
    first = gateway.checkouts[page_of(session, gateway, bill)]
    other = replace(first, checkout_id="cs_other", url="https://pay.example/cs_other")
    gateway.checkouts["cs_other"] = other
    for each in (first, other):
        gateway.pay(each.checkout_id)
    at_once(app, 4, lambda own, n: settling.learn(own, gateway, ("cs_other", first.checkout_id)[n % 2], NOW))
    give_back(session, gateway)
    roles = sorted(payment.role.value for payment in payments(session))
    assert roles == ["invoice", "surplus"]
    assert [refund.amount for refund in session.scalars(select(Refund))] == [6950]
    assert found(session) == []


def test_the_database_itself_takes_one_payment_of_an_invoice_and_no_second(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    paid(session, gateway, bill)
    (first,) = payments(session)

    def another(role: PaymentRole) -> Payment:
        return Payment(
            paper_id=first.paper_id,
            role=role,
            intent_id=f"pi_{role.value}",
            amount=first.amount,
            currency=first.currency,
            received_at=NOW,
            facts={},
        )

    session.add(another(PaymentRole.SURPLUS))  # money that goes back may be for it as well
    session.commit()
    session.add(another(PaymentRole.INVOICE))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_a_transfer_noted_while_the_link_is_paid_leaves_one_of_the_two(
    app: Flask, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts, bill_id = gateway.pay(page_of(session, gateway, bill)), bill.id
    session.rollback()

    def either(own: Session, number: int) -> object:
        if number:
            return settling.learn(own, gateway, facts.checkout_id, NOW)
        return transact(own, desk.note_paid, bill_id, date(2026, 11, 24), "FT 1", VERA, NOW)

    outcomes = at_once(app, 2, either)
    give_back(session, gateway)
    (payment,) = payments(session)
    went_back = sum(refund.amount for refund in payment.refunds)
    refused = [each for each in outcomes if isinstance(each, WrongState)]
    assert (bill.paid_online, went_back, len(refused)) in ((True, 0, 1), (False, 6950, 0))
    assert found(session) == []


def test_another_sum_than_was_asked_for_waits_for_a_person_and_the_link_with_it(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = gateway.pay(page_of(session, gateway, bill), total=6000)
    learn(session, gateway, facts.checkout_id)
    (payment,) = payments(session)
    assert (payment.role, payment.refunds, reasons(session)) == (PaymentRole.SURPLUS, [], ["amount_differs"])
    assert bill.paid_on is None
    with pytest.raises(WrongState):
        page_of(session, gateway, bill)
    assert not any("invoices" in form.action for form in client.get(papers.pay_path(bill)).page.forms())
    asked = transact(session, refunds.ask, payment.id, 6000, "", VERA, NOW)
    refund_calls.perform(session, gateway, asked.id, NOW)
    assert page_of(session, gateway, bill)
    assert found(session) == []


@pytest.mark.parametrize("meanwhile", [by_transfer, credited_whole, credited_in_part])
def test_an_open_page_is_closed_when_something_else_is_open(
    app: Flask, session: Session, gateway: FakeGateway, bill: Paper, meanwhile: Callable[[Session, Paper], None]
) -> None:
    checkout_id = page_of(session, gateway, bill)
    with app.app_context():
        release_holds(session, NOW, None)
        assert gateway.checkouts[checkout_id].status == "open"
        meanwhile(session, bill)
        release_holds(session, NOW, None)
    assert gateway.checkouts[checkout_id].status == "expired"
    assert session.scalars(select(InvoiceAttempt)).one().state is AttemptState.CLOSED


def test_an_invoice_issued_anew_is_paid_by_a_page_of_the_old_one(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = gateway.pay(page_of(session, gateway, bill))
    anew = do(session, desk.issue_again, bill.id)
    assert isinstance(anew, Paper)
    learn(session, gateway, facts.checkout_id)
    session.refresh(anew)
    assert (anew.paid_online, anew.paid_note, bill.paid_on) == (True, facts.intent_id, None)
    assert payments(session)[0].paper_id == anew.id
    assert found(session) == []


def test_a_paid_invoice_issued_anew_stays_paid_by_its_payment(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = paid(session, gateway, bill)
    anew = do(session, desk.issue_again, bill.id)
    assert isinstance(anew, Paper)
    assert (anew.paid_online, anew.paid_note) == (True, facts.intent_id)
    assert found(session) == []


def test_what_the_link_has_paid_nobody_takes_back_by_hand(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    paid(session, gateway, bill)
    for day in (None, date(2026, 11, 24)):
        with pytest.raises(WrongState):
            do(session, desk.note_paid, bill.id, day, "")


def test_a_number_given_to_another_library_takes_no_money_that_was_not_for_it(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    """After a backup was restored, numbers come again; the ticket in the mark tells whose the money is."""
    checkout_id = page_of(session, gateway, bill)
    page = gateway.checkouts[checkout_id]
    mark = {**page.metadata, "ticket": "LB-00000000"}
    gateway.checkouts["cs_old"] = replace(page, checkout_id="cs_old", metadata=mark)
    gateway.pay("cs_old")
    assert learn(session, gateway, "cs_old") is settling.Outcome.ORPHAN
    assert bill.paid_on is None
    assert payments(session)[0].role is PaymentRole.ORPHAN


# What follows


def test_a_refund_of_what_was_credited_leaves_the_invoice_paid(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    paid(session, gateway, bill)
    do(session, desk.credit, bill.id, 1, 0, 0)
    (payment,) = payments(session)
    asked = transact(session, refunds.ask, payment.id, 2200, "", VERA, NOW)
    refund_calls.perform(session, gateway, asked.id, NOW)
    session.expire_all()
    assert (bill.paid_online, papers.open_sum(session, bill)) == (True, 0)
    (letter,) = letters(session, Kind.LIBRARY_REFUNDED)
    assert (letter.context["reason"], letter.context["sum"]["amount"]) == ("refunded", 2200)
    assert found(session) == []


def test_a_refund_of_all_opens_the_invoice_again_and_it_can_be_paid_anew(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = paid(session, gateway, bill)
    refund = gateway.refund_in_dashboard(facts.intent_id, 6950)
    assert deliver(client, gateway, "refund.created", refund.provider_id, times=2).status_code == 200
    session.expire_all()
    assert (bill.paid_on, bill.paid_online, papers.open_sum(session, bill)) == (None, False, 6950)
    assert reasons(session) == ["paid_online", "open_again"]
    assert found(session) == []
    gateway.now = NOW + MINUTE
    paid(session, gateway, bill)
    assert bill.paid_online
    assert found(session) == []


def test_a_refund_that_fails_is_told_to_the_shopkeeper(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = paid(session, gateway, bill)
    refund = gateway.refund_in_dashboard(facts.intent_id, 1000)
    deliver(client, gateway, "refund.created", refund.provider_id)
    gateway.fail_refund(refund.provider_id)
    deliver(client, gateway, "refund.failed", refund.provider_id, times=2)
    assert reasons(session) == ["paid_online", "refund_failed"]
    session.expire_all()
    assert bill.paid_online
    assert found(session) == []


def test_an_old_list_of_refunds_undoes_no_newer_one(session: Session, gateway: FakeGateway, bill: Paper) -> None:
    facts = paid(session, gateway, bill)
    refund = gateway.refund_in_dashboard(facts.intent_id, 1000)
    old = gateway.refunds_of(facts.intent_id)
    refunds.learn(session, gateway, facts.intent_id, NOW)
    gateway.fail_refund(refund.provider_id)
    (payment,) = payments(session)
    stood = [(row.id, row.state, row.provider_id) for row in payment.refunds]
    refunds.learn(session, gateway, facts.intent_id, NOW)
    assert transact(session, refunds.apply, payment.id, old, NOW, None, stood) is False
    assert session.scalars(select(Refund.state)).one() is RefundState.FAILED


def test_a_disputed_payment_keeps_the_rest_from_being_posted(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts, order_id = paid(session, gateway, bill), bill.library_order_id
    do(session, desk.post, order_id, 1, "", "")
    dispute = gateway.dispute(facts)
    deliver(client, gateway, "charge.dispute.created", dispute.provider_id, times=2)
    with pytest.raises(WrongState):
        do(session, desk.post, order_id, 1, "", "")
    assert reasons(session) == ["paid_online", "dispute"]
    gateway.close_dispute(dispute.provider_id, "won")
    deliver(client, gateway, "charge.dispute.closed", dispute.provider_id)
    do(session, desk.post, order_id, 2, "", "")
    assert found(session) == []


def test_a_fraud_warning_is_told_once(client: Client, session: Session, gateway: FakeGateway, bill: Paper) -> None:
    facts = paid(session, gateway, bill)
    gateway.warnings["issfr_1"] = facts.charge_id
    deliver(client, gateway, "radar.early_fraud_warning.created", "issfr_1", times=2)
    assert reasons(session) == ["paid_online", "fraud_warning"]


def test_ledger_and_statement_hold_the_money_its_fee_and_the_invoice(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = paid(session, gateway, bill)
    gateway.balance["txn_1"] = BalanceFacts("txn_1", "charge", facts.charge_id, 6950, 124, 6826, Currency.GBP, NOW)
    reconciliation.run(session, gateway, NOW)
    (statement,) = ledger.statements(session)
    assert (dict(statement.by_kind), statement.fees, statement.net) == ({"charge": 6950}, 124, 6826)
    ((entry, number),) = ledger.of_month(session, "2026-11", Currency.GBP)
    assert (entry.net, number) == (6826, bill.number)


@pytest.mark.parametrize("spoil", ["unpaid", "role", "sum", "letter"])
def test_the_audit_names_what_does_not_agree(
    session: Session, gateway: FakeGateway, bill: Paper, spoil: str
) -> None:
    paid(session, gateway, bill)
    assert found(session) == []

    def work(s: Session) -> None:
        payment = s.scalars(select(Payment)).one()
        if spoil == "unpaid":
            row = s.get_one(Paper, bill.id)
            row.paid_online, row.paid_on = False, None
        elif spoil == "role":
            payment.role = PaymentRole.SURPLUS
        elif spoil == "sum":
            payment.amount = 6951
        else:
            for letter in s.scalars(select(Letter).where(Letter.kind == Kind.LIBRARY_PAID)):
                s.delete(letter)

    transact(session, work)
    session.expire_all()
    assert len(found(session)) == 1


def test_an_order_is_rebuilt_from_no_invoices_money(session: Session, gateway: FakeGateway, bill: Paper) -> None:
    paid(session, gateway, bill)
    with pytest.raises(orphans.NotRebuildable):
        orphans.rebuild(session, gateway, payments(session)[0].id, VERA, NOW)


def test_what_a_payment_tells_of_its_payer_is_erased_with_the_rest(
    session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    paid(session, gateway, bill)
    order = bill.order
    do(session, desk.post, order.id, 3, "", "")
    transact(session, lambda s: [setattr(each, "state", "sent") for each in s.scalars(select(Letter))])
    assert erasure.run(session, NOW + timedelta(days=2600), years=7, months=24).libraries == [order.ticket]
    session.expire_all()
    assert [payment.card for payment in payments(session)] == [""]
    assert [page.parameters for page in session.scalars(select(InvoiceAttempt))] == [{}]
    assert found(session) == []


def test_nothing_is_erased_while_its_page_is_open(session: Session, gateway: FakeGateway, bill: Paper) -> None:
    order = bill.order
    page_of(session, gateway, bill)
    by_transfer(session, bill)
    do(session, desk.post, order.id, 3, "", "")
    transact(session, lambda s: [setattr(each, "state", "sent") for each in s.scalars(select(Letter))])
    with pytest.raises(erasure.NotErasable):
        transact(session, erasure.erase_library, order.id, NOW)


def test_money_with_its_refund_lives_through_the_migration_back_and_forth(
    app: Flask, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = paid(session, gateway, bill)
    gateway.refund_in_dashboard(facts.intent_id, 1000)
    refunds.learn(session, gateway, facts.intent_id, NOW)
    bill_id = bill.id
    session.rollback()
    session.close()
    with app.app_context():
        flask_migrate.downgrade(revision="0015_library_desk")
        flask_migrate.upgrade()
    (payment,) = payments(session)
    assert (payment.role, payment.amount, payment.paper_id) == (PaymentRole.ORPHAN, 6950, None)
    assert [refund.amount for refund in payment.refunds] == [1000]
    assert session.get_one(Paper, bill_id).paid_on is not None
    assert found(session) == []


# The link


def test_opening_the_link_opens_no_page_at_stripe_and_the_button_does(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    path = papers.pay_path(bill)
    for method in ("GET", "HEAD"):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert gateway.calls == []
    form = next(form for form in client.get(path).page.forms() if form.action == SHOP + path)
    led = client.submit(form)
    assert (led.status_code, led.headers["Location"]) == (303, next(iter(gateway.checkouts.values())).url)


@pytest.mark.parametrize(
    ("market", "words"), [("en-gb", "Pay £69.50 by card"), ("ru-gb", "Оплатить картой: 69,50")]
)
def test_the_link_speaks_the_readers_language(
    client: Client, session: Session, gateway: FakeGateway, market: str, words: str
) -> None:
    _order, bill = invoiced(session, market)
    text = client.get(papers.pay_path(bill)).page.text.replace("\u00a0", " ")
    assert words in text
    assert page_of(session, gateway, bill)
    title = session.scalars(select(InvoiceAttempt)).one().parameters["lines"][0]["title"]
    assert title == {"en-gb": "Invoice INV-00001", "ru-gb": "Счёт INV-00001"}[market]


def test_another_librarys_invoice_is_not_reached(client: Client, session: Session, bill: Paper) -> None:
    other, _theirs = invoiced(session, attempt="b" * 24, purchase_order="PO 2")
    for token, number in ((other.token, bill.number), ("x" * 43, bill.number), (bill.order.token, "CN-00001")):
        path = f"/en-gb/libraries/{token}/invoices/{number}"
        assert client.get(path).status_code == 404
        assert client.post(path).status_code == 404


def test_while_stripe_is_away_the_link_says_so_and_keeps_the_button(
    client: Client, gateway: FakeGateway, bill: Paper
) -> None:
    path = papers.pay_path(bill)
    gateway.before.append(GatewayUnavailable("away"))
    answer = client.post(path)
    assert answer.status_code == 503
    assert SHOP + path in [form.action for form in answer.page.forms()]


def test_a_page_that_cannot_be_asked_about_is_no_reason_to_pay_again(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    facts = gateway.pay(page_of(session, gateway, bill))
    gateway.before.append(GatewayUnavailable("away"))
    page = client.get(f"{papers.pay_path(bill)}?session_id={facts.checkout_id}").page
    assert "please do not pay again" in page.text.replace("\u00a0", " ")
    assert SHOP + papers.pay_path(bill) not in [form.action for form in page.forms()]


def test_what_is_paid_credited_or_replaced_offers_no_payment(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    anew = do(session, desk.issue_again, bill.id)
    assert isinstance(anew, Paper)
    replaced = client.get(papers.pay_path(bill)).page
    assert papers.pay_path(anew) in replaced.links()
    assert client.post(papers.pay_path(bill)).status_code == 303
    credited_whole(session, anew)
    for each in (bill, anew):
        assert not [form for form in client.get(papers.pay_path(each)).page.forms() if "invoices" in form.action]
    assert gateway.checkouts == {}


def test_a_sum_that_no_card_pays_is_for_the_bank(
    client: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    do(session, desk.credit, bill.id, 3, 325, 0)  # 25 pence are left: less than Stripe charges
    assert invoice_checkouts.payable(session, bill) is None
    assert "by bank transfer" in client.get(papers.pay_path(bill)).page.text.replace("\u00a0", " ")


def test_the_letters_that_ask_for_money_bring_the_link(session: Session, bill: Paper) -> None:
    transact(session, papers.store, bill.id, b"%PDF", NOW)
    (letter,) = letters(session, Kind.LIBRARY_PAPER)
    assert letter.context["paper"]["pay_path"] == papers.pay_path(bill)
    by_transfer(session, bill)
    assert papers.facts(bill)["pay_path"] == ""


# At the desk


@pytest.fixture
def vera(app: Flask, session: Session) -> Client:
    client = make_client(app, after=session.rollback)
    assert sign_in(client).status_code == 303
    return client


def test_the_desk_shows_the_link_then_the_payment_and_leads_to_its_refund(
    vera: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    address = f"/admin/libraries/{bill.order.ticket}/desk"
    assert SHOP + papers.pay_path(bill) in vera.get(address).page.links()
    facts = paid(session, gateway, bill)
    page = vera.get(address).page
    assert SHOP + papers.pay_path(bill) not in page.links()
    assert facts.intent_id in page.text
    assert not [form for form in page.forms() if form.action.endswith("/unpaid")]
    (payment,) = payments(session)
    assert f"/admin/payments/{payment.id}/refund" in page.links()
    asked = vera.get(f"/admin/payments/{payment.id}/refund?way=amount&sum=22.00").page
    assert bill.number in asked.text
    form = next(form for form in asked.forms() if form.action.endswith("/refund") and "left" in form.fields)
    gateway.refund_status = "pending"
    done = vera.submit(form)
    assert (done.status_code, done.headers["Location"]) == (303, address)
    assert session.scalars(select(Refund.amount)).one() == 2200
    assert bill.number in vera.get("/admin/money").page.text
    assert vera.get(f"/admin/libraries/{bill.order.ticket}").status_code == 200


def test_a_transfer_noted_at_the_desk_closes_the_page_at_once(
    vera: Client, session: Session, gateway: FakeGateway, bill: Paper
) -> None:
    checkout_id = page_of(session, gateway, bill, datetime.now(UTC))
    form = next(
        form
        for form in vera.get(f"/admin/libraries/{bill.order.ticket}/desk").page.forms()
        if form.action.endswith(f"/papers/{bill.id}/paid")
    )
    assert vera.submit(form, **{"paid-day": "2026-11-24", "paid-note": "FT"}).status_code == 303
    assert gateway.checkouts[checkout_id].status == "expired"


def test_money_for_an_invoice_changes_no_order(session: Session, gateway: FakeGateway, bill: Paper) -> None:
    order = make_order(session, now=NOW)
    checkouts.pay_page(session, gateway, order.id, SHOP, NOW)
    paid(session, gateway, bill)
    reconciliation.run(session, gateway, NOW)
    session.refresh(order)
    assert order.payment_state.value == "awaiting"
    assert found(session) == []
