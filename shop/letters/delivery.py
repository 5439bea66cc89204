"""Delivering the outbox: claim a row, commit, hand it over with no transaction open, mark it in another one.

A process that dies in between leaves a row whose lease runs out; it is then sent again under the Message-ID that
was written down with the claim, so that the recipient's server can recognise the repetition.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol

from sqlalchemy import ColumnElement, case, func, or_, select, update
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import MailRefused, MailServerAway, MailUnavailable
from shop.letters.mailer import Mailer
from shop.letters.models import SHOPKEEPER, Kind, Letter, LetterState
from shop.letters.outbox import JOINED_WITHIN
from shop.staff import Admin

LEASE = timedelta(minutes=10)
ROUND = 20.0  # seconds after which no further letter is begun, far less than the lease
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_ABSENCE = timedelta(minutes=15)
GIVEN_UP_AFTER = timedelta(days=3)
LEAST_TRIES = 10
"""So often a letter is tried at least: after days without a worker its first failure must not be its last."""
JOINED_AT_MOST = 40
SECRET_LINK = re.compile(r"(/distributor/|/admin/invitation/)[\w-]+")
"""What whoever reads a letter at the desk could act with in somebody else's name."""
FORGOTTEN = (Kind.INVITATION,)
"""Kinds whose facts are dropped once they are sent: a copy of the database must let nobody set a password."""
COLUMNS = tuple(column.key for column in Letter.__mapper__.columns)

log = logging.getLogger(__name__)


class Writer(Protocol):
    """What makes messages of rows: ``rendering.Renderer``."""

    def message_id(self, letter: Letter) -> str: ...

    def write(self, letters: Sequence[Letter]) -> EmailMessage: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """Letters that are ours until the lease ends, to go as one message. Copies, bound to no session."""

    letters: tuple[Letter, ...]
    until: datetime

    @property
    def ids(self) -> list[int]:
        return [letter.id for letter in self.letters]


def deliver_due(session: Session, mailer: Mailer, writer: Writer, now: datetime, limit: int = 50) -> int:
    """Send the letters that are due, at most ``limit`` messages; returns how many rows were sent.

    Runs its own transactions. A letter that cannot be sent blocks no other; a server that is away ends the round,
    and everything waits with the letter that found it away.
    """
    sent, started = 0, time.monotonic()
    for _ in range(limit):
        if time.monotonic() - started > ROUND or not _anything_due(session, now):
            break
        claim = transact(session, lambda s: _claim(s, writer, now))
        if claim is None:
            break
        message = _write(session, writer, claim, now)
        if message is None:
            continue
        try:
            mailer.send(message)
        except MailRefused as error:
            _fail(session, claim, error)
        except MailServerAway as error:
            _postpone(session, claim, error, now, everything=True)
            break
        except MailUnavailable as error:
            _postpone(session, claim, error, now)
        else:
            _mark_sent(session, claim, message, now)
            sent += len(claim.letters)
    return sent


def _anything_due(session: Session, now: datetime) -> bool:
    """Looked up before a claim, which on SQLite keeps every other writer waiting."""
    session.rollback()
    found = session.scalar(select(Letter.id).where(_free(now), Letter.due_at <= now).limit(1))
    session.rollback()
    return found is not None


def _claim(session: Session, writer: Writer, now: datetime) -> Claim | None:
    """Take the next due letter and what goes with it; the Message-ID is written down with the lease."""
    while True:
        first = session.scalar(
            select(Letter)
            .where(_free(now), Letter.due_at <= now)
            .order_by(Letter.due_at, Letter.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if first is None:
            return None
        if first.message_id:
            letters = _same_message(session, first, now)
        elif first.kind in SHOPKEEPER and first.copy == 0:
            if waits_until := _joins_later(session, first, now):
                first.due_at = waits_until
                session.flush()
                continue
            letters = _joined(session, first, now)
        else:
            letters = [first]
        message_id, until = first.message_id or writer.message_id(first), now + LEASE
        for letter in letters:
            letter.message_id, letter.claimed_until = message_id, until
        session.flush()
        return Claim(tuple(_copy(letter) for letter in letters), until)


def _free(now: datetime) -> ColumnElement[bool]:
    unclaimed = or_(Letter.claimed_until.is_(None), Letter.claimed_until <= now)
    return (Letter.state == LetterState.OWED) & unclaimed


def _same_message(session: Session, first: Letter, now: datetime) -> list[Letter]:
    """What was put into one message stays in it: a repetition must be the same letter."""
    others = select(Letter).where(Letter.message_id == first.message_id, Letter.state == LetterState.OWED)
    return list(session.scalars(others.order_by(Letter.id).with_for_update()))


def _joins_later(session: Session, first: Letter, now: datetime) -> datetime | None:
    """When the shopkeeper may be written to again, if he was within the last ten minutes, or is being just now."""
    session.execute(select(Admin.id).where(Admin.email == first.recipient).with_for_update())
    to_him = (Letter.recipient == first.recipient, Letter.kind.in_(SHOPKEEPER), Letter.copy == 0)
    # One statement: between two of them a letter that is being sent would become one that was sent, unseen by both.
    being_sent = (Letter.state == LetterState.OWED) & (Letter.claimed_until > now)
    waiting = _free(now) & (Letter.message_id == "")
    concerned = or_(Letter.sent_at > now - JOINED_WITHIN, being_sent, waiting)
    facts = select(func.max(Letter.sent_at), func.count(case((being_sent, 1))), func.count(case((waiting, 1))))
    last, in_hand, backlog = session.execute(facts.where(*to_him, concerned)).one()
    if backlog >= JOINED_AT_MOST:
        return None  # a message full of them: waiting would only make more of them
    if in_hand:
        return now + JOINED_WITHIN
    return last + JOINED_WITHIN if last else None


def _joined(session: Session, first: Letter, now: datetime) -> list[Letter]:
    """The first letter to a shopkeeper and all others owed to him, due or not."""
    others = session.scalars(
        select(Letter)
        .where(
            _free(now),
            Letter.recipient == first.recipient,
            Letter.locale == first.locale,
            Letter.kind.in_(SHOPKEEPER),
            Letter.copy == 0,
            Letter.message_id == "",
            Letter.id != first.id,
        )
        .order_by(Letter.id)
        .limit(JOINED_AT_MOST - 1)
        .with_for_update(skip_locked=True)
    )
    return sorted([first, *others], key=lambda letter: letter.id)


def _copy(letter: Letter) -> Letter:
    return Letter(**{name: getattr(letter, name) for name in COLUMNS})


def _write(session: Session, writer: Writer, claim: Claim, now: datetime) -> EmailMessage | None:
    """The message; a letter that cannot be written is marked failed, and those joined with it go without it."""
    try:
        return writer.write(claim.letters)
    except Exception as error:
        log.exception("letters %s could not be written", claim.ids)
        bad = [letter for letter in claim.letters if not _can_be_written(writer, letter)] or claim.letters
        _fail(session, Claim(tuple(bad), claim.until), error)
    good = [letter for letter in claim.letters if letter not in bad]
    _change(session, good, claim.until, message_id="", claimed_until=None, due_at=now)
    return None


def _can_be_written(writer: Writer, letter: Letter) -> bool:
    try:
        writer.write([letter])
    except Exception:
        # Whatever a template raises, it is this one letter's: it is marked failed, and the rest is delivered.
        log.exception("letter %s could not be written", letter.id)
        return False
    return True


def _mark_sent(session: Session, claim: Claim, message: EmailMessage, now: datetime) -> None:
    body = message.get_body(("plain",))
    values = {
        "state": LetterState.SENT,
        "sent_at": now,
        "message_id": str(message["Message-ID"]),
        "subject": str(message["Subject"]),
        "text": SECRET_LINK.sub(r"\1…", body.get_content()) if body else "",
        "claimed_until": None,
        "last_error": "",
    }
    if all(letter.kind in FORGOTTEN for letter in claim.letters):
        values["context"] = {}
    # It has gone, whoever holds the lease by now.
    statement = update(Letter).where(Letter.id.in_(claim.ids), Letter.state != LetterState.SENT)
    transact(session, lambda s: s.execute(statement.values(values).execution_options(synchronize_session=False)))


def _fail(session: Session, claim: Claim, error: Exception) -> None:
    log.warning("letters %s are refused: %s", claim.ids, error)
    _change(
        session, claim.letters, claim.until, state=LetterState.FAILED, claimed_until=None, last_error=_told(error)
    )


def _postpone(
    session: Session, claim: Claim, error: MailUnavailable, now: datetime, *, everything: bool = False
) -> None:
    """Try again later, after three days and many tries no more; ``everything`` makes all that is due wait as long."""
    tries = max(letter.tries for letter in claim.letters)
    pause = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_ABSENCE if everything else LONGEST_PAUSE)
    log.warning("letters %s wait %s: %s", claim.ids, pause, error)
    enough = tries + 1 >= LEAST_TRIES
    old = [letter for letter in claim.letters if enough and letter.owed_at + GIVEN_UP_AFTER <= now]
    young = [letter for letter in claim.letters if letter not in old]
    ended = {"claimed_until": None, "tries": tries + 1, "last_error": _told(error)}
    _change(session, old, claim.until, state=LetterState.FAILED, **ended)
    _change(session, young, claim.until, due_at=now + pause, **ended)
    if everything:
        waiting = update(Letter).where(_free(now), Letter.due_at < now + pause)
        waiting = waiting.values(due_at=now + pause).execution_options(synchronize_session=False)
        transact(session, lambda s: s.execute(waiting))


def _change(session: Session, letters: Sequence[Letter], until: datetime, **values: Any) -> None:
    """Change rows that are still under our lease; one that somebody else has taken since is left to him."""
    statement = (
        update(Letter)
        .where(
            Letter.id.in_([letter.id for letter in letters]),
            Letter.state == LetterState.OWED,
            Letter.claimed_until == until,
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
    transact(session, lambda s: s.execute(statement))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
