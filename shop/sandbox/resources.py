"""Which addresses the API has, what each takes and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stripe.params import (
    _account_retrieve_current_params,
    _balance_retrieve_params,
    _balance_transaction_list_params,
    _balance_transaction_retrieve_params,
    _charge_list_params,
    _charge_list_refunds_params,
    _charge_retrieve_params,
    _dispute_close_params,
    _dispute_list_params,
    _dispute_retrieve_params,
    _dispute_update_params,
    _event_list_params,
    _event_retrieve_params,
    _payment_intent_list_params,
    _payment_intent_retrieve_params,
    _price_retrieve_params,
    _product_retrieve_params,
    _refund_cancel_params,
    _refund_create_params,
    _refund_list_params,
    _refund_retrieve_params,
    _refund_update_params,
    _shipping_rate_retrieve_params,
    _tax_code_list_params,
    _tax_code_retrieve_params,
    _webhook_endpoint_create_params,
    _webhook_endpoint_delete_params,
    _webhook_endpoint_list_params,
    _webhook_endpoint_retrieve_params,
    _webhook_endpoint_update_params,
)
from stripe.params.checkout import (
    _session_create_params,
    _session_expire_params,
    _session_line_item_list_params,
    _session_list_params,
    _session_retrieve_params,
    _session_update_params,
)
from stripe.params.radar import _early_fraud_warning_list_params, _early_fraud_warning_retrieve_params

from shop.sandbox import account, disputes, endpoints, events, ledger, lists, refunds, sessions, tax_codes
from shop.sandbox.errors import exclusive, invalid, missing
from shop.sandbox.store import Json
from shop.sandbox.world import World

Handler = Callable[[World, Json, str], Json]


@dataclass(frozen=True, slots=True)
class Resource:
    """One method of one address. `check` refuses parameters, `act` does the work inside a transaction."""

    method: str
    path: str
    params: type
    kind: str
    act: Handler
    check: Callable[[World, Json], None] | None = None
    listed: bool = False


def _retrieve(kind: str, noun: str, param: str) -> Handler:
    def act(world: World, params: Json, object_id: str) -> Json:
        record = world.store.find(kind, object_id)
        if record is None:
            raise missing(noun, object_id, param)
        return current(world, record.body)

    return act


def current(world: World, body: Json) -> Json:
    """An object as of now."""
    return ledger.current(world, body) if body["object"] == "balance_transaction" else body


def _list(kind: str, url: str, **filters: str) -> Handler:
    """A list; each filter is a parameter's name and its SQL condition."""

    def act(world: World, params: Json, _: str) -> Json:
        where = {clause: params[name] for name, clause in filters.items() if name in params}
        found = lists.page(world, kind, url, params, where)
        found["data"] = [current(world, body) for body in found["data"]]
        return found

    return act


def _check_list(world: World, params: Json) -> None:
    lists.check(params)


def _list_sessions(world: World, params: Json, _: str) -> Json:
    names = {"payment_intent": "intent = ?", "status": "status = ?"}
    where = {clause: params[name] for name, clause in names.items() if name in params}
    if "customer_details" in params:
        where["label = ?"] = params["customer_details"]["email"]
    if any(name in params for name in ("customer", "customer_account", "payment_link", "subscription")):
        where["0 = ?"] = 1
    return lists.page(world, "checkout.session", "/v1/checkout/sessions", params, where)


def _session_items(world: World, params: Json, session_id: str) -> Json:
    record = sessions.find(world, session_id)
    return lists.of_items(record.hidden["line_items"], f"/v1/checkout/sessions/{session_id}/line_items", params)


def _check_events(world: World, params: Json) -> None:
    lists.check(params)
    if "type" in params and "types" in params:
        raise exclusive("type", "types")
    if len(params.get("types", [])) > 20:
        raise invalid("You may pass at most 20 event types.", "types")
    known = set(endpoints.event_types())
    for place, name in enumerate(params.get("types", [])):
        if name not in known:
            raise invalid(f"Invalid event type: {name[:80]}", f"types[{place}]")


def _list_events(world: World, params: Json, _: str) -> Json:
    where: dict[str, Any] = {"created > ?": world.clock.now() - events.KEPT}
    if "types" in params:
        where[f"label IN ({', '.join('?' * len(params['types']))})"] = params["types"]
    if "type" in params:
        where["label GLOB ?"] = params["type"]
    if "delivery_success" in params:
        sign = "=" if params["delivery_success"] else ">"
        where[f"json_extract(body, '$.pending_webhooks') {sign} ?"] = 0
    return lists.page(world, "event", "/v1/events", params, where)


def _event(world: World, params: Json, event_id: str) -> Json:
    record = world.store.find("event", event_id)
    if record is None or record.body["created"] <= world.clock.now() - events.KEPT:
        raise missing("event", event_id, "id")
    return record.body


def _tax_code(world: World, params: Json, code: str) -> Json:
    found = tax_codes.find(code)
    if found is None:
        raise missing("tax code", code, "id")
    return found


def _tax_codes(world: World, params: Json, _: str) -> Json:
    codes = [found for code in tax_codes.NAMES if (found := tax_codes.find(code))]
    return lists.of_items(codes, "/v1/tax_codes", params)


def _charge_refunds(world: World, params: Json, charge_id: str) -> Json:
    if world.store.find("charge", charge_id) is None:
        raise missing("charge", charge_id, "charge")
    return lists.page(world, "refund", f"/v1/charges/{charge_id}/refunds", params, {"charge = ?": charge_id})


SESSION, REFUND, DISPUTE, ENDPOINT = "checkout.session", "refund", "dispute", "webhook_endpoint"
WARNING, MOVEMENT, INTENT = "radar.early_fraud_warning", "balance_transaction", "payment_intent"

RESOURCES = (
    Resource(
        "POST",
        "/v1/checkout/sessions",
        _session_create_params.SessionCreateParams,
        SESSION,
        lambda world, params, _: sessions.create(world, params),
        sessions.check_new,
    ),
    Resource(
        "GET",
        "/v1/checkout/sessions",
        _session_list_params.SessionListParams,
        SESSION,
        _list_sessions,
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/checkout/sessions/<id>",
        _session_retrieve_params.SessionRetrieveParams,
        SESSION,
        lambda world, params, id_: sessions.find(world, id_).body,
    ),
    Resource(
        "POST",
        "/v1/checkout/sessions/<id>",
        _session_update_params.SessionUpdateParams,
        SESSION,
        lambda world, params, id_: sessions.update(world, id_, params),
    ),
    Resource(
        "POST",
        "/v1/checkout/sessions/<id>/expire",
        _session_expire_params.SessionExpireParams,
        SESSION,
        lambda world, params, id_: sessions.expire(world, id_),
    ),
    Resource(
        "GET",
        "/v1/checkout/sessions/<id>/line_items",
        _session_line_item_list_params.SessionLineItemListParams,
        "item",
        _session_items,
        _check_list,
        listed=True,
    ),
    Resource(
        "POST",
        "/v1/refunds",
        _refund_create_params.RefundCreateParams,
        REFUND,
        lambda world, params, _: refunds.create(world, params),
        refunds.check_new,
    ),
    Resource(
        "GET",
        "/v1/refunds",
        _refund_list_params.RefundListParams,
        REFUND,
        _list(REFUND, "/v1/refunds", charge="charge = ?", payment_intent="intent = ?"),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/refunds/<id>",
        _refund_retrieve_params.RefundRetrieveParams,
        REFUND,
        lambda world, params, id_: refunds.find(world, id_).body,
    ),
    Resource(
        "POST",
        "/v1/refunds/<id>",
        _refund_update_params.RefundUpdateParams,
        REFUND,
        lambda world, params, id_: refunds.update(world, id_, params),
    ),
    Resource(
        "POST",
        "/v1/refunds/<id>/cancel",
        _refund_cancel_params.RefundCancelParams,
        REFUND,
        lambda world, params, id_: refunds.cancel(world, id_, params),
    ),
    Resource(
        "GET",
        "/v1/payment_intents",
        _payment_intent_list_params.PaymentIntentListParams,
        INTENT,
        _list(INTENT, "/v1/payment_intents", customer="0 = ?", customer_account="0 = ?"),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/payment_intents/<id>",
        _payment_intent_retrieve_params.PaymentIntentRetrieveParams,
        INTENT,
        _retrieve(INTENT, "payment_intent", "intent"),
    ),
    Resource(
        "GET",
        "/v1/charges",
        _charge_list_params.ChargeListParams,
        "charge",
        _list(
            "charge",
            "/v1/charges",
            payment_intent="intent = ?",
            customer="0 = ?",
            transfer_group="json_extract(body, '$.transfer_group') = ?",
        ),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/charges/<id>",
        _charge_retrieve_params.ChargeRetrieveParams,
        "charge",
        _retrieve("charge", "charge", "id"),
    ),
    Resource(
        "GET",
        "/v1/charges/<id>/refunds",
        _charge_list_refunds_params.ChargeListRefundsParams,
        REFUND,
        _charge_refunds,
        _check_list,
        listed=True,
    ),
    Resource(
        "GET", "/v1/events", _event_list_params.EventListParams, "event", _list_events, _check_events, listed=True
    ),
    Resource("GET", "/v1/events/<id>", _event_retrieve_params.EventRetrieveParams, "event", _event),
    Resource(
        "GET",
        "/v1/disputes",
        _dispute_list_params.DisputeListParams,
        DISPUTE,
        _list(DISPUTE, "/v1/disputes", charge="charge = ?", payment_intent="intent = ?"),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/disputes/<id>",
        _dispute_retrieve_params.DisputeRetrieveParams,
        DISPUTE,
        lambda world, params, id_: disputes.find(world, id_).body,
    ),
    Resource(
        "POST",
        "/v1/disputes/<id>",
        _dispute_update_params.DisputeUpdateParams,
        DISPUTE,
        lambda world, params, id_: disputes.update(world, id_, params),
    ),
    Resource(
        "POST",
        "/v1/disputes/<id>/close",
        _dispute_close_params.DisputeCloseParams,
        DISPUTE,
        lambda world, params, id_: disputes.accept(world, id_, params),
    ),
    Resource(
        "GET",
        "/v1/balance_transactions",
        _balance_transaction_list_params.BalanceTransactionListParams,
        MOVEMENT,
        _list(
            MOVEMENT,
            "/v1/balance_transactions",
            source="charge = ?",
            type="label = ?",
            currency="json_extract(body, '$.currency') = ?",
            payout="0 = ?",
        ),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/balance_transactions/<id>",
        _balance_transaction_retrieve_params.BalanceTransactionRetrieveParams,
        MOVEMENT,
        _retrieve(MOVEMENT, "balance transaction", "id"),
    ),
    Resource(
        "GET",
        "/v1/balance",
        _balance_retrieve_params.BalanceRetrieveParams,
        MOVEMENT,
        lambda world, params, _: ledger.balance(world),
    ),
    Resource(
        "GET",
        "/v1/tax_codes",
        _tax_code_list_params.TaxCodeListParams,
        "tax_code",
        _tax_codes,
        _check_list,
        listed=True,
    ),
    Resource("GET", "/v1/tax_codes/<id>", _tax_code_retrieve_params.TaxCodeRetrieveParams, "tax_code", _tax_code),
    Resource(
        "GET",
        "/v1/products/<id>",
        _product_retrieve_params.ProductRetrieveParams,
        "product",
        _retrieve("product", "product", "id"),
    ),
    Resource(
        "GET",
        "/v1/prices/<id>",
        _price_retrieve_params.PriceRetrieveParams,
        "price",
        _retrieve("price", "price", "price"),
    ),
    Resource(
        "GET",
        "/v1/shipping_rates/<id>",
        _shipping_rate_retrieve_params.ShippingRateRetrieveParams,
        "shipping_rate",
        _retrieve("shipping_rate", "shipping rate", "shipping_rate_token"),
    ),
    Resource(
        "POST",
        "/v1/webhook_endpoints",
        _webhook_endpoint_create_params.WebhookEndpointCreateParams,
        ENDPOINT,
        lambda world, params, _: endpoints.create(world, params),
        endpoints.check,
    ),
    Resource(
        "GET",
        "/v1/webhook_endpoints",
        _webhook_endpoint_list_params.WebhookEndpointListParams,
        ENDPOINT,
        _list(ENDPOINT, "/v1/webhook_endpoints"),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/webhook_endpoints/<id>",
        _webhook_endpoint_retrieve_params.WebhookEndpointRetrieveParams,
        ENDPOINT,
        lambda world, params, id_: endpoints.find(world, id_).body,
    ),
    Resource(
        "POST",
        "/v1/webhook_endpoints/<id>",
        _webhook_endpoint_update_params.WebhookEndpointUpdateParams,
        ENDPOINT,
        lambda world, params, id_: endpoints.update(world, id_, params),
        endpoints.check,
    ),
    Resource(
        "DELETE",
        "/v1/webhook_endpoints/<id>",
        _webhook_endpoint_delete_params.WebhookEndpointDeleteParams,
        ENDPOINT,
        lambda world, params, id_: endpoints.delete(world, id_),
    ),
    Resource(
        "GET",
        "/v1/radar/early_fraud_warnings",
        _early_fraud_warning_list_params.EarlyFraudWarningListParams,
        WARNING,
        _list(WARNING, "/v1/radar/early_fraud_warnings", charge="charge = ?", payment_intent="intent = ?"),
        _check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/radar/early_fraud_warnings/<id>",
        _early_fraud_warning_retrieve_params.EarlyFraudWarningRetrieveParams,
        WARNING,
        _retrieve(WARNING, "early fraud warning", "early_fraud_warning"),
    ),
    Resource(
        "GET",
        "/v1/account",
        _account_retrieve_current_params.AccountRetrieveCurrentParams,
        "account",
        lambda world, params, _: account.body(world),
    ),
)
