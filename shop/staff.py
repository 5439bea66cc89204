"""Who works here: the people who sign in to the order desk, and their sessions."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from shop.database import Base

IDLE = timedelta(hours=12)
LIFE = timedelta(days=7)
SEEN_EVERY = timedelta(minutes=5)  # how exactly a session's last use is kept


class Admin(Base):
    """A named person with a password (an Argon2id hash)."""

    __tablename__ = "admin"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """Kept in lower case."""
    name: Mapped[str] = mapped_column(String(200))
    language: Mapped[str] = mapped_column(String(8), default="en")
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    notified: Mapped[bool] = mapped_column(default=True)
    """Gets the shopkeeper's letters."""
    created_at: Mapped[datetime]


NOTIFIED = Admin.active & Admin.notified
"""Those who get the shopkeeper's letters."""


class AdminSession(Base):
    """One signed-in browser. The cookie holds the secret, the row only its SHA-256."""

    __tablename__ = "admin_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    admin_id: Mapped[int] = mapped_column(ForeignKey("admin.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    admin: Mapped[Admin] = relationship()


def by_email(session: Session, email: str) -> Admin | None:
    """The person with an e-mail address, however its letters were cased."""
    return session.scalar(select(Admin).where(Admin.email == email.strip().lower()))


def open_session(session: Session, admin_id: int, now: datetime) -> str:
    """Begin a session and answer its secret, which only the browser keeps. Dead sessions are swept out."""
    session.execute(
        delete(AdminSession)
        .where((AdminSession.seen_at <= now - IDLE) | (AdminSession.created_at <= now - LIFE))
        .execution_options(synchronize_session=False)
    )
    token = secrets.token_urlsafe(32)
    session.add(AdminSession(token_hash=_digest(token), admin_id=admin_id, created_at=now, seen_at=now))
    return token


def live_session(session: Session, token: str, now: datetime) -> AdminSession | None:
    """The session a secret belongs to, while it has neither idled, aged nor been revoked."""
    row = session.get(AdminSession, _digest(token))
    if row is None or row.seen_at <= now - IDLE or row.created_at <= now - LIFE or not row.admin.active:
        return None
    return row


def see(session: Session, token: str, now: datetime) -> None:
    """Remember that a session was used."""
    session.execute(
        update(AdminSession)
        .where(AdminSession.token_hash == _digest(token))
        .values(seen_at=now)
        .execution_options(synchronize_session=False)
    )


def close_session(session: Session, token: str) -> None:
    session.execute(delete(AdminSession).where(AdminSession.token_hash == _digest(token)))


def close_all_sessions(session: Session, admin_id: int) -> None:
    """Put a person out of every browser."""
    session.execute(delete(AdminSession).where(AdminSession.admin_id == admin_id))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
