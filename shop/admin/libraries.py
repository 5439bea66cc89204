"""Library orders: the list, and one of them whole."""

from __future__ import annotations

import io

from flask import Response, abort, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, true
from sqlalchemy.orm import Session, joinedload

from shop.admin.desk import desk, person
from shop.admin.forms import MoveForm
from shop.admin.library_forms import LibraryRulesForm
from shop.admin.listing import listing
from shop.database import lock, transact
from shop.errors import WrongState
from shop.extensions import db, now, settings
from shop.letters.models import Letter
from shop.libraries import chasing, files, papers, reminding, routing
from shop.libraries import desk as library_desk
from shop.libraries.models import LibraryFile, LibraryOrder, LibraryRules, LibraryState, Stage
from shop.trader import distributor

SANDBOXED = "default-src 'none'; sandbox"
WAITING = LibraryOrder.state.in_((LibraryState.RECEIVED, LibraryState.SENT))

STATES = {
    "": (_l("All"), true()),
    "waiting": (_l("Waiting for an answer"), WAITING),
    "answered": (_l("Answered"), LibraryOrder.state == LibraryState.ANSWERED),
    "to_post": (_l("To post"), LibraryOrder.held + LibraryOrder.allocated > 0),
    "unpaid": (_l("Unpaid invoices"), LibraryOrder.id.in_(papers.UNPAID)),
    "supplied": (_l("Supplied"), LibraryOrder.state == LibraryState.SUPPLIED),
    "closed": (
        _l("Closed or not supplied"),
        LibraryOrder.state.in_((LibraryState.CLOSED, LibraryState.CANNOT_SUPPLY)),
    ),
}

BUTTONS = {
    LibraryState.ANSWERED: _l("Mark as answered"),
    LibraryState.SUPPLIED: _l("Mark as supplied"),
    LibraryState.CANNOT_SUPPLY: _l("Cannot be supplied"),
    LibraryState.CLOSED: _l("Close"),
}


@desk.get("/libraries")
def library_list() -> ResponseReturnValue:
    state = request.args.get("state", "")
    if state not in STATES:
        abort(404)
    wanted = select(LibraryOrder).where(STATES[state][1]).options(joinedload(LibraryOrder.edition))
    page = listing(db.session(), wanted, LibraryOrder.id)
    return render_template("admin/libraries.html", page=page, state=state, states=STATES)


@desk.get("/libraries/files/<int:file_id>")
def library_file(file_id: int) -> Response:
    """A purchase order that a library sent as a file: to be saved, never shown inside a page."""
    file = db.session().get(LibraryFile, file_id) if file_id < 2**31 else None
    if file is None or file.library_order_id is None:
        abort(404)
    place = files.path(settings().instance_path, file.key)
    if not place.is_file():
        abort(404)
    body = io.BytesIO(place.read_bytes())
    answer = send_file(body, file.media_type, as_attachment=True, download_name=file.name)
    answer.headers["Content-Security-Policy"] = SANDBOXED
    return answer


@desk.get("/libraries/rules")
def library_rules_page() -> ResponseReturnValue:
    form = LibraryRulesForm(obj=reminding.rules(db.session()))
    return render_template("admin/library_rules.html", form=form)


@desk.post("/libraries/rules")
def change_library_rules() -> ResponseReturnValue:
    form = LibraryRulesForm(request.form)
    if not form.validate():
        return render_template("admin/library_rules.html", form=form), 422

    def work(s: Session) -> None:
        row = lock(s, LibraryRules, reminding.ONLY)
        if row is None:
            row = LibraryRules(id=reminding.ONLY, **reminding.DEFAULTS)
            s.add(row)
        form.populate_obj(row)

    transact(db.session(), work)
    flash(_("Saved. It holds for what is sent from now on."))
    return redirect(url_for("admin.library_list"), code=303)


@desk.post("/libraries/<ticket>/remind")
def remind_distributor(ticket: str) -> ResponseReturnValue:
    """Write to the distributor once more, with a new link."""
    session, actor, at = db.session(), person().actor, now()
    order_id = _find(ticket).id
    try:
        transact(session, chasing.remind_now, order_id, actor, at)
    except WrongState:
        problem = _("Somebody has changed this library order meanwhile. This is how it stands now.")
        return _whole(_find(ticket), status=409, problem=problem)
    flash(_("The distributor is being reminded."))
    return redirect(url_for("admin.library_page", ticket=ticket), code=303)


@desk.get("/libraries/<ticket>")
def library_page(ticket: str) -> ResponseReturnValue:
    return _whole(_find(ticket))


@desk.post("/libraries/<ticket>/<any(answered, supplied, cannot_supply, closed):state>")
def move(ticket: str, state: str) -> ResponseReturnValue:
    """Record what has become of a library order."""
    session, actor, at, wanted = db.session(), person().actor, now(), LibraryState(state)
    order_id, form = _find(ticket).id, MoveForm(request.form)
    if not form.validate():
        return _whole(_find(ticket), form, 422)

    def work(s: Session) -> None:
        order = lock(s, LibraryOrder, order_id)
        if order is None or order.state is wanted:
            raise WrongState(f"{ticket} is {state} already")
        if wanted in (LibraryState.CLOSED, LibraryState.CANNOT_SUPPLY):
            library_desk.let_go(s, order_id, actor, at)
        routing.move(s, order_id, wanted, actor, form.detail.data or "", at)

    try:
        transact(session, work)
    except WrongState:
        return _whole(_find(ticket), form, 409, _not_now(_find(ticket), wanted))
    flash(_("The library order was brought up to date."))
    return redirect(url_for("admin.library_page", ticket=ticket), code=303)


def _not_now(order: LibraryOrder, wanted: LibraryState) -> str:
    if order.state is not wanted and wanted in routing.MOVES[order.state]:
        return str(
            _("It has an invoice that is neither paid nor credited, or sold copies that are still to be posted.")
        )
    return str(_("Somebody has changed this library order meanwhile. This is how it stands now."))


def _find(ticket: str) -> LibraryOrder:
    order = routing.by_ticket(db.session(), ticket)
    if order is None:
        abort(404)
    return order


def _whole(
    order: LibraryOrder, form: MoveForm | None = None, status: int = 200, problem: str = ""
) -> tuple[str, int]:
    session = db.session()
    letters = session.scalars(select(Letter).where(Letter.library_order_id == order.id).order_by(Letter.id))
    page = render_template(
        "admin/library.html",
        order=order,
        letters=list(letters),
        supplier=distributor(session, order.edition_id),
        served=library_desk.may_serve(order) or order.stage is not Stage.NONE,
        repeats=list(session.scalars(select(LibraryOrder).where(LibraryOrder.joined_to_id == order.id))),
        moves={state: BUTTONS[state] for state in routing.MOVES[order.state] if state in BUTTONS},
        form=form or MoveForm(),
        problem=problem,
    )
    return page, status
