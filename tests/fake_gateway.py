"""A payment provider in memory: it takes everything ``PaymentGateway`` promises, and remembers."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shop.errors import ForgedEvent, GatewayError, GatewayRefused
from shop.money import Currency
from shop.payments.gateway import (
    Address,
    BalanceFacts,
    CheckoutFacts,
    CheckoutRequest,
    DisputeFacts,
    IncomingEvent,
    RefundFacts,
    WarningFacts,
)

SECRET = b"whsec_of_the_remembered_provider"
LONDON = Address("Ada Reader", "1 Long Lane", "", "London", "", "EC1A 9HF", "GB")


class FakeGateway:
    """Sells nothing, but keeps every checkout, refund, dispute and event, and answers from them.

    ``before`` and ``after`` are queues of errors raised by the next calls, before or after they took effect.
    """

    livemode = False

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again, as if nobody had ever called."""
        self.checkouts: dict[str, CheckoutFacts] = {}
        self.refunds: dict[str, RefundFacts] = {}
        self.disputes: dict[str, DisputeFacts] = {}
        self.balance: dict[str, BalanceFacts] = {}
        self.warnings: dict[str, str] = {}
        self.events: dict[str, IncomingEvent] = {}
        self.undelivered: list[str] = []
        self.calls: list[str] = []
        self.before: deque[GatewayError | None] = deque()
        self.after: deque[GatewayError | None] = deque()
        self.now: datetime | None = None
        self.refund_status = "succeeded"
        """What becomes of a refund at once; Stripe's own word."""
        self._by_key: dict[str, tuple[Any, str]] = {}
        self._answers: dict[str, CheckoutFacts] = {}
        self._next = itertools.count(1)
        self._lock = threading.RLock()

    # What the shop calls

    def parameters(self, request: CheckoutRequest) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(request), default=str))

    def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
        with self._call("open_checkout"):
            known = self._once(key, parameters)
            if known is None:
                ends = datetime.fromisoformat(parameters["expires_at"])
                if self.now and ends - self.now < timedelta(minutes=30):
                    raise GatewayRefused("parameter_invalid", "expires_at is too soon")
                known = self._id("cs_test")
                books = sum(line["quantity"] * line["unit"] for line in parameters["lines"])
                self.checkouts[known] = CheckoutFacts(
                    checkout_id=known,
                    livemode=False,
                    status="open",
                    paid=False,
                    currency=Currency(parameters["currency"]),
                    books=books,
                    postage=parameters["postage"],
                    total=books + parameters["postage"],
                    intent_id="",
                    charge_id="",
                    url=f"https://pay.example/{known}",
                    metadata=dict(parameters["metadata"]),
                    reference=parameters["number"],
                    created=self._now(),
                    expires_at=ends,
                )
                self._by_key[key] = (parameters, known)
                self._answers[known] = self.checkouts[known]
            answer = self._answers[known]  # a key is answered as it was at first, whatever has become of it since
        return self._answered(answer)

    def look_up(self, checkout_id: str) -> CheckoutFacts:
        with self._call("look_up"):
            answer = _known(self.checkouts, checkout_id)
        return self._answered(answer)

    def close_checkout(self, checkout_id: str) -> CheckoutFacts:
        with self._call("close_checkout"):
            page = _known(self.checkouts, checkout_id)
            if page.status == "open":
                self.checkouts[checkout_id] = replace(page, status="expired", url="")
            answer = self.checkouts[checkout_id]
        return self._answered(answer)

    def checkouts_since(self, moment: datetime) -> Iterator[CheckoutFacts]:
        with self._call("checkouts_since"):
            found = [each for each in self.checkouts.values() if each.created and each.created >= moment]
        yield from self._answered(found)

    def checkout_of(self, intent_id: str) -> CheckoutFacts | None:
        with self._call("checkout_of"):
            found = [each for each in self.checkouts.values() if each.intent_id == intent_id]
        return self._answered(found[0] if found else None)

    def refund(
        self, key: str, intent_id: str, amount: int, reason: str, metadata: Mapping[str, str]
    ) -> RefundFacts:
        with self._call("refund"):
            known = self._once(key, (intent_id, amount, reason))
            if known is None:
                if self.disputed(intent_id):
                    raise GatewayRefused("charge_disputed", "the bank has it")
                if amount > self.left(intent_id):
                    raise GatewayRefused("charge_already_refunded", "more than is left")
                known = self.refund_in_dashboard(intent_id, amount, reason, metadata).provider_id
                self._by_key[key] = ((intent_id, amount, reason), known)
            answer = self.refunds[known]
        return self._answered(answer)

    def refunds_of(self, intent_id: str) -> list[RefundFacts]:
        with self._call("refunds_of"):
            found = [each for each in self.refunds.values() if each.intent_id == intent_id]
        return self._answered(found)

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]:
        with self._call("refunds_since"):
            found = [each for each in self.refunds.values() if each.created and each.created >= moment]
        yield from self._answered(found)

    def refund_intent(self, refund_id: str) -> str:
        with self._call("refund_intent"):
            return _known(self.refunds, refund_id).intent_id

    def charge_intent(self, charge_id: str) -> str:
        with self._call("charge_intent"):
            found = [each.intent_id for each in self.checkouts.values() if each.charge_id == charge_id]
            if not found:
                raise GatewayRefused("resource_missing", charge_id)
            return found[0]

    def look_up_dispute(self, dispute_id: str) -> DisputeFacts:
        with self._call("look_up_dispute"):
            return _known(self.disputes, dispute_id)

    def disputes_since(self, moment: datetime) -> Iterator[DisputeFacts]:
        with self._call("disputes_since"):
            found = [each for each in self.disputes.values() if each.created >= moment]
        yield from found

    def look_up_warning(self, warning_id: str) -> WarningFacts:
        with self._call("look_up_warning"):
            return WarningFacts(warning_id, _known(self.warnings, warning_id))

    def warnings_since(self, moment: datetime) -> Iterator[WarningFacts]:
        with self._call("warnings_since"):
            found = [WarningFacts(*each) for each in self.warnings.items()]
        yield from found

    def balance_since(self, moment: datetime) -> Iterator[BalanceFacts]:
        with self._call("balance_since"):
            found = [each for each in self.balance.values() if each.created >= moment]
        yield from self._answered(found)

    def undelivered_since(self, moment: datetime, types: list[str]) -> Iterator[IncomingEvent]:
        with self._call("undelivered_since"):
            kept = [self.events[each] for each in self.undelivered]
        yield from (each for each in kept if each.created >= moment and each.type in types)

    def event(self, event_id: str) -> IncomingEvent:
        with self._call("event"):
            return _known(self.events, event_id)

    def verify(self, body: bytes, signature: str) -> IncomingEvent:
        if not hmac.compare_digest(sign(body).encode(), signature.encode(errors="replace")):
            raise ForgedEvent("the signature does not fit")
        told = json.loads(body)
        return IncomingEvent(**{**told, "created": datetime.fromisoformat(told["created"])})

    # What a test does to it

    def pay(
        self,
        checkout_id: str,
        *,
        paid: bool = True,
        failed: bool = False,
        address: Address = LONDON,
        email: str = "ada@reader.example",
        **changes: Any,
    ) -> CheckoutFacts:
        """The buyer pays (or, with ``paid=False``, goes through with a method whose money comes later)."""
        page = self.checkouts[checkout_id]
        assert page.status == "open" or not page.paid, f"{checkout_id} is {page.status}"
        facts = replace(
            page,
            status="complete",
            paid=paid and not failed,
            failed=failed,
            intent_id=page.intent_id or self._id("pi"),
            charge_id=self._id("ch") if paid and not failed else "",
            url="",
            email=email,
            address=address,
            card="visa 4242",
        )
        self.checkouts[checkout_id] = replace(facts, **changes)
        return self.checkouts[checkout_id]

    def left(self, intent_id: str) -> int:
        """Minor units of a payment that have not been given back."""
        paid = sum(each.total for each in self.checkouts.values() if each.intent_id == intent_id and each.paid)
        back = [each for each in self.refunds.values() if each.intent_id == intent_id]
        return paid - sum(each.amount for each in back if each.status not in ("failed", "canceled"))

    def refund_in_dashboard(
        self, intent_id: str, amount: int, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> RefundFacts:
        """A refund that the shop did not ask for."""
        made = RefundFacts(
            self._id("re"), intent_id, amount, self.refund_status, "", reason, dict(metadata or {}), self._now()
        )
        self.refunds[made.provider_id] = made
        return made

    def disputed(self, intent_id: str) -> bool:
        """Whether the bank has the money of a payment, so that it cannot be refunded (an inquiry leaves it here)."""
        statuses = [each.status for each in self.disputes.values() if each.intent_id == intent_id]
        return any(status in ("needs_response", "under_review", "lost") for status in statuses)

    def bring_refund(self, refund_id: str, status: str) -> RefundFacts:
        """A pending refund goes on."""
        self.refunds[refund_id] = replace(self.refunds[refund_id], status=status)
        return self.refunds[refund_id]

    def fail_refund(self, refund_id: str) -> RefundFacts:
        """The buyer's bank sends a refund back."""
        self.refunds[refund_id] = replace(self.refunds[refund_id], status="failed", failure="declined")
        return self.refunds[refund_id]

    def dispute(self, checkout: CheckoutFacts, status: str = "needs_response") -> DisputeFacts:
        """The buyer's bank takes the money of a checkout back."""
        made = DisputeFacts(
            self._id("dp"),
            checkout.intent_id,
            checkout.charge_id,
            checkout.total,
            status,
            "fraudulent",
            None,
            self._now(),
        )
        self.disputes[made.provider_id] = made
        return made

    def close_dispute(self, dispute_id: str, status: str) -> DisputeFacts:
        self.disputes[dispute_id] = replace(self.disputes[dispute_id], status=status)
        return self.disputes[dispute_id]

    def tell(self, kind: str, object_id: str, *, livemode: bool = False) -> IncomingEvent:
        """Something happened that a webhook will speak of."""
        event = IncomingEvent(self._id("evt"), kind, object_id, livemode, self._now())
        self.events[event.event_id] = event
        return event

    @staticmethod
    def webhook(event: IncomingEvent) -> tuple[bytes, str]:
        """Body and signature of an event's delivery."""
        body = json.dumps(asdict(event), default=str).encode()
        return body, sign(body)

    def _call(self, name: str) -> threading.RLock:
        self.calls.append(name)
        if self.before and (error := self.before.popleft()):
            raise error
        return self._lock

    def _answered(self, answer: Any) -> Any:
        if self.after and (error := self.after.popleft()):
            raise error
        return answer

    def _once(self, key: str, parameters: Any) -> str | None:
        if key not in self._by_key:
            return None
        stored, known = self._by_key[key]
        if stored != parameters:
            raise GatewayRefused("idempotency_error", "the same key with other parameters")
        return known

    def _now(self) -> datetime:
        return self.now or datetime.now(UTC)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._next):06d}"


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


def _known(kept: Mapping[str, Any], wanted: str) -> Any:
    if wanted not in kept:
        raise GatewayRefused("resource_missing", wanted)
    return kept[wanted]
