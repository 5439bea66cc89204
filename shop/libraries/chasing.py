"""Reminding: first the distributor, then the shopkeeper, of a library that waits for an answer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import files, links, routing
from shop.libraries.models import LibraryOrder, LibraryState
from shop.libraries.reminding import after, rules
from shop.orders.timeline import SYSTEM, Actor


def due(session: Session, now: datetime) -> list[int]:
    """Ids of the tickets that somebody is to be reminded of."""
    wanted = select(LibraryOrder.id).where(LibraryOrder.chase_at <= now).order_by(LibraryOrder.id)
    return list(session.scalars(wanted))


def chase(session: Session, order_id: int, now: datetime) -> None:
    """Remind whoever is next of a ticket, unless somebody else has done so or it was answered meanwhile."""
    order = lock(session, LibraryOrder, order_id)
    if order is None or order.chase_at is None or order.chase_at > now or order.state is not LibraryState.SENT:
        return
    if order.chased == 0:
        _remind(session, order, SYSTEM, now)
        order.chased, order.chase_at = 1, after(now, rules(session).tell_days)
        return
    outbox.owe_shopkeepers(
        session,
        Kind.LIBRARY_ATTENTION,
        f"library:{order.id}:silent",
        routing.enquiry_facts(session, order) | {"reason": "silent", "line": ""},
        now,
        library_order_id=order.id,
    )
    routing.write_down(session, order, "told", SYSTEM, now)
    order.chased, order.chase_at = 2, None


def remind_now(session: Session, order_id: int, actor: Actor, now: datetime) -> None:
    """Remind the distributor because a person wants it; raises ``WrongState`` when he is not waited for."""
    order = lock(session, LibraryOrder, order_id)
    if order is None or order.state is not LibraryState.SENT:
        raise WrongState(f"nobody is waited for: {order_id}")
    _remind(session, order, actor, now)
    order.chased, order.chase_at = max(order.chased, 1), after(now, rules(session).tell_days)


def _remind(session: Session, order: LibraryOrder, actor: Actor, now: datetime) -> None:
    facts = routing.enquiry_facts(session, order) | {
        "answer_path": links.open_link(session, order, now),
        "attachments": [files.facts(each) for each in order.files],
        "seen": order.seen_at is not None,
    }
    outbox.owe(
        session,
        Kind.LIBRARY_REMINDER,
        f"library:{order.id}:{len(order.events)}",
        order.routed_to,
        outbox.locale_of(order.supplier_language),
        facts,
        now,
        library_order_id=order.id,
        reply_to=order.email,
    )
    routing.write_down(session, order, "reminded", actor, now, order.supplier_name)
