"""Stripe, and nothing but Stripe: the only module that knows its package and its names.

Written for API version 2026-10-28.endive, which stripe-python 16.1 pins.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import quote

import stripe

from shop.errors import ForgedEvent, GatewayError, GatewayRefused, GatewayUnavailable
from shop.money import Currency
from shop.payments.gateway import (
    Address,
    BalanceFacts,
    CheckoutFacts,
    CheckoutRequest,
    DisputeFacts,
    IncomingEvent,
    RefundFacts,
)

T = TypeVar("T")

CONNECT, READ = 3.05, 15  # seconds; three tries stay below the web server's own time limit
RETRIES = 2
TOLERANCE = 300  # seconds a webhook's signature may be old (Stripe, "Verify webhook signatures")
SHIPPING_TAX_CODE = "txcd_92010001"
PAGE = 100
WORD = re.compile(r"[A-Za-z0-9_.]{1,80}")
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
            lambda api: _checkout(api.checkout.sessions.create(dict(parameters), {"idempotency_key": key}))
        )

    def look_up(self, checkout_id: str) -> CheckoutFacts:
        # Read as it came: making the package's objects of three hundred fields would be a quarter of settling.
        path = f"/v1/checkout/sessions/{quote(checkout_id, safe='')}"
        answer = self._call(lambda _api: self._stripe().raw_request("get", path, expand=[SETTLED_WHOLE]))
        return self._call(lambda _api: _checkout(json.loads(answer.body, object_hook=_plain)))

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
            _checkout,
        )

    def checkout_of(self, intent_id: str) -> CheckoutFacts | None:
        found = self._call(
            lambda api: api.checkout.sessions.list(
                {"payment_intent": intent_id, "limit": 1, "expand": [f"data.{SETTLED_WHOLE}"]}
            )
        )
        return _checkout(found.data[0]) if found.data else None

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
        return self._call(lambda api: _refund(api.refunds.create(parameters, {"idempotency_key": key})))

    def refunds_of(self, intent_id: str) -> list[RefundFacts]:
        def page(api: Any, after: str) -> Any:
            return api.refunds.list({"payment_intent": intent_id, **_page(None, after)})

        return list(self._pages(page, _refund))

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]:
        yield from self._pages(lambda api, after: api.refunds.list(_page(moment, after)), _refund)

    def refund_intent(self, refund_id: str) -> str:
        return self._call(lambda api: _id(api.refunds.retrieve(refund_id).payment_intent))

    def charge_intent(self, charge_id: str) -> str:
        return self._call(lambda api: _id(api.charges.retrieve(charge_id).payment_intent))

    def look_up_dispute(self, dispute_id: str) -> DisputeFacts:
        return self._call(lambda api: _dispute(api.disputes.retrieve(dispute_id)))

    def disputes_since(self, moment: datetime) -> Iterator[DisputeFacts]:
        yield from self._pages(lambda api, after: api.disputes.list(_page(moment, after)), _dispute)

    def warning_charge(self, warning_id: str) -> str:
        return self._call(lambda api: _id(api.radar.early_fraud_warnings.retrieve(warning_id).charge))

    def balance_since(self, moment: datetime) -> Iterator[BalanceFacts]:
        yield from self._pages(lambda api, after: api.balance_transactions.list(_page(moment, after)), _balance)

    def undelivered_since(self, moment: datetime, types: list[str]) -> Iterator[IncomingEvent]:
        def page(api: Any, after: str) -> Any:
            return api.events.list({"types": types, "delivery_success": False, **_page(moment, after)})

        yield from self._pages(page, _event)

    def event(self, event_id: str) -> IncomingEvent:
        return self._call(lambda api: _event(api.events.retrieve(event_id)))

    def verify(self, body: bytes, signature: str) -> IncomingEvent:
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
                return _told(json.loads(body))
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
            # "Idempotent requests").
            spent = (error.headers or {}).get("Idempotent-Replayed") == "true"
            raise GatewayUnavailable(_words(error), spent=spent) from error
        except GatewayError:
            raise
        except Exception as error:
            # The package itself stumbles over truncated and malformed answers, with any exception there is.
            raise GatewayUnavailable(f"{type(error).__name__}: {error}") from error

    def _pages(self, fetch: Callable[[Any, str], Any], read: Callable[[Any], T]) -> Iterator[T]:
        after = ""
        while True:
            found = self._call(lambda api, after=after: fetch(api, after))  # type: ignore[misc]
            yield from (read(each) for each in found.data)
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


def _checkout(session: Any) -> CheckoutFacts:
    intent = session.payment_intent
    charge = _whole(intent, "latest_charge")
    shipping = _whole(session.collected_information, "shipping_details")
    details = session.customer_details
    complete_unpaid = session.status == "complete" and session.payment_status == "unpaid"
    return CheckoutFacts(
        checkout_id=session.id,
        livemode=session.livemode,
        status=session.status or "",
        paid=session.status == "complete" and session.payment_status in ("paid", "no_payment_required"),
        failed=complete_unpaid and _whole(intent, "status") in ("requires_payment_method", "canceled"),
        currency=_currency(session.currency),
        books=session.amount_subtotal or 0,
        postage=_whole(session.shipping_cost, "amount_total") or 0,
        total=session.amount_total or 0,
        intent_id=_id(intent),
        charge_id=_id(charge),
        url=session.url or "",
        metadata=_dictionary(session.metadata),
        reference=session.client_reference_id or "",
        email=_whole(details, "email") or "",
        phone=_whole(details, "phone") or "",
        address=_address(shipping),
        card=_card(charge),
        created=_moment(session.created),
        expires_at=_moment(session.expires_at),
    )


def _address(shipping: Any) -> Address:
    where = _whole(shipping, "address")
    parts = ("line1", "line2", "city", "state", "postal_code", "country")
    return Address(_whole(shipping, "name") or "", *(_whole(where, part) or "" for part in parts))


def _card(charge: Any) -> str:
    card = _whole(_whole(charge, "payment_method_details"), "card")
    return f"{card.brand} {card.last4}" if _whole(card, "last4") else ""


def _refund(refund: Any) -> RefundFacts:
    return RefundFacts(
        provider_id=refund.id,
        intent_id=_id(refund.payment_intent),
        amount=refund.amount,
        status=refund.status or "pending",
        failure=_whole(refund, "failure_reason") or "",
        reason=refund.reason or "",
        metadata=_dictionary(refund.metadata),
        created=_moment(refund.created),
    )


def _dispute(dispute: Any) -> DisputeFacts:
    return DisputeFacts(
        provider_id=dispute.id,
        intent_id=_id(dispute.payment_intent),
        charge_id=_id(dispute.charge),
        amount=dispute.amount,
        status=dispute.status,
        reason=dispute.reason,
        due_by=_moment(_whole(dispute.evidence_details, "due_by")),
        created=datetime.fromtimestamp(dispute.created, UTC),
    )


def _balance(transaction: Any) -> BalanceFacts:
    return BalanceFacts(
        provider_id=transaction.id,
        kind=transaction.reporting_category,
        source_id=_id(transaction.source),
        amount=transaction.amount,
        fee=transaction.fee,
        net=transaction.net,
        currency=_currency(transaction.currency),
        created=datetime.fromtimestamp(transaction.created, UTC),
    )


def _event(event: Any) -> IncomingEvent:
    return IncomingEvent(
        event_id=_word(event.id),
        type=_word(event.type),
        object_id=_id(event.data.object),
        livemode=bool(event.livemode),
        created=datetime.fromtimestamp(event.created, UTC),
    )


def _told(event: Any) -> IncomingEvent:
    """What a webhook's body says: names alone, since the object itself is fetched afresh ("The Event object")."""
    if event["object"] != "event":
        raise ValueError("no event")
    subject = event["data"]["object"]
    return IncomingEvent(
        event_id=_word(event["id"]),
        type=_word(event["type"]),
        object_id=_word(subject["id"]) if "id" in subject else "",
        livemode=bool(event["livemode"]),
        created=datetime.fromtimestamp(event["created"], UTC),
    )


def _word(value: Any) -> str:
    """An id or a type as Stripe makes them; anything else is no event of Stripe's."""
    if not isinstance(value, str) or not WORD.fullmatch(value):
        raise ValueError(f"{value!r:.100} is no name")
    return value


def _whole(value: Any, name: str) -> Any:
    """A field of an object that may be absent, null, or only an id."""
    return None if value is None or isinstance(value, str) else getattr(value, name, None)


def _plain(fields: dict[str, Any]) -> SimpleNamespace:
    """An object of an answer that is read as it came, by attributes as the package's own are."""
    return SimpleNamespace(**fields)


def _dictionary(metadata: Any) -> dict[str, str]:
    if not metadata:
        return {}
    return dict(vars(metadata)) if isinstance(metadata, SimpleNamespace) else metadata.to_dict()


def _id(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return getattr(value, "id", None) or ""


def _currency(code: str | None) -> Currency | None:
    try:
        return Currency((code or "").upper())
    except ValueError:
        return None


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _words(error: stripe.StripeError) -> str:
    """For the log: what Stripe said, and the request it can be asked about."""
    return f"{type(error).__name__} {error.http_status or ''} {error.request_id or ''} {error}".strip()
