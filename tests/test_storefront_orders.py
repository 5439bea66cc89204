"""The buyer's order page, and the letter that brings its address again."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayUnavailable
from shop.letters.models import Kind, Letter
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import PaymentState
from tests.client import Client
from tests.factories import Catalogue, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway

SAME = {"Sec-Fetch-Site": "same-origin"}


def test_an_unpaid_order_can_be_paid_or_cancelled(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_order(session, "ru-gb", paperback=1, russian=1, note="Марии")
    answer = client.get(f"/ru-gb/orders/{order.token}")
    assert "Ждёт оплаты" in answer.page.text
    assert "Марии" in answer.page.text
    paying, cancelling = answer.page.forms()
    page = client.submit(paying)
    assert page.status_code == 303
    assert client.submit(paying).headers["Location"] == page.headers["Location"]
    assert client.submit(cancelling).status_code == 303
    after = client.get(f"/ru-gb/orders/{order.token}").page
    assert "Отменён" in after.text
    assert "Заказать ещё раз" in after.text
    assert client.submit(paying).status_code == 303  # over: back to the order page
    assert client.submit(cancelling).status_code == 303


def test_the_order_page_settles_what_the_webhook_has_not_told(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_order(session)
    checkout = pay(session, gateway, order)
    page = client.get(f"/en-gb/orders/{order.token}?session_id={checkout}").page
    assert "Paid" in page.text
    assert "1 Long Lane" in page.text
    assert not page.forms()


def test_when_stripe_is_silent_the_payment_is_being_confirmed_and_never_failed(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_order(session)
    checkout = pay(session, gateway, order)
    gateway.before.append(GatewayUnavailable("no answer"))
    page = client.get(f"/en-gb/orders/{order.token}?session_id={checkout}").page
    assert "The payment is being confirmed" in page.text
    assert "Go on paying" not in page.text
    assert "fail" not in page.text.lower()


def test_a_posted_parcel_shows_its_tracking(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    order_id = order.id
    by = timeline.admin("Vera")
    transact(session, lambda s: fulfilment.post(s, order_id, "Royal Mail", "AB123456789GB", by, order.placed_at))
    page = client.get(f"/en-us/orders/{order.token}").page
    assert "AB123456789GB" in page.text
    assert "Posted" in page.text


def test_order_pages_are_kept_from_everybody_else(client: Client, session: Session, catalogue: Catalogue) -> None:
    order = make_order(session)
    answer = client.get(f"/en-gb/orders/{order.token}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.page.all("head/meta[@name='robots']")[0].get("content") == "noindex"
    assert not answer.page.all("head/link[@rel='alternate']")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["", "/pay", "/cancel"])
def test_a_wrong_token_is_no_page(client: Client, catalogue: Catalogue, path: str) -> None:
    for token in ("x", "0" * 43, "x" * 5000, "%D1%8F", "' OR 1=1"):
        answer = client.open(f"/ru-gb/orders/{token}{path}", method="POST" if path else "GET", headers=SAME)
        assert answer.status_code == 404
        assert answer.page.language == "ru"


def test_cancelling_waits_for_the_payment_service(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_order(session)
    client.post(f"/en-gb/orders/{order.token}/pay", headers=SAME)
    gateway.before.append(GatewayUnavailable("no answer"))
    answer = client.post(f"/en-gb/orders/{order.token}/cancel", headers=SAME)
    assert answer.status_code == 503
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING


def test_the_link_is_sent_again_and_the_answer_betrays_nothing(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway, market="ru-gb")
    texts = []
    for number, email in (
        (order.number.lower().replace("-", " "), " ADA@reader.example "),
        (order.number, "eve@reader.example"),
        ("RR-00000000", "ada@reader.example"),
        ("nonsense", "ada@reader.example"),
    ):
        answer = client.post("/en-gb/orders", data={"number": number, "email": email}, headers=SAME)
        assert answer.status_code == 200
        texts.append(answer.page.text.replace(number, "").replace(email, ""))
    assert len(set(texts)) == 1
    [letter] = session.scalars(select(Letter).where(Letter.kind == Kind.ORDER_LINK))
    assert letter.recipient == "ada@reader.example"
    assert letter.locale == "ru"
    assert letter.context["url"] == f"http://localhost/ru-gb/orders/{order.token}"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"number": "RR-1"},
        {"number": "RR-1", "email": "nobody"},
        {"number": "x" * 5000, "email": "a@b.example"},
        {"number": ["RR-1", "RR-2"], "email": "a@b.example"},
    ],
)
def test_a_link_form_that_cannot_be_read_comes_back(client: Client, catalogue: Catalogue, data: object) -> None:
    answer = client.post("/ru-us/orders", data=data, headers=SAME)
    assert answer.status_code == 400
    assert answer.page.language == "ru"


def test_links_cannot_be_asked_for_without_end(client: Client, catalogue: Catalogue) -> None:
    data = {"number": "RR-00000000", "email": "a@b.example"}
    codes = [client.post("/ru-gb/orders", data=data, headers=SAME).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    answer = client.post("/ru-gb/orders", data=data, headers=SAME)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.page.language == "ru"
