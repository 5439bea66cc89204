"""Finding orders: filters and search as conditions, and pages by key, at a cost that does not grow with the table.

A word, an edition or "has a note" stands for a set of orders. A small set is fetched, put into the list's order and
asked whether it is in the others, until a page is full; for a large one the list is walked from its newest end, and
each order asked whether it belongs. Sets that are large and have little in common would be walked to the end of the
list: a walk that has not filled its page within its window is given up, and the smallest set fetched after all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session, aliased

from shop.markets import MARKETS, day_begins
from shop.orders.folding import squeeze, words
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Buyer, Order, OrderLine
from shop.orders.numbers import read_number
from shop.orders.paging import PER_PAGE, Key, Listing, key_of, listed, literally, page
from shop.orders.terms import OrderTerm

COUNTED = 5_000
"""Sets larger than this are not counted further."""
STEPS, STEPS_ALONE = 3, 0.5
"""So many orders are walked past, each asked whether it belongs, in the time in which one of a set is fetched and asked
whether it is in the others. Nothing is asked of a set that is alone, and a word often stands in name and e-mail: its
orders are half as many as its terms."""
WIDER = 3
"""A set up to so many times as large is read whole rather than asked for each order of another one."""
SPREAD = 5
"""So many times as far as is expected a walk may go: what is found does not lie evenly, and several words of an order
may begin alike."""
SHORT_WALK, LONG_WALK = 10_000, 30_000
"""A walk is given up after so many orders: at least, at most."""
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

SHOWN: Select[*tuple[Any, ...]] = select(
    Order.id,
    Order.number,
    Order.placed_at,
    Order.country,
    Order.currency,
    (Order.books_amount + Order.postage_amount).label("amount"),
    Order.payment_state,
    Order.fulfilment_state,
    Order.needs_attention,
    Order.disputed,
    Order.refunding,
    TO_POST.label("may_be_posted"),
    Buyer.name,
    Buyer.email,
    Buyer.erased_at,
).join(Buyer, Buyer.order_id == Order.id)
"""As much of orders and their buyers as a list shows: values, for objects would take as long again to make."""
LINES = (
    select(
        OrderLine.order_id,
        OrderLine.slug,
        OrderLine.posted,
        (OrderLine.quantity - OrderLine.called_off).label("remaining"),
        (OrderLine.quantity - OrderLine.called_off - OrderLine.posted).label("to_post"),
    )
    .where(OrderLine.order_id.in_(bindparam("orders", expanding=True)))
    .order_by(OrderLine.order_id, OrderLine.position)
)
"""Of their lines, under the names that these have in ``OrderLine``."""


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
    """A set of orders: the statement that lists their ids, and the condition that one with a given id belongs.

    PostgreSQL can make no join of the condition and asks it of one order after the other (an EXISTS holds an OFFSET 0
    for that): its own choice comes from guesses at how much two sets have in common, and they are often far off.
    """

    ids: Select[int]
    belongs: Callable[[Any], ColumnElement[bool]]
    placed_at: SQLColumnExpression[datetime] | None = None
    """When each was placed, if its rows tell."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of orders, newest first, and the ids that its neighbours begin beyond, ``None`` where there is none."""

    rows: Sequence[Any] = field(default_factory=list)
    older: int | None = None
    newer: int | None = None


class Ways(NamedTuple):
    """Two ways to what is wanted, and how far a walk may go; ``walk`` is ``None`` if fetching is cheaper anyway."""

    fetch: Listing
    walk: Listing | None = None
    window: int = 0


def listing(session: Session, wanted: Wanted) -> Listing:
    """All that is wanted, in the shape that is cheapest for the data as it is."""
    ways = _ways(session, wanted)
    return ways.walk or ways.fetch


def _ways(session: Session, wanted: Wanted) -> Ways:
    asked: list[ColumnElement[bool]] = [*wanted.where, *_of_the_row(wanted)]
    sets = [*_of_others(wanted)]
    if wanted.typed:
        number = read_number(wanted.typed)
        if number and session.scalar(select(Order.id).where(Order.number == number)) is not None:
            asked.append(Order.number == number)
        elif terms := _as_one_code(session, wanted.typed) or words(wanted.typed)[:MOST_WORDS]:
            sets += [_begins(word) for word in dict.fromkeys(terms)]
        else:
            asked.append(false())
    return _cheapest(session, asked, sets) if sets else Ways(listed(and_(true(), *asked)))


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
                lambda order: exists(select(OrderLine.position).where(of, OrderLine.order_id == order).offset(0)),
            )
        )
    if wanted.note:
        noted = Buyer.note != literal("", literal_execute=True)
        sets.append(
            Among(
                select(Buyer.order_id).where(noted),
                lambda order: exists(select(Buyer.order_id).where(noted, Buyer.order_id == order).offset(0)),
            )
        )
    return sets


def _begins(word: str) -> Among:
    """Orders with a term that begins with a word, as it was typed or squeezed."""
    terms = aliased(OrderTerm)  # in one statement there may be several words
    beginnings = list(dict.fromkeys((word, _code(word))))
    ranges = or_(*(and_(terms.term >= each, terms.term < each + LAST) for each in beginnings))

    def belongs(order: Any) -> ColumnElement[bool]:
        """The first of the order's terms from a word on begins with it.

        Asked with both ends of the range, PostgreSQL may read all that begins with the word for each order: it guesses
        that this is but one row, and then prefers the smaller index.
        """
        of_order = select(terms.term).where(terms.order_id == order).order_by(terms.term).limit(1)
        return or_(*(of_order.where(terms.term >= each).scalar_subquery() < each + LAST for each in beginnings))

    return Among(select(terms.order_id).where(ranges), belongs, terms.placed_at)


def _as_one_code(session: Session, typed: str) -> list[str]:
    """What was typed in one piece, if it is the beginning of a code that was written in several, as a tracking number
    is on a receipt; else nothing."""
    whole = squeeze(typed)
    if len(typed.split()) < 2 or not any(each.isdigit() for each in whole):
        return []
    there = select(OrderTerm.order_id).where(OrderTerm.term >= whole, OrderTerm.term < whole + LAST).limit(1)
    return [whole] if session.scalar(there) is not None else []


def _code(word: str) -> str:
    """A word in one piece if it may be the beginning of a code, else as it is."""
    squeezed = squeeze(word)
    is_code = any(each.isdigit() for each in squeezed) or word.startswith(OF_A_NUMBER)
    return squeezed if is_code and len(squeezed) >= SHORTEST_CODE else word


def _cheapest(session: Session, asked: list[ColumnElement[bool]], sets: list[Among]) -> Ways:
    """Fetch the smallest set if that costs less than walking the list until a page is full.

    What is asked of the order's own columns is a set as well, which its index lists in order. Of a set that is fetched
    only what is in the others too is looked at: these are read whole if they are not much larger, else asked.
    """
    own = select(Order.id).where(*asked)
    counted = [each.ids.limit(COUNTED) for each in sets] + [own.limit(COUNTED)] * bool(asked)
    limited = [select(func.count()).select_from(each.subquery()).scalar_subquery() for each in counted]
    *sizes, every = session.execute(select(*limited, func.coalesce(func.max(Order.id), 1))).one()
    walked = float(PER_PAGE)
    for size in sizes:
        walked = walked * every / max(1, size)
    smallest, *larger = sorted(range(len(sets)), key=sizes.__getitem__)
    walk = listed(and_(*asked, _in_turn([sets[place].belongs(Order.id) for place in (smallest, *larger)])))
    if asked and sizes[-1] < COUNTED and sizes[-1] <= sizes[smallest]:
        return Ways(walk)
    wide = min(COUNTED, WIDER * sizes[smallest])

    def others(order_id: Any) -> list[ColumnElement[bool]]:
        """Within IS TRUE an IN is answered from a hash table; PostgreSQL would otherwise guess but one row."""
        return [
            order_id.in_(each.ids).is_(true()) if sizes[place] < wide else each.belongs(order_id)
            for place, each in ((place, sets[place]) for place in larger)
        ]

    fetch = _fetched(sets[smallest], asked, others)
    steps = STEPS if len(sets) > 1 else STEPS_ALONE
    if sizes[smallest] < COUNTED and sizes[smallest] * steps <= walked:
        return Ways(fetch)
    return Ways(fetch, walk, min(max(SHORT_WALK, int(SPREAD * walked)), LONG_WALK))


def _in_turn(conditions: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    """All of them, each asked only where those before it hold: those of an AND the database asks as it likes."""
    first, *others = conditions
    return case((first, _in_turn(others)), else_=false()) if others else first


def _fetched(
    among: Among, asked: list[ColumnElement[bool]], others: Callable[[Any], list[ColumnElement[bool]]]
) -> Listing:
    """A set that is fetched: each order once, for several of its words may begin alike.

    The orders themselves are asked one after the other: PostgreSQL would join them, and may read the whole list.
    """
    if among.placed_at is not None:
        once = among.ids.add_columns(among.placed_at.label("placed_at")).distinct().subquery()

        def asked_of(order_id: Any) -> list[ColumnElement[bool]]:
            own = [exists(select(Order.id).where(Order.id == order_id, *asked).offset(0))] if asked else []
            return others(order_id) + own

        return Listing(select(once.c[0].label("id"), once.c.placed_at), once.c.placed_at, once.c[0], asked_of)
    order_id = among.ids.distinct().subquery().c[0]
    placed_at = select(Order.placed_at).where(Order.id == order_id, *asked).scalar_subquery()
    chosen = (
        select(order_id.label("id"), placed_at.label("placed_at")).where(*others(order_id)).offset(0).subquery()
    )
    return Listing(select(chosen.c.id).where(chosen.c.placed_at.is_not(None)), chosen.c.placed_at, chosen.c.id)


def _page(session: Session, ways: Ways, before: Key | None, after: Key | None) -> tuple[list[Any], bool]:
    """One page of orders, found by a walk for as long as that is cheap."""
    if ways.walk is not None:
        end = _end_of_window(session, ways.window, before, after)
        within = ways.walk
        if end is not None:
            key = tuple_(Order.placed_at, Order.id)
            limit = key < literally(end) if after is not None else key > literally(end)
            within = within._replace(ids=within.ids.where(limit))
        rows, more = page(session, SHOWN, within, before=before, after=after)
        if more or end is None:
            return rows, more
    return page(session, SHOWN, ways.fetch, before=before, after=after)


def _end_of_window(session: Session, window: int, before: Key | None, after: Key | None) -> Key | None:
    """Where an order stands that is about so many further on; ``None`` if there are no more than that.

    Ids follow the list nearly, and counting through it would cost as much as a short walk.
    """
    wanted = select(Order.id, Order.placed_at)
    if after is not None:
        wanted = wanted.where(Order.id > after[1] + window).order_by(Order.id)
    else:
        newest = before[1] if before else select(func.max(Order.id)).scalar_subquery()
        wanted = wanted.where(Order.id < newest - window).order_by(Order.id.desc())
    end = session.execute(wanted.limit(1)).first()
    return None if end is None else (end.placed_at, end.id)


def orders(session: Session, wanted: Wanted, before: int | None = None, after: int | None = None) -> Found | None:
    """One page of orders; ``None`` when the order that it is to begin beyond does not exist."""
    beyond = before if before is not None else after
    key = key_of(session, beyond) if beyond is not None else None
    if beyond is not None and key is None:
        return None
    ways = _ways(session, wanted)
    if before is not None:
        found, more = _page(session, ways, key, None)
        return Found(found, found[-1].id if more else None, found[0].id if found else None)
    if after is not None:
        found, more = _page(session, ways, None, key)
        return Found(found, found[-1].id if found else None, found[0].id if more else None)
    found, more = _page(session, ways, None, None)
    return Found(found, found[-1].id if more else None, None)


def lines(session: Session, orders: Sequence[Any]) -> dict[int, list[Row[*tuple[Any, ...]]]]:
    """The lines of orders of a page, by the order's id."""
    found: dict[int, list[Row[*tuple[Any, ...]]]] = {each.id: [] for each in orders}
    for line in session.execute(LINES, {"orders": list(found)}):
        found[line.order_id].append(line)
    return found


def countries(session: Session) -> list[str]:
    """Every country that something was ordered to."""
    return list(session.scalars(COUNTRIES))


def _leaps() -> Select[str]:
    """Each country once, the next found by a leap through the index."""
    first = select(func.min(Order.country).label("country")).cte("leaps", recursive=True)
    later = select(func.min(Order.country)).where(Order.country > first.c.country).scalar_subquery()
    leaps = first.union_all(select(later).where(first.c.country.is_not(None)))
    return select(leaps.c.country).where(leaps.c.country.is_not(None))


COUNTRIES = _leaps()
