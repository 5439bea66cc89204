"""The distributor's page behind his secret link: opening it changes nothing, only sending its form does."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, Response, abort, g, redirect, render_template, request, url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from shop import throttle
from shop.database import transact
from shop.errors import TooMany, WrongState
from shop.extensions import db, now
from shop.libraries import answers, links
from shop.libraries.answers import Said
from shop.libraries.models import LibraryOrder
from shop.markets import GENERIC, MARKETS
from shop.storefront.addresses import enter
from shop.storefront.libraries import STATES
from shop.storefront.library_form import REQUESTS
from shop.storefront.order_form import one_line
from shop.storefront.order_pages import hidden
from shop.storefront.ordering import Answer

AT_ONCE = 20
EVERY = timedelta(seconds=20)
BUTTONS: dict[Said, LazyString] = {
    Said.SEEN: _l("I have it in hand"),
    Said.SUPPLIED: _l("It has been supplied"),
    Said.CANNOT_SUPPLY: _l("I cannot supply it"),
}


def init_app(app: Flask) -> None:
    app.add_url_rule("/distributor/<token>", "distributor", show_ticket, methods=["GET"])
    app.add_url_rule("/distributor/<token>", "answer_distributor", take_answer, methods=["POST"])


def show_ticket(token: str) -> Answer:
    order, alive = _find(token)
    return _page(order, token) if alive else _ended(order)


def take_answer(token: str) -> Answer:
    """Record an answer; what cannot follow any more is shown as it stands."""
    session, at = db.session(), now()
    visitor, typed = throttle.prefix(request.remote_addr), request.form.get("answer", "")
    line = one_line(request.form.get("line"))
    try:
        transact(session, lambda s: throttle.pace(s, f"distributor:{visitor}", AT_ONCE, EVERY, at))
    except TooMany as error:
        order, alive = _find(token)
        refused = _page(order, token, 429, line=line, problem="busy") if alive else _ended(order)
        refused.headers["Retry-After"] = str(error.retry_after)
        return refused
    order, alive = _find(token)
    if not alive:
        return _ended(order)
    if typed not in list(Said) or len(line) > answers.LONGEST_LINE:
        return _page(order, token, 400, line=line, problem="long" if typed in list(Said) else "choose")
    try:
        transact(session, answers.answer, token, Said(typed), line, at)
    except LookupError:
        return _ended(_find(token)[0])
    except WrongState:
        return _page(_find(token)[0], token, 409, line=line, problem="moved")
    return redirect(url_for("distributor", token=token), 303)


def _find(token: str) -> tuple[LibraryOrder, bool]:
    found = links.find(db.session(), token)
    if found is None or found[0].erased_at is not None:
        abort(404)
    order, alive = found
    enter(MARKETS[GENERIC.get(order.supplier_language, "en-gb")])
    return order, alive


def _page(order: LibraryOrder, token: str, status: int = 200, *, line: str = "", problem: str = "") -> Response:
    return hidden(
        render_template(
            "storefront/distributor.html",
            order=order,
            token=token,
            words=STATES[order.state],
            request_words=REQUESTS[order.request],
            buttons={said: BUTTONS[said] for said in answers.possible(order)},
            said=[each for each in order.events if each.actor.startswith("distributor")],
            line=line,
            longest=answers.LONGEST_LINE,
            problem=problem,
            noindex=True,
        ),
        status,
    )


def _ended(order: LibraryOrder) -> Response:
    g.no_twin = True
    return hidden(render_template("storefront/distributor_ended.html", ticket=order.ticket, noindex=True), 410)
