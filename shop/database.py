"""What every table has in common, and the one function that runs a transaction."""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import DateTime, Engine, Enum, MetaData, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.types import TypeDecorator

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound="Base")

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
TRIES = 12
RETRIED_STATES = ("40001", "40P01")  # serialization failure, deadlock (PostgreSQL, appendix A)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware instant, kept in UTC on every database; a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _by_value(of: type[enum.StrEnum]) -> list[str]:
    return [member.value for member in of]


BY_VALUE = Enum(
    enum.StrEnum,
    values_callable=_by_value,
    native_enum=False,
    create_constraint=True,
    validate_strings=True,
    length=40,
)


class Base(DeclarativeBase):
    """The parent of every model."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMES),
        type_annotation_map={datetime: UTCDateTime, enum.StrEnum: BY_VALUE},
    )


def prepare(engine: Engine) -> None:
    """Make SQLite behave: write-ahead log, foreign keys, a patient lock, and transactions that begin when told.

    A transaction opened by ``transact`` begins IMMEDIATE, so that two writers queue instead of failing half-way.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def transact(session: Session, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a transaction of its own and commit it; run it again when the database asks for that.

    Whatever the session had begun is rolled back first. ``work`` must call nothing outside the database, since
    it may run several times: after a serialization failure (40001), a deadlock (40P01) or SQLite's "busy".
    """
    for attempt in range(TRIES):
        session.rollback()
        try:
            session.connection(execution_options={"writing": True})
            result = work(session, *args, **kwargs)
            session.commit()
        except DBAPIError as error:
            session.rollback()
            if attempt + 1 == TRIES or not _passing(error):
                raise
            time.sleep(random.uniform(0.005, 0.02) * 2 ** min(attempt, 6))  # noqa: S311 - spreads rivals, no secret
        except BaseException:
            session.rollback()
            raise
        else:
            return result
    raise AssertionError("unreachable")


def look(session: Session) -> None:
    """Begin a transaction that sees the database as it is at one moment, however long it goes on reading.

    Whatever the session had begun is rolled back. SQLite's transactions always do so; PostgreSQL's at READ COMMITTED
    would see a later moment with each statement.
    """
    session.rollback()
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def _passing(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in RETRIED_STATES:
        return True
    return "database is locked" in str(error.orig) or "database table is locked" in str(error.orig)


def lock(session: Session, model: type[M], key: Any) -> M | None:
    """Read one row afresh and keep others from changing it until the transaction ends."""
    return session.get(model, key, with_for_update=True, populate_existing=True)


def add_once(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert a row unless one of its unique keys is taken; tells whether it was inserted.

    Waits for a rival transaction that is inserting the same key, so that the answer is final.
    """
    dialect = session.get_bind().dialect.name
    table = model.__table__
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)  # type: ignore[arg-type]
    # Without the option the count is -1, that is unknown, on PostgreSQL.
    counted = statement.values(**values).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return bool(session.execute(counted).rowcount == 1)  # type: ignore[attr-defined]
