"""What the shop says to Stripe, parameter by parameter, against the types that Stripe's own package ships."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import stripe
from flask import Flask
from sqlalchemy.orm import Session
from stripe._request_options import RequestOptions
from stripe.params import (
    BalanceTransactionListParams,
    DisputeListParams,
    EventListParams,
    RefundCreateParams,
    RefundListParams,
    WebhookEndpointCreateParams,
)
from stripe.params.checkout import SessionCreateParams, SessionListParams, SessionRetrieveParams
from stripe.params.radar import EarlyFraudWarningListParams

from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable
from shop.orders import timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import checkouts, inbox, reconciliation, refund_calls, refunds, settling
from shop.payments.models import AttemptState
from shop.payments.stripe_gateway import StripeGateway
from shop.trader import trader
from tests.factories import Catalogue, make_order
from tests.sandbox_process import KEY, Sandbox
from tests.till import attempts, counters, differences, payments, story
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
SHOP = "http://localhost"
OPTIONS = set(RequestOptions.__annotations__)


def gateway_of(app: Flask) -> StripeGateway:
    return app.extensions["shop.gateway"]  # type: ignore[no-any-return]


def now_at(sandbox: Sandbox) -> datetime:
    return datetime.fromtimestamp(sandbox.control("clock")["now"], UTC)


def parameters(session: Session, app: Flask, now: datetime, market: str = "en-gb", **asked: Any) -> dict[str, Any]:
    """What Stripe would be asked for an order."""
    order = make_order(session, market, now=now, **asked)
    stored = transact(session, checkouts.prepare, gateway_of(app), order, SHOP, now).parameters
    return {**stored, "order": order}


# The types


def unknown(value: Any, hint: Any, path: str = "") -> list[str]:
    """What of a value Stripe's parameter types do not allow."""
    options = _options(hint)
    if isinstance(value, Mapping):
        return _best([_fields(value, option, path) for option in options], path)
    if isinstance(value, list):
        lists = [get_args(option)[0] for option in options if get_origin(option) is list]
        tries = [
            [wrong for place, each in enumerate(value) for wrong in unknown(each, of, f"{path}[{place}]")]
            for of in lists
        ]
        return _best(tries, path)
    literal = [word for option in options if get_origin(option) is Literal for word in get_args(option)]
    if literal and isinstance(value, str):
        return [] if value in literal else [f"{path}: {value!r} is none of {literal}"]
    scalars = [option for option in options if isinstance(option, type)]
    return [] if type(value) in scalars else [f"{path}: {value!r} is no {scalars or options}"]


def _best(tries: list[list[str]], path: str) -> list[str]:
    return min(tries, key=len) if tries else [f"{path}: nothing of this shape is allowed"]


def _fields(value: Mapping[str, Any], option: Any, path: str) -> list[str]:
    if get_origin(option) is dict:
        inner = get_args(option)[1]
        return [wrong for name, each in value.items() for wrong in unknown(each, inner, f"{path}[{name}]")]
    if not hasattr(option, "__required_keys__"):
        return [f"{path}: not a hash"]
    hints = typing.get_type_hints(option, localns={"StripeContext": object, "Mapping": Mapping})
    wrong = [f"{path}[{name}]: unknown" for name in value if name not in hints or name in OPTIONS]
    wrong += [f"{path}[{name}]: missing" for name in option.__required_keys__ if name not in value]
    for name, each in value.items():
        if name in hints:
            wrong += unknown(each, hints[name], f"{path}[{name}]")
    return wrong


def _options(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return [option for part in get_args(hint) for option in _options(part)]
    if getattr(origin, "_name", "") in ("NotRequired", "Required"):
        return _options(get_args(hint)[0])
    if origin in (list, typing.List):  # noqa: UP006
        return [list[get_args(hint)[0]]]  # type: ignore[misc]
    return [hint]


def test_the_comparison_itself_sees_mistakes():
    """A checker that lets everything through would prove nothing."""
    book = {"quantity": 1, "price_data": {"currency": "gbp", "unit_amount": 2200, "product_data": {"name": "A"}}}
    good = {"mode": "payment", "line_items": [book]}
    assert unknown(good, SessionCreateParams) == []
    for wrong in (
        {"payment_method_types": ["card"]},
        {"mode": "gift"},
        {"ui_mode": "hosted"},
        {"expires_at": "soon"},
        {"line_items": [{**book, "colour": "red"}]},
        {"line_items": [{**book, "quantity": "1"}]},
        {"shipping_address_collection": {"allowed_countries": ["XX"]}},
        {"metadata": {"order": 7}},
    ):
        assert len(unknown({**good, **wrong}, SessionCreateParams)) == 1, wrong


@pytest.mark.parametrize("market", ["en-gb", "en-us", "ru-gb", "ru-us"])
def test_every_parameter_of_a_page_is_one_that_stripe_knows(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, market: str
):
    asked = parameters(session, app, now_at(sandbox), market, paperback=2, russian=1)
    asked.pop("order")
    assert unknown(asked, SessionCreateParams) == []


def test_every_call_the_shop_makes_has_only_parameters_that_stripe_knows(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    """The sandbox's own log of what came over the wire, after a day in which everything was asked."""
    gateway, now = gateway_of(app), now_at(sandbox)
    after = max([0, *(call["seq"] for call in sandbox.control("requests?limit=1000")["requests"])])
    order = make_order(session, now=now)
    sandbox.pay(checkouts.pay_page(session, gateway, order.id, SHOP, now))
    assert settling.refresh(session, gateway, order.id, now)
    refund = transact(session, refunds.ask, payments(session)[0].id, 50, "paid_twice", ADMIN, now)
    refund_calls.perform(session, gateway, refund.id, now)
    other = make_order(session, now=now)
    checkouts.pay_page(session, gateway, other.id, SHOP, now)
    checkouts.cancel(session, gateway, other.id, timeline.BUYER, now)
    reconciliation.run(session, gateway, now)
    params = {
        ("POST", "/v1/checkout/sessions"): SessionCreateParams,
        ("GET", "/v1/checkout/sessions"): SessionListParams,
        ("GET", "/v1/checkout/sessions/{id}"): SessionRetrieveParams,
        ("POST", "/v1/refunds"): RefundCreateParams,
        ("GET", "/v1/refunds"): RefundListParams,
        ("GET", "/v1/events"): EventListParams,
        ("GET", "/v1/disputes"): DisputeListParams,
        ("GET", "/v1/radar/early_fraud_warnings"): EarlyFraudWarningListParams,
        ("GET", "/v1/balance_transactions"): BalanceTransactionListParams,
    }
    seen = set()
    for call in sandbox.control(f"requests?after={after}&limit=1000")["requests"]:
        path = re.sub(r"/(cs|re|evt|pi|ch|du|dp)_\w+", "/{id}", call["path"])
        seen.add((call["method"], path))
        assert call["status"] == 200, call
        of = params.get((call["method"], path))
        hints = (
            set(typing.get_type_hints(of, localns={"StripeContext": object, "Mapping": Mapping})) if of else set()
        )
        names = {name.partition("[")[0] for name in call["params"]}
        assert names <= hints - OPTIONS, (path, names - hints)
    assert set(params) - {("GET", "/v1/balance_transactions")} <= seen, set(params) - seen
    assert ("POST", "/v1/checkout/sessions/{id}/expire") in seen


# What is asked for


def test_a_page_shows_what_the_order_says(app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox):
    asked = parameters(session, app, now_at(sandbox), "ru-us", paperback=2, russian=1)
    order: Order = asked["order"]
    first, second = asked["line_items"]
    assert (first["quantity"], first["price_data"]["unit_amount"]) == (2, 3200)
    assert (second["quantity"], second["price_data"]["unit_amount"]) == (1, 2400)
    [postage] = asked["shipping_options"]
    rate = postage["shipping_rate_data"]
    assert rate["fixed_amount"] == {"amount": order.postage_amount, "currency": "usd"}
    assert {each["price_data"]["currency"] for each in asked["line_items"]} == {"usd"}
    books = sum(each["quantity"] * each["price_data"]["unit_amount"] for each in asked["line_items"])
    assert books + rate["fixed_amount"]["amount"] == order.total.amount
    assert {each["price_data"]["product_data"]["tax_code"] for each in asked["line_items"]} == {"txcd_35010000"}
    assert rate["tax_code"] == "txcd_92010001"
    assert {each["price_data"]["tax_behavior"] for each in asked["line_items"]} == {"inclusive"}
    assert asked["client_reference_id"] == order.number


def test_session_and_payment_carry_all_that_an_order_can_be_rebuilt_from(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    asked = parameters(session, app, now_at(sandbox), "ru-us", paperback=2, russian=1)
    wanted = {
        "shop": trader(session).shop_id,
        "order": asked["order"].number,
        "copies": "paperback:2,russian:1",
        "country": "US",
        "language": "ru",
        "market": "ru-us",
    }
    assert asked["metadata"] == asked["payment_intent_data"]["metadata"] == wanted
    session.rollback()


def test_the_chosen_country_is_the_only_one(app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox):
    for market, country in (("en-gb", "GB"), ("en-gb", "CH"), ("en-us", "CA"), ("ru-gb", "JP")):
        asked = parameters(session, app, now_at(sandbox), market, country=country)
        assert asked["shipping_address_collection"] == {"allowed_countries": [country]}


def test_nothing_is_left_to_the_dashboard(app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox):
    asked = parameters(session, app, now_at(sandbox))
    assert asked["adaptive_pricing"] == {"enabled": False}
    assert asked["automatic_tax"] == {"enabled": False}
    assert asked["allowed_payment_method_types"] == ["card"]
    assert "payment_method_types" not in asked
    assert asked["mode"] == "payment"
    assert asked.get("ui_mode", "hosted_page") == "hosted_page"


@pytest.mark.parametrize(
    ("market", "locale"), [("en-gb", "en-GB"), ("en-us", "en"), ("ru-gb", "ru"), ("ru-us", "ru")]
)
def test_the_page_is_in_the_orders_language(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, market: str, locale: str
):
    asked = parameters(session, app, now_at(sandbox), market)
    assert asked["locale"] == locale
    rate = asked["shipping_options"][0]["shipping_rate_data"]
    words = [rate["display_name"], asked["payment_intent_data"]["description"].replace(asked["order"].number, "")]
    words += [each["price_data"]["product_data"]["description"] for each in asked["line_items"]]
    cyrillic = [bool(re.search("[а-яё]", word.lower())) for word in words]
    assert cyrillic == [market.startswith("ru")] * len(words), words


def test_the_way_back_tells_the_page_and_leads_to_the_secret_address(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    asked = parameters(session, app, now_at(sandbox), "ru-gb")
    page = f"{SHOP}/ru-gb/orders/{asked['order'].token}"
    assert asked["success_url"] == page + "?session_id={CHECKOUT_SESSION_ID}"
    assert asked["cancel_url"] == page


def test_a_page_lives_as_long_as_stripe_allows(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    now = now_at(sandbox)
    asked = parameters(session, app, now)
    life = datetime.fromtimestamp(asked["expires_at"], UTC) - now
    assert timedelta(minutes=31) < life < timedelta(hours=24)
    assert isinstance(asked["expires_at"], int)
    [attempt] = attempts(session, asked["order"])
    assert attempt.expires_at.timestamp() == asked["expires_at"]


def test_a_page_that_would_end_too_soon_is_refused_by_the_name_of_its_end(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    asked = parameters(session, app, now_at(sandbox) - timedelta(minutes=30))
    del asked["order"]
    with pytest.raises(GatewayRefused) as refused:
        gateway_of(app).open_checkout("too soon", asked)
    assert refused.value.parameter == "expires_at"


def test_what_is_stored_is_json_and_comes_back_the_same(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    asked = parameters(session, app, now_at(sandbox), "ru-gb")
    order = asked.pop("order")
    session.expire_all()
    assert json.dumps(attempts(session, order)[0].parameters) == json.dumps(asked)
    assert not re.search(r'""|null|Decimal', json.dumps(asked))


# What comes of it at the sandbox, which is as strict as Stripe


@pytest.mark.parametrize("market", ["en-gb", "en-us", "ru-gb", "ru-us"])
def test_a_page_is_opened_paid_and_settled_in_every_market(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, market: str
):
    gateway, now = gateway_of(app), now_at(sandbox)
    order = make_order(session, market, paperback=2, russian=1, now=now)
    url = checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    address = {} if order.country == "GB" else {"state": "IL", "postal_code": "62701", "country": "US"}
    assert sandbox.pay(url, **address).status == 303
    assert settling.refresh(session, gateway, order.id, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.PAID, False)
    [payment] = payments(session, order)
    intent = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}).v1.payment_intents.retrieve(
        payment.intent_id
    )
    assert (intent.amount, intent.currency) == (order.total.amount, order.currency.value.lower())
    assert intent.metadata.to_dict()["order"] == order.number
    assert payment.card == "visa 4242"
    assert order.buyer.email == "reader@example.com"
    assert differences(session) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"after": 3, "status": 0},
        {"after": 3, "truncated": True},
        {"before": 3, "status": 500},
        {"before": 1, "status": 429},
    ],
    ids=["answer lost", "answer cut off", "broken before", "too many"],
)
def test_a_call_that_went_wrong_leads_to_the_same_page_afterwards(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, fault: dict[str, Any]
):
    gateway, now = gateway_of(app), now_at(sandbox)
    order = make_order(session, now=now)
    sandbox.control("faults", fault)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    sandbox.control("faults", {})
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    checkouts.pay_page(session, gateway, order.id, SHOP, now)
    of_this = [
        each for each in gateway.checkouts_since(now - timedelta(hours=1)) if each.reference == order.number
    ]
    assert len(of_this) == 1
    assert [attempt.state for attempt in attempts(session, order)] == [AttemptState.OPEN]


@pytest.mark.parametrize("way", ["paying", "cancelling"])
def test_a_page_whose_key_keeps_a_failure_is_found_in_stripes_list(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, way: str
):
    """Stripe did it, answered 500, and answers 500 to that key for a day."""
    gateway, now = gateway_of(app), now_at(sandbox)
    order = make_order(session, now=now)
    if way == "paying":
        sandbox.control("faults", {"after": 1, "status": 500})
        url = checkouts.pay_page(session, gateway, order.id, SHOP, now)
        assert sandbox.pay(url).status == 303
        assert settling.refresh(session, gateway, order.id, now)
    else:
        key, asked = transact(session, lambda s: _prepared(s, gateway, order.id, now))
        sandbox.control("faults", {"after": 1, "status": 500})
        with pytest.raises(GatewayUnavailable):
            gateway.open_checkout(key, asked)
        assert checkouts.cancel(session, gateway, order.id, timeline.BUYER, now).payment_state == "cancelled"
    [attempt] = attempts(session, order)
    assert attempt.state is AttemptState.CLOSED
    assert gateway.look_up(attempt.checkout_id or "").status == ("complete" if way == "paying" else "expired")


def _prepared(
    session: Session, gateway: StripeGateway, order_id: int, now: datetime
) -> tuple[str, dict[str, Any]]:
    attempt = checkouts.prepare(session, gateway, session.get_one(Order, order_id), SHOP, now)
    return attempt.key, attempt.parameters


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_without_the_right_gives_the_order_up(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox, status: int
):
    gateway, now = gateway_of(app), now_at(sandbox)
    order = make_order(session, now=now)
    sandbox.control("faults", {"before": 1, "status": status})
    with pytest.raises(GatewayRefused):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.EXPIRED, True)
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_a_refund_whose_answer_was_lost_is_made_once(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Sandbox
):
    gateway, now = gateway_of(app), now_at(sandbox)
    order = make_order(session, now=now)
    sandbox.pay(checkouts.pay_page(session, gateway, order.id, SHOP, now))
    settling.refresh(session, gateway, order.id, now)
    refund = transact(session, refunds.ask, payments(session)[0].id, 1000, "", ADMIN, now)
    sandbox.control("faults", {"after": 3, "status": 0})
    with pytest.raises(GatewayUnavailable):
        refund_calls.perform(session, gateway, refund.id, now)
    sandbox.control("faults", {})
    refund_calls.perform(session, gateway, refund.id, now + timedelta(minutes=5))
    assert [each.amount for each in gateway.refunds_of(payments(session)[0].intent_id)] == [1000]
    assert [row.amount for row in rows(session)] == [1000]
    assert story(session, order)[-1] == "refunded"


def test_the_events_the_shop_works_are_ones_that_stripe_has():
    hint = typing.get_type_hints(
        WebhookEndpointCreateParams, localns={"StripeContext": object, "Mapping": Mapping}
    )
    assert unknown(inbox.TYPES, hint["enabled_events"]) == []
