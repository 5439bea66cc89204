"""Until when a paid order is to be posted."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from shop.markets import after_working_days, day_begins, day_of
from shop.trader import SHOP, Trader


def dispatch_days(session: Session) -> int:
    """Within so many working days a paid order is posted."""
    seller = session.get(Trader, SHOP)
    return seller.dispatch_days if seller else 2


def post_by(paid_at: datetime, days: int) -> date:
    """The last working day (Monday to Friday, in the shop's zone) on which an order is posted in time."""
    return after_working_days(day_of(paid_at), days)


def overdue_since(session: Session, now: datetime) -> datetime:
    """An order that was paid before this instant, and is still to be posted, is overdue."""
    days, today = dispatch_days(session), day_of(now)
    day = today
    while post_by(day_begins(day), days) >= today:
        day -= timedelta(days=1)
    return day_begins(day + timedelta(days=1))
