"""Everybody at once, against a whole shop with two web workers, a worker and the sandbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import func, select

from shop import audit
from shop.catalogue import offers
from shop.letters.models import Kind, Letter
from shop.orders import placing
from shop.orders.lifecycle import PaymentState
from shop.payments.models import Payment
from shop.stock import Movement, Stock, StockMovement
from tests import factories
from tests.live_shop import LiveShop
from tests.sandbox_process import KEY, Answer, fetch

T = TypeVar("T")
ORDER = {"paperback": "1", "russian": "0", "country": "GB", "shown_total": "2550"}
AUTHORISED = {"Authorization": f"Bearer {KEY}"}


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """Do everything in the same moment."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        gate.wait(60)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def leave(shop: LiveShop, copies: int) -> int:
    """So many paperbacks are left; returns the edition's id."""
    with shop.session() as session:
        edition = offers.edition(session, "paperback")
        assert edition is not None
        factories.set_stock(session, edition.id, copies)
        return edition.id


def held_for(shop: LiveShop, edition_id: int) -> int:
    with shop.session() as session:
        return session.get_one(Stock, edition_id).held


def assert_books_agree(shop: LiveShop) -> None:
    with shop.session() as session:
        assert [str(difference) for difference in audit.run(session)] == []


def give_up(shop: LiveShop, answers: Sequence[Answer], edition_id: int, held: int) -> None:
    """Let the opened payment pages expire, and wait until their copies are free."""
    for page in {answer.location for answer in answers if answer.status == 303}:
        shop.sandbox.control(f"sessions/{page.rpartition('/')[2].split('?')[0]}", {"do": "expire"})
    deadline = time.monotonic() + 30
    while held_for(shop, edition_id) > held:
        assert time.monotonic() < deadline, "the copies did not come back"
        time.sleep(0.1)


def test_of_a_hundred_orders_for_the_last_copy_one_is_taken(live_shop: LiveShop):
    edition = leave(live_shop, 1)
    before = held_for(live_shop, edition)
    answers = at_once(
        [
            lambda: live_shop.post("/en-gb/order", {**ORDER, "attempt": secrets.token_urlsafe(16)})
            for _ in range(100)
        ]
    )
    assert Counter(answer.status for answer in answers) == {303: 1, 409: 99}
    assert held_for(live_shop, edition) == before + 1
    assert_books_agree(live_shop)
    give_up(live_shop, answers, edition, before)


def test_a_double_click_on_the_last_copy_is_one_order(live_shop: LiveShop):
    edition = leave(live_shop, 1)
    before, attempt = held_for(live_shop, edition), secrets.token_urlsafe(16)
    answers = at_once([lambda: live_shop.post("/ru-gb/order", {**ORDER, "attempt": attempt})] * 6)
    assert {answer.status for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    assert held_for(live_shop, edition) == before + 1
    give_up(live_shop, answers, edition, before)


def test_fifty_tellings_of_one_payment_are_one_payment_one_parcel_one_letter(live_shop: LiveShop):
    live_shop.sandbox.control("webhooks", {"drop": 1, "repeat": 0, "delay": 0, "shuffle": 0})
    email = f"told-{time.time()}@example.com"
    sent = live_shop.post("/en-gb/order", {**ORDER, "attempt": secrets.token_urlsafe(16)})
    assert sent.status == 303
    paid = live_shop.sandbox.pay(sent.location, email=email)
    assert paid.status == 303
    order_page = paid.location
    body, signature = a_webhook(live_shop, sent.location)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    told = at_once(
        [lambda: fetch(f"{live_shop.url}/stripe/webhook", "POST", body, headers, timeout=90)] * 25
        + [lambda: fetch(order_page, timeout=90)] * 25
    )
    assert {answer.status for answer in told} == {200}
    letters = live_shop.letters(email)
    token = re.search(r"/orders/([^/?]+)", order_page)
    assert token is not None
    with live_shop.session() as session:
        order = placing.by_token(session, token[1])
        assert order is not None
        assert order.payment_state is PaymentState.PAID
        of_order = {"order_id": order.id}
        assert counted(session, Payment, **of_order) == 1
        assert counted(session, StockMovement, kind=Movement.ALLOCATE, **of_order) == 1
        assert counted(session, Letter, kind=Kind.ORDER_PAID, **of_order) == 1
    assert len({letter["message_id"] for letter in letters}) == 1
    assert_books_agree(live_shop)


def counted(session, model, **where: object) -> int:
    return session.scalar(select(func.count()).select_from(model).filter_by(**where)) or 0


def a_webhook(shop: LiveShop, page: str) -> tuple[str, str]:
    """The event that a page was paid, as Stripe would deliver it, and its signature."""
    wanted = f"{shop.sandbox.url}/v1/events?type=checkout.session.completed&limit=100"
    events = fetch(wanted, headers=AUTHORISED).json()["data"]
    event = next(each for each in events if each["data"]["object"]["id"] in page)
    secret = json.loads((shop.instance / "secrets.json").read_text())["webhook_secret"]
    body, moment = json.dumps(event), int(time.time())
    digest = hmac.new(secret.encode(), f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    return body, f"t={moment},v1={digest}"
