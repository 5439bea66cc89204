"""Withdrawing from a purchase in two steps: the statement, then “Confirm withdrawal”; acknowledged at once.

Directive 2011/83/EU, article 11a: a function to be found at any time, which asks for the name, what identifies the
contract and where to send the acknowledgement, and a second step that only confirms it.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import Form
from wtforms.validators import DataRequired

from shop import throttle
from shop.content import interchange
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now, settings
from shop.storefront.caching import Answer, public
from shop.storefront.library_form import is_email, line, text
from shop.storefront.order_pages import hidden
from shop.storefront.pages import filled
from shop.withdrawals import statements
from shop.withdrawals.statements import Statement

AT_ONCE = 10
EVERY = timedelta(minutes=1)
"""One address may be shared by many, so it is slowed and never closed."""
LETTERS_TO_ONE, WINDOW = 10, timedelta(minutes=10)


class WithdrawalForm(Form):
    """Who withdraws, from which order, and where the acknowledgement goes."""

    name = line(_l("Your name"), 200, DataRequired(_l("Please write your name.")))
    number = line(
        _l("Order number"),
        40,
        DataRequired(_l("Please write the order number; if you do not have it, the day on which you ordered.")),
    )
    email = line(
        _l("E-mail address"),
        254,
        DataRequired(_l("Please write your e-mail address, so that we can acknowledge the statement.")),
        is_email,
    )
    details = text(_l("Which copies, if not all of them"), 500)

    def statement(self) -> Statement:
        return Statement(
            name=self.name.data or "",
            number=self.number.data or "",
            email=self.email.data or "",
            details=self.details.data or "",
        )


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/withdraw", "withdraw", public(show_form), methods=["GET"])
    blueprint.add_url_rule("/withdraw", "state_withdrawal", take_statement, methods=["POST"])
    blueprint.add_url_rule("/withdraw/<token>", "withdrawal", acknowledge, methods=["GET"])


def show_form() -> Answer:
    return _form_page(WithdrawalForm(formdata=None))


def take_statement() -> Answer:
    """The first post shows what will be stated, the second one (``step`` is ``confirm``) states it."""
    form, step = WithdrawalForm(request.form), request.form.get("step", "")
    if step == "change":
        return hidden(_form_page(form))
    if not form.validate():
        bad = {field.name: str(field.errors[0]) for field in form if field.errors}
        return hidden(_form_page(form, bad), 400)
    if step != "confirm":
        return hidden(render_template("storefront/withdraw_confirm.html", form=form, noindex=True))
    session, at, market, statement = db.session(), now(), g.market, form.statement()
    visitor = throttle.mark(request.remote_addr, settings().secret_key)
    reader = hashlib.sha256(statement.email.casefold().encode()).hexdigest()

    def work(s: Session) -> str:
        known = statements.known(s, statement)
        if known is None:
            throttle.pace(s, f"withdrawal:{visitor}", AT_ONCE, EVERY, at)
            throttle.spend(s, f"withdrawal:to:{reader}", LETTERS_TO_ONE, WINDOW, at)
            known = statements.keep(s, statement, market, at)
        return known.token

    try:
        token = transact(session, work)
    except TooMany as error:
        answer = hidden(
            render_template("storefront/withdraw_confirm.html", form=form, too_many=True, noindex=True), 429
        )
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    return redirect(url_for("storefront.withdrawal", token=token), 303)


def acknowledge(token: str) -> Answer:
    """What was stated, and when, for whoever knows the address; never whether such an order exists."""
    kept = statements.by_token(db.session(), token)
    if kept is None:
        abort(404)
    return hidden(render_template("storefront/withdrawal.html", kept=kept, noindex=True))


def _form_page(form: WithdrawalForm, bad: dict[str, str] | None = None) -> str:
    page = interchange.page(db.session(), "withdraw", g.market.language)
    return render_template(
        "storefront/withdraw.html", form=form, bad=bad or {}, text=filled(page) if page else None
    )
