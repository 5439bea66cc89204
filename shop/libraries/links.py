"""The distributor's link: one secret address about one ticket, which shows it and takes his answers.

A letter has a link of its own, of which only the digest is kept; all of a ticket's links end when it is closed.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from shop.libraries.models import DistributorLink, LibraryOrder


def open_link(session: Session, order: LibraryOrder, now: datetime) -> str:
    """A new address for the distributor, as a path."""
    token = secrets.token_urlsafe(32)
    session.add(DistributorLink(token_hash=_digest(token), library_order_id=order.id, made_at=now))
    session.flush()
    return f"/distributor/{token}"


def end_links(session: Session, order_id: int, now: datetime) -> None:
    """From now on no address leads to this ticket any more."""
    session.execute(
        update(DistributorLink)
        .where(DistributorLink.library_order_id == order_id, DistributorLink.ended_at.is_(None))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )


def find(session: Session, token: str) -> tuple[LibraryOrder, bool] | None:
    """The ticket of a link, and whether the link still lives; ``None`` for an address that never was one."""
    link = session.get(DistributorLink, _digest(token))
    if link is None:
        return None
    return session.get_one(LibraryOrder, link.library_order_id), link.ended_at is None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
