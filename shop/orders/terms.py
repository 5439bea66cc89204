"""Search terms: what orders are found by, folded, in an indexed table; whole words and beginnings of words.

The table follows the rows that it is derived from: whoever changes a buyer or a parcel changes its terms in the same
transaction. ``flask shop audit`` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    ForeignKey,
    Index,
    Insert,
    String,
    Table,
    and_,
    bindparam,
    delete,
    event,
    inspect,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_all_once, insert_once, transact
from shop.orders.folding import LONGEST, code_terms, squeeze
from shop.orders.models import Buyer, Order, Shipment

TERM = String(LONGEST).with_variant(String(LONGEST, collation="C"), "postgresql")
"""Compared by code points on every database, so that a beginning of a word is a range."""
NUMBER, BUYER = "order", "buyer"
BATCH = 1000


class OrderTerm(Base):
    """One word that an order is found by. ``source`` is the row it comes from: order, buyer or a parcel."""

    __tablename__ = "order_term"
    __table_args__ = (
        Index("ix_order_term_term", "term", "placed_at", "order_id"),
        {"sqlite_with_rowid": False},
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    term: Mapped[str] = mapped_column(TERM, primary_key=True)
    source: Mapped[str] = mapped_column(String(24), primary_key=True)
    placed_at: Mapped[datetime]
    """The order's: what is found is put into the list's order without a look at each order."""


TERMS: Table = OrderTerm.__table__  # type: ignore[assignment]


def number_terms(number: str) -> set[str]:
    """An order's number is found with and without what every number begins with."""
    whole = squeeze(number)
    return {whole, squeeze(number.partition("-")[2]) or whole}


def parcel(shipment_id: int) -> str:
    """A parcel's ``source``."""
    return f"parcel:{shipment_id}"


def keep_number(session: Session, order: Order) -> None:
    """Let a new order be found by its number."""
    add_all_once(session, OrderTerm, _rows(order, NUMBER, number_terms(order.number)))


def _rows(order: Order, source: str, found: Iterable[str]) -> list[dict[str, Any]]:
    of = {"order_id": order.id, "source": source, "placed_at": order.placed_at}
    return [of | {"term": term} for term in sorted(found)]


def _add(connection: Connection, order_id: int, source: str, found: Iterable[str]) -> None:
    if terms := sorted(found):
        rows = [{"order": order_id, "word": term, "row": source} for term in terms]
        connection.execute(_insert_of_order(connection.dialect.name), rows)


@cache
def _insert_of_order(dialect: str) -> Insert:
    """The statement that adds a term of an order of which no more than the id is known."""
    row = select(Order.id, bindparam("word", type_=TERM), bindparam("row", type_=String), Order.placed_at)
    of_order = row.where(Order.id == bindparam("order"))
    return insert_once(OrderTerm, dialect).from_select(("order_id", "term", "source", "placed_at"), of_order)


def _take(connection: Connection, order_id: int, source: str, found: Iterable[str]) -> None:
    of = and_(TERMS.c.order_id == order_id, TERMS.c.source == source)
    connection.execute(delete(TERMS).where(of, TERMS.c.term.in_(sorted(found))))


@event.listens_for(Buyer, "after_insert")
@event.listens_for(Buyer, "after_update")
def _follow_buyer(_mapper: Any, connection: Connection, buyer: Buyer) -> None:
    changed = inspect(buyer).attrs.search.history
    before = set(" ".join(each or "" for each in changed.deleted or ()).split())
    after = set(" ".join(each or "" for each in changed.added or ()).split())
    if gone := before - after:
        _take(connection, buyer.order_id, BUYER, gone)
    _add(connection, buyer.order_id, BUYER, after - before)


def follow_buyer(session: Session, order: Order, before: str) -> None:
    """Bring a buyer's terms from what ``search`` was to what it is, when it was not the session that wrote it."""
    was, now = set(before.split()), set(order.buyer.search.split())
    if gone := was - now:
        _take(session.connection(), order.id, BUYER, gone)
    add_all_once(session, OrderTerm, _rows(order, BUYER, now - was))


@event.listens_for(Shipment, "after_insert")
def _follow_parcel(_mapper: Any, connection: Connection, shipment: Shipment) -> None:
    _add(connection, shipment.order_id, parcel(shipment.id), code_terms(shipment.tracking))


@event.listens_for(Shipment, "after_update")
def _follow_changed_parcel(mapper: Any, connection: Connection, shipment: Shipment) -> None:
    changed = inspect(shipment).attrs
    if changed.tracking.history.has_changes() or changed.undone_at.history.has_changes():
        _forget_parcel(mapper, connection, shipment)
        if shipment.undone_at is None:
            _follow_parcel(mapper, connection, shipment)


@event.listens_for(Shipment, "before_delete")
def _forget_parcel(_mapper: Any, connection: Connection, shipment: Shipment) -> None:
    of = and_(TERMS.c.order_id == shipment.order_id, TERMS.c.source == parcel(shipment.id))
    connection.execute(delete(TERMS).where(of))


Kept = tuple[str, str, datetime]
"""A term, its source, and when its order was placed."""


def expected(order: Order) -> set[Kept]:
    """The terms that an order should have; its parcels are read."""
    found = {(term, NUMBER) for term in number_terms(order.number)}
    found |= {(term, BUYER) for term in order.buyer.search.split()}
    found |= {
        (term, parcel(each.id))
        for each in order.parcels
        if each.undone_at is None
        for term in code_terms(each.tracking)
    }
    return {(term, source, order.placed_at) for term, source in found}


def kept(session: Session, order_ids: Iterable[int]) -> dict[int, set[Kept]]:
    """The terms that orders have."""
    found: dict[int, set[Kept]] = {}
    wanted = select(TERMS.c.order_id, TERMS.c.term, TERMS.c.source, TERMS.c.placed_at)
    for order_id, term, source, placed_at in session.execute(wanted.where(TERMS.c.order_id.in_(list(order_ids)))):
        found.setdefault(order_id, set()).add((term, source, placed_at))
    return found


def differences(session: Session, orders: Iterable[Order]) -> Iterator[tuple[Order, set[str], set[str]]]:
    """Orders whose terms are not as they should be, with those they have and those they should have besides."""
    several = list(orders)
    there = kept(session, [each.id for each in several])
    for order in several:
        has, should = there.get(order.id, set()), expected(order)
        if has != should:
            yield order, {term for term, *_ in has - should}, {term for term, *_ in should - has}


def rebuild_all(session: Session) -> int:
    """Write the terms of every order anew, some at a time, each lot in its own transaction; answers how many."""
    last = done = 0
    while lot := list(session.scalars(select(Order.id).where(Order.id > last).order_by(Order.id).limit(BATCH))):
        transact(session, rebuild, lot)
        last, done = lot[-1], done + len(lot)
        session.expunge_all()
    return done


def rebuild(session: Session, order_ids: list[int]) -> None:
    """Write the terms of orders anew."""
    rows: list[dict[str, Any]] = []
    several = select(Order).where(Order.id.in_(order_ids)).with_for_update()
    for order in session.scalars(several):
        buyer = order.buyer
        buyer.search = buyer.found_by
        rows += [
            {"order_id": order.id, "term": term, "source": source, "placed_at": placed_at}
            for term, source, placed_at in sorted(expected(order))
        ]
    session.flush()
    session.execute(delete(TERMS).where(TERMS.c.order_id.in_(order_ids)))
    add_all_once(session, OrderTerm, rows)
