"""The provider's world while orders live their lives: its time goes on, it refuses, and what happens in it is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from shop.errors import GatewayError, GatewayRefused, GatewayUnavailable
from shop.payments.gateway import RefundFacts
from tests.fake_gateway import FakeGateway

KEYS_KEPT = timedelta(hours=24)
"""The provider forgets idempotency keys after a day."""

Event = tuple[str, str, str]
"""Id, kind, the thing it is about."""

FAULTS: dict[str, tuple[str, GatewayError]] = {
    "before": ("before", GatewayUnavailable("no answer")),
    "after": ("after", GatewayUnavailable("no answer")),
    "refused": ("before", GatewayRefused("parameter_invalid", "no")),
    "behind": ("before", GatewayRefused("parameter_invalid", "too soon", "expires_at")),
    "spent": ("before", GatewayUnavailable("kept under the key", spent=True)),
    "spent after": ("after", GatewayUnavailable("kept under the key", spent=True)),
}
"""How a call may fail: before or after it took effect, and with what."""


class World(FakeGateway):
    """The provider in memory, for a machine that asks what there is, and what has not been told of it."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.now: datetime = now
        self.refused: set[str] = set()
        """Keys of refunds that the provider would not make."""
        self.pending: list[Event] = []
        """Events not delivered."""
        self._seen: dict[str, str] = {}
        self._fault = ""

    def refund(
        self, key: str, intent_id: str, amount: int, reason: str, metadata: Mapping[str, str]
    ) -> RefundFacts:
        if key in self._by_key and self.refunds[self._by_key[key][1]].created <= self.now - KEYS_KEPT:
            del self._by_key[key]
        breaks = bool(self.before and self.before[0])
        try:
            return super().refund(key, intent_id, amount, reason, metadata)
        except GatewayRefused:
            if not breaks:
                self.refused.add(key)
            raise

    # What is there

    def pages(self, *statuses: str) -> list[str]:
        return [key for key, page in self.checkouts.items() if page.status in statuses]

    def paid(self) -> list[str]:
        """Intents of money that the provider has."""
        return [page.intent_id for page in self.checkouts.values() if page.paid]

    def page_of(self, intent: str) -> str:
        return next(key for key, page in self.checkouts.items() if page.intent_id == intent)

    def intent_of(self, charge: str) -> str:
        return next(page.intent_id for page in self.checkouts.values() if page.charge_id == charge)

    def delayed(self) -> list[str]:
        """Pages that a buyer went through, whose money is on the way."""
        complete = self.pages("complete")
        return [key for key in complete if not self.checkouts[key].paid and not self.checkouts[key].failed]

    # Calls that fail

    def fail(self, fault: str) -> None:
        """Let the shop's next call fail so."""
        self._fault = fault
        if fault:
            queue, error = FAULTS[fault]
            getattr(self, queue).append(error)

    def failed(self) -> str:
        """The fault that happened; whatever the shop did not need is forgotten."""
        happened = self._fault if self._fault and not self.before and not self.after else ""
        self._fault = ""
        self.before.clear()
        self.after.clear()
        return happened

    # Time and messages

    def tick(self, **by: float) -> None:
        self.now += timedelta(**(by or {"seconds": 1}))
        for page_id in self.pages("open"):
            if self.checkouts[page_id].expires_at <= self.now:
                self.close_checkout(page_id)

    def overhear(self) -> None:
        """Whatever has changed becomes an event."""
        for page_id, page in self.checkouts.items():
            state = "failed" if page.failed else "paid" if page.paid else page.status
            before = self._seen.get(page_id, "open")
            if state != before:
                later = "async_payment_succeeded" if state == "paid" else "async_payment_failed"
                kind = "expired" if state == "expired" else later if before == "complete" else "completed"
                self._event(f"checkout.session.{kind}", page_id)
            self._seen[page_id] = state
        for refund_id, refund in self.refunds.items():
            before = self._seen.get(refund_id)
            if before is None:
                self._event("refund.created", refund_id)
                self._event("charge.refunded", self.checkouts[self.page_of(refund.intent_id)].charge_id)
            elif before != refund.status:
                self._event("refund.failed" if refund.status == "failed" else "refund.updated", refund_id)
            self._seen[refund_id] = refund.status
        for dispute_id, dispute in self.disputes.items():
            if self._seen.get(dispute_id) != dispute.status:
                kind = "updated" if dispute_id in self._seen else "created"
                self._event(f"charge.dispute.{kind}", dispute_id)
            self._seen[dispute_id] = dispute.status
        for warning_id in self.warnings:
            if warning_id not in self._seen:
                self._event("radar.early_fraud_warning.created", warning_id)
            self._seen[warning_id] = "there"

    def _event(self, kind: str, thing: str) -> None:
        self.pending.append((self.tell(kind, thing).event_id, kind, thing))
