"""Papers to libraries: numbered without gaps, frozen when they are issued, their PDF kept as it was made."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base
from shop.libraries.models import LibraryOrder
from shop.money import Currency, Money


class PaperKind(enum.StrEnum):
    QUOTE = "quote"
    PRO_FORMA = "pro_forma"
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class PaperSeries(Base):
    """The last number of each kind of paper; whoever issues one holds its row."""

    __tablename__ = "paper_series"

    kind: Mapped[PaperKind] = mapped_column(primary_key=True)
    last: Mapped[int]


class Paper(Base):
    """A paper that was issued. Number and ``data`` never change; what follows from it does."""

    __tablename__ = "paper"
    __table_args__ = (
        UniqueConstraint("kind", "serial"),
        CheckConstraint("serial > 0 AND amount >= 0 AND copies >= 0", name="counted"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    library_order_id: Mapped[int] = mapped_column(ForeignKey("library_order.id"), index=True)
    kind: Mapped[PaperKind]
    serial: Mapped[int]
    number: Mapped[str] = mapped_column(String(20), unique=True)
    issued_at: Mapped[datetime]
    issued_by: Mapped[str] = mapped_column(String(200))
    currency: Mapped[Currency]
    copies: Mapped[int]
    amount: Mapped[int]
    """The whole sum, postage included, in minor units; of a credit note what is credited."""
    valid_until: Mapped[date | None]
    due_on: Mapped[date | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Everything that stands on it."""
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of ``data``."""
    about_id: Mapped[int | None] = mapped_column(ForeignKey("paper.id"), index=True)
    """The invoice that a credit note credits; the paper that another one takes the place of."""
    ended_at: Mapped[datetime | None]
    """When another paper took its place."""
    paid_on: Mapped[date | None]
    paid_note: Mapped[str] = mapped_column(String(200), default="")
    """The reference of the transfer, or the provider's of the payment."""
    paid_online: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It was paid by its link: there is a payment, and nobody takes it back by hand."""
    disputed: Mapped[bool] = mapped_column(default=False, server_default=false())
    """The payer's bank asks for the money back: nothing more is posted."""
    remind_at: Mapped[datetime | None] = mapped_column(index=True)
    reminded: Mapped[int] = mapped_column(default=0)

    order: Mapped[LibraryOrder] = relationship()

    @property
    def total(self) -> Money:
        return Money(self.amount, self.currency)


class PaperFile(Base):
    """The PDF of a paper, made once from its row."""

    __tablename__ = "paper_file"

    paper_id: Mapped[int] = mapped_column(ForeignKey("paper.id"), primary_key=True)
    pdf: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the bytes."""
    made_at: Mapped[datetime]
