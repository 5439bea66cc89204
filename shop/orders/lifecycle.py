"""An order's two lives, each one table. Code asks it; the admin draws its buttons from it."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Any

from shop.errors import WrongState


class PaymentState(enum.StrEnum):
    AWAITING = "awaiting"
    PROCESSING = "processing"
    """Checkout is complete, the money of a delayed method has not come."""
    PAID = "paid"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    """A delayed method's money did not come."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class FulfilmentState(enum.StrEnum):
    PENDING = "pending"
    """Nothing to do until it is paid."""
    TO_POST = "to_post"
    POSTED = "posted"
    CANCELLED = "cancelled"


class Action(enum.StrEnum):
    """What may happen to an order's payment."""

    WAIT = "wait"
    PAY = "pay"
    FAIL = "fail"
    EXPIRE = "expire"
    CANCEL = "cancel"
    REFUND_PART = "refund_part"
    REFUND_ALL = "refund_all"
    REFUND_UNDONE = "refund_undone"


class Step(enum.StrEnum):
    """What may happen to an order's copies."""

    READY = "ready"
    POST = "post"
    CANCEL = "cancel"
    UNPOST = "unpost"


P, A = PaymentState, Action
PAYMENT: dict[tuple[PaymentState, Action], PaymentState] = {
    (P.AWAITING, A.WAIT): P.PROCESSING,
    (P.AWAITING, A.PAY): P.PAID,
    (P.AWAITING, A.FAIL): P.FAILED,
    (P.AWAITING, A.EXPIRE): P.EXPIRED,
    (P.AWAITING, A.CANCEL): P.CANCELLED,
    # The page that a buyer cancels is closed at Stripe, whose message about it may be quicker than we are.
    (P.EXPIRED, A.CANCEL): P.CANCELLED,
    (P.PROCESSING, A.PAY): P.PAID,
    (P.PROCESSING, A.FAIL): P.FAILED,
    # Late money revives the order or is refunded; it is never lost.
    (P.FAILED, A.PAY): P.PAID,
    (P.EXPIRED, A.PAY): P.PAID,
    (P.CANCELLED, A.PAY): P.PAID,
    (P.PAID, A.REFUND_PART): P.PART_REFUNDED,
    (P.PAID, A.REFUND_ALL): P.REFUNDED,
    (P.PART_REFUNDED, A.REFUND_PART): P.PART_REFUNDED,
    (P.PART_REFUNDED, A.REFUND_ALL): P.REFUNDED,
    # A refund can fail after it succeeded (Stripe, Refunds, "Failed refunds").
    (P.PART_REFUNDED, A.REFUND_UNDONE): P.PAID,
    (P.REFUNDED, A.REFUND_UNDONE): P.PAID,
    (P.REFUNDED, A.REFUND_PART): P.PART_REFUNDED,
}

F, S = FulfilmentState, Step
FULFILMENT: dict[tuple[FulfilmentState, Step], FulfilmentState] = {
    (F.PENDING, S.READY): F.TO_POST,
    (F.PENDING, S.CANCEL): F.CANCELLED,
    (F.CANCELLED, S.READY): F.TO_POST,
    (F.TO_POST, S.POST): F.POSTED,
    (F.TO_POST, S.CANCEL): F.CANCELLED,
    # Only while nobody has been told.
    (F.POSTED, S.UNPOST): F.TO_POST,
}


def after_payment(state: PaymentState, action: Action) -> PaymentState:
    """The next payment state; raises ``WrongState`` for a move that is not in the table."""
    try:
        return PAYMENT[state, action]
    except KeyError:
        raise WrongState(f"{action.value} is not possible while the payment is {state.value}") from None


def after_step(state: FulfilmentState, step: Step) -> FulfilmentState:
    """The next fulfilment state; raises ``WrongState`` for a move that is not in the table."""
    try:
        return FULFILMENT[state, step]
    except KeyError:
        raise WrongState(f"{step.value} is not possible while the order is {state.value}") from None


def partly_posted(lines: Collection[Any]) -> bool:
    """Whether copies of some lines of an order have been posted, and others not; rows of lines tell it as well."""
    return any(line.posted for line in lines) and any(line.to_post for line in lines)
