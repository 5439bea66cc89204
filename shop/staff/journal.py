"""The journal of the desk: whatever somebody there changes is written down in the transaction that changes it.

``undertake`` says who is about to do what; from then on the first transaction of the session that changes anything gets
its entry just before it is committed, and none is written for what was refused or rolled back. What is done to many
orders at once, each in a transaction of its own, gets an entry for each of them. Of the tables in
``TOLD`` the entry says for each field from what to what; of others, which may hold what is personal or secret, only
that something was done, and an order's own timeline says more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction

from shop.database import LOCKED
from shop.staff.models import Admin, JournalEntry

DEED = "deed"
LONGEST_VALUE = 500  # characters
LONGEST_SUBJECT = 200

TOLD: dict[str, frozenset[str] | None] = {
    "admin": frozenset({"name", "email", "role", "language", "active", "notified"}),
    "contributor": None,
    "country_distributor": None,
    "desk_rules": None,
    "distributor": None,
    "edition": None,
    "edition_text": None,
    "library_rules": None,
    "not_sent": None,
    "page_text": None,
    "postage_band": None,
    "postage_zone": None,
    "price": None,
    "refused_country": None,
    "subject": None,
    "trader": None,
    "unconfirmed": None,
    "vendor": None,
    "zone_country": None,
}
"""Tables whose values may be told, and which of their fields (``None``: all). Everything else stays unsaid."""

INDIRECT = ("", "payment_id", "refund_id", "letter_id", "shipment_id")
"""What an address may name that people know better by the number of its order."""
UNCOUNTED = ("throttle",)
"""Tables whose changes are nobody's deed."""


@dataclass(slots=True)
class Deed:
    """What a person is doing. ``about`` says what ``subject`` names."""

    admin_id: int | None
    name: str
    kind: str
    at: datetime
    about: str = ""
    subject: str = ""
    touched: bool = False
    changes: list[list[Any]] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    """What entries were committed about."""
    _pending: set[str] = field(default_factory=set)


def undertake(session: Session, deed: Deed) -> None:
    """From now on the session does this."""
    session.info[DEED] = deed


def note(
    session: Session,
    kind: str,
    who: Admin | None,
    now: datetime,
    *,
    about: str = "",
    subject: str = "",
    changes: Sequence[Sequence[Any]] = (),
) -> None:
    """Write an entry down at once, for what happens before or without a sign-in or changes nothing."""
    deed = Deed(who.id if who else None, who.name if who else "", kind, now, about, subject)
    deed.changes = [list(each) for each in changes]
    write(session, deed)


def write(session: Session, deed: Deed) -> None:
    """Add the entry of a deed, whether or not it changes anything."""
    session.add(_entry(deed))


def _entry(deed: Deed) -> JournalEntry:
    said = [deed.name, deed.kind, deed.subject, *(str(part) for each in deed.changes for part in each)]
    return JournalEntry(
        at=deed.at,
        admin_id=deed.admin_id,
        name=deed.name,
        kind=deed.kind,
        about=deed.about,
        subject=deed.subject[:LONGEST_SUBJECT],
        changes=deed.changes,
        search=plain(" ".join(said)),
    )


def plain(text: str) -> str:
    """Text as the journal is searched."""
    return " ".join(text.casefold().replace("ё", "е").split())


def _open_deed(session: Session) -> Deed | None:
    """The deed that may still need an entry: that about many orders stays open for the next of them."""
    deed = session.info.get(DEED)
    return deed if isinstance(deed, Deed) and not (deed.written and deed.about) else None


def _subjects(session: Session, deed: Deed) -> list[tuple[str, str]]:
    """What a transaction is about: the orders that it has locked, unless the address named something better."""
    if deed.about not in INDIRECT:
        return [(deed.about, deed.subject)]
    keys = [key for key in session.info.get(LOCKED, ()) if key[0].__tablename__ == "order"]
    numbers = sorted(session.get_one(key[0], key[1]).number for key in keys)
    if deed.about:
        return [("number", numbers[0])] if len(numbers) == 1 else [(deed.about, deed.subject)]
    return [("number", number) for number in numbers] or ([] if deed.written else [("", "")])


@event.listens_for(Session, "do_orm_execute")
def _statement(state: ORMExecuteState) -> None:
    deed = _open_deed(state.session)
    if deed is not None and (state.is_insert or state.is_update or state.is_delete):
        table = getattr(getattr(state.statement, "table", None), "name", "")
        deed.touched = deed.touched or table not in UNCOUNTED


@event.listens_for(Session, "before_flush")
def _flush(session: Session, _context: UOWTransaction, _instances: object) -> None:
    deed = _open_deed(session)
    if deed is None:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if row in session.dirty and not session.is_modified(row):
            continue
        deed.touched = True
        deed.changes += _changes(session, row)


def _changes(session: Session, row: Any) -> list[list[Any]]:
    """What a flush is about to change of a row, from what to what."""
    table = row.__table__.name
    if table not in TOLD:
        return []
    told, changes = TOLD[table], []
    for attribute in inspect(row).mapper.column_attrs:
        history = inspect(row).attrs[attribute.key].history
        if told is not None and attribute.key not in told:
            continue
        if row in session.deleted:
            before, after = _value(getattr(row, attribute.key)), None
        elif not history.has_changes():
            continue
        else:
            before, after = (_value(each[0]) if each else None for each in (history.deleted, history.added))
        if before != after and not (before in (None, "") and after in (None, "")):
            changes.append([table, _name(row), attribute.key, before, after])
    return changes


def _name(row: Any) -> str:
    """What a row is called: by its own name if it has a short one, else by its key."""
    for attribute in ("slug", "email", "key"):
        if isinstance(found := getattr(row, attribute, None), str):
            return found
    return " ".join(str(each) for each in inspect(row).mapper.primary_key_from_instance(row) if each is not None)


def _value(value: Any) -> Any:
    """A value as JSON may hold it, and not endless."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


@event.listens_for(Session, "before_commit")
def _commit(session: Session) -> None:
    if session.in_nested_transaction():
        return
    deed = _open_deed(session)
    if deed is None:
        return
    session.flush()
    if not deed.touched:
        return
    for about, subject in _subjects(session, deed):
        if subject not in deed.written:
            deed._pending.add(subject)
            session.add(_entry(replace(deed, about=about, subject=subject)))


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    deed = _open_deed(session)
    if deed is not None and not session.in_nested_transaction():
        deed.written |= deed._pending


@event.listens_for(Session, "after_transaction_end")
def _ended(session: Session, transaction: SessionTransaction) -> None:
    """What was rolled back was not done; the same deed may be tried once more."""
    deed = session.info.get(DEED)
    if isinstance(deed, Deed) and transaction.parent is None:
        deed.touched, deed.changes, deed._pending = False, [], set()
