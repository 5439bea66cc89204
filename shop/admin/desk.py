"""What every page of the order desk shares: its language, who is signed in, the form token, headers and errors."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import refresh
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from shop import staff
from shop.admin import rights
from shop.admin.rights import FRESH, Act, Right
from shop.database import transact
from shop.errors import TooMany, WrongState
from shop.extensions import csrf, db, now
from shop.markets import GENERIC, LANGUAGES, MARKETS, negotiate
from shop.orders.timeline import Actor
from shop.orders.timeline import admin as admin_actor
from shop.staff import Role, journal, sessions

desk = Blueprint("admin", __name__, url_prefix="/admin")

TOKEN = "token"  # noqa: S105 - the name of the cookie's entry, not a secret
SAFE = ("GET", "HEAD", "OPTIONS")
CONFIRMED_FOR = timedelta(minutes=10)
GRACE = timedelta(minutes=10)
"""So much longer a form is taken than its page is shown, for somebody has to fill it in."""

PROBLEMS = {
    400: (_l("This could not be read"), _l("The browser sent something that makes no sense here.")),
    403: (
        _l("This was sent from elsewhere"),
        _l("The desk takes forms from its own pages only. Nothing was changed."),
    ),
    404: (_l("There is no such page"), _l("The address may be mistyped, or what it named is no longer here.")),
    405: (_l("There is no such page"), _l("The address may be mistyped, or what it named is no longer here.")),
    409: (_l("This is no longer possible"), _l("Something has changed meanwhile. Please look again.")),
    413: (
        _l("This is too large"),
        _l("The form or its file was larger than the shop accepts. Nothing was saved."),
    ),
    500: (_l("Something broke"), _l("It is not your fault. The fault has been recorded; please try again.")),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, as much of him as pages need."""

    id: int
    name: str
    email: str
    language: str
    role: Role
    has_second_factor: bool
    second_factor_required: bool
    confirmed_at: datetime | None

    def may(self, endpoint: str) -> bool:
        """Whether his role lets him use an endpoint, such as ``admin.refund``."""
        return rights.allows(self.role, endpoint)

    @property
    def actor(self) -> Actor:
        return admin_actor(self.name)


def person() -> Person:
    """Who is signed in; only for pages behind the sign-in."""
    return cast(Person, g.person)


def locale() -> str:
    """Babel's name of the page's locale."""
    return cast(str, g.locale)


def language() -> str:
    return cast(str, g.language)


class NotForRole(Exception):
    """Somebody is signed in whose role does not allow this."""


@desk.before_request
def enter() -> ResponseReturnValue | None:
    """Choose the language, find out who it is, and let in only whoever may."""
    _begin()
    act, found = rights.act_of(request.endpoint), _signed_in()
    if found is not None:
        g.person = found
        speak(found.language)
    if found is None and (act is None or act.right is not Right.ENTER):
        wanted = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("admin.sign_in", next=wanted if wanted != "/admin/" else None))
    if found is not None and (act is None or not found.may(request.endpoint or "")):
        raise NotForRole(request.endpoint)
    if request.method not in SAFE:
        csrf.protect()
    if any(map(_has_controls, (*request.args.values(), *request.form.values()))):
        abort(400)  # it could not be shown again: no page may hold such a character
    if found is None or act is None or act.right is Right.ENTER:
        return None
    if (
        found.second_factor_required
        and not found.has_second_factor
        and act.right not in (Right.SELF, Right.SECURE)
    ):
        return redirect(url_for("admin.second_factor"), code=303)
    if act.right in FRESH and not _is_fresh(found):
        return redirect(url_for("admin.confirmation", next=_onward()), code=303)
    _write_down(found, act)
    return None


def _is_fresh(someone: Person) -> bool:
    """Whether somebody has lately shown by password or code that it is he."""
    within = CONFIRMED_FOR if request.method in SAFE else CONFIRMED_FOR + GRACE
    return someone.confirmed_at is not None and now() < someone.confirmed_at + within


def _onward() -> str | None:
    """Where to go on after a confirmation: to the page itself, or to the one whose form was sent."""
    if request.method in SAFE:
        return request.full_path.rstrip("?")
    parts = urlsplit(request.referrer or "")
    return local_page(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def _write_down(someone: Person, act: Act) -> None:
    """Let the journal know who is about to do what; what is taken away as a file is written down at once."""
    if act.told is None:
        return
    named = request.view_args or {}
    deed = journal.Deed(
        someone.id,
        someone.name,
        (request.endpoint or "").removeprefix("admin."),
        now(),
        about=next(iter(named), ""),
        subject=" ".join(map(str, named.values())),
    )
    if request.method not in SAFE:
        journal.undertake(db.session(), deed)
    elif act.right is Right.EXPORT:
        transact(db.session(), lambda s: journal.write(s, deed))


def _has_controls(typed: str) -> bool:
    return any(unicodedata.category(each) == "Cc" and each not in "\t\r\n" for each in typed)


def _begin() -> None:
    """Nobody yet, in the language that the address or the browser asks for."""
    g.person = None
    asked = request.args.get("language", "")
    speak(asked if asked in LANGUAGES else negotiate(request.accept_languages).language)


def speak(chosen: str) -> None:
    """Go on in this language."""
    if chosen not in LANGUAGES:
        chosen = "en"
    g.language = chosen
    g.locale = MARKETS[GENERIC[chosen]].locale
    refresh()


def _signed_in() -> Person | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    found = staff.live_session(db.session(), token, now())
    if found is None:
        return None
    someone = Person(
        found.admin.id,
        found.admin.name,
        found.admin.email,
        found.admin.language,
        found.admin.role,
        found.admin.has_second_factor,
        sessions.second_factor_required(db.session()),
        found.confirmed_at,
    )
    if found.seen_at <= now() - staff.SEEN_EVERY:
        address = request.remote_addr or ""
        transact(db.session(), lambda s: staff.see(s, token, now(), address))
    return someone


@desk.after_request
def close(response: Response) -> Response:
    """Nothing of the desk is kept by a browser, found by a search engine or told to another site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def local_page(address: str) -> str | None:
    """A page of the desk that one may be sent to after the sign-in; ``None`` for any other address."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path.startswith("/admin/"):
        return None
    if "//" in parts.path or ".." in parts.path or "\\" in address or not address.isprintable():
        return None
    return None if parts.path.startswith("/admin/sign-") else address


def problem(
    status: int, heading: str | None = None, sentence: str | None = None, back: str | None = None
) -> tuple[str, int]:
    """A readable page about what went wrong, with a way back."""
    if "person" not in g:
        _begin()  # refused before the desk was entered
        if status < 500 and (found := _signed_in()) is not None:  # else the database may be what is missing
            g.person = found
            speak(found.language)
    words = PROBLEMS.get(status, PROBLEMS[400 if status < 500 else 500])
    page = render_template(
        "admin/problem.html", heading=heading or words[0], sentence=sentence or words[1], back=back, refused=True
    )
    return page, status


@desk.errorhandler(CSRFError)
def wrong_token(_error: CSRFError) -> ResponseReturnValue:
    """A form without the token this browser was given: stale, or sent by somebody else."""
    return problem(
        400,
        _("This form has expired"),
        _("It was opened too long ago or in another session. Nothing was changed; please open the page again."),
    )


@desk.errorhandler(NotForRole)
def not_for_role(_error: NotForRole) -> ResponseReturnValue:
    return problem(
        403,
        _("This is not for your role"),
        _("What you may do at the desk is decided by its owner. Nothing was changed."),
    )


@desk.errorhandler(WrongState)
def wrong_state(_error: WrongState) -> ResponseReturnValue:
    return problem(409)


@desk.errorhandler(TooMany)
def too_many(error: TooMany) -> ResponseReturnValue:
    page, status = problem(429, _("Too many attempts"), _("Please wait a little and try again."))
    return page, status, {"Retry-After": str(error.retry_after)}


@desk.errorhandler(HTTPException)
def refused(error: HTTPException) -> ResponseReturnValue:
    """Any other refusal, in the desk's own words."""
    if error.code is None or error.code < 400:
        return error
    db.session.rollback()
    return problem(error.code)


@desk.route("/<path:anything>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(anything: str) -> ResponseReturnValue:
    """Every other address under the desk's, and every way to ask for one that is there but not so."""
    abort(404)


def _may_open(address: str) -> bool:
    """Whether whoever is signed in may open a page of the desk."""
    try:
        endpoint, _arguments = current_app.url_map.bind("").match(urlsplit(address).path)
    except HTTPException:
        return False
    return person().may(endpoint)


@desk.context_processor
def shared() -> dict[str, object]:
    """What the frame around every page shows."""
    someone: Person | None = g.get("person")
    return {
        "person": someone,
        "may": someone.may if someone else lambda _endpoint: False,
        "may_open": _may_open,
        "language": language(),
        "languages": LANGUAGES,
    }
