"""Which addresses the API has, what each takes and what it does."""

from collections.abc import Callable
from dataclasses import dataclass

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

from shop.sandbox import account, disputes, endpoints, ledger, refunds, sessions
from shop.sandbox import lookups as look
from shop.sandbox.lookups import Handler
from shop.sandbox.store import Json
from shop.sandbox.world import World


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
        look.list_sessions,
        look.check_list,
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
        look.list_session_items,
        look.check_list,
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
        look.listing(REFUND, "/v1/refunds", charge="charge = ?", payment_intent="intent = ?"),
        look.check_list,
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
        look.listing(INTENT, "/v1/payment_intents", customer="0 = ?", customer_account="0 = ?"),
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/payment_intents/<id>",
        _payment_intent_retrieve_params.PaymentIntentRetrieveParams,
        INTENT,
        look.retrieve(INTENT, "payment_intent", "intent"),
    ),
    Resource(
        "GET",
        "/v1/charges",
        _charge_list_params.ChargeListParams,
        "charge",
        look.listing(
            "charge",
            "/v1/charges",
            payment_intent="intent = ?",
            customer="0 = ?",
            transfer_group="json_extract(body, '$.transfer_group') = ?",
        ),
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/charges/<id>",
        _charge_retrieve_params.ChargeRetrieveParams,
        "charge",
        look.retrieve("charge", "charge", "id"),
    ),
    Resource(
        "GET",
        "/v1/charges/<id>/refunds",
        _charge_list_refunds_params.ChargeListRefundsParams,
        REFUND,
        look.list_charge_refunds,
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/events",
        _event_list_params.EventListParams,
        "event",
        look.list_events,
        look.check_events,
        listed=True,
    ),
    Resource("GET", "/v1/events/<id>", _event_retrieve_params.EventRetrieveParams, "event", look.retrieve_event),
    Resource(
        "GET",
        "/v1/disputes",
        _dispute_list_params.DisputeListParams,
        DISPUTE,
        look.listing(DISPUTE, "/v1/disputes", charge="charge = ?", payment_intent="intent = ?"),
        look.check_list,
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
        look.listing(
            MOVEMENT,
            "/v1/balance_transactions",
            source="charge = ?",
            type="label = ?",
            currency="json_extract(body, '$.currency') = ?",
            payout="0 = ?",
        ),
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/balance_transactions/<id>",
        _balance_transaction_retrieve_params.BalanceTransactionRetrieveParams,
        MOVEMENT,
        look.retrieve(MOVEMENT, "balance transaction", "id"),
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
        look.list_tax_codes,
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/tax_codes/<id>",
        _tax_code_retrieve_params.TaxCodeRetrieveParams,
        "tax_code",
        look.retrieve_tax_code,
    ),
    Resource(
        "GET",
        "/v1/products/<id>",
        _product_retrieve_params.ProductRetrieveParams,
        "product",
        look.retrieve("product", "product", "id"),
    ),
    Resource(
        "GET",
        "/v1/prices/<id>",
        _price_retrieve_params.PriceRetrieveParams,
        "price",
        look.retrieve("price", "price", "price"),
    ),
    Resource(
        "GET",
        "/v1/shipping_rates/<id>",
        _shipping_rate_retrieve_params.ShippingRateRetrieveParams,
        "shipping_rate",
        look.retrieve("shipping_rate", "shipping rate", "shipping_rate_token"),
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
        look.listing(ENDPOINT, "/v1/webhook_endpoints"),
        look.check_list,
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
        look.listing(WARNING, "/v1/radar/early_fraud_warnings", charge="charge = ?", payment_intent="intent = ?"),
        look.check_list,
        listed=True,
    ),
    Resource(
        "GET",
        "/v1/radar/early_fraud_warnings/<id>",
        _early_fraud_warning_retrieve_params.EarlyFraudWarningRetrieveParams,
        WARNING,
        look.retrieve(WARNING, "early fraud warning", "early_fraud_warning"),
    ),
    Resource(
        "GET",
        "/v1/account",
        _account_retrieve_current_params.AccountRetrieveCurrentParams,
        "account",
        lambda world, params, _: account.body(world),
    ),
)
