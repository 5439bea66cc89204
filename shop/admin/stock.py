"""Copies of each edition, counting them, and every movement."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin.desk import desk, person
from shop.admin.forms import CountForm
from shop.admin.listing import listing
from shop.catalogue import offers
from shop.catalogue.models import Edition
from shop.database import lock, transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.libraries.models import LibraryOrder
from shop.orders import counting
from shop.orders.models import Order
from shop.stock import Stock, StockMovement


class Moved(WrongState):
    """Copies came or went between the page and the count."""


@desk.get("/stock")
def stock_page() -> ResponseReturnValue:
    return _page()


@desk.post("/stock/<slug>")
def count(slug: str) -> ResponseReturnValue:
    """Record how many copies lie on the shelf."""
    session, actor, at = db.session(), person().actor, now()
    edition = offers.edition(session, slug)
    if edition is None:
        abort(404)
    edition_id, form = edition.id, CountForm(request.form, prefix="")
    fits, seen = form.validate(), form.seen.data
    if seen is None:
        problem = _(
            "The form did not say how many copies were on hand when it was opened. Nothing was recorded; please count "
            "once more."
        )
        return _page(edition_id, form, status=422, problem=problem)
    if not fits:
        return _page(edition_id, form, status=422)
    counted, reason = form.counted.data or 0, form.reason.data or ""

    def work(s: Session) -> tuple[int, int]:
        row = lock(s, Stock, edition_id)
        if seen != (row.on_hand if row else 0):
            raise Moved(slug)
        short = counting.count(s, edition_id, counted, reason, actor, at)
        return len(short), 0 if short else len(counting.lift(s, edition_id, actor, at))

    try:
        short, lifted = transact(session, work)
    except Moved:
        form.seen.raw_data = None
        problem = _("Copies came or went while this page was open. Please count once more.")
        return _page(edition_id, form, status=409, problem=problem)
    flash(_("The count was recorded."))
    if short:
        flash(
            ngettext(
                "Fewer copies than were promised: %(num)d order now needs attention.",
                "Fewer copies than were promised: %(num)d orders now need attention.",
                short,
            ),
            "warning",
        )
    if lifted:
        flash(
            ngettext(
                "There are enough copies again: %(num)d order that had waited for that can be posted.",
                "There are enough copies again: %(num)d orders that had waited for that can be posted.",
                lifted,
            )
        )
    return redirect(url_for("admin.stock_page"), code=303)


def _page(
    edition_id: int = 0, form: CountForm | None = None, status: int = 200, problem: str = ""
) -> tuple[str, int]:
    session = db.session()
    rows = session.execute(
        select(Edition, Stock).outerjoin(Stock, Stock.edition_id == Edition.id).order_by(Edition.position)
    )
    shelves = [
        (edition, stock or Stock(on_hand=0, held=0, allocated=0), form if edition.id == edition_id else None)
        for edition, stock in rows
    ]
    movements = listing(session, select(StockMovement), StockMovement.id)
    wanted = {each.order_id for each in movements.rows if each.order_id}
    numbers = dict(iter(session.execute(select(Order.id, Order.number).where(Order.id.in_(wanted)))))
    libraries = {each.library_order_id for each in movements.rows if each.library_order_id}
    named = select(LibraryOrder.id, LibraryOrder.ticket).where(LibraryOrder.id.in_(libraries))
    tickets = dict(iter(session.execute(named)))
    page = render_template(
        "admin/stock.html",
        shelves=shelves,
        blank=CountForm,
        movements=movements,
        numbers=numbers,
        tickets=tickets,
        names={edition.id: edition for edition, _stock, _form in shelves},
        problem=problem,
    )
    return page, status
