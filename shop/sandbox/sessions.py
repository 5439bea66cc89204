"""Checkout sessions: opened by the shop, ended by their buyer, by a call, or by time."""

from typing import Any

from shop.sandbox import events, session_rules
from shop.sandbox import session_objects as shapes
from shop.sandbox.errors import invalid, missing, refused
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

LIFE = 24 * 3600


def create(world: World, params: Json) -> Json:
    """The call “Create a Checkout Session”."""
    created = world.clock.now()
    session_id = world.new_id("cs_test_")
    items = []
    for given in params["line_items"]:
        product = shapes.new_product(world.new_id("prod_"), given["price_data"]["product_data"], created)
        price = shapes.new_price(world.new_id("price_"), given["price_data"], product["id"], created)
        world.store.save(product)
        world.store.save(price)
        items.append(shapes.line_item(world.new_id("li_"), price, product, without_blanks(given)))
    rates = []
    for option in params.get("shipping_options", []):
        data = without_blanks(option["shipping_rate_data"])
        rates.append(world.store.save(shapes.shipping_rate(world.new_id("shr_"), data, created)))
    expires_at = params.get("expires_at", created + LIFE)
    body = shapes.new_session(
        session_id, without_blanks(params), items, rates, created, expires_at, page_url(world, session_id)
    )
    hidden = {"line_items": items, "intent_data": without_blanks(params.get("payment_intent_data", {}))}
    world.store.remind("expire_session", session_id, expires_at)
    return world.store.save(body, hidden)


def check_new(world: World, params: Json) -> None:
    """Refuse bad parameters before anything is executed, so that no idempotency key remembers it."""
    session_rules.check_new(params, world.clock.time())


def without_blanks(params: Json) -> Json:
    """A metadata key without a value is no key; nothing else can be blank by now."""
    if isinstance(params.get("metadata"), dict):
        return params | {"metadata": {key: value for key, value in params["metadata"].items() if value}}
    return params


def page_url(world: World, session_id: str) -> str:
    """Where the buyer pays; with a long fragment, as Stripe's addresses have, for shops that would cut it."""
    return f"{world.base_url}/c/pay/{session_id}#fid{session_id[8:].encode().hex()}"


def find(world: World, session_id: str) -> Record:
    """A session by its id, or Stripe's 404."""
    record = world.store.find("checkout.session", session_id)
    if record is None:
        raise missing("checkout.session", session_id, "session")
    return record


def expire(world: World, session_id: str) -> Json:
    """The call “Expire a Checkout Session”: only an open one can be."""
    record = find(world, session_id)
    if record.body["status"] != "open":
        raise refused(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status '
            f"of `{record.body['status']}`.",
        )
    return close(world, record)


def close(world: World, record: Record) -> Json:
    """End an open session unpaid; its page stops working and what was begun on it is cancelled."""
    body = record.body
    session_id = body["id"]
    world.store.unwind("expire_session", session_id)
    if body["payment_intent"] is not None:
        intent = world.get_body("payment_intent", body["payment_intent"])
        before = dict(intent)
        intent |= {"status": "canceled", "canceled_at": world.clock.now(), "cancellation_reason": "automatic"}
        intent["next_action"] = None
        if before["status"] != "canceled":
            events.record(world, "payment_intent.canceled", world.store.save(intent))
    body = body | {"status": "expired", "url": None}
    world.store.save(body, record.hidden | {"challenge": None})
    events.record(world, "checkout.session.expired", body)
    return body


def expire_by_time(world: World, session_id: str) -> None:
    """What the clock does to a session that nobody paid."""
    record = world.store.find("checkout.session", session_id)
    if record is not None and record.body["status"] == "open":
        close(world, record)


def update(world: World, session_id: str, params: Json) -> Json:
    """The call “Update a Checkout Session”: its metadata and what goes to the intent; the rest is for other pages."""
    record = find(world, session_id)
    body, hidden = record.body, record.hidden
    for name in ("collected_information", "line_items", "shipping_options"):
        if name in params:
            raise invalid(f"You can not update `{name}` when `ui_mode` is `hosted_page`.", name)
    session_rules.metadata(params.get("metadata"), "metadata")
    if "metadata" in params:
        body["metadata"] = merged(body["metadata"], params["metadata"])
    data: dict[str, Any] = params.get("payment_intent_data", {})
    if data:
        if body["status"] != "open":
            raise refused(
                "You can only update `payment_intent_data` of an open Checkout Session.", "payment_intent_data"
            )
        session_rules.metadata(data.get("metadata"), "payment_intent_data[metadata]")
        for name in ("statement_descriptor", "statement_descriptor_suffix"):
            session_rules.descriptor(data.get(name), f"payment_intent_data[{name}]")
        intent_data = hidden["intent_data"]
        if "metadata" in data:
            intent_data["metadata"] = merged(intent_data.get("metadata", {}), data["metadata"])
        intent_data |= {name: value or None for name, value in data.items() if name != "metadata"}
    return world.store.save(body, hidden)


def merged(old: Json, new: Json | str) -> Json:
    """“Individual keys can be unset by posting an empty value to them. All keys … to `metadata`”."""
    if isinstance(new, str):
        return {}
    both = old | new
    result = {key: value for key, value in both.items() if value != ""}
    if len(result) > 50:
        raise invalid("Metadata can have at most 50 keys.", "metadata")
    return result
