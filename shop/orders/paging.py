"""Pages of a list of orders by key: newest first, at a cost that does not grow with what lies behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, literal, select, tuple_
from sqlalchemy.orm import Session

from shop.database import by_one_process
from shop.orders.models import Order

PER_PAGE = 50

Key = tuple[datetime, int]
"""Where an order stands in the list: when it was placed, and its id."""


class Listing(NamedTuple):
    """A statement that lists the ids of orders, and its columns by which these are sorted.

    ``asked`` says of an id what else is asked: of one order after the other as they are listed, until a page is full.
    """

    ids: Select[Any]
    placed_at: SQLColumnExpression[datetime]
    id: SQLColumnExpression[int]
    asked: Callable[[Any], list[ColumnElement[bool]]] | None = None


def listed(condition: ColumnElement[bool]) -> Listing:
    """The orders that fulfil a condition, walked in the order of the list."""
    return Listing(select(Order.id).where(condition), Order.placed_at, Order.id)


def key_of(session: Session, order_id: int) -> Key | None:
    """Where an order stands in the list."""
    placed_at = session.scalar(select(Order.placed_at).where(Order.id == order_id))
    return None if placed_at is None else (placed_at, order_id)


def page(
    session: Session,
    what: Select[*tuple[Any, ...]],
    which: Listing,
    *,
    before: Key | None = None,
    after: Key | None = None,
    size: int = PER_PAGE,
) -> tuple[list[Any], bool]:
    """So many rows of a statement on ``Order`` older than ``before`` or newer than ``after``, newest first.

    Tells besides whether there are more in that direction. No row is missed or seen twice while others are added.
    """
    by_one_process(session)
    ids = _from(which, before, after).limit(size + 1)
    found = list(session.execute(_sorted(what.where(Order.id.in_(ids)), Order.placed_at, Order.id, after)))
    rows = found[:size]
    return (rows[::-1] if after is not None else rows), len(found) > size


def _from(which: Listing, before: Key | None, after: Key | None) -> Any:
    """The ids of a listing from a place in the list on, in the direction in which one goes."""
    key, wanted = tuple_(which.placed_at, which.id), which.ids
    if before is not None:
        wanted = wanted.where(key < literally(before))
    if after is not None:
        wanted = wanted.where(key > literally(after))
    wanted = _sorted(wanted, which.placed_at, which.id, after)
    if which.asked is None:
        return wanted
    each = wanted.offset(0).subquery()  # without the OFFSET all were asked before any is sorted
    return _sorted(select(each.c.id).where(*which.asked(each.c.id)), each.c.placed_at, each.c.id, after)


def _sorted(wanted: Any, placed_at: Any, order_id: Any, after: Key | None) -> Any:
    if after is not None:
        return wanted.order_by(placed_at, order_id)
    return wanted.order_by(placed_at.desc(), order_id.desc())


def literally(key: Key) -> Any:
    """A place in the list as something to compare with."""
    return tuple_(literal(key[0], Order.placed_at.type), literal(key[1]))
