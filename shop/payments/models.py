"""Checkout attempts of orders and invoices, payments, refunds, disputes, and the inbox of webhooks."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base
from shop.libraries.paper_models import Paper
from shop.money import Currency, Money
from shop.orders.models import Order


class AttemptState(enum.StrEnum):
    NEW = "new"
    """Stored; the provider may or may not know it."""
    OPEN = "open"
    COMPLETE = "complete"
    """The buyer has gone through with it; a delayed method's money may still be on the way."""
    CLOSED = "closed"
    """Can never be paid."""


class Attempt:
    """A page at Stripe, asked for once: key and parameters are stored before the call and never change."""

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    """Counts the pages for one thing that is paid."""
    key: Mapped[str] = mapped_column(String(100), unique=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    expires_at: Mapped[datetime]
    state: Mapped[AttemptState] = mapped_column(default=AttemptState.NEW)
    checkout_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    url: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    """When it was last looked up at Stripe."""


class CheckoutAttempt(Attempt, Base):
    """One page at Stripe for one order."""

    __tablename__ = "checkout_attempt"
    __table_args__ = (
        UniqueConstraint("order_id", "number"),
        Index("ix_checkout_attempt_state_expires_at", "state", "expires_at"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    order: Mapped[Order] = relationship()


class InvoiceAttempt(Attempt, Base):
    """One page at Stripe for what is open of one invoice. ``amount`` in minor units: what the page asks for.

    Its key is random: numbers of invoices come again after a restored backup, and in other shops of the same account.
    """

    __tablename__ = "invoice_attempt"
    __table_args__ = (
        UniqueConstraint("paper_id", "number"),
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_invoice_attempt_state_expires_at", "state", "expires_at"),
    )

    paper_id: Mapped[int] = mapped_column(ForeignKey("paper.id"))
    amount: Mapped[int]
    currency: Mapped[Currency]
    paper: Mapped[Paper] = relationship()


class PaymentRole(enum.StrEnum):
    ORDER = "order"
    """The money that pays the order."""
    INVOICE = "invoice"
    """The money that pays a library's invoice."""
    SURPLUS = "surplus"
    """A second, late or disagreeing payment: goes back, or waits for a person."""
    ORPHAN = "orphan"
    """Bears our mark, but no order is known."""


class Payment(Base):
    """Money received, once for each payment intent. Sums in minor units of ``currency``."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        # One payment pays an order, however many arrive.
        Index(
            "uq_payment_order",
            "order_id",
            unique=True,
            sqlite_where=text("role = 'order'"),
            postgresql_where=text("role = 'order'"),
        ),
        # And one an invoice.
        Index(
            "uq_payment_invoice",
            "paper_id",
            unique=True,
            sqlite_where=text("role = 'invoice'"),
            postgresql_where=text("role = 'invoice'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)
    attempt_id: Mapped[int | None] = mapped_column(ForeignKey("checkout_attempt.id"))
    paper_id: Mapped[int | None] = mapped_column(ForeignKey("paper.id"), index=True)
    """The invoice that it was meant for."""
    role: Mapped[PaymentRole]
    intent_id: Mapped[str] = mapped_column(String(100), unique=True)
    charge_id: Mapped[str] = mapped_column(String(100), default="", index=True)
    checkout_id: Mapped[str] = mapped_column(String(100), default="")
    amount: Mapped[int]
    currency: Mapped[Currency]
    card: Mapped[str] = mapped_column(String(60), default="")
    """Brand and last four digits."""
    received_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """The provider's metadata, from which an orphan's order can be rebuilt."""
    order: Mapped[Order | None] = relationship()
    paper: Mapped[Paper | None] = relationship()
    refunds: Mapped[list[Refund]] = relationship(order_by="Refund.id", back_populates="payment")

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class RefundState(enum.StrEnum):
    OWED = "owed"
    """Decided; the provider has not confirmed it."""
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Refused, or failed after having succeeded: the money is still or again ours."""
    CANCELLED = "cancelled"


class RefundSource(enum.StrEnum):
    ADMIN = "admin"
    SYSTEM = "system"
    DASHBOARD = "dashboard"


class Refund(Base):
    """Money that goes back. ``amount`` in minor units of the payment's currency."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        # All that the worker asks of what is owed: he asks often, and finds nothing among all that was ever refunded.
        Index("ix_refund_waiting", "state", "next_try_at", "claimed_until"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    """Idempotency key, random and kept: the same row is the same refund, however often it is asked for."""
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    state: Mapped[RefundState]
    source: Mapped[RefundSource]
    amount: Mapped[int]
    reason: Mapped[str] = mapped_column(String(60), default="")
    provider_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    failure: Mapped[str] = mapped_column(String(200), default="")
    asked_by: Mapped[str] = mapped_column(String(200), default="")
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(index=True, active_history=True)
    claimed_until: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    undo_until: Mapped[datetime | None] = mapped_column(index=True)
    """Until then the provider is not told, and whoever asked for it can take it back."""
    repeats_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), unique=True)
    """The failed refund that this one repeats; each is repeated once."""
    payment: Mapped[Payment] = relationship(back_populates="refunds")
    lines: Mapped[list[RefundLine]] = relationship(order_by="RefundLine.position", lazy="selectin")

    @property
    def money(self) -> Money:
        return Money(self.amount, self.payment.currency)

    @property
    def awaited(self) -> int:
        """Posted copies that it is about and that have not come back."""
        return sum(line.quantity for line in self.lines if line.posted and line.returned_at is None)


class RefundLine(Base):
    """Copies that a refund is about: so many of an order's line, those in the house and those posted apart."""

    __tablename__ = "refund_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """The order line's."""
    quantity: Mapped[int]
    posted: Mapped[bool] = mapped_column(primary_key=True)
    """They had left the house when the refund was asked for."""
    returned_at: Mapped[datetime | None]
    """When they went back to sale: by themselves if they had not been posted, else when somebody had them back."""

    @property
    def to_call_off(self) -> bool:
        return not self.posted and self.returned_at is None


HARMLESS = ("won", "warning_closed", "prevented")
"""Dispute statuses with which the money stays here (Stripe, "Dispute object", status)."""


class Dispute(Base):
    """A buyer's bank takes the money back, or asks. ``status`` is the provider's own word."""

    __tablename__ = "dispute"

    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    provider_id: Mapped[str] = mapped_column(String(100), unique=True)
    status: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(String(60), default="")
    amount: Mapped[int]
    due_by: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    payment: Mapped[Payment] = relationship()


class InboxState(enum.StrEnum):
    NEW = "new"
    DONE = "done"
    FAILED = "failed"


UNDONE = (InboxState.NEW, InboxState.FAILED)
"""Not as “all but done”: an index finds the few by what they are, and would be read through for what they are not."""


class InboxEvent(Base):
    """A verified webhook, kept before it is worked. Its object is fetched afresh, so only the id is kept."""

    __tablename__ = "inbox_event"
    __table_args__ = (Index("ix_inbox_event_state_due_at", "state", "due_at"),)

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    type: Mapped[str] = mapped_column(String(80))
    object_id: Mapped[str] = mapped_column(String(100), index=True)
    state: Mapped[InboxState] = mapped_column(default=InboxState.NEW)
    outcome: Mapped[str] = mapped_column(String(40), default="")
    """What it came to: ``applied``, ``stranger``, ``ignored``."""
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")
    received_at: Mapped[datetime] = mapped_column(index=True)
    delivered: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It came as a webhook; others were found by reconciliation, to which the provider had not delivered them."""
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
