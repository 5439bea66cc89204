"""The commonest mistakes of shops with Stripe, each with a test named after what it prevents.

Where a mistake is a large matter of its own (late money, refunds, the inbox), this is its shortest telling; the
rest is in the file about that matter.
"""

from __future__ import annotations

import ast
import json
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import ForgedEvent, GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order
from shop.payments import checkouts, inbox, refund_calls, refunds
from shop.payments.models import CheckoutAttempt, InboxEvent, InboxState, RefundState
from shop.payments.stripe_gateway import CONNECT, READ, RETRIES, TOLERANCE, StripeGateway
from tests.client import Client
from tests.factories import Catalogue, make_order, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway, sign
from tests.till import at_once, attempts, counters, deliver, differences, letters, payments
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
COMPLETED = "checkout.session.completed"
SUCCEEDED = "checkout.session.async_payment_succeeded"
SOURCE = Path(__file__).resolve().parent.parent / "shop"
GATEWAY = [SOURCE / "payments" / f"stripe_{name}.py" for name in ("gateway", "answers")]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """An order whose page is open."""
    gateway.now = now
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    session.refresh(order)
    return order


def page(gateway: FakeGateway) -> str:
    return next(iter(gateway.checkouts))


def state(session: Session, order: Order) -> PaymentState:
    session.rollback()
    session.refresh(order)
    return order.payment_state


def test_1_opening_the_way_back_is_not_paying(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    client.get(f"/en-gb/orders/{order.token}", query_string={"session_id": page(gateway)})
    assert state(session, order) is PaymentState.AWAITING
    assert letters(session) == []


def test_2_a_closed_tab_loses_no_order(client: Client, session: Session, gateway: FakeGateway, order: Order):
    gateway.pay(page(gateway))
    deliver(client, gateway, COMPLETED, page(gateway))
    assert state(session, order) is PaymentState.PAID


def test_3_completed_is_not_paid(client: Client, session: Session, gateway: FakeGateway, order: Order):
    gateway.pay(page(gateway), paid=False)
    deliver(client, gateway, COMPLETED, page(gateway))
    assert state(session, order) is PaymentState.PROCESSING
    assert not order.may_be_posted


def test_4_money_that_comes_later_is_heard_of(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.pay(page(gateway), paid=False)
    deliver(client, gateway, COMPLETED, page(gateway))
    gateway.pay(page(gateway))
    deliver(client, gateway, SUCCEEDED, page(gateway))
    assert state(session, order) is PaymentState.PAID
    assert {SUCCEEDED, "checkout.session.async_payment_failed"} <= set(inbox.TYPES)


def test_5_two_deliveries_settle_once(client: Client, session: Session, gateway: FakeGateway, order: Order):
    gateway.pay(page(gateway))
    deliver(client, gateway, COMPLETED, page(gateway), times=2)
    deliver(client, gateway, COMPLETED, page(gateway))
    assert len(payments(session)) == len(letters(session, Kind.ORDER_PAID)) == 1


def test_5_two_deliveries_at_once_settle_once(
    app: Flask, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """Two events, each in several hands."""
    gateway.pay(page(gateway))
    events = [gateway.tell(COMPLETED, page(gateway)).event_id for _ in range(2)]
    for event in events:
        transact(session, inbox.keep, gateway.events[event], now)
    assert at_once(app, 8, lambda s, number: inbox.work(s, gateway, events[number % 2], now)) == [None] * 8
    assert len(payments(session)) == len(letters(session, Kind.ORDER_PAID)) == 1
    assert counters(session, next(iter(order.copies))) == (40, 0, 1)
    assert differences(session) == []


def test_6_an_event_is_not_done_before_its_effect(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.pay(page(gateway))
    gateway.before.append(GatewayUnavailable("no answer"))
    deliver(client, gateway, COMPLETED, page(gateway))
    [event] = session.scalars(select(InboxEvent))
    assert event.state is not InboxState.DONE
    assert inbox.work_due(session, gateway, event.due_at) == 1
    assert state(session, order) is PaymentState.PAID


def test_6_an_event_in_hand_of_a_dead_worker_is_not_abandoned(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    gateway.pay(page(gateway))
    transact(session, inbox.keep, gateway.tell(COMPLETED, page(gateway)), now)
    assert inbox.claim_due(session, now + 3 * MINUTE)
    assert inbox.work_due(session, gateway, now + 10 * MINUTE) == 1
    assert state(session, order) is PaymentState.PAID


def test_7_what_failed_is_not_answered_with_200(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    for trouble, status in ((GatewayUnavailable("no answer"), 503), (RuntimeError("ours"), 500)):
        gateway.before.append(trouble)  # type: ignore[arg-type]
        assert deliver(client, gateway, COMPLETED, page(gateway)).status_code == status


def test_8_the_body_is_verified_as_it_came(client: Client, gateway: FakeGateway, session: Session, order: Order):
    """Even one that looks like a form, which a framework would like to parse first; blanks and order included."""
    told = asdict(gateway.tell(COMPLETED, page(gateway)))
    body = json.dumps(dict(reversed(told.items())), default=str, indent=1).encode()
    signature = sign(body)
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post(
            "/stripe/webhook", data=body, content_type=kind, headers={"Stripe-Signature": signature}
        )
        assert answer.status_code == 200, kind


def test_9_the_secret_of_another_endpoint_opens_nothing_and_two_of_ours_may_be_in_use():
    """More of it: tests/test_inbox.py."""
    told = {
        "id": "evt_1",
        "object": "event",
        "type": COMPLETED,
        "livemode": False,
        "created": 1,
        "api_version": None,
    }
    body = json.dumps({**told, "data": {"object": {"id": "cs_test_1", "object": "checkout.session"}}})
    ours = StripeGateway("sk_test_x", "http://127.0.0.1:9", ("whsec_new", "whsec_old"))
    for secret in ("whsec_new", "whsec_old"):
        signature = stripe.WebhookSignature.generate_signature_header(body, secret)
        assert ours.verify(body.encode(), signature).object_id == "cs_test_1"
    with pytest.raises(ForgedEvent):
        ours.verify(body.encode(), stripe.WebhookSignature.generate_signature_header(body, "whsec_of_the_cli"))


def test_10_nothing_that_guards_forms_stands_before_the_webhook(
    client: Client, gateway: FakeGateway, order: Order
):
    body, signature = gateway.webhook(gateway.tell(COMPLETED, page(gateway)))
    headers = {"Stripe-Signature": signature, "Origin": "null", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/stripe/webhook", data=body, headers=headers).status_code == 200


def test_11_the_webhook_is_where_it_is_said_to_be_and_redirects_nowhere(client: Client):
    assert client.post("/stripe/webhook").status_code == 400
    assert client.post("/stripe/webhook/").status_code == 404
    for host in ("http://localhost", "https://localhost"):
        assert client.post("/stripe/webhook", base_url=host).status_code == 400


@pytest.mark.parametrize("kinds", [("charge.refunded", COMPLETED), (COMPLETED, "charge.refunded")])
def test_12_the_order_of_events_does_not_matter(
    client: Client, session: Session, gateway: FakeGateway, order: Order, kinds: tuple[str, str]
):
    money = gateway.pay(page(gateway))
    gateway.refund_in_dashboard(money.intent_id, money.total)
    for kind in kinds:
        thing = money.charge_id if kind == "charge.refunded" else money.checkout_id
        assert deliver(client, gateway, kind, thing).status_code == 200
    assert state(session, order) is PaymentState.REFUNDED
    assert differences(session) == []


@pytest.fixture
def asked(session: Session, catalogue: Catalogue, now: datetime) -> dict[str, Any]:
    """What Stripe itself would be asked for two editions delivered."""
    order = make_order(session, "en-us", now=now, paperback=2, russian=1)
    real = StripeGateway("sk_test_x", "http://127.0.0.1:9", ("whsec_x",))
    return transact(session, checkouts.prepare, real, order, "http://localhost", now).parameters


def test_13_what_a_refund_or_dispute_is_known_by_is_written_on_the_payment_too(asked: dict[str, Any]):
    assert asked["payment_intent_data"]["metadata"] == asked["metadata"]
    assert {"shop", "order"} <= set(asked["metadata"])


def words_of_the_gateway() -> tuple[set[str], set[str]]:
    """Attributes read and texts written in the modules that know Stripe's names."""
    nodes = [node for file in GATEWAY for node in ast.walk(ast.parse(file.read_text()))]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return attributes, texts


def test_14_the_address_is_read_where_it_is_now():
    attributes, texts = words_of_the_gateway()
    assert "collected_information" in attributes
    assert "shipping_details" not in attributes  # removed from the session in 2025; below it, it is read by name
    assert "shipping_details" in texts


def test_15_objects_of_the_package_are_not_treated_as_dictionaries():
    """The functions of these modules read the package's objects; what the class makes are dictionaries of ours."""
    for function in [each for file in GATEWAY for each in ast.parse(file.read_text()).body]:
        if isinstance(function, ast.FunctionDef):
            used = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
            assert not used & {"get", "items", "keys", "values"}, function.name


def test_16_nothing_is_sent_that_this_version_refuses():
    _, texts = words_of_the_gateway()
    assert "payment_method_types" not in texts
    assert "hosted" not in texts


def test_17_a_key_does_not_outlive_its_parameters(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """Another page, another key, also for the same order; the same page, the very same parameters, however late."""
    other = make_order(session, now=now, paperback=2)
    gateway.after.append(GatewayUnavailable("no answer"))
    for later in (0, 10):  # the second time with the parameters of the first, or the provider would refuse
        with suppress(GatewayUnavailable):
            checkouts.pay_page(session, gateway, other.id, "http://localhost", now + later * MINUTE)
    assert len(gateway.checkouts) == len(attempts(session, other)) + 1 == 2
    third = make_order(session, now=now)
    gateway.before.append(GatewayUnavailable("no answer"))
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, gateway, third.id, "http://localhost", now)
    gateway.now = now + 20 * MINUTE  # now the first page would live too short
    checkouts.pay_page(session, gateway, third.id, "http://localhost", now + 20 * MINUTE)
    assert [attempt.number for attempt in attempts(session, third)] == [1, 2]
    found = list(session.scalars(select(CheckoutAttempt)))
    assert len({attempt.key for attempt in found}) == len(found) == 4
    for attempt in found:
        assert attempt.checkout_id is None or gateway._by_key[attempt.key][0] == attempt.parameters


def test_18_no_call_hangs_and_each_process_has_a_client_of_its_own():
    gateway = StripeGateway("sk_test_x", "http://127.0.0.1:9", ("whsec_x",))
    first = gateway._stripe()
    assert gateway._stripe() is first
    gateway._pid += 1  # as after a fork
    assert gateway._stripe() is not first
    assert (RETRIES + 1) * (CONNECT + READ) < 60
    assert 0 < TOLERANCE <= 300


def test_18_a_provider_that_says_nothing_is_given_up():
    silent = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"{")  # and then the line is cut
            silent.set()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            gateway = StripeGateway("sk_test_x", f"http://127.0.0.1:{server.server_port}", ("whsec_x",))
            with pytest.raises(GatewayUnavailable):
                gateway.look_up("cs_test_1")
        finally:
            server.shutdown()
            thread.join()
    assert silent.is_set()


def test_19_no_timer_of_ours_frees_copies(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    gateway.before.append(GatewayUnavailable("no answer"))
    with pytest.raises(GatewayUnavailable):
        checkouts.sweep(session, gateway, now + timedelta(days=3))
    assert counters(session, catalogue.paperback) == (40, 1, 0)


def test_19_who_pays_while_his_page_is_being_closed_has_paid(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    gateway.pay(page(gateway))
    checkouts.sweep(session, gateway, now + 46 * MINUTE)
    assert state(session, order) is PaymentState.PAID
    assert counters(session, catalogue.paperback) == (40, 0, 1)


def test_20_nobody_converts_our_prices(asked: dict[str, Any]):
    assert asked["adaptive_pricing"] == {"enabled": False}
    currencies = {line["price_data"]["currency"] for line in asked["line_items"]}
    rates = [option["shipping_rate_data"] for option in asked["shipping_options"]]
    assert currencies | {rate["fixed_amount"]["currency"] for rate in rates} == {"usd"}


def test_21_stripe_is_asked_for_the_orders_total_postage_included(session: Session, asked: dict[str, Any]):
    """For any order at any price: tests/test_sums.py."""
    books = sum(line["quantity"] * line["price_data"]["unit_amount"] for line in asked["line_items"])
    rate = asked["shipping_options"][0]["shipping_rate_data"]
    assert (
        {each["price_data"]["tax_behavior"] for each in asked["line_items"]}
        == {rate["tax_behavior"]}
        == {"inclusive"}
    )
    [order] = session.scalars(select(Order))
    assert books + rate["fixed_amount"]["amount"] == order.total.amount == 2 * 3200 + 2400 + 2 * 1400


def test_21_nothing_costs_less_than_stripe_takes(session: Session, catalogue: Catalogue):
    for market in ("en-gb", "en-us"):
        assert make_order(session, market).total.amount >= 50


def test_22_a_partial_refund_is_no_full_one_and_not_the_last(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    for part in (100, 200):
        asked = transact(session, refunds.ask, payments(session)[0].id, part, "", ADMIN, now)
        refund_calls.perform(session, gateway, asked.id, now)
    assert state(session, order) is PaymentState.PART_REFUNDED
    assert order.fulfilment_state is FulfilmentState.TO_POST
    assert counters(session, catalogue.paperback) == (40, 0, 1)


def test_23_a_refund_that_fails_afterwards_is_noticed(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    made = gateway.refund_in_dashboard(payments(session)[0].intent_id, 2550)
    deliver(client, gateway, "refund.created", made.provider_id)
    gateway.fail_refund(made.provider_id)
    deliver(client, gateway, "refund.failed", made.provider_id)
    assert state(session, order) is PaymentState.PAID
    assert order.needs_attention
    assert [row.state for row in rows(session)] == [RefundState.FAILED]


def test_23_money_on_its_way_back_is_no_longer_there(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    payment = payments(session)[0]
    gateway.refund_status = "pending"
    made = gateway.refund_in_dashboard(payment.intent_id, 2550)
    deliver(client, gateway, "refund.created", made.provider_id)
    assert state(session, order) is PaymentState.REFUNDED
    assert not order.may_be_posted
    with pytest.raises(WrongState):
        transact(session, refunds.ask, payment.id, 1, "", ADMIN, now)
    gateway.bring_refund(made.provider_id, "succeeded")
    deliver(client, gateway, "refund.updated", made.provider_id)
    assert [row.state for row in rows(session)] == [RefundState.SUCCEEDED]


@pytest.mark.parametrize("kind", ["charge.refunded", "refund.created", "refund.updated"])
def test_24_a_refund_in_the_dashboard_is_noticed_by_whatever_event(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, kind: str
):
    order = make_paid_order(session, gateway, now)
    payment = payments(session)[0]
    made = gateway.refund_in_dashboard(payment.intent_id, 2550)
    deliver(client, gateway, kind, payment.charge_id if kind == "charge.refunded" else made.provider_id)
    assert state(session, order) is PaymentState.REFUNDED
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "", "", ADMIN, now)


def test_24_giving_a_second_payment_back_leaves_the_good_order_alone(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_paid_order(session, gateway, now)
    twin = gateway.open_checkout("twin", attempts(session, order)[0].parameters)
    gateway.pay(twin.checkout_id)
    deliver(client, gateway, COMPLETED, twin.checkout_id)
    refund_calls.perform(session, gateway, rows(session)[0].id, now + timedelta(days=365))
    made = next(iter(gateway.refunds))
    deliver(client, gateway, "refund.created", made)
    assert state(session, order) is PaymentState.PAID
    assert order.may_be_posted
    assert differences(session) == []


def test_25_the_forms_policy_lets_the_buyer_through_to_stripe(client: Client, catalogue: Catalogue):
    policy = client.get("/en-gb/order?paperback=1&country=GB").headers["Content-Security-Policy"]
    actions = next(each for each in policy.split(";") if "form-action" in each)
    assert "https://checkout.stripe.com" in actions
    assert "'self'" in actions


# Also seen


def test_a_buyer_is_not_kept_out_by_his_own_reservation(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    set_stock(session, catalogue.paperback, 1)
    form = client.get("/en-gb/order?paperback=1&country=GB").page.form("shown_total")
    first, second = client.submit(form), client.submit(form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.location == second.location
    assert counters(session, catalogue.paperback) == (1, 1, 0)


def test_a_buyer_who_has_paid_is_not_shown_a_failure(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.pay(page(gateway))
    gateway.before.append(GatewayUnavailable("no answer"))
    answer = client.get(f"/en-gb/orders/{order.token}", query_string={"session_id": page(gateway)})
    assert answer.status_code == 200
    assert not [form for form in answer.page.forms() if "/pay" in form.action]


def test_following_the_link_back_changes_nothing(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    """Prefetchers and virus scanners follow every link."""
    before = (order.timeline_count, order.sync_version)
    for method in ("GET", "HEAD"):
        client.open(f"/en-gb/orders/{order.token}", method=method)
    assert client.get(f"/en-gb/orders/{order.token}/cancel").status_code == 405
    assert state(session, order) is PaymentState.AWAITING
    assert (order.timeline_count, order.sync_version) == before
    assert gateway.checkouts[page(gateway)].status == "open"
