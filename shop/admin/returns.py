"""Parcels after they were posted: lost, damaged, come back; and the free ones that go in their place."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin import posting
from shop.admin.desk import desk, person
from shop.admin.forms import PostForm
from shop.admin.orders import whole
from shop.admin.parcel_words import REPLACED
from shop.database import transact
from shop.errors import OutOfStock, WrongState
from shop.extensions import db, now
from shop.orders import parcels
from shop.orders.models import Order, ReturnEnd, Shipment
from shop.payments.models import Payment, PaymentRole

NO_COPIES = "no copies"


def find_parcel(shipment_id: int) -> Shipment:
    found = db.session().get(Shipment, shipment_id) if shipment_id < 2**31 else None
    if found is None:
        abort(404)
    return found


def _back(shipment: Shipment) -> ResponseReturnValue:
    return redirect(url_for("admin.order_page", number=shipment.order.number), code=303)


def _no_copies() -> str:
    return str(_("There are not enough copies in stock for that."))


@desk.get("/parcels/<int:shipment_id>/replace")
def replace_page(shipment_id: int) -> ResponseReturnValue:
    """Ask which copies are to be replaced, and why."""
    return _replacing(find_parcel(shipment_id))


@desk.post("/parcels/<int:shipment_id>/replace")
def replace(shipment_id: int) -> ResponseReturnValue:
    """Decide a free parcel in place of a lost or damaged one."""
    session, actor, at, reason = db.session(), person().actor, now(), request.form.get("reason", "")
    shipment = find_parcel(shipment_id)
    copies = {}
    for line in shipment.lines:
        number = request.form.get(f"copies-{line.position}", "").strip() or "0"
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            return _replacing(shipment, 422, _("Please write a whole number in digits."))
        copies[line.position] = int(number)
    if reason not in parcels.REASONS:
        return _replacing(shipment, 422, _("Please choose a reason."))
    if not any(copies.values()):
        return _replacing(shipment, 422, _("Please say how many copies are to be replaced."))
    try:
        transact(session, parcels.replace, shipment_id, copies, reason, actor, at)
    except OutOfStock:
        return _replacing(find_parcel(shipment_id), 409, _no_copies())
    except WrongState:
        return _replacing(find_parcel(shipment_id), 409, _("That many copies of this parcel cannot be replaced."))
    flash(_("A free parcel is to be posted. Its copies are put aside."))
    return _back(find_parcel(shipment_id))


def _replacing(shipment: Shipment, status: int = 200, problem: str = "") -> tuple[str, int]:
    left = parcels.replaceable(shipment) if shipment.returned_at is None else {}
    if not left and not problem:
        status, problem = 409, _("This parcel cannot be replaced: there is nothing in it to replace any more.")
    page = render_template(
        "admin/replace.html",
        shipment=shipment,
        order=shipment.order,
        left=left,
        reasons=REPLACED,
        problem=problem,
    )
    return page, status


@desk.get("/parcels/<int:shipment_id>/back")
def back_page(shipment_id: int) -> ResponseReturnValue:
    """Ask what state a parcel came back in."""
    return _coming_back(find_parcel(shipment_id))


@desk.post("/parcels/<int:shipment_id>/back")
def came_back(shipment_id: int) -> ResponseReturnValue:
    """Note that a parcel came back undelivered."""
    session, actor, at, answer = db.session(), person().actor, now(), request.form.get("restock", "")
    find_parcel(shipment_id)
    if answer not in ("yes", "no"):
        return _coming_back(find_parcel(shipment_id), 422, _("Please say whether the copies can be sold again."))
    try:
        transact(session, parcels.come_back, shipment_id, answer == "yes", actor, at)
    except WrongState:
        return _coming_back(find_parcel(shipment_id), 409, _("This parcel, or its copies, came back already."))
    flash(_("Noted. Now decide what follows: post it again, refund it, or nothing."))
    return _back(find_parcel(shipment_id))


def _coming_back(shipment: Shipment, status: int = 200, problem: str = "") -> tuple[str, int]:
    if not (shipment.has_left and shipment.returned_at is None) and not problem:
        status, problem = 409, _("This parcel, or its copies, came back already.")
    page = render_template("admin/came_back.html", shipment=shipment, order=shipment.order, problem=problem)
    return page, status


@desk.post("/parcels/<int:shipment_id>/next")
def what_follows(shipment_id: int) -> ResponseReturnValue:
    """Decide what follows from a parcel's coming back."""
    session, actor, at, answer = db.session(), person().actor, now(), request.form.get("next", "")
    order = find_parcel(shipment_id).order
    if answer not in set(ReturnEnd):
        abort(400)

    def work(s: Session) -> None:
        if answer == ReturnEnd.RESENT:
            parcels.resend(s, shipment_id, actor, at)
        else:
            parcels.settle(s, shipment_id, ReturnEnd(answer), actor, at)

    try:
        transact(session, work)
    except OutOfStock:
        return whole(_again(order), status=409, problem=_no_copies())
    except WrongState:
        problem = _("This is not possible for this parcel: look at what was decided.")
        return whole(_again(order), status=409, problem=problem)
    if answer == ReturnEnd.REFUNDED:
        paying = select(Payment.id).where(Payment.order_id == order.id, Payment.role == PaymentRole.ORDER)
        if (payment_id := session.scalar(paying)) is not None:
            return redirect(url_for("admin.refund_page", payment_id=payment_id), code=303)
    flash(_("A free parcel is to be posted. Its copies are put aside.") if answer == "resent" else _("Noted."))
    return _back(find_parcel(shipment_id))


def _again(order: Order) -> Order:
    return db.session().get_one(Order, order.id, populate_existing=True)


@desk.post("/parcels/<int:shipment_id>/post")
def post_free(shipment_id: int) -> ResponseReturnValue:
    """Mark a free parcel as posted."""
    session, actor, at = db.session(), person().actor, now()
    shipment, form = find_parcel(shipment_id), PostForm(request.form)
    if not shipment.is_free:
        abort(404)
    if not form.validate():
        return whole(shipment.order, form, status=422)
    key = posting.key_of(shipment)
    if problem := posting.post(session, key, form.carrier.data or "", form.tracking.data or "", actor, at):
        return whole(find_parcel(shipment_id).order, form, status=409, problem=problem)
    flash(_("Marked as posted. The buyer gets a letter."))
    return _back(find_parcel(shipment_id))


@desk.post("/parcels/<int:shipment_id>/drop")
def drop(shipment_id: int) -> ResponseReturnValue:
    """Call off a free parcel that was not posted."""
    session, actor, at = db.session(), person().actor, now()
    find_parcel(shipment_id)
    try:
        transact(session, parcels.drop, shipment_id, actor, at)
    except WrongState:
        problem = _("This is not possible for this parcel: look at what was decided.")
        return whole(find_parcel(shipment_id).order, status=409, problem=problem)
    flash(_("The free parcel was called off; its copies are on sale again."))
    return _back(find_parcel(shipment_id))
