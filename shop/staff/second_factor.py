"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost.

A code is taken once: the step of thirty seconds it belongs to is spent with it, and so is every earlier one (RFC 6238,
section 5.2).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shop.staff.models import Admin, RecoveryCode

PERIOD = 30  # seconds
DRIFT = (0, -1, 1)  # steps that a telephone's clock may be away from ours
RECOVERY_CODES = 10
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: nothing to be mistaken
RECOVERY_LENGTH = 16
READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


def offer(person: Admin) -> str:
    """A new secret for the person's app; it counts for nothing until a code confirms it."""
    person.totp_offered = pyotp.random_base32()
    return person.totp_offered


def address(person: Admin, issuer: str) -> str:
    """What the QR code of an offered secret says (``otpauth://``)."""
    return pyotp.TOTP(person.totp_offered).provisioning_uri(name=person.email, issuer_name=issuer)


def accept(session: Session, person: Admin, typed: str, now: datetime) -> list[str] | None:
    """Make the offered secret the person's second factor if the code is its own; answers with new recovery codes."""
    step = _step(person.totp_offered, typed, now) if person.totp_offered else None
    if step is None:
        return None
    person.totp_secret, person.totp_offered, person.totp_step = person.totp_offered, "", step
    return new_recovery_codes(session, person)


def check(session: Session, person: Admin, typed: str, now: datetime) -> bool:
    """Whether a code is good, of the app or for recovery; it is used up by that."""
    return _use_code(session, person, typed, now) or _use_recovery_code(session, person, typed, now)


def remove(session: Session, person: Admin) -> None:
    """Do without a second factor."""
    person.totp_secret, person.totp_offered, person.totp_step = "", "", 0
    session.execute(delete(RecoveryCode).where(RecoveryCode.admin_id == person.id))


def new_recovery_codes(session: Session, person: Admin) -> list[str]:
    """Ten codes, each good once; those before are void. Only their digests are kept."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.admin_id == person.id))
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(admin_id=person.id, code_hash=_digest(code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, RECOVERY_LENGTH, 4)) for code in codes]


def recovery_codes_left(session: Session, admin_id: int) -> int:
    wanted = select(func.count()).where(RecoveryCode.admin_id == admin_id, RecoveryCode.used_at.is_(None))
    return session.scalar(wanted) or 0


def _use_code(session: Session, person: Admin, typed: str, now: datetime) -> bool:
    step = _step(person.totp_secret, typed, now) if person.totp_secret else None
    if step is None:
        return False
    used = session.scalar(
        update(Admin)
        .where(Admin.id == person.id, Admin.totp_secret == person.totp_secret, Admin.totp_step < step)
        .values(totp_step=step)
        .returning(Admin.id)
        .execution_options(synchronize_session=False)
    )
    return used is not None


def _use_recovery_code(session: Session, person: Admin, typed: str, now: datetime) -> bool:
    if not person.totp_secret:
        return False
    plain = "".join(typed.upper().replace("-", " ").split()).translate(READ_AS)
    used = session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.admin_id == person.id,
            RecoveryCode.code_hash == _digest(plain),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    )
    return used is not None


def _step(secret: str, typed: str, now: datetime) -> int | None:
    """The step whose code was typed, if it is near enough to now."""
    digits, app = "".join(typed.split()), pyotp.TOTP(secret, interval=PERIOD)
    current = int(now.timestamp()) // PERIOD
    for step in (current + each for each in DRIFT):
        if hmac.compare_digest(app.generate_otp(step).encode(), digits.encode()):
            return step
    return None


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
