"""Signed-in browsers: opened at the sign-in, seen at work, closed by hand or by time."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload

from shop.staff.models import AdminSession, Rules

IDLE = timedelta(hours=12)
LIFE = timedelta(days=7)
SEEN_EVERY = timedelta(minutes=5)  # how exactly a session's last use is kept
LONGEST_DEVICE = 300  # characters
LONGEST_ADDRESS = 64


def open_session(session: Session, admin_id: int, now: datetime, device: str = "", address: str = "") -> str:
    """Begin a session and answer its secret, which only the browser keeps. Dead sessions are swept out."""
    session.execute(
        delete(AdminSession)
        .where((AdminSession.seen_at <= now - IDLE) | (AdminSession.created_at <= now - LIFE))
        .execution_options(synchronize_session=False)
    )
    token = secrets.token_urlsafe(32)
    session.add(
        AdminSession(
            token_hash=digest(token),
            admin_id=admin_id,
            created_at=now,
            seen_at=now,
            confirmed_at=now,
            device=device[:LONGEST_DEVICE],
            address=address[:LONGEST_ADDRESS],
        )
    )
    return token


def live_session(session: Session, token: str, now: datetime) -> AdminSession | None:
    """The session a secret belongs to, while it has neither idled, aged nor been revoked; its person is loaded."""
    row = session.get(AdminSession, digest(token), options=[joinedload(AdminSession.admin)])
    if row is None or row.seen_at <= now - IDLE or row.created_at <= now - LIFE or not row.admin.active:
        return None
    return row


def second_factor_required(session: Session) -> bool:
    """Whether the owner asks everybody for a second factor."""
    return bool(session.scalar(select(Rules.second_factor_required)))


def of_person(session: Session, admin_id: int, now: datetime) -> Sequence[AdminSession]:
    """The live sessions of a person, the one used last first."""
    wanted = select(AdminSession).where(
        AdminSession.admin_id == admin_id,
        AdminSession.seen_at > now - IDLE,
        AdminSession.created_at > now - LIFE,
    )
    return session.scalars(wanted.order_by(AdminSession.seen_at.desc(), AdminSession.token_hash)).all()


def see(session: Session, token: str, now: datetime, address: str = "") -> None:
    """Remember that a session was used, and where."""
    session.execute(
        update(AdminSession)
        .where(AdminSession.token_hash == digest(token))
        .values(seen_at=now, address=address[:LONGEST_ADDRESS])
        .execution_options(synchronize_session=False)
    )


def confirm(session: Session, token: str, now: datetime) -> None:
    """The person has proved once more to be there."""
    session.execute(
        update(AdminSession)
        .where(AdminSession.token_hash == digest(token))
        .values(confirmed_at=now)
        .execution_options(synchronize_session=False)
    )


def close_session(session: Session, token: str) -> None:
    session.execute(delete(AdminSession).where(AdminSession.token_hash == digest(token)))


def revoke(session: Session, admin_id: int, token_hash: str) -> bool:
    """Put a person out of one browser; false when it was out already."""
    gone = session.scalar(
        delete(AdminSession)
        .where(AdminSession.token_hash == token_hash, AdminSession.admin_id == admin_id)
        .returning(AdminSession.token_hash)
    )
    return gone is not None


def close_all_sessions(session: Session, admin_id: int, but: str = "") -> None:
    """Put a person out of every browser, except the one with a secret that is named."""
    session.execute(
        delete(AdminSession).where(
            AdminSession.admin_id == admin_id, AdminSession.token_hash != (digest(but) if but else "")
        )
    )


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
