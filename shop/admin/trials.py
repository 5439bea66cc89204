"""Trying out from the set-up page: whether Stripe answers, and whether letters arrive."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from shop.admin.desk import desk, person
from shop.admin.soundings import way_of_letters
from shop.database import transact
from shop.errors import GatewayError, GatewayRefused, WrongState
from shop.extensions import db, gateway, now, settings
from shop.letters import outbox, proof
from shop.payments import inbox

A_WHILE = timedelta(minutes=1)


@desk.post("/setup/stripe")
def ask_stripe() -> ResponseReturnValue:
    """Ask Stripe something small with the shop's key, and say what came of it."""
    db.session.rollback()
    try:
        next(gateway().undelivered_since(now() - A_WHILE, inbox.TYPES), None)
    except GatewayRefused as refusal:
        flash(_("Stripe refused the key: %(code)s.", code=refusal.code), "problem")
    except GatewayError:
        flash(_("Stripe did not answer. Please try again in a minute."), "problem")
    else:
        flash(_("Stripe answers to the shop’s key."))
    return redirect(url_for("admin.setup_page"), code=303)


@desk.post("/setup/letters")
def send_test_letter() -> ResponseReturnValue:
    """Owe a letter to whoever is signed in, which proves by its code that it has come."""
    someone, way, at = person(), way_of_letters(settings()), now()
    path = url_for("admin.setup_page", letter="")
    locale = outbox.locale_of(someone.language)
    transact(db.session(), lambda s: proof.ask(s, someone.email, locale, path, way, at))
    flash(_("The letter goes to %(email)s. Open the link in it when it has come.", email=someone.email))
    return redirect(url_for("admin.setup_page") + "#letters", code=303)


@desk.post("/setup/letters/arrived")
def letter_arrived() -> ResponseReturnValue:
    """Take the code of a test letter."""
    typed, at = request.form.get("code", "")[:100], now()
    try:
        transact(db.session(), lambda s: proof.has_arrived(s, typed, at))
    except WrongState:
        flash(_("No test letter had this code."), "problem")
    else:
        flash(_("Noted: letters arrive."))
    return redirect(url_for("admin.setup_page") + "#letters", code=303)
