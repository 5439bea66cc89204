"""Finding orders: filters and search as conditions, and pages by key, at a cost that does not grow with the table.

A word, an edition or "has a note" stands for a set of orders. A small set is fetched and sorted; for a large one the
list is walked from its newest end, and each order asked whether it belongs, until a page is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from shop.markets import MARKETS, day_begins
from shop.orders.folding import squeeze, words
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Buyer, Order, OrderLine
from shop.orders.numbers import read_number
from shop.orders.terms import OrderTerm

PER_PAGE = 50
COUNTED = 10_000
"""Sets larger than this are not counted further."""
MOST_WORDS = 12
OF_A_NUMBER = "rr-"
SHORTEST_CODE = 4
LAST = "\U0010ffff"
"""Comes after every character that a term may hold."""

ATTENTION = or_(Order.needs_attention, Order.disputed)
TO_POST = and_(
    Order.allocated,  # says the same as the state beside it, and has a small index
    Order.fulfilment_state == FulfilmentState.TO_POST,
    Order.payment_state.in_((PaymentState.PAID, PaymentState.PART_REFUNDED)),
    ~Order.needs_attention,
    ~Order.disputed,
    ~Order.refunding,
)
"""The same as ``Order.may_be_posted``."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders are wanted; whatever is empty excludes none. Days are the shop's, both included."""

    where: tuple[ColumnElement[bool], ...] = ()
    payment: PaymentState | None = None
    parcel: FulfilmentState | None = None
    edition: int | None = None
    region: str = ""
    country: str = ""
    since: date | None = None
    until: date | None = None
    attention: bool = False
    note: bool = False
    typed: str = ""


class Among(NamedTuple):
    """A set of orders: the statement that lists their ids, and the condition that one belongs."""

    ids: Select[int]
    belongs: ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Found:
    """One page of orders, newest first, and the ids that its neighbours begin beyond, ``None`` where there is none."""

    rows: Sequence[Any] = field(default_factory=list)
    older: int | None = None
    newer: int | None = None


def conditions(session: Session, wanted: Wanted) -> ColumnElement[bool]:
    """All that is wanted as one condition on ``Order``, in the shape that is cheapest for the data as it is."""
    asked: list[ColumnElement[bool]] = [*wanted.where, *_of_the_row(wanted)]
    sets = [*_of_others(wanted)]
    if wanted.typed:
        number = read_number(wanted.typed)
        if number and session.scalar(select(Order.id).where(Order.number == number)) is not None:
            asked.append(Order.number == number)
        elif terms := words(wanted.typed)[:MOST_WORDS]:
            sets += [_begins(word) for word in dict.fromkeys(terms)]
        else:
            asked.append(false())
    return and_(*asked, *_cheapest(session, sets)) if asked or sets else and_(literal(True))


def _of_the_row(wanted: Wanted) -> list[ColumnElement[bool]]:
    asked: list[ColumnElement[bool]] = []
    if wanted.payment:
        asked.append(Order.payment_state == wanted.payment)
    if wanted.parcel:
        asked.append(Order.fulfilment_state == wanted.parcel)
    if wanted.country:
        asked.append(Order.country == wanted.country)
    if wanted.region:
        asked.append(
            Order.market_slug.in_([slug for slug, each in MARKETS.items() if each.region.code == wanted.region])
        )
    if wanted.since:
        asked.append(Order.placed_at >= day_begins(wanted.since))
    if wanted.until:
        asked.append(Order.placed_at < day_begins(wanted.until + timedelta(days=1)))
    if wanted.attention:
        asked.append(ATTENTION)
    return asked


def _of_others(wanted: Wanted) -> list[Among]:
    sets = []
    if wanted.edition is not None:
        of = OrderLine.edition_id == wanted.edition
        sets.append(
            Among(
                select(OrderLine.order_id).where(of),
                select(OrderLine.position).where(of, OrderLine.order_id == Order.id).correlate(Order).exists(),
            )
        )
    if wanted.note:
        noted = Buyer.note != literal("", literal_execute=True)
        sets.append(
            Among(
                select(Buyer.order_id).where(noted),
                select(Buyer.order_id).where(noted, Buyer.order_id == Order.id).correlate(Order).exists(),
            )
        )
    return sets


def _begins(word: str) -> Among:
    """Orders with a term that begins with a word, as it was typed or squeezed."""
    ranges = or_(
        *(
            and_(OrderTerm.term >= beginning, OrderTerm.term < beginning + LAST)
            for beginning in dict.fromkeys((word, _code(word)))
        )
    )
    return Among(
        select(OrderTerm.order_id).where(ranges),
        select(OrderTerm.order_id).where(OrderTerm.order_id == Order.id, ranges).correlate(Order).exists(),
    )


def _code(word: str) -> str:
    """A word in one piece if it may be the beginning of a code, else as it is."""
    squeezed = squeeze(word)
    is_code = any(each.isdigit() for each in squeezed) or word.startswith(OF_A_NUMBER)
    return squeezed if is_code and len(squeezed) >= SHORTEST_CODE else word


def _cheapest(session: Session, sets: list[Among]) -> list[ColumnElement[bool]]:
    """Fetch the smallest set if that costs less than walking the list until a page is full."""
    if not sets:
        return []
    limited = [
        select(func.count()).select_from(each.ids.limit(COUNTED).subquery()).scalar_subquery() for each in sets
    ]
    *sizes, every = session.execute(select(*limited, func.coalesce(func.max(Order.id), 1))).one()
    walked = float(PER_PAGE)
    for size in sizes:
        walked = walked * every / max(1, size)
    smallest = min(range(len(sets)), key=sizes.__getitem__)
    if sizes[smallest] >= COUNTED or sizes[smallest] > walked:
        return [each.belongs for each in sets]
    others = [each.belongs for place, each in enumerate(sets) if place != smallest]
    return [Order.id.in_(sets[smallest].ids), *others]


def page(
    session: Session,
    what: Select[Any],
    condition: ColumnElement[bool],
    *,
    before: tuple[datetime, int] | None = None,
    after: tuple[datetime, int] | None = None,
    size: int = PER_PAGE,
) -> tuple[list[Any], bool]:
    """So many rows of a statement on ``Order`` older than ``before`` or newer than ``after``, newest first.

    Tells besides whether there are more in that direction. Keys are (placed at, id) of an order, so that no row is
    missed or seen twice while others are added.
    """
    key = tuple_(Order.placed_at, Order.id)
    wanted = what.where(condition)
    if before is not None:
        wanted = wanted.where(key < tuple_(literal(before[0], Order.placed_at.type), literal(before[1])))
    if after is not None:
        wanted = wanted.where(key > tuple_(literal(after[0], Order.placed_at.type), literal(after[1])))
        wanted = wanted.order_by(Order.placed_at, Order.id)
    else:
        wanted = wanted.order_by(Order.placed_at.desc(), Order.id.desc())
    found = list(session.execute(wanted.limit(size + 1)))
    rows = found[:size]
    return (rows[::-1] if after is not None else rows), len(found) > size


def key_of(session: Session, order_id: int) -> tuple[datetime, int] | None:
    """Where an order stands in the list."""
    placed_at = session.scalar(select(Order.placed_at).where(Order.id == order_id))
    return None if placed_at is None else (placed_at, order_id)


def orders(session: Session, wanted: Wanted, before: int | None = None, after: int | None = None) -> Found | None:
    """One page of orders; ``None`` when the order that it is to begin beyond does not exist."""
    beyond = before if before is not None else after
    key = key_of(session, beyond) if beyond is not None else None
    if beyond is not None and key is None:
        return None
    condition = conditions(session, wanted)
    if before is not None:
        rows, more = page(session, select(Order), condition, before=key)
        found = [row[0] for row in rows]
        return Found(found, found[-1].id if more else None, found[0].id if found else None)
    if after is not None:
        rows, more = page(session, select(Order), condition, after=key)
        found = [row[0] for row in rows]
        return Found(found, found[-1].id if found else None, found[0].id if more else None)
    rows, more = page(session, select(Order), condition)
    found = [row[0] for row in rows]
    return Found(found, found[-1].id if more else None, None)


def countries(session: Session) -> list[str]:
    """Every country that something was ordered to, found by leaps through the index."""
    first = select(func.min(Order.country).label("country")).cte("leaps", recursive=True)
    later = select(func.min(Order.country)).where(Order.country > first.c.country).scalar_subquery()
    leaps = first.union_all(select(later).where(first.c.country.is_not(None)))
    return list(session.scalars(select(leaps.c.country).where(leaps.c.country.is_not(None))))
