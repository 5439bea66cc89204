"""Writes of one transaction, gathered and sent together: on PostgreSQL as one statement, elsewhere one by one.

A short statement costs the way there and back, and more than that in the layers between; a payment needs ten of
them. Whatever else the session asks of the database sends first what was gathered, so that every statement sees all
that was written before it. (PostgreSQL manual, 7.8.4: data-modifying statements in WITH see one snapshot, so two
writes to the same row must not be gathered; they are sent apart here.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import (
    BindParameter,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    event,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction
from sqlalchemy.sql import visitors

GATHERED, LAST = "gathered writes", "last writes"
WRITES = "writes"
"""Execution option: names of the tables that a statement writes to, where that cannot be seen from its kind."""

Values = Mapping[str, Any]


class Write(NamedTuple):
    """One statement about one table, all of whose values are parameters with names."""

    statement: Insert | Update
    values: Values
    key: object
    """Which row it writes to; None for new rows."""
    failure: Callable[[], Exception] | None
    """What to raise unless exactly one row was written."""


def write(
    session: Session,
    statement: Insert | Update,
    values: Values,
    *,
    key: object = None,
    failure: Callable[[], Exception] | None = None,
    last: bool = False,
) -> None:
    """Execute an INSERT or UPDATE, at once or, inside ``gathered``, together with others.

    ``statement`` must be one object for each of its shapes (a module's constant, or cached), since what is made of
    it is kept by it. Raises ``failure()`` unless exactly one row was written, where it is given. ``last``: only
    with the commit, where that is possible; then nobody looks how many rows were written, so the table itself must
    refuse what is wrong.
    """
    wanted = Write(statement, values, key, failure)
    waiting: list[Write] | None = session.info.get(GATHERED)
    if waiting is None:
        _send_one(session, wanted)
        return
    if last:
        session.info.setdefault(LAST, []).append(wanted)
        return
    if key is not None and any(each.key == key for each in waiting):
        send(session)
    waiting.append(wanted)


def insert_of(table: Table, without: str = "") -> Insert:
    """An INSERT of one row with a parameter for each column, but for one that the database itself fills in."""
    wanted = (column for column in table.columns if column.name != without)
    return insert(table).values({column: bindparam(column.name, type_=column.type) for column in wanted})


@contextmanager
def gathered(session: Session) -> Iterator[None]:
    """Gather what is written inside, and send it at the end; an exception throws it away with its transaction.

    What is to be last goes out with ``commit``.
    """
    session.info[GATHERED] = []
    try:
        yield
        _send_gathered(session)
    finally:
        del session.info[GATHERED]


def send(session: Session) -> None:
    """Send what was gathered so far, the last too; nothing when there is nothing."""
    _send_gathered(session)
    for each in session.info.pop(LAST, ()):
        _send_one(session, each)


def commit(session: Session) -> None:
    """Commit, and with it what was to be last.

    PostgreSQL gets both at once, so that a row for which everybody waits (the copies of an edition) is locked for
    the commit alone, and not until this process, which is one of many, is given the processor again.
    """
    if session.info.get(LAST) and session.get_bind().dialect.name == "postgresql":
        _commit_with_last(session, session.info.pop(LAST))
    send(session)
    session.commit()


def _commit_with_last(session: Session, last: list[Write]) -> None:
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    connection.dispatch.commit(connection)  # whoever listens for a commit has still to say his part
    try:
        with driver.pipeline():
            for each in last:
                connection.execute(each.statement, each.values)
            driver.commit()
    except psycopg.Error as error:
        raise DBAPIError.instance(
            "COMMIT", None, error, psycopg.Error, connection_invalidated=driver.closed
        ) from error


def _send_gathered(session: Session) -> None:
    waiting: list[Write] | None = session.info.get(GATHERED)
    if not waiting:
        return
    writes = waiting[:]
    waiting.clear()
    if len(writes) == 1 or session.get_bind().dialect.name != "postgresql":
        for each in writes:
            _send_one(session, each)
        return
    values = {f"w{n}_{name}": value for n, each in enumerate(writes) for name, value in each.values.items()}
    counts = session.connection().execute(_joined(tuple(each.statement for each in writes)), values).one()
    for count, each in zip(counts, writes, strict=True):
        if each.failure is not None and count != 1:
            raise each.failure()


def _send_one(session: Session, write: Write) -> None:
    done = session.connection().execute(write.statement, write.values)
    if write.failure is not None and done.rowcount != 1:
        raise write.failure()


@lru_cache(maxsize=256)
def _joined(statements: tuple[Insert | Update, ...]) -> Select[*tuple[int, ...]]:
    """One statement that does what several do, and answers how many rows each has written; in their order."""
    parts = []
    for n, statement in enumerate(statements):

        def rename(parameter: BindParameter[Any], prefix: str = f"w{n}_") -> None:
            parameter.key = prefix + parameter.key

        own = visitors.cloned_traverse(statement, {}, {"bindparam": rename})
        parts.append(own.returning(literal_column("1").label("one")).cte(f"w{n}"))
    tables = frozenset(each.table.name for each in statements)  # type: ignore[union-attr]
    counts = [select(func.count()).select_from(part).scalar_subquery() for part in parts]
    return select(*counts).execution_options(**{WRITES: tables})


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(LAST, None)


@event.listens_for(Session, "do_orm_execute")
def _before_question(state: ORMExecuteState) -> None:
    send(state.session)


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    send(session)


@event.listens_for(Session, "after_transaction_create")
def _before_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        send(session)
