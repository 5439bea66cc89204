"""The timeline: everything that happens to an order, in a chain of digests that shows what was cut or changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from shop.letters import outbox
from shop.letters.models import Kind
from shop.orders.models import Concern, Order, TimelineEntry, Worry


class Actor(NamedTuple):
    """Who did it."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" if self.name else self.kind


BUYER, STRIPE, SYSTEM = Actor("buyer"), Actor("stripe"), Actor("system")


def admin(name: str) -> Actor:
    return Actor("admin", name)


def note(session: Session, order: Order, kind: str, actor: Actor, now: datetime, **details: Any) -> None:
    """Append to an order's timeline. The order must be locked; ``details`` are JSON and never personal."""
    seq = order.timeline_count + 1
    entry = TimelineEntry(
        order_id=order.id,
        seq=seq,
        at=now,
        actor=actor.kind,
        admin=actor.name,
        kind=kind,
        details=details,
        digest="",
    )
    entry.digest = digest(order, entry, order.timeline_head)
    session.add(entry)
    order.timeline_count, order.timeline_head = seq, entry.digest


def digest(order: Order, entry: TimelineEntry, before: str) -> str:
    """SHA-256 over the entry, its order's number and the digest before it."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    whole = [before, order.number, entry.seq, at, entry.actor, entry.admin, entry.kind, entry.details]
    return hashlib.sha256(
        json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


def breaks(order: Order) -> Iterator[str]:
    """What is wrong with an order's chain: a changed, missing or cut-off entry is named."""
    before, expected = "", 1
    for entry in order.timeline:
        if entry.seq != expected:
            yield f"entry {expected} is missing"
            return
        if entry.digest != digest(order, entry, before):
            yield f"entry {entry.seq} ({entry.kind}) was changed"
            return
        before, expected = entry.digest, expected + 1
    if order.timeline_count != expected - 1 or order.timeline_head != before:
        yield f"the timeline ends at entry {expected - 1}, not {order.timeline_count}"


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
