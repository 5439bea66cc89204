"""Lists: filters, pages and their ends ("Pagination" of the API reference)."""

from collections.abc import Sequence
from typing import Any

from shop.sandbox.errors import ApiError, exclusive, invalid
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def check(params: Json) -> None:
    """Refuse impossible pages before looking at anything."""
    if not 1 <= params.get("limit", 10) <= 100:
        raise invalid("Invalid integer: limit must be between 1 and 100.", "limit", "parameter_invalid_integer")
    if "starting_after" in params and "ending_before" in params:
        raise exclusive("starting_after", "ending_before")


def page(world: World, kind: str, url: str, params: Json, where: dict[str, Any]) -> Json:
    """One page, newest first; `where` names SQL conditions and their values."""
    clauses, values = _created(params.get("created"))
    for clause, value in where.items():
        clauses.append(clause)
        values.extend(value if isinstance(value, (list, tuple)) else [value])
    limit = params.get("limit", 10)
    backwards = "ending_before" in params
    for name, sign in (("starting_after", "<"), ("ending_before", ">")):
        if name in params:
            mark = world.store.find(kind, params[name])
            if mark is None:
                message = f"No such {kind}: '{params[name]}'"
                raise ApiError(400, message, param=name, code="resource_missing")
            clauses.append(f"seq {sign} ?")
            values.append(mark.seq)
    condition = " AND ".join(f"({c})" for c in clauses) or "1"
    found = world.store.records(kind, condition, values, newest_first=not backwards, limit=limit + 1)
    more = len(found) > limit
    found = found[:limit]
    if backwards:
        found.reverse()
    return {"object": "list", "data": [record.body for record in found], "has_more": more, "url": url}


def _created(given: Json | int | None) -> tuple[list[str], list[Any]]:
    if given is None:
        return [], []
    if isinstance(given, int):
        return ["created = ?"], [given]
    return [f"created {BOUNDS[name]} ?" for name in given], list(given.values())


def of_items(items: Sequence[Json], url: str, params: Json) -> Json:
    """A page of a list that is kept inside another object, in its own order."""
    items = list(items)
    ids = [item["id"] for item in items]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise ApiError(400, f"No such item: '{params[name]}'", param=name, code="resource_missing")
    limit = params.get("limit", 10)
    if "ending_before" in params:
        before = items[: ids.index(params["ending_before"])]
        return {"object": "list", "data": before[-limit:], "has_more": len(before) > limit, "url": url}
    if "starting_after" in params:
        items = items[ids.index(params["starting_after"]) + 1 :]
    return {"object": "list", "data": items[:limit], "has_more": len(items) > limit, "url": url}


def bodies(records: Sequence[Record]) -> list[Json]:
    """The public parts of records."""
    return [record.body for record in records]
