"""Counting how often something was asked, in a small table, so that every process counts together."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from datetime import datetime, timedelta

from sqlalchemy import String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_once
from shop.errors import TooMany


class Throttle(Base):
    """How often a key was seen in the window that began at ``since``."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    since: Mapped[datetime]
    count: Mapped[int]


def spend(session: Session, key: str, limit: int, window: timedelta, now: datetime) -> None:
    """Count one more under a key; raises ``TooMany`` when the window already holds ``limit``."""
    add_once(session, Throttle, key=key, since=now, count=0)
    session.execute(
        update(Throttle)
        .where(Throttle.key == key, Throttle.since <= now - window)
        .values(since=now, count=0)
        .execution_options(synchronize_session=False)
    )
    taken = session.scalar(
        update(Throttle)
        .where(Throttle.key == key, Throttle.count < limit)
        .values(count=Throttle.count + 1)
        .returning(Throttle.count)
        .execution_options(synchronize_session=False)
    )
    if taken is None:
        since = session.scalar(select(Throttle.since).where(Throttle.key == key))
        left = (since + window - now) if since else window
        raise TooMany(max(1, int(left.total_seconds()) + 1))


def forget(session: Session, key: str) -> None:
    session.execute(delete(Throttle).where(Throttle.key == key))


def sweep(session: Session, now: datetime, older_than: timedelta = timedelta(days=1)) -> None:
    """Drop windows that ended long ago."""
    session.execute(delete(Throttle).where(Throttle.since < now - older_than))


def prefix(address: str | None) -> str:
    """What stands for one visitor: an IPv4 address whole, an IPv6 address by its /64."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def mark(address: str | None, secret: str) -> str:
    """The same for the same visitor, but nothing from which his address could be read."""
    return hmac.new(secret.encode(), prefix(address).encode(), hashlib.sha256).hexdigest()
