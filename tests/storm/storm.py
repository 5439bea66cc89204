"""One storm from its beginning to the reckoning."""

from __future__ import annotations

import re
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from shop.catalogue.models import Edition
from tests import factories
from tests.storm import lots, reckoning
from tests.storm.buyers import Buyer, Story
from tests.storm.desk import Desk
from tests.storm.lots import Lot
from tests.storm.parts import Parts
from tests.storm.weather import Weather, calm
from tests.storm.world import World

HANDS = 32
ROUNDS = 12  # of calm, each of twenty minutes of the shop's time
ROUND = 240  # seconds that one of them may last
RESTING = 6  # seconds without any change: what is left needs time to go by
DELAYED = 3 * 24 * 3600 + 60
"""After so long the sandbox settles payments of delayed methods by itself."""


@dataclass(slots=True)
class Report:
    """What happened, and what does not agree."""

    database: str
    orders: int
    seed: int
    happened: dict[str, Counter[str]] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    """Of calls and of deliveries that went wrong while the storm lasted."""
    mistakes: list[str] = field(default_factory=list)
    """Exceptions in the logs: not wrong by themselves."""
    differences: list[str] = field(default_factory=list)


class Storm:
    """Buyers, desk and weather let loose on a shop that has been started."""

    def __init__(self, parts: Parts, orders: int, seed: int) -> None:
        self.world = World(parts)
        self.lots = lots.buyers(seed, orders)
        self.desk = Desk(self.world)
        self.weather = Weather(self.world, self.desk, seed, self._wake)
        self._pool = ThreadPoolExecutor(HANDS)
        self._waiting: list[tuple[Lot, Story]] = []
        self._under_way = 0
        self.report = Report(parts.engine.dialect.name, orders, seed)

    def run(self) -> Report:
        world, report, begun = self.world, self.report, time.monotonic()
        self._stock()
        self.desk.sign_in()
        self.weather.start()
        for lot in self.lots:
            self._go_on(lot, self._life(lot))
        while self._left():
            time.sleep(0.2)
            if not self.weather.is_alive():
                raise RuntimeError(f"the weather has ended by itself; see above and in {world.parts.instance}")
            if self._under_way == 0:
                self._wake()
        self.desk.ownerless(self.weather.dice)
        report.minutes["storm"] = (time.monotonic() - begun) / 60
        report.shares = shares(world.parts.instance)
        world.over.set()
        self.weather.join()
        self._pool.shutdown()
        calm(world)
        begun = time.monotonic()
        self._settle()
        report.minutes["settling"] = (time.monotonic() - begun) / 60
        begun = time.monotonic()
        report.differences = [*self._finish(), *reckoning.differences(world)]
        report.minutes["reckoning"] = (time.monotonic() - begun) / 60
        report.happened = world.happened
        received = world.parts.mail.received
        report.happened["letters"] = Counter(each.kind for each in received)
        report.happened["letters"]["distinct"] = len({each.message_id for each in received})
        report.mistakes = list(world.parts.mistakes())
        return report

    def _stock(self) -> None:
        """Paperbacks for everybody; of the Russian edition too few."""
        wanted: Counter[str] = Counter()
        for lot in self.lots:
            wanted.update(lot.copies)
        with self.world.parts.session() as session:
            ids = dict(iter(session.execute(select(Edition.slug, Edition.id))))
            session.rollback()
            factories.set_stock(session, ids["paperback"], 3 * len(self.lots) + 20)
            factories.set_stock(session, ids["russian"], max(5, wanted["russian"] // 2))

    def _life(self, lot: Lot) -> Story:
        buyer = Buyer(self.world, lot)
        yield from buyer.live()
        self.world.note("fates", lot.fate)
        if buyer.order is not None:
            yield from self.desk.afterwards(lot, buyer.order.id)

    def _go_on(self, lot: Lot, story: Story) -> None:
        with self.world.lock:
            self._under_way += 1
        self._pool.submit(self._step, lot, story)

    def _step(self, lot: Lot, story: Story) -> None:
        """Tell a story until it ends or waits for the clock."""
        try:
            next(story)
        except StopIteration:
            pass
        except Exception as error:
            # One buyer's mishap is a difference; all the others go on.
            self.world.wrong(f"buyer {lot.number} ({lot.fate}): {type(error).__name__}: {error}")
            traceback.print_exc()
        else:
            with self.world.lock:
                self._waiting.append((lot, story))
        with self.world.lock:
            self._under_way -= 1

    def _wake(self) -> None:
        """The clock was moved, or nothing else happens any more: whoever waits goes on."""
        with self.world.lock:
            found, self._waiting = self._waiting, []
        for lot, story in found:
            self._go_on(lot, story)

    def _left(self) -> bool:
        with self.world.lock:
            return bool(self._under_way or self._waiting)

    def _settle(self) -> None:
        """Let the two workers do all there is to do, with the clock moved over whatever must wait."""
        parts = self.world.parts
        self.world.sandbox.advance(DELAYED)
        for _ in range(ROUNDS):
            ends, quiet = time.monotonic() + ROUND, time.monotonic()
            before: Counter[str] = Counter()
            while time.monotonic() < ends and time.monotonic() - quiet < RESTING:
                with parts.session() as session:
                    left = reckoning.unsettled(session)
                if not left:
                    return
                if left != before:
                    before, quiet = left, time.monotonic()
                time.sleep(0.5)
            self.world.sandbox.advance(20 * 60)

    def _finish(self) -> Iterator[str]:
        """Nobody works any more; what reconciliation finds, and that it finds nothing more after that."""
        parts = self.world.parts
        parts.stop_workers()
        before = parts.commands_run("worker --once", "reconcile")
        self.world.sandbox.advance(20 * 60)  # what is written to the shopkeeper meanwhile waits to be joined
        *then, second, audited = parts.commands_run("worker --once", "reconcile", "audit")
        before += then
        yield from (f"flask shop …: {each.output}{each.raised}" for each in before if each.code)
        with parts.session() as session:
            kept = "".join(f"holds without a live page: {each}\n" for each in reckoning.undecided(session))
        if second.code or not re.fullmatch(rf"looked up \d+, put right 0\n{kept}", second.output):
            yield f"a second reconciliation has changed something: {second.output}{second.raised}"
        if audited.code:
            yield from (f"audit: {line}" for line in f"{audited.output}{audited.raised}".splitlines())


def shares(instance: Path) -> dict[str, float]:
    """The share of calls and of deliveries that went wrong so far, from the sandbox's own rows."""
    found = {}
    with sqlite3.connect(f"file:{instance / 'sandbox.sqlite'}?mode=ro", uri=True) as store:
        for name, table, bad in (
            ("calls", "call", "fault IS NOT NULL"),
            ("deliveries", "delivery", "note <> ''"),
        ):
            all_, wrong = store.execute(f"SELECT count(*), count(*) FILTER (WHERE {bad}) FROM {table}").fetchone()  # noqa: S608
            found[name] = wrong / all_ if all_ else 0.0
            found[f"number of {name}"] = all_
    store.close()
    return found


def raging(instance: Path, database_url: str, orders: int, seed: int) -> Report:
    """Start a shop, let a storm loose on it, and stop it."""
    parts = Parts(instance, database_url)
    try:
        return Storm(parts.start(), orders, seed).run()
    finally:
        parts.stop()
