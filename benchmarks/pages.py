"""Public pages and the order form, from two workers of each server, as shares of a bare Flask hello under gunicorn."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial

import flask_migrate
from sqlalchemy.orm import Session

from benchmarks.load import fetch, get, rate, served
from shop.app import create_app
from shop.extensions import db
from shop.settings import Settings
from tests import factories
from tests.postgres import Postgres

PAGE, FORM = "/en-gb/books/paperback", "/en-gb/order?paperback=1&country=GB"
REQUESTS = {"hello": 4000, "page": 8000, "304": 8000, "form": 1200}
WANTED = {"page": 1.5, "304": 1.5, "form": 0.25}
HEAVIEST = 90  # megabytes of a worker
LATEST = 1.0  # seconds to a first page


def measure(environ: Mapping[str, str], rounds: int, share: float, *, lazy: bool) -> bool:
    """Measure on PostgreSQL, the shop under both servers in turn; tells whether the shop's own meets what is wanted."""
    postgres = Postgres(durable=not lazy)
    try:
        with tempfile.TemporaryDirectory() as folder:
            there = dict(environ) | {"INSTANCE": folder, "DATABASE_URL": postgres.create("bench_pages")}
            stock(there)
            inherited = {name: value for name, value in os.environ.items() if name != "HOME"}
            return compare(inherited | there | {"HOME": folder}, rounds, share)
    finally:
        postgres.stop()


def stock(environ: Mapping[str, str]) -> None:
    """A shop with its catalogue, ready to sell."""
    app = create_app(Settings.from_environ(environ))
    with app.app_context():
        flask_migrate.upgrade()
        with Session(db.engine) as session:
            factories.stock_the_shop(session)
            for edition in (1, 2):
                factories.set_stock(session, edition, 40)
        db.engine.dispose()


def compare(environ: Mapping[str, str], rounds: int, share: float) -> bool:
    with ExitStack() as stack:
        hello = stack.enter_context(served("hello", environ, "gunicorn"))
        measures: dict[str, Callable[[], float]] = {
            "hello": partial(rate, hello, [get("/")] * count("hello", share))
        }
        shops, first = {}, {}
        for server in ("gunicorn", "granian"):
            shop = stack.enter_context(served("pages", environ, server))
            asked = {"Accept-Encoding": "gzip, deflate, br", "Host": "localhost"}
            answer = fetch(shop, get(PAGE, asked))
            shops[server], first[server] = shop, time.monotonic() - shop.began
            mark = answer.partition(b"ETag: ")[2] or answer.partition(b"etag: ")[2]
            known = asked | {"If-None-Match": mark.partition(b"\r\n")[0].decode()}
            for name, request in {
                "page": get(PAGE, asked),
                "304": get(PAGE, known),
                "form": get(FORM, asked),
            }.items():
                measures[f"{server} {name}"] = partial(rate, shop, [request] * count(name, share))
        for work in measures.values():
            work()  # not counted: caches and connections are made
        found: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(rounds):
            for name, work in measures.items():
                found[name].append(work())
        memory = {server: max(shop.memory()) for server, shop in shops.items()}
    return report(found, memory, first, after_a_start(environ))


def after_a_start(environ: Mapping[str, str]) -> float:
    """From the death of the one worker to a page from the one that takes its place, in seconds."""
    with served("pages", environ, "granian", workers=1) as shop:
        page = get(PAGE, {"Accept-Encoding": "br", "Host": "localhost"})
        fetch(shop, page)
        shop.lose_a_worker()
        began = time.monotonic()
        while True:
            with suppress(OSError, RuntimeError):  # it was still on its way to its end
                if fetch(shop, page).startswith(b"HTTP/1.1 200"):
                    return time.monotonic() - began


def count(name: str, share: float) -> int:
    return max(16, int(REQUESTS[name] * share))


def report(
    found: dict[str, list[float]], memory: Mapping[str, float], first: Mapping[str, float], again: float
) -> bool:
    print(
        f"\nPublic pages, two workers, {len(found['hello'])} rounds, median (lowest to highest), share of hello:"
    )
    shares = {}
    for name, rates in found.items():
        pairs = [a / b for a, b in zip(rates, found["hello"], strict=True)]
        shares[name] = statistics.median(pairs)
        middle = statistics.median(rates)
        print(f"  {name:15}{middle:8.0f} a second  ({min(rates):.0f} to {max(rates):.0f}) {shares[name]:7.2f}")
    for server in memory:
        print(
            f"  {server}: {memory[server]:.0f} MB a worker, first page {first[server]:.2f} s after the server's start"
        )
    good = True
    for name, value, unit, limit in (
        ("memory", memory["granian"], "MB a worker", HEAVIEST),
        ("start", again, "s from a worker's start to its first page", LATEST),
    ):
        met = value < limit
        print(f"{name}: {value:.2f} {unit} (wanted: less than {limit}){'' if met else ' – MISSED'}")
        good &= met
    for name, wanted in WANTED.items():
        met = shares[f"granian {name}"] >= wanted
        print(
            f"{name}: {shares[f'granian {name}']:.2f} of hello (wanted: {wanted} or more){'' if met else ' – MISSED'}"
        )
        good &= met
    return good
