"""What Stripe's answers and webhooks say, in our words: the one place where the fields of its objects are read.

Objects of its package and answers that are read as they came are told alike: by attributes, never as dictionaries.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from shop.money import Currency
from shop.payments.gateway import (
    Address,
    BalanceFacts,
    CheckoutFacts,
    DisputeFacts,
    IncomingEvent,
    RefundFacts,
    WarningFacts,
)

WORD = re.compile(r"[A-Za-z0-9_.]{1,80}")


def checkout(session: Any) -> CheckoutFacts:
    """A Checkout Session whose payment intent and charge are expanded ("The Checkout Session object")."""
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
        intent_id=id_of(intent),
        charge_id=id_of(charge),
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


def refund(made: Any) -> RefundFacts:
    """Money on its way back ("The Refund object")."""
    return RefundFacts(
        provider_id=made.id,
        intent_id=id_of(made.payment_intent),
        amount=made.amount,
        status=made.status or "pending",
        failure=_whole(made, "failure_reason") or "",
        reason=made.reason or "",
        metadata=_dictionary(made.metadata),
        created=_moment(made.created),
    )


def warning(raised: Any) -> WarningFacts:
    """The card's network fears fraud ("The Early Fraud Warning object")."""
    return WarningFacts(provider_id=raised.id, charge_id=id_of(raised.charge))


def dispute(opened: Any) -> DisputeFacts:
    """A buyer's bank asks the money back ("The Dispute object")."""
    return DisputeFacts(
        provider_id=opened.id,
        intent_id=id_of(opened.payment_intent),
        charge_id=id_of(opened.charge),
        amount=opened.amount,
        status=opened.status,
        reason=opened.reason,
        due_by=_moment(_whole(opened.evidence_details, "due_by")),
        created=datetime.fromtimestamp(opened.created, UTC),
    )


def balance(transaction: Any) -> BalanceFacts:
    """One movement of the account's balance ("The Balance Transaction object")."""
    return BalanceFacts(
        provider_id=transaction.id,
        kind=transaction.reporting_category,
        source_id=id_of(transaction.source),
        amount=transaction.amount,
        fee=transaction.fee,
        net=transaction.net,
        currency=_currency(transaction.currency),
        created=datetime.fromtimestamp(transaction.created, UTC),
    )


def event(happened: Any) -> IncomingEvent:
    """An event as the API lists it ("The Event object")."""
    return IncomingEvent(
        event_id=_word(happened.id),
        type=_word(happened.type),
        object_id=id_of(happened.data.object),
        livemode=bool(happened.livemode),
        created=datetime.fromtimestamp(happened.created, UTC),
    )


def told(event: Any) -> IncomingEvent:
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


def plain(fields: dict[str, Any]) -> SimpleNamespace:
    """An object of an answer that is read as it came, by attributes as the package's own are."""
    return SimpleNamespace(**fields)


def _dictionary(metadata: Any) -> dict[str, str]:
    if not metadata:
        return {}
    return dict(vars(metadata)) if isinstance(metadata, SimpleNamespace) else metadata.to_dict()


def id_of(value: Any) -> str:
    """The id of an object that may be expanded, an id already, or absent; empty for none."""
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
