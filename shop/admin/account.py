"""One's own account: password and signed-in browsers. The second factor has its own module."""

from __future__ import annotations

import re

from flask import abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin import guessing, passwords
from shop.admin.desk import TOKEN, desk, person
from shop.admin.devices import device_name
from shop.admin.forms import PasswordForm
from shop.admin.presence import has_password
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now
from shop.staff import Admin, close_all_sessions, second_factor, sessions

DIGEST = re.compile(r"[0-9a-f]{64}")


class GoneAlready(Exception):
    """The session had ended before."""


@desk.get("/account")
def account() -> ResponseReturnValue:
    return _page(PasswordForm())


@desk.post("/account/password")
def change_password() -> ResponseReturnValue:
    """Set another password; whoever is signed in elsewhere has to do so anew."""
    form, who, token = PasswordForm(request.form), person().id, session[TOKEN]
    if not form.validate():
        return _page(form, 422)
    counted = guessing.presence_keys(who)
    try:
        guessing.count(counted)
    except TooMany as error:
        page, status = _page(form, 429, guessing.sentence(error))
        return page, status, {"Retry-After": str(error.retry_after)}
    if not has_password(who, form.old.data or ""):
        form.old.errors = [_("This is not the password.")]
        return _page(form, 403)
    hashed = passwords.hash_password(form.new.data or "")

    def work(s: Session) -> None:
        guessing.was_right(s, counted)
        s.get_one(Admin, who).password_hash = hashed
        close_all_sessions(s, who, but=token)
        sessions.confirm(s, token, now())

    transact(db.session(), work)
    flash(_("The password was changed. All other sessions were ended."))
    return redirect(url_for("admin.account"), code=303)


@desk.post("/account/sessions/<mark>")
def revoke_session(mark: str) -> ResponseReturnValue:
    """Put one of one's own browsers out."""
    if not DIGEST.fullmatch(mark):
        abort(404)
    who = person().id

    def work(s: Session) -> None:
        if not sessions.revoke(s, who, mark):
            raise GoneAlready

    try:
        transact(db.session(), work)
    except GoneAlready:
        flash(_("This session had ended already."), "warning")
    else:
        flash(_("The session was ended."))
    return redirect(url_for("admin.account"), code=303)


@desk.post("/account/sessions")
def revoke_others() -> ResponseReturnValue:
    """Put every other of one's own browsers out."""
    who, token = person().id, session[TOKEN]
    transact(db.session(), lambda s: close_all_sessions(s, who, but=token))
    flash(_("All other sessions were ended."))
    return redirect(url_for("admin.account"), code=303)


def _page(form: PasswordForm, status: int = 200, problem: str = "") -> tuple[str, int]:
    s, who = db.session(), person().id
    page = render_template(
        "admin/account.html",
        form=form,
        sessions=sessions.of_person(s, who, now()),
        here=sessions.digest(session[TOKEN]),
        device_name=device_name,
        codes_left=second_factor.recovery_codes_left(s, who),
        shortest=passwords.SHORTEST,
        problem=problem,
    )
    return page, status
