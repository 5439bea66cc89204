"""What a library asked for."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.catalogue.models import Edition
from shop.database import Base


class Request(enum.StrEnum):
    QUOTE = "quote"
    PRO_FORMA = "pro_forma"
    ORDER = "order"
    AVAILABILITY = "availability"


class LibraryState(enum.StrEnum):
    RECEIVED = "received"
    SENT = "sent"
    """The distributor has been written to."""
    ANSWERED = "answered"
    SUPPLIED = "supplied"
    CANNOT_SUPPLY = "cannot_supply"
    CLOSED = "closed"


class LibraryOrder(Base):
    """A library's enquiry or order. Kept 24 months, then erased."""

    __tablename__ = "library_order"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket: Mapped[str] = mapped_column(String(16), unique=True)
    """For people: ``LB-`` and a random number with a check character."""
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """The secret part of the library's own page."""
    submission: Mapped[str] = mapped_column(String(64), unique=True)
    """Digest of the form's random mark and content: a double click is one order."""
    market: Mapped[str] = mapped_column(String(16))
    state: Mapped[LibraryState] = mapped_column(default=LibraryState.RECEIVED)
    placed_at: Mapped[datetime] = mapped_column(index=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    quantity: Mapped[int]
    request: Mapped[Request]
    institution: Mapped[str] = mapped_column(String(200))
    department: Mapped[str] = mapped_column(String(200), default="")
    contact_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    phone: Mapped[str] = mapped_column(String(60), default="")
    delivery_address: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(String(2))
    invoice_address: Mapped[str] = mapped_column(Text, default="")
    invoice_email: Mapped[str] = mapped_column(String(254), default="")
    purchase_order: Mapped[str] = mapped_column(String(100), default="")
    own_reference: Mapped[str] = mapped_column(String(100), default="")
    payment_route: Mapped[str] = mapped_column(String(40), default="")
    currency: Mapped[str] = mapped_column(String(3), default="")
    vat_number: Mapped[str] = mapped_column(String(40), default="")
    tax_exempt: Mapped[bool] = mapped_column(default=False)
    vendor_forms: Mapped[str] = mapped_column(String(300), default="")
    san: Mapped[str] = mapped_column(String(40), default="")
    deadline: Mapped[date | None]
    marc_wanted: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[str] = mapped_column(Text, default="")
    consent_at: Mapped[datetime]
    routed_to: Mapped[str] = mapped_column(String(254), default="")
    """The distributor's address it was sent to; empty when it came to the shopkeeper."""
    erased_at: Mapped[datetime | None]
    """When all that was typed was erased."""

    edition: Mapped[Edition] = relationship()
    events: Mapped[list[LibraryEvent]] = relationship(order_by="LibraryEvent.id")


class LibraryEvent(Base):
    """Something that happened to a library order."""

    __tablename__ = "library_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    library_order_id: Mapped[int] = mapped_column(ForeignKey("library_order.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text, default="")
