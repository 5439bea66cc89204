"""Duties: what a worker does from time to time, shared among several workers by a lease."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import String, or_, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_once


class Duty(Base):
    """When a duty was last done, and who has it in hand until when."""

    __tablename__ = "duty"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    begun_at: Mapped[datetime | None]
    """When the last run that came to its end had begun."""
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]


def claim(session: Session, name: str, lease: timedelta, now: datetime) -> Duty | None:
    """Take a duty that is due and that nobody has in hand."""
    add_once(session, Duty, name=name, due_at=now)
    taken = session.scalar(
        update(Duty)
        .where(Duty.name == name, Duty.due_at <= now, or_(Duty.claimed_until.is_(None), Duty.claimed_until <= now))
        .values(claimed_until=now + lease)
        .returning(Duty.name)
        .execution_options(synchronize_session=False)
    )
    return session.get_one(Duty, name, populate_existing=True) if taken else None


def last_begun(session: Session, name: str) -> datetime | None:
    """When the last run that came to its end had begun; ``None`` before the first."""
    known = session.get(Duty, name)
    return known.begun_at if known else None


def finish(session: Session, name: str, begun_at: datetime, every: timedelta) -> None:
    """Note that a run came to its end; the next one is due ``every`` after this one began."""
    session.execute(
        update(Duty)
        .where(Duty.name == name)
        .values(begun_at=begun_at, due_at=begun_at + every, claimed_until=None)
        .execution_options(synchronize_session=False)
    )


def put_off(session: Session, name: str, until: datetime) -> None:
    """A run failed: try again then."""
    session.execute(
        update(Duty)
        .where(Duty.name == name)
        .values(due_at=until, claimed_until=None)
        .execution_options(synchronize_session=False)
    )
