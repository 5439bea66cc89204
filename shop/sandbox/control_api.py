"""The JSON controls under /_control/ (their shapes are fixed in product.md)."""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from shop.sandbox import controls, ledger, timers
from shop.sandbox.controls import Refused
from shop.sandbox.errors import ApiError
from shop.sandbox.mailbox import Mailbox
from shop.sandbox.store import Json
from shop.sandbox.world import World


def blueprint(world: World, mailbox: Mailbox) -> Blueprint:
    """The addresses under /_control/."""
    api = Blueprint("control", __name__, url_prefix="/_control")
    api.before_request(lambda: timers.sweep(world))

    def post(path: str, act: Callable[..., Json]) -> None:
        def view(**parts: str) -> Response:
            return _guarded(lambda: act(world, *parts.values(), _wish()))

        api.add_url_rule(path, f"post {path}", view, methods=["POST"])

    def get(path: str, act: Callable[[], Json]) -> None:
        api.add_url_rule(path, f"get {path}", lambda: _guarded(act), methods=["GET"])

    post("/clock", controls.advance_clock)
    post("/webhooks", controls.set_webhooks)
    post("/faults", controls.set_faults)
    post("/sessions/<object_id>", controls.steer_session)
    post("/refunds", controls.refund)
    post("/refunds/<object_id>", controls.steer_refund)
    post("/disputes", controls.dispute)
    post("/disputes/<object_id>", controls.steer_dispute)
    post("/warnings", controls.warning)
    post("/pay", controls.pay)
    post("/resend", controls.resend)
    post("/mail", lambda _, wish: _mail(mailbox, wish))
    get("/health", lambda: {"ok": True, "now": world.clock.now()})
    get("/clock", lambda: {"offset": world.clock.offset(), "now": world.clock.now()})
    get("/webhooks", lambda: dict(world.deliveries.rates.as_json()))
    get("/faults", world.faults.as_json)
    get("/ledger", lambda: ledger.truth(world))
    get("/deliveries", lambda: {"deliveries": world.deliveries.log(_number("limit", 500))})
    get(
        "/requests",
        lambda: controls.calls(world, _number("after", 0), request.args.get("path", ""), _number("limit", 1000)),
    )

    @api.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(rest: str) -> Response:
        return _json({"error": f"there is no control {request.method} {request.path}"}, 404)

    return api


def _mail(mailbox: Mailbox, wish: Json) -> Json:
    controls.only(wish, "refuse")
    if not isinstance(wish.get("refuse"), bool):
        raise Refused("refuse must be true or false")
    mailbox.refusing = wish["refuse"]
    return {"refuse": mailbox.refusing}


def _wish() -> Json:
    """The body as a JSON object; nothing is an empty one."""
    data = request.get_data(cache=False)
    if not data.strip():
        return {}
    try:
        wish: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON") from None
    if not isinstance(wish, dict):
        raise Refused("the body is not a JSON object")
    return wish


def _number(name: str, default: int) -> int:
    value = request.args.get(name, str(default))
    if not value.isdecimal() or len(value) > 12:
        raise Refused(f"{name} must be a whole number")
    return int(value)


def _guarded(act: Callable[[], Json]) -> Response:
    try:
        return _json(act(), 200)
    except Refused as refusal:
        return _json({"error": refusal.message}, refusal.status)
    except ApiError as error:
        return _json({"error": error.message}, error.status)


def _json(body: Json, status: int) -> Response:
    return Response(json.dumps(body, ensure_ascii=False, indent=2), status, content_type="application/json")
