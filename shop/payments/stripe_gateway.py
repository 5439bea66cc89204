"""Stripe, and nothing but Stripe: the only module that knows its package and its names.

Written for API version 2026-10-28.endive, which stripe-python 16.1 pins.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import stripe

from shop.errors import ForgedEvent, GatewayError, GatewayRefused, GatewayUnavailable
from shop.payments import stripe_answers as read
from shop.payments.gateway import (
    BalanceFacts,
    CheckoutFacts,
    CheckoutRequest,
    DisputeFacts,
    IncomingEvent,
    RefundFacts,
    WarningFacts,
)

T = TypeVar("T")

CONNECT, READ = 3.05, 15  # seconds; three tries stay below the web server's own time limit
RETRIES = 2
TOLERANCE = 300  # seconds a webhook's signature may be old (Stripe, "Verify webhook signatures")
SHIPPING_TAX_CODE = "txcd_92010001"
PAGE = 100
# Not UTF-8, not JSON, not an event, a time beyond all times, or a signature that is not ASCII.
MALFORMED = (ValueError, TypeError, AttributeError, LookupError, OverflowError, OSError, RecursionError)
SETTLED_WHOLE = "payment_intent.latest_charge"

stripe.enable_telemetry = False


class StripeGateway:
    """The payment gateway of the shop, over Stripe's HTTP API."""

    def __init__(self, key: str, base: str, webhook_secrets: tuple[str, ...]) -> None:
        self._key = key
        self._base = base
        self._secrets = webhook_secrets
        self._lock = threading.Lock()
        self._client: stripe.StripeClient | None = None
        self._pid = 0

    @property
    def livemode(self) -> bool:
        return self._key.startswith(("sk_live_", "rk_live_"))

    def _stripe(self) -> stripe.StripeClient:
        """One client a process, made on first use: sockets must not be shared across a fork."""
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client = stripe.StripeClient(
                    self._key,
                    base_addresses={"api": self._base},
                    http_client=stripe.RequestsClient(timeout=(CONNECT, READ)),
                    max_network_retries=RETRIES,
                )
                self._pid = os.getpid()
            return self._client

    def parameters(self, request: CheckoutRequest) -> dict[str, Any]:
        """Checkout Session parameters (Stripe API, "Create a Checkout Session")."""
        currency = request.currency.value.lower()
        metadata = dict(request.metadata)
        parameters: dict[str, Any] = {
            "mode": "payment",
            "ui_mode": "hosted_page",
            "locale": request.locale,
            "client_reference_id": request.number,
            "line_items": [
                {
                    "quantity": line.quantity,
                    "price_data": {
                        "currency": currency,
                        "unit_amount": line.unit,
                        "tax_behavior": "inclusive",
                        "product_data": {
                            "name": line.title,
                            "tax_code": line.tax_code,
                            "metadata": {"edition": line.slug},
                        }
                        | ({"description": line.description} if line.description else {}),
                    },
                }
                for line in request.lines
            ],
            "automatic_tax": {"enabled": False},
            "adaptive_pricing": {"enabled": False},
            "allowed_payment_method_types": ["card"],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata, "description": request.description},
            "expires_at": int(request.expires_at.timestamp()),
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        if request.country:
            parameters |= _parcel(request, currency)
        if request.submit_note:
            parameters["custom_text"] = {"submit": {"message": request.submit_note}}
        return parameters

    def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
        return self._call(
            lambda api: read.checkout(api.checkout.sessions.create(dict(parameters), {"idempotency_key": key}))
        )

    def look_up(self, checkout_id: str) -> CheckoutFacts:
        # Read as it came: making the package's objects of three hundred fields would be a quarter of settling.
        path = f"/v1/checkout/sessions/{quote(checkout_id, safe='')}"
        answer = self._call(lambda _api: self._stripe().raw_request("get", path, expand=[SETTLED_WHOLE]))
        return self._call(lambda _api: read.checkout(json.loads(answer.body, object_hook=read.plain)))

    def close_checkout(self, checkout_id: str) -> CheckoutFacts:
        # A refusal means complete or expired already: Stripe decides that race, and the next look says which.
        with suppress(GatewayRefused):
            self._call(lambda api: api.checkout.sessions.expire(checkout_id))
        return self.look_up(checkout_id)

    def checkouts_since(self, moment: datetime) -> Iterator[CheckoutFacts]:
        yield from self._pages(
            lambda api, after: api.checkout.sessions.list(
                _page(moment, after) | {"expand": [f"data.{SETTLED_WHOLE}"]}
            ),
            read.checkout,
        )

    def checkout_of(self, intent_id: str) -> CheckoutFacts | None:
        found = self._call(
            lambda api: api.checkout.sessions.list(
                {"payment_intent": intent_id, "limit": 1, "expand": [f"data.{SETTLED_WHOLE}"]}
            )
        )
        return read.checkout(found.data[0]) if found.data else None

    def refund(
        self, key: str, intent_id: str, amount: int, reason: str, metadata: Mapping[str, str]
    ) -> RefundFacts:
        parameters: dict[str, Any] = {
            "payment_intent": intent_id,
            "amount": amount,
            "metadata": dict(metadata),
        }
        if reason:
            parameters["reason"] = reason
        return self._call(lambda api: read.refund(api.refunds.create(parameters, {"idempotency_key": key})))

    def refunds_of(self, intent_id: str) -> list[RefundFacts]:
        def page(api: Any, after: str) -> Any:
            return api.refunds.list({"payment_intent": intent_id, **_page(None, after)})

        return list(self._pages(page, read.refund))

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]:
        yield from self._pages(lambda api, after: api.refunds.list(_page(moment, after)), read.refund)

    def refund_intent(self, refund_id: str) -> str:
        return self._call(lambda api: read.id_of(api.refunds.retrieve(refund_id).payment_intent))

    def charge_intent(self, charge_id: str) -> str:
        return self._call(lambda api: read.id_of(api.charges.retrieve(charge_id).payment_intent))

    def look_up_dispute(self, dispute_id: str) -> DisputeFacts:
        return self._call(lambda api: read.dispute(api.disputes.retrieve(dispute_id)))

    def disputes_since(self, moment: datetime) -> Iterator[DisputeFacts]:
        yield from self._pages(lambda api, after: api.disputes.list(_page(moment, after)), read.dispute)

    def look_up_warning(self, warning_id: str) -> WarningFacts:
        return self._call(lambda api: read.warning(api.radar.early_fraud_warnings.retrieve(warning_id)))

    def warnings_since(self, moment: datetime) -> Iterator[WarningFacts]:
        yield from self._pages(
            lambda api, after: api.radar.early_fraud_warnings.list(_page(moment, after)), read.warning
        )

    def balance_since(self, moment: datetime) -> Iterator[BalanceFacts]:
        yield from self._pages(
            lambda api, after: api.balance_transactions.list(_page(moment, after)), read.balance
        )

    def undelivered_since(self, moment: datetime, types: list[str]) -> Iterator[IncomingEvent]:
        def page(api: Any, after: str) -> Any:
            return api.events.list({"types": types, "delivery_success": False, **_page(moment, after)})

        yield from self._pages(page, read.event)

    def event(self, event_id: str) -> IncomingEvent:
        return self._call(lambda api: read.event(api.events.retrieve(event_id)))

    def verify(self, body: bytes, signature: str) -> IncomingEvent:
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
                return read.told(json.loads(body))
            except stripe.SignatureVerificationError:
                continue
            except MALFORMED as error:
                raise ForgedEvent(type(error).__name__) from error
        raise ForgedEvent("no secret fits the signature")

    def _call(self, work: Callable[[Any], T]) -> T:
        """Run one conversation and say in our words how it failed.

        Only a 4xx is a certain "not done"; a time-out, a 5xx and a malformed answer leave the outcome unknown.
        """
        try:
            return work(self._stripe().v1)
        except (stripe.RateLimitError, stripe.APIConnectionError) as error:
            raise GatewayUnavailable(_words(error)) from error
        except stripe.StripeError as error:
            if error.http_status is not None and 400 <= error.http_status < 500 and error.http_status != 409:
                refused = getattr(error, "param", None) or ""
                raise GatewayRefused(error.code or type(error).__name__, _words(error), refused) from error
            # A failure once kept under an idempotency key is all that the key leads to for a day (Stripe,
            # "Idempotent requests"); that a 5xx is not worth another try says that it is kept.
            headers = error.headers or {}
            kept = (error.http_status or 0) >= 500 and headers.get("Stripe-Should-Retry") == "false"
            spent = kept or headers.get("Idempotent-Replayed") == "true"
            raise GatewayUnavailable(_words(error), spent=spent) from error
        except GatewayError:
            raise
        except Exception as error:
            # The package itself stumbles over truncated and malformed answers, with any exception there is.
            raise GatewayUnavailable(f"{type(error).__name__}: {error}") from error

    def _pages(self, fetch: Callable[[Any, str], Any], tell: Callable[[Any], T]) -> Iterator[T]:
        after = ""
        while True:
            found = self._call(lambda api, after=after: fetch(api, after))  # type: ignore[misc]
            yield from (tell(each) for each in found.data)
            if not found.has_more or not found.data:
                return
            after = found.data[-1].id


def _parcel(request: CheckoutRequest, currency: str) -> dict[str, Any]:
    """What a page asks and says of the parcel: its address, within one country, and its postage."""
    return {
        "shipping_address_collection": {"allowed_countries": [request.country]},
        "shipping_options": [
            {
                "shipping_rate_data": {
                    "type": "fixed_amount",
                    "display_name": request.postage_name,
                    "tax_behavior": "inclusive",
                    "tax_code": SHIPPING_TAX_CODE,
                    "fixed_amount": {"amount": request.postage, "currency": currency},
                    "delivery_estimate": {
                        "minimum": {"unit": "business_day", "value": request.min_days},
                        "maximum": {"unit": "business_day", "value": request.max_days},
                    },
                }
            }
        ],
    }


def _page(moment: datetime | None, after: str) -> dict[str, Any]:
    page: dict[str, Any] = {"limit": PAGE}
    if moment is not None:
        page["created"] = {"gte": int(moment.timestamp())}
    if after:
        page["starting_after"] = after
    return page


def _words(error: stripe.StripeError) -> str:
    """For the log: what Stripe said, and the request it can be asked about."""
    return f"{type(error).__name__} {error.http_status or ''} {error.request_id or ''} {error}".strip()
