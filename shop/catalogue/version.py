"""What public pages depend on besides their address: a version of all they show, availability, and the day.

The version rises by itself with every transaction that writes to a table of a room which public pages show. A page
that was made in one ``State`` is good for as long as the shop is in it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, Executable, event, inspect, select, update
from sqlalchemy.orm import Session

from shop.catalogue import offers
from shop.catalogue.models import CatalogueVersion, Edition
from shop.database import Base, insert_once
from shop.gathering import WRITES
from shop.stock import Stock

ONLY = 1
SHOWN_ROOMS = ("shop.catalogue", "shop.content", "shop.trader", "shop.uploads")
FIRST = 1_000_000_000
"""The version of an empty shop is drawn below this, so that a shop begun anew does not repeat the old one's."""
WRITTEN, RISEN, DONE = "pages written", "version risen", "pages changed"
RISES = update(CatalogueVersion).values(version=CatalogueVersion.version + 1)
CLASSES = (
    select(Edition.slug, *offers.CLASS_COLUMNS)
    .outerjoin(Stock, Stock.edition_id == Edition.id)
    .order_by(Edition.position)
)


@dataclass(frozen=True, slots=True)
class State:
    """All that a public page may depend on besides its address. ``day`` is the shop's own."""

    version: int
    availability: tuple[tuple[str, str], ...]
    day: date


class Watch:
    """Sees what one engine writes. ``mark`` is another object after each commit that may have changed a page."""

    def __init__(self, engine: Engine) -> None:
        self.mark = object()
        event.listen(engine, "after_cursor_execute", self._executed)
        event.listen(engine, "commit", self._commits)
        event.listen(engine, "rollback", self._forget)
        event.listen(engine, "checkin", self._rests)

    def _executed(
        self, connection: Connection, _cursor: Any, _sql: str, _values: Any, context: Any, _m: bool
    ) -> None:
        if context.isinsert or context.isupdate or context.isdelete:
            tables = {context.compiled.statement.table.name}
        elif not (tables := context.execution_options.get(WRITES)):
            return
        if not _shown().isdisjoint(tables):
            connection.info[WRITTEN] = True
        elif Stock.__tablename__ in tables:  # an availability class may turn, which is no version
            connection.info.setdefault(WRITTEN, False)

    def _commits(self, connection: Connection) -> None:
        """Inside the transaction, as its last deed, so that the row all such changes share is locked shortly."""
        info = connection.info
        if WRITTEN in info or RISEN in info:
            if info.get(WRITTEN) and RISEN not in info:
                _raise(connection)
            self._forget(connection)
            info[DONE] = True

    def _forget(self, connection: Connection) -> None:
        if connection.invalidated:
            return  # it broke, and what was known of it is gone with it
        connection.info.pop(WRITTEN, None)
        connection.info.pop(RISEN, None)

    def _rests(self, _connection: Any, record: Any) -> None:
        """After the commit, and before whoever committed goes on."""
        if record.info.pop(DONE, False):
            self.mark = object()


def rise(session: Session) -> None:
    """Say that pages show something else from this transaction's end on, whatever it writes."""
    connection = session.connection()
    if connection.info.get(RISEN) is not connection.get_transaction():
        _raise(connection)
        connection.info[RISEN] = connection.get_transaction()


def _raise(connection: Connection) -> None:
    inserted = insert_once(CatalogueVersion, connection.dialect.name)
    if connection.execute(inserted, {"id": ONLY, "version": secrets.randbelow(FIRST)}).rowcount != 1:
        connection.execute(RISES)


def current(session: Session) -> int:
    return session.scalar(select(CatalogueVersion.version)) or 0


def state(executes: Session | Connection, day: date) -> State:
    """What the shop's pages show now, as far as this transaction sees it: two short questions."""

    def rows(asked: Executable) -> Any:
        return executes.execute(asked).all()

    version = rows(select(CatalogueVersion.version))
    classes = tuple((slug, offers.class_of(*facts).value) for slug, *facts in rows(CLASSES))
    return State(version[0][0] if version else 0, classes, day)


_names: set[str] = set()


def _shown() -> set[str]:
    """The tables that public pages show: those of the rooms that they show."""
    if not _names:
        for mapper in Base.registry.mappers:
            if mapper.class_.__module__.startswith(SHOWN_ROOMS) and mapper.class_ is not CatalogueVersion:
                _names.add(inspect(mapper.class_).local_table.name)
    return _names
