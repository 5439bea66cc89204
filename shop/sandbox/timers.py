"""What time does by itself: sessions expire, slow payments settle, refunds arrive, disputes fall due."""

import sqlite3
import threading
import traceback

from shop.sandbox import disputes, payments, refunds, sessions
from shop.sandbox.world import World

PACE = 0.2  # seconds between two looks at the clock


def sweep(world: World) -> None:
    """Do everything that is due; one transaction for each, oldest first."""
    while True:
        due = world.store.rows(
            "SELECT * FROM timer WHERE due<=? ORDER BY due, what, object LIMIT 200", (world.clock.now(),)
        )
        if not due:
            return
        for alarm in due:
            with world.store.transaction():
                # Somebody may have been faster; what is taken back here is ours.
                taken = world.store.rows(
                    "DELETE FROM timer WHERE what=? AND object=? AND due=? RETURNING object",
                    (alarm["what"], alarm["object"], alarm["due"]),
                )
                if taken:
                    _ring(world, alarm["what"], alarm["object"])


def _ring(world: World, what: str, object_id: str) -> None:
    match what:
        case "expire_session":
            sessions.expire_by_time(world, object_id)
        case "settle_delayed":
            payments.settle_delayed(world, object_id)
        case "settle_refund":
            refunds.settle(world, object_id)
        case "open_dispute":
            payments.trouble(world, object_id)
        case "warn":
            disputes.warn(world, world.get_body("charge", object_id))
        case "dispute_due":
            disputes.due(world, object_id)
        case "dispute_verdict":
            disputes.verdict(world, object_id)
        case _:
            raise ValueError(what)


class Ticker:
    """Looks at the clock in a thread of its own, for others move it too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="ticker", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(PACE):
            try:
                sweep(self._world)
            except sqlite3.ProgrammingError:  # the store was closed meanwhile
                return
            except Exception:
                # One alarm that fails must not stop the clock for all others.
                traceback.print_exc()
