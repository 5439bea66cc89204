"""Remarks of the desk about an order: what was agreed by telephone, who is being waited for. No buyer sees them."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin.desk import desk, person
from shop.admin.forms import RemarkForm
from shop.admin.orders import find, whole
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.orders import timeline
from shop.orders.placing import locked

KIND = "remark"


@desk.post("/orders/<number>/remarks")
def remark(number: str) -> ResponseReturnValue:
    """Put a remark on the timeline, where it can be erased with the buyer; sent twice, it is there once."""
    session, actor, at = db.session(), person().actor, now()
    order, form = find(session, number), RemarkForm(request.form)
    if not form.validate():
        return whole(order, remark=form, status=422)
    order_id, written = order.id, form.remark.data or ""

    def work(s: Session) -> None:
        row = locked(s, order_id)
        if row.buyer.erased_at is not None:
            raise WrongState(f"{row.number} was erased: nothing personal is kept of it any more")
        last = row.timeline[-1] if row.timeline else None
        same = last is not None and last.kind == KIND and last.admin == actor.name
        if not (same and last is not None and last.told.get(KIND) == written):
            timeline.note(s, row, KIND, actor, at, personal={KIND: written})

    transact(session, work)
    flash(_("The remark was added."))
    return redirect(url_for("admin.order_page", number=order.number, _anchor="timeline"), code=303)
