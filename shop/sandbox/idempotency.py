"""Idempotency keys: the same key, the same answer, for a day ("Idempotent requests" of the API reference)."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shop.sandbox.errors import ApiError, key_in_use
from shop.sandbox.store import Store

LIFE = 24 * 3600
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that a key remembers."""

    status: int
    body: str
    request_id: str


def fingerprint(method: str, path: str, form: object) -> str:
    """The same for the same request, in whatever order its parameters came."""
    text = json.dumps([method, path, form], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class Keys:
    """Which keys are being worked on, and what the finished ones answered."""

    store: Store
    _busy: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def working(self, key: str) -> Iterator[None]:
        """Keep a concurrent twin of this request out: it gets a 409."""
        with self._lock:
            if key in self._busy:
                raise key_in_use()
            self._busy.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(key)

    def recall(self, key: str, request: str, now: int) -> Answer | None:
        """What was answered before; other parameters under the same key are refused."""
        rows = self.store.rows("SELECT * FROM answer WHERE key=? AND created>?", (key, now - LIFE))
        if not rows:
            return None
        row = rows[0]
        if row["request"] != request:
            name = key.split(" ", 1)[1]
            raise ApiError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{name}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return Answer(row["status"], row["body"], row["request_id"])

    def keep(self, key: str, request: str, now: int, answer: Answer) -> None:
        """Remember an answer; in the transaction of what was done, so that neither is without the other."""
        self.store.write(
            "INSERT OR REPLACE INTO answer (key, request, created, status, body, request_id) VALUES (?, ?, ?, ?, ?, ?)",
            (key, request, now, answer.status, answer.body, answer.request_id),
        )
