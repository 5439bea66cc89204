"""The hosted payment page: what the buyer sees between the shop's order form and its order page."""

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from shop.sandbox import payments, timers
from shop.sandbox.pay_form import Typed, read, refusal
from shop.sandbox.store import Json, Record
from shop.sandbox.words import choose, speak
from shop.sandbox.words import gettext as _
from shop.sandbox.world import World

WAIT = 10.0  # seconds that Stripe's page waits for the answer to checkout.session.completed


def blueprint(world: World) -> Blueprint:
    """The addresses under /c/pay/."""
    pages = Blueprint("pay", __name__, url_prefix="/c/pay")

    @pages.get("/<session_id>")
    def show(session_id: str) -> Any:
        timers.sweep(world)
        record = _find(world, session_id)
        if record is None or record.body["status"] != "open":
            return _ended(record, 410 if record is not None and record.body["status"] == "expired" else 200)
        return _page(world, record, Typed(_defaults(record.body)), 200)

    @pages.post("/<session_id>")
    def submit(session_id: str) -> Any:
        timers.sweep(world)
        record = _find(world, session_id)
        if record is None:
            return _ended(None, 404)
        action = request.form.get("action", "pay")
        if action == "cancel" and record.body["cancel_url"]:
            return redirect(record.body["cancel_url"], 303)
        if record.body["status"] != "open":
            return _too_late(record)
        typed = read(record.body, request.form)
        if action not in ("pay", "cancel"):
            typed.errors["action"] = _("Press one of the two buttons.")
        if typed.details is None or typed.errors:
            return _page(world, record, typed, 422)
        try:
            outcome = payments.submit(world, session_id, typed.details, typed.card)
        except payments.NotOpen:
            return _too_late(_find(world, session_id))
        return _after(world, session_id, typed, outcome)

    @pages.get("/<session_id>/challenge")
    def challenge(session_id: str) -> Any:
        timers.sweep(world)
        record = _find(world, session_id)
        if record is None or record.body["status"] != "open":
            return _ended(record, 410 if record is not None and record.body["status"] == "expired" else 200)
        if record.hidden.get("challenge") is None:
            return redirect(url_for("pay.show", session_id=session_id), 303)
        return _html(render_template("sandbox/challenge.html", session=record.body), 200)

    @pages.post("/<session_id>/challenge")
    def answer(session_id: str) -> Any:
        timers.sweep(world)
        record = _find(world, session_id)
        if record is None:
            return _ended(None, 404)
        if record.body["status"] == "open" and record.hidden.get("challenge") is None:
            return redirect(url_for("pay.show", session_id=session_id), 303)
        if request.form.get("action") not in ("accept", "refuse"):
            return _html(render_template("sandbox/challenge.html", session=record.body), 422)
        try:
            outcome = payments.answer_challenge(world, session_id, request.form["action"] == "accept")
        except payments.NotOpen:
            return _too_late(_find(world, session_id))
        if outcome.state == "nothing":
            return redirect(url_for("pay.show", session_id=session_id), 303)
        known = record.hidden.get("details") or {}
        values = {name: value or "" for name, value in (known.get("address") or {}).items()}
        values |= {name: known.get(name) or "" for name in ("email", "name", "phone")}
        values["shipping_rate"] = known.get("rate") or ""
        values |= {f"custom_{key}": text for key, text in known.get("answers", {}).items()}
        return _after(world, session_id, Typed(values), outcome)

    return pages


def _find(world: World, session_id: str) -> Record | None:
    """The session, and its language for the rest of the request."""
    record = world.store.find("checkout.session", session_id)
    locale = (record.body["locale"] if record is not None else None) or "auto"
    if locale == "auto":
        speak(choose())
    elif locale == "ru":
        speak("ru")
    else:
        # Nobody here speaks the other forty languages of Stripe's page.
        speak("en", "GB" if locale == "en-GB" else "US")
    return record


def _after(world: World, session_id: str, typed: Typed, outcome: payments.Outcome) -> Any:
    """Where the buyer goes after a try."""
    if outcome.state == "challenge":
        return redirect(url_for("pay.challenge", session_id=session_id), 303)
    if outcome.state == "done":
        if outcome.event is not None:
            # No lock is held here: the shop asks the API from inside its webhook.
            world.deliveries.wait_for_answer(outcome.event, WAIT)
        return redirect(_success(world.get_body("checkout.session", session_id)), 303)
    record = _find(world, session_id)
    if record is None or record.body["status"] != "open":
        return _too_late(record)
    if outcome.state == "unauthenticated":
        typed.errors["card_number"] = _(
            "Your bank could not confirm that it is you. Try again or use a different card."
        )
    else:
        typed.errors["card_number"] = refusal(outcome.card)
    return _page(world, record, typed, 402)


def _success(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _too_late(record: Record | None) -> Any:
    """A button pressed on a page that has ended; after a double click the first one counts."""
    if record is not None and record.body["status"] == "complete":
        return redirect(_success(record.body), 303)
    return _ended(record, 410)


def _ended(record: Record | None, status: int) -> Response:
    if record is None:
        return _html(render_template("sandbox/ended.html", session=None, back=None), 404)
    session = record.body
    back = _success(session) if session["status"] == "complete" else session["cancel_url"]
    return _html(render_template("sandbox/ended.html", session=session, back=back), status)


def _defaults(session: Json) -> dict[str, str]:
    """What stands in the fields before the buyer types."""
    values = {"email": session["customer_email"] or ""}
    countries = (session["shipping_address_collection"] or {}).get("allowed_countries", [])
    if len(countries) == 1:
        values["country"] = countries[0]
    if session["shipping_cost"] is not None:
        values["shipping_rate"] = session["shipping_cost"]["shipping_rate"]
    for question in session["custom_fields"]:
        values[f"custom_{question['key']}"] = question[question["type"]]["default_value"] or ""
    return values


def _page(world: World, record: Record, typed: Typed, status: int) -> Response:
    rates = []
    for option in record.body["shipping_options"]:
        rates.append(world.get_body("shipping_rate", option["shipping_rate"]))
    chosen = typed.values.get("shipping_rate")
    postage = next((rate for rate in rates if rate["id"] == chosen), rates[0] if rates else None)
    total = record.body["amount_subtotal"] + (postage["fixed_amount"]["amount"] if postage else 0)
    page = render_template(
        "sandbox/pay.html",
        session=record.body,
        items=record.hidden["line_items"],
        rates=rates,
        postage=postage,
        total=total,
        values=typed.values,
        errors=typed.errors,
        countries=(record.body["shipping_address_collection"] or {}).get("allowed_countries", []),
    )
    return _html(page, status)


def _html(page: str, status: int) -> Response:
    response = Response(page, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    # No form-action: browsers apply it to the redirect back to the shop as well.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'"
    )
    return response
