"""The timeline: everything that happens to an order, in a chain of digests that shows what was cut or changed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Table
from sqlalchemy.orm import Session

from shop.database import is_locked
from shop.gathering import insert_of, write
from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders.models import PERSONAL, Concern, Order, PersonalValue, TimelineEntry, Worry


class Actor(NamedTuple):
    """Who did it."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" if self.name else self.kind


BUYER, STRIPE, SYSTEM = Actor("buyer"), Actor("stripe"), Actor("system")


def admin(name: str) -> Actor:
    return Actor("admin", name)


def note(
    session: Session,
    order: Order,
    kind: str,
    actor: Actor,
    now: datetime,
    *,
    personal: Mapping[str, str] | None = None,
    **details: Any,
) -> None:
    """Append to an order's timeline; see ``append``."""
    for name, value in append(session, order, kind, actor, now, personal=personal, **details).items():
        setattr(order, name, value)


def append(
    session: Session,
    order: Order,
    kind: str,
    actor: Actor,
    now: datetime,
    *,
    personal: Mapping[str, str] | None = None,
    **details: Any,
) -> dict[str, Any]:
    """Append to an order's timeline; answers the order's new count and head, which the caller writes.

    Raises ``RuntimeError`` unless the order is locked. ``details`` are JSON and never personal. What is ``personal``
    lies beside the entry, where it can be erased, and the entry holds a salted digest of each value; empty values
    are left out.
    """
    if not is_locked(session, order):
        raise RuntimeError(f"{order.number} is not locked: two writers could take the same place")
    seq = order.timeline_count + 1
    values = [
        {"order_id": order.id, "seq": seq, "field": field, "salt": secrets.token_hex(16), "value": value}
        for field, value in sorted((personal or {}).items())
        if value
    ]
    if values:
        details[PERSONAL] = {each["field"]: value_digest(order, PersonalValue(**each)) for each in values}
    entry = {
        "order_id": order.id,
        "seq": seq,
        "at": now,
        "actor": actor.kind,
        "admin": actor.name,
        "kind": kind,
        "details": details,
    }
    head = digest(order, TimelineEntry(**entry), order.timeline_head)
    write(session, ENTRIES, entry | {"digest": head})
    for each in values:
        write(session, PERSONAL_VALUES, each)
    return {"timeline_count": seq, "timeline_head": head}


_entries: Table = TimelineEntry.__table__  # type: ignore[assignment]
_personal: Table = PersonalValue.__table__  # type: ignore[assignment]
ENTRIES, PERSONAL_VALUES = insert_of(_entries), insert_of(_personal)


def value_digest(order: Order, value: PersonalValue) -> str:
    """SHA-256 over a personal value, its place and its salt, without which it cannot be guessed at."""
    return salted(value.salt, order.number, value.seq, value.field, value.value)


def salted(salt: str, number: str, seq: int, field: str, value: str) -> str:
    """The digest of a personal value of which the parts are known."""
    return _sha256([salt, number, seq, field, value])


def digest(order: Order, entry: TimelineEntry, before: str) -> str:
    """SHA-256 over the entry, its order's number and the digest before it."""
    return link(
        before, order.number, entry.seq, entry.at, Actor(entry.actor, entry.admin), entry.kind, entry.details
    )


def link(
    before: str, number: str, seq: int, at: datetime, actor: Actor, kind: str, details: Mapping[str, Any]
) -> str:
    """The digest of an entry of which the parts are known."""
    written = at.astimezone(UTC).isoformat(timespec="microseconds")
    return _sha256([before, number, seq, written, actor.kind, actor.name, kind, details])


def _sha256(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def breaks(order: Order) -> Iterator[str]:
    """What is wrong with an order's chain: a changed, missing or cut-off entry is named, and a personal value that
    was changed, taken away by itself, or left over by an erasure."""
    before, expected = "", 1
    for entry in order.timeline:
        if entry.seq != expected:
            yield f"entry {expected} is missing"
            return
        if entry.digest != digest(order, entry, before):
            yield f"entry {entry.seq} ({entry.kind}) was changed"
            return
        yield from _broken_values(order, entry)
        before, expected = entry.digest, expected + 1
    if order.timeline_count != expected - 1 or order.timeline_head != before:
        yield f"the timeline ends at entry {expected - 1}, not {order.timeline_count}"


def _broken_values(order: Order, entry: TimelineEntry) -> Iterator[str]:
    """Personal values of one entry that do not fit their digests: all of an order's are there, or none."""
    known = entry.details.get(PERSONAL, {})
    there = {each.field: each for each in entry.personal}
    for field in sorted(known.keys() | there.keys()):
        name = f"the {field} of entry {entry.seq} ({entry.kind})"
        value = there.get(field)
        if value is None:
            if order.buyer.erased_at is None:
                yield f"{name} is missing"
        elif order.buyer.erased_at is not None:
            yield f"{name} was not erased"
        elif known.get(field) != value_digest(order, value):
            yield f"{name} was changed"


def worry(session: Session, order: Order, what: Worry, now: datetime, cause: str = "", **details: Any) -> None:
    """Put an order under the shopkeeper's attention, once for each cause, and owe him a letter about it."""
    known = any(each.worry is what and each.cause == cause for each in order.concerns)
    if known:
        return
    concern = Concern(order_id=order.id, worry=what, cause=cause, details=details, raised_at=now)
    order.concerns.append(concern)
    order.needs_attention = True
    session.flush()
    note(session, order, "attention", SYSTEM, now, worry=what.value, **details)
    tell_shopkeepers(session, order, what, f"concern:{concern.id}", now, **details)


def tell_shopkeepers(
    session: Session, order: Order, what: Worry, cause: str, now: datetime, **details: Any
) -> None:
    """Owe the order desk a letter about an order; by itself it keeps nothing from being posted."""
    context = {"number": order.number, "worry": what.value, "details": details}
    outbox.owe_shopkeepers(session, Kind.ATTENTION, cause, context, now, order.id)


def settle_worry(session: Session, order: Order, concern: Concern, actor: Actor, now: datetime) -> None:
    """A person has looked; the flag falls when nothing else is open."""
    if concern.settled_at is not None:
        return
    concern.settled_at, concern.settled_by = now, actor.name
    order.needs_attention = any(each.settled_at is None for each in order.concerns)
    note(session, order, "attention_settled", actor, now, worry=concern.worry.value)
