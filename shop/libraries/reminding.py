"""When somebody is reminded of a library that waits: what the owner has decided, and the instants it leads to."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from shop.libraries.models import LibraryRules
from shop.markets import after_working_days, day_begins, day_of

ONLY = 1
DEFAULTS = {
    "remind_days": 3,
    "tell_days": 2,
    "valid_days": 30,
    "terms_days": 30,
    "before_due_days": 5,
    "after_due_days": 7,
}
MORNING = timedelta(hours=9)
"""Nobody is reminded before nine in the morning of the shop's day."""


def rules(session: Session) -> LibraryRules:
    """What the owner has decided, or what holds until he does."""
    return session.get(LibraryRules, ONLY) or LibraryRules(id=ONLY, **DEFAULTS)


def after(moment: datetime, working_days: int) -> datetime:
    """The morning so many working days later."""
    return day_begins(after_working_days(day_of(moment), working_days)) + MORNING
