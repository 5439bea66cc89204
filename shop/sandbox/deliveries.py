"""Webhooks: who is told what, signed, repeated until it is answered ("Webhooks" in Stripe's documentation).

Deliveries are rows written with the event; a clerk thread hands the due ones to carriers. No lock is held while
a carrier waits for an answer, because the shop asks the API back from inside its handler.
"""

import hashlib
import hmac
import http.client
import json
import queue
import random
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shop.sandbox.clock import Clock
from shop.sandbox.store import Json, Store

# stripe.md, section 4: what a shop that follows the advice subscribes to.
SUBSCRIBED = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "radar.early_fraud_warning.created",
    "payment_intent.payment_failed",
)
CARRIERS = 24
PATIENCE = 10  # seconds that an endpoint has for its answer
# Stripe tries for three days with exponential back-off; here that takes some ten minutes.
PAUSES = (0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 60, 60, 60, 60)
WAITING, SENDING, DELIVERED, FAILED, DROPPED = "waiting", "sending", "delivered", "failed", "dropped"


@dataclass(slots=True)
class Rates:
    """The share of deliveries that go wrong in each way, 0 to 1."""

    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    shuffle: float = 0.0

    def as_json(self) -> dict[str, float]:
        """The rates in force."""
        return {"drop": self.drop, "repeat": self.repeat, "delay": self.delay, "shuffle": self.shuffle}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who listens."""

    id: str
    url: str
    secrets: tuple[str, ...]
    types: tuple[str, ...]

    def wants(self, kind: str) -> bool:
        """Whether it subscribed to a type of event."""
        return kind in self.types or "*" in self.types


class Deliveries:
    """The post office for events."""

    def __init__(self, store: Store, clock: Clock, dice: random.Random, default: Endpoint | None) -> None:
        self.rates = Rates()
        self._store = store
        self._clock = clock
        self._dice = dice
        self._default = default
        self._due = threading.Condition()
        self._work: queue.SimpleQueue[sqlite3.Row | None] = queue.SimpleQueue()
        self._woken = False
        self._closed = False
        self._answered: dict[str, threading.Event] = {}

    def start(self) -> None:
        """Begin to deliver, what an earlier run left over included."""
        self._store.write("UPDATE delivery SET state=? WHERE state=?", (WAITING, SENDING))
        threading.Thread(target=self._clerk, name="deliveries", daemon=True).start()
        for number in range(CARRIERS):
            threading.Thread(target=self._carrier, name=f"carrier-{number}", daemon=True).start()

    def stop(self) -> None:
        """Send nothing more; what is under way is sent again by the next run."""
        self._closed = True
        self.wake()

    def wake(self) -> None:
        """Look for due deliveries now."""
        with self._due:
            self._woken = True
            self._due.notify()

    def endpoints(self) -> list[Endpoint]:
        """The shop's own address and whatever was registered through the API."""
        registered = [
            Endpoint(r.id, r.body["url"], (r.hidden["secret"],), tuple(r.body["enabled_events"]))
            for r in self._store.records("webhook_endpoint", "status='enabled'", newest_first=False)
        ]
        return ([self._default] if self._default else []) + registered

    def plan(self, event: Json) -> int:
        """Owe an event to everybody who wants it, with whatever ill luck the rates bring; returns how many."""
        rates, dice, now = self.rates, self._dice, time.time()
        listeners = [endpoint for endpoint in self.endpoints() if endpoint.wants(event["type"])]
        prompt = bool(listeners)
        for endpoint in listeners:
            due, state, note = now, WAITING, ""
            if dice.random() < rates.drop:
                state, note = DROPPED, "dropped"
            elif dice.random() < rates.delay:
                due, note = now + dice.uniform(2, 5), "delayed"
            elif dice.random() < rates.shuffle:
                due, note = now + dice.uniform(0.1, 1.5), "shuffled"
            prompt = prompt and not note
            self._owe(event, endpoint, due, state, note)
            if state == WAITING and dice.random() < rates.repeat:
                self._owe(event, endpoint, due + dice.uniform(0, 1), WAITING, "repeated")
        if prompt:
            self._answered[event["id"]] = threading.Event()
        self._store.afterwards(self.wake)
        return len(listeners)

    def _owe(self, event: Json, endpoint: Endpoint, due: float, state: str, note: str) -> None:
        self._store.write(
            "INSERT INTO delivery (event, type, endpoint, url, state, note, due) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event["id"], event["type"], endpoint.id, endpoint.url, state, note, due),
        )

    def resend(self, event_id: str) -> int:
        """Send an event once more to everybody who wants it, however it went before."""
        with self._store.transaction():
            event = self._store.find("event", event_id)
            if event is None:
                return 0
            listeners = [endpoint for endpoint in self.endpoints() if endpoint.wants(event.body["type"])]
            for endpoint in listeners:
                self._owe(event.body, endpoint, time.time(), WAITING, "resent")
            self._store.afterwards(self.wake)
        return len(listeners)

    def hurry(self) -> None:
        """Everything that waits is due: the clock was moved past it."""
        with self._store.transaction():
            self._store.write(
                "UPDATE delivery SET due=? WHERE state=? AND due>?", (time.time(), WAITING, time.time())
            )
            self._store.afterwards(self.wake)

    def wait_for_answer(self, event_id: str, seconds: float) -> None:
        """Wait until the first try of an event was answered; not for one that is dropped or held back."""
        answered = self._answered.get(event_id)
        if answered is not None:
            answered.wait(seconds)
            self._answered.pop(event_id, None)

    def _clerk(self) -> None:
        """Hand due deliveries to the carriers."""
        pause = 0.0
        while not self._closed:
            with self._due:
                if not self._woken:
                    self._due.wait(pause)
                self._woken = False
            if self._closed:
                break
            try:
                rows = self._store.rows(
                    "UPDATE delivery SET state=? WHERE state=? AND due<=? RETURNING *",
                    (SENDING, WAITING, time.time()),
                )
                later = self._store.rows(
                    "SELECT min(due) FROM delivery WHERE state=? AND due>?", (WAITING, time.time())
                )[0][0]
            except sqlite3.ProgrammingError:  # the store was closed meanwhile
                break
            for row in sorted(rows, key=lambda r: (r["due"], r["id"])):
                self._work.put(row)
            pause = 0.5 if later is None else max(0.01, min(0.5, later - time.time()))
        for _ in range(CARRIERS):
            self._work.put(None)

    def _carrier(self) -> None:
        """Carry one delivery after the other."""
        while (row := self._work.get()) is not None:
            try:
                self._carry(row)
            except sqlite3.ProgrammingError:
                return

    def _carry(self, row: sqlite3.Row) -> None:
        event = self._store.find("event", row["event"])
        endpoint = next((e for e in self.endpoints() if e.id == row["endpoint"]), None)
        if event is None or endpoint is None:
            self._store.write("UPDATE delivery SET state=?, error='gone' WHERE id=?", (FAILED, row["id"]))
            return
        payload = json.dumps(event.body, indent=2, ensure_ascii=False)
        status, error = _post(endpoint.url, payload.encode(), sign(payload, endpoint.secrets))
        if self._closed:
            return
        self._note(row, event.body, status, error)
        answered = self._answered.pop(row["event"], None)
        if answered is not None:
            answered.set()

    def _note(self, row: sqlite3.Row, event: Json, status: int | None, error: str | None) -> None:
        """Write down how a try went and when the next one is due."""
        done = status is not None and 200 <= status < 300
        tries = row["tries"] + 1
        state = DELIVERED if done else WAITING if tries <= len(PAUSES) else FAILED
        due = time.time() + (0 if done or state == FAILED else PAUSES[tries - 1])
        with self._store.transaction():
            self._store.write(
                "UPDATE delivery SET state=?, tries=?, due=?, status=?, error=?, sent_at=? WHERE id=?",
                (state, tries, due, status, error, time.time(), row["id"]),
            )
            if not done:
                return
            left = self._store.rows(
                "SELECT count(DISTINCT endpoint) FROM delivery WHERE event=? AND endpoint NOT IN"
                " (SELECT endpoint FROM delivery WHERE event=? AND state=?)",
                (event["id"], event["id"], DELIVERED),
            )[0][0]
            if left != event["pending_webhooks"]:
                fresh = self._store.find("event", event["id"])
                if fresh is not None:
                    self._store.save(fresh.body | {"pending_webhooks": left})

    def log(self, limit: int = 500) -> list[dict[str, Any]]:
        """The latest deliveries, newest first."""
        rows = self._store.rows("SELECT * FROM delivery ORDER BY id DESC LIMIT ?", (limit,))
        return [dict(row) for row in rows]


def sign(payload: str, secrets: tuple[str, ...]) -> str:
    """The header `Stripe-Signature`, one v1 for each secret as while Stripe rolls them.

    The time is the real one: receivers compare it with their own clock, which nobody moves.
    """
    moment = int(time.time())
    marks = [hmac.new(s.encode(), f"{moment}.{payload}".encode(), hashlib.sha256).hexdigest() for s in secrets]
    return ",".join([f"t={moment}", *(f"v1={mark}" for mark in marks)])


def _post(url: str, payload: bytes, signature: str) -> tuple[int | None, str | None]:
    """One try; redirects are not followed and no proxy of the environment is asked."""
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Connection": "close",
        "Stripe-Signature": signature,
    }
    connection = make(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request(
            "POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), payload, headers
        )
        answer = connection.getresponse()
        answer.read(65536)
        return answer.status, None
    except (OSError, http.client.HTTPException) as problem:
        return None, f"{type(problem).__name__}: {problem}"[:300]
    finally:
        connection.close()
