"""The tables of the people who work here."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base

RULES = 1
"""The id of the only row of ``Rules``."""


class Role(enum.StrEnum):
    """What somebody is at the desk; ``admin.rights`` says what each may do."""

    OWNER = "owner"
    PACKER = "packer"
    READER = "reader"


class Admin(Base):
    """A named person with a password (an Argon2id hash, empty until he has set one himself)."""

    __tablename__ = "admin"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """Kept in lower case."""
    name: Mapped[str] = mapped_column(String(200))
    language: Mapped[str] = mapped_column(String(8), default="en")
    role: Mapped[Role] = mapped_column(default=Role.READER)
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    notified: Mapped[bool] = mapped_column(default=True)
    """Gets the shopkeeper's letters."""
    created_at: Mapped[datetime]
    totp_secret: Mapped[str] = mapped_column(String(64), default="")
    """Shared with the person's authenticator app (RFC 6238), in base32; empty without a second factor."""
    totp_offered: Mapped[str] = mapped_column(String(64), default="")
    """A secret that was shown and is not confirmed by a code yet."""
    totp_step: Mapped[int] = mapped_column(default=0)
    """The step of thirty seconds whose code was used last: that one and earlier ones are spent."""
    invite_hash: Mapped[str] = mapped_column(String(64), default="")
    """SHA-256 of the secret in the link that was mailed; empty once it was used."""
    invited_until: Mapped[datetime | None]

    @property
    def has_second_factor(self) -> bool:
        return bool(self.totp_secret)

    @property
    def has_joined(self) -> bool:
        return bool(self.password_hash)


NOTIFIED = Admin.active & Admin.notified & (Admin.password_hash != "")
"""Those who get the shopkeeper's letters."""


class AdminSession(Base):
    """One signed-in browser. The cookie holds the secret, the row only its SHA-256."""

    __tablename__ = "admin_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    admin_id: Mapped[int] = mapped_column(ForeignKey("admin.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    """When the person last proved to be there, by password or code."""
    device: Mapped[str] = mapped_column(String(300), default="")
    """What the browser calls itself."""
    address: Mapped[str] = mapped_column(String(64), default="")
    """Where it was last seen."""
    admin: Mapped[Admin] = relationship()


class RecoveryCode(Base):
    """One of the codes that stand in for a lost authenticator app, each once."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    admin_id: Mapped[int] = mapped_column(ForeignKey("admin.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256: the code has 80 random bits."""
    used_at: Mapped[datetime | None]


class Rules(Base):
    """What the owner asks of everybody; one row."""

    __tablename__ = "desk_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    second_factor_required: Mapped[bool] = mapped_column(default=False)


class JournalEntry(Base):
    """One thing that somebody did at the desk. It holds no secret and nothing personal of a buyer."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        Index("ix_journal_entry_admin_id_id", "admin_id", "id"),
        Index("ix_journal_entry_kind_id", "kind", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    admin_id: Mapped[int | None] = mapped_column(ForeignKey("admin.id"))
    """Nobody's, if it was done by a command."""
    name: Mapped[str] = mapped_column(String(200))
    """What the person was called then."""
    kind: Mapped[str] = mapped_column(String(60))
    about: Mapped[str] = mapped_column(String(40), default="")
    """What ``subject`` names: ``number`` an order, ``person_id`` a person …"""
    subject: Mapped[str] = mapped_column(String(200), default="")
    changes: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Each ``[table, row, field, from, to]``."""
    search: Mapped[str] = mapped_column(Text, default="")
    """What is said above in small letters, for the owner's search."""
