"""A statement of withdrawal."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base
from shop.orders.models import Order


class Withdrawal(Base):
    """What a buyer has stated, as it was typed. It counts from ``stated_at``, whether or not the order was found."""

    __tablename__ = "withdrawal"
    __table_args__ = (Index(None, "done_at", "due_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """The secret part of the address of its acknowledgement."""
    submission: Mapped[str] = mapped_column(String(64), unique=True)
    """Digest of what was stated: the same said twice is one statement."""
    market: Mapped[str] = mapped_column(String(16))
    stated_at: Mapped[datetime]
    due_on: Mapped[date]
    """The last day to pay back if nothing has been sent to the buyer, or the books have come back."""
    name: Mapped[str] = mapped_column(String(200))
    number: Mapped[str] = mapped_column(String(40))
    """The order's number as it was typed."""
    email: Mapped[str] = mapped_column(String(254))
    details: Mapped[str] = mapped_column(Text, default="")
    """Which copies, if not all."""
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)
    """The order that has this number and this e-mail address."""
    done_at: Mapped[datetime | None]
    done_by: Mapped[str] = mapped_column(String(200), default="")
    erased_at: Mapped[datetime | None]

    order: Mapped[Order | None] = relationship()
