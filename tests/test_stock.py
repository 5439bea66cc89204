"""Copies: counted, held, sold and posted, and never one more than there are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import stock
from shop.database import transact
from shop.errors import OutOfStock
from shop.orders.models import Order
from shop.stock import Movement, Stock, StockMovement
from tests.conftest import engine_of
from tests.factories import Catalogue, make_order, set_stock


def counters(session: Session, edition_id: int) -> tuple[int, int, int]:
    session.rollback()
    row = session.get_one(Stock, edition_id)
    return row.on_hand, row.held, row.allocated


def recomputed(session: Session, edition_id: int) -> tuple[int, int, int]:
    sums = [func.sum(column) for column in (StockMovement.on_hand, StockMovement.held, StockMovement.allocated)]
    found = session.execute(select(*sums).where(StockMovement.edition_id == edition_id)).one()
    return found[0], found[1], found[2]


def race(engine: Engine, rivals: int, work: Callable[[Session, int], object]) -> list[object]:
    """Let rivals do something at the same moment, each in a session of its own; what each got, or its refusal."""
    start = threading.Barrier(rivals)

    def run(number: int) -> object:
        with Session(engine) as session:
            start.wait(30)
            try:
                return work(session, number)
            except OutOfStock as refused:
                return refused

    with ThreadPoolExecutor(rivals) as pool:
        return list(pool.map(run, range(rivals)))


def test_an_order_takes_its_copies_through_their_life(session, catalogue: Catalogue, now):
    set_stock(session, catalogue.paperback, 5)
    order = make_order(session, paperback=2)
    copies, number = {catalogue.paperback: 2}, order.id
    assert counters(session, catalogue.paperback) == (5, 2, 0)
    transact(session, lambda s: stock.allocate(s, copies, number, "stripe", now))
    assert counters(session, catalogue.paperback) == (5, 0, 2)
    transact(session, lambda s: stock.ship(s, copies, number, "admin: Vera", now))
    assert counters(session, catalogue.paperback) == (3, 0, 0)
    transact(session, lambda s: stock.take_back(s, copies, number, "came back", "admin: Vera", now))
    assert counters(session, catalogue.paperback) == (5, 0, 0)
    assert recomputed(session, catalogue.paperback) == (5, 0, 0)


def test_released_and_freed_copies_can_be_sold_again(session, catalogue: Catalogue, now):
    set_stock(session, catalogue.paperback, 1)
    copies = {catalogue.paperback: 1}
    first = make_order(session).id
    transact(session, lambda s: stock.release(s, copies, first, "system", now))
    second = make_order(session).id
    transact(session, lambda s: stock.allocate(s, copies, second, "stripe", now))
    transact(session, lambda s: stock.free(s, copies, second, "system", now))
    assert make_order(session).id not in (first, second)
    assert recomputed(session, catalogue.paperback) == counters(session, catalogue.paperback) == (1, 1, 0)


def test_copies_are_held_for_a_whole_order_or_not_at_all(session, catalogue: Catalogue):
    set_stock(session, catalogue.paperback, 5)
    set_stock(session, catalogue.russian, 1)
    with pytest.raises(OutOfStock) as refused:
        make_order(session, paperback=2, russian=2)
    assert refused.value.edition_id == catalogue.russian
    assert counters(session, catalogue.paperback) == (5, 0, 0)
    assert counters(session, catalogue.russian) == (1, 0, 0)
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_a_count_that_finds_too_few_says_how_many_are_promised_beyond_it(session, catalogue: Catalogue, now):
    set_stock(session, catalogue.paperback, 5)
    make_order(session, paperback=3)
    short = transact(session, lambda s: stock.count(s, catalogue.paperback, 1, "damp", "admin: Vera", now))
    assert short == 2
    assert counters(session, catalogue.paperback) == (1, 3, 0)
    with pytest.raises(OutOfStock):
        make_order(session)


def test_counters_never_fall_below_nothing(session, catalogue: Catalogue, now):
    order = make_order(session).id
    copies = {catalogue.paperback: 1}
    transact(session, lambda s: stock.release(s, copies, order, "system", now))
    with pytest.raises(IntegrityError):
        transact(session, lambda s: stock.release(s, copies, order, "system", now))
    assert recomputed(session, catalogue.paperback) == counters(session, catalogue.paperback)


def test_what_does_not_lie_on_the_shelf_cannot_be_posted(session, catalogue: Catalogue, now):
    copies = {catalogue.paperback: 2}
    order = make_order(session, paperback=2).id
    transact(session, lambda s: stock.allocate(s, copies, order, "system", now))
    transact(session, lambda s: stock.count(s, catalogue.paperback, 1, "one is missing", "admin: Vera", now))
    with pytest.raises(OutOfStock):
        transact(session, lambda s: stock.ship(s, copies, order, "admin: Vera", now))
    assert counters(session, catalogue.paperback) == (1, 0, 2)


def test_every_movement_has_a_cause(session, catalogue: Catalogue):
    order = make_order(session)
    held = session.scalars(select(StockMovement).where(StockMovement.kind == Movement.HOLD)).one()
    assert (held.order_id, held.actor, held.held) == (order.id, "buyer", 1)


def test_of_many_who_want_the_last_copy_one_gets_it(session, catalogue: Catalogue, app):
    set_stock(session, catalogue.paperback, 1)
    results = race(engine_of(app), 24, lambda s, number: make_order(s, attempt=f"buyer {number}").number)
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, OutOfStock) for result in results) == 23
    assert counters(session, catalogue.paperback) == (1, 1, 0)
    assert recomputed(session, catalogue.paperback) == (1, 1, 0)


def test_orders_for_both_editions_in_any_turn_neither_deadlock_nor_oversell(session, catalogue: Catalogue, app):
    set_stock(session, catalogue.paperback, 7)
    set_stock(session, catalogue.russian, 5)

    def order(s: Session, number: int) -> str:
        wanted = {"paperback": 1, "russian": 1} if number % 2 else {"russian": 1, "paperback": 1}
        return make_order(s, attempt=f"buyer {number}", **wanted).number

    results = race(engine_of(app), 16, order)
    assert sum(isinstance(result, str) for result in results) == 5
    assert counters(session, catalogue.paperback) == (7, 5, 0)
    assert counters(session, catalogue.russian) == (5, 5, 0)


def test_a_double_click_on_the_last_copy_is_one_order(session, catalogue: Catalogue, app):
    set_stock(session, catalogue.paperback, 1)
    results = race(engine_of(app), 8, lambda s, _number: make_order(s, attempt="the same form").number)
    assert len(set(map(str, results))) == 1
    assert not any(isinstance(result, OutOfStock) for result in results)
    assert counters(session, catalogue.paperback) == (1, 1, 0)


def test_holds_and_counts_at_once_leave_books_that_agree(session, catalogue: Catalogue, app, now):
    set_stock(session, catalogue.paperback, 10)

    def work(s: Session, number: int) -> object:
        if number % 3:
            return make_order(s, attempt=f"buyer {number}").number
        return transact(s, lambda t: stock.count(t, catalogue.paperback, 10, "again", "admin: Vera", now))

    race(engine_of(app), 12, work)
    assert counters(session, catalogue.paperback) == recomputed(session, catalogue.paperback) == (10, 8, 0)
