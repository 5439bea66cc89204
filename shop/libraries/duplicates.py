"""What is asked twice: joined where the purchase order proves it, else only marked for a person."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import lock
from shop.libraries.models import LibraryOrder

LOOKED_BACK = timedelta(days=90)
COMPARED = 300  # tickets


class Asked(Protocol):
    """What tells one enquiry from another."""

    @property
    def institution(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def purchase_order(self) -> str: ...


def key(asked: Asked, edition_id: int) -> str | None:
    """The same for one purchase order of one e-mail domain about one edition; ``None`` without a purchase order."""
    number = " ".join(asked.purchase_order.split()).casefold()
    if not number:
        return None
    domain = asked.email.rpartition("@")[2].casefold()
    return hashlib.sha256(f"{domain}\n{number}\n{edition_id}".encode()).hexdigest()


def first(session: Session, joins_by: str | None) -> LibraryOrder | None:
    """The open ticket of a key, locked, so that it is not closed while it is joined."""
    if joins_by is None:
        return None
    known = session.scalar(select(LibraryOrder.id).where(LibraryOrder.joins_by == joins_by))
    order = lock(session, LibraryOrder, known) if known is not None else None
    return order if order is not None and order.joins_by == joins_by else None


def resembled(session: Session, asked: Asked, edition_id: int, now: datetime) -> LibraryOrder | None:
    """The latest ticket about the same edition from the same library, as far as that can be told."""
    mine = _marks(asked)
    recent = (
        select(LibraryOrder)
        .where(
            LibraryOrder.edition_id == edition_id,
            LibraryOrder.erased_at.is_(None),
            LibraryOrder.placed_at > now - LOOKED_BACK,
        )
        .order_by(LibraryOrder.id.desc())
        .limit(COMPARED)
    )
    # Compared here: databases do not agree on what is the same in large and small letters.
    return next((each for each in session.scalars(recent) if mine & _marks(each)), None)


def _marks(asked: Asked) -> set[tuple[str, str]]:
    told = {"institution": asked.institution, "email": asked.email, "purchase_order": asked.purchase_order}
    return {(name, " ".join(value.split()).casefold()) for name, value in told.items() if value.strip()}
