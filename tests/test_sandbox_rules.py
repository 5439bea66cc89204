"""The sandbox refuses what Stripe refuses, parameter by parameter."""

import copy
import time
from typing import Any

import pytest
import stripe

from tests.sandbox_process import KEY, Sandbox, fetch
from tests.sandbox_shop import Shop, checkout, sandbox, shop

__all__ = ["sandbox", "shop"]

ITEM = "line_items[0]"
PRICE = f"{ITEM}[price_data]"
RATE = "shipping_options[0][shipping_rate_data]"
BOOK = {"name": "A book"}
LABEL = {"custom": "x", "type": "custom"}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The usual parameters with one of them changed; None takes it away."""
    params = copy.deepcopy(checkout())
    here: Any = params
    names = path.replace("]", "").split("[")
    for name in names[:-1]:
        here = here[int(name)] if isinstance(here, list) else here.setdefault(name, {})
    if value is None:
        del here[names[-1]]
    else:
        here[int(names[-1]) if isinstance(here, list) else names[-1]] = value
    return params


REFUSED = [
    # what does not exist in this version
    ("payment_method_types", ["card"], "parameter_unknown"),
    ("colour", "red", "parameter_unknown"),
    (f"{PRICE}[colour]", "red", "parameter_unknown"),
    (f"{ITEM}[dynamic_tax_rates]", ["txr_1"], "parameter_unknown"),
    ("shipping_rates", ["shr_1"], "parameter_unknown"),
    # enumerations
    ("ui_mode", "hosted", None),
    ("ui_mode", "embedded", None),
    ("locale", "uk", None),
    ("locale", "en-US", None),
    ("mode", "sell", None),
    ("mode", "subscription", None),
    ("mode", None, "parameter_missing"),
    ("billing_address_collection", "never", None),
    ("shipping_address_collection[allowed_countries]", ["CU"], None),
    ("shipping_address_collection[allowed_countries]", ["GB", "SY"], None),
    ("shipping_address_collection[allowed_countries]", ["gb"], None),
    ("shipping_address_collection[allowed_countries]", "GB", None),
    ("allowed_payment_method_types", ["bitcoin"], None),
    ("allowed_payment_method_types", ["klarna"], None),
    ("submit_type", "buy", None),
    # types
    (f"{PRICE}[unit_amount]", 18.99, "parameter_invalid_integer"),
    (f"{PRICE}[unit_amount]", "1899p", "parameter_invalid_integer"),
    (f"{PRICE}[unit_amount]", -1, "parameter_invalid_integer"),
    (f"{PRICE}[unit_amount]", 100_000_000, "parameter_invalid_integer"),
    (f"{ITEM}[quantity]", "two", "parameter_invalid_integer"),
    (f"{ITEM}[quantity]", 0, "parameter_invalid_integer"),
    (f"{ITEM}[quantity]", None, "parameter_missing"),
    ("adaptive_pricing[enabled]", "yes", None),
    ("phone_number_collection[enabled]", 1, None),
    ("metadata", "order", None),
    ("metadata", ["order"], "ok"),
    ("line_items", "book", None),
    ("success_url", {"a": "b"}, None),
    ("expires_at", "tomorrow", "parameter_invalid_integer"),
    # empty
    ("customer_email", "", "parameter_invalid_empty"),
    ("cancel_url", "", "parameter_invalid_empty"),
    ("locale", "", "parameter_invalid_empty"),
    (f"{PRICE}[product_data][description]", "", "parameter_invalid_empty"),
    (f"{PRICE}[product_data][name]", "   ", "parameter_invalid_string_blank"),
    ("line_items", None, "parameter_missing"),
    ("success_url", None, "parameter_missing"),
    (f"{PRICE}[currency]", None, "parameter_missing"),
    (f"{PRICE}[product_data][name]", None, "parameter_missing"),
    (f"{PRICE}[product_data]", None, "parameter_missing"),
    (f"{PRICE}[unit_amount]", None, "parameter_missing"),
    (f"{RATE}[display_name]", None, "parameter_missing"),
    (f"{RATE}[fixed_amount]", None, "parameter_missing"),
    (f"{RATE}[fixed_amount][currency]", None, "parameter_missing"),
    # lengths
    ("client_reference_id", "x" * 201, None),
    ("client_reference_id", "x" * 200, "ok"),
    ("payment_intent_data[description]", "x" * 1001, None),
    ("payment_intent_data[statement_descriptor_suffix]", "BOOK" * 6, None),
    ("payment_intent_data[statement_descriptor_suffix]", "КНИГА", None),
    ("payment_intent_data[statement_descriptor_suffix]", "1234", None),
    ("payment_intent_data[statement_descriptor_suffix]", "A*B", None),
    ("payment_intent_data[statement_descriptor_suffix]", "BOOK 1", "ok"),
    (f"{RATE}[display_name]", "x" * 101, None),
    (f"{PRICE}[product_data][unit_label]", "x" * 13, None),
    ("custom_text[submit][message]", "x" * 1201, None),
    ("metadata", {"k" * 41: "v"}, None),
    ("metadata", {"k": "v" * 501}, None),
    ("metadata", {f"k{n}": "v" for n in range(51)}, None),
    ("metadata", {f"k{n}": "v" for n in range(50)}, "ok"),
    # addresses
    ("success_url", "/done", "url_invalid"),
    ("success_url", "done", "url_invalid"),
    ("success_url", "javascript:alert(1)", "url_invalid"),
    ("cancel_url", "ftp://example.com/", "url_invalid"),
    (f"{PRICE}[product_data][images]", ["cover.jpg"], "url_invalid"),
    (f"{PRICE}[product_data][images]", ["https://example.com/c.jpg"] * 9, None),
    ("customer_email", "reader", "email_invalid"),
    ("customer_email", "a@b", "email_invalid"),
    ("payment_intent_data[receipt_email]", "reader@", "email_invalid"),
    # money
    (f"{PRICE}[currency]", "GBP", None),
    (f"{PRICE}[currency]", "xyz", None),
    (f"{PRICE}[currency]", "usd", None),
    (f"{RATE}[fixed_amount][currency]", "usd", None),
    (f"{RATE}[fixed_amount][amount]", -1, "parameter_invalid_integer"),
    ("currency", "usd", None),
    ("currency", "gbp", "ok"),
    ("shipping_options", checkout()["shipping_options"] * 6, None),
    ("shipping_options", checkout()["shipping_options"] * 5, "ok"),
    ("line_items", checkout()["line_items"] * 101, None),
    # things that exclude each other, or that are not there
    (f"{ITEM}[price]", "price_1", "parameters_exclusive"),
    (f"{PRICE}[unit_amount_decimal]", "1899", "parameters_exclusive"),
    (f"{PRICE}[product]", "prod_1", "parameters_exclusive"),
    (f"{ITEM}[tax_rates]", ["txr_1"], "resource_missing"),
    (f"{PRICE}[product_data][tax_code]", "txcd_1", "resource_missing"),
    (f"{RATE}[tax_code]", "txcd_book", "resource_missing"),
    (f"{PRICE}[product_data][tax_details]", {"tax_code": "txcd_35010000"}, "ok"),
    (f"{PRICE}[recurring]", {"interval": "month"}, None),
    ("customer", "cus_1", "resource_missing"),
    ("discounts", [{"coupon": "SPRING"}], "resource_missing"),
    ("excluded_payment_method_types", ["klarna"], "parameters_exclusive"),
    ("payment_method_configuration", "pmc_1", "parameters_exclusive"),
    ("subscription_data", {"description": "x"}, None),
    ("setup_intent_data", {"description": "x"}, None),
    ("return_url", "https://example.com/", None),
    ("customer_update", {"name": "auto"}, None),
    ("consent_collection", {"terms_of_service": "required"}, None),
    ("consent_collection", {"promotions": "none"}, "ok"),
    ("automatic_tax", {"enabled": True}, "ok"),
    ("automatic_tax", {}, "ok"),
    ("automatic_tax", {"liability": {"type": "self"}}, "parameter_missing"),
    ("custom_fields", [{"key": "ded!", "label": {"custom": "x", "type": "custom"}, "type": "text"}], None),
    ("custom_fields", [{"key": "d", "label": {"custom": "x" * 51, "type": "custom"}, "type": "text"}], None),
    ("custom_fields", [{"key": "d", "label": {"custom": "x", "type": "custom"}, "type": "text"}], "ok"),
    (
        "custom_fields",
        [{"key": f"d{n}", "label": {"custom": "x", "type": "custom"}, "type": "text"} for n in range(4)],
        None,
    ),
    (f"{RATE}[delivery_estimate][minimum][value]", 9, None),
    ("wallet_options", {"link": {"display": "never"}}, "ok"),
]


@pytest.mark.parametrize(("path", "value", "code"), REFUSED, ids=lambda v: str(v)[:40])
def test_a_bad_parameter_is_refused_by_its_name(shop: Shop, path: str, value: Any, code: str | None) -> None:
    params = changed(path, value)
    if code == "ok":
        assert shop.v1.checkout.sessions.create(params).status == "open"  # type: ignore[arg-type]
        return
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.v1.checkout.sessions.create(params)  # type: ignore[arg-type]
    assert caught.value.http_status == 400
    assert caught.value.code == code
    assert caught.value.param is not None
    assert caught.value.param.startswith(path.split("[")[0]) or code in ("parameters_exclusive", None)
    assert caught.value.error is not None
    assert caught.value.error.type == "invalid_request_error"
    assert caught.value.error.request_log_url


@pytest.mark.parametrize("currency", ["usd", "gbp"])
def test_too_little_money_is_refused(shop: Shop, currency: str) -> None:
    least = {"usd": 50, "gbp": 30}[currency]
    for amount, fine in ((least, True), (least - 1, False)):
        item = {"quantity": 1, "price_data": {"currency": currency, "unit_amount": amount, "product_data": BOOK}}
        if fine:
            assert shop.open(currency, line_items=[item], shipping_options=None).amount_total == least
        else:
            with pytest.raises(stripe.InvalidRequestError) as caught:
                shop.open(currency, line_items=[item], shipping_options=None)
            assert caught.value.code == "amount_too_small"


def test_a_page_lives_between_thirty_minutes_and_a_day_of_the_sandbox_clock(shop: Shop) -> None:
    shop.sandbox.advance(1000)
    now = shop.sandbox.control("clock")["now"]
    for seconds in (1800, 600, -5, 24 * 3600 + 60):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            shop.open(expires_at=now + seconds)
        assert caught.value.param == "expires_at"
    assert shop.open(expires_at=now + 1860).expires_at == now + 1860
    assert now - time.time() > 900
    default = shop.open()
    assert default.expires_at == default.created + 24 * 3600


def test_every_country_that_stripe_knows_is_taken(shop: Shop) -> None:
    codes = ["AC", "AD", "AE", "RU", "UA", "BY", "XK", "GB", "US", "ZZ"]
    session = shop.open(shipping_address_collection={"allowed_countries": codes})
    assert session.shipping_address_collection.allowed_countries == codes


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("refunds", {}),
        ("refunds", {"payment_intent": "pi_1", "charge": "ch_1"}),
        ("refunds", {"payment_intent": "pi_1", "amount": 0}),
        ("refunds", {"payment_intent": "pi_1", "amount": "1.5"}),
        ("refunds", {"payment_intent": "pi_1", "reason": "bored"}),
        ("refunds", {"payment_intent": "pi_1", "colour": "red"}),
        ("refunds", {"payment_intent": "pi_none"}),
        ("refunds", {"charge": "ch_none"}),
        ("webhook_endpoints", {"url": "https://example.com/"}),
        ("webhook_endpoints", {"url": "example", "enabled_events": ["*"]}),
        ("webhook_endpoints", {"url": "https://example.com/", "enabled_events": ["book.sold"]}),
    ],
    ids=str,
)
def test_other_calls_are_as_strict(shop: Shop, call: str, params: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        getattr(shop.v1, call).create(params)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=ten",
        "colour=red",
        "status=sold",
        "created[since]=1",
        "created[gte]=today",
        "starting_after=cs_none",
        "starting_after=a&ending_before=b",
        "expand[]=payment_intent",
        "expand[]=data.colour",
        "expand[]=data.payment_intent.latest_charge.balance_transaction.source.payment_intent",
        "expand=data.payment_intent",
        "a[b=1",
        "limit[x]=1",
        "%ff=1",
    ],
)
def test_a_list_refuses_what_it_does_not_know(sandbox: Sandbox, query: str) -> None:
    answer = fetch(f"{sandbox.url}/v1/checkout/sessions?{query}", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"a[" * 50, "application/x-www-form-urlencoded"),
        (b"mode=payment&mode[a]=1", "application/x-www-form-urlencoded"),
        (b"mode[a]=1&mode=payment", "application/x-www-form-urlencoded"),
        (b"line_items[0]=1&line_items[x]=2", "application/x-www-form-urlencoded"),
        (b"line_items[99999999999]=1", "application/x-www-form-urlencoded"),
        (b"mode=pay%00ment", "application/x-www-form-urlencoded"),
        (b"[]=1&=2&a=&[x]", "application/x-www-form-urlencoded"),
        (b"&".join(b"metadata[%d]=x" % n for n in range(6000)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_broken_body_is_a_400_and_never_a_500(sandbox: Sandbox, body: bytes, kind: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
    answer = fetch(f"{sandbox.url}/v1/checkout/sessions", "POST", body, headers)
    assert answer.status == 400, answer.text
    assert answer.json()["error"]["message"]


def test_a_huge_body_is_a_413(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = fetch(f"{sandbox.url}/v1/checkout/sessions", "POST", b"a=" + b"x" * 3_000_000, headers)
    except ConnectionError:
        return  # hung up on before the end, which is an answer too
    assert answer.status == 413


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Bearer",
        "Bearer sk_live_123456789",
        "Bearer pk_test_123",
        "Bearer sk_test_",
        "Bearer whatever",
        "Basic ???",
        "Bearer sk_test_ab'c",
    ],
)
def test_only_test_keys_open_the_door(sandbox: Sandbox, key: str) -> None:
    answer = fetch(f"{sandbox.url}/v1/balance", headers={"Authorization": key} if key else {})
    assert answer.status == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "live_123456789" not in answer.text


@pytest.mark.parametrize("key", ["Bearer sk_test_abc", "Bearer rk_test_abc", "Basic c2tfdGVzdF9hYmM6"])
def test_secret_and_restricted_keys_are_taken_as_bearer_and_basic(sandbox: Sandbox, key: str) -> None:
    answer = fetch(f"{sandbox.url}/v1/balance", headers={"Authorization": key})
    assert answer.status == 200
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"


def test_another_version_and_another_address_are_refused(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    old = fetch(f"{sandbox.url}/v1/balance", headers=headers | {"Stripe-Version": "2022-11-15"})
    assert old.status == 400
    nowhere = fetch(f"{sandbox.url}/v1/books", headers=headers)
    assert nowhere.status == 404
    assert "Unrecognized request URL" in nowhere.json()["error"]["message"]
