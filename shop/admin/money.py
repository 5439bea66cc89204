"""Money that goes back, and money without an order."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from shop.admin.desk import desk, locale, person
from shop.admin.words import REFUND_REASONS
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.extensions import db, gateway, now
from shop.markets import write_money
from shop.money import Money
from shop.payments import refunds
from shop.payments.models import Payment, Refund, RefundState

UNCONFIRMED_REFUNDS = Refund.state.in_((RefundState.OWED, RefundState.PENDING))
SHOWN = 200


def ownerless() -> ColumnElement[bool]:
    """Payments of no known order that nothing was given back of yet."""
    given_back = select(Refund.id).where(
        Refund.payment_id == Payment.id, Refund.state.not_in((RefundState.FAILED, RefundState.CANCELLED))
    )
    return Payment.order_id.is_(None) & ~given_back.exists()


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
    return render_template("admin/money.html", underway=list(underway), orphans=list(orphans))


@desk.get("/payments/<int:payment_id>/refund")
def refund_page(payment_id: int) -> ResponseReturnValue:
    """Ask once more before money goes back."""
    return _confirmation(_find(payment_id))


@desk.post("/payments/<int:payment_id>/refund")
def refund(payment_id: int) -> ResponseReturnValue:
    """Give back all that is left of a payment; whoever comes second finds nothing left."""
    session, who, at = db.session(), person(), now()
    _find(payment_id)
    reason, shown = request.form.get("reason", ""), request.form.get("amount", "")
    if reason not in REFUND_REASONS:
        return _confirmation(_find(payment_id), 422, _("Please choose a reason."))

    def decide(s: Session) -> int:
        payment = s.get_one(Payment, payment_id)
        left = refunds.refundable(s, payment)
        if left <= 0 or str(left) != shown:
            raise WrongState(f"payment {payment_id}: {left} is left, {shown} was shown")
        return refunds.ask(s, payment_id, left, reason, who.actor, at).id

    try:
        refund_id = transact(session, decide)
    except WrongState:
        return _confirmation(_find(payment_id), 409, _("What can be refunded has changed meanwhile."))
    try:
        refunds.perform(session, gateway(), refund_id, at)
    except GatewayUnavailable:
        session.rollback()
    except GatewayRefused as error:
        session.rollback()
        flash(_("Stripe refused the refund: %(code)s.", code=error.code), "warning")
        return redirect(_back(_find(payment_id)), code=303)
    _tell(session.get_one(Refund, refund_id, populate_existing=True))
    return redirect(_back(_find(payment_id)), code=303)


def _tell(made: Refund) -> None:
    """Say what has become of a refund so far."""
    written = write_money(made.money, locale())
    if made.state is RefundState.SUCCEEDED:
        flash(_("%(sum)s went back. The buyer gets a letter.", sum=written))
    elif made.state is RefundState.PENDING:
        flash(_("Stripe has taken the refund of %(sum)s and is working on it.", sum=written))
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


def _find(payment_id: int) -> Payment:
    payment = db.session().get(Payment, payment_id) if payment_id < 2**31 else None
    if payment is None:
        abort(404)
    return payment


def _back(payment: Payment) -> str:
    if payment.order is None:
        return url_for("admin.money_page")
    return url_for("admin.order_page", number=payment.order.number)


def _confirmation(payment: Payment, status: int = 200, problem: str = "") -> tuple[str, int]:
    left = Money(refunds.refundable(db.session(), payment), payment.currency)
    if payment.order is not None and payment.order.disputed:
        status, problem = 409, _("The buyer’s bank disputes this payment. Answer it in Stripe’s dashboard first.")
    elif left.amount <= 0 and not problem:
        status, problem = 409, _("Nothing of this payment is left to refund.")
    page = render_template(
        "admin/refund.html",
        payment=payment,
        left=left,
        reasons=REFUND_REASONS,
        back=_back(payment),
        problem=problem,
    )
    return page, status
