"""One order whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from shop.admin.desk import desk
from shop.admin.forms import PostForm, RemarkForm
from shop.documents import consignments, customs
from shop.extensions import db, gateway, now, settings
from shop.letters.models import Letter
from shop.markets import day_of
from shop.orders import addresses, numbers, parcels
from shop.orders.models import Order, OrderLine, Shipment
from shop.payments import copies, ledger, refunds, repetition, second_thoughts
from shop.payments.ledger import LedgerEntry
from shop.payments.models import CheckoutAttempt, Dispute, Payment, PaymentRole, Refund
from shop.withdrawals import statements as withdrawn


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
    undoable: Collection[int] = ()
    """Ids of refunds that can still be taken back."""
    awaited: Mapping[int, int] = field(default_factory=dict)
    """Copies of refunds that may be put back on the shelf, by the refund's id."""

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


def whole(
    order: Order,
    form: PostForm | None = None,
    status: int = 200,
    problem: str = "",
    remark: RemarkForm | None = None,
) -> tuple[str, int]:
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
        withdrawals=withdrawn.of_order(session, order.id),
        today=day_of(now()),
        open_concerns=[each for each in order.concerns if each.settled_at is None],
        form=form or PostForm(),
        remark=remark or RemarkForm(),
        dashboard=f"https://dashboard.stripe.com/{'' if gateway().livemode else 'test/'}payments",
        parcel_facts=[_parcel(order, each) for each in order.parcels],
        correctable=addresses.may_be_corrected(order),
        unreadable=consignments.is_unreadable_there(order),
        unprintable=consignments.is_unprintable(order),
        customs=customs.is_needed(consignments.of_order(order)),
        undo=settings().undo.seconds,
        refunds_under_way=refunds.under_way(session, [order]),
        problem=problem,
    )
    return page, status


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel with what may be done about it, and the lines of its copies."""

    shipment: Shipment
    copies: Sequence[tuple[OrderLine, int]]
    undoable: bool
    replaceable: bool
    postable: bool


def _parcel(order: Order, shipment: Shipment) -> Parcel:
    lines = {line.position: line for line in order.lines}
    return Parcel(
        shipment,
        [(lines[each.position], each.quantity) for each in shipment.lines],
        undoable=parcels.can_be_undone(shipment, now()),
        replaceable=shipment.returned_at is None and bool(parcels.replaceable(shipment)),
        postable=parcels.may_be_posted(shipment),
    )


def _received(session: Session, payment: Payment) -> Received:
    left = refunds.refundable(session, payment)
    repeatable = {each.id for each in payment.refunds if repetition.is_possible(session, each, left)}
    at, order = now(), payment.order
    undoable = {each.id for each in payment.refunds if second_thoughts.is_possible(each, at)}
    awaited = {each.id: copies.can_come_back(session, order, each) for each in payment.refunds if order}
    movements = ledger.of_payment(session, payment.id)
    return Received(payment, payment.refunds, left, movements, repeatable, undoable, awaited)
