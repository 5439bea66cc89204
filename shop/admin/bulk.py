"""What is done at once to the orders that were ticked in the list."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin.desk import desk, local_page, person
from shop.admin.parcels import CopiesNotThere, on_the_shelf
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.orders import fulfilment
from shop.orders.models import Order

MOST = 200
LONGEST_CARRIER = 100


@desk.post("/orders/ticked/post")
def post_ticked() -> ResponseReturnValue:
    """Mark the ticked orders posted, each in its own transaction; those that cannot be are named."""
    session, actor, at = db.session(), person().actor, now()
    carrier = request.form.get("carrier", "").strip()[:LONGEST_CARRIER]
    ticked = _ticked(session)
    done, short, refused = 0, [], []
    for order_id, number in ticked:

        def work(s: Session, order_id: int = order_id) -> None:
            on_the_shelf(s, order_id)
            fulfilment.post(s, order_id, carrier, "", actor, at)

        try:
            transact(session, work)
            done += 1
        except CopiesNotThere:
            short.append(number)
        except WrongState:
            refused.append(number)
    if not ticked:
        flash(_("No order was ticked."), "problem")
    if done:
        flash(
            ngettext(
                "%(num)d order is marked as posted. The buyer gets a letter.",
                "%(num)d orders are marked as posted. The buyers get letters.",
                done,
            )
        )
    if short:
        flash(
            _(
                "There are fewer copies on the shelf than these orders need: %(numbers)s.",
                numbers=", ".join(short),
            ),
            "problem",
        )
    if refused:
        flash(_("These orders cannot be posted now: %(numbers)s.", numbers=", ".join(refused)), "problem")
    back = local_page(request.form.get("back", "")) or url_for("admin.order_list")
    return redirect(back, code=303)


def _ticked(session: Session) -> list[tuple[int, str]]:
    """The ticked orders that there are, the oldest first."""
    numbers = request.form.getlist("order")[:MOST]
    wanted = select(Order.id, Order.number).where(Order.number.in_(numbers)).order_by(Order.paid_at, Order.id)
    found = [(row.id, row.number) for row in session.execute(wanted)]
    session.rollback()
    return found
