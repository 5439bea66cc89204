"""Webhook endpoints that are registered through the API ("Webhook Endpoints" of the API reference)."""

from typing import Any

from stripe.params._webhook_endpoint_create_params import WebhookEndpointCreateParams

from shop.sandbox import schema, session_rules
from shop.sandbox.config import API_VERSION, is_web_address
from shop.sandbox.errors import invalid, missing
from shop.sandbox.sessions import merged, without_blanks
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

MOST = 16


def check(world: World, params: Json) -> None:
    """Refuse bad parameters before anything is executed."""
    if "url" in params and not is_web_address(params["url"]):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    if "enabled_events" in params:
        if not params["enabled_events"]:
            raise invalid("You must enable at least one event.", "enabled_events")
        if "*" in params["enabled_events"] and len(params["enabled_events"]) > 1:
            raise invalid("When `*` is given, no other event can be.", "enabled_events")
    if params.get("connect"):
        raise invalid("The sandbox's account has no Connect.", "connect")
    session_rules.metadata(params.get("metadata"), "metadata")


def create(world: World, params: Json) -> Json:
    """The call “Create a webhook endpoint”: the secret is shown this once."""
    if len(world.store.records("webhook_endpoint")) >= MOST:
        raise invalid(f"You have reached the maximum of {MOST} test webhook endpoints.")
    version = params.get("api_version") or None
    if version not in (None, API_VERSION):
        raise invalid(f"The sandbox renders events in version {API_VERSION} only.", "api_version")
    secret = world.new_id("whsec_")
    body = {
        "id": world.new_id("we_"),
        "object": "webhook_endpoint",
        "api_version": version,
        "application": None,
        "created": world.clock.now(),
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": without_blanks({"metadata": params.get("metadata") or {}})["metadata"],
        "status": "enabled",
        "url": params["url"],
    }
    world.store.save(body, {"secret": secret})
    return body | {"secret": secret}


def find(world: World, endpoint_id: str) -> Record:
    """An endpoint by its id, or Stripe's 404."""
    record = world.store.find("webhook_endpoint", endpoint_id)
    if record is None:
        raise missing("webhook endpoint", endpoint_id, "webhook_endpoint")
    return record


def update(world: World, endpoint_id: str, params: Json) -> Json:
    """The call “Update a webhook endpoint”."""
    body = find(world, endpoint_id).body
    values: dict[str, Any] = {name: params[name] for name in ("enabled_events", "url") if name in params}
    if "description" in params:
        values["description"] = params["description"] or None
    if "metadata" in params:
        values["metadata"] = merged(body["metadata"], params["metadata"])
    if "disabled" in params:
        values["status"] = "disabled" if params["disabled"] else "enabled"
    return world.store.save(body | values)


def delete(world: World, endpoint_id: str) -> Json:
    """The call “Delete a webhook endpoint”."""
    find(world, endpoint_id)
    world.store.forget(endpoint_id)
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def event_types() -> tuple[str, ...]:
    """Every type of event there is, from the package's own list."""
    fields = schema.shape_of(WebhookEndpointCreateParams).fields
    assert fields is not None
    item = fields["enabled_events"].item
    assert item is not None
    return item.choices
