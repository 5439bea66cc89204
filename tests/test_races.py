"""Everything at once in a whole shop: what the buyer, the shopkeeper, Stripe and the workers do to one order."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import WrongState
from shop.letters.models import Kind, Letter
from shop.orders import timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import reconciliation, refunds
from shop.payments.models import CheckoutAttempt, Payment, Refund, RefundState
from shop.payments.stripe_gateway import StripeGateway
from shop.sandbox.launch import Plan
from tests.live_shop import ROOT, LiveShop
from tests.sandbox_process import Answer
from tests.till import differences

ORDER = {"paperback": "1", "russian": "0", "country": "GB", "shown_total": "2550"}
ADMIN = timeline.admin("Vera Keeper")
ENDED = (PaymentState.CANCELLED, PaymentState.EXPIRED)


def command(shop: LiveShop, *words: str) -> subprocess.CompletedProcess[str]:
    """``flask shop …`` in a process of its own, in the shop's own environment."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "shop", *words],
        cwd=ROOT,
        env=Plan(shop.environ).environ,
        capture_output=True,
        text=True,
        timeout=120,
    )


def everywhere(works: Iterable[Callable[[], Any]], hands: int = 12) -> list[Any]:
    """Do everything, so much of it at once as there are hands; what is raised is raised here."""
    with ThreadPoolExecutor(hands) as pool:
        return [each.result(120) for each in [pool.submit(work) for work in works]]


def buy(shop: LiveShop) -> str:
    """Place an order as a patient buyer does, who presses the button again when it failed; answers Stripe's page."""
    data = {**ORDER, "attempt": secrets.token_urlsafe(16)}
    for _ in range(12):
        answer = shop.post("/en-gb/order", data)
        if answer.status == 303 and answer.location.startswith(shop.sandbox.url):
            return answer.location
        assert answer.status in (303, 502, 503), answer.text
    raise AssertionError("no page in twelve tries")


def page_id(url: str) -> str:
    return url.partition("#")[0].rpartition("/")[2]


def order_of(session: Session, url: str) -> Order:
    """The order behind one of Stripe's pages."""
    wanted = select(Order).join(CheckoutAttempt, CheckoutAttempt.order_id == Order.id)
    return session.scalars(wanted.where(CheckoutAttempt.checkout_id == page_id(url))).one()


def order_page(shop: LiveShop, url: str) -> str:
    with shop.session() as session:
        order = order_of(session, url)
        return f"/{order.market_slug}/orders/{order.token}"


def is_settled(shop: LiveShop) -> None:
    """After reconciling, everything agrees with itself and with Stripe's own ledger, to the penny."""
    shop.calm()
    environ = Plan(shop.environ).environ
    gateway = StripeGateway(environ["STRIPE_SECRET_KEY"], environ["STRIPE_API_BASE"], ())
    for _ in range(8):
        now = datetime.fromtimestamp(shop.sandbox.control("clock")["now"], UTC) + timedelta(minutes=20)
        with shop.session() as session:
            report = reconciliation.run(session, gateway, now)
        if report.clean:
            break
    assert report.clean, report
    truth = shop.sandbox.ledger()
    with shop.session() as session:
        mine = {row.intent_id: row.amount for row in session.scalars(select(Payment))}
        theirs = {charge["payment_intent"]: charge["amount"] for charge in truth["charges"] if charge["paid"]}
        assert mine == theirs
        back = Counter[str]()
        for row in session.scalars(select(Refund).where(Refund.state.in_(refunds.BACK))):
            back[row.payment.intent_id] += row.amount
        given = Counter[str]()
        for made in truth["refunds"]:
            given[made["payment_intent"]] += made["amount"] if made["status"] in ("succeeded", "pending") else 0
        assert +back == +given
        assert not session.scalars(select(Refund).where(Refund.state == RefundState.OWED)).all()
        assert differences(session) == []


def test_paying_against_cancelling_is_decided_by_stripe(live_shop: LiveShop):
    urls = everywhere([lambda: buy(live_shop)] * 6)
    works: list[Callable[[], Answer]] = []
    for url in urls:
        cancel = order_page(live_shop, url) + "/cancel"
        works.append(lambda url=url: live_shop.sandbox.pay(url))  # type: ignore[misc]
        works.append(lambda cancel=cancel: live_shop.post(cancel, {}))  # type: ignore[misc]
    everywhere(works)
    for url in urls:
        live_shop.get(order_page(live_shop, url))
    is_settled(live_shop)
    pages = {page["id"]: page["status"] for page in live_shop.sandbox.ledger()["sessions"]}
    with live_shop.session() as session:
        for url in urls:
            state = order_of(session, url).payment_state
            status = pages[page_id(url)]
            assert (status == "complete") is (state is PaymentState.PAID), (status, state)
            assert (status == "expired") is (state in ENDED), (status, state)


def test_several_workers_and_a_person_give_each_refund_back_once(live_shop: LiveShop):
    urls = everywhere([lambda: buy(live_shop)] * 4)
    everywhere([lambda url=url: live_shop.sandbox.pay(url) for url in urls])  # type: ignore[misc]
    for url in urls:
        live_shop.get(order_page(live_shop, url))

    def asked(url: str) -> None:
        with live_shop.session() as session:
            order_id = order_of(session, url).id
            paid = session.scalars(select(Payment.id).where(Payment.order_id == order_id)).one()
            with suppress(WrongState):  # the dashboard was faster, and that is known already
                transact(session, refunds.ask, paid, 2550, "", ADMIN, moment_of(session, order_id))

    def in_the_dashboard(url: str) -> None:
        with live_shop.session() as session:
            intent = session.scalars(
                select(Payment.intent_id).where(Payment.order_id == order_of(session, url).id)
            ).one()
        live_shop.sandbox.control("refunds", {"payment_intent": intent}, status=None)

    everywhere(
        [lambda url=url: asked(url) for url in urls]  # type: ignore[misc]
        + [lambda url=url: in_the_dashboard(url) for url in urls[:2]]  # type: ignore[misc]
        + [lambda: command(live_shop, "worker", "--once")] * 2
        + [lambda: command(live_shop, "reconcile")]
    )
    is_settled(live_shop)
    with live_shop.session() as session:
        for url in urls:
            order = order_of(session, url)
            assert order.payment_state is PaymentState.REFUNDED
            [payment] = session.scalars(select(Payment).where(Payment.order_id == order.id))
            back = [row for row in payment.refunds if row.state in refunds.BACK]
            assert sum(row.amount for row in back) == 2550
            causes = [f"refund:{row.id}" for row in back]
            written = session.scalars(
                select(Letter.cause).where(Letter.kind == Kind.REFUNDED, Letter.order_id == order.id)
            )
            assert sorted(written) == sorted(causes)


def moment_of(session: Session, order_id: int) -> datetime:
    """An instant of the shop's own clock."""
    return session.get_one(Order, order_id).placed_at
