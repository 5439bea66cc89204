"""Owing a letter: a row in the same transaction as its cause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.database import add_all_once, add_once, beside
from shop.errors import WrongState
from shop.letters.models import SHOPKEEPER, Kind, Letter, LetterState
from shop.staff import NOTIFIED, Admin

JOINED_WITHIN = timedelta(minutes=10)
LOCALES = {"en": "en_GB", "ru": "ru"}


def owe(
    session: Session,
    kind: Kind,
    cause: str,
    recipient: str,
    locale: str,
    context: dict[str, Any],
    now: datetime,
    *,
    order_id: int | None = None,
    library_order_id: int | None = None,
    reply_to: str = "",
    copy: int = 0,
    due_at: datetime | None = None,
) -> bool:
    """Owe one letter; a second call for the same kind, cause and recipient adds nothing. ``context`` is JSON.

    Sums in it are ``{"amount": minor units, "currency": code}``, instants ISO 8601.
    """
    letter = letter_row(
        kind,
        cause,
        recipient,
        locale,
        context,
        now,
        order_id=order_id,
        library_order_id=library_order_id,
        reply_to=reply_to,
        copy=copy,
        due_at=due_at,
    )
    return add_once(session, Letter, **letter)


def owe_all(session: Session, letters: list[dict[str, Any]]) -> None:
    """Owe several letters, each as ``owe`` does, by one statement."""
    add_all_once(session, Letter, letters)


def letter_row(
    kind: Kind,
    cause: str,
    recipient: str,
    locale: str,
    context: dict[str, Any],
    now: datetime,
    *,
    order_id: int | None = None,
    library_order_id: int | None = None,
    reply_to: str = "",
    copy: int = 0,
    due_at: datetime | None = None,
) -> dict[str, Any]:
    """The row of a letter that is owed, by column."""
    return {
        "kind": kind,
        "cause": cause,
        "copy": copy,
        "recipient": recipient,
        "reply_to": reply_to,
        "locale": locale,
        "context": context,
        "order_id": order_id,
        "library_order_id": library_order_id,
        "message_id": "",
        "state": LetterState.OWED,
        "owed_at": now,
        "due_at": due_at or now,
        "tries": 0,
        "last_error": "",
        "subject": "",
        "text": "",
    }


def owe_shopkeepers(
    session: Session,
    kind: Kind,
    cause: str,
    context: dict[str, Any],
    now: datetime,
    order_id: int | None = None,
    library_order_id: int | None = None,
    reply_to: str = "",
) -> None:
    """Owe the people of the order desk a letter, each in his language.

    What falls within ten minutes of the last one waits and is joined with what follows; a letter that answers to
    somebody else goes alone and at once.
    """
    owe_all(
        session,
        [
            letter_row(
                kind,
                cause,
                each.email,
                each.locale,
                context,
                now,
                order_id=order_id,
                library_order_id=library_order_id,
                reply_to=reply_to,
                due_at=each.due_at(kind, now),
            )
            for each in shopkeepers(session)
        ],
    )


class Shopkeeper(NamedTuple):
    """Somebody of the order desk, and when he was last written to."""

    email: str
    locale: str
    written_at: datetime | None

    def due_at(self, kind: Kind, now: datetime) -> datetime:
        """When a letter to him may go, so that what falls within ten minutes of the last one is joined."""
        if self.written_at is None or kind not in SHOPKEEPER:
            return now
        return max(now, self.written_at + JOINED_WITHIN)


def shopkeepers(session: Session) -> list[Shopkeeper]:
    """The people of the order desk who are written to."""
    found = beside(session, TO_SHOPKEEPERS)
    return [Shopkeeper(email, locale_of(language), written_at) for email, language, written_at in found]


_LAST = select(func.max(Letter.sent_at)).where(Letter.recipient == Admin.email, Letter.kind.in_(SHOPKEEPER))
TO_SHOPKEEPERS = (
    select(Admin.email, Admin.language, _LAST.correlate(Admin).scalar_subquery())
    .where(NOTIFIED)
    .order_by(Admin.id)
)
"""Whom to write to, in which language, and when he was last written to."""


def locale_of(language: str) -> str:
    """The locale in which somebody is written to whose language alone is known."""
    return LOCALES.get(language, language)


def again(session: Session, letter: Letter, now: datetime) -> None:
    """Send a letter once more: another row, never the same one. Raises ``WrongState`` for one that was erased."""
    if letter.erased_at is not None:
        raise WrongState(f"letter {letter.id} was erased")
    last = session.scalar(
        select(func.max(Letter.copy)).where(
            Letter.kind == letter.kind, Letter.cause == letter.cause, Letter.recipient == letter.recipient
        )
    )
    owe(
        session,
        letter.kind,
        letter.cause,
        letter.recipient,
        letter.locale,
        letter.context,
        now,
        order_id=letter.order_id,
        library_order_id=letter.library_order_id,
        reply_to=letter.reply_to,
        copy=(last or 0) + 1,
    )
