"""The buyer's order page, and the letter that brings its address again."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.bibliography.romanisation import ala_lc
from shop.database import transact
from shop.errors import GatewayUnavailable
from shop.letters.models import Kind, Letter, LetterState
from shop.letters.rendering import Renderer
from shop.orders import fulfilment, placing, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order
from shop.payments import refund_calls, refunds
from shop.payments.models import Payment
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
    assert "Continue to payment" not in page.text
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


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (LetterState.OWED, "The confirmation is on its way to you"),
        (LetterState.SENT, "The confirmation was sent to you"),
        (LetterState.FAILED, "The confirmation could not be delivered"),
    ],
)
def test_the_order_page_says_what_became_of_the_confirmation(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, state: LetterState, said: str
) -> None:
    order = make_paid_order(session, gateway)
    session.scalars(select(Letter).where(Letter.kind == Kind.ORDER_PAID)).one().state = state
    session.commit()
    text = client.get(f"/en-gb/orders/{order.token}").page.text.replace("\u00a0", " ")
    assert said in text
    assert text.count("The confirmation ") == 1


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


def test_what_is_too_long_is_said_in_the_readers_language(client: Client, catalogue: Catalogue) -> None:
    answer = client.post("/ru-gb/orders", data={"number": "R" * 41, "email": "a" * 300 + "@mail.example"})
    assert answer.status_code == 400
    text = answer.page.text.replace("\u00a0", " ")
    assert "не больше 40 знаков" in text
    assert "не больше 254 знаков" in text
    assert "Field" not in text


def test_links_cannot_be_asked_for_without_end(client: Client, catalogue: Catalogue) -> None:
    data = {"number": "RR-00000000", "email": "a@b.example"}
    codes = [client.post("/ru-gb/orders", data=data, headers=SAME).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    answer = client.post("/ru-gb/orders", data=data, headers=SAME)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.page.language == "ru"


def test_each_standing_of_a_paid_order_is_told_as_it_is(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    order_id, address = order.id, f"/en-gb/orders/{order.token}"

    def told(**changes: object) -> str:
        def work(s: Session) -> None:
            for name, value in changes.items():
                setattr(s.get_one(Order, order_id), name, value)

        transact(session, work)
        return client.get(address).page.text

    assert "will be posted soon" in told()
    for flag in ("needs_attention", "disputed"):
        page = told(**{flag: True})
        assert "has something to check" in page
        assert "will be posted soon" not in page
        told(**{flag: False})
    assert "A refund is on its way" in told(refunding=True)
    told(refunding=False)
    part = told(payment_state=PaymentState.PART_REFUNDED)
    assert "Partly refunded, still to be posted" in part
    assert "The rest of the order will be posted soon" in part
    assert "Posted, partly refunded" in told(fulfilment_state=FulfilmentState.POSTED)
    returned = told(payment_state=PaymentState.PAID, fulfilment_state=FulfilmentState.CANCELLED)
    assert "Your bank has not taken the refund" in returned
    assert "will be posted soon" not in returned


def test_money_that_came_too_late_is_not_told_as_nothing_charged(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    order_id = order.id

    def work(s: Session) -> None:
        placing.locked(s, order_id).payment_state = PaymentState.EXPIRED
        payment = s.scalars(select(Payment)).one()
        refunds.owe(s, payment, payment.amount, "duplicate", order.placed_at)

    transact(session, work)
    page = client.get(f"/en-gb/orders/{order.token}").page.text
    assert "Paid too late" in page
    assert "Nothing was charged" not in page


@pytest.mark.parametrize(
    ("market", "parcel", "off"),
    [
        ("en-gb", "1 × The Russian Revolution in Retreat", "1 copy of these was called off and refunded"),
        ("ru-gb", "1 × The Russian Revolution in Retreat", "Из них 1 экземпляр отменён"),
    ],
)
def test_page_and_letter_tell_what_was_posted_and_what_was_called_off(
    client: Client,
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    market: str,
    parcel: str,
    off: str,
) -> None:
    order = make_paid_order(session, gateway, market=market, paperback=2, russian=1)
    order_id, at, by = order.id, order.placed_at, timeline.admin("Vera")
    payment = session.scalars(select(Payment)).one().id
    session.rollback()
    asked = transact(session, refunds.ask_copies, payment, {1: 1, 2: 1}, "requested_by_customer", by, at).id
    refund_calls.perform(session, gateway, asked, at)
    transact(session, lambda s: fulfilment.post(s, order_id, "Royal Mail", "", by, at))

    page = client.get(f"/{market}/orders/{order.token}").page.text.replace("\xa0", " ")
    assert off in page
    assert parcel in page

    renderer = Renderer("http://shop.example", "shop@bookstall.example", ala_lc)
    for kind, expected in ((Kind.POSTED, parcel), (Kind.POSTED, off), (Kind.REFUNDED, "1 × Русская революция")):
        letter = session.scalars(select(Letter).where(Letter.kind == kind)).one()
        message = renderer.write([letter])
        for form in ("plain", "html"):
            body = message.get_body((form,))
            assert body is not None
            said = " ".join(re.sub(r"<[^>]*>", "", body.get_content()).replace("\xa0", " ").split())
            assert expected in said
    [posted] = session.scalars(select(Letter).where(Letter.kind == Kind.POSTED))
    text = str(renderer.write([posted]).get_body(("plain",)).get_content())  # type: ignore[union-attr]
    first, second = text.split("Called off and" if market == "en-gb" else "Отменено,")
    assert "Русская революция" not in first.partition("In the parcel" if market == "en-gb" else "В посылке")[2]
    assert "1 × Русская революция" in second.replace("\xa0", " ")
