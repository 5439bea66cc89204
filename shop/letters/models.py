"""The outbox."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.database import Base


class Kind(enum.StrEnum):
    """Every letter the shop writes; each has templates ``letters/{kind}.txt`` and ``letters/{kind}.html``.

    What each follows from, and the context it is written from (``order_facts`` is ``orders.snapshot.order_facts``,
    sums are ``{"amount", "currency"}``, instants ISO 8601, paths begin with a slash and get ``SHOP_URL`` put before
    them when the letter is rendered; desk addresses are made of the number):

    ========================  ===================  ==========================================================
    kind                      cause                context
    ========================  ===================  ==========================================================
    order_paid                ``payment:{id}``     order_facts; held_back where the address must be looked at
    payment_delayed           ``attempt:{id}``     order_facts (``address_lines`` may be empty)
    payment_failed            ``attempt:{id}``     order_facts
    posted                    ``shipment:{id}``    order_facts, carrier, tracking (either may be ""), posted_at
    refunded                  ``refund:{id}``      order_facts, refund (sum), full (bool)
    late_payment_refunded     ``payment:{id}``     order_facts, refund (sum)
    second_payment_refunded   ``payment:{id}``     order_facts, refund (sum)
    refund_failed             ``refund:{id}``      order_facts, refund (sum)
    order_link                ``link:{…}``         number, url (whole)
    library_order             ``library:{id}``     see ``libraries.routing``
    library_acknowledged      ``library:{id}``     see ``libraries.routing``
    library_reminder          ``library:{id}:{…}`` see ``libraries.routing``
    library_attention         ``library:{id}:{…}`` see ``libraries.routing``, reason, line
    library_paper             ``paper:{id}``       see ``libraries.routing``, paper, attachments
    library_due               ``paper:{id}:{…}``   see ``libraries.routing``, paper, overdue, attachments
    library_paid              ``payment:{id}``     see ``libraries.routing``, paper, sum, arrived_on
    library_refunded          ``payment:{id}``,    see ``libraries.routing``, paper, sum, reason
                              ``refund:{id}``
    library_posted            ``lparcel:{id}``     see ``libraries.desk.post``
    new_order                 ``order:{id}:paid``  order_facts
    attention                 ``concern:{id}``     number, worry (``orders.models.Worry``), details
    invitation                ``person:{id}:{…}``  name, inviter, path (secret), until, new (bool)
    mail_test                 ``proof:{…}``        code (secret), path (with the code)
    withdrawal_acknowledged   ``withdrawal:{id}``  see ``withdrawals.statements``
    withdrawal_stated         ``withdrawal:{id}``  see ``withdrawals.statements``
    ========================  ===================  ==========================================================
    """

    ORDER_PAID = "order_paid"
    """To the buyer: confirmation on a durable medium."""
    PAYMENT_DELAYED = "payment_delayed"
    """To the buyer: the order is complete, its money is on the way."""
    PAYMENT_FAILED = "payment_failed"
    """To the buyer: a delayed payment did not arrive."""
    POSTED = "posted"
    REFUNDED = "refunded"
    LATE_PAYMENT_REFUNDED = "late_payment_refunded"
    """To the buyer: the copies were gone when the money came; all of it goes back."""
    SECOND_PAYMENT_REFUNDED = "second_payment_refunded"
    """To the buyer: the order was paid twice; the second payment goes back."""
    REFUND_FAILED = "refund_failed"
    """To the buyer: the bank refused the refund; we shall write how to pay otherwise."""
    ORDER_LINK = "order_link"
    """To the buyer: the order page's address again."""
    LIBRARY_ORDER = "library_order"
    """To the distributor (or, without one, the shopkeeper)."""
    LIBRARY_ACKNOWLEDGED = "library_acknowledged"
    LIBRARY_REMINDER = "library_reminder"
    """To the distributor: a library is still waiting."""
    LIBRARY_PAPER = "library_paper"
    """To the library: a quotation, a pro-forma, an invoice or a credit note."""
    LIBRARY_DUE = "library_due"
    """To the library: an invoice is due, or was."""
    LIBRARY_PAID = "library_paid"
    """To the library: its invoice was paid by its link."""
    LIBRARY_REFUNDED = "library_refunded"
    """To the library: money that came by an invoice's link goes back."""
    LIBRARY_POSTED = "library_posted"
    LIBRARY_ATTENTION = "library_attention"
    """To the shopkeeper: a library's order needs a person."""
    NEW_ORDER = "new_order"
    """To the shopkeeper: an order was paid."""
    ATTENTION = "attention"
    """To the shopkeeper: something needs a person."""
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"
    """To whoever stated that he withdraws: what was stated, and when."""
    WITHDRAWAL_STATED = "withdrawal_stated"
    """To the shopkeeper: a statement of withdrawal that is about no paid order."""
    INVITATION = "invitation"
    """To somebody who is to work at the desk: a link with which he sets his password."""
    MAIL_TEST = "mail_test"
    """To somebody of the desk who wants to know whether letters arrive."""


SHOPKEEPER = (Kind.NEW_ORDER, Kind.ATTENTION, Kind.WITHDRAWAL_STATED, Kind.LIBRARY_ATTENTION)


class LetterState(enum.StrEnum):
    OWED = "owed"
    SENT = "sent"
    FAILED = "failed"
    """Refused for good; the order desk shows it."""


class Letter(Base):
    """One letter to one person: exactly one row for a kind, a cause and a copy.

    ``context`` is all it says, frozen when it was owed, so that a repetition is the same letter. The row holds
    personal data and may be erased.
    """

    __tablename__ = "letter"
    __table_args__ = (
        UniqueConstraint("kind", "cause", "recipient", "copy"),
        Index("ix_letter_state_due_at", "state", "due_at"),
        Index("ix_letter_recipient_sent_at", "recipient", "sent_at"),
        Index(
            "ix_letter_message_id",
            "message_id",
            sqlite_where=text("message_id <> ''"),
            postgresql_where=text("message_id <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Kind]
    cause: Mapped[str] = mapped_column(String(100))
    """What it follows from: ``payment:12``, ``shipment:3`` …"""
    copy: Mapped[int] = mapped_column(default=0)
    """0 for the letter itself, 1 … for re-sends asked for by a person."""
    recipient: Mapped[str] = mapped_column(String(320))
    reply_to: Mapped[str] = mapped_column(String(320), default="")
    locale: Mapped[str] = mapped_column(String(16))
    """Babel locale: ``en_GB``, ``en_US``, ``ru``."""
    context: Mapped[dict[str, Any]] = mapped_column(JSON)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)
    library_order_id: Mapped[int | None] = mapped_column(ForeignKey("library_order.id"), index=True)
    message_id: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[LetterState] = mapped_column(default=LetterState.OWED)
    owed_at: Mapped[datetime]
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")
    sent_at: Mapped[datetime | None]
    subject: Mapped[str] = mapped_column(Text, default="")
    text: Mapped[str] = mapped_column(Text, default="")
    """What was sent, kept so that the order desk can show it."""
    erased_at: Mapped[datetime | None]
    """When everything that it said was erased; it cannot be sent again."""
