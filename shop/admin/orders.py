"""One order whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from shop.admin.desk import desk
from shop.admin.forms import PostForm
from shop.extensions import db, gateway
from shop.letters.models import Letter
from shop.orders import numbers
from shop.orders.models import Order
from shop.payments import ledger, refunds, repetition
from shop.payments.ledger import LedgerEntry
from shop.payments.models import CheckoutAttempt, Dispute, Payment, PaymentRole, Refund


@dataclass(frozen=True, slots=True)
class Received:
    """A payment with what has gone back of it. ``left`` is in minor units."""

    payment: Payment
    refunds: Sequence[Refund]
    left: int
    movements: Sequence[LedgerEntry] = ()
    """Those of Stripe's account, with fee and net."""
    repeatable: Collection[int] = ()
    """Ids of refunds that failed and can be asked for again."""

    @property
    def is_surplus(self) -> bool:
        return self.payment.role is not PaymentRole.ORDER


@desk.get("/orders/<number>")
def order_page(number: str) -> ResponseReturnValue:
    return whole(find(db.session(), number))


def find(session: Session, number: str) -> Order:
    """The order with a number as it stands in an address; 404 for any other."""
    known = numbers.read_number(number)
    order = session.scalar(select(Order).where(Order.number == known)) if known else None
    if order is None:
        abort(404)
    return order


def whole(order: Order, form: PostForm | None = None, status: int = 200, problem: str = "") -> tuple[str, int]:
    """The page of one order, with whatever went wrong just now on top."""
    session = db.session()
    received = session.scalars(
        select(Payment)
        .where(Payment.order_id == order.id)
        .options(selectinload(Payment.refunds))
        .order_by(Payment.id)
    )
    letters = session.scalars(select(Letter).where(Letter.order_id == order.id).order_by(Letter.id))
    disputes = session.scalars(
        select(Dispute).join(Payment).where(Payment.order_id == order.id).order_by(Dispute.id)
    )
    attempts = session.scalars(
        select(CheckoutAttempt).where(CheckoutAttempt.order_id == order.id).order_by(CheckoutAttempt.number)
    )
    page = render_template(
        "admin/order.html",
        order=order,
        payments=[_received(session, each) for each in received],
        letters=list(letters),
        disputes=list(disputes),
        attempts=list(attempts),
        open_concerns=[each for each in order.concerns if each.settled_at is None],
        form=form or PostForm(),
        dashboard=f"https://dashboard.stripe.com/{'' if gateway().livemode else 'test/'}payments",
        problem=problem,
    )
    return page, status


def _received(session: Session, payment: Payment) -> Received:
    left = refunds.refundable(session, payment)
    repeatable = {each.id for each in payment.refunds if repetition.is_possible(session, each, left)}
    return Received(payment, payment.refunds, left, ledger.of_payment(session, payment.id), repeatable)
