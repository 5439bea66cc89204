"""Looking things up: one object by its id, or a list with the filters that the call takes."""

from collections.abc import Callable
from typing import Any

from shop.sandbox import endpoints, events, ledger, lists, sessions, tax_codes
from shop.sandbox.errors import exclusive, invalid, missing
from shop.sandbox.store import Json
from shop.sandbox.world import World

Handler = Callable[[World, Json, str], Json]


def retrieve(kind: str, noun: str, param: str) -> Handler:
    """One object by its id, or the 404 that names what was looked for."""

    def act(world: World, params: Json, object_id: str) -> Json:
        record = world.store.find(kind, object_id)
        if record is None:
            raise missing(noun, object_id, param)
        return current(world, record.body)

    return act


def current(world: World, body: Json) -> Json:
    """An object as of now."""
    return ledger.current(world, body) if body["object"] == "balance_transaction" else body


def listing(kind: str, url: str, **filters: str) -> Handler:
    """A list; each filter is a parameter's name and its SQL condition."""

    def act(world: World, params: Json, _: str) -> Json:
        where = {clause: params[name] for name, clause in filters.items() if name in params}
        found = lists.page(world, kind, url, params, where)
        found["data"] = [current(world, body) for body in found["data"]]
        return found

    return act


def check_list(world: World, params: Json) -> None:
    """Refuse impossible pages."""
    lists.check(params)


def list_sessions(world: World, params: Json, _: str) -> Json:
    """“List all Checkout Sessions”; nobody here has a customer, a payment link or a subscription."""
    names = {"payment_intent": "intent = ?", "status": "status = ?"}
    where = {clause: params[name] for name, clause in names.items() if name in params}
    if "customer_details" in params:
        where["label = ?"] = params["customer_details"]["email"]
    if any(name in params for name in ("customer", "customer_account", "payment_link", "subscription")):
        where["0 = ?"] = 1
    return lists.page(world, "checkout.session", "/v1/checkout/sessions", params, where)


def list_session_items(world: World, params: Json, session_id: str) -> Json:
    """“Retrieve a Checkout Session's line items”."""
    record = sessions.find(world, session_id)
    return lists.of_items(record.hidden["line_items"], f"/v1/checkout/sessions/{session_id}/line_items", params)


def check_events(world: World, params: Json) -> None:
    """Refuse types of events that do not exist."""
    lists.check(params)
    if "type" in params and "types" in params:
        raise exclusive("type", "types")
    if len(params.get("types", [])) > 20:
        raise invalid("You may pass at most 20 event types.", "types")
    known = set(endpoints.event_types())
    for place, name in enumerate(params.get("types", [])):
        if name not in known:
            raise invalid(f"Invalid event type: {name[:80]}", f"types[{place}]")


def list_events(world: World, params: Json, _: str) -> Json:
    """“List all events” of the last 30 days."""
    where: dict[str, Any] = {"created > ?": world.clock.now() - events.KEPT}
    if "types" in params:
        where[f"label IN ({', '.join('?' * len(params['types']))})"] = params["types"]
    if "type" in params:
        where["label GLOB ?"] = params["type"]
    if "delivery_success" in params:
        sign = "=" if params["delivery_success"] else ">"
        where[f"json_extract(body, '$.pending_webhooks') {sign} ?"] = 0
    return lists.page(world, "event", "/v1/events", params, where)


def retrieve_event(world: World, params: Json, event_id: str) -> Json:
    """“Retrieve an event” of the last 30 days."""
    record = world.store.find("event", event_id)
    if record is None or record.body["created"] <= world.clock.now() - events.KEPT:
        raise missing("event", event_id, "id")
    return record.body


def retrieve_tax_code(world: World, params: Json, code: str) -> Json:
    """“Retrieve a tax code”."""
    found = tax_codes.find(code)
    if found is None:
        raise missing("tax code", code, "id")
    return found


def list_tax_codes(world: World, params: Json, _: str) -> Json:
    """“List all tax codes” that are known here."""
    codes = [found for code in tax_codes.NAMES if (found := tax_codes.find(code))]
    return lists.of_items(codes, "/v1/tax_codes", params)


def list_charge_refunds(world: World, params: Json, charge_id: str) -> Json:
    """The refunds of one charge, for the list that expansion begins."""
    if world.store.find("charge", charge_id) is None:
        raise missing("charge", charge_id, "charge")
    return lists.page(world, "refund", f"/v1/charges/{charge_id}/refunds", params, {"charge = ?": charge_id})
