"""What became of one order, told as the rows that the shop itself would have written."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from shop.catalogue.offers import Offer
from shop.demo.people import Person, person
from shop.demo.rows import Rows
from shop.letters.models import Kind, Letter, LetterState
from shop.letters.outbox import locale_of
from shop.markets import Market
from shop.money import Money
from shop.orders import timeline
from shop.orders.folding import code_terms, terms_of
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import (
    PERSONAL,
    Buyer,
    Concern,
    Order,
    OrderLine,
    ParcelKind,
    PersonalValue,
    Shipment,
    ShipmentLine,
    TimelineEntry,
    Worry,
)
from shop.orders.snapshot import money_fact
from shop.orders.terms import BUYER, NUMBER, OrderTerm, number_terms, parcel
from shop.orders.timeline import STRIPE, SYSTEM, Actor
from shop.payments.ledger import LedgerEntry
from shop.payments.models import (
    AttemptState,
    CheckoutAttempt,
    Dispute,
    Payment,
    PaymentRole,
    Refund,
    RefundLine,
    RefundSource,
    RefundState,
)
from shop.stock import Movement


class Outcome(enum.Enum):
    """How far an order has come."""

    AWAITING = "awaiting"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    TO_POST = "to post"
    WORRY = "worry"
    CALLED_OFF = "called off"
    POSTED = "posted"
    PART_REFUNDED = "part refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


UNPAID = {
    Outcome.AWAITING: PaymentState.AWAITING,
    Outcome.EXPIRED: PaymentState.EXPIRED,
    Outcome.CANCELLED: PaymentState.CANCELLED,
    Outcome.FAILED: PaymentState.FAILED,
}
STATES = {
    Outcome.CALLED_OFF: PaymentState.REFUNDED,
    Outcome.REFUNDED: PaymentState.REFUNDED,
    Outcome.PART_REFUNDED: PaymentState.PART_REFUNDED,
}
POSTED = (Outcome.POSTED, Outcome.PART_REFUNDED, Outcome.REFUNDED, Outcome.DISPUTED)
CARRIERS = ("Royal Mail", "Royal Mail", "Royal Mail", "DHL", "Evri")
CARDS = ("visa 4242", "mastercard 4444", "amex 0005", "visa 1881")
SUBJECTS = {
    ("en", Kind.ORDER_PAID): "Your order {number} is paid",
    ("ru", Kind.ORDER_PAID): "Ваш заказ {number} оплачен",
    ("en", Kind.POSTED): "Your order {number} was posted",
    ("ru", Kind.POSTED): "Ваш заказ {number} отправлен",
    ("en", Kind.REFUNDED): "Money back for your order {number}",
    ("ru", Kind.REFUNDED): "Возврат денег за заказ {number}",
    ("en", Kind.NEW_ORDER): "New order {number}",
    ("ru", Kind.NEW_ORDER): "Новый заказ {number}",
}
BODIES = {
    "en": "Hello,\n\n{subject}.\n\nThank you for ordering at our shop.\n",
    "ru": "Здравствуйте!\n\n{subject}.\n\nСпасибо за заказ в нашем магазине.\n",
}


@dataclass
class Story:
    """One order from its placing to now."""

    number: str
    market: Market
    offer: Offer
    names: dict[tuple[int, str], str]
    facts: dict[str, object]
    keeper: tuple[str, str] | None
    actor: str
    placed_at: datetime
    now: datetime
    outcome: Outcome
    _seq: int = 0
    _head: str = ""
    _terms: set[tuple[str, str]] = field(default_factory=set)

    def tell(self, rows: Rows, chance: Random) -> None:
        """Add everything that the order has left in the database."""
        self.rows, self.chance = rows, chance
        self.id, self.paid_at = rows.id(Order), None
        self.token = f"{chance.getrandbits(256):064x}"[:43]
        self.person = person(chance, self.market.language, self.offer.country)
        self._payment, self._attention, self._disputed = PaymentState.PAID, False, False
        paying = self.outcome not in UNPAID
        self._fulfilment = FulfilmentState.TO_POST if paying else FulfilmentState.PENDING
        self.note(
            "placed", timeline.BUYER, self.placed_at, total=self.offer.total.amount, country=self.offer.country
        )
        self.move(Movement.HOLD, timeline.BUYER, self.placed_at, held=1)
        self._terms |= {(term, NUMBER) for term in number_terms(self.number)}
        if paying:
            self._pay(min(self.placed_at + timedelta(seconds=chance.randrange(50, 900)), self.now))
        else:
            self._end()
        if self.outcome is Outcome.WORRY:
            self._worry(Worry.ADDRESS_REFUSED, str(self.payment_id), self.paid_at or self.now, why="other_country")
        elif self.outcome is Outcome.CALLED_OFF:
            self._call_off()
        elif self.outcome in POSTED:
            self._post()
        self._write()

    def note(
        self, kind: str, actor: Actor, at: datetime, personal: dict[str, str] | None = None, **details: Any
    ) -> None:
        self._seq += 1
        if personal:
            details[PERSONAL] = {}
            for name, value in personal.items():
                salt = f"{self.chance.getrandbits(128):032x}"
                details[PERSONAL][name] = timeline.salted(salt, self.number, self._seq, name, value)
                self.rows.add(PersonalValue, self.id, self._seq, name, salt, value)
        self._head = timeline.link(self._head, self.number, self._seq, at, actor, kind, details)
        entry = (self.id, self._seq, at, actor.kind, actor.name, kind, details, self._head)
        self.rows.add(TimelineEntry, *entry)

    def move(
        self, kind: Movement, actor: Actor, at: datetime, on_hand: int = 0, held: int = 0, allocated: int = 0
    ) -> None:
        """Move every copy of the order; the numbers are signs."""
        for line in self.offer.lines:
            many = line.quantity
            self.rows.move(
                line.edition.id,
                kind,
                self.id,
                str(actor),
                at,
                on_hand=on_hand * many,
                held=held * many,
                allocated=allocated * many,
            )

    def _end(self) -> None:
        """Nothing was paid, or not yet."""
        self._payment = UNPAID[self.outcome]
        if self.outcome is Outcome.AWAITING:
            return
        at = min(self.placed_at + timedelta(minutes=45), self.now)
        self._attempt(at, AttemptState.CLOSED)
        if self.outcome is Outcome.FAILED:
            self.note("processing", STRIPE, self.placed_at + timedelta(minutes=1))
            self.note("payment_failed", STRIPE, at)
        else:
            self.note(self._payment.value, SYSTEM if self.outcome is Outcome.EXPIRED else timeline.BUYER, at)
        self.move(Movement.RELEASE, SYSTEM, at, held=-1)

    def _attempt(self, at: datetime, state: AttemptState) -> int:
        attempt_id = self.rows.id(CheckoutAttempt)
        self.checkout_id = f"cs_demo_{self.chance.getrandbits(128):032x}"
        expires_at = self.placed_at + timedelta(minutes=35)
        asked = {"mode": "payment", "client_reference_id": self.number, "amount_total": self.offer.total.amount}
        self.rows.add(
            CheckoutAttempt,
            *(attempt_id, self.id, 1, f"checkout:demo:{self.id}", asked, expires_at, state, self.checkout_id, ""),
            *(self.placed_at, at),
        )
        return attempt_id

    def _pay(self, at: datetime) -> None:
        total = self.offer.total
        self.paid_at = at
        attempt_id = self._attempt(at, AttemptState.CLOSED)
        mark = f"{self.chance.getrandbits(96):024x}"
        self.payment_id = self.rows.id(Payment)
        self.rows.add(
            Payment,
            *(self.payment_id, self.id, attempt_id, PaymentRole.ORDER, f"pi_demo_{mark}", f"ch_demo_{mark}"),
            *(self.checkout_id, total.amount, total.currency, self.chance.choice(CARDS), at, {}),
        )
        self._book("charge", total.amount, total.amount * 15 // 1000 + 20, None, at)
        self.note("paid", STRIPE, at, amount=total.amount, currency=total.currency.value)
        self.move(Movement.ALLOCATE, SYSTEM, at, held=-1, allocated=1)
        self.context = self._facts()
        self._letter(Kind.ORDER_PAID, f"payment:{self.payment_id}", self.context, at)
        if self.keeper is not None:
            self._letter(Kind.NEW_ORDER, f"order:{self.id}:paid", self.context, at, self.keeper)

    def _book(self, kind: str, amount: int, fee: int, refund_id: int | None, at: datetime) -> None:
        """A movement of Stripe's account."""
        provider_id = f"txn_demo_{self.chance.getrandbits(96):024x}"
        currency = self.offer.total.currency
        values = (provider_id, kind, self.payment_id, refund_id, amount, fee, amount - fee, currency, at)
        self.rows.add(LedgerEntry, *values)

    def _post(self) -> None:
        chance, keeper = self.chance, timeline.admin(self.actor)
        assert self.paid_at is not None
        at = min(self.paid_at + timedelta(hours=chance.randrange(4, 50)), self.now)
        shipment_id, carrier = self.rows.id(Shipment), chance.choice(CARRIERS)
        tracking = f"R{chance.choice('ABCD')}{chance.randrange(10**9):09d}GB" if chance.random() < 0.85 else ""
        self._fulfilment = FulfilmentState.POSTED
        self.rows.add(
            Shipment,
            *(shipment_id, self.id, ParcelKind.ORDER, "", carrier, tracking, "", self.actor, at, "", "", False),
        )
        for position, line in enumerate(self.offer.lines, start=1):
            self.rows.add(ShipmentLine, shipment_id, position, line.quantity)
        self._terms |= {(term, parcel(shipment_id)) for term in code_terms(tracking)}
        personal = {"tracking": tracking} if tracking else None
        self.note("posted", keeper, at, personal, carrier=carrier)
        self.move(Movement.SHIP, keeper, at, on_hand=-1, allocated=-1)
        told = self.context | {"carrier": carrier, "tracking": tracking, "posted_at": at.isoformat()}
        bounced = chance.random() < 0.1 and self.now - at < timedelta(days=4)
        self._letter(Kind.POSTED, f"shipment:{shipment_id}", told, at, failed=bounced)
        later = min(at + timedelta(days=chance.randrange(2, 20)), self.now)
        total = self.offer.total.amount
        if self.outcome is Outcome.REFUNDED:
            refund_id = self._refund(total, later)
            for position, line in enumerate(self.offer.lines, start=1):
                self.rows.add(RefundLine, refund_id, position, line.quantity, True, None)
        elif self.outcome is Outcome.PART_REFUNDED:
            self._refund(max(1, total // 4), later)
        elif self.outcome is Outcome.DISPUTED:
            self._dispute(later)

    def _call_off(self) -> None:
        assert self.paid_at is not None
        at = min(self.paid_at + timedelta(hours=3), self.now)
        self._refund(self.offer.total.amount, at)
        self._fulfilment = FulfilmentState.CANCELLED
        self.note("fulfilment_cancelled", SYSTEM, at)
        self.move(Movement.FREE, SYSTEM, at, allocated=-1)

    def _refund(self, amount: int, at: datetime) -> int:
        """Money that has gone back; the order's state follows from its outcome."""
        refund_id, mark = self.rows.id(Refund), f"{self.chance.getrandbits(96):024x}"
        currency = self.offer.total.currency
        source = RefundSource.ADMIN
        self.rows.add(
            Refund,
            *(refund_id, f"refund:demo:{mark}", self.payment_id, RefundState.SUCCEEDED, source, amount),
            *("requested_by_customer", f"re_demo_{mark}", "", self.actor, at, at, 1),
        )
        self._book("refund", -amount, 0, refund_id, at)
        told: dict[str, Any] = {"refund": refund_id, "amount": amount, "currency": currency.value}
        self.note("refund_asked", timeline.admin(self.actor), at, **told)
        self.note("refunded", STRIPE, at, **told, source=source.value)
        context = self.context | {
            "refund": money_fact(Money(amount, currency)),
            "full": amount == self.offer.total.amount,
        }
        self._letter(Kind.REFUNDED, f"refund:{refund_id}", context, at)
        return refund_id

    def _dispute(self, at: datetime) -> None:
        provider_id = f"dp_demo_{self.chance.getrandbits(96):024x}"
        due_by = self.now + timedelta(days=self.chance.randrange(1, 10))
        self._disputed = True
        self.rows.add(
            Dispute,
            *(self.payment_id, provider_id, "needs_response", "product_not_received"),
            *(self.offer.total.amount, due_by, at, None),
        )
        self.note("dispute_opened", STRIPE, at, status="needs_response")
        self._worry(Worry.DISPUTE, provider_id, at, due_by=due_by.isoformat())

    def _worry(self, worry: Worry, cause: str, at: datetime, **details: Any) -> None:
        self._attention = True
        self.rows.add(Concern, self.rows.id(Concern), self.id, worry, cause, details, at, None, "")
        self.note("attention", SYSTEM, at, worry=worry.value, **details)

    def _letter(
        self,
        kind: Kind,
        cause: str,
        context: dict[str, Any],
        at: datetime,
        to: tuple[str, str] | None = None,
        *,
        failed: bool = False,
    ) -> None:
        recipient, language = to or (self.person.email, self.market.language)
        subject = SUBJECTS[language if language in BODIES else "en", kind].format(number=self.number)
        body = BODIES[language if language in BODIES else "en"].format(subject=subject)
        state = LetterState.FAILED if failed else LetterState.SENT
        written = json.dumps(context, ensure_ascii=False)
        self.rows.add(
            Letter,
            *(kind, cause, 0, recipient, "", locale_of(language) if to else self.market.locale, written, self.id),
            *(f"<{self.chance.getrandbits(128):032x}@demo.example>", state, at, at, 1),
            *("550 no such mailbox" if failed else "", None if failed else at, "" if failed else subject),
            "" if failed else body,
        )

    def _facts(self) -> dict[str, Any]:
        """As ``orders.snapshot.order_facts`` says it."""
        offer, buyer = self.offer, self.person
        assert self.paid_at is not None
        town = " ".join(part for part in (buyer.city, buyer.state, buyer.postal_code) if part)
        return {
            "number": self.number,
            "path": f"/{self.market.slug}/orders/{self.token}",
            "market": self.market.slug,
            "placed_at": self.placed_at.isoformat(),
            "paid_at": self.paid_at.isoformat(),
            "lines": [
                {
                    "slug": line.edition.slug,
                    "title": line.edition.heading,
                    "name": self._name(line.edition.id),
                    "names": {
                        code: name for (known, code), name in self.names.items() if known == line.edition.id
                    },
                    "language": line.edition.language,
                    "isbn": line.edition.isbn,
                    "quantity": line.quantity,
                    "called_off": 0,
                    "unit": money_fact(line.unit),
                    "amount": money_fact(line.amount),
                }
                for line in offer.lines
            ],
            "books": money_fact(offer.books),
            "postage": money_fact(offer.postage),
            "total": money_fact(offer.total),
            "email": buyer.email,
            "address_lines": [line for line in (buyer.name, buyer.line1, buyer.line2, town) if line],
            "country": buyer.country,
            "purchase_order": buyer.purchase_order,
            "note": buyer.note,
            "min_days": offer.zone.min_days,
            "max_days": offer.zone.max_days,
            **self.facts,
        }

    def _name(self, edition_id: int) -> str:
        return self.names.get((edition_id, self.market.language), "")

    def _write(self) -> None:
        """The order's own rows, now that everything about it is known."""
        rows, offer, buyer = self.rows, self.offer, self._buyer()
        paid = self.paid_at is not None
        rows.add(
            Order,
            *(self.id, self.number, self.token, f"{self.chance.getrandbits(256):064x}"),
            *(f"{self.chance.getrandbits(256):064x}", self.market.slug, offer.country, offer.books.currency),
            *(offer.books.amount, offer.postage.amount, offer.zone.min_days, offer.zone.max_days),
            *(STATES.get(self.outcome, self._payment), self._fulfilment, self._attention, self._disputed, False),
            *(self.outcome is Outcome.AWAITING, self._fulfilment is FulfilmentState.TO_POST, ""),
            *(self.placed_at, self.paid_at, int(paid), self._seq, self._head),
        )
        for position, line in enumerate(offer.lines, start=1):
            each = line.edition
            rows.add(
                OrderLine,
                *(self.id, position, each.id, each.slug, each.heading, self._name(each.id), each.isbn),
                *(each.language, line.quantity, line.unit.amount, each.mailing_grams or 0, 0),
                line.quantity if self._fulfilment is FulfilmentState.POSTED else 0,
            )
        found = terms_of(buyer.name, buyer.email, buyer.city) | code_terms(buyer.purchase_order)
        rows.add(
            Buyer,
            *(self.id, buyer.email, buyer.name, buyer.phone, buyer.line1, buyer.line2, buyer.city, buyer.state),
            *(buyer.postal_code, buyer.country, buyer.purchase_order, buyer.note, " ".join(sorted(found))),
        )
        for term, source in sorted(self._terms | {(term, BUYER) for term in found}):
            rows.add(OrderTerm, self.id, term, source, self.placed_at)

    def _buyer(self) -> Person:
        """Whoever has not been on the provider's page has told nothing of himself but his wishes."""
        known = self.person
        if self._payment in (PaymentState.AWAITING, PaymentState.EXPIRED, PaymentState.CANCELLED):
            return Person("", "", "", "", "", "", "", "", "", known.purchase_order, known.note)
        return known
