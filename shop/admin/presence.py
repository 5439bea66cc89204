"""Proving once more to be there, before money goes back, data are taken away or people are changed."""

from __future__ import annotations

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin import guessing, passwords
from shop.admin.desk import TOKEN, desk, local_page, person
from shop.admin.forms import PresenceForm
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now
from shop.staff import Admin, second_factor, sessions


class NotProved(Exception):
    """The code did not fit; nothing of what was begun is kept."""


@desk.get("/confirm")
def confirmation() -> ResponseReturnValue:
    return _page(PresenceForm())


@desk.post("/confirm")
def confirm_presence() -> ResponseReturnValue:
    """Take the password or a code, and go on to where one was stopped."""
    form, who, token = PresenceForm(request.form), person().id, session[TOKEN]
    if not form.validate():
        return _page(form, 422)
    password, typed = form.password.data or "", form.code.data or ""
    if not (password or typed):
        return _page(form, 422, _("Please type the password or a code."))
    counted = guessing.presence_keys(who)
    try:
        guessing.count(counted)
    except TooMany as error:
        page, status = _page(form, 429, guessing.sentence(error))
        return page, status, {"Retry-After": str(error.retry_after)}
    known = bool(password) and has_password(who, password)

    def work(s: Session) -> None:
        if not known and not (typed and second_factor.check(s, s.get_one(Admin, who), typed, now())):
            raise NotProved
        guessing.was_right(s, counted)
        sessions.confirm(s, token, now())

    try:
        transact(db.session(), work)
    except NotProved:
        return _page(form, 403, _("This does not fit."))
    return redirect(local_page(request.args.get("next", "")) or url_for("admin.today"), code=303)


def has_password(admin_id: int, password: str) -> bool:
    """Whether it is this person's password; no transaction stays open while it is hashed."""
    stored = db.session.get_one(Admin, admin_id).password_hash
    db.session.rollback()
    return passwords.fits(stored, password)


def _page(form: PresenceForm, status: int = 200, problem: str = "") -> tuple[str, int]:
    onward = local_page(request.args.get("next", ""))
    page = render_template("admin/confirmation.html", form=form, problem=problem, onward=onward)
    return page, status
