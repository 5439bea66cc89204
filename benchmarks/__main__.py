"""``make bench``: settling on PostgreSQL as a share of two floors, the desk's pages beside a bare one, public pages
beside a bare hello."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import apps, desk, pages
from benchmarks.load import post, rate, served
from benchmarks.rows import Shop
from shop.settings import Settings
from tests.postgres import Postgres
from tests.sandbox_process import KEY, Sandbox

SECRET = "whsec_of_the_benchmarks"
REQUESTS = {"hello": 3000, "insert": 1500, "settling": 600}
SIZES = (1_000, 1_000_000)
WANTED = 0.4
PARTS = ("settling", "desk", "pages")
ENVIRON = {
    "SHOP_ENV": "development",
    "SHOP_URL": "http://localhost",
    "SECRET_KEY": "of the benchmarks, thirty-two characters long",
    "STRIPE_SECRET_KEY": KEY,
    "STRIPE_WEBHOOK_SECRET": SECRET,
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "SMTP_URL": "smtp://127.0.0.1:9",
    "MAIL_FROM": "Bookstall <shop@bookstall.example>",
}


def webhooks(numbers: range, answer: str) -> list[bytes]:
    """The news that these orders' pages were paid, each signed as Stripe signs it."""
    moment, requests = int(time.time()), []
    for number in numbers:
        session = json.loads(answer.replace(apps.PLACE, str(number)))
        event = {
            "id": f"evt_{number}",
            "object": "event",
            "type": "checkout.session.completed",
            "livemode": False,
            "created": moment,
            "data": {"object": session | {"payment_intent": f"pi_{number}"}},
        }
        body = json.dumps(event).encode()
        digest = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={moment},v1={digest}", "Content-Type": "application/json"}
        requests.append(post("/stripe/webhook", body, headers))
    return requests


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=SIZES, help="sizes of the tables, in orders")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of requests")
    parser.add_argument("--lazy", action="store_true", help="a database that does not wait for the disk")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--desk-orders", type=int, nargs="+", default=[100_000], help="orders at the desk")
    parser.add_argument("--million", action="store_true", help="the desk with 1,000,000 orders besides")
    asked = parser.parse_args()
    quick = True
    if "desk" in asked.part:
        sizes = asked.desk_orders + ([1_000_000] if asked.million else [])
        quick = desk.measure(ENVIRON, sizes, max(3, asked.rounds), lazy=asked.lazy)
    if "settling" in asked.part:
        _measure_settling(asked)
    fast = "pages" not in asked.part or pages.measure(ENVIRON, asked.rounds, asked.share, lazy=asked.lazy)
    if not quick:
        raise SystemExit("A page of the desk took longer than it may.")
    if not fast:
        raise SystemExit("Public pages are slower than they may be.")


def _measure_settling(asked: argparse.Namespace) -> None:
    postgres = Postgres(durable=not asked.lazy)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(postgres.create("bench"), Path(folder), asked.orders, asked.rounds, asked.share)
    finally:
        postgres.stop()


def measure(database: str, folder: Path, sizes: list[int], rounds: int, share: float) -> None:
    """Measure each size of tables; rounds go through hello, insert and settling in turn."""
    environ = ENVIRON | {"DATABASE_URL": database, "INSTANCE": str(folder)}
    shop = Shop(Settings.from_environ(environ))
    apps.Base.metadata.create_all(shop.engine)
    with Sandbox() as sandbox:
        answer = shop.found(sandbox)
    recording = folder / "answer.json"
    recording.write_text(answer)
    environ = {name: value for name, value in os.environ.items() if name != "HOME"} | environ
    environ |= {"HOME": str(folder), "BENCH_ANSWER": str(recording)}
    with (
        served("hello", environ) as hello,
        served("insert", environ) as insert,
        served("settling", environ) as settling,
    ):
        blank = post("/")
        times = {name: max(1, int(number * share)) for name, number in REQUESTS.items()}

        def settle() -> float:
            numbers = shop.unpaid_orders(times["settling"])
            found = rate(settling, webhooks(numbers, answer))
            assert shop.settled(numbers) == len(numbers), "not every order was settled"
            return found

        measures: dict[str, Callable[[], float]] = {
            "hello": lambda: rate(hello, [blank] * times["hello"]),
            "insert": lambda: rate(insert, [blank] * times["insert"]),
            "settling": settle,
        }
        shares = {}
        for size in sizes:
            shop.grow(size)
            for work in measures.values():
                work()  # not counted: caches and connections are made
            found: dict[str, list[float]] = {name: [] for name in measures}
            for _ in range(rounds):
                for name, work in measures.items():
                    found[name].append(work())
            shares[size] = report(size, found)
    print()
    first, last = sizes[0], sizes[-1]
    print(f"Settling is {shares[last]:.2f} of the endpoint that inserts one row (wanted: {WANTED} or more).")
    if first != last:
        print(f"With {last:,} orders it is {shares[last] / shares[first]:.2f} of what it is with {first:,}.")


def report(size: int, found: dict[str, list[float]]) -> float:
    """Print one size's figures; answers the share of settling in the inserting endpoint, paired round by round."""
    print(f"\n{size:,} orders in the database, {len(found['hello'])} rounds, median (lowest to highest):")
    for name, rates in found.items():
        middle = statistics.median(rates)
        print(f"  {name:10}{middle:8.0f} a second  ({min(rates):.0f} to {max(rates):.0f})")
    pairs = {
        "insert of hello": [a / b for a, b in zip(found["insert"], found["hello"], strict=True)],
        "settling of insert": [a / b for a, b in zip(found["settling"], found["insert"], strict=True)],
    }
    for name, ratios in pairs.items():
        print(f"  {name:20}{statistics.median(ratios):6.3f}  ({min(ratios):.3f} to {max(ratios):.3f})")
    return statistics.median(pairs["settling of insert"])


if __name__ == "__main__":
    main()
