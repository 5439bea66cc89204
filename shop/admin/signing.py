"""Signing in and out, and the language of the desk."""

from __future__ import annotations

from flask import make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop import staff
from shop.admin import guessing, passwords
from shop.admin.desk import TOKEN, desk, language, local_page, person
from shop.admin.forms import SignInForm
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now
from shop.markets import LANGUAGES
from shop.staff import journal, second_factor


class WrongCode(Exception):
    """The second factor was asked for and did not fit; whatever was begun is undone."""


@desk.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    if _is_in():
        return redirect(url_for("admin.today"))
    return _page(SignInForm())


@desk.post("/sign-in")
def sign_in_try() -> ResponseReturnValue:
    """Check e-mail, password and code; if all fit a new session begins, whatever the browser had before.

    The answer does not tell which of them was wrong.
    """
    form = SignInForm(request.form)
    if not form.validate():
        return _page(form, status=422)
    email, password = (form.email.data or "").strip().lower(), form.password.data or ""
    someone = staff.by_email(db.session(), email)
    known = someone if someone and someone.active and someone.has_joined else None
    stored, admin_id = (known.password_hash, known.id) if known else (None, 0)
    counted = guessing.keys(email, someone.id if someone else None)
    try:
        guessing.count(counted)
    except TooMany as error:
        page, status = _page(form, status=429, problem=guessing.sentence(error))
        return page, status, {"Retry-After": str(error.retry_after)}

    db.session.rollback()  # hashing takes its time: no transaction stays open meanwhile
    if not passwords.fits(stored, password):
        return _page(form, status=403, problem=_no_match())
    renewed = passwords.hash_password(password) if stored and passwords.is_outdated(stored) else None
    before, typed = session.get(TOKEN), form.code.data or ""

    def begin(s: Session) -> str:
        who = s.get_one(staff.Admin, admin_id, populate_existing=True)
        if who.password_hash != stored or not who.active:
            raise WrongCode  # changed since it was looked at
        if who.has_second_factor and not second_factor.check(s, who, typed, now()):
            raise WrongCode
        guessing.was_right(s, counted)
        if isinstance(before, str):
            staff.close_session(s, before)
        if renewed:
            who.password_hash = renewed
        journal.note(s, "sign_in_try", who, now())
        return staff.open_session(s, admin_id, now(), request.user_agent.string, request.remote_addr or "")

    try:
        token = transact(db.session(), begin)
    except WrongCode:
        return _page(form, status=403, problem=_no_match())
    session.clear()
    session[TOKEN] = token
    answer = make_response(redirect(local_page(request.args.get("next", "")) or url_for("admin.today"), code=303))
    guessing.remember(answer, admin_id)
    return answer


def _no_match() -> str:
    said: str = _(
        "These do not match. Please look at the e-mail address and the password and, if you use "
        "an authenticator app, at its newest code."
    )
    return said


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
