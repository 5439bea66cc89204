"""An order, its lines, its buyer, its parcels, and what a person has to look at."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base
from shop.markets import MARKETS, Market
from shop.money import Currency, Money
from shop.orders.folding import searchable
from shop.orders.lifecycle import FulfilmentState, PaymentState, partly_posted

PERSONAL = "personal"
"""The name in an entry's details under which digests of personal values stand."""
LISTED = ("placed_at", "id")


class Order(Base):
    """What one buyer ordered at once. Prices and titles are copied, so that history never moves."""

    __tablename__ = "order"
    __table_args__ = (
        UniqueConstraint("attempt", "content"),
        CheckConstraint("books_amount > 0 AND postage_amount >= 0", name="amounts"),
        # The desk's list: each filter is an index in the list's own order, and tells the others' values.
        Index("ix_order_listed", *LISTED),
        Index("ix_order_payment_state_listed", "payment_state", *LISTED, "fulfilment_state", "country"),
        Index("ix_order_fulfilment_state_listed", "fulfilment_state", *LISTED, "payment_state", "country"),
        Index("ix_order_country_listed", "country", *LISTED, "payment_state", "fulfilment_state"),
        Index(
            "ix_order_attention_listed",
            *LISTED,
            sqlite_where=text("needs_attention = 1 OR disputed = 1"),
            postgresql_where=text("needs_attention OR disputed"),
        ),
        Index(
            "ix_order_to_post",
            "paid_at",
            "id",
            sqlite_where=text("allocated = 1"),
            postgresql_where=text("allocated"),
        ),
        Index("ix_order_holding", "visitor", sqlite_where=text("holding"), postgresql_where=text("holding")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(12), unique=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """The secret part of the order page's address: 256 random bits."""
    attempt: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the order form's random ``attempt``."""
    content: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was ordered: the same attempt with the same content is the same order."""
    market_slug: Mapped[str] = mapped_column("market", String(16))
    country: Mapped[str] = mapped_column(String(2))
    currency: Mapped[Currency]
    books_amount: Mapped[int]
    postage_amount: Mapped[int]
    min_days: Mapped[int]
    max_days: Mapped[int]
    payment_state: Mapped[PaymentState] = mapped_column(default=PaymentState.AWAITING)
    fulfilment_state: Mapped[FulfilmentState] = mapped_column(default=FulfilmentState.PENDING)
    needs_attention: Mapped[bool] = mapped_column(default=False)
    disputed: Mapped[bool] = mapped_column(default=False)
    refunding: Mapped[bool] = mapped_column(default=False)
    """A refund has been decided, but not confirmed, of all that is left or of copies that are to be posted."""
    holding: Mapped[bool] = mapped_column(default=False)
    """Its copies are held."""
    allocated: Mapped[bool] = mapped_column(default=False)
    """Its copies are allocated: sold, not yet posted."""
    visitor: Mapped[str] = mapped_column(String(64), default="")
    """Digest of the network address it came from, for the caps on unpaid holds; empty once it is not held."""
    placed_at: Mapped[datetime]
    paid_at: Mapped[datetime | None] = mapped_column(index=True)
    sync_version: Mapped[int] = mapped_column(default=0)
    """Rises with every change learned from the payment provider; see ``payments.settling``."""
    timeline_count: Mapped[int] = mapped_column(default=0)
    timeline_head: Mapped[str] = mapped_column(String(64), default="")

    lines: Mapped[list[OrderLine]] = relationship(
        order_by="OrderLine.position", lazy="selectin", back_populates="order"
    )
    buyer: Mapped[Buyer] = relationship(back_populates="order", lazy="selectin")
    parcels: Mapped[list[Shipment]] = relationship(order_by="Shipment.id", back_populates="order")
    """Every parcel: posted, being made ready, and those whose posting was taken back."""
    shipments: Mapped[list[Shipment]] = relationship(
        order_by="Shipment.id",
        primaryjoin="and_(Order.id == Shipment.order_id, Shipment.posted_at.is_not(None), "
        "Shipment.undone_at.is_(None))",
        viewonly=True,
    )
    """The parcels that have left the house."""
    timeline: Mapped[list[TimelineEntry]] = relationship(order_by="TimelineEntry.seq")
    concerns: Mapped[list[Concern]] = relationship(order_by="Concern.id")

    @property
    def market(self) -> Market:
        return MARKETS[self.market_slug]

    @property
    def language(self) -> str:
        return self.market.language

    @property
    def books(self) -> Money:
        return Money(self.books_amount, self.currency)

    @property
    def postage(self) -> Money:
        return Money(self.postage_amount, self.currency)

    @property
    def total(self) -> Money:
        return self.books + self.postage

    @property
    def copies(self) -> dict[int, int]:
        """What is still to be posted: edition id → copies, without those that were called off or posted."""
        return {line.edition_id: line.to_post for line in self.lines if line.to_post}

    @property
    def is_partly_posted(self) -> bool:
        """Some copies have left the house, others have not."""
        return self.fulfilment_state is FulfilmentState.TO_POST and partly_posted(self.lines)

    @property
    def may_be_posted(self) -> bool:
        return (
            self.fulfilment_state is FulfilmentState.TO_POST
            and self.payment_state in (PaymentState.PAID, PaymentState.PART_REFUNDED)
            and not self.needs_attention
            and not self.disputed
            and not self.refunding
        )


class OrderLine(Base):
    """Copies of one edition, at the price and under the title of the day."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND unit_amount > 0", name="counted"),
        CheckConstraint("called_off >= 0 AND called_off <= quantity", name="called_off"),
        CheckConstraint("posted >= 0 AND called_off + posted <= quantity", name="posted"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), index=True)
    slug: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(600))
    name: Mapped[str] = mapped_column(String(100))
    """The edition's name in the order's language."""
    isbn: Mapped[str | None] = mapped_column(String(13))
    language: Mapped[str] = mapped_column(String(8))
    quantity: Mapped[int]
    unit_amount: Mapped[int]
    grams: Mapped[int]
    """What one copy weighs in the post."""
    called_off: Mapped[int] = mapped_column(default=0)
    """Copies that were refunded before they were posted, and went back to sale."""
    posted: Mapped[int] = mapped_column(default=0)
    """Copies that have left the house in the order's own parcels; replacements are not counted."""
    order: Mapped[Order] = relationship(back_populates="lines")

    @property
    def remaining(self) -> int:
        """Copies that the buyer gets, or has got."""
        return self.quantity - self.called_off

    @property
    def to_post(self) -> int:
        return self.quantity - self.called_off - self.posted

    @property
    def unit(self) -> Money:
        return Money(self.unit_amount, self.order.currency)

    @property
    def amount(self) -> Money:
        return self.unit * self.quantity


class Buyer(Base):
    """Everything personal about an order, in one erasable row. Empty until checkout has told it."""

    __tablename__ = "buyer"
    __table_args__ = (
        Index("ix_buyer_noted", "order_id", sqlite_where=text("note <> ''"), postgresql_where=text("note <> ''")),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), default="", index=True)
    name: Mapped[str] = mapped_column(String(300), default="")
    phone: Mapped[str] = mapped_column(String(60), default="")
    line1: Mapped[str] = mapped_column(String(500), default="")
    line2: Mapped[str] = mapped_column(String(500), default="")
    city: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(200), default="")
    postal_code: Mapped[str] = mapped_column(String(60), default="")
    country: Mapped[str] = mapped_column(String(2), default="")
    purchase_order: Mapped[str] = mapped_column(String(100), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    """To the packer: a dedication, say."""
    search: Mapped[str] = mapped_column(Text, default="", active_history=True)
    """The terms it is found by (``terms``), with blanks between; kept by every change of the row."""
    erased_at: Mapped[datetime | None]
    order: Mapped[Order] = relationship(back_populates="buyer")

    def address_lines(self) -> list[str]:
        """The address as it was typed, without the country."""
        town = " ".join(part for part in (self.city, self.state, self.postal_code) if part)
        return [line for line in (self.name, self.line1, self.line2, town) if line]

    @property
    def found_by(self) -> str:
        """What ``search`` is to be."""
        return searchable(self.name, self.email, self.city, self.purchase_order)


@event.listens_for(Buyer, "before_insert")
@event.listens_for(Buyer, "before_update")
def _keep_searchable(_mapper: Any, _connection: Any, buyer: Buyer) -> None:
    buyer.search = buyer.found_by


class ParcelKind(enum.StrEnum):
    """Why a parcel is posted."""

    ORDER = "order"
    """It holds copies that were ordered, or some of them."""
    REPLACEMENT = "replacement"
    """Free, for copies that were lost, damaged or the wrong ones."""
    RESENT = "resent"
    """Free, for a parcel that came back."""


class ReturnEnd(enum.StrEnum):
    """What was done about a parcel that came back."""

    RESENT = "resent"
    REFUNDED = "refunded"
    NOTHING = "nothing"


class Shipment(Base):
    """A parcel. An order's own is written when it is posted; a free one when it is decided, and posted later.

    One whose posting was taken back, or a free one that was called off, stays with ``undone_at``."""

    __tablename__ = "shipment"
    __table_args__ = (
        Index(
            "ix_shipment_waiting",
            "order_id",
            sqlite_where=text("posted_at IS NULL AND undone_at IS NULL"),
            postgresql_where=text("posted_at IS NULL AND undone_at IS NULL"),
        ),
        Index(
            "ix_shipment_came_back",
            "returned_at",
            sqlite_where=text("returned_at IS NOT NULL AND settled_at IS NULL"),
            postgresql_where=text("returned_at IS NOT NULL AND settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    kind: Mapped[ParcelKind] = mapped_column(default=ParcelKind.ORDER)
    reason: Mapped[str] = mapped_column(String(40), default="")
    """Why a free one is posted: ``lost``, ``damaged``, ``wrong``, ``came_back``."""
    of_id: Mapped[int | None] = mapped_column(ForeignKey("shipment.id"))
    """The parcel in whose place a free one goes."""
    carrier: Mapped[str] = mapped_column(String(100), default="")
    tracking: Mapped[str] = mapped_column(String(100), default="")
    asked_by: Mapped[str] = mapped_column(String(200), default="")
    asked_at: Mapped[datetime | None]
    """When a free one was decided."""
    posted_by: Mapped[str] = mapped_column(String(200), default="")
    posted_at: Mapped[datetime | None] = mapped_column(index=True)
    undo_until: Mapped[datetime | None] = mapped_column(index=True)
    """Until then its posting can be taken back, if its letter has not left; empty once that cannot be any more."""
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str] = mapped_column(String(200), default="")
    returned_at: Mapped[datetime | None]
    """When it came back."""
    returned_by: Mapped[str] = mapped_column(String(200), default="")
    restocked: Mapped[bool] = mapped_column(default=False)
    """Its copies stand on the shelf again."""
    settled_at: Mapped[datetime | None]
    """When it was decided what follows from its coming back."""
    settled_as: Mapped[ReturnEnd | None]
    order: Mapped[Order] = relationship(back_populates="parcels")
    lines: Mapped[list[ShipmentLine]] = relationship(order_by="ShipmentLine.position", lazy="selectin")

    @property
    def is_free(self) -> bool:
        return self.kind is not ParcelKind.ORDER

    @property
    def is_waiting(self) -> bool:
        """A free one that is still to be posted."""
        return self.posted_at is None and self.undone_at is None

    @property
    def has_left(self) -> bool:
        return self.posted_at is not None and self.undone_at is None

    @property
    def awaits_decision(self) -> bool:
        """It came back, and nobody has said what follows."""
        return self.returned_at is not None and self.settled_at is None


class ShipmentLine(Base):
    """Copies in a parcel: so many of an order's line."""

    __tablename__ = "shipment_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipment.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """The order line's."""
    quantity: Mapped[int]


class Worry(enum.StrEnum):
    """Why a person has to look at an order; it cannot be posted meanwhile."""

    CHECKOUT_REFUSED = "checkout_refused"
    """Stripe refused to open the payment page: a mistake of the set-up."""
    AMOUNT_DIFFERS = "amount_differs"
    ADDRESS_REFUSED = "address_refused"
    COPIES_MISSING = "copies_missing"
    PAID_TWICE = "paid_twice"
    PAID_LATE = "paid_late"
    REFUND_FAILED = "refund_failed"
    DISPUTE = "dispute"
    FRAUD_WARNING = "fraud_warning"
    WITHDRAWN = "withdrawn"


class Concern(Base):
    """One worry about one order. ``cause`` tells occurrences of the same worry apart."""

    __tablename__ = "concern"
    __table_args__ = (UniqueConstraint("order_id", "worry", "cause"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    worry: Mapped[Worry]
    cause: Mapped[str] = mapped_column(String(100), default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    raised_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str] = mapped_column(String(200), default="")


class TimelineEntry(Base):
    """Something that happened to an order; each entry is chained to the one before.

    Holds no personal data itself, only salted digests of it: the values are ``personal``, until they are erased.
    """

    __tablename__ = "timeline_entry"

    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(20))
    """``buyer``, ``stripe``, ``system`` or ``admin``."""
    admin: Mapped[str] = mapped_column(String(200), default="")
    kind: Mapped[str] = mapped_column(String(40))
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """JSON; ``personal`` in it maps the names of personal values to their digests."""
    digest: Mapped[str] = mapped_column(String(64))
    personal: Mapped[list[PersonalValue]] = relationship(order_by="PersonalValue.field", lazy="joined")
    """Not asked for by pairs of order and number, for which SQLite would read the whole table."""

    @property
    def told(self) -> dict[str, Any]:
        """The details with those personal values that are still there."""
        plain = {name: each for name, each in self.details.items() if name != PERSONAL}
        return plain | {each.field: each.value for each in self.personal}

    @property
    def erased(self) -> set[str]:
        """Names of the personal values that are no longer there."""
        return set(self.details.get(PERSONAL, {})) - {each.field for each in self.personal}


class PersonalValue(Base):
    """A personal value that a timeline entry speaks of; deleted when the order's buyer is erased."""

    __tablename__ = "personal_value"
    __table_args__ = (ForeignKeyConstraint(["order_id", "seq"], [TimelineEntry.order_id, TimelineEntry.seq]),)

    order_id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(String(40), primary_key=True)
    salt: Mapped[str] = mapped_column(String(32))
    """Random, 128 bits: once it is gone, nobody can try values against the digest."""
    value: Mapped[str] = mapped_column(Text)
