"""The audit finds nothing in a shop that works, and each kind of thing that was tampered with."""

from __future__ import annotations

import inspect
import json
import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from shop import audit, stock
from shop.database import transact
from shop.letters.models import Kind, Letter
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Concern, Order, OrderLine, ParcelKind, Shipment, ShipmentLine, TimelineEntry
from shop.payments import checkouts, refund_calls, refunds, settling
from shop.payments.models import Payment, Refund, RefundLine, RefundState
from shop.stock import Stock, StockMovement
from tests.conftest import engine_of
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import differences, letters, payments

ADMIN = timeline.admin("Vera Keeper")


@pytest.fixture
def busy(session: Session, catalogue: Catalogue, gateway: FakeGateway) -> dict[str, int]:
    """A shop in which everything has happened once: ids of orders by what became of them."""
    now = datetime.now(UTC)
    make_admin(session)
    ids = {}

    def known(name: str, order: Order) -> Order:
        ids[name] = order.id
        return order

    known("awaiting", make_order(session, russian=1))
    known("paid", make_paid_order(session, gateway, paperback=2, russian=1))
    posted = known("posted", make_paid_order(session, gateway, market="ru-us"))
    transact(session, fulfilment.post, posted.id, "USPS", "9400", ADMIN, now)
    for name, amount in (("refunded", 2550), ("part refunded", 50)):
        order = known(name, make_paid_order(session, gateway))
        asked = transact(session, refunds.ask, payments(session, order)[0].id, amount, "", ADMIN, now)
        refund_calls.perform(session, gateway, asked.id, now)
    cancelled = known("cancelled", make_order(session))
    checkouts.cancel(session, gateway, cancelled.id, timeline.BUYER, now)
    delayed = known("processing", make_order(session))
    settling.learn(session, gateway, pay(session, gateway, delayed, paid=False), now)
    differing = known("differing", make_order(session))
    settling.learn(session, gateway, pay(session, gateway, differing, total=1), now)
    transact(session, stock.count, catalogue.paperback, 39, "one was damaged", "Vera Keeper", now)
    return ids


def tamper(session: Session, *statements: object) -> list[str]:
    """Change rows behind the shop's back; answers what the audit says, kinds only."""
    session.rollback()
    for statement in statements:
        session.execute(statement)  # type: ignore[call-overload]
    session.commit()
    session.expire_all()
    return [each.kind for each in audit.run(session)]


def test_nothing_is_found_after_everything(session: Session, busy: dict[str, int]):
    assert differences(session) == []


def test_an_empty_shop_is_in_order(session: Session):
    assert differences(session) == []


def order(number: int):  # type: ignore[no-untyped-def]
    return update(Order).where(Order.id == number)


def test_counters_that_differ_from_their_movements(session: Session, catalogue: Catalogue, busy: dict[str, int]):
    row = update(Stock).where(Stock.edition_id == catalogue.paperback)
    assert tamper(session, row.values(on_hand=Stock.on_hand + 1)) == ["stock"]


def test_a_movement_that_was_deleted(session: Session, busy: dict[str, int]):
    gone = delete(StockMovement).where(StockMovement.order_id == busy["paid"], StockMovement.kind == "allocate")
    assert tamper(session, gone) == ["stock", "stock", "movements"]


@pytest.mark.parametrize("counter", ["held", "allocated"])
def test_copies_promised_to_nobody(session: Session, catalogue: Catalogue, busy: dict[str, int], counter: str):
    """Counter and movements agree, but no order has these copies."""
    row = update(Stock).where(Stock.edition_id == catalogue.russian)
    moved = {"edition_id": catalogue.russian, "kind": "hold", counter: 1, "actor": "x", "at": datetime.now(UTC)}
    assert tamper(
        session, row.values({counter: getattr(Stock, counter) + 1}), insert(StockMovement).values(moved)
    ) == ["promises"]


def test_movements_booked_on_another_order(session: Session, busy: dict[str, int]):
    moved = update(StockMovement).where(StockMovement.order_id == busy["paid"])
    assert tamper(session, moved.values(order_id=busy["awaiting"])) == ["movements", "movements"]


@pytest.mark.parametrize("changes", [{"quantity": 3}, {"unit_amount": 1}])
def test_a_line_that_was_changed(session: Session, busy: dict[str, int], changes: dict[str, int]):
    line = update(OrderLine).where(OrderLine.order_id == busy["refunded"])
    assert "total" in tamper(session, line.values(changes))


def test_a_total_that_was_changed(session: Session, busy: dict[str, int]):
    assert tamper(session, order(busy["awaiting"]).values(books_amount=1)) == ["total"]


def test_postage_that_was_changed_after_it_was_paid(session: Session, busy: dict[str, int]):
    assert tamper(session, order(busy["paid"]).values(postage_amount=1)) == ["payment"]


@pytest.mark.parametrize("changes", [{"amount": 1}, {"currency": "USD"}])
def test_a_payment_that_was_changed(session: Session, busy: dict[str, int], changes: dict[str, object]):
    paid = update(Payment).where(Payment.order_id == busy["paid"])
    assert tamper(session, paid.values(changes)) == ["payment"]


def test_a_timeline_that_was_changed(session: Session, busy: dict[str, int]):
    entry = update(TimelineEntry).where(TimelineEntry.order_id == busy["paid"], TimelineEntry.seq == 1)
    assert tamper(session, entry.values(kind="imagined")) == ["timeline"]


@pytest.mark.parametrize(
    ("name", "state", "kinds"),
    [
        ("paid", "refunded", ["payment state"]),
        ("paid", "part_refunded", ["payment state"]),
        ("paid", "expired", ["payment state"]),
        ("awaiting", "paid", ["payment state", "hold"]),
        ("awaiting", "expired", ["hold"]),
        ("cancelled", "awaiting", ["hold"]),
        ("refunded", "paid", ["payment state"]),
        ("part refunded", "refunded", ["payment state"]),
        ("part refunded", "paid", ["payment state"]),
    ],
)
def test_a_payment_state_that_was_changed(
    session: Session, busy: dict[str, int], name: str, state: str, kinds: list[str]
):
    assert tamper(session, order(busy[name]).values(payment_state=state)) == kinds


@pytest.mark.parametrize(
    ("name", "state", "kinds"),
    [
        ("paid", "posted", ["fulfilment", "allocation"]),
        ("paid", "cancelled", ["allocation"]),
        ("posted", "to_post", ["fulfilment", "allocation"]),
        ("refunded", "to_post", ["allocation"]),
    ],
)
def test_a_fulfilment_state_that_was_changed(
    session: Session, busy: dict[str, int], name: str, state: str, kinds: list[str]
):
    assert tamper(session, order(busy[name]).values(fulfilment_state=state)) == kinds


def test_copies_forgotten_by_their_order(session: Session, busy: dict[str, int]):
    assert set(tamper(session, order(busy["paid"]).values(allocated=False))) == {
        "promises",
        "allocation",
        "movements",
    }
    assert {"promises", "hold", "movements"} <= set(tamper(session, order(busy["awaiting"]).values(holding=False)))


def test_a_parcel_that_was_deleted(session: Session, busy: dict[str, int]):
    shipment = session.scalars(select(Shipment).where(Shipment.order_id == busy["posted"])).one()
    lines = delete(ShipmentLine).where(ShipmentLine.shipment_id == shipment.id)
    gone = delete(Shipment).where(Shipment.id == shipment.id)
    assert tamper(session, lines, gone) == ["fulfilment", "posted copies", "parcels", "search terms", "letter"]


def test_copies_of_a_parcel_that_were_changed(session: Session, busy: dict[str, int]):
    more = update(ShipmentLine).values(quantity=ShipmentLine.quantity + 1)
    assert tamper(session, more) == ["posted copies", "parcels"]


def test_a_posting_that_was_taken_back_behind_the_stock(session: Session, busy: dict[str, int], now: datetime):
    undone = update(Shipment).where(Shipment.order_id == busy["posted"]).values(undone_at=now)
    assert tamper(session, undone) == ["fulfilment", "posted copies", "parcels", "search terms", "letter"]


def test_a_free_parcel_that_nobody_has_copies_for(session: Session, busy: dict[str, int]):
    waiting = (
        update(Shipment)
        .where(Shipment.order_id == busy["posted"])
        .values(kind=ParcelKind.REPLACEMENT, posted_at=None)
    )
    found = tamper(session, waiting)
    assert {"promises", "movements", "parcels"} <= set(found)


def test_a_parcel_that_is_said_to_stand_on_the_shelf(session: Session, busy: dict[str, int], now: datetime):
    back = update(Shipment).where(Shipment.order_id == busy["posted"]).values(returned_at=now, restocked=True)
    assert tamper(session, back) == ["returned copies"]


@pytest.mark.parametrize(("name", "flag"), [("differing", False), ("paid", True)])
def test_attention_that_was_changed(session: Session, busy: dict[str, int], name: str, flag: bool):
    assert tamper(session, order(busy[name]).values(needs_attention=flag)) == ["attention"]


def test_a_concern_that_was_deleted(session: Session, busy: dict[str, int]):
    assert tamper(session, delete(Concern).where(Concern.order_id == busy["differing"])) == ["attention"]


@pytest.mark.parametrize("kind", [Kind.ORDER_PAID, Kind.POSTED, Kind.REFUNDED])
def test_a_letter_that_was_deleted(session: Session, busy: dict[str, int], kind: Kind):
    count = len(letters(session, kind))
    assert count
    assert tamper(session, delete(Letter).where(Letter.kind == kind)) == ["letter"] * count


@pytest.mark.parametrize("cause", ["payment:0", "twice"])
def test_a_letter_too_many(session: Session, busy: dict[str, int], cause: str):
    """About no payment at all, or to a second reader."""
    first = letters(session, Kind.ORDER_PAID)[0]
    values = {
        column.name: getattr(first, column.name) for column in Letter.__table__.columns if column.name != "id"
    }
    values["cause"] = first.cause if cause == "twice" else cause
    values["recipient"] = "someone@else.example"
    assert tamper(session, insert(Letter).values(values)) == ["letter"]


def test_more_given_back_than_came(session: Session, busy: dict[str, int]):
    gone = update(Refund).where(Refund.amount == 50)
    assert tamper(session, gone.values(amount=2551)) == ["payment state", "refunds"]


def test_more_decided_to_be_given_back_than_came(session: Session, busy: dict[str, int]):
    owed = update(Refund).where(Refund.amount == 50).values(state=RefundState.OWED, amount=2551)
    assert "refunds" in tamper(session, owed)


def test_a_decision_that_the_dashboard_has_overtaken_is_no_difference(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """Nothing is left for it, so the provider will refuse it; until he is asked, both stand there."""
    [payment] = payments(session, make_paid_order(session, gateway, now))
    asked, intent = transact(session, refunds.ask, payment.id, 2000, "", ADMIN, now).id, payment.intent_id
    gateway.refund_in_dashboard(intent, 1000)
    refunds.learn(session, gateway, intent, now)
    assert differences(session) == []
    refund_calls.perform(session, gateway, asked, now)
    assert session.get_one(Refund, asked, populate_existing=True).state is RefundState.FAILED
    assert differences(session) == []


def test_a_refund_that_was_deleted(session: Session, busy: dict[str, int]):
    gone = delete(Refund).where(Refund.amount == 2550)
    assert tamper(session, gone) == ["payment state", "letter"]


def test_a_payment_that_was_deleted(session: Session, busy: dict[str, int]):
    gone = delete(Payment).where(Payment.order_id == busy["paid"])
    assert tamper(session, gone) == ["paid", "payment state", "letter"]


def test_copies_that_refunds_and_lines_do_not_agree_about(session: Session, busy: dict[str, int]):
    """Taken twice, called off by nothing, back on the shelf without a movement."""
    refund = session.scalars(select(Refund).where(Refund.amount == 50)).one()
    line = {"refund_id": refund.id, "position": 1, "quantity": 1, "posted": True}
    assert tamper(session, insert(RefundLine).values(line)) == []
    rows = update(RefundLine)
    assert tamper(session, rows.values(quantity=2)) == ["refunded copies"]
    assert tamper(session, rows.values(quantity=1, returned_at=datetime.now(UTC))) == ["returned copies"]
    assert tamper(session, rows.values(posted=False)) == ["called off"]


def test_every_kind_of_difference_has_been_tried():
    """A kind that is added to the audit asks for a test here."""
    named = set(re.findall(r'Difference\(\s*"([a-z ]+)"', inspect.getsource(audit)))
    assert named == {
        "stock",
        "promises",
        "total",
        "timeline",
        "erasure",
        "paid",
        "payment state",
        "payment",
        "fulfilment",
        "allocation",
        "hold",
        "movements",
        "attention",
        "letter",
        "refunds",
        "refunded copies",
        "called off",
        "returned copies",
        "parcels",
        "search terms",  # in test_finding.py
        "day",  # in test_sales.py
        "posted copies",
    }


def test_the_command_names_differences_and_says_so_by_its_exit(app: Flask, session: Session, busy: dict[str, int]):
    runner = app.test_cli_runner()
    assert runner.invoke(args=["shop", "audit"]).exit_code == 0
    tamper(session, order(busy["awaiting"]).values(books_amount=1))
    found = runner.invoke(args=["shop", "audit", "--json"])
    assert found.exit_code == 1
    number = session.get_one(Order, busy["awaiting"]).number
    assert json.loads(found.stdout) == [{"kind": "total", "what": number, "stands": "1", "should": "1800"}]
    assert number in runner.invoke(args=["shop", "audit"]).stdout


def test_the_audit_of_a_shop_at_work_is_of_one_moment(
    app: Flask, session: Session, gateway: FakeGateway, busy: dict[str, int]
):
    """An order that is paid while the audit goes on is not half paid to it."""
    order_id = make_order(session).id
    wrong = update(Order).where(Order.id == busy["awaiting"]).values(books_amount=1)
    transact(session, lambda s: s.execute(wrong))
    going_on = audit.run(session)
    found = [next(going_on)]
    with Session(engine_of(app)) as other:
        settling.learn(other, gateway, pay(other, gateway, other.get_one(Order, order_id)), datetime.now(UTC))
    found += going_on
    assert {each.kind for each in found} == {"total"}
    session.rollback()
    assert session.get_one(Order, order_id).payment_state is PaymentState.PAID
