"""The payment page: what a buyer can do on it, and what comes of each card."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.sandbox_process import ADDRESS, Sandbox, fetch
from tests.sandbox_shop import Shop, receiver_at_work, sandbox, shop

__all__ = ["sandbox", "shop"]

DONE = "http://127.0.0.1:9/done?session="


class Page(HTMLParser):
    """The fields of a page, its links, and whether its tags close in order."""

    VOID = frozenset(["meta", "link", "input", "br", "img"])

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, dict[str, str | None]] = {}
        self.buttons: list[tuple[str | None, str | None]] = []
        self.options: list[str | None] = []
        self.links: list[str | None] = []
        self.scripts = 0
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert "style" not in values
        if tag in ("input", "select"):
            self.fields[values["name"] or ""] = values
        elif tag == "button":
            self.buttons.append((values.get("name"), values.get("value")))
        elif tag == "option":
            self.options.append(values.get("value"))
        elif tag == "a":
            self.links.append(values.get("href"))
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_the_page_has_exactly_the_promised_fields_and_no_script(shop: Shop) -> None:
    session = shop.open(shipping_address_collection={"allowed_countries": ["GB", "IE"]})
    answer = fetch(session.url)
    assert answer.status == 200
    page = Page(answer.text)
    names = ["email", "name", "country", "line1", "line2", "city", "state", "postal_code", "card_number"]
    assert list(page.fields) == names
    assert page.buttons == [("action", "pay"), ("action", "cancel")]
    assert page.options == ["", "GB", "IE"]
    assert page.scripts == 0
    assert session.cancel_url in page.links
    assert "£22.49" in answer.text
    assert "Royal Mail" in answer.text
    assert "The Russian Revolution in Retreat" in answer.text
    assert "form-action" not in answer.headers["content-security-policy"]
    assert fetch(f"{shop.sandbox.url}/assets/sandbox.css").status == 200


def test_no_line_of_the_page_ends_within_3_d_secure(shop: Shop) -> None:
    html = fetch(shop.open().url).text
    assert html.count("3-D Secure") == html.count('<span class="unbroken">3-D Secure</span>') == 2


def test_a_known_address_is_filled_in_and_locked(shop: Shop) -> None:
    session = shop.open(customer_email="known@example.com")
    page = Page(fetch(session.url).text)
    assert page.fields["email"]["value"] == "known@example.com"
    assert "readonly" in page.fields["email"]
    shop.sandbox.pay(session.url, email="other@example.com")
    assert shop.look(session.id).customer_details.email == "known@example.com"


def test_a_phone_is_asked_for_only_when_wanted(shop: Shop) -> None:
    session = shop.open(phone_number_collection={"enabled": True})
    assert "phone" in Page(fetch(session.url).text).fields
    assert shop.sandbox.pay(session.url).status == 422
    assert shop.sandbox.pay(session.url, phone="+44 20 7946 0000").status == 303
    assert shop.look(session.id).customer_details.phone == "+44 20 7946 0000"


def test_paying_completes_the_session_and_leads_back(shop: Shop) -> None:
    session = shop.open()
    answer = shop.sandbox.pay(session.url, line2="Flat 2", state="London")
    assert answer.status == 303
    assert answer.location == DONE + session.id
    paid = shop.look(session.id)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details.email == "reader@example.com"
    where = paid.collected_information.shipping_details
    assert where.name == "Ada Reader"
    assert where.address.to_dict() == {
        "city": "London",
        "country": "GB",
        "line1": "1 Gower Street",
        "line2": "Flat 2",
        "postal_code": "WC1E 6BT",
        "state": "London",
    }
    intent = paid.payment_intent
    assert (intent.status, intent.amount_received, intent.currency) == ("succeeded", 2249, "gbp")
    assert intent.metadata.to_dict() == {"order": "RR-TEST0001"}
    assert intent.latest_charge.metadata.to_dict() == {"order": "RR-TEST0001"}
    movement = intent.latest_charge.balance_transaction
    assert (movement.amount, movement.fee, movement.net) == (2249, 54, 2195)
    assert shop.events()[-4:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_the_metadata_of_a_session_stays_with_the_session(shop: Shop) -> None:
    paid = shop.paid(payment_intent_data=None)
    assert paid.metadata.to_dict() == {"order": "RR-TEST0001"}
    assert paid.payment_intent.metadata.to_dict() == {}


@pytest.mark.parametrize(
    ("number", "code", "decline"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", "expired_card"),
        ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        ("4000008400001629", "card_declined", "generic_decline"),
    ],
)
def test_a_refused_card_leaves_the_page_open_for_another(shop: Shop, number: str, code: str, decline: str) -> None:
    session = shop.open()
    answer = shop.sandbox.pay(session.url, card_number=number)
    assert answer.status == 402
    assert Page(answer.text).fields["name"]["value"] == "Ada Reader"
    tried = shop.look(session.id)
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    assert tried.payment_intent.status == "requires_payment_method"
    assert tried.payment_intent.last_payment_error.code == code
    assert tried.payment_intent.last_payment_error.decline_code == decline
    assert tried.payment_intent.latest_charge.status == "failed"
    assert shop.events()[-1] == "payment_intent.payment_failed"
    assert shop.sandbox.pay(session.url).status == 303
    paid = shop.look(session.id)
    assert paid.payment_intent.id == tried.payment_intent.id
    assert paid.payment_intent.last_payment_error is None
    assert paid.payment_intent.latest_charge.id != tried.payment_intent.latest_charge.id


@pytest.mark.parametrize("number", ["4000002500003155", "4000000000003220"])
def test_three_d_secure_asks_and_takes_yes_or_no(shop: Shop, number: str) -> None:
    session = shop.open()
    form = urlencode(ADDRESS | {"card_number": number, "action": "pay"})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    asked = fetch(session.url, "POST", form, headers)
    assert asked.status == 303
    challenge = shop.sandbox.absolute(asked.location)
    page = Page(fetch(challenge).text)
    assert page.buttons == [("action", "accept"), ("action", "refuse")]
    assert shop.look(session.id).payment_intent.status == "requires_action"
    refused = shop.sandbox.pay(session.url, card_number=number, secure=False)
    assert refused.status == 402
    assert Page(refused.text).fields["line1"]["value"] == "1 Gower Street"
    # The page that is shown now stands at the challenge's address; its buttons must not lead back there.
    assert f'action="{urlsplit(session.url).path}"' in refused.text
    assert shop.look(session.id).payment_intent.status == "requires_payment_method"
    assert fetch(challenge).status == 303
    assert shop.sandbox.pay(session.url, card_number=number).location == DONE + session.id
    assert shop.look(session.id).payment_intent.latest_charge.payment_method_details.card.three_d_secure


@pytest.mark.parametrize("currency", ["gbp", "usd"])
@pytest.mark.parametrize("how", ["control", "clock"])
def test_a_delayed_payment_arrives_later(shop: Shop, how: str, currency: str) -> None:
    session = shop.paid("4000 0000 0003 0009", currency)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    assert session.payment_intent.status == "processing"
    assert session.payment_intent.latest_charge.status == "pending"
    assert shop.events()[-1] == "checkout.session.completed"
    if how == "control":
        shop.sandbox.control(f"sessions/{session.id}", {"do": "complete_delayed"})
    else:
        shop.sandbox.advance(3 * 24 * 3600)
    settled = shop.look(session.id)
    assert settled.payment_status == "paid"
    assert settled.payment_intent.latest_charge.balance_transaction.amount == 2249
    assert "checkout.session.async_payment_succeeded" in shop.events()
    shop.sandbox.control(f"sessions/{session.id}", {"do": "fail_delayed"}, status=409)


@pytest.mark.parametrize(("number", "how"), [("4000000000030017", "clock"), ("4000000000030009", "control")])
def test_a_delayed_payment_fails_later(shop: Shop, number: str, how: str) -> None:
    session = shop.paid(number)
    if how == "control":
        shop.sandbox.control(f"sessions/{session.id}", {"do": "fail_delayed"})
    else:
        shop.sandbox.advance(3 * 24 * 3600)
    failed = shop.look(session.id)
    assert (failed.status, failed.payment_status) == ("complete", "unpaid")
    assert failed.payment_intent.status == "requires_payment_method"
    assert failed.payment_intent.latest_charge.balance_transaction is None
    assert "checkout.session.async_payment_failed" in shop.events()


def test_nothing_to_pay_needs_no_card(shop: Shop) -> None:
    item = {
        "quantity": 1,
        "price_data": {"currency": "gbp", "unit_amount": 0, "product_data": {"name": "Leaflet"}},
    }
    session = shop.open(line_items=[item], shipping_options=None)
    assert "card_number" not in Page(fetch(session.url).text).fields
    assert shop.sandbox.pay(session.url, card_number="").status == 303
    free = shop.look(session.id)
    assert (free.status, free.payment_status, free.payment_intent) == ("complete", "no_payment_required", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "reader"),
        ("email", "a@b"),
        ("name", " "),
        ("name", "x" * 256),
        ("name", "Ada\x00"),
        ("line1", ""),
        ("city", ""),
        ("postal_code", ""),
        ("postal_code", "10001"),
        ("country", "FR"),
        ("country", ""),
        ("card_number", ""),
        ("card_number", "4242"),
        ("card_number", "4242 4242 4242 4241"),
        ("card_number", "4111 1111 1111 1111"),
        ("card_number", "４２４２４２４２４２４２４２４２"),
        ("card_number", "x" * 100_000),
        ("action", "rob"),
    ],
)
def test_a_mistake_is_named_and_nothing_typed_is_lost(shop: Shop, field: str, value: str) -> None:
    session = shop.open()
    answer = shop.sandbox.pay(session.url, **{field: value})
    assert answer.status == 422
    page = Page(answer.text)
    assert 'class="error"' in answer.text
    assert page.fields["line2"]["value"] == ""
    if field != "line1":
        assert page.fields["line1"]["value"] == "1 Gower Street"
    assert shop.look(session.id).payment_intent is None


def test_a_form_in_a_broken_encoding_is_a_4xx(shop: Shop) -> None:
    session = shop.open()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"email=%ff%fe&name=%00", b"\xff\xff", b"{}", b"x=1&" * 2000):
        assert 400 <= fetch(session.url, "POST", body, headers).status < 500


def test_cancelling_leads_back_and_leaves_the_page_open(shop: Shop) -> None:
    session = shop.open()
    answer = shop.sandbox.pay(session.url, action="cancel", email="", card_number="")
    assert (answer.status, answer.location) == (303, session.cancel_url)
    assert shop.look(session.id).status == "open"


def test_another_rate_of_postage_changes_the_total(shop: Shop) -> None:
    data = {"type": "fixed_amount", "display_name": "Express", "fixed_amount": {"amount": 900, "currency": "gbp"}}
    options = [
        {"shipping_rate_data": data | {"display_name": "Slow", "fixed_amount": {"amount": 0, "currency": "gbp"}}}
    ]
    session = shop.open(shipping_options=[*options, {"shipping_rate_data": data}])
    assert session.amount_total == 1899
    assert shop.sandbox.pay(session.url, shipping_rate="shr_1").status == 422
    assert shop.sandbox.pay(session.url, shipping_rate=session.shipping_options[1].shipping_rate).status == 303
    paid = shop.look(session.id)
    assert (paid.amount_total, paid.payment_intent.amount) == (2799, 2799)
    assert paid.total_details.amount_shipping == 900


def test_the_sellers_questions_are_asked_and_answered(shop: Shop) -> None:
    label = {"custom": "Dedication", "type": "custom"}
    session = shop.open(
        custom_fields=[
            {
                "key": "dedication",
                "label": label,
                "type": "text",
                "text": {"maximum_length": 20},
                "optional": True,
            },
            {"key": "copies", "label": label, "type": "numeric"},
            {
                "key": "ink",
                "label": label,
                "type": "dropdown",
                "dropdown": {"options": [{"label": "Blue", "value": "b"}]},
            },
        ]
    )
    assert shop.sandbox.pay(session.url).status == 422
    assert shop.sandbox.pay(session.url, custom_copies="two", custom_ink="b").status == 422
    assert (
        shop.sandbox.pay(session.url, custom_copies="2", custom_ink="b", custom_dedication="To Ada").status == 303
    )
    answers = {f.key: f[f.type].value for f in shop.look(session.id).custom_fields}
    assert answers == {"dedication": "To Ada", "copies": "2", "ink": "b"}


def test_a_page_that_ended_says_so(shop: Shop) -> None:
    paid = shop.open()
    shop.sandbox.pay(paid.url)
    assert fetch(paid.url).status == 200
    assert "card_number" not in fetch(paid.url).text
    again = shop.sandbox.pay(paid.url)
    assert (again.status, again.location) == (303, DONE + paid.id)
    assert (
        len(
            [
                c
                for c in shop.sandbox.ledger()["charges"]
                if c["payment_intent"] == shop.look(paid.id).payment_intent.id
            ]
        )
        == 1
    )
    expired = shop.open()
    shop.v1.checkout.sessions.expire(expired.id)
    assert fetch(expired.url).status == 410
    assert shop.sandbox.pay(expired.url).status == 410
    assert fetch(f"{shop.sandbox.url}/c/pay/cs_test_none").status == 404


def test_a_session_expires_by_call_once(shop: Shop) -> None:
    session = shop.open()
    expired = shop.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "unpaid", None)
    assert shop.events()[-1] == "checkout.session.expired"
    for open_no_more in (session, shop.paid()):
        with pytest.raises(Exception, match="Only Checkout Sessions with a status"):
            shop.v1.checkout.sessions.expire(open_no_more.id)


def test_a_session_expires_by_the_clock(shop: Shop) -> None:
    now = shop.sandbox.control("clock")["now"]
    session, other = shop.open(expires_at=now + 2400), shop.open(expires_at=now + 9000)
    shop.sandbox.pay(session.url, card_number="4000000000000002")
    shop.sandbox.advance(2400)
    found = shop.look(session.id)
    assert (found.status, found.url) == ("expired", None)
    assert found.payment_intent.status == "canceled"
    assert shop.look(other.id).status == "open"
    assert shop.events().count("checkout.session.expired") >= 1


def test_paying_and_expiring_at_once_has_one_winner(shop: Shop) -> None:
    for _ in range(8):
        session = shop.open()
        with ThreadPoolExecutor(4) as pool:
            payings = [pool.submit(shop.sandbox.pay, session.url) for _ in range(2)]
            ending = pool.submit(_expire, shop, session.id)
            statuses = [p.result().status for p in payings]
        found = shop.look(session.id)
        if found.status == "complete":
            assert not ending.result()
            assert statuses == [303, 303]
        else:
            assert ending.result()
            assert statuses == [410, 410]
            assert found.payment_intent is None


def _expire(shop: Shop, session_id: str) -> bool:
    time.sleep(0.004)
    try:
        shop.v1.checkout.sessions.expire(session_id)
    except Exception:
        return False
    return True


def test_an_early_expiry_during_three_d_secure_cancels_the_payment(shop: Shop) -> None:
    session = shop.open()
    form = urlencode(ADDRESS | {"card_number": "4000000000003220", "action": "pay"})
    asked = fetch(session.url, "POST", form, {"Content-Type": "application/x-www-form-urlencoded"})
    shop.v1.checkout.sessions.expire(session.id)
    late = fetch(
        shop.sandbox.absolute(asked.location),
        "POST",
        "action=accept",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert late.status == 410
    assert shop.look(session.id).payment_intent.status == "canceled"


def test_the_buyer_waits_for_the_shops_answer_to_the_webhook() -> None:
    with receiver_at_work() as receiver, Sandbox(webhook_url=receiver.url) as sandbox:
        shop = Shop(sandbox)
        session = shop.open()
        asked: list[str] = []

        def slow(event: dict[str, Any]) -> int:
            # A shop asks back from inside its handler; nobody may hold a lock meanwhile.
            asked.append(shop.look(event["data"]["object"]["id"]).payment_status)
            time.sleep(0.7)
            return 200

        receiver.answer = slow
        started = time.monotonic()
        assert sandbox.pay(session.url).status == 303
        assert 0.7 <= time.monotonic() - started < 5
        assert asked == ["paid"]
        sandbox.control("webhooks", {"drop": 1})
        other = shop.open()
        started = time.monotonic()
        assert sandbox.pay(other.url).status == 303
        assert time.monotonic() - started < 0.7


def test_the_page_speaks_the_sessions_language(shop: Shop) -> None:
    russian = fetch(shop.open("usd", locale="ru").url)
    text = re.sub(r"\s", " ", russian.text)
    assert '<html lang="ru">' in text
    assert "22,49 $" in text
    assert "Великобритания" in text
    english = fetch(shop.open(locale="en-GB").url, headers={"Accept-Language": "ru"})
    assert '<html lang="en">' in english.text
    assert "United Kingdom" in english.text
    by_browser = fetch(shop.open(locale="auto").url, headers={"Accept-Language": "ru,en;q=0.5"})
    assert '<html lang="ru">' in by_browser.text
    assert "$22.49" in fetch(shop.open("usd", locale="en").url).text


def test_many_buyers_pay_at_once(shop: Shop) -> None:
    sessions = [shop.open() for _ in range(20)]
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda s=s: results.append(shop.sandbox.pay(s.url).status)) for s in sessions
    ]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [303] * 20
