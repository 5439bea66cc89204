"""Money that goes back, and money without an order."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from shop.admin import words
from shop.admin.desk import desk, locale, person
from shop.database import transact
from shop.errors import GatewayError, OutOfStock, WrongState
from shop.extensions import db, gateway, now, settings
from shop.markets import write_money
from shop.orders.lifecycle import PaymentState
from shop.payments import comparison, copies, orphans, refund_calls, repetition, second_thoughts
from shop.payments.models import Dispute, Payment, PaymentRole, Refund, RefundState

UNCONFIRMED_REFUNDS = Refund.state.in_((RefundState.OWED, RefundState.PENDING))
SHOWN = 200
COMPARISONS = 10


def ownerless() -> ColumnElement[bool]:
    """Payments that pay neither a known order nor an invoice, and that nothing was given back of yet."""
    given_back = select(Refund.id).where(
        Refund.payment_id == Payment.id, Refund.state.not_in((RefundState.FAILED, RefundState.CANCELLED))
    )
    pays_nothing = Payment.order_id.is_(None) & (Payment.role != PaymentRole.INVOICE)
    return pays_nothing & ~given_back.exists()


@desk.get("/money")
def money_page() -> ResponseReturnValue:
    session = db.session()
    underway = session.scalars(
        select(Refund)
        .where(UNCONFIRMED_REFUNDS)
        .options(joinedload(Refund.payment).joinedload(Payment.order))
        .order_by(Refund.id)
        .limit(SHOWN)
    )
    orphans = session.scalars(select(Payment).where(ownerless()).order_by(Payment.id).limit(SHOWN))
    disputes = session.scalars(select(Dispute).join(Payment).where(Payment.order_id.is_(None)))
    return render_template(
        "admin/money.html",
        underway=list(underway),
        undoable=lambda refund: second_thoughts.is_possible(refund, now()),
        orphans=list(orphans),
        disputes=list(disputes),
        last=comparison.latest(session),
        comparisons=comparison.lately(session, COMPARISONS),
    )


@desk.post("/payments/<int:payment_id>/rebuild")
def rebuild(payment_id: int) -> ResponseReturnValue:
    """Rebuild the order that an ownerless payment was made for."""
    session, actor = db.session(), person().actor
    find_payment(payment_id)
    try:
        order = orphans.rebuild(session, gateway(), payment_id, actor, now())
    except orphans.NotRebuildable as error:
        flash(words.OBSTACLE[error.obstacle], "warning")
    except GatewayError:
        session.rollback()
        flash(_("Stripe could not be asked about this payment. Please try again later."), "warning")
    else:
        if order.payment_state is PaymentState.PAID:
            flash(_("The order was rebuilt. The buyer gets a letter."))
        else:
            flash(_("The order was rebuilt, but its copies are gone: the money goes back."), "warning")
        return redirect(url_for("admin.order_page", number=order.number), code=303)
    return redirect(url_for("admin.money_page"), code=303)


@desk.post("/refunds/<int:refund_id>/again")
def refund_again(refund_id: int) -> ResponseReturnValue:
    """Give back once more what a refund that failed was to give back."""
    session, actor, at = db.session(), person().actor, now()
    found = session.get(Refund, refund_id) if refund_id < 2**31 else None
    if found is None:
        abort(404)
    payment_id = found.payment_id
    made_id = transact(session, lambda s: repetition.again(s, refund_id, actor, at, settings().undo).id)
    try:
        refund_calls.perform(session, gateway(), made_id, at)
    except GatewayError:
        session.rollback()  # the row stays owed, and the worker tries again
    tell(session.get_one(Refund, made_id, populate_existing=True))
    return redirect(back_from(find_payment(payment_id)), code=303)


@desk.post("/refunds/<int:refund_id>/back")
def copies_back(refund_id: int) -> ResponseReturnValue:
    """Posted copies have come back and stand on the shelf."""
    session, actor, at = db.session(), person().actor, now()
    found = session.get(Refund, refund_id) if refund_id < 2**31 else None
    if found is None or found.payment.order is None:
        abort(404)
    number = found.payment.order.number
    try:
        came = transact(session, copies.put_back, refund_id, actor, at)
    except WrongState:
        flash(_("These copies are back on the shelf already."), "warning")
    else:
        flash(ngettext("%(num)d copy is on the shelf again.", "%(num)d copies are on the shelf again.", came))
    return redirect(url_for("admin.order_page", number=number), code=303)


@desk.post("/refunds/<int:refund_id>/undo")
def refund_undo(refund_id: int) -> ResponseReturnValue:
    """Take a refund back that Stripe was not told of."""
    session, actor, at = db.session(), person().actor, now()
    found = session.get(Refund, refund_id) if refund_id < 2**31 else None
    if found is None:
        abort(404)
    payment_id = found.payment_id
    try:
        transact(session, lambda s: second_thoughts.take_back(s, refund_id, actor, at).id)
    except WrongState:
        flash(_("It is too late: Stripe has been told, or is being told, of this refund."), "warning")
    except OutOfStock:
        flash(_("The copies that came back with this refund are promised to others by now."), "warning")
    else:
        flash(_("The refund was taken back. Nothing goes to the buyer."))
    return redirect(back_from(find_payment(payment_id)), code=303)


def tell(made: Refund) -> None:
    """Say what has become of a refund so far."""
    written = write_money(made.money, locale())
    if made.state is RefundState.SUCCEEDED:
        flash(_("%(sum)s went back. The buyer gets a letter.", sum=written))
    elif made.state is RefundState.PENDING:
        flash(_("Stripe has taken the refund of %(sum)s and is working on it.", sum=written))
    elif made.state is RefundState.OWED and second_thoughts.is_possible(made, now()):
        flash(
            _(
                "The refund of %(sum)s is decided. Stripe is told in %(num)d seconds; until then it can be undone.",
                sum=written,
                num=settings().undo.seconds,
            )
        )
    elif made.state is RefundState.OWED:
        flash(
            _(
                "Stripe does not answer. The refund of %(sum)s is kept and will be tried again by itself.",
                sum=written,
            ),
            "warning",
        )
    else:
        flash(_("The refund of %(sum)s failed. The money is still with you.", sum=written), "warning")


def find_payment(payment_id: int) -> Payment:
    payment = db.session().get(Payment, payment_id) if payment_id < 2**31 else None
    if payment is None:
        abort(404)
    return payment


def back_from(payment: Payment) -> str:
    """Where whoever looked at a payment came from: its order, its library, or the money without either."""
    if payment.paper is not None:
        return url_for("admin.library_desk_page", ticket=payment.paper.order.ticket)
    if payment.order is None:
        return url_for("admin.money_page")
    return url_for("admin.order_page", number=payment.order.number)
