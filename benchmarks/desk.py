"""The order desk with many orders: how long each page takes, as a median, beside a bare page in the same run."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import flask_migrate
from flask import Flask
from sqlalchemy import event, func, select, text, tuple_
from sqlalchemy.orm import Session

from shop import staff
from shop.admin.desk import TOKEN
from shop.app import create_app
from shop.database import transact
from shop.demo import making
from shop.extensions import db
from shop.orders.models import Buyer, Order, Shipment
from shop.settings import Settings
from tests import factories
from tests.postgres import Postgres

LIST, SUMS, EXPORT = 30, 100, 150
"""Milliseconds that are wanted: lists and orders, today and the reports, the first byte of the export."""
MILLION, MORE = 1_000_000, 1.3
"""With so many orders each may take so many times as long."""
BARE = "bare page"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page, where it is, and in how many milliseconds it is wanted."""

    name: str
    path: str
    query: Mapping[str, str]
    within: float


def measure(environ: Mapping[str, str], sizes: list[int], rounds: int, *, lazy: bool) -> bool:
    """Measure on SQLite and on PostgreSQL; tells whether every page was quick enough."""
    quick = True
    with tempfile.TemporaryDirectory() as folder:
        quick &= _on("SQLite", dict(environ) | {"INSTANCE": folder, "DATABASE_URL": ""}, sizes, rounds)
    postgres = Postgres(durable=not lazy)
    try:
        with tempfile.TemporaryDirectory() as folder:
            there = dict(environ) | {"INSTANCE": folder, "DATABASE_URL": postgres.create("bench_desk")}
            quick &= _on("PostgreSQL", there, sizes, rounds)
    finally:
        postgres.stop()
    return quick


def _on(name: str, environ: dict[str, str], sizes: list[int], rounds: int) -> bool:
    app = create_app(Settings.from_environ(environ))
    quick = True
    with app.app_context():
        flask_migrate.upgrade()
        session = db.session()
        factories.stock_the_shop(session)
        admin = factories.make_admin(session).id
        there = 0
        for size in sizes:
            now = datetime.now(UTC)
            begun = time.perf_counter()
            making.make(session, size - there, "bench", now)
            _settle_down(session)
            took = time.perf_counter() - begun
            print(
                f"\n{name}, {size:,} orders ({size - there:,} made up in {took:.0f} s), {rounds} rounds, milliseconds:"
            )
            there = size
            token = transact(session, staff.open_session, admin, now)
            pages = list(_pages(session, MORE if size >= MILLION else 1))
            session.rollback()
            quick &= _report(app, token, pages, rounds)
        db.engine.dispose()
    return quick


def _settle_down(session: Session) -> None:
    """Have done what is done in the background after so much was written, before anything is timed."""
    making.tidy(session)
    if session.get_bind().dialect.name == "postgresql":
        transact(session, lambda s: s.execute(text("CHECKPOINT")))
    os.sync()  # else the system still writes for half a minute


def _pages(session: Session, share: float) -> Iterator[Wanted]:
    """Every page that is judged, about an order from the middle; ``share`` of the usual limits."""
    middle = (session.scalar(select(func.max(Order.id))) or 1) // 2
    order = session.scalars(
        select(Order).join(Buyer).where(Order.id >= middle, Buyer.name != "").order_by(Order.id).limit(1)
    ).one()
    last = session.scalars(select(Order.id).order_by(Order.placed_at, Order.id).offset(51).limit(1)).one()
    parcel = select(Shipment.tracking).where(Shipment.order_id >= middle, Shipment.tracking != "")
    tracking = session.scalars(parcel.order_by(Shipment.order_id).limit(1)).first() or ""
    wish = select(Buyer.purchase_order).where(Buyer.order_id >= middle, Buyer.purchase_order != "")
    purchase = session.scalars(wish.order_by(Buyer.order_id).limit(1)).first() or ""
    first, _, surname = order.buyer.name.partition(" ")
    orders = "/admin/orders"
    searches = {
        "number": order.number,
        "beginning of a number": order.number[:6],
        "name": order.buyer.name,
        "surname": surname,
        "beginning of a name": first[:2],
        "e-mail": order.buyer.email,
        "purchase order": purchase,
        "tracking number": tracking,
        "town": "london",
        "town and name": f"london {surname}",
        "two common words": "london example",
        "nothing": "zzzzzz",
    }
    filters: dict[str, dict[str, str]] = {
        "to post": {"state": "to_post"},
        "overdue": {"state": "overdue"},
        "attention": {"attention": "yes"},
        "payment": {"payment": "refunded"},
        "parcel": {"parcel": "cancelled"},
        "edition": {"edition": "russian"},
        "region": {"region": "us"},
        "country": {"country": "FI"},
        "note": {"note": "yes"},
        "dates": {"since": order.placed_at.date().isoformat(), "until": order.placed_at.date().isoformat()},
        "five at once": {
            "country": "FI",
            "payment": "refunded",
            "edition": "russian",
            "note": "yes",
            "region": "gb",
        },
        "impossible": {"payment": "expired", "parcel": "posted"},
    }
    lists, sums, export = LIST * share, SUMS * share, EXPORT * share
    yield Wanted("list", orders, {}, lists)
    yield Wanted("deepest page", orders, {"before": str(last)}, lists)
    yield from (Wanted(f"search: {name}", orders, {"q": typed}, lists) for name, typed in searches.items())
    yield from (Wanted(f"filter: {name}", orders, query, lists) for name, query in filters.items())
    yield Wanted("order whole", f"{orders}/{order.number}", {}, lists)
    yield Wanted("today", "/admin/", {}, sums)
    yield Wanted("reports", "/admin/reports", {}, sums)
    yield Wanted("export, first byte", f"{orders}.csv", {}, export)


def _report(app: Flask, token: str, pages: list[Wanted], rounds: int) -> bool:
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie[TOKEN] = token
    works: dict[str, Callable[[], float]] = {BARE: _bare}
    works |= {each.name: partial(_time, client, each) for each in pages}
    for work in works.values():
        work()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)  # as in serve.py
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work() * 1000)
    floor = statistics.median(found[BARE])
    quick = True
    limits = {each.name: each.within for each in pages}
    for name, times in found.items():
        middle, limit = statistics.median(times), limits.get(name)
        late = limit is not None and middle > limit
        quick &= not late
        against = (
            "" if limit is None else f"  {middle / floor:5.1f} × bare, {_queries(client, name, pages):3} queries"
        )
        print(f"  {name:30}{middle:8.1f}  ({min(times):.1f} to {max(times):.1f}){against}{'  TOO SLOW' * late}")
    return quick


def _time(client: Any, page: Wanted) -> float:
    """Until the first byte, for a page that is sent in pieces; else until the last."""
    begun = time.perf_counter()
    answer = client.get(page.path, query_string=page.query)
    if answer.is_streamed:
        next(answer.iter_encoded())
    took = time.perf_counter() - begun
    assert answer.status_code == 200, f"{page.name}: {answer.status_code}"
    answer.close()
    return took


def _bare() -> float:
    """A page of the same fifty orders without a desk around it: one question, one string."""
    begun = time.perf_counter()
    session = db.session()
    key = tuple_(Order.placed_at, Order.id)
    wanted = select(Order.number, Order.placed_at, Order.country, Buyer.name).join(Buyer)
    rows = session.execute(wanted.order_by(*[each.desc() for each in key.clauses]).limit(50))
    page = "".join(f"<tr><td>{number}<td>{placed:%d.%m.%Y}<td>{name}<td>{to}" for number, placed, to, name in rows)
    assert page
    session.rollback()
    return time.perf_counter() - begun


def _queries(client: Any, name: str, pages: list[Wanted]) -> int:
    page = next(each for each in pages if each.name == name)
    with counted() as statements:
        _time(client, page)
    return len(statements)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent to the database meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
