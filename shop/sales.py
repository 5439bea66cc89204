"""Sales by day, in the shop's own time zone: closed days are totalled into rows, whatever is open is counted live.

An order counts on the day it was paid, a refund on the day it succeeded; each currency by itself. A day is closed by
the worker when it has been over for a while; a refund that changes what happened on a closed day opens it again.
"""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Date, Index, String, delete, event, func, insert, inspect, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, insert_once, run, transact
from shop.markets import day_begins, day_of
from shop.money import Currency
from shop.orders.models import Order, OrderLine
from shop.payments.models import Payment, PaymentRole, Refund, RefundState

SETTLED = timedelta(hours=1)
"""So long after its end a day is closed: no transaction that began in it is still under way."""
DAYS_AT_ONCE = 2000
DAYS_A_TIME = 50


class What(enum.StrEnum):
    """What a total is of."""

    COUNTRY = "country"
    """Orders to a country, and the money they brought."""
    EDITION = "edition"
    """Copies of an edition, and their price."""
    REFUND = "refund"
    """Refunds, and the money that went back."""


class ClosedDay(Base):
    """A day whose totals are written; one without sales has none."""

    __tablename__ = "closed_day"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    closed_at: Mapped[datetime]


class DayTotal(Base):
    """One sum of one closed day. ``amount`` in minor units of ``currency``."""

    __tablename__ = "day_total"
    __table_args__ = (
        # All that is added up, in groups already: nothing has to be sorted or looked up.
        Index("ix_day_total_grouped", "month", "what", "currency", "key", "day", "number", "amount"),
    )

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    currency: Mapped[Currency] = mapped_column(primary_key=True)
    what: Mapped[What] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Country, slug of the edition, or nothing."""
    month: Mapped[str] = mapped_column(String(7))
    """``2026-11``."""
    number: Mapped[int]
    amount: Mapped[int]


class Sum(NamedTuple):
    """What a total is of, in which month and currency; of countries all together."""

    month: str
    currency: Currency
    what: What
    key: str


@dataclass(slots=True)
class Totals:
    """Number and amount by month, and orders by country over all the time."""

    number: Counter[Sum] = field(default_factory=Counter)
    amount: Counter[Sum] = field(default_factory=Counter)
    countries: Counter[tuple[Currency, str]] = field(default_factory=Counter)

    def add(self, month: str, what: What, currency: Currency, key: str, number: int, amount: int) -> None:
        each = Sum(month, currency, what, "" if what is What.COUNTRY else key)
        self.number[each] += number
        self.amount[each] += amount
        if what is What.COUNTRY:
            self.countries[currency, key] += number


def month_of(day: date) -> str:
    return day.isoformat()[:7]


def count(session: Session, since: date, until: date) -> Iterator[tuple[What, Currency, str, int, int]]:
    """Total the days from ``since`` up to, not including, ``until``: what, currency, key, number, amount."""
    first, end = day_begins(since), day_begins(until)
    paid = (Order.paid_at >= first, Order.paid_at < end)
    value = func.sum(Order.books_amount + Order.postage_amount)
    orders = select(Order.currency, Order.country, func.count(), value).where(*paid)
    for currency, country, number, amount in session.execute(orders.group_by(Order.currency, Order.country)):
        yield What.COUNTRY, currency, country, number, amount
    copies = (
        select(
            Order.currency,
            OrderLine.slug,
            func.sum(OrderLine.quantity),
            func.sum(OrderLine.quantity * OrderLine.unit_amount),
        )
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(*paid)
        .group_by(Order.currency, OrderLine.slug)
    )
    for currency, slug, number, amount in session.execute(copies):
        yield What.EDITION, currency, slug, number, amount
    back = (
        select(Payment.currency, func.count(), func.sum(Refund.amount))
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Refund.finished_at >= first,
            Refund.finished_at < end,
            Refund.state == RefundState.SUCCEEDED,
            Payment.role == PaymentRole.ORDER,
        )
        .group_by(Payment.currency)
    )
    for currency, number, amount in session.execute(back):
        yield What.REFUND, currency, "", number, amount


def close_days(session: Session, now: datetime, most: int = DAYS_AT_ONCE) -> int:
    """Total every day that is over and open, some in each transaction; answers how many were closed."""
    first = session.scalar(select(func.min(Order.paid_at)))
    if first is None:
        return 0
    end = day_of(now - SETTLED)
    due = list(_open(session, day_of(first), end))[:most]
    session.rollback()
    for place in range(0, len(due), DAYS_A_TIME):
        transact(session, _close_several, due[place : place + DAYS_A_TIME], now)
    return len(due)


def _close_several(session: Session, days: list[date], now: datetime) -> None:
    """Write the totals of days that follow each other, each day's once; most days of a small shop have none.

    The days are closed first and counted after, so that what changes one meanwhile is counted or opens it again.
    """
    closing = insert_once(ClosedDay, session.get_bind().dialect.name).returning(ClosedDay.day)
    closed = set(run(session, closing, [{"day": day, "closed_at": now} for day in days]).scalars())
    rows = [
        {
            "day": day,
            "currency": currency,
            "what": what,
            "key": key,
            "month": month_of(day),
            "number": number,
            "amount": amount,
        }
        for day in sorted(closed & _busy(session, days[0], days[-1] + timedelta(days=1)))
        for what, currency, key, number, amount in count(session, day, day + timedelta(days=1))
    ]
    if rows:
        session.execute(insert(DayTotal), rows)


def _busy(session: Session, since: date, until: date) -> set[date]:
    """The days from ``since`` up to ``until`` on which money came or went back."""
    first, end = day_begins(since), day_begins(until)
    moments = (
        select(moment).where(moment >= first, moment < end) for moment in (Order.paid_at, Refund.finished_at)
    )
    return {day_of(each) for asked in moments for each in session.scalars(asked) if each is not None}


def _open(session: Session, since: date, until: date) -> Iterator[date]:
    """The days from ``since`` up to ``until`` that are not closed."""
    closed = set(session.scalars(select(ClosedDay.day).where(ClosedDay.day >= since, ClosedDay.day < until)))
    day = since
    while day < until:
        if day not in closed:
            yield day
        day += timedelta(days=1)


def totals(session: Session, since: date, now: datetime) -> Totals:
    """Everything sold from a day to now: closed days from their rows, the others live."""
    found = Totals()
    today = day_of(now)
    of = (DayTotal.month >= month_of(since), DayTotal.day >= since, DayTotal.day <= today)
    grouped = (DayTotal.month, DayTotal.what, DayTotal.currency, DayTotal.key)
    # Countries are not added up by the database: it would read the same rows a second time to tell them apart.
    closed = select(*grouped, func.sum(DayTotal.number), func.sum(DayTotal.amount)).where(*of).group_by(*grouped)
    for month, what, currency, key, number, amount in session.execute(closed):
        found.add(month, what, currency, key, number, amount)
    for first, end in _stretches(_open(session, since, today + timedelta(days=1))):
        for what, currency, one, many, much in count(session, first, end):
            found.add(month_of(first), what, currency, one, many, much)
    return found


def _stretches(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Days that follow each other in one month, as first day and the day after the last."""
    first = last = None
    for day in days:
        if first is None or last is None or day != last + timedelta(days=1) or day.month != first.month:
            if first is not None and last is not None:
                yield first, last + timedelta(days=1)
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last + timedelta(days=1)


@event.listens_for(Refund, "after_insert")
@event.listens_for(Refund, "after_update")
def _open_again(_mapper: Any, connection: Connection, refund: Refund) -> None:
    """A refund that succeeds, or no longer has, changes the days that its ends fell on."""
    finished, state = inspect(refund).attrs.finished_at.history, inspect(refund).attrs.state.history
    if not finished.has_changes() and not state.has_changes():
        return
    moments = [*(finished.added or ()), *(finished.deleted or ()), *(finished.unchanged or ())]
    for day in {day_of(each) for each in moments if each is not None}:
        reopen(connection, day)


def reopen(connection: Connection, day: date) -> None:
    """Forget a closed day's totals: it is counted live until it is closed anew."""
    connection.execute(delete(DayTotal).where(DayTotal.day == day))
    connection.execute(delete(ClosedDay).where(ClosedDay.day == day))


def reopen_all(session: Session) -> None:
    """Forget every closed day, after orders were written past the domain."""
    session.execute(delete(DayTotal))
    session.execute(delete(ClosedDay))


def differences(session: Session) -> Iterator[tuple[date, str, str, str]]:
    """Closed days whose rows are not what is counted now: day, what, what stands, what should."""
    closed = list(session.scalars(select(ClosedDay.day).order_by(ClosedDay.day)))
    written: defaultdict[date, dict[tuple[What, Currency, str], tuple[Any, ...]]] = defaultdict(dict)
    of, values = (
        (DayTotal.what, DayTotal.currency, DayTotal.key),
        (DayTotal.number, DayTotal.amount, DayTotal.month),
    )
    for day, what, currency, key, *found in session.execute(select(DayTotal.day, *of, *values)):
        written[day][what, currency, key] = tuple(found)
    busy = _busy(session, closed[0], closed[-1] + timedelta(days=1)) if closed else set()
    for day in closed:
        if day not in busy and day not in written:
            continue  # nothing stands, and nothing should
        stands = written[day]
        should = {
            (what, currency, key): (number, amount, month_of(day))
            for what, currency, key, number, amount in count(session, day, day + timedelta(days=1))
        }
        for what, currency, key in sorted(stands.keys() | should.keys()):
            old, new = stands.get((what, currency, key)), should.get((what, currency, key))
            if old != new:
                yield day, f"{what.value} {key} {currency.value}".replace("  ", " "), str(old), str(new)
    orphaned = select(DayTotal.day).where(DayTotal.day.not_in(select(ClosedDay.day))).distinct()
    for day in session.scalars(orphaned):
        yield day, "totals", "some", "none: the day is open"
