"""One's own second factor: set up by a QR code and a first code, recovery codes shown once."""

from __future__ import annotations

import segno
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy.orm import Session

from shop.admin import guessing
from shop.admin.desk import desk, person
from shop.admin.forms import CodeForm
from shop.database import transact
from shop.errors import TooMany, WrongState
from shop.extensions import db, now
from shop.staff import Admin
from shop.staff import second_factor as factor
from shop.trader import SHOP, Trader


class WrongCode(Exception):
    """The code is not the offered secret's."""


@desk.get("/account/second-factor")
def second_factor() -> ResponseReturnValue:
    return _page(CodeForm())


@desk.post("/account/second-factor/offer")
def offer_second_factor() -> ResponseReturnValue:
    """Show a new secret. What was set up before holds until a code has confirmed the new one."""
    who = person().id
    transact(db.session(), lambda s: factor.offer(s.get_one(Admin, who)))
    return redirect(url_for("admin.second_factor"), code=303)


@desk.post("/account/second-factor")
def accept_second_factor() -> ResponseReturnValue:
    """Take the first code of the app, and show the recovery codes for the only time."""
    form, who = CodeForm(request.form), person().id
    if not form.validate():
        return _page(form, 422)
    counted = guessing.presence_keys(who)
    try:
        guessing.count(counted)
    except TooMany as error:
        page, status = _page(form, 429, guessing.sentence(error))
        return page, status, {"Retry-After": str(error.retry_after)}

    def work(s: Session) -> list[str]:
        codes = factor.accept(s, s.get_one(Admin, who), form.code.data or "", now())
        if codes is None:
            raise WrongCode
        guessing.was_right(s, counted)
        return codes

    try:
        codes = transact(db.session(), work)
    except WrongCode:
        form.code.errors = [_("This is not the code that the app shows now. Is the clock of the telephone right?")]
        return _page(form, 403)
    return _codes(codes)


@desk.post("/account/second-factor/codes")
def renew_recovery_codes() -> ResponseReturnValue:
    """New recovery codes in place of all those before."""
    who = person().id

    def work(s: Session) -> list[str]:
        someone = s.get_one(Admin, who)
        if not someone.has_second_factor:
            raise WrongState("there is nothing to recover")
        return factor.new_recovery_codes(s, someone)

    return _codes(transact(db.session(), work))


@desk.post("/account/second-factor/remove")
def remove_second_factor() -> ResponseReturnValue:
    """Do without it again, unless the owner asks everybody for one."""
    who = person()
    if who.second_factor_required:
        raise WrongState("everybody is asked for a second factor")
    transact(db.session(), lambda s: factor.remove(s, s.get_one(Admin, who.id)))
    flash(_("From now on the password alone is asked for."))
    return redirect(url_for("admin.account"), code=303)


def _codes(codes: list[str]) -> tuple[str, int]:
    return render_template("admin/recovery_codes.html", codes=codes), 200


def _page(form: CodeForm, status: int = 200, problem: str = "") -> tuple[str, int]:
    session = db.session()
    someone = session.get_one(Admin, person().id)
    page = render_template(
        "admin/second_factor.html",
        form=form,
        offered=" ".join(_in_fours(someone.totp_offered)),
        picture=_picture(factor.address(someone, _issuer(session))) if someone.totp_offered else "",
        codes_left=factor.recovery_codes_left(session, someone.id),
        problem=problem,
    )
    return page, status


def _issuer(session: Session) -> str:
    """What the app calls the shop."""
    seller = session.get(Trader, SHOP)
    return (seller.name if seller else "") or _("Order desk")


def _picture(text: str) -> Markup:
    """A QR code as a drawing in the page; always dark on light, whatever the page's colours."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        dark="#000", light="#fff", border=4, omitsize=True, svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - made by segno of the text's modules, not of the text


def _in_fours(secret: str) -> list[str]:
    return [secret[at : at + 4] for at in range(0, len(secret), 4)]
