"""Stripe's HTTP API: keys, versions, idempotency, errors, faults, and one log line for every call."""

import json
import socket
import time
import traceback
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from shop.sandbox import events, expansion, forms, lists, schema, tax_codes, timers
from shop.sandbox.config import API_VERSION, TEST_KEYS
from shop.sandbox.errors import ApiError, invalid
from shop.sandbox.faults import Fault
from shop.sandbox.idempotency import LONGEST, Answer, Keys, fingerprint
from shop.sandbox.lookups import current
from shop.sandbox.resources import RESOURCES, Resource
from shop.sandbox.store import Json
from shop.sandbox.world import World


@dataclass(slots=True)
class Call:
    """One request on its way through."""

    world: World
    resource: Resource
    object_id: str
    request_id: str
    started: float = field(default_factory=time.time)
    key: str | None = None
    form: Json = field(default_factory=dict)
    replayed: str | None = None
    fault: str | None = None
    error: str | None = None
    retry: bool | None = None
    """What the header `Stripe-Should-Retry` says, if it is sent."""


def blueprint(world: World) -> Blueprint:
    """The addresses under /v1/."""
    api = Blueprint("api", __name__)
    keys = Keys(world.store)
    for number, resource in enumerate(RESOURCES):
        api.add_url_rule(
            resource.path,
            f"r{number}",
            _view(world, keys, resource),
            methods=[resource.method],
            provide_automatic_options=False,
        )

    @api.route("/v1/<path:rest>", methods=["GET", "POST", "DELETE", "PUT", "PATCH"])
    def unknown(rest: str) -> Response:
        message = (
            f"Unrecognized request URL ({request.method}: {request.path}). Please see "
            "https://stripe.com/docs or we can help at https://support.stripe.com/."
        )
        return _send(world, 404, _error(world, ApiError(404, message), "req_unknown"), "req_unknown")

    return api


def _view(world: World, keys: Keys, resource: Resource) -> Any:
    def view(**parts: str) -> Response:
        call = Call(world, resource, parts.get("id", ""), world.ids.request())
        return _answer(call, keys)

    return view


def _answer(call: Call, keys: Keys) -> Response:
    """One call from its arrival to its log line."""
    world = call.world
    before, after = world.faults.draw()
    try:
        if before is not None:
            call.fault = f"before: {before.name}"
            if before.status == 0:
                return _cut(call)
            raise before.error()
        status, body = _work(call, keys, after)
    except ApiError as error:
        call.error, call.retry = error.message, error.retry
        status, body = error.status, _error(world, error, call.request_id)
    except HTTPException as error:
        call.error = error.name
        status = error.code or 500
        body = _error(world, ApiError(status, error.name), call.request_id)
    except Exception:
        # A caller of an API is owed an answer; the call's row in the log says that the mistake is the sandbox's.
        traceback.print_exc()
        call.error = "the sandbox itself failed"
        status, body = 500, _error(world, Fault(500).error(), call.request_id)
    if after is not None:
        call.fault = f"after: {after.name}"
        if after.truncated:
            return _log(call, status, _send(world, status, body, call.request_id, half=True))
        if after.status == 0:
            return _cut(call)
        status, body = after.status, _error(world, after.error(), call.request_id)
    if status >= 500 and call.key is not None and (after is not None or call.replayed is not None):
        call.retry = False  # the key keeps it
    answer = _send(world, status, body, call.request_id, replayed=call.replayed)
    if call.retry is not None:
        answer.headers["Stripe-Should-Retry"] = "true" if call.retry else "false"
    return _log(call, status, answer)


def _work(call: Call, keys: Keys, after: Fault | None) -> tuple[int, str]:
    """Check everything that can be checked, then do it once per idempotency key."""
    world, resource = call.world, call.resource
    owner = authenticate(request.headers.get("Authorization", ""))
    version = request.headers.get("Stripe-Version", API_VERSION)
    if version != API_VERSION:
        raise invalid(f"Invalid Stripe API version: {version[:40]}. The sandbox speaks {API_VERSION} only.")
    call.form = _form()
    timers.sweep(world)
    call.key = request.headers.get("Idempotency-Key")
    if call.key is None or resource.method == "GET":
        return _execute(call, None, "", after)
    if not 0 < len(call.key) <= LONGEST:
        raise invalid(f"Idempotency keys must be between 1 and {LONGEST} characters long.")
    name = f"{owner} {call.key}"
    mark = fingerprint(request.method, request.path, call.form)
    with keys.working(name):
        known = keys.recall(name, mark, world.clock.now())
        if known is not None:
            call.replayed = known.request_id
            return known.status, known.body
        return _execute(call, keys, name, after, mark)


def _execute(call: Call, keys: Keys | None, name: str, after: Fault | None, mark: str = "") -> tuple[int, str]:
    """The call itself; what a key remembers is written in the same transaction."""
    world, resource = call.world, call.resource
    params = schema.parse(resource.params, call.form)
    paths = params.pop("expand", [])
    expansion.check(paths, resource.kind, listed=resource.listed)
    if resource.check is not None:
        resource.check(world, params)
    cause = events.CAUSE.set((call.request_id, call.key))
    now = world.clock.now()

    def keep(status: int, body: str) -> None:
        if keys is None:
            return
        if after is not None and after.status >= 500 and not after.truncated:
            # What was answered is what is remembered, "including 500 errors".
            status, body = after.status, _error(world, after.error(), call.request_id)
        keys.keep(name, mark, now, Answer(status, body, call.request_id))

    try:
        with world.store.transaction():
            result = resource.act(world, params, call.object_id)
            result = expansion.expand(result, paths, partial(load, world), partial(on_request, world))
            text = json.dumps(result, indent=2, ensure_ascii=False)
            keep(200, text)
    except ApiError as error:
        if error.stored:
            with world.store.transaction():
                keep(error.status, _error(world, error, call.request_id))
        raise
    finally:
        events.CAUSE.reset(cause)
    if world.faults.slow:
        time.sleep(world.faults.slow)
    return 200, text


def authenticate(header: str) -> str:
    """The key of a call, as Bearer or as the user name of Basic; only test keys are taken."""
    scheme, _, value = header.partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = b64decode(key, validate=True).decode().partition(":")[0]
        except (Base64Error, UnicodeDecodeError, ValueError):
            key = ""
    elif scheme.lower() != "bearer":
        key = ""
    if not key:
        raise ApiError(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )
    rest = key.removeprefix(TEST_KEYS[0]).removeprefix(TEST_KEYS[1])
    if rest == key or not rest or not rest.replace("_", "a").isalnum() or not rest.isascii() or len(key) > 255:
        shown = key[:8] + "*" * min(len(key[8:]), 20) + key[-4:] if len(key) > 16 else "*" * len(key)
        raise ApiError(401, f"Invalid API Key provided: {shown}")
    return key


def _form() -> Json:
    """The parameters: the query of a GET or DELETE, the body of a POST."""
    if request.method == "GET" or (request.method == "DELETE" and not request.content_length):
        return forms.decode(request.query_string)
    kind = request.mimetype
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise invalid(f"Invalid request: the API takes form-encoded bodies, not {kind[:60]}.")
    return forms.decode(request.query_string) | forms.decode(request.get_data(cache=False))


def load(world: World, object_id: str) -> Json | None:
    """Whatever object has this id, for `expand`."""
    if object_id.startswith("txcd_"):
        return tax_codes.find(object_id)
    rows = world.store.rows("SELECT body FROM object WHERE id=?", (object_id,))
    return current(world, json.loads(rows[0]["body"])) if rows else None


def on_request(world: World, body: Json, what: str) -> Any:
    """The properties that are left out unless they are expanded."""
    if what == "line_items":
        items = world.get("checkout.session", body["id"]).hidden["line_items"]
        return lists.of_items(items, f"/v1/checkout/sessions/{body['id']}/line_items", {})
    if what == "refunds":
        found = lists.bodies(world.store.records("refund", "charge=?", (body["id"],)))
        return lists.of_items(found, f"/v1/charges/{body['id']}/refunds", {})
    if what == "total_details.breakdown":
        return {"discounts": [], "taxes": []}
    if what.endswith("currency_options"):
        return {}
    return []


def _error(world: World, error: ApiError, request_id: str) -> str:
    return json.dumps(error.body(f"{world.base_url}/#{request_id}"), indent=2, ensure_ascii=False)


def _send(
    world: World, status: int, body: str, request_id: str, *, replayed: str | None = None, half: bool = False
) -> Response:
    """An answer with Stripe's headers; a truncated one promises more bytes than it brings."""
    data = body.encode()
    response = Response(data[: len(data) // 2] if half else data, status, content_type="application/json")
    response.headers["Content-Length"] = str(len(data))
    response.headers["Request-Id"] = request_id
    response.headers["Stripe-Version"] = API_VERSION
    response.headers["Cache-Control"] = "no-cache, no-store"
    key = request.headers.get("Idempotency-Key")
    if key is not None and key.isprintable():
        response.headers["Idempotency-Key"] = key
        response.headers["Original-Request"] = replayed or request_id
    if replayed is not None:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _cut(call: Call) -> Response:
    """Hang up without a word."""
    connection = request.environ.get("werkzeug.socket")
    response = _log(call, 0, Response(b"", 500))
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return response


def _log(call: Call, status: int, response: Response) -> Response:
    """Write the call down, for tests to look at what a shop sends."""
    call.world.store.write(
        "INSERT INTO call (id, at, method, path, params, idempotency_key, status, fault, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.request_id,
            call.started,
            request.method,
            request.path,
            json.dumps(call.form, ensure_ascii=False),
            call.key,
            status,
            call.fault,
            call.error,
        ),
    )
    return response
