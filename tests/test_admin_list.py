"""The desk's list of orders: filters in the address, the file for a spreadsheet, ticked orders, charts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from shop.admin.charts import across, columns
from shop.admin.deadlines import overdue_since, post_by
from shop.admin.spreadsheets import harmless
from shop.database import transact
from shop.demo import making
from shop.extensions import db
from shop.letters.models import Kind, Letter
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Order, Shipment
from shop.orders.placing import locked
from tests import factories
from tests.client import Client, let_in, make_client
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import form_to, numbers

NOW = datetime.now(UTC)


@pytest.fixture
def desk(client: Client, session: Session) -> Client:
    factories.make_admin(session)
    let_in(client)
    return client


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_number_of_questions_does_not_depend_on_the_number_of_orders(
    app: Flask,
    desk: Client,
    session: Session,
    catalogue: Catalogue,
) -> None:
    pages = (
        "/admin/orders",
        "/admin/orders?q=london",
        "/admin/orders?note=yes&country=GB",
        "/admin/",
        "/admin/reports",
    )
    asked = []
    making.make(session, 400, "questions", NOW)
    for size in (1, 240):
        making.make(session, size, "questions", NOW)
        session.rollback()
        counts = []
        for page in pages:
            desk.get(page)
            with counted(app) as sent:
                desk.get(page)
            counts.append(len(sent))
        asked.append(counts)
    assert asked[0] == asked[1]


SMALL = (
    *("desk_rules", "edition", "comparison", "trader", "postage", "unconfirmed", "admin", "stock"),
    *("dispute", "library_order", "leaps", "anon_"),
)
"""Tables that stay small however long the shop sells, and what a question itself has made."""


def test_no_page_of_the_desk_reads_a_growing_table_from_end_to_end(
    app: Flask, desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    if session.get_bind().dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads tables as small as these from end to end")
    number = factories.make_paid_order(session, gateway, note="A gift").number
    for step in ("ANALYZE", "DELETE FROM sqlite_stat1"):
        session.execute(text(step))
    session.commit()
    session.get_bind().engine.dispose()  # a connection remembers that a table was small; it is to know of none
    scans = set()
    for page in (
        "/admin/orders",
        "/admin/orders?q=london",
        f"/admin/orders/{number}",
        "/admin/",
        "/admin/reports",
    ):
        with counted(app) as sent:
            desk.get(page)
        for statement in sent:
            if statement.startswith("SELECT"):
                plain = [None] * statement.count("?")
                plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(plain))
                scans |= {(page, str(step[-1])) for step in plan if str(step[-1]).startswith("SCAN ")}
    whole = {(page, step) for page, step in scans if "USING" not in step and "CONSTANT ROW" not in step}
    assert {(page, step) for page, step in whole if not step.removeprefix("SCAN ").startswith(SMALL)} == set()


def test_filters_are_links_that_keep_each_other(
    desk: Client,
    session: Session,
    gateway: FakeGateway,
    catalogue: Catalogue,
) -> None:
    factories.make_order(session, note="A gift")
    wanted = factories.make_paid_order(session, gateway, note="A gift")
    factories.make_paid_order(session, gateway, market="en-us")
    links = {text: link for link, text in desk.get("/admin/orders?note=yes").page.links().items()}
    page = desk.get(links["paid"])
    assert numbers(page) == [wanted.number]
    assert "note=yes" in links["paid"]
    assert "payment=paid" in {text: link for link, text in page.page.links().items()}["United Kingdom"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "payment=none",
            "parcel=none",
            "edition=none",
            "region=none",
            "country=xyz",
            "since=soon",
            "until=2026-13-01",
        ),
        *("attention=no", "note=1", "after=x", "after=999999", "since=0001-01-01"),
    ],
)
def test_what_no_link_leads_to_is_no_page(desk: Client, catalogue: Catalogue, query: str) -> None:
    assert desk.get(f"/admin/orders?{query}").status_code == 404


def test_the_file_holds_exactly_what_the_list_shows(
    desk: Client,
    session: Session,
    catalogue: Catalogue,
) -> None:
    making.make(session, 130, "export", NOW)
    answer = desk.get("/admin/orders.csv?payment=paid")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    wanted = select(Order).where(Order.payment_state == "paid")
    orders = list(session.scalars(wanted.order_by(Order.placed_at.desc(), Order.id.desc())))
    assert [row["Number"] for row in rows] == [order.number for order in orders]
    first, order = rows[0], orders[0]
    assert (first["Name"], first["Town"]) == (order.buyer.name, order.buyer.city)
    assert first["Total"] == str(order.total.to_decimal())


def test_the_file_is_one_that_a_spreadsheet_in_the_language_of_the_desk_opens(
    app: Flask, session: Session, desk: Client, catalogue: Catalogue
) -> None:
    """Where a comma parts the decimals, semicolons part the cells: else all would stand in one, and 12.10 be a day."""
    factories.make_admin(session, "anna@longlane.example", "Анна", "ru")
    other = make_client(app, after=session.rollback)
    let_in(other, "anna@longlane.example")
    order = factories.make_order(session)
    text = other.get("/admin/orders.csv").data.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text), delimiter=";")
    assert row["Номер"] == order.number
    assert row["Итого"] == str(order.total.to_decimal()).replace(".", ",")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *(
            ("=1+1", "'=1+1"),
            ("+44 20", "'+44 20"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\r1", "'\r1"),
        ),
        *(
            ("\r1", "'\r1"),
            (" =1", "' =1"),
            ("\u00a0=1", "'\u00a0=1"),
            ("-5.00", "-5.00"),
            ("-5,00", "-5,00"),
            ("Ada", "Ada"),
            ("a=b", "a=b"),
            ("", ""),
        ),
    ],
)
def test_no_cell_is_taken_for_a_formula(cell: str, written: str) -> None:
    assert harmless(cell) == written


def test_ten_orders_are_posted_in_four_clicks_and_not_twice(
    desk: Client,
    session: Session,
    gateway: FakeGateway,
    catalogue: Catalogue,
) -> None:
    factories.set_stock(session, catalogue.paperback, 50)
    orders = [factories.make_paid_order(session, gateway) for _ in range(10)]
    links = {text: link for link, text in desk.get("/admin/orders?state=to_post").page.links().items()}
    page = desk.get(links["Tick all on this page"])  # from today's page it is the second click
    form = form_to(page, "/ticked/post")
    ticked = [order.number for order in orders]
    token = {
        "csrf_token": form.fields["csrf_token"],
        "carrier": "Royal Mail",
        "back": "/admin/orders?state=to_post",
    }
    for _ in range(2):
        done = desk.post("/admin/orders/ticked/post", data={**token, "order": ticked})
        assert (done.status_code, done.location) == (303, "/admin/orders?state=to_post")
    assert numbers(desk.get("/admin/orders?state=to_post")) == []
    session.expire_all()
    assert {order.fulfilment_state for order in session.scalars(select(Order))} == {FulfilmentState.POSTED}
    assert len(session.scalars(select(Shipment)).all()) == 10
    assert len(session.scalars(select(Letter).where(Letter.kind == Kind.POSTED)).all()) == 10


def test_a_ticked_order_that_cannot_be_posted_is_named_and_keeps_no_other_from_it(
    desk: Client,
    session: Session,
    gateway: FakeGateway,
    catalogue: Catalogue,
) -> None:
    good, bad = factories.make_paid_order(session, gateway), factories.make_paid_order(session, gateway)
    form = form_to(desk.get("/admin/orders"), "/ticked/post")

    def refund(s: Session) -> None:
        locked(s, bad.id).refunding = True

    transact(session, refund)
    data = {
        "csrf_token": form.fields["csrf_token"],
        "order": [good.number, bad.number],
        "back": "https://evil.example/",
    }
    done = desk.post("/admin/orders/ticked/post", data=data)
    assert done.location == "/admin/orders"
    text = desk.get(done.location).page.text
    assert f"{bad.number}: A refund of this order is under way." in text
    assert "1 order is marked as posted." in text


def test_an_order_is_overdue_the_day_after_its_last(session: Session, catalogue: Catalogue) -> None:
    for hour in range(0, 24 * 14, 5):
        now = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(hours=hour)
        limit = overdue_since(session, now)
        for paid in (limit - timedelta(seconds=1), limit):
            late = post_by(paid, 2) < now.astimezone(post_zone()).date()
            assert late == (paid < limit)


def post_zone() -> object:
    from shop.markets import SHOP_ZONE

    return SHOP_ZONE


def test_every_number_of_a_chart_is_in_its_table(
    desk: Client,
    session: Session,
    gateway: FakeGateway,
    catalogue: Catalogue,
) -> None:
    factories.make_paid_order(session, gateway, paperback=2)
    page = desk.get("/admin/reports").page
    assert page.text.count("The same as a table") == 4
    assert "Sales: British Pound" in page.text
    assert "Sales: US Dollar" not in page.text
    drawn = ["".join(each.itertext()) for each in page.root.iter("{http://www.w3.org/2000/svg}text")]
    drawn = drawn or ["".join(each.itertext()) for each in page.root.iter("text")]
    assert "United Kingdom" in drawn


def test_a_chart_has_room_below_nothing() -> None:
    chart = columns("Net", [("1", "January"), ("2", "February")], [("Net", [300, -200])], str)
    up, down = chart.bars
    assert up.y + up.height == pytest.approx(down.y, abs=0.2)
    assert [cells for _month, cells in chart.rows] == [["300"], ["-200"]]
    assert columns("None", [("", "")], [("None", [0])], str).bars == []


def test_the_words_of_a_chart_stand_free_of_its_bars() -> None:
    sums = columns("Net", [("1", "January")], [("Net", [123_456])], lambda sum_: f"US${sum_:,}.00")
    assert min(bar.x for bar in sums.bars) > sums.margin > 6 * max(len(line.words) for line in sums.lines)
    long = across(
        "Countries", ["Oz", "A country of more letters than a chart has room for"], "Orders", [1, 2], str
    )
    assert all(bar.x >= 6 * len(label.words) for bar, label in zip(long.bars, long.labels, strict=True))
    assert long.labels[1].words.endswith("…")
    assert long.rows[1][0].endswith("room for")
