"""What the distributor says under his link: that he has seen a ticket, supplied it, or cannot."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import links, routing
from shop.libraries.models import LibraryOrder, LibraryState
from shop.libraries.reminding import after, rules
from shop.orders.timeline import Actor

LONGEST_LINE = 300  # characters


class Said(enum.StrEnum):
    """What he may say."""

    SEEN = "seen"
    SUPPLIED = "supplied"
    CANNOT_SUPPLY = "cannot_supply"


STATES = {Said.SUPPLIED: LibraryState.SUPPLIED, Said.CANNOT_SUPPLY: LibraryState.CANNOT_SUPPLY}


def possible(order: LibraryOrder) -> list[Said]:
    """What may still be said about a ticket."""
    said = [Said.SEEN] if order.state is LibraryState.SENT and order.seen_at is None else []
    return said + [each for each, state in STATES.items() if state in routing.MOVES[order.state]]


def answer(session: Session, token: str, said: Said, line: str, now: datetime) -> LibraryOrder:
    """Record what the distributor says about his ticket.

    Raises ``LookupError`` for a link that has ended, ``WrongState`` for an answer that does not follow. The same
    answer again changes nothing, but its line is kept.
    """
    found = links.find(session, token)
    if found is None:
        raise LookupError("no such link")
    order = lock(session, LibraryOrder, found[0].id)
    # Looked at once more: whoever closes a ticket locks it and ends its links.
    session.expire_all()
    again = links.find(session, token)
    if order is None or again is None or not again[1]:
        raise LookupError("the link has ended")
    who = Actor("distributor", order.supplier_name)
    if order.state is STATES.get(said) or (said is Said.SEEN and order.seen_at is not None):
        if line:
            routing.write_down(session, order, "remark", who, now, line)
        return order
    if said not in possible(order):
        raise WrongState(f"{order.ticket} is {order.state.value}")
    if said is Said.SEEN:
        order.seen_at, order.chase_at = now, after(session, now, rules(session).remind_days)
        routing.write_down(session, order, "seen", who, now, line)
        return order
    routing.move(session, order.id, STATES[said], who, line, now)
    if said is Said.CANNOT_SUPPLY:
        outbox.owe_shopkeepers(
            session,
            Kind.LIBRARY_ATTENTION,
            f"library:{order.id}:{len(order.events)}",
            routing.enquiry_facts(session, order) | {"reason": "cannot_supply", "line": line},
            now,
            library_order_id=order.id,
        )
    return order
