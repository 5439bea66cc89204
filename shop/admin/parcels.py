"""What is done to one order: post it, look at a worry, send a letter again."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop import stock
from shop.admin.desk import desk, person
from shop.admin.forms import PostForm
from shop.admin.orders import find, whole
from shop.admin.words import FULFILMENT, PAYMENT
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.letters import outbox
from shop.letters.models import Letter
from shop.orders import fulfilment, timeline
from shop.orders.models import Order
from shop.orders.placing import locked


class CopiesNotThere(WrongState):
    """Fewer copies are on the shelf than the parcel needs."""


@desk.post("/orders/<number>/post")
def post(number: str) -> ResponseReturnValue:
    """Mark an order posted. Whoever comes second is shown what the first has done."""
    session, order_id, actor, at = db.session(), find(db.session(), number).id, person().actor, now()
    form = PostForm(request.form)
    if not form.validate():
        return whole(find(session, number), form, status=422)

    def work(s: Session) -> None:
        on_the_shelf(s, order_id)
        fulfilment.post(s, order_id, form.carrier.data or "", form.tracking.data or "", actor, at)

    try:
        transact(session, work)
    except CopiesNotThere:
        problem = _("There are fewer copies on the shelf than this order needs. Count the stock first.")
        return whole(find(session, number), form, status=409, problem=problem)
    except WrongState:
        order = find(session, number)
        return whole(order, form, status=409, problem=_not_now(order))
    flash(_("Marked as posted. The buyer gets a letter."))
    return redirect(url_for("admin.order_page", number=number), code=303)


def on_the_shelf(session: Session, order_id: int) -> None:
    """Refuse with ``CopiesNotThere`` when a parcel needs more copies than lie there."""
    order = locked(session, order_id)
    if not order.may_be_posted:
        return
    for edition_id, quantity in order.copies.items():
        row = session.get(stock.Stock, edition_id, populate_existing=True)
        if row is None or row.on_hand < quantity:
            raise CopiesNotThere(order.number)


def _not_now(order: Order) -> str:
    sentence: str = _(
        "This order cannot be posted now. Its payment: %(payment)s. Its parcel: %(parcel)s.",
        payment=PAYMENT[order.payment_state],
        parcel=FULFILMENT[order.fulfilment_state],
    )
    return sentence


@desk.post("/orders/<number>/concerns/<int:concern_id>")
def settle(number: str, concern_id: int) -> ResponseReturnValue:
    """A person has looked at a worry."""
    session, order_id, actor, at = db.session(), find(db.session(), number).id, person().actor, now()

    def work(s: Session) -> bool:
        order = locked(s, order_id)
        concern = next((each for each in order.concerns if each.id == concern_id), None)
        if concern is None:
            return False
        timeline.settle_worry(s, order, concern, actor, at)
        return True

    if not transact(session, work):
        return whole(find(session, number), status=404, problem=_("There is no such worry about this order."))
    flash(_("Noted: you have looked at it."))
    return redirect(url_for("admin.order_page", number=number), code=303)


@desk.post("/orders/<number>/letters/<int:letter_id>")
def send_again(number: str, letter_id: int) -> ResponseReturnValue:
    """Owe a letter once more."""
    session, order_id, actor, at = db.session(), find(db.session(), number).id, person().actor, now()

    def work(s: Session) -> bool:
        order = locked(s, order_id)
        letter = s.get(Letter, letter_id) if letter_id < 2**31 else None
        if letter is None or letter.order_id != order.id:
            return False
        outbox.again(s, letter, at)
        timeline.note(s, order, "letter_resent", actor, at, letter=letter.kind.value)
        return True

    if not transact(session, work):
        return whole(find(session, number), status=404, problem=_("There is no such letter about this order."))
    flash(_("The letter will be sent again."))
    return redirect(url_for("admin.order_page", number=number), code=303)
