"""An order's state in a buyer's words: what it means, and what happens next."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order


class Standing(enum.StrEnum):
    """Where an order stands for its buyer: payment and parcel in one word."""

    TO_PAY = "to_pay"
    CONFIRMING = "confirming"
    PROCESSING = "processing"
    PAID = "paid"
    POSTED = "posted"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Words:
    title: LazyString
    meaning: LazyString
    next: LazyString


STATES: dict[Standing, Words] = {
    Standing.TO_PAY: Words(
        _l("Waiting for payment"),
        _l("Your order has been noted, and the copies are put aside for you. Nothing has been paid yet."),
        _l("Please pay within about forty minutes; after that the copies go back on sale."),
    ),
    Standing.CONFIRMING: Words(
        _l("The payment is being confirmed"),
        _l("Stripe has not told us yet how the payment ended. The order and the copies are kept."),
        _l("If you have paid, there is no need to pay again. Please open this page again in a minute."),
    ),
    Standing.PROCESSING: Words(
        _l("The payment is on its way"),
        _l(
            "You have finished paying; your bank has not passed the money on yet. The copies are put aside for you."
        ),
        _l("You will get an e-mail as soon as the money arrives. There is no need to pay again."),
    ),
    Standing.PAID: Words(
        _l("Paid"),
        _l("Thank you. The payment has arrived and the copies are yours."),
        _l("The parcel will be posted soon; you will get an e-mail when it is on its way."),
    ),
    Standing.POSTED: Words(
        _l("Posted"),
        _l("The parcel is on its way to you."),
        _l("You may withdraw from the purchase within 14 days of the day the parcel arrives."),
    ),
    Standing.PART_REFUNDED: Words(
        _l("Partly refunded"),
        _l("Part of the money has been sent back to the card it came from."),
        _l("Banks usually show a refund within 5–10 working days."),
    ),
    Standing.REFUNDED: Words(
        _l("Refunded"),
        _l("The money has been sent back to the card it came from."),
        _l("Banks usually show a refund within 5–10 working days."),
    ),
    Standing.FAILED: Words(
        _l("The payment did not arrive"),
        _l("The bank did not pass the money on. Nothing was charged, and the copies are on sale again."),
        _l("You may order again."),
    ),
    Standing.EXPIRED: Words(
        _l("Not paid"),
        _l("Nothing was charged, and the copies are on sale again."),
        _l("You may order again."),
    ),
    Standing.CANCELLED: Words(
        _l("Cancelled"),
        _l("Nothing was charged, and the copies are on sale again."),
        _l("You may order again."),
    ),
}


def state_of(order: Order, *, answered: bool) -> Standing:
    """``answered``: Stripe has told how it stands; without that an unpaid order may have been paid."""
    state = order.payment_state
    if state is PaymentState.AWAITING:
        return Standing.TO_PAY if answered else Standing.CONFIRMING
    if state is PaymentState.PAID and order.fulfilment_state is FulfilmentState.POSTED:
        return Standing.POSTED
    return Standing(state.value)
