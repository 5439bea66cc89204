"""What a payment provider does for the shop, in the shop's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shop.errors import GatewayUnavailable
from shop.money import Currency


@dataclass(frozen=True, slots=True)
class Address:
    """Where the buyer wants the parcel, as the provider collected it."""

    name: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class CheckoutFacts:
    """One checkout as the provider knows it now. Sums in minor units.

    ``status`` is ``open``, ``complete`` or ``expired``; ``paid`` tells whether the money is secured.
    """

    checkout_id: str
    livemode: bool
    status: str
    paid: bool
    currency: Currency | None
    books: int
    postage: int
    total: int
    intent_id: str
    charge_id: str
    url: str
    failed: bool = False
    """Complete, but the money of a delayed method did not come."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    email: str = ""
    phone: str = ""
    address: Address = Address()
    card: str = ""
    created: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """One refund as the provider knows it now. ``status`` is the provider's word."""

    provider_id: str
    intent_id: str
    amount: int
    status: str
    failure: str = ""
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """One dispute as the provider knows it now."""

    provider_id: str
    intent_id: str
    charge_id: str
    amount: int
    status: str
    reason: str
    due_by: datetime | None
    created: datetime


@dataclass(frozen=True, slots=True)
class BalanceFacts:
    """One movement of money at the provider: ``amount − fee = net``, minor units of the balance's currency."""

    provider_id: str
    kind: str
    source_id: str
    amount: int
    fee: int
    net: int
    currency: Currency | None
    created: datetime


@dataclass(frozen=True, slots=True)
class WarningFacts:
    """The card's network believes that a charge is a fraud, though nobody has disputed it yet."""

    provider_id: str
    charge_id: str


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """A verified webhook: only a trigger, never a source of facts."""

    event_id: str
    type: str
    object_id: str
    livemode: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class CheckoutLine:
    """Copies of one edition on the payment page; ``unit`` in minor units."""

    slug: str
    title: str
    description: str
    quantity: int
    unit: int
    tax_code: str


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What a payment page is to show and ask for, in the payer's language.

    ``country`` is where a parcel goes, and what follows it is about that; without one no address is asked for.
    """

    number: str
    locale: str
    currency: Currency
    lines: tuple[CheckoutLine, ...]
    description: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    metadata: Mapping[str, str]
    country: str = ""
    postage: int = 0
    postage_name: str = ""
    min_days: int = 0
    max_days: int = 0
    submit_note: str = ""


class PaymentGateway(Protocol):
    """Every method that calls may raise ``GatewayUnavailable`` (outcome unknown) or ``GatewayRefused`` (not done)."""

    @property
    def livemode(self) -> bool:
        """Whether real money moves."""

    def parameters(self, request: CheckoutRequest) -> dict[str, Any]:
        """The provider's own parameters for a payment page, as JSON to be stored; calls nothing."""

    def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
        """Open a payment page; the same key and parameters lead to the same page."""

    def look_up(self, checkout_id: str) -> CheckoutFacts: ...

    def close_checkout(self, checkout_id: str) -> CheckoutFacts:
        """Close a page so that it can never be paid; answers what it has become, paid perhaps."""

    def checkouts_since(self, moment: datetime) -> Iterator[CheckoutFacts]: ...

    def checkout_of(self, intent_id: str) -> CheckoutFacts | None:
        """The checkout a payment came from; ``None`` for money that came another way."""

    def refund(
        self, key: str, intent_id: str, amount: int, reason: str, metadata: Mapping[str, str]
    ) -> RefundFacts: ...

    def refunds_of(self, intent_id: str) -> list[RefundFacts]: ...

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]: ...

    def refund_intent(self, refund_id: str) -> str:
        """The payment intent of a refund."""

    def charge_intent(self, charge_id: str) -> str:
        """The payment intent of a charge."""

    def look_up_dispute(self, dispute_id: str) -> DisputeFacts: ...

    def disputes_since(self, moment: datetime) -> Iterator[DisputeFacts]: ...

    def look_up_warning(self, warning_id: str) -> WarningFacts: ...

    def warnings_since(self, moment: datetime) -> Iterator[WarningFacts]: ...

    def balance_since(self, moment: datetime) -> Iterator[BalanceFacts]: ...

    def undelivered_since(self, moment: datetime, types: list[str]) -> Iterator[IncomingEvent]: ...

    def event(self, event_id: str) -> IncomingEvent: ...

    def verify(self, body: bytes, signature: str) -> IncomingEvent:
        """Check a webhook's signature; raises ``ForgedEvent``."""


AWAY_AFTER = 3
"""So many questions in a row without an answer mean that the provider is away, and asking on would take hours."""


@dataclass(slots=True)
class Trials:
    """Many questions to a provider who now and then does not answer: one that he leaves open delays no other."""

    unanswered: list[str] = field(default_factory=list)
    in_a_row: int = 0

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """One question. Its ``GatewayUnavailable`` is kept, and raised only when the provider seems to be away."""
        try:
            yield
        except GatewayUnavailable:
            self.unanswered.append(what)
            self.in_a_row += 1
            if self.in_a_row >= AWAY_AFTER:
                raise
        else:
            self.in_a_row = 0

    def end(self) -> None:
        """Raise ``GatewayUnavailable`` if anything is open: whoever asks again later will hear the rest."""
        if self.unanswered:
            raise GatewayUnavailable(f"no answer about {', '.join(self.unanswered[:10])}")
