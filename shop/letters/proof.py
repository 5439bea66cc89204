"""Proof that letters arrive: a code that only whoever gets a test letter can know."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # without what looks like something else
LENGTH = 8


class MailProof(Base):
    """One test letter. ``way`` is how it went, so that another mail server is to be proved anew."""

    __tablename__ = "mail_proof"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the code in the letter, which the desk does not show."""
    way: Mapped[str] = mapped_column(String(600))
    asked_at: Mapped[datetime]
    arrived_at: Mapped[datetime | None]


def ask(session: Session, recipient: str, locale: str, path: str, way: str, now: datetime) -> None:
    """Owe a test letter. ``path`` is the page where its code is entered; the code is put at its end."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    digest = _digest(code)
    session.add(MailProof(code_hash=digest, way=way, asked_at=now))
    outbox.owe(
        session,
        Kind.MAIL_TEST,
        f"proof:{digest[:16]}",
        recipient,
        locale,
        {"code": code, "path": path + code},
        now,
    )


def has_arrived(session: Session, code: str, now: datetime) -> None:
    """Take the code of a letter that has come; raises ``WrongState`` for one that no letter had."""
    row = session.get(MailProof, _digest("".join(code.split()).upper()), with_for_update=True)
    if row is None:
        raise WrongState("no letter had this code")
    row.arrived_at = row.arrived_at or now


def last_arrival(session: Session, way: str) -> datetime | None:
    """When a test letter that went this way was last known to have come."""
    return session.scalar(select(func.max(MailProof.arrived_at)).where(MailProof.way == way))


def last_asked(session: Session, way: str) -> datetime | None:
    return session.scalar(select(func.max(MailProof.asked_at)).where(MailProof.way == way))


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
