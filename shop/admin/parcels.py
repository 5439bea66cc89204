"""What is done to one order: post it, look at a worry, send a letter again."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin import posting
from shop.admin.desk import desk, person
from shop.admin.forms import PostForm
from shop.admin.orders import find, whole
from shop.database import transact
from shop.extensions import db, now
from shop.letters import outbox
from shop.letters.models import Letter
from shop.orders import timeline
from shop.orders.placing import locked


@desk.post("/orders/<number>/post")
def post(number: str) -> ResponseReturnValue:
    """Mark an order posted, or a part of it. Whoever comes second is shown what the first has done."""
    session, actor, at = db.session(), person().actor, now()
    order, form = find(session, number), PostForm(request.form)
    if not form.validate():
        return whole(order, form, status=422)
    copies = {}
    for line in order.lines:
        typed = request.form.get(f"copies-{line.position}", "").strip()
        if typed and not (typed.isascii() and typed.isdigit() and len(typed) < 6):
            return whole(order, form, status=422, problem=_("Please write a whole number in digits."))
        if typed:
            copies[line.position] = int(typed)
    carrier, tracking = form.carrier.data or "", form.tracking.data or ""
    if problem := posting.post(session, order.number, carrier, tracking, actor, at, copies or None):
        return whole(find(session, number), form, status=409, problem=problem)
    if find(session, number).is_partly_posted:
        flash(_("A part of the order was marked as posted. The buyer gets a letter."))
    else:
        flash(_("Marked as posted. The buyer gets a letter."))
    return redirect(url_for("admin.order_page", number=number), code=303)


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
