"""The control page: everything the controls do, for a person with a browser."""

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from shop.sandbox import controls, timers
from shop.sandbox.controls import Refused
from shop.sandbox.errors import ApiError
from shop.sandbox.mailbox import Mailbox
from shop.sandbox.store import Json
from shop.sandbox.words import choose, language, speak
from shop.sandbox.words import gettext as _
from shop.sandbox.world import World

SHOWN = 50


def blueprint(world: World, mailbox: Mailbox) -> Blueprint:
    """The page / and the forms on it."""
    pages = Blueprint("desk", __name__)

    @pages.get("/")
    def index() -> Response:
        speak(choose())
        return _page(world, mailbox, None, 200)

    @pages.post("/desk/<what>")
    def do(what: str) -> Any:
        speak(choose())
        timers.sweep(world)
        try:
            _act(
                world,
                mailbox,
                what,
                {name: value.strip() for name, value in request.form.items() if name != "lang"},
            )
        except Refused as refusal:
            return _page(world, mailbox, refusal.message, refusal.status)
        except ApiError as error:
            return _page(world, mailbox, error.message, error.status)
        return redirect(url_for("desk.index", lang=language()) + f"#{request.form.get('back', 'top')[:20]}", 303)

    return pages


def _act(world: World, mailbox: Mailbox, what: str, form: dict[str, str]) -> None:
    """Translate a form's texts into the wish of a control."""
    object_id = form.get("id", "")
    deed = {"do": form.get("do", "")}
    match what:
        case "clock":
            controls.advance_clock(world, {"advance": _whole(form, "advance")})
        case "webhooks":
            controls.set_webhooks(world, {name: _share(form, name) for name in controls.RATES})
        case "faults":
            wish: Json = {name: _whole(form, name) for name in ("before", "after")} | {
                "rate": _share(form, "rate")
            }
            if form.get("status"):
                wish["status"] = _whole(form, "status")
            controls.set_faults(world, wish)
        case "session":
            controls.steer_session(world, object_id, deed)
        case "refund":
            amount = _whole(form, "amount") if form.get("amount") else None
            controls.refund(world, {"payment_intent": form.get("payment_intent"), "amount": amount})
        case "steer-refund":
            controls.steer_refund(world, object_id, deed)
        case "dispute":
            controls.dispute(world, {"charge": form.get("charge"), "inquiry": form.get("inquiry") == "on"})
        case "steer-dispute":
            controls.steer_dispute(world, object_id, deed)
        case "warning":
            controls.warning(world, {"charge": form.get("charge")})
        case "resend":
            controls.resend(world, {"event": form.get("event")})
        case "mail":
            mailbox.refusing = form.get("refuse") == "on"
        case _:
            raise Refused(_("There is no such control."), 404)


def _whole(form: dict[str, str], name: str) -> int:
    value = form.get(name) or "0"
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise Refused(_("Enter a whole number."))
    return int(value)


def _share(form: dict[str, str], name: str) -> float:
    try:
        return float((form.get(name) or "0").replace(",", ".")) / 100
    except ValueError:
        raise Refused(_("Enter a percentage.")) from None


def _page(world: World, mailbox: Mailbox, problem: str | None, status: int) -> Response:
    timers.sweep(world)
    kinds = ("checkout.session", "charge", "refund", "dispute", "radar.early_fraud_warning")
    found = {kind: [r.body for r in world.store.records(kind, limit=SHOWN)] for kind in kinds}
    page = render_template(
        "sandbox/desk.html",
        problem=problem,
        now=world.clock.now(),
        offset=world.clock.offset(),
        rates=world.deliveries.rates.as_json(),
        faults=world.faults.as_json(),
        sessions=found["checkout.session"],
        charges=[charge for charge in found["charge"] if charge["status"] == "succeeded"],
        refunds=found["refund"],
        disputes=found["dispute"],
        warnings=found["radar.early_fraud_warning"],
        deliveries=world.deliveries.log(SHOWN),
        webhook_url=world.config.webhook_url,
        refusing=mailbox.refusing,
    )
    response = Response(page, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response
