"""Money at the desk: refunds by copies and by sum, orders rebuilt, statements that no spreadsheet runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.money import Currency
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import refunds
from shop.payments.ledger import LedgerEntry
from shop.payments.models import Payment, PaymentRole, Refund, RefundState
from tests import factories
from tests.client import Client
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import desk, form_to, url
from tests.test_orphans import NUMBER, lost
from tests.test_refunds import turn
from tests.till import counters, deliver, differences, payments

__all__ = ["desk"]


@pytest.mark.parametrize(("typed", "amount"), [("12.50", 1250), ("12,50", 1250), ("3", 300)])
def test_a_sum_is_refunded_as_it_was_typed_and_once(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue, typed: str, amount: int
) -> None:
    factories.make_paid_order(session, gateway)
    page = f"/admin/payments/{payments(session)[0].id}/refund"
    asked = desk.submit(desk.get(page).page.form("sum"), sum=typed).page.form("reason")
    assert desk.submit(asked).status_code == 303
    assert desk.submit(asked).status_code == 409
    assert [each.amount for each in session.scalars(select(Refund))] == [amount]
    assert differences(session) == []


@pytest.mark.parametrize("typed", ["", "0", "x", "12.5", "99999", "-1"])
def test_what_is_no_sum_to_refund_is_said(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue, typed: str
) -> None:
    factories.make_paid_order(session, gateway)
    page = f"/admin/payments/{payments(session)[0].id}/refund"
    refused = desk.submit(desk.get(page).page.form("sum"), sum=typed)
    assert refused.status_code == 422
    assert [each.get("name") for each in refused.page.all(".//input[@aria-invalid='true']")] == ["sum"]
    assert session.scalars(select(Refund)).all() == []


def test_posted_copies_are_refunded_and_put_back_on_the_shelf(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway, paperback=2)
    desk.submit(form_to(desk.get(url(order)), "/post"))
    page = f"/admin/payments/{payments(session)[0].id}/refund"
    asked = desk.submit(desk.get(page).page.form("copies-1"), **{"copies-1": "1"}).page.form("reason")
    assert desk.submit(asked).status_code == 303
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    back = form_to(desk.get(url(order)), "/back")
    assert desk.submit(back).status_code == 303
    assert desk.submit(back).status_code == 303
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    rest = desk.submit(desk.get(page).page.form("copies-1"), **{"copies-1": "1"}).page.form("reason")
    assert desk.submit(rest, back="on").status_code == 303
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert differences(session) == []


def test_an_orphans_order_is_rebuilt_at_the_desk(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    lost(session, gateway, datetime.now(UTC))
    form = form_to(desk.get("/admin/money"), "/rebuild")
    for _ in range(2):
        assert desk.submit(form).location == f"/admin/orders/{NUMBER}"
    assert "rebuilt from what Stripe knows" in desk.get(f"/admin/orders/{NUMBER}").page.text
    assert session.scalars(select(Payment)).one().role is PaymentRole.ORDER


def entry(session: Session, payment: Payment, currency: Currency, kind: str, mark: str) -> None:
    row = LedgerEntry(
        provider_id=mark,
        kind=kind,
        payment_id=payment.id,
        amount=2550,
        fee=58,
        net=2492,
        currency=currency,
        at=datetime(2026, 11, 30, 23, 30, tzinfo=UTC),
    )
    transact(session, lambda s: s.add(row))


def test_statements_keep_currencies_apart_and_download_no_formula(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order: Order = factories.make_paid_order(session, gateway)
    paid = payments(session)[0]
    entry(session, paid, Currency.GBP, "charge", "txn_1")
    entry(session, paid, Currency.USD, '=HYPERLINK("x")', "txn_2")
    text = desk.get("/admin/statements").page.text
    assert "£24.92" in text
    assert "US$24.92" in text
    assert "49.84" not in text
    pounds = desk.get("/admin/statements/2026-11/GBP.csv").get_data(as_text=True)
    assert f"2026-11-30,payments,{order.number},25.50,0.58,24.92,GBP,txn_1" in pounds
    dollars = desk.get("/admin/statements/2026-11/USD.csv").get_data(as_text=True)
    assert "'=HYPERLINK" in dollars
    assert "txn_1" not in dollars
    assert desk.get("/admin/statements/2026-12/GBP.csv").status_code == 404
    assert "fee £0.58, net £24.92" in desk.get(url(order)).page.text


def test_a_refund_that_failed_is_made_once_more_from_the_order(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, 1250)
    gateway.fail_refund(made.provider_id)
    refunds.learn(session, gateway, payments(session)[0].intent_id, datetime.now(UTC))
    page = desk.get(url(order))
    assert "Refund £12.50 once more" in page.text
    again = form_to(page, "/again")
    assert desk.submit(again).status_code == 303
    assert "/again" not in desk.get(url(order)).text
    assert desk.submit(again).status_code == 409
    found = session.scalars(select(Refund).order_by(Refund.id))
    assert [(each.amount, each.state) for each in found] == [
        (1250, RefundState.FAILED),
        (1250, RefundState.SUCCEEDED),
    ]
    assert differences(session) == []


def test_a_refund_that_stripe_has_still_under_way_is_not_called_done(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, 2550)
    turn(gateway, made, "pending")
    deliver(desk, gateway, "refund.created", made.provider_id)

    def marks(page: str) -> list[str]:
        spans = desk.get(page).page.root.iter("span")
        return ["".join(each.itertext()).strip() for each in spans if "mark-state" in each.get("class", "")]

    session.refresh(order)
    assert order.payment_state is PaymentState.REFUNDED
    for page in (url(order), "/admin/orders"):
        assert "refund on its way to the buyer" in marks(page)
        assert "refunded" not in marks(page)
    turn(gateway, made, "succeeded")
    deliver(desk, gateway, "refund.updated", made.provider_id)
    for page in (url(order), "/admin/orders"):
        assert "refunded" in marks(page)
