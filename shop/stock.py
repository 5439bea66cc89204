"""Copies: on hand, held for unpaid orders, allocated to paid ones. One conditional UPDATE each, and a movement row.

available = on hand − held − allocated. The counters can be recomputed from the movements at any time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, Table, bindparam, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, lock
from shop.errors import OutOfStock
from shop.gathering import insert_of, send, write

Copies = Mapping[int, int]
"""Edition id → number of copies, all above zero."""


class Movement(enum.StrEnum):
    COUNT = "count"
    HOLD = "hold"
    RELEASE = "release"
    ALLOCATE = "allocate"
    FREE = "free"
    SHIP = "ship"
    RETURN = "return"
    REPLACE = "replace"
    """Put aside for a free parcel."""
    UNPOST = "unpost"
    """A posting was taken back: the copies have not left after all."""


class Stock(Base):
    """How many copies of an edition there are, and how many are spoken for."""

    __tablename__ = "stock"
    __table_args__ = (CheckConstraint("on_hand >= 0 AND held >= 0 AND allocated >= 0", name="counted"),)

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    on_hand: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    allocated: Mapped[int] = mapped_column(default=0)

    @property
    def available(self) -> int:
        """Copies that can be sold now; below zero after a count that found too few."""
        return self.on_hand - self.held - self.allocated


class StockMovement(Base):
    """One change of the counters, with its cause. Never changed, never deleted."""

    __tablename__ = "stock_movement"

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), index=True)
    kind: Mapped[Movement]
    on_hand: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    allocated: Mapped[int] = mapped_column(default=0)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)
    library_order_id: Mapped[int | None] = mapped_column(ForeignKey("library_order.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300), default="")
    actor: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


def available(session: Session, edition_id: int) -> int:
    row = session.get(Stock, edition_id)
    return row.available if row else 0


@dataclass(frozen=True, slots=True)
class Library:
    """A library's order, where others name a buyer's by its id."""

    id: int


Whose = int | Library | None


def hold(session: Session, copies: Copies, order_id: Whose, actor: str, now: datetime) -> None:
    """Put copies aside for an unpaid order, all or none; raises ``OutOfStock`` naming the edition."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.HOLD, order_id, actor, now, held=quantity, need=quantity)


def release(session: Session, copies: Copies, order_id: Whose, actor: str, now: datetime) -> None:
    """Give held copies back to sale."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.RELEASE, order_id, actor, now, held=-quantity)


def allocate(session: Session, copies: Copies, order_id: Whose, actor: str, now: datetime) -> None:
    """Turn an order's held copies into sold ones."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.ALLOCATE, order_id, actor, now, held=-quantity, allocated=quantity)


def free(session: Session, copies: Copies, order_id: Whose, actor: str, now: datetime) -> None:
    """Give the copies of a refunded, unposted order back to sale."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.FREE, order_id, actor, now, allocated=-quantity)


def ship(session: Session, copies: Copies, order_id: Whose, actor: str, now: datetime) -> None:
    """Allocated copies leave the house."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.SHIP, order_id, actor, now, on_hand=-quantity, allocated=-quantity)


def put_aside(session: Session, copies: Copies, order_id: int, reason: str, actor: str, now: datetime) -> None:
    """Promise copies to a free parcel, all or none; raises ``OutOfStock`` naming the edition."""
    for edition_id, quantity in sorted(copies.items()):
        _change(
            session,
            edition_id,
            Movement.REPLACE,
            order_id,
            actor,
            now,
            allocated=quantity,
            need=quantity,
            reason=reason,
        )


def unpost(session: Session, copies: Copies, order_id: int, reason: str, actor: str, now: datetime) -> None:
    """The counter-movement of ``ship``: copies are on hand and allocated again."""
    for edition_id, quantity in sorted(copies.items()):
        _change(
            session,
            edition_id,
            Movement.UNPOST,
            order_id,
            actor,
            now,
            on_hand=quantity,
            allocated=quantity,
            reason=reason,
        )


def away(session: Session, order_id: int) -> dict[int, int]:
    """Copies of an order that have left the house and not come back: edition id → number above zero."""
    sums = (
        select(StockMovement.edition_id, -func.sum(StockMovement.on_hand))
        .where(StockMovement.order_id == order_id)
        .group_by(StockMovement.edition_id)
    )
    return {edition_id: number for edition_id, number in session.execute(sums) if number > 0}


def away_to_library(session: Session, library_order_id: int) -> dict[int, int]:
    """The same of a library's order."""
    sums = (
        select(StockMovement.edition_id, -func.sum(StockMovement.on_hand))
        .where(StockMovement.library_order_id == library_order_id)
        .group_by(StockMovement.edition_id)
    )
    return {edition_id: number for edition_id, number in session.execute(sums) if number > 0}


def take_back(session: Session, copies: Copies, order_id: Whose, reason: str, actor: str, now: datetime) -> None:
    """Posted copies that came back go on the shelf again."""
    for edition_id, quantity in sorted(copies.items()):
        _change(session, edition_id, Movement.RETURN, order_id, actor, now, on_hand=quantity, reason=reason)


def withdraw(session: Session, copies: Copies, order_id: int, reason: str, actor: str, now: datetime) -> None:
    """Copies had not come back after all; raises ``OutOfStock`` when they have been promised to others meanwhile."""
    for edition_id, quantity in sorted(copies.items()):
        _change(
            session,
            edition_id,
            Movement.RETURN,
            order_id,
            actor,
            now,
            on_hand=-quantity,
            need=quantity,
            reason=reason,
        )


def count(session: Session, edition_id: int, counted: int, reason: str, actor: str, now: datetime) -> int:
    """Record how many copies lie on the shelf; answers how many are promised beyond that (0 if none)."""
    row = lock(session, Stock, edition_id)
    if row is None:
        row = Stock(edition_id=edition_id, on_hand=0, held=0, allocated=0)
        session.add(row)
        session.flush()
    difference = counted - row.on_hand
    _change(session, edition_id, Movement.COUNT, None, actor, now, on_hand=difference, reason=reason)
    session.refresh(row)
    return max(0, -row.available)


def _change(
    session: Session,
    edition_id: int,
    kind: Movement,
    order_id: Whose,
    actor: str,
    now: datetime,
    *,
    on_hand: int = 0,
    held: int = 0,
    allocated: int = 0,
    need: int = 0,
    reason: str = "",
) -> None:
    movement = {
        "edition_id": edition_id,
        "kind": kind,
        "on_hand": on_hand,
        "held": held,
        "allocated": allocated,
        "order_id": None if isinstance(order_id, Library) else order_id,
        "library_order_id": order_id.id if isinstance(order_id, Library) else None,
        "reason": reason,
        "actor": actor,
        "at": now,
    }
    by = {"by_on_hand": on_hand, "by_held": held, "by_allocated": allocated}
    asked = by | {"edition": edition_id} | ({"need": need} if need else {})
    write_counters = partial(
        write,
        session,
        TAKE if need else MOVE,
        asked,
        key=(Stock, edition_id),
        failure=lambda: OutOfStock(edition_id, max(need, -on_hand)),
    )
    if need:
        # Whoever asks for copies waits at their row and is noted after those who gave copies back meanwhile; when
        # there are none, he does something else.
        write_counters()
        send(session)
        write(session, NOTED, movement)
        return
    # All others change the counters last, so that the row everybody needs is locked for as short as can be. Where
    # no copies leave the house, the row is there and the table refuses what would be a mistake of ours.
    write(session, NOTED, movement)
    write_counters(last=on_hand >= 0)


MOVEMENTS: Table = StockMovement.__table__  # type: ignore[assignment]
COUNTERS: Table = Stock.__table__  # type: ignore[assignment]
NOTED = insert_of(MOVEMENTS, without="id")
# Promises below zero would be a mistake of ours, which the table refuses; an empty shelf is a fact.
MOVE = (
    update(COUNTERS)
    .where(Stock.edition_id == bindparam("edition"), Stock.on_hand + bindparam("by_on_hand", type_=Integer) >= 0)
    .values(
        on_hand=Stock.on_hand + bindparam("by_on_hand", type_=Integer),
        held=Stock.held + bindparam("by_held", type_=Integer),
        allocated=Stock.allocated + bindparam("by_allocated", type_=Integer),
    )
)
TAKE = MOVE.where(Stock.on_hand - Stock.held - Stock.allocated >= bindparam("need", type_=Integer))
