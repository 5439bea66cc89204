"""Signing in and out, and the language of the desk."""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from shop import staff, throttle
from shop.admin import passwords
from shop.admin.desk import TOKEN, desk, language, local_page, person
from shop.admin.forms import SignInForm
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now
from shop.markets import LANGUAGES

WINDOW = timedelta(minutes=15)
TRIES_PER_PAIR = 10  # one account from one address
TRIES_PER_ADDRESS = 50


@desk.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    if _is_in():
        return redirect(url_for("admin.today"))
    return _page(SignInForm())


@desk.post("/sign-in")
def sign_in_try() -> ResponseReturnValue:
    """Check e-mail and password; a right pair begins a new session, whatever the browser had before."""
    form = SignInForm(request.form)
    if not form.validate():
        return _page(form, status=422)
    email, password = (form.email.data or "").strip().lower(), form.password.data or ""
    pair, address = _keys(email)

    def count(s: Session) -> None:
        throttle.spend(s, address, TRIES_PER_ADDRESS, WINDOW, now())
        throttle.spend(s, pair, TRIES_PER_PAIR, WINDOW, now())

    try:
        transact(db.session(), count)
    except TooMany as error:
        minutes = math.ceil(error.retry_after / 60)
        sentence = ngettext(
            "Too many attempts. Please try again in %(num)d minute.",
            "Too many attempts. Please try again in %(num)d minutes.",
            minutes,
        )
        page, status = _page(form, status=429, problem=sentence)
        return page, status, {"Retry-After": str(error.retry_after)}

    someone = staff.by_email(db.session(), email)
    known = someone if someone and someone.active else None
    stored, admin_id = (known.password_hash, known.id) if known else (None, 0)
    db.session.rollback()  # hashing takes its time: no transaction stays open meanwhile
    if not passwords.fits(stored, password):
        return _page(form, status=403, problem=_("E-mail address and password do not match."))
    renewed = passwords.hash_password(password) if stored and passwords.is_outdated(stored) else None
    before = session.get(TOKEN)

    def begin(s: Session) -> str:
        throttle.forget(s, pair)
        if isinstance(before, str):
            staff.close_session(s, before)
        if renewed:
            s.get_one(staff.Admin, admin_id).password_hash = renewed
        return staff.open_session(s, admin_id, now())

    token = transact(db.session(), begin)
    session.clear()
    session[TOKEN] = token
    return redirect(local_page(request.args.get("next", "")) or url_for("admin.today"), code=303)


@desk.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    token = session[TOKEN]
    transact(db.session(), lambda s: staff.close_session(s, token))
    session.clear()
    return redirect(url_for("admin.sign_in", language=language()), code=303)


@desk.post("/language")
def change_language() -> ResponseReturnValue:
    """Remember in which language this person works."""
    wanted, who = request.form.get("language", ""), person().id
    if wanted in LANGUAGES:

        def change(s: Session) -> None:
            s.get_one(staff.Admin, who).language = wanted

        transact(db.session(), change)
    return redirect(local_page(request.form.get("back", "")) or url_for("admin.today"), code=303)


def _page(form: SignInForm, status: int = 200, problem: str = "") -> tuple[str, int]:
    onward = local_page(request.args.get("next", ""))
    page = render_template("admin/sign_in.html", form=form, problem=problem, onward=onward)
    return page, status


def _is_in() -> bool:
    token = session.get(TOKEN)
    return isinstance(token, str) and staff.live_session(db.session(), token, now()) is not None


def _keys(email: str) -> tuple[str, str]:
    """Under which keys an attempt is counted: account and address together, address alone."""
    address = throttle.prefix(request.remote_addr)
    account = hashlib.sha256(email.encode()).hexdigest()[:32]
    return f"sign-in:{account}:{address}", f"sign-in:{address}"
