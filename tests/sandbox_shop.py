"""What tests of the sandbox share: a shop's usual requests, a receiver of webhooks, and fixtures."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.sandbox_process import KEY, Sandbox


def checkout(currency: str = "gbp", **changes: Any) -> dict[str, Any]:
    """What a bookshop asks of Stripe for one book to Britain; a change of None takes a parameter away."""
    params: dict[str, Any] = {
        "mode": "payment",
        "locale": "en-GB",
        "client_reference_id": "RR-TEST0001",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": currency,
                    "unit_amount": 1899,
                    "tax_behavior": "inclusive",
                    "product_data": {"name": "The Russian Revolution in Retreat", "tax_code": "txcd_35010000"},
                },
            }
        ],
        "shipping_address_collection": {"allowed_countries": ["GB"]},
        "shipping_options": [
            {
                "shipping_rate_data": {
                    "type": "fixed_amount",
                    "display_name": "Royal Mail",
                    "tax_behavior": "inclusive",
                    "tax_code": "txcd_92010001",
                    "fixed_amount": {"amount": 350, "currency": currency},
                    "delivery_estimate": {
                        "minimum": {"unit": "business_day", "value": 2},
                        "maximum": {"unit": "business_day", "value": 5},
                    },
                }
            }
        ],
        "adaptive_pricing": {"enabled": False},
        "allowed_payment_method_types": ["card"],
        "metadata": {"order": "RR-TEST0001"},
        "payment_intent_data": {"metadata": {"order": "RR-TEST0001"}, "description": "Order RR-TEST0001"},
        "success_url": "http://127.0.0.1:9/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/back",
    }
    return {name: value for name, value in (params | changes).items() if value is not None}


class Shop:
    """A shop's side of the conversation: the unchanged `stripe` package pointed at a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client = client_of(sandbox)
        self.v1 = self.client.v1

    def open(self, currency: str = "gbp", **changes: Any) -> Any:
        """A new session."""
        return self.v1.checkout.sessions.create(checkout(currency, **changes))  # type: ignore[arg-type]

    def look(self, session_id: str) -> Any:
        """A session with what settling needs."""
        expand = ["line_items", "payment_intent.latest_charge.balance_transaction"]
        return self.v1.checkout.sessions.retrieve(session_id, {"expand": expand})

    def paid(self, card_number: str = "4242424242424242", currency: str = "gbp", **changes: Any) -> Any:
        """A session that its buyer went through with."""
        session = self.open(currency, **changes)
        answer = self.sandbox.pay(session.url, card_number=card_number)
        assert answer.status == 303, answer.text
        return self.look(session.id)

    def events(self, **params: Any) -> list[str]:
        """The types of the latest events, oldest first."""
        found = self.v1.events.list({"limit": 100, **params})  # type: ignore[typeddict-item]
        return [event.type for event in reversed(found.data)]


def client_of(sandbox: Sandbox, **options: Any) -> stripe.StripeClient:
    """The package's client, with nothing changed but the address."""
    return stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, **options)


class Receiver:
    """A webhook endpoint that keeps what it is sent; `answer` decides what it says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda event: 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.answer(json.loads(body)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/stripe/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """Begin anew."""
        self.got.clear()
        self.answer = lambda event: 200

    def events(self) -> list[dict[str, Any]]:
        """The events as they came."""
        return [json.loads(body) for _, body in list(self.got)]

    def types(self) -> list[str]:
        """Their types."""
        return [event["type"] for event in self.events()]


def wait_until(check: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "that did not happen in time"
        time.sleep(0.02)


@contextmanager
def receiver_at_work() -> Iterator[Receiver]:
    """A receiver that is closed at the end."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for a module's tests, without a listener for its webhooks."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def shop(sandbox: Sandbox) -> Shop:
    """A shop at that sandbox, with nothing going wrong."""
    sandbox.control("faults", {})
    sandbox.control("webhooks", {})
    return Shop(sandbox)
