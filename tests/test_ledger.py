"""Fees and net are the provider's own, and a month's statement equals his ledger to the penny."""

from __future__ import annotations

from collections import defaultdict

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import audit
from shop.database import transact
from shop.libraries import papers
from shop.orders import timeline
from shop.payments import checkouts, ledger, reconciliation, refund_calls, refunds
from shop.payments.models import Payment, Refund
from tests import factories
from tests.client import Client
from tests.conftest import MovedClock
from tests.sandbox_process import Sandbox
from tests.test_library_desk import invoiced


def test_a_statement_equals_the_providers_ledger_to_the_penny(
    app: Flask, session: Session, catalogue: factories.Catalogue, sandbox: Sandbox, clock: MovedClock
) -> None:
    gateway = app.extensions["shop.gateway"]
    for market, country in (("en-gb", "GB"), ("ru-us", "US"), ("ru-gb", "GB")):
        order = factories.make_order(session, market, now=clock.now(), paperback=2, russian=1)
        page = checkouts.pay_page(session, gateway, order.id, "http://localhost", clock.now())
        postcode = "10001" if country == "US" else "N1 1AA"
        assert sandbox.pay(page, country=country, postal_code=postcode).status == 303
    reconciliation.run(session, gateway, clock.now())
    first = session.scalars(select(Payment).order_by(Payment.id)).first()
    assert first is not None
    asked = transact(session, refunds.ask, first.id, 700, "", timeline.admin("Vera"), clock.now())
    refund_calls.perform(session, gateway, asked.id, clock.now())
    reconciliation.run(session, gateway, clock.now())
    reconciliation.run(session, gateway, clock.now())

    charges = set(session.scalars(select(Payment.charge_id)))
    truth = sandbox.ledger()
    sources = charges | {each["id"] for each in truth["refunds"] if each["charge"] in charges}
    should: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in truth["balance_transactions"]:
        if each["source"] in sources:
            sums = should[each["currency"].upper()]
            for place, name in enumerate(("amount", "fee", "net")):
                sums[place] += each[name]
    told: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for statement in ledger.statements(session):
        sums = told[statement.currency.value]
        sums[0] += sum(statement.by_kind.values())
        sums[1] += statement.fees
        sums[2] += statement.net
    assert told == should
    assert set(told) == {"GBP", "USD"}
    assert should["GBP"][1] > 0
    kinds = {entry.kind for entry in ledger.of_payment(session, first.id)}
    assert kinds == {"charge", "refund"}


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_an_invoice_paid_at_the_provider_is_in_the_statement_with_its_fee(
    app: Flask,
    client: Client,
    session: Session,
    catalogue: factories.Catalogue,
    sandbox: Sandbox,
    clock: MovedClock,
    market: str,
) -> None:
    _order, bill = invoiced(session, market)
    page = client.submit(
        next(form for form in client.get(papers.pay_path(bill)).page.forms() if form.fields == {})
    )
    assert page.status_code == 303
    back = sandbox.pay(page.headers["Location"])
    assert back.status == 303
    path = back.location.removeprefix("http://localhost")
    assert client.get(path).status_code == 200
    session.expire_all()
    assert bill.paid_online
    gateway = app.extensions["shop.gateway"]
    reconciliation.run(session, gateway, clock.now())
    (payment,) = session.scalars(select(Payment))
    asked = transact(session, refunds.ask, payment.id, 2200, "", timeline.admin("Vera"), clock.now())
    refund_calls.perform(session, gateway, asked.id, clock.now())
    reconciliation.run(session, gateway, clock.now())
    reconciliation.run(session, gateway, clock.now())
    moved = ledger.of_payment(session, payment.id)
    assert {entry.kind: entry.amount for entry in moved} == {"charge": 6950, "refund": -2200}
    sources = {payment.charge_id, *session.scalars(select(Refund.provider_id))}
    there = [each for each in sandbox.ledger()["balance_transactions"] if each["source"] in sources]
    (statement,) = ledger.statements(session)
    assert (statement.fees, statement.net) == (sum(e["fee"] for e in there), sum(e["net"] for e in there))
    assert statement.fees > 0
    assert [str(each) for each in audit.run(session)] == []
