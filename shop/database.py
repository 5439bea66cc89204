"""What every table has in common, and the one function that runs a transaction."""

from __future__ import annotations

import enum
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

from psycopg import IsolationLevel, RawCursor
from sqlalchemy import (
    Connection,
    CursorResult,
    DateTime,
    Engine,
    Enum,
    Executable,
    Insert,
    MetaData,
    Update,
    bindparam,
    event,
    inspect,
    make_url,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, registry
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeDecorator

from shop import gathering

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
LOCKED = "locked"
IDLE = 5.0  # seconds after which a connection is asked whether it lives
DOUBTS = 3
"""So often a unique key that was taken meanwhile is looked at again, before it is called a mistake."""
LONGEST_TURN = 5.0  # seconds
RETRIED_STATES = ("40001", "40P01")  # serialization failure, deadlock (PostgreSQL, appendix A)
UNIQUE_VIOLATION = "23505"
AT_ONCE = 20
"""Rows in one statement."""
ONE_PROCESS = text(
    "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)"
)


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


def engine_options(url: str) -> dict[str, Any]:
    """What the engine for a database is made with.

    PostgreSQL's own placeholders (``$1``) spare the driver looking for its own in every statement, which it does anew
    each time in long ones. (psycopg, "Cursor types, raw query cursors".)
    """
    options: dict[str, Any] = {"pool_size": 20, "max_overflow": 20}  # more than a web worker has threads
    if make_url(url).get_backend_name() == "postgresql":
        # The dialect's question about hstore, a type that is not used here, has placeholders of the other kind.
        options |= {
            "paramstyle": "numeric_dollar",
            "use_native_hstore": False,
            "connect_args": {"cursor_factory": RawCursor},
        }
    return options


def prepare(engine: Engine) -> None:
    """Make the database behave: a dead connection is noticed, and SQLite's writers queue.

    A transaction opened by ``transact`` has, on PostgreSQL, the level that the database gives by default, and one
    that only reads READ COMMITTED: nobody could run a page again whose reading were refused.
    """
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    else:
        _notice_the_dead(engine)
        event.listen(engine, "begin", _set_level)


def _notice_the_dead(engine: Engine) -> None:
    """Ask a connection that has idled whether it still lives; asking each time would cost a way there and back.

    (SQLAlchemy, "Disconnect handling, pessimistic": its own ``pool_pre_ping`` asks each time.)
    """

    @event.listens_for(engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _is_taken(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", float("inf")) < IDLE:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("it died while it idled") from error


def _prepare_sqlite(engine: Engine) -> None:
    """Write-ahead log, foreign keys, a patient lock, and transactions that begin when told.

    A transaction opened by ``transact`` begins IMMEDIATE, so that two writers queue instead of failing half-way.
    """

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


def _set_level(connection: Connection) -> None:
    options = connection.get_execution_options()
    driver: Any = connection.connection.dbapi_connection
    if "isolation_level" not in options:
        # Said in BEGIN itself, so it costs no question of its own; None is the database's default.
        driver.isolation_level = None if options.get("writing") else IsolationLevel.READ_COMMITTED
    plans = "auto" if options.get("writing") else "force_custom_plan"
    if connection.info.get("plans", "auto") != plans:
        connection.info["plans"] = plans
        # An engine may not know the setting; a connection that broke says so again when it is asked for something.
        with suppress(connection.dialect.loaded_dbapi.Error):
            _plan(driver, plans)


def _plan(driver: Any, mode: str) -> None:
    """How a prepared statement is planned from now on (PostgreSQL, "PREPARE, Notes").

    By itself the database makes one plan for all values after some use, from guesses. That spares planning, and is well
    for writing, where rows are asked for by their keys. Where few rows of many are read, as by a state or the days of a
    year, such a plan has gone through the whole table: reading plans for the values of each time.
    """
    before = driver.autocommit
    driver.autocommit = True  # what is set in a transaction would be undone with it
    try:
        driver.execute(f"SET plan_cache_mode = {mode}")
    finally:
        driver.autocommit = before


_turn = threading.Lock()


@contextmanager
def _in_turn(beaten: bool) -> Iterator[None]:
    """Whoever was beaten by a rival goes one at a time with the others of this process whom that befell.

    Else a hundred who want to write the same row at a strict level would beat each other a hundred times.
    """
    mine = beaten and _turn.acquire(timeout=LONGEST_TURN)
    try:
        yield
    finally:
        if mine:
            _turn.release()


def transact(session: Session, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a transaction of its own and commit it; run it again when the database asks for that.

    Whatever the session had begun is rolled back first. ``work`` must call nothing outside the database, since
    it may run several times: after a serialization failure (40001), a deadlock (40P01), SQLite's "busy", and when
    the connection broke before the commit.
    """
    doubtful = DOUBTS
    for attempt in range(TRIES):
        session.rollback()
        ending = False
        with _in_turn(attempt > 0):
            try:
                session.connection(execution_options={"writing": True})
                result = work(session, *args, **kwargs)
                session.flush()
                ending = True
                gathering.commit(session)
            except DBAPIError as error:
                session.rollback()
                if attempt + 1 == TRIES:
                    raise
                # Whether a commit was done whose connection broke nobody knows; before it, nothing was.
                lost = error.connection_invalidated and not ending
                if doubtful and _is_unique_violation(error) and _sees_no_rivals(session):
                    doubtful -= 1
                elif not (lost or _passing(error)):
                    raise
            except BaseException:  # raised again: a signal, too, must leave no transaction open
                session.rollback()
                raise
            else:
                return result
        time.sleep(random.uniform(0.005, 0.02) * 2 ** min(attempt, 6))  # noqa: S311 - spreads rivals, no secret
    raise AssertionError("unreachable")


def look(session: Session) -> None:
    """Begin a transaction that sees the database as it is at one moment, however long it goes on reading.

    Whatever the session had begun is rolled back. SQLite's transactions always do so; PostgreSQL's at READ COMMITTED
    would see a later moment with each statement.
    """
    session.rollback()
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def by_one_process(session: Session) -> None:
    """Keep PostgreSQL from answering this transaction's questions with several processes or compiled programs.

    To start or compile them takes longer than finding a page of a list, and plans for several processes read on where
    a page would be full.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(ONE_PROCESS)


def _passing(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in RETRIED_STATES:
        return True
    return "database is locked" in str(error.orig) or "database table is locked" in str(error.orig)


def _is_unique_violation(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION


def _sees_no_rivals(session: Session) -> bool:
    """Whether a transaction sees the database as it was when it began.

    Then the row whose key is taken may be one that it would have found, had it begun after its rival's end: the
    unique key speaks before the database can call it a serialization failure (PostgreSQL manual, 13.5).
    """
    level = session.connection(execution_options={"writing": True}).get_isolation_level()
    session.rollback()
    return level != "READ COMMITTED"


def lock(session: Session, model: type[M], key: Any) -> M | None:
    """Read one row afresh and keep others from changing it until the transaction ends."""
    row = session.get(model, key, with_for_update=True, populate_existing=True)
    if row is not None:
        mark_locked(session, row)
    return row


def mark_locked(session: Session, row: Base) -> None:
    """Note that nobody else can change a row until the transaction ends: it was locked, or has just been inserted."""
    session.info.setdefault(LOCKED, set()).add(inspect(row).identity_key)


def is_locked(session: Session, row: Base) -> bool:
    """Whether this transaction keeps others from changing a row; asks the database nothing."""
    return inspect(row).identity_key in session.info.get(LOCKED, ())


@event.listens_for(Session, "after_transaction_end")
def _forget_locks(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(LOCKED, None)


def run(session: Session, statement: Executable, values: Any = None) -> CursorResult[*tuple[Any, ...]]:
    """Execute a statement about tables and columns, without the session's own work on entities.

    What the session has not written yet goes out first, as it does there.
    """
    if session.autoflush and (session.new or session.dirty or session.deleted):
        session.flush()
    gathering.send(session)
    return session.connection().execute(statement, values)


def beside(session: Session, statement: Executable, values: Any = None) -> CursorResult[*tuple[Any, ...]]:
    """As ``run``, for a statement that what was gathered before it has no bearing on: that goes on waiting."""
    return session.connection().execute(statement, values)


def put(session: Session, row: Base, **values: Any) -> None:
    """Write columns of one row at once and let its object follow; the row must be locked.

    Values by the model's names. What else was changed of the object goes out with the session's next flush.
    """
    key = inspect(row).identity
    assert key is not None, "not in the database yet"
    asked = {f"to_{name}": value for name, value in values.items()} | {
        f"key_{n}": each for n, each in enumerate(key)
    }
    gathering.write(
        session,
        _update(type(row), tuple(values)),
        asked,
        key=(type(row), key),
        failure=lambda: LookupError(f"{type(row).__name__} {key} is not there"),
    )
    for name, value in values.items():
        set_committed_value(row, name, value)


@cache
def _update(model: type[Base], names: tuple[str, ...]) -> Update:
    mapper = inspect(model)
    columns = {name: mapper.columns[name] for name in names}
    statement = update(model.__table__).values(  # type: ignore[arg-type]
        {column: bindparam(f"to_{name}", type_=column.type) for name, column in columns.items()}
    )
    for n, column in enumerate(mapper.primary_key):
        statement = statement.where(column == bindparam(f"key_{n}", type_=column.type))
    return statement


def add_once(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert a row unless one of its unique keys is taken; tells whether it was inserted.

    Waits for a rival transaction that is inserting the same key, so that the answer is final.
    """
    statement = insert_once(model, session.get_bind().dialect.name)
    return run(session, statement, values).rowcount == 1


def add_all_once(session: Session, model: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows that have the same columns, each unless one of its unique keys is taken."""
    dialect = session.get_bind().dialect.name
    for start in range(0, len(rows), AT_ONCE):
        few = rows[start : start + AT_ONCE]
        values = {f"{name}_{n}": value for n, row in enumerate(few) for name, value in row.items()}
        gathering.write(session, _insert_rows_once(model, tuple(few[0]), len(few), dialect), values)


@cache
def _insert_rows_once(model: type[Base], names: tuple[str, ...], number: int, dialect: str) -> Insert:
    columns = [model.__table__.columns[name] for name in names]
    rows = [
        select(*(bindparam(f"{each.name}_{n}", type_=each.type) for each in columns)).where(true())
        for n in range(number)
    ]
    # Not as VALUES of several rows, which SQLAlchemy would compile anew each time.
    return insert_once(model, dialect).from_select(columns, union_all(*rows) if number > 1 else rows[0])


@cache
def insert_once(model: type[Base], dialect: str) -> Insert:
    """The statement that inserts a row unless one of its unique keys is taken."""
    table = model.__table__
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # Without the option the count is -1, that is unknown, on PostgreSQL.
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)  # type: ignore[arg-type]
