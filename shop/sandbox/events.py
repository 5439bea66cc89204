"""Events: what happened, as Stripe tells it ("Events" of the API reference)."""

from contextvars import ContextVar
from typing import Any

from shop.sandbox.config import API_VERSION
from shop.sandbox.store import Json
from shop.sandbox.world import World

KEPT = 30 * 24 * 3600  # "We retain events for 30 days."

# Request id and idempotency key of the API call at work; nothing for what buyers, people and time do.
CAUSE: ContextVar[tuple[str | None, str | None]] = ContextVar("cause", default=(None, None))


def record(world: World, kind: str, body: Json, previous: dict[str, Any] | None = None) -> Json:
    """Write down that something happened and owe it to whoever listens; inside the transaction of its cause."""
    request_id, key = CAUSE.get()
    data: Json = {"object": body}
    if previous is not None:
        data["previous_attributes"] = previous
    event = {
        "id": world.new_id("evt_"),
        "object": "event",
        "api_version": API_VERSION,
        "created": world.clock.now(),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request_id, "idempotency_key": key},
        "type": kind,
    }
    event["pending_webhooks"] = world.deliveries.plan(event)
    return world.store.save(event)


def changed(world: World, kind: str, body: Json, before: Json) -> Json:
    """An `….updated` event: the object now, and what the changed attributes were."""
    previous = {name: before[name] for name in before if body.get(name) != before[name]}
    return record(world, kind, body, previous)
