"""Giving money back: all that is left, copies at their price, or a sum; asked once more before it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin.desk import desk, person
from shop.admin.forms import minor_units
from shop.admin.money import back_from, find_payment, tell
from shop.admin.words import REFUND_REASONS
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.extensions import db, gateway, now, settings
from shop.money import Money
from shop.orders.lifecycle import FulfilmentState
from shop.payments import copies, disputes, refund_calls, refunds, second_thoughts
from shop.payments.models import Payment, PaymentRole, Refund


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go back: minor units, and the copies that they are the price of, if any."""

    amount: int
    copies: dict[int, int] = field(default_factory=dict)
    way: str = "all"


class Unclear(Exception):
    """What was asked for makes no sum; the sentence says why."""


@desk.get("/payments/<int:payment_id>/refund")
def refund_page(payment_id: int) -> ResponseReturnValue:
    """Offer the ways to refund, or ask once more about one that was chosen."""
    payment = find_payment(payment_id)
    if request.args.get("way", "all") == "all":
        return _confirmation(payment)
    try:
        return _confirmation(payment, wanted=_wanted(db.session(), payment, request.args))
    except Unclear as unclear:
        return _confirmation(payment, 422, str(unclear), wrong=request.args["way"])


@desk.post("/payments/<int:payment_id>/refund")
def refund(payment_id: int) -> ResponseReturnValue:
    """Give back what was shown; whoever comes second finds that less is left."""
    session, who, at = db.session(), person(), now()
    find_payment(payment_id)
    typed, reason = request.form.to_dict(), request.form.get("reason", "")
    if reason not in REFUND_REASONS:
        return _confirmation(find_payment(payment_id), 422, _("Please choose a reason."))

    def decide(s: Session) -> int:
        payment = s.get_one(Payment, payment_id)
        left = refunds.refundable(s, payment)
        try:
            wanted = _wanted(s, payment, typed)
        except Unclear as unclear:
            raise WrongState(str(unclear)) from unclear
        if (str(wanted.amount), str(left)) != (typed.get("amount", ""), typed.get("left", "")):
            raise WrongState(f"payment {payment_id}: {left} is left, not what was shown")
        made = refunds.ask(
            s,
            payment_id,
            wanted.amount,
            reason,
            who.actor,
            at,
            copies=wanted.copies or None,
            grace=settings().undo,
        )
        order = payment.order
        if typed.get("back") == "on" and order is not None and copies.can_come_back(s, order, made):
            copies.put_back(s, made.id, who.actor, at)
        return made.id

    try:
        refund_id = transact(session, decide)
    except WrongState:
        return _confirmation(find_payment(payment_id), 409, _("What can be refunded has changed meanwhile."))
    if second_thoughts.is_possible(session.get_one(Refund, refund_id, populate_existing=True), at):
        tell(session.get_one(Refund, refund_id))
        return redirect(back_from(find_payment(payment_id)), code=303)
    try:
        refund_calls.perform(session, gateway(), refund_id, at)
    except GatewayUnavailable:
        session.rollback()
    except GatewayRefused as error:
        session.rollback()
        flash(_("Stripe refused the refund: %(code)s.", code=error.code), "warning")
        return redirect(back_from(find_payment(payment_id)), code=303)
    tell(session.get_one(Refund, refund_id, populate_existing=True))
    return redirect(back_from(find_payment(payment_id)), code=303)


def _wanted(session: Session, payment: Payment, typed: Mapping[str, str]) -> Wanted:
    """Read what was asked for; raises ``Unclear`` with a sentence."""
    left = refunds.refundable(session, payment)
    way = typed.get("way", "all")
    if way == "copies":
        wanted = _copies(session, payment, typed)
    elif way == "amount":
        asked = minor_units(typed.get("sum", ""))
        if asked is None:
            raise Unclear(_("Please write a sum such as 22.00."))
        wanted = Wanted(asked, way=way)
    else:
        wanted = Wanted(left)
    if not 0 < wanted.amount <= left:
        raise Unclear(_("No more can be refunded than is left, and nothing is no refund."))
    return wanted


def _copies(session: Session, payment: Payment, typed: Mapping[str, str]) -> Wanted:
    order = payment.order
    if order is None or payment.role is not PaymentRole.ORDER:
        raise Unclear(_("This payment is not the price of any copies."))
    numbers = {}
    for line in order.lines:
        number = typed.get(f"copies-{line.position}", "").strip() or "0"
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise Unclear(_("Please write a whole number in digits."))
        if int(number):
            numbers[line.position] = int(number)
    try:
        return Wanted(copies.price(session, order, numbers), numbers, "copies")
    except WrongState:
        raise Unclear(_("That many copies cannot be refunded.")) from None


def _confirmation(
    payment: Payment, status: int = 200, problem: str = "", wanted: Wanted | None = None, wrong: str = ""
) -> tuple[str, int]:
    """Ask once more about what is wanted, or offer the ways; ``wrong`` is the way that was tried and makes no sum."""
    session, order = db.session(), payment.order
    left = Money(refunds.refundable(session, payment), payment.currency)
    disputed = disputes.stand(session, payment, order)
    if disputed:
        status, problem = 409, _("The buyer’s bank disputes this payment. Answer it in Stripe’s dashboard first.")
    elif left.amount <= 0 and not problem:
        status, problem = 409, _("Nothing of this payment is left to refund.")
    chosen = wanted or Wanted(left.amount)
    ours = order is not None and payment.role is PaymentRole.ORDER
    posted = order is not None and order.fulfilment_state is FulfilmentState.POSTED
    by_copies = ours and order is not None and (posted or order.fulfilment_state is FulfilmentState.TO_POST)
    still = copies.refundable(session, order) if by_copies and order else {}
    about = chosen.copies or (still if chosen.amount == left.amount else {})
    gone = copies.gone(session, order, about) if by_copies and order else {}
    page = render_template(
        "admin/refund.html",
        payment=payment,
        left=left,
        wanted=chosen,
        sum=Money(chosen.amount, payment.currency),
        whole=chosen.amount == left.amount,
        copies_left=still,
        gone=sum(gone.values()),
        here=sum(about.values()) - sum(gone.values()),
        asks_back=bool(gone) and order is not None and copies.are_away(session, order, gone),
        offers=wanted is None,
        reasons=REFUND_REASONS,
        typed=request.values.get("sum", ""),
        back=back_from(payment),
        disputed=disputed,
        undo=settings().undo.seconds,
        problem=problem,
        wrong=wrong,
    )
    return page, status
