"""What Stripe says in codes, in the words of a person."""

from __future__ import annotations

from datetime import date

from babel.dates import format_skeleton
from flask_babel import lazy_gettext as _l

from shop.admin.desk import locale
from shop.admin.naming import edition_name

BRANDS = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "jcb": "JCB",
    "unionpay": "UnionPay",
}

MESSAGE = {
    "checkout.session.completed": _l("payment page completed"),
    "checkout.session.async_payment_succeeded": _l("delayed payment has arrived"),
    "checkout.session.async_payment_failed": _l("delayed payment has failed"),
    "checkout.session.expired": _l("payment page expired"),
    "charge.refunded": _l("money refunded"),
    "refund.created": _l("refund begun"),
    "refund.updated": _l("refund changed"),
    "refund.failed": _l("refund failed"),
    "charge.dispute.created": _l("dispute opened"),
    "charge.dispute.updated": _l("dispute changed"),
    "charge.dispute.closed": _l("dispute closed"),
    "charge.dispute.funds_withdrawn": _l("disputed money taken"),
    "charge.dispute.funds_reinstated": _l("disputed money given back"),
    "radar.early_fraud_warning.created": _l("warning of fraud"),
    "payment_intent.payment_failed": _l("card declined"),
}
"""Kinds of events (Stripe API, "Types of events")."""

FAILURE = {
    "lost_or_stolen_card": _l("the card was lost or stolen"),
    "expired_or_canceled_card": _l("the card has expired or was cancelled"),
    "insufficient_funds": _l("there is too little money on Stripe’s account"),
    "declined": _l("the bank has declined it"),
    "charge_for_pending_refund_disputed": _l("the payment is disputed"),
    "merchant_request": _l("it was called off at Stripe"),
    "unknown": _l("the bank gave no reason"),
}
"""Why refunds fail (Stripe API, ``refund.failure_reason``)."""


def month(written: str) -> str:
    """A month such as ``2026-11`` in words."""
    year, number = written.split("-")
    named: str = format_skeleton("yMMMM", date(int(year), int(number), 1), locale=locale())
    return named[:1].upper() + named[1:].replace(" г.", "\u00a0г.")


def card(told: str) -> str:
    """A card as its owner knows it: brand and last four digits."""
    brand, _space, digits = told.rpartition(" ")
    return f"{BRANDS.get(brand, brand.capitalize())} ···· {digits}".strip()


def copies(told: str) -> str:
    """The copies that a payment's mark at Stripe speaks of (``paperback:1 russian:2``), by the editions' names."""
    pairs = (each.partition(":") for each in told.replace(",", " ").split())
    return ", ".join(f"{number} × {edition_name(slug)}" for slug, _colon, number in pairs)


def message(kind: str) -> str:
    """What Stripe tells by an event of a kind; its own word for one that the shop does not ask for."""
    return str(MESSAGE.get(kind, kind))


def failure(code: str) -> str:
    """Why a refund failed; Stripe's own word for a reason that is not known."""
    return str(FAILURE.get(code, code))
