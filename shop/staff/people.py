"""Inviting people, changing what they may do, and putting them out of service. An owner always remains."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.staff.models import RULES, Admin, Role, Rules
from shop.staff.sessions import close_all_sessions, digest

INVITED_FOR = timedelta(days=3)


class LastOwner(WrongState):
    """Nobody would be left who may do everything."""


class Known(WrongState):
    """Somebody has this e-mail address already."""


def by_email(session: Session, email: str) -> Admin | None:
    """The person with an e-mail address, however its letters were cased."""
    return session.scalar(select(Admin).where(Admin.email == email.strip().lower()))


def everybody(session: Session) -> Sequence[Admin]:
    """Who works here and who did, those in service first."""
    return session.scalars(select(Admin).order_by(Admin.active.desc(), Admin.id)).all()


def invite(session: Session, email: str, name: str, role: Role, language: str, now: datetime) -> tuple[Admin, str]:
    """Add a person who has yet to set a password; answers with the secret for his link. Raises ``Known``."""
    if by_email(session, email) is not None:
        raise Known(email)
    person = Admin(
        email=email.strip().lower(),
        name=name,
        role=role,
        language=language,
        password_hash="",
        active=True,
        notified=role is Role.OWNER,
        created_at=now,
    )
    session.add(person)
    session.flush()
    return person, offer_link(person, now)


def offer_link(person: Admin, now: datetime) -> str:
    """A new secret with which a person may set a password; the one before is void."""
    if not person.active:
        raise WrongState(f"{person.email} is out of service")
    token = secrets.token_urlsafe(32)
    person.invite_hash, person.invited_until = digest(token), now + INVITED_FOR
    return token


def invited(session: Session, token: str, now: datetime) -> Admin | None:
    """Whom a link is for, while it holds."""
    wanted = select(Admin).where(Admin.invite_hash == digest(token), Admin.invited_until > now, Admin.active)
    return session.scalar(wanted)


def join(session: Session, token: str, password_hash: str, now: datetime) -> Admin | None:
    """Set the password that the person of a link has chosen and use the link up; ``None`` if it no longer holds."""
    admin_id = session.scalar(
        update(Admin)
        .where(Admin.invite_hash == digest(token), Admin.invited_until > now, Admin.active)
        .values(invite_hash="", invited_until=None, password_hash=password_hash)
        .returning(Admin.id)
        .execution_options(synchronize_session=False)
    )
    if admin_id is None:
        return None
    close_all_sessions(session, admin_id)
    return session.get_one(Admin, admin_id, populate_existing=True)


def change(session: Session, admin_id: int, *, role: Role, active: bool, notified: bool) -> Admin:
    """Give a person another role, or put him in or out of service; out, he is out of every browser as well.

    Raises ``LastOwner`` rather than leave nobody who may do everything.
    """
    owners = session.scalars(
        select(Admin)
        .where(Admin.role == Role.OWNER, Admin.active, Admin.password_hash != "")
        .order_by(Admin.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    person = lock(session, Admin, admin_id)
    if person is None:
        raise WrongState(f"nobody has the id {admin_id}")
    if [each.id for each in owners] == [admin_id] and not (role is Role.OWNER and active):
        raise LastOwner(person.email)
    person.role, person.active, person.notified = role, active, notified
    if not active:
        person.invite_hash, person.invited_until = "", None
        close_all_sessions(session, admin_id)
    return person


def require_second_factor(session: Session, required: bool) -> None:
    """Ask everybody for a second factor, or no longer."""
    rules = session.get(Rules, RULES, with_for_update=True)
    if rules is None:
        rules = Rules(id=RULES, second_factor_required=False)
        session.add(rules)
        session.flush()
    rules.second_factor_required = required
