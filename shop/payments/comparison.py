"""What a reconciliation has found: what was paid on one side only, what differs, what is held for no page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base
from shop.errors import GatewayRefused, WrongState
from shop.payments.gateway import Trials

log = logging.getLogger(__name__)

KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was not the same here and there. ``what`` is the provider's id or the order's number.

    Sums are minor units and their currency's code.
    """

    what: str
    number: str = ""
    here: str = ""
    there: str = ""

    def __str__(self) -> str:
        about = f"{self.what} ({self.number})" if self.number else self.what
        return f"{about}: {self.here or 'nothing'} here, {self.there or 'nothing'} there"


@dataclass(slots=True)
class Report:
    """What a run has found and put right, and what it could not."""

    looked_up: int = 0
    applied: list[str] = field(default_factory=list)
    """What was put right."""
    orphans: list[str] = field(default_factory=list)
    missing_there: list[str] = field(default_factory=list)
    """Ids kept here that the provider does not know."""
    paid_there: list[Found] = field(default_factory=list)
    """Paid at the provider and not here; recorded now."""
    paid_here: list[Found] = field(default_factory=list)
    """Paid here and not at the provider: a person must look."""
    amounts: list[Found] = field(default_factory=list)
    """Payments and refunds whose sums differ: a person must look."""
    holds_ended: list[str] = field(default_factory=list)
    """Orders whose copies were held although their page was dead; they are free now."""
    holds: list[str] = field(default_factory=list)
    """Orders whose copies are held without a live page, still: a person must look at the order."""

    stuck: list[str] = field(default_factory=list)
    """What the provider tells and the rows here do not allow, such as a payment of an order that says it is paid
    although no payment is there: the audit names what is wrong, and a person must look."""
    trials: Trials = field(default_factory=Trials)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found().values())

    def found(self) -> dict[str, Any]:
        """Everything but the number of look-ups and the trials, as JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("looked_up", "trials")}

    @contextmanager
    def known_there(self, what: str) -> Iterator[None]:
        """Note what the provider does not know or answer, or what does not fit the rows here, instead of leaving
        everything after it undone."""
        try:
            with self.trials.of(what):
                yield
        except GatewayRefused as error:
            log.warning("the provider refused to tell of %s: %s", what, error)
            self.missing_there.append(what)
        except WrongState:
            log.exception("%s does not fit what is recorded here", what)
            self.stuck.append(what)


UNRESOLVED = ("paid_here", "amounts", "holds", "missing_there", "stuck")
"""What no run puts right by itself."""


class Comparison(Base):
    """What runs of reconciliation have found; runs one after the other that found the same are one row."""

    __tablename__ = "comparison"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    looked_up: Mapped[int]
    found: Mapped[dict[str, Any]] = mapped_column(JSON)

    @property
    def is_clean(self) -> bool:
        return not any(self.found.values())

    @property
    def unresolved(self) -> int:
        return sum(len(self.found.get(name, ())) for name in UNRESOLVED)


def keep(session: Session, report: Report, now: datetime) -> bool:
    """Keep what a run has found; false when the run before it found the very same."""
    last = latest(session)
    if last is not None and last.found == report.found():
        last.last_at, last.looked_up = now, report.looked_up
        return False
    session.add(Comparison(first_at=now, last_at=now, looked_up=report.looked_up, found=report.found()))
    session.execute(delete(Comparison).where(Comparison.last_at < now - KEPT))
    return True


def latest(session: Session) -> Comparison | None:
    return session.scalar(select(Comparison).order_by(Comparison.id.desc()).limit(1))


def lately(session: Session, most: int) -> list[Comparison]:
    """The last rows in which something was found, the newest first."""
    rows = session.scalars(select(Comparison).order_by(Comparison.id.desc()).limit(4 * most))
    return [row for row in rows if not row.is_clean][:most]
