"""What a library asked for."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
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


class Stage(enum.StrEnum):
    """How far the shop itself has got with an order that it supplies; beside the state, which the library sees."""

    NONE = "none"
    QUOTED = "quoted"
    ORDERED = "ordered"
    """Its purchase order is accepted, and copies are put aside."""
    INVOICED = "invoiced"


class LibraryOrder(Base):
    """A library's enquiry or order. Kept 24 months, then erased."""

    __tablename__ = "library_order"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("held >= 0 AND allocated >= 0 AND posted >= 0", name="copies"),
        Index("ix_library_order_joins_by", "joins_by", unique=True),
    )

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
    seen_at: Mapped[datetime | None]
    """When the distributor said that he has it in hand."""
    supplier_name: Mapped[str] = mapped_column(String(200), default="")
    supplier_language: Mapped[str] = mapped_column(String(8), default="")
    joins_by: Mapped[str | None] = mapped_column(String(64))
    """Digest of purchase order, e-mail domain and edition: who sends the same again is joined to this one.

    Empty without a purchase order, and once the ticket is closed.
    """
    joined_to_id: Mapped[int | None] = mapped_column(ForeignKey("library_order.id"))
    """The ticket that this one says again."""
    resembles_id: Mapped[int | None] = mapped_column(ForeignKey("library_order.id"))
    """A ticket that this one may say again; a person decides."""
    chase_at: Mapped[datetime | None] = mapped_column(index=True)
    """When somebody is to be reminded if nothing has happened until then."""
    chased: Mapped[int] = mapped_column(default=0)
    """Who was reminded already: 0 nobody, 1 the distributor, 2 the shopkeeper too."""
    erased_at: Mapped[datetime | None]
    """When all that was typed was erased."""
    stage: Mapped[Stage] = mapped_column(default=Stage.NONE)
    held: Mapped[int] = mapped_column(default=0)
    """Copies put aside for it,"""
    allocated: Mapped[int] = mapped_column(default=0)
    """copies invoiced and not posted,"""
    posted: Mapped[int] = mapped_column(default=0)
    """and copies that have left the house, whether or not they came back."""
    informed: Mapped[str] = mapped_column(Text, default="")
    """Further e-mail addresses that get every letter about it, one a line."""

    edition: Mapped[Edition] = relationship()
    events: Mapped[list[LibraryEvent]] = relationship(order_by="LibraryEvent.id")
    parcels: Mapped[list[LibraryParcel]] = relationship(order_by="LibraryParcel.id")
    files: Mapped[list[LibraryFile]] = relationship(order_by="LibraryFile.id")
    joined_to: Mapped[LibraryOrder | None] = relationship(
        foreign_keys=[joined_to_id], remote_side="LibraryOrder.id"
    )
    resembles: Mapped[LibraryOrder | None] = relationship(
        foreign_keys=[resembles_id], remote_side="LibraryOrder.id"
    )


class LibraryEvent(Base):
    """Something that happened to a library order."""

    __tablename__ = "library_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    library_order_id: Mapped[int] = mapped_column(ForeignKey("library_order.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text, default="")


class LibraryFile(Base):
    """A purchase order that was sent as a file; the bytes lie in the instance folder under ``key``.

    Without a ticket it belongs to a form that is still being mended.
    """

    __tablename__ = "library_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    library_order_id: Mapped[int | None] = mapped_column(ForeignKey("library_order.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    media_type: Mapped[str] = mapped_column(String(60))
    size: Mapped[int]
    """In bytes."""
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the bytes."""
    kept_at: Mapped[datetime]


class DistributorLink(Base):
    """A secret address under which the distributor answers about one ticket; only its digest is kept."""

    __tablename__ = "distributor_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    library_order_id: Mapped[int] = mapped_column(ForeignKey("library_order.id"), index=True)
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class LibraryRules(Base):
    """One row: what the owner has decided about library orders. Days are working days."""

    __tablename__ = "library_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    remind_days: Mapped[int]
    """After so many days without a word the distributor is reminded,"""
    tell_days: Mapped[int]
    """and so many days later the shopkeeper is told."""
    valid_days: Mapped[int]
    """A quotation holds for so many calendar days."""
    terms_days: Mapped[int]
    """An invoice is due after so many calendar days."""
    before_due_days: Mapped[int]
    after_due_days: Mapped[int]
    """Calendar days before and after the due date on which the library is reminded."""
    holidays: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Days off, which are no working days: one, or a range, a line (``markets.days_off``)."""


class LibraryParcel(Base):
    """Copies that were posted to a library together."""

    __tablename__ = "library_parcel"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    library_order_id: Mapped[int] = mapped_column(ForeignKey("library_order.id"), index=True)
    quantity: Mapped[int]
    carrier: Mapped[str] = mapped_column(String(100), default="")
    tracking: Mapped[str] = mapped_column(String(100), default="")
    posted_at: Mapped[datetime]
    posted_by: Mapped[str] = mapped_column(String(200))
