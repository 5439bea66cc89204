"""Gathered writes: they are sent together, and nobody can tell but by the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from shop import gathering, stock
from shop.catalogue.models import CatalogueVersion
from shop.database import put, run, transact
from shop.letters.models import Kind
from shop.orders import placing
from shop.orders.models import Order
from shop.stock import Stock, StockMovement
from shop.trader import trader
from tests.conftest import engine_of
from tests.factories import Catalogue, make_order, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.till import counters, letters

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def is_postgres(app: Flask) -> bool:
    return engine_of(app).dialect.name == "postgresql"


def statements(app: Flask) -> list[str]:
    """What goes to the database from now on."""
    seen: list[str] = []

    @event.listens_for(engine_of(app), "before_cursor_execute")
    def _seen(_c: object, _cursor: object, sql: str, *_: object) -> None:
        seen.append(sql)

    return seen


@pytest.mark.parametrize("asks", ["core", "orm", "flush", "savepoint"])
def test_whatever_asks_the_database_finds_what_was_written_before(
    session: Session, catalogue: Catalogue, asks: str
):
    order_id = make_order(session).id

    def work(s: Session) -> str | None:
        order = placing.locked(s, order_id)
        with gathering.gathered(s):
            put(s, order, visitor="here")
            asked = select(Order.visitor).where(Order.id == order_id)
            if asks == "core":
                return run(s, asked).scalar_one()
            if asks == "orm":
                return s.scalar(asked)
            if asks == "flush":
                order.holding = not order.holding
                s.flush()
            else:
                s.begin_nested().commit()
            return s.connection().execute(asked).scalar_one()

    assert transact(session, work) == "here"


def test_two_writes_to_one_row_both_count(session: Session, catalogue: Catalogue):
    """PostgreSQL would let the second of them be lost, were they one statement."""
    order_id = make_order(session).id

    def work(s: Session) -> None:
        order = placing.locked(s, order_id)
        with gathering.gathered(s):
            put(s, order, visitor="first")
            put(s, order, sync_version=9)

    transact(session, work)
    order = session.get_one(Order, order_id, populate_existing=True)
    assert (order.visitor, order.sync_version) == ("first", 9)


def test_a_write_that_finds_no_row_takes_the_others_back(session: Session, catalogue: Catalogue):
    order_id = make_order(session).id
    nowhere = update(Stock.__table__).where(Stock.edition_id == 999).values(held=0)  # type: ignore[arg-type]

    def work(s: Session) -> None:
        order = placing.locked(s, order_id)
        with gathering.gathered(s):
            put(s, order, visitor="lost")
            gathering.write(s, nowhere, {}, failure=lambda: LookupError("no such row"))

    with pytest.raises(LookupError, match="no such row"):
        transact(session, work)
    assert session.scalar(select(Order.visitor).where(Order.id == order_id)) != "lost"


def test_copies_below_nothing_are_refused_with_the_commit(session: Session, catalogue: Catalogue):
    """The counter goes out last, unlooked at; the table itself refuses it, and with it all the rest."""
    movements = select(func.count()).select_from(StockMovement)
    before = session.scalar(movements)

    def work(s: Session) -> None:
        with gathering.gathered(s):
            stock.allocate(s, {catalogue.paperback: 1}, None, "nobody", NOW)

    with pytest.raises(IntegrityError):
        transact(session, work)
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert session.scalar(movements) == before


def test_a_rival_met_at_the_commit_lets_the_transaction_run_again(
    app: Flask, session: Session, catalogue: Catalogue
):
    """At the strictest level, what was read may have changed by the time the last write comes (40001)."""
    runs = []
    engine = engine_of(app)
    strict = engine.execution_options(isolation_level="SERIALIZABLE") if is_postgres(app) else engine

    def work(s: Session) -> None:
        s.scalar(select(Stock.held).where(Stock.edition_id == catalogue.paperback))
        if not runs and is_postgres(app):
            with Session(engine) as other:
                set_stock(other, catalogue.paperback, 39)
        runs.append(1)
        with gathering.gathered(s):
            stock.free(s, {catalogue.paperback: 0}, None, "nobody", NOW)

    with Session(strict) as mine:
        transact(mine, work)
    assert len(runs) == (2 if is_postgres(app) else 1)


def test_a_connection_that_breaks_at_the_commit_is_not_used_again(
    app: Flask, session: Session, catalogue: Catalogue
):
    if not is_postgres(app):
        return

    def work(s: Session) -> None:
        with gathering.gathered(s):
            stock.free(s, {catalogue.paperback: 0}, None, "nobody", NOW)
        pid = s.connection().connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        with engine_of(app).connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    with pytest.raises(DBAPIError) as caught:
        transact(session, work)
    assert caught.value.connection_invalidated
    set_stock(session, catalogue.paperback, 7)
    assert counters(session, catalogue.paperback) == (7, 0, 0)


def test_pages_notice_what_was_gathered(session: Session, catalogue: Catalogue):
    """A public page shows the seller's name, so its version rises, although no statement says UPDATE at its head."""
    order_id = make_order(session).id

    def rename(s: Session) -> None:
        seller, order = trader(s), placing.locked(s, order_id)
        with gathering.gathered(s):
            put(s, seller, name="Gathered & Co")
            put(s, order, visitor="here")

    before = session.scalar(select(CatalogueVersion.version))
    transact(session, rename)
    assert session.scalar(select(CatalogueVersion.version)) != before


def test_a_payment_needs_few_ways_to_the_database(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    """What it writes goes out as one statement where that is possible, and then the counter of copies."""
    make_paid_order(session, gateway)
    seen = statements(app)
    make_paid_order(session, gateway)
    writes = [each for each in seen if each.lstrip().startswith(("INSERT", "UPDATE", "WITH"))]
    if is_postgres(app):
        assert [each.split()[0] for each in writes[-2:]] == ["WITH", "UPDATE"], writes
    assert writes[-1].startswith("UPDATE stock")


def test_what_a_payment_remembers_of_the_seller_changes_with_the_seller(
    session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    def names() -> list[str]:
        session.expire_all()
        return [each.context["trader"]["name"] for each in letters(session) if each.kind is Kind.ORDER_PAID]

    def rename(s: Session, name: str) -> None:
        trader(s).name = name

    for name in ("First & Co", "Second & Co", "Third & Co"):
        transact(session, rename, name)
        make_paid_order(session, gateway)
    assert names() == ["First & Co", "Second & Co", "Third & Co"]
    assert session.scalar(select(CatalogueVersion.version))
