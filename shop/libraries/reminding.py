"""When somebody is reminded of a library that waits: what the owner has decided, and the instants it leads to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from shop.libraries.models import LibraryRules
from shop.markets import after_working_days, day_begins, day_of, days_off

ONLY = 1
DEFAULTS: dict[str, Any] = {
    "remind_days": 3,
    "tell_days": 2,
    "valid_days": 30,
    "terms_days": 30,
    "before_due_days": 5,
    "after_due_days": 7,
    "holidays": "",
}
MORNING = timedelta(hours=9)
"""Nobody is reminded before nine in the morning of the shop's day."""


def rules(session: Session) -> LibraryRules:
    """What the owner has decided, or what holds until he does."""
    return session.get(LibraryRules, ONLY) or LibraryRules(id=ONLY, **DEFAULTS)


def after(session: Session, moment: datetime, working_days: int) -> datetime:
    """The morning so many working days later; the owner's days off are none."""
    holidays = days_off(rules(session).holidays)
    return day_begins(after_working_days(day_of(moment), working_days, holidays)) + MORNING
