"""One transaction at a time: locked rows are read afresh, and what the database asks to be run again is."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, event, func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from shop.database import DOUBTS, TRIES, lock, look, transact
from shop.demo import making
from shop.orders import placing
from shop.orders.models import Order
from shop.stock import Stock
from tests.conftest import engine_of
from tests.factories import Catalogue, make_order, set_stock
from tests.till import at_once, counters, is_strict


def is_postgres(app: Flask) -> bool:
    return engine_of(app).dialect.name == "postgresql"


def test_a_locked_row_is_read_afresh(app: Flask, session: Session, catalogue: Catalogue):
    """Somebody else has changed it since it was first looked at in this very transaction."""
    order_id = make_order(session).id
    session.rollback()
    seen = session.get_one(Order, order_id)
    assert seen.sync_version == 0
    if is_postgres(app):  # SQLite shows a transaction what it has seen at first, and then refuses the write
        with Session(engine_of(app)) as other:
            other.execute(update(Order).values(sync_version=7))
            other.commit()
        assert placing.locked(session, order_id) is seen
        assert seen.sync_version == 7
    session.rollback()


def test_a_locked_row_is_changed_by_nobody_else(app: Flask, session: Session, catalogue: Catalogue):
    order_id = make_order(session).id
    changed = threading.Event()

    def rival() -> None:
        with Session(engine_of(app)) as other:
            transact(other, lambda s: lock(s, Order, order_id))
            changed.set()

    def work(s: Session) -> None:
        lock(s, Order, order_id)
        thread.start()
        assert not changed.wait(0.3)

    thread = threading.Thread(target=rival)
    transact(session, work)
    thread.join(20)
    assert changed.is_set()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_what_cannot_be_serialised_is_run_again(app: Flask, session: Session, catalogue: Catalogue, level: str):
    """Read and then written by many at once, at the stricter levels: PostgreSQL says 40001 (SQLite knows no levels)."""
    engine = engine_of(app).execution_options(isolation_level=level) if is_postgres(app) else engine_of(app)
    runs: list[int] = []

    def work(_: Session, number: int) -> None:
        def look_and_write(s: Session) -> None:
            runs.append(number)
            row = s.get_one(Stock, catalogue.paperback)
            row.on_hand = row.on_hand + 1

        with Session(engine) as mine:
            transact(mine, look_and_write)

    assert at_once(app, 5, work) == [None] * 5
    assert counters(session, catalogue.paperback) == (45, 0, 0)
    assert len(runs) > 5 or not is_postgres(app)


@pytest.mark.parametrize("level", ["READ COMMITTED", "SERIALIZABLE"])
def test_the_last_copy_is_sold_once_at_every_level(app: Flask, session: Session, catalogue: Catalogue, level: str):
    set_stock(session, catalogue.paperback, 1)
    engine = engine_of(app).execution_options(isolation_level=level) if is_postgres(app) else engine_of(app)

    def work(_: Session, number: int) -> int:
        with Session(engine) as mine:
            return make_order(mine, attempt=f"click {number // 4}").id

    found = at_once(app, 8, work)
    assert len({each for each in found if isinstance(each, int)}) == 1, found
    assert sorted(type(each).__name__ for each in found) == ["OutOfStock"] * 4 + ["int"] * 4
    assert counters(session, catalogue.paperback) == (1, 1, 0)


def test_whoever_is_beaten_again_and_again_has_his_turn(app: Flask, session: Session, catalogue: Catalogue):
    """Sixty at once for sixty copies: at the strictest level each sale makes all the others begin again."""
    set_stock(session, catalogue.paperback, 60)
    found = at_once(app, 60, lambda s, number: make_order(s, attempt=f"buyer {number}").id)
    assert {type(each).__name__ for each in found} == {"int"}, found
    assert counters(session, catalogue.paperback) == (60, 60, 0)


def test_what_only_reads_is_planned_for_the_values_it_asks_about(app: Flask, session: Session):
    """A plan made once for all values reads a whole table where few rows of many are wanted."""
    if not is_postgres(app):
        return
    plans = text("SHOW plan_cache_mode")
    assert session.scalar(plans) == "force_custom_plan"
    session.rollback()
    assert session.scalar(plans) == "force_custom_plan"  # what a transaction sets ends with it
    assert transact(session, lambda s: s.scalar(plans)) == "auto"
    look(session)
    assert session.scalar(plans) == "force_custom_plan"
    assert transact(session, lambda s: s.scalar(plans)) == "auto"
    making.tidy(session)  # a VACUUM, which no transaction may hold
    assert session.scalar(plans) == "force_custom_plan"


def test_what_only_reads_is_never_told_to_begin_again(app: Flask, session: Session):
    """Nobody runs a page again, so what it reads has the level at which no reading is refused."""
    if not is_postgres(app):
        return
    level = text("SHOW transaction_isolation")
    assert session.scalar(level) == "read committed"
    assert transact(session, lambda s: s.scalar(level)) == ("serializable" if is_strict(app) else "read committed")
    assert session.scalar(level) == "read committed"
    session.rollback()


def test_a_deadlock_is_run_again(app: Flask, session: Session, catalogue: Catalogue):
    """Two take the same rows in opposite order; the database ends one of them (40P01)."""
    gate = threading.Barrier(2)

    def work(s: Session, number: int) -> None:
        ids = sorted((catalogue.paperback, catalogue.russian), reverse=bool(number))
        first = True

        def both(inner: Session) -> None:
            nonlocal first
            lock(inner, Stock, ids[0])
            if first and is_postgres(app):
                first = False
                gate.wait(20)
            row = lock(inner, Stock, ids[1])
            assert row is not None
            row.on_hand += 1

        transact(s, both)

    assert at_once(app, 2, work) == [None, None]
    assert counters(session, catalogue.paperback) == (41, 0, 0)
    assert counters(session, catalogue.russian) == (26, 0, 0)


def test_a_busy_database_is_tried_again(app: Flask, session: Session, catalogue: Catalogue):
    """SQLite's one writer keeps the place longer than anybody waits (PostgreSQL has many)."""
    if is_postgres(app):
        return
    runs: list[int] = []
    busy = engine_of(app).connect().execution_options(writing=True)
    busy.begin()
    timer = threading.Timer(0.1, busy.rollback)
    session.connection().exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        timer.start()
        transact(session, lambda _: runs.append(1))
    finally:
        timer.join()
        busy.close()
        session.connection().exec_driver_sql("PRAGMA busy_timeout = 30000")
        session.rollback()
    assert runs == [1]


def test_what_is_no_passing_trouble_is_not_tried_again(app: Flask, session: Session, catalogue: Catalogue):
    runs: list[int] = []

    def work(s: Session) -> None:
        runs.append(1)
        s.add(Stock(edition_id=catalogue.paperback))
        s.flush()

    with pytest.raises(IntegrityError):
        transact(session, work)
    # Where a transaction cannot see what was committed after it began, a taken key is looked at anew first.
    assert len(runs) == (1 + DOUBTS if is_strict(app) else 1)
    assert not session.in_transaction()


def test_endless_trouble_is_raised_at_last(app: Flask, session: Session, catalogue: Catalogue):
    if is_postgres(app):
        return
    runs: list[int] = []

    def work(s: Session) -> None:
        runs.append(1)
        raise OperationalError("statement", {}, Exception("database is locked"))

    with pytest.raises(OperationalError):
        transact(session, work)
    assert len(runs) == TRIES


def test_an_exception_leaves_nothing_behind(session: Session, catalogue: Catalogue):
    def work(s: Session) -> None:
        s.get_one(Stock, catalogue.paperback).on_hand = 1
        s.flush()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transact(session, work)
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_moments_are_kept_in_utc_and_to_the_microsecond(session: Session, catalogue: Catalogue):
    moment = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)
    order = make_order(session, now=moment)
    session.expire_all()
    assert order.placed_at == moment
    assert order.placed_at.utcoffset() == UTC.utcoffset(None)


def test_the_buyer_of_an_order_that_was_waited_for_is_as_he_is_now(
    app: Flask, session: Session, catalogue: Catalogue
):
    order_id = make_order(session).id
    session.rollback()
    changed, locked = threading.Event(), threading.Event()

    def rival() -> None:
        def work(s: Session) -> None:
            placing.locked(s, order_id).buyer.city = "Leeds"
            s.flush()
            locked.set()
            changed.wait(0.5)  # long enough for the other one to wait at the lock

        with Session(engine_of(app)) as other:
            transact(other, work)

    thread = threading.Thread(target=rival)
    thread.start()
    assert locked.wait(20)
    assert transact(session, lambda s: placing.locked(s, order_id).buyer.city) == "Leeds"
    thread.join(20)


def end_connection(app: Flask, pid: int) -> None:
    """Break a connection of the shop's, as a database that is started anew does."""
    outside = create_engine(engine_of(app).url, poolclass=NullPool)
    with outside.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_a_connection_that_broke_before_the_commit_is_replaced_and_the_work_done_again(
    app: Flask, session: Session, catalogue: Catalogue
):
    if not is_postgres(app):
        return
    runs = []

    def work(s: Session) -> int:
        runs.append(s.scalar(text("SELECT pg_backend_pid()")))
        if len(runs) == 1:
            end_connection(app, runs[0])
        return s.scalar(select(func.count()).select_from(Stock)) or 0

    assert transact(session, work) == 2
    assert len(runs) == 2


def test_a_connection_that_died_while_it_idled_is_not_used(app: Flask, session: Session, catalogue: Catalogue):
    if not is_postgres(app):
        return
    engine = engine_of(app)
    engine.dispose()
    pid = session.scalar(text("SELECT pg_backend_pid()"))
    session.rollback()  # from now on the pool's only connection rests
    end_connection(app, pid)
    long_ago = time.monotonic() - 60
    event.listen(engine, "checkout", lambda _c, r, _p: r.info.update(rests_since=long_ago), insert=True, once=True)
    assert session.scalar(select(func.count()).select_from(Stock)) == 2
