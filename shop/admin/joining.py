"""An invited person sets his own password, by a link that works once."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop.admin import passwords
from shop.admin.desk import desk, language, problem, speak
from shop.admin.forms import JoinForm
from shop.database import transact
from shop.extensions import db, now
from shop.markets import LANGUAGES
from shop.staff import Admin, journal, people


@desk.get("/invitation/<token>")
def invitation(token: str) -> ResponseReturnValue:
    """Only shows the form: mail programs open links too."""
    someone = _find(token)
    return _page(someone, token, JoinForm()) if someone else _over()


@desk.post("/invitation/<token>")
def join(token: str) -> ResponseReturnValue:
    """Take the password and use the link up."""
    someone, form = _find(token), JoinForm(request.form)
    if someone is None:
        return _over()
    if not form.validate():
        return _page(someone, token, form, 422)
    db.session.rollback()
    hashed = passwords.hash_password(form.new.data or "")

    def work(s: Session) -> bool:
        joined = people.join(s, token, hashed, now())
        if joined is not None:
            journal.note(s, "join", joined, now())
        return joined is not None

    if not transact(db.session(), work):
        return _over()
    flash(_("Your password is set. You can sign in now."))
    return redirect(url_for("admin.sign_in", language=language()), code=303)


def _find(token: str) -> Admin | None:
    someone = people.invited(db.session(), token, now())
    if someone is not None and request.args.get("language") not in LANGUAGES:
        speak(someone.language)
    return someone


def _over() -> tuple[str, int]:
    return problem(
        404,
        _("This link no longer works"),
        _("It has been used, or its time is over. Ask whoever invited you for another letter."),
    )


def _page(someone: Admin, token: str, form: JoinForm, status: int = 200) -> tuple[str, int]:
    page = render_template(
        "admin/invitation.html", someone=someone, token=token, form=form, shortest=passwords.SHORTEST
    )
    return page, status
