"""Who works here: the people who sign in to the order desk, and their sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from shop.database import Base


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


class AdminSession(Base):
    """One signed-in browser. The cookie holds the secret, the row only its SHA-256."""

    __tablename__ = "admin_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    admin_id: Mapped[int] = mapped_column(ForeignKey("admin.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    admin: Mapped[Admin] = relationship()


def shopkeepers(session: Session) -> list[Admin]:
    """Everybody who gets the shopkeeper's letters."""
    wanted = select(Admin).where(Admin.active, Admin.notified).order_by(Admin.id)
    return list(session.scalars(wanted))
