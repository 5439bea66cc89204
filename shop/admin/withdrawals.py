"""Statements of withdrawal: the list, and noting that one was dealt with."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, true

from shop.admin.desk import desk, person, problem
from shop.admin.listing import listing
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.markets import day_of
from shop.withdrawals import statements
from shop.withdrawals.models import Withdrawal

STATES = {
    "": (_l("To deal with"), Withdrawal.done_at.is_(None)),
    "done": (_l("Dealt with"), Withdrawal.done_at.is_not(None)),
    "all": (_l("All"), true()),
}


@desk.get("/withdrawals")
def withdrawal_list() -> ResponseReturnValue:
    state = request.args.get("state", "")
    if state not in STATES:
        abort(404)
    wanted = select(Withdrawal).where(STATES[state][1]).options(statements.WITH_ORDER)
    page = listing(db.session(), wanted, Withdrawal.id)
    return render_template("admin/withdrawals.html", page=page, state=state, states=STATES, today=day_of(now()))


@desk.post("/withdrawals/<int:withdrawal_id>/done")
def finish_withdrawal(withdrawal_id: int) -> ResponseReturnValue:
    """Note that a statement was dealt with; its order's worry is settled with it."""
    session, actor, at = db.session(), person().actor, now()
    found = session.get(Withdrawal, withdrawal_id) if withdrawal_id < 2**31 else None
    if found is None:
        abort(404)
    back = url_for("admin.withdrawal_list")
    if found.order:
        back = url_for("admin.order_page", number=found.order.number)
    try:
        transact(session, lambda s: statements.finish(s, withdrawal_id, actor, at))
    except WrongState:
        return problem(409, sentence=_("Somebody has dealt with it already."), back=back)
    flash(_("Noted: the withdrawal was dealt with."))
    return redirect(back, code=303)
