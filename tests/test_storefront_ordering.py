"""The order form: what its address says, what is refused and why, and that nothing is created before consent."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete, event, func, select, update
from sqlalchemy.orm import Session

from shop.catalogue.models import Price, Unconfirmed
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable
from shop.money import Currency
from shop.orders.models import Order
from shop.settings import Settings
from shop.stock import Stock
from tests.client import Answer, Client, make_client
from tests.conftest import engine_of, opened, settings_for
from tests.factories import Catalogue, make_order, set_stock
from tests.fake_gateway import FakeGateway

SAME = {"Sec-Fetch-Site": "same-origin"}
ORDER = {"paperback": "1", "russian": "0", "country": "GB", "shown_total": "2550", "attempt": "a" * 32}


def post(client: Client, market: str = "en-gb", **changes: str | None) -> Answer:
    data = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    return client.post(f"/{market}/order", data=data, headers=SAME)


def orders(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Order)) or 0


def fields(answer: Answer) -> dict[str, str]:
    return answer.page.form("country").fields


def test_the_address_alone_fills_the_form(client: Client, catalogue: Catalogue) -> None:
    english, russian = client.get("/en-gb/order"), client.get("/ru-us/order")
    assert {name: fields(english)[name] for name in ("paperback", "russian", "country", "shown_total")} == {
        "paperback": "1",
        "russian": "0",
        "country": "GB",
        "shown_total": "2550",
    }
    assert (fields(russian)["russian"], fields(russian)["country"]) == ("1", "US")
    both = client.get("/en-gb/order?paperback=2&russian=1&country=CH")
    assert fields(both)["shown_total"] == str(2 * 2200 + 1800 + 2 * 950)  # 1350 g are two steps of 750 g
    assert both.headers["Cache-Control"] == "no-store"
    assert "5–10\u00a0working days" in both.page.text
    assert fields(both)["attempt"] != fields(client.get("/en-gb/order"))["attempt"]


def test_who_has_chosen_nothing_is_offered_what_can_be_had(
    client: Client, catalogue: Catalogue, session: Session
) -> None:
    set_stock(session, catalogue.russian, 0)
    answer = client.get("/ru-gb/order")
    assert answer.status_code == 200
    assert (fields(answer)["paperback"], fields(answer)["russian"]) == ("1", "0")
    set_stock(session, catalogue.paperback, 0)
    assert fields(client.get("/ru-gb/order"))["russian"] == "1"  # nothing can be had: the form says so of his own


def test_an_edition_without_a_price_in_a_region_is_said_to_be_sold_elsewhere(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    dollars = delete(Price).where(Price.edition_id == catalogue.russian, Price.currency == Currency.USD)
    transact(session, lambda s: s.execute(dollars.execution_options(synchronize_session=False)))
    opened_first = client.get("/ru-us/order")
    assert opened_first.status_code == 200
    assert (fields(opened_first)["paperback"], fields(opened_first)["russian"]) == ("1", "0")
    for path in ("/ru-us/order", "/ru-us/", "/ru-us/books/russian"):
        assert "В этом регионе не продаётся" in client.get(path).page.text.replace("\u00a0", " "), path
    assert fields(client.get("/ru-gb/order"))["russian"] == "1"
    assert "не продаётся" not in client.get("/ru-gb/books/russian").page.text


def test_an_address_never_brings_the_mark_of_another_buyer(client: Client, catalogue: Catalogue) -> None:
    assert fields(client.get("/en-gb/order?attempt=" + "b" * 32))["attempt"] != "b" * 32


def test_a_country_of_the_other_region_leads_there_with_everything_typed(
    client: Client, catalogue: Catalogue
) -> None:
    answer = client.get(
        "/ru-gb/order",
        query_string={
            "paperback": "2",
            "russian": "1",
            "country": "US",
            "purchase_order": "PO 7",
            "note": "Марии\nс любовью",
            "shown_total": "2550",
        },
    )
    assert answer.status_code == 302
    where = urlsplit(answer.headers["Location"])
    query = parse_qs(where.query)
    assert where.path == "/ru-us/order"
    assert query["note"] == ["Марии\nс любовью"]
    assert query["purchase_order"] == ["PO 7"]
    there = client.get(answer.headers["Location"])
    assert there.status_code == 200
    assert "25,50\xa0£" in there.page.text
    assert "116,00\xa0$" in there.page.text
    assert fields(there)["note"] == "Марии\nс любовью"


def test_the_old_total_is_known_without_having_been_sent(client: Client, catalogue: Catalogue) -> None:
    answer = client.get("/en-us/order?paperback=1&country=CH", follow_redirects=True)
    assert "$46.00" in answer.page.text
    assert "£31.50" in answer.page.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("paperback=-1", "paperback"),
        ("paperback=1.5", "paperback"),
        ("paperback=1e1", "paperback"),
        ("paperback=%D9%A3", "paperback"),  # ٣
        ("paperback=%C2%B2", "paperback"),  # ²
        ("paperback=99999999999999999999999999", "paperback"),
        ("paperback=6", "paperback"),
        ("paperback=1&paperback=2", "paperback"),
        ("paperback=abc", "paperback"),
        ("paperback=0&russian=0", "paperback"),
        ("country=XX", "country"),
        ("country=", "country"),
        ("country=GB&country=US", "country"),
        ("country=" + "x" * 5000, "country"),
        ("country=RU", "country"),
        ("country=FR", "country"),
        ("russian=1&country=UA", "russian"),
        ("note=" + "x" * 501, "note"),
        ("purchase_order=" + "x" * 101, "purchase_order"),
    ],
)
def test_bad_input_is_named_beside_its_field_and_kept(
    client: Client, catalogue: Catalogue, query: str, field: str
) -> None:
    for market in ("en-gb", "ru-gb"):
        answer = client.get(f"/{market}/order?{query}")
        assert answer.status_code == 400
        page = answer.page
        [wrong] = [each for each in page.root.iter() if each.get("id") == field]
        assert wrong.get("aria-invalid") == "true"
        assert f"{field}-error" in (wrong.get("aria-describedby") or "")
        assert f"#{field}" in page.links()


def test_an_array_of_values_is_refused(client: Client, catalogue: Catalogue) -> None:
    assert client.get("/en-gb/order?paperback[]=1").status_code == 400
    assert post(client, **{"paperback": None, "paperback[]": "1"}).status_code == 400


def test_what_was_typed_wrongly_stays_typed(client: Client, session: Session, catalogue: Catalogue) -> None:
    answer = post(client, paperback="two", note="For Mary", purchase_order="<b>7</b>")
    assert answer.status_code == 400
    kept = fields(answer)
    assert (kept["paperback"], kept["note"], kept["purchase_order"]) == ("two", "For Mary", "<b>7</b>")
    assert orders(session) == 0


def test_countries_are_listed_by_name_and_only_those_served(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/ru-gb/order").page
    options = [(each.get("value"), "".join(each.itertext())) for each in page.all(".//option")]
    assert options[0] == ("GB", "Великобритания (кроме Северной Ирландии)")
    assert options[1] == ("US", "Соединённые Штаты")
    codes = [code for code, _ in options]
    assert not {"RU", "BY", "FR", "DE", "IE"} & set(codes)
    assert {"CH", "UA", "JP", "CA"} <= set(codes)
    assert len(codes) == len(set(codes))


def test_an_order_leads_to_the_payment_page(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    answer = post(client, note="For Mary", purchase_order="PO 7")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("https://pay.example/")
    [order] = session.scalars(select(Order))
    assert (order.total.amount, order.buyer.note, order.buyer.purchase_order) == (2550, "For Mary", "PO 7")
    assert session.get_one(Stock, catalogue.paperback).held == 1


def test_a_double_click_is_one_order(client: Client, session: Session, catalogue: Catalogue) -> None:
    set_stock(session, catalogue.paperback, 1)
    first, second = post(client), post(client)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["Location"] == second.headers["Location"]
    assert orders(session) == 1


@pytest.mark.parametrize("shown", [None, "", "abc", "-2550", "25.50", "٢٥٥٠", "9" * 40])
def test_without_a_total_that_was_shown_nothing_is_created(
    client: Client, session: Session, catalogue: Catalogue, shown: str | None
) -> None:
    answer = post(client, shown_total=shown)
    assert answer.status_code == 409
    assert fields(answer)["shown_total"] == "2550"
    assert orders(session) == 0


def test_a_changed_total_comes_back_for_consent(client: Client, session: Session, catalogue: Catalogue) -> None:
    form = client.get("/ru-gb/order?paperback=1&note=Hello").page.form("country")

    def dearer(s: Session) -> None:
        s.get_one(Price, (catalogue.paperback, Currency.GBP)).amount = 2300

    transact(session, dearer)
    answer = client.submit(form)
    assert answer.status_code == 409
    assert "25,50\xa0£" in answer.page.text
    assert "26,50\xa0£" in answer.page.text
    assert fields(answer)["note"] == "Hello"
    assert orders(session) == 0
    assert client.submit(answer.page.form("country")).status_code == 303
    assert orders(session) == 1


def test_a_post_to_the_other_region_brings_that_markets_form(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    answer = post(client, market="ru-gb", country="US", note="Hello", russian="1")
    assert answer.status_code == 409
    form = answer.page.form("country")
    assert urlsplit(form.action).path == "/ru-us/order"
    assert "25,50\xa0£" in answer.page.text
    assert "84,00\xa0$" in answer.page.text  # 900 g are two steps of 750 g
    assert "Цена и\xa0валюта зависят от\xa0страны доставки." in answer.page.text
    assert form.fields["note"] == "Hello"
    assert orders(session) == 0
    assert client.submit(form).status_code == 303


@pytest.mark.parametrize(("country", "russian"), [("RU", "0"), ("FR", "0"), ("UA", "1"), ("XX", "0")])
def test_a_post_to_where_nothing_is_sent_creates_nothing(
    client: Client, session: Session, catalogue: Catalogue, country: str, russian: str
) -> None:
    assert post(client, country=country, russian=russian).status_code == 400
    assert orders(session) == 0


def test_copies_that_are_gone_are_named_without_telling_how_many_are_left(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    set_stock(session, catalogue.paperback, 2)
    answer = post(client, paperback="3", shown_total=str(3 * 2200 + 700), attempt="c" * 32)
    assert answer.status_code == 409
    assert "no longer 3 copies" in answer.page.text
    assert fields(answer)["paperback"] == "3"
    assert orders(session) == 0
    set_stock(session, catalogue.paperback, 0)
    form = client.get("/en-gb/order?paperback=1").page
    assert "Order and pay" not in form.text
    assert "No copies at present" in form.text
    [field] = form.all(".//input[@aria-invalid='true']")
    assert (field.get("name"), field.get("aria-describedby")) == ("paperback", "paperback-hint paperback-error")


def test_when_the_payment_service_is_away_the_order_is_kept(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    gateway.before.append(GatewayUnavailable("no answer"))
    answer = post(client, market="ru-gb", note="Hello")
    assert answer.status_code == 503
    [order] = session.scalars(select(Order))
    assert f"/ru-gb/orders/{order.token}" in answer.page.links()
    assert "Деньги не\u00a0списаны" in answer.page.text
    again = client.submit(answer.page.forms()[0])
    assert again.status_code == 303
    assert again.headers["Location"].startswith("https://pay.example/")
    assert orders(session) == 1


def test_when_the_payment_service_refuses_the_buyer_is_told(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    gateway.before.append(GatewayRefused("parameter_invalid"))
    answer = post(client)
    assert answer.status_code == 502
    assert "Nothing was charged" in answer.page.text
    session.expire_all()
    assert session.get_one(Stock, catalogue.paperback).held == 0


def production(database_url: str, instance: Path) -> Settings:
    """Settings of a shop that takes real money."""
    return settings_for(
        database_url,
        instance,
        SHOP_ENV="production",
        SHOP_URL="https://shop.example",
        STRIPE_SECRET_KEY="sk_live_suite",
        STRIPE_API_BASE="",
        SHOP_CLOCK_OFFSET_FILE="",
    )


def test_a_shop_whose_facts_are_not_confirmed_takes_no_order(
    client: Client, session: Session, catalogue: Catalogue, database_url: str, tmp_path: Path
) -> None:
    def doubt(s: Session) -> None:
        s.scalars(select(Unconfirmed).where(Unconfirmed.fact == "prices")).first().confirmed_at = None  # type: ignore[union-attr]

    transact(session, doubt)
    with opened(production(database_url, tmp_path), gateway=FakeGateway()) as app:
        buyer = app.test_client()
        form = buyer.get("/en-gb/order", base_url="https://shop.example")
        assert "Orders open soon" in form.get_data(as_text=True)
        assert "Order and pay" not in form.get_data(as_text=True)
        answer = buyer.post("/en-gb/order", data=ORDER, headers=SAME, base_url="https://shop.example")
        assert answer.status_code == 503
        assert answer.headers["Strict-Transport-Security"]
    assert orders(session) == 0


@pytest.mark.parametrize(
    ("fact", "silent", "told"),
    [
        ("prices", ("22.00", "25.50"), ("The price will stand here", "2–4 working days", "£9.50")),
        (
            "postage",
            ("25.50", "3.50"),
            ("The postage will stand here", "The total will stand here", "2–4 working days"),
        ),
        ("identity", ("working days on the way", "4 working days"), ("25.50", "£3.50")),
        ("stock", ("In stock", "The last copies", "No copies at present", "Order a copy"), ("Not on sale yet",)),
    ],
)
def test_a_closed_shop_does_not_say_what_nobody_has_confirmed(
    session: Session,
    catalogue: Catalogue,
    database_url: str,
    tmp_path: Path,
    fact: str,
    silent: tuple[str],
    told: tuple[str],
) -> None:
    def doubt(s: Session) -> None:
        names = ("identity", "days") if fact == "identity" else (fact,)
        s.execute(update(Unconfirmed).where(Unconfirmed.fact.in_(names)).values(confirmed_at=None))

    transact(session, doubt)
    with opened(production(database_url, tmp_path), gateway=FakeGateway()) as app:
        reader = make_client(app)
        text = " ".join(
            reader.get(f"https://shop.example/en-gb/{path}").page.text
            for path in ("", "books/paperback", "order?paperback=1&country=GB", "delivery")
        ).replace("\u00a0", " ")
    assert "cannot be ordered" not in text  # it is the shop that is closed: nothing was chosen wrongly
    assert [each for each in silent if each in text] == []
    assert [each for each in told if each not in text] == []


def test_the_form_of_a_cancelled_order_can_be_sent_again(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    first = post(client)
    [order] = session.scalars(select(Order))
    assert client.post(f"/en-gb/orders/{order.token}/cancel", headers=SAME).status_code == 303
    second = post(client)
    assert second.status_code == 303
    assert second.headers["Location"] != first.headers["Location"]
    assert orders(session) == 2


def test_an_order_that_was_paid_is_shown_instead_of_paid_again(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    post(client)
    [checkout] = gateway.checkouts
    gateway.pay(checkout)
    [order] = session.scalars(select(Order))
    assert "Paid" in client.get(f"/en-gb/orders/{order.token}?session_id={checkout}").page.text
    answer = post(client)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["Location"]).path == f"/en-gb/orders/{order.token}"


def test_editions_come_by_their_slugs(client: Client, session: Session, catalogue: Catalogue) -> None:
    order = make_order(session, paperback=1, russian=2)
    page = client.post(f"/en-gb/orders/{order.token}/cancel", headers=SAME, follow_redirects=True).page
    [again] = [each for each in page.links() if each.startswith("/en-gb/order?")]
    assert parse_qs(urlsplit(again).query) == {"paperback": ["1"], "russian": ["2"], "country": ["GB"]}


def test_nobody_can_put_all_copies_aside(client: Client, session: Session, catalogue: Catalogue) -> None:
    codes = []
    for turn in range(8):  # 8 × 5 is every copy
        answer = post(client, paperback="5", shown_total="12050", attempt=f"{turn:032d}", note="For Mary")
        codes.append(answer.status_code)
    assert codes[0] == 303
    assert codes[-1] == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert fields(answer)["note"] == "For Mary"
    assert (
        post(client, paperback="5", shown_total="12050", attempt=f"{0:032d}", note="For Mary").status_code == 303
    )


def test_the_form_asks_the_database_no_more_often_for_two_hundred_countries(
    app: Flask, client: Client, catalogue: Catalogue
):
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(engine_of(app), "before_cursor_execute", note)
    try:
        page = client.get("/en-gb/order?paperback=1&country=GB").page
    finally:
        event.remove(engine_of(app), "before_cursor_execute", note)
    assert len(page.all(".//option")) > 150
    assert len(asked) < 40, asked
