"""Counting how often something was asked, in a small table, so that every process counts together."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
from datetime import datetime, timedelta

from sqlalchemy import String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_once, lock
from shop.errors import TooMany


class Throttle(Base):
    """How often a key was seen in the window that began at ``since``; for ``pace``, until when it is spoken for."""

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


def give_back(session: Session, key: str) -> None:
    """Take back what was spent: it turned out not to count."""
    session.execute(
        update(Throttle)
        .where(Throttle.key == key, Throttle.count > 0)
        .values(count=Throttle.count - 1)
        .execution_options(synchronize_session=False)
    )


def pace(session: Session, key: str, burst: int, every: timedelta, now: datetime) -> None:
    """Let a key through ``burst`` times at once and from then on once in ``every``, for as long as it likes.

    An address that many people share is slowed by this and never closed: each who is refused (``TooMany``) need wait
    no longer than ``every`` for the next turn (GCRA, ITU-T I.371: a leaky bucket with one instant to remember).
    """
    add_once(session, Throttle, key=key, since=now, count=0)
    row = lock(session, Throttle, key)
    if row is None:
        raise LookupError(key)
    taken_until = max(row.since, now)
    wait = taken_until - (burst - 1) * every - now
    if wait > timedelta(0):
        raise TooMany(max(1, math.ceil(wait.total_seconds())))
    row.since = taken_until + every


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
