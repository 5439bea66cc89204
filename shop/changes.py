"""What was changed at the desk, field by field: who, when, from what to what; and edits that cross each other.

An object is seen here as *facts*: its fields by name, each as the text in which a form shows it. The rooms that own
the objects turn rows into facts and back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base
from shop.errors import WrongState

Facts = Mapping[str, str]
SHOWN = 50


class Change(Base):
    """One field that was changed once. Never changed, never deleted."""

    __tablename__ = "change"
    __table_args__ = (Index(None, "subject", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(80))
    """What object: ``edition:paperback``, ``postage``, ``page:terms``, ``entry:7``."""
    field: Mapped[str] = mapped_column(String(80))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class Meanwhile(WrongState):
    """Somebody else has changed these fields since the form was opened."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = tuple(fields)


def seal(facts: Facts) -> str:
    """What a form carries along, so that on its return each field can be told that was changed meanwhile."""
    return " ".join(f"{name}={_digest(value)}" for name, value in sorted(facts.items()))


def differing(seen: str, facts: Facts) -> list[str]:
    """The fields that are no longer as a form saw them; all of them if it does not say."""
    known = _unsealed(seen)
    return [name for name, value in facts.items() if known.get(name) != _digest(value)]


def untouched(seen: str, typed: Facts) -> list[str]:
    """The fields that came back as the form was given them."""
    known = _unsealed(seen)
    return [name for name, value in typed.items() if known.get(name) == _digest(value)]


def compare(seen: str, facts: Facts) -> None:
    """Raise ``Meanwhile`` unless all is as a form saw it; the object's row must be locked."""
    if names := differing(seen, facts):
        raise Meanwhile(names)


def record(session: Session, subject: str, before: Facts, after: Facts, actor: str, now: datetime) -> list[str]:
    """Write down what differs, in the transaction that changes it; answers the names of those fields."""
    names = [name for name in {**before, **after} if before.get(name, "") != after.get(name, "")]
    session.add_all(
        Change(
            subject=subject,
            field=name,
            before=before.get(name, ""),
            after=after.get(name, ""),
            actor=actor,
            at=now,
        )
        for name in names
    )
    return names


def history(session: Session, subjects: Iterable[str], most: int = SHOWN) -> Sequence[Change]:
    """The latest changes of some objects, newest first."""
    wanted = select(Change).where(Change.subject.in_(list(subjects))).order_by(Change.id.desc()).limit(most)
    return session.scalars(wanted).all()


def latest(session: Session, subject: str, fields: Iterable[str]) -> dict[str, Change]:
    """Who last changed each of some fields."""
    wanted = select(Change).where(Change.subject == subject, Change.field.in_(list(fields))).order_by(Change.id)
    return {change.field: change for change in session.scalars(wanted)}


def _unsealed(seen: str) -> dict[str, str]:
    return {name: digest for name, _, digest in (each.partition("=") for each in seen.split())}


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]
