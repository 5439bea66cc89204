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
    SHORT = "short"
    """Unpaid, and its copies may be missing: nobody can pay before a person has looked."""
    UNFITTING = "unfitting"
    """Money has come that does not pay it: a person must look."""
    CONFIRMING = "confirming"
    PROCESSING = "processing"
    PAID = "paid"
    POSTED = "posted"
    CHECKING = "checking"
    REFUNDING = "refunding"
    RETURNED = "returned"
    PART_REFUNDED = "part_refunded"
    PART_REFUNDED_TO_POST = "part_refunded_to_post"
    PART_REFUNDED_POSTED = "part_refunded_posted"
    REFUNDED = "refunded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"


@dataclass(frozen=True, slots=True)
class Words:
    title: LazyString
    meaning: LazyString
    next: LazyString


STATES: dict[Standing, Words] = {
    Standing.TO_PAY: Words(
        _l("Waiting for payment"),
        _l("Your order is recorded, and the copies are put aside for you. Nothing has been paid yet."),
        _l("Please pay within about forty minutes; after that the copies go back on sale."),
    ),
    Standing.SHORT: Words(
        _l("There may be too few copies"),
        _l(
            "Fewer copies lie on the shelf than we thought, so this order cannot be paid just now. Nothing has been "
            "paid yet."
        ),
        _l("We have been told and are looking into it. You may wait, or cancel the order."),
    ),
    Standing.UNFITTING: Words(
        _l("We are looking at your payment"),
        _l("Money has arrived that does not fit this order, so the order cannot be paid just now."),
        _l("We have been told and will write to you. Please do not pay again."),
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
    Standing.CHECKING: Words(
        _l("Paid"),
        _l("Thank you. The payment has arrived. Before the parcel is posted, the seller has something to check."),
        _l("You need not do anything. If there is a question, the seller writes to you."),
    ),
    Standing.REFUNDING: Words(
        _l("A refund is on its way"),
        _l("The seller has asked for money to go back to the card it came from."),
        _l("You will get an e-mail when it has been sent."),
    ),
    Standing.RETURNED: Words(
        _l("The refund has come back to us"),
        _l(
            "Your bank has not taken the refund; perhaps the card or the account has been closed. It is still yours."
        ),
        _l("The seller writes to you about another way of paying it back. The parcel will not be posted."),
    ),
    Standing.PART_REFUNDED: Words(
        _l("Partly refunded"),
        _l("Part of the money has been sent back to the card it came from."),
        _l("Banks usually show a refund within 5–10 working days."),
    ),
    Standing.PART_REFUNDED_TO_POST: Words(
        _l("Partly refunded, still to be posted"),
        _l(
            "Part of the money has been sent back to the card it came from. Banks usually show it within 5–10 "
            "working days."
        ),
        _l("The rest of the order will be posted soon; you will get an e-mail when it is on its way."),
    ),
    Standing.PART_REFUNDED_POSTED: Words(
        _l("Posted, partly refunded"),
        _l("The parcel has been posted. Part of the money has been sent back to the card it came from."),
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
    Standing.TOO_LATE: Words(
        _l("Paid too late"),
        _l("The money came when the time for paying was over, and the copies had gone to somebody else."),
        _l("All of it goes back to the card it came from. You may order again."),
    ),
}
PART_REFUNDED = {
    FulfilmentState.TO_POST: Standing.PART_REFUNDED_TO_POST,
    FulfilmentState.POSTED: Standing.PART_REFUNDED_POSTED,
}


def state_of(order: Order, *, answered: bool, refunds: bool = False) -> Standing:
    """``answered``: Stripe has told how it stands; without that an unpaid order may have been paid.

    ``refunds``: money goes back or has gone back.
    """
    state, parcel = order.payment_state, order.fulfilment_state
    if state is PaymentState.AWAITING:
        return Standing.TO_PAY if answered else Standing.CONFIRMING
    if refunds and state in (PaymentState.EXPIRED, PaymentState.CANCELLED, PaymentState.FAILED):
        return Standing.TOO_LATE
    if state in (PaymentState.PAID, PaymentState.PART_REFUNDED):
        return _paid(order, state, parcel)
    return Standing(state.value)


def _paid(order: Order, state: PaymentState, parcel: FulfilmentState) -> Standing:
    """Where an order stands whose money is here, at least in part."""
    if order.refunding:
        return Standing.REFUNDING
    if parcel is FulfilmentState.CANCELLED:  # it was refunded, and the refund has failed since
        return Standing.RETURNED
    if parcel is FulfilmentState.TO_POST and (order.needs_attention or order.disputed):
        return Standing.CHECKING
    if state is PaymentState.PART_REFUNDED:
        return PART_REFUNDED.get(parcel, Standing.PART_REFUNDED)
    return Standing.POSTED if parcel is FulfilmentState.POSTED else Standing.PAID
