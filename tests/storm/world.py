"""What all who act in the storm share: the processes, a way to ask them patiently, and what has happened so far."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from shop.orders.models import Order
from shop.payments.models import CheckoutAttempt
from tests.sandbox_process import Answer, fetch
from tests.storm.parts import Parts

AWAY = (OSError, http.client.HTTPException)
"""What a killed web worker leaves its visitors."""
PATIENCE = 90
TRIES = 60


class GaveUp(Exception):
    """Somebody tried often enough."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as its buyer knows it."""

    id: int
    number: str
    path: str
    """Of its page."""


class World:
    """The shop in the storm."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.sandbox = parts.sandbox
        self.happened: dict[str, Counter[str]] = {}
        self.trouble: list[str] = []
        """What must not be, seen on the way: answers of 500, people who gave up."""
        self.over = threading.Event()
        self.lock = threading.Lock()

    def note(self, group: str, what: str, times: int = 1) -> None:
        with self.lock:
            self.happened.setdefault(group, Counter())[what] += times

    def wrong(self, what: str) -> None:
        with self.lock:
            self.trouble.append(what)

    def ask(
        self,
        path: str,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """One request to the shop; ``None`` when it broke off half-way."""
        url = path if path.startswith("http") else self.parts.url + path
        sent = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        body = None
        if data is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(data)
        try:
            answer = fetch(url, "GET" if body is None else "POST", body, sent, timeout=PATIENCE)
        except AWAY:
            self.note("answers", "broken off")
            return None
        self.note("answers", str(answer.status))
        if answer.status == 500:
            self.wrong(f"500 was answered: {'POST' if data else 'GET'} {path.partition('?')[0]}")
        return answer

    def api(self, method: str, path: str, params: Mapping[str, object] | None = None, key: str = "") -> Any:
        """A call of somebody else's program to Stripe, tried until it succeeds."""
        headers = {"Authorization": f"Bearer {self.parts.plan.environ['STRIPE_SECRET_KEY']}"}
        if key:
            headers["Idempotency-Key"] = key
        body = urlencode(flat(params)) if params else None
        for turn in range(TRIES):
            # The answer of a failed try is kept under its key, so each try has another.
            sent = headers | ({"Idempotency-Key": f"{key}:{turn}"} if key else {})
            try:
                answer = fetch(self.sandbox.url + path, method, body, sent, timeout=PATIENCE)
                if answer.status == 200:
                    return answer.json()
                if answer.status in (400, 404):
                    raise GaveUp(f"{method} {path}: {answer.text}")
            except (*AWAY, ValueError):
                pass
            time.sleep(0.1)
        raise GaveUp(f"{method} {path}")

    def control(self, path: str, **wish: Any) -> Any:
        """Have something happen at Stripe; what is not possible is ``None``."""
        answer = fetch(
            f"{self.sandbox.url}/_control/{path}",
            "POST",
            json.dumps(wish),
            {"Content-Type": "application/json"},
            timeout=PATIENCE,
        )
        return answer.json() if answer.status == 200 else None

    def placed(self, page: str) -> Placed:
        """The order behind one of Stripe's pages."""
        checkout_id = page.partition("#")[0].rpartition("/")[2]
        wanted = (
            select(Order.id, Order.number, Order.market_slug, Order.token)
            .join(CheckoutAttempt, CheckoutAttempt.order_id == Order.id)
            .where(CheckoutAttempt.checkout_id == checkout_id)
        )
        with self.parts.session() as session:
            order_id, number, market, token = session.execute(wanted).one()
        return Placed(order_id, number, f"/{market}/orders/{token}")

    def asked_for(self, order_id: int) -> dict[str, Any]:
        """What Stripe was asked for when an order's last page was opened."""
        wanted = (
            select(CheckoutAttempt.parameters)
            .where(CheckoutAttempt.order_id == order_id)
            .order_by(CheckoutAttempt.number.desc())
            .limit(1)
        )
        with self.parts.session() as session:
            return dict(session.scalars(wanted).one())


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Parameters as a form with brackets, as Stripe reads them."""
    if isinstance(value, Mapping):
        pairs = [(f"{name}[{key}]" if name else str(key), each) for key, each in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{name}[{place}]", each) for place, each in enumerate(value)]
    else:
        return {name: str(value).lower() if isinstance(value, bool) else str(value)}
    found: dict[str, str] = {}
    for key, each in pairs:
        found |= flat(each, key)
    return found
