"""Trouble on demand: API calls that fail before or after they took effect."""

import random
import threading
from dataclasses import dataclass, field
from typing import Any

from shop.sandbox.errors import ApiError, key_in_use, locked

STATUSES = (0, 400, 401, 402, 403, 404, 409, 429, 500, 502, 503, 504)
KINDS = ("cut", "truncated")


@dataclass(frozen=True, slots=True)
class Fault:
    """One trouble: an answer with a status, a connection cut (status 0), or half a body. Of the answers with 429,
    ``locked`` is the one about a busy object."""

    status: int
    truncated: bool = False
    locked: bool = False

    @property
    def name(self) -> str:
        """How the log of calls names it."""
        return "truncated" if self.truncated else str(self.status or "cut")

    def error(self) -> ApiError:
        """The answer that Stripe would give for such a status."""
        if self.locked:
            return locked()
        if self.status == 429:
            return ApiError(429, "Too many requests hit the API too quickly.", code="rate_limit")
        if self.status == 409:
            return key_in_use()
        if self.status == 401:
            return ApiError(401, "Invalid API Key provided.")
        if self.status == 402:
            return ApiError(402, "Your card was declined.", kind="card_error", code="card_declined")
        if self.status == 403:
            return ApiError(
                403, "The provided key does not have the required permissions.", kind="invalid_request_error"
            )
        if self.status in (400, 404):
            return ApiError(self.status, "The sandbox was told to refuse this call.")
        return ApiError(self.status, "Sorry, there was an error on our end.", kind="api_error")


@dataclass(slots=True)
class Faults:
    """`before` and `after` count the calls still to be hit; `rate` is the share of all calls from now on."""

    dice: random.Random
    before: int = 0
    after: int = 0
    status: int | None = None
    rate: float = 0.0
    slow: float = 0.0
    truncated: bool = False
    locked: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, wish: dict[str, Any]) -> None:
        """Take new orders; what is not named goes back to nothing."""
        with self._lock:
            self.before = wish.get("before", 0)
            self.after = wish.get("after", 0)
            self.status = wish.get("status")
            self.rate = wish.get("rate", 0.0)
            self.slow = wish.get("slow", 0.0)
            self.truncated = wish.get("truncated", False)
            self.locked = wish.get("locked", False)

    def as_json(self) -> dict[str, Any]:
        """The orders in force."""
        with self._lock:
            return {
                "before": self.before,
                "after": self.after,
                "status": self.status,
                "rate": self.rate,
                "slow": self.slow,
                "truncated": self.truncated,
                "locked": self.locked,
            }

    def draw(self) -> tuple[Fault | None, Fault | None]:
        """What happens to the next call: a fault before it takes effect, one after, or none."""
        with self._lock:
            if self.before > 0:
                self.before -= 1
                return Fault(500 if self.status is None else self.status, locked=self.locked), None
            if self.after > 0:
                self.after -= 1
                return None, Fault(self.status or 0, self.truncated)
            if not self.rate or self.dice.random() >= self.rate:
                return None, None
            if self.dice.random() < 0.5:
                status = self.dice.choice((500, 409, 429, 0)) if self.status is None else self.status
                return Fault(status, locked=status == 429 and self.dice.random() < 0.5), None
            # An answer of 500 after the fact is kept under the idempotency key for a day, as at Stripe; the
            # random faults lose the answer instead, which the same key heals.
            return None, Fault(self.status or 0, self.truncated or (not self.status and self.dice.random() < 0.5))
