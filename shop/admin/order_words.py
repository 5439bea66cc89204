"""How an order stands, in the words of a person."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from shop.admin.desk import locale
from shop.orders.lifecycle import FulfilmentState, PaymentState

PAYMENT = {
    PaymentState.AWAITING: _l("not paid yet"),
    PaymentState.PROCESSING: _l("money on the way"),
    PaymentState.PAID: _l("paid"),
    PaymentState.PART_REFUNDED: _l("partly refunded"),
    PaymentState.REFUNDED: _l("refunded"),
    PaymentState.FAILED: _l("payment failed"),
    PaymentState.EXPIRED: _l("never paid"),
    PaymentState.CANCELLED: _l("cancelled by the buyer"),
}

FULFILMENT = {
    FulfilmentState.PENDING: _l("not to be posted yet"),
    FulfilmentState.TO_POST: _l("to post"),
    FulfilmentState.POSTED: _l("posted"),
    FulfilmentState.CANCELLED: _l("will not be posted"),
}


class Mark(NamedTuple):
    """One word about a state, and how it is coloured."""

    text: str
    kind: str = ""


def order_marks(order: Any, under_way: Collection[int] = ()) -> tuple[Mark, ...]:
    """How an order, or a row of the list, stands; ``under_way`` are the ids of those whose money is on its way back."""
    return _order_marks(
        locale(),
        order.payment_state,
        order.fulfilment_state,
        on_its_way=order.id in under_way,
        refunding=order.refunding,
        disputed=order.disputed,
        needs_attention=order.needs_attention,
    )


@lru_cache(1024)
def _order_marks(
    _reader: str,
    payment: PaymentState,
    fulfilment: FulfilmentState,
    *,
    on_its_way: bool,
    refunding: bool,
    disputed: bool,
    needs_attention: bool,
) -> tuple[Mark, ...]:
    marks = [Mark(str(PAYMENT[payment]), "good" if payment is PaymentState.PAID else "")]
    if on_its_way:
        marks = [Mark(_("refund on its way to the buyer"), "warn")]
    if refunding:
        marks.append(Mark(_("refund under way"), "warn"))
    if fulfilment is not FulfilmentState.PENDING:
        marks.append(Mark(str(FULFILMENT[fulfilment]), "todo" if fulfilment is FulfilmentState.TO_POST else ""))
    if disputed:
        marks.append(Mark(_("disputed"), "bad"))
    if needs_attention:
        marks.append(Mark(_("needs attention"), "bad"))
    return tuple(marks)
