"""What is done at once to the orders that were ticked in the list."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin import posting
from shop.admin.desk import desk, local_page, person
from shop.extensions import db, now
from shop.orders.models import Order

MOST = 200
LONGEST_CARRIER = 100


@desk.post("/orders/ticked/post")
def post_ticked() -> ResponseReturnValue:
    """Mark the ticked orders posted, each in its own transaction; those that cannot be are named."""
    session, actor, at = db.session(), person().actor, now()
    carrier = request.form.get("carrier", "").strip()[:LONGEST_CARRIER]
    ticked = _ticked(session)
    problems = {number: posting.post(session, number, carrier, "", actor, at) for number in ticked}
    if not ticked:
        flash(_("No order was ticked."), "problem")
    if done := sum(not problem for problem in problems.values()):
        flash(
            ngettext(
                "%(num)d order is marked as posted. The buyer gets a letter.",
                "%(num)d orders are marked as posted. The buyers get letters.",
                done,
            )
        )
    for number, problem in problems.items():
        if problem:
            flash(f"{number}: {problem}", "problem")
    back = local_page(request.form.get("back", "")) or url_for("admin.order_list")
    return redirect(back, code=303)


def _ticked(session: Session) -> list[str]:
    """The ticked orders that there are, the oldest first."""
    numbers = request.form.getlist("order")[:MOST]
    wanted = select(Order.number).where(Order.number.in_(numbers)).order_by(Order.paid_at, Order.id)
    found = list(session.scalars(wanted))
    session.rollback()
    return found
