"""Correcting an address before a parcel leaves: the row changes, the timeline says from what to what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from shop.catalogue import postage
from shop.errors import WrongState
from shop.orders import timeline
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Buyer, Order, Worry
from shop.orders.placing import locked
from shop.orders.timeline import Actor

FIELDS = ("name", "line1", "line2", "city", "state", "postal_code", "phone")
"""What can be corrected; the country is not among them, because the postage was paid for it."""


class ChangedMeanwhile(WrongState):
    """Somebody else has changed the address since the form was opened."""


def may_be_corrected(order: Order) -> bool:
    """Whether a parcel is still to go to this address."""
    if order.buyer.erased_at is not None:
        return False
    to_post = order.fulfilment_state is FulfilmentState.TO_POST
    return to_post or any(parcel.is_waiting or parcel.awaits_decision for parcel in order.parcels)


def mark(buyer: Buyer) -> str:
    """Stands for an address as it is now, to tell whether it was changed since."""
    values = [getattr(buyer, name) for name in FIELDS]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()[:16]


def correct(
    session: Session, order_id: int, typed: Mapping[str, str], seen: str, actor: Actor, now: datetime
) -> list[str]:
    """Write a corrected address; answers the names of what has changed.

    A postcode that the shop does not post to puts the order under attention, as a paid one does. ``seen`` is the
    ``mark`` of the address that was corrected. Raises ``WrongState`` when nothing is to be posted,
    ``ChangedMeanwhile`` when somebody else was quicker.
    """
    order = locked(session, order_id)
    if not may_be_corrected(order):
        raise WrongState(f"nothing of {order.number} is to be posted")
    if mark(order.buyer) != seen:
        raise ChangedMeanwhile(order.number)
    changed = [name for name in FIELDS if typed.get(name, "") != getattr(order.buyer, name)]
    if not changed:
        return []
    personal = {}
    for name in changed:
        personal[f"{name}_before"], personal[name] = getattr(order.buyer, name), typed.get(name, "")
        setattr(order.buyer, name, typed.get(name, ""))
    session.flush()
    timeline.note(session, order, "address_corrected", actor, now, personal=personal, fields=changed)
    country, postal_code = order.buyer.country or order.country, order.buyer.postal_code
    northern = "postal_code" in changed and postage.in_northern_ireland(country, postal_code)
    if northern and not postage.northern_ireland_served(session):
        cause = f"corrected:{now.isoformat()}"
        timeline.worry(session, order, Worry.ADDRESS_REFUSED, now, cause=cause, why="northern_ireland")
    return changed
