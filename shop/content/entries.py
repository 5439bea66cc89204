"""News, reviews, articles, downloads and photos: written, put in order, published, taken back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import changes
from shop.catalogue import version
from shop.content.models import ArticleGroup, Entry, EntryKind, EntryText
from shop.database import lock
from shop.errors import ShopError, WrongState
from shop.markets import LANGUAGES

PARTS = ("title", "caption", "source", "link", "quotation", "text")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class SlugTaken(ShopError):
    """Another entry has this short name."""


def subject(entry_id: int) -> str:
    """What an entry is called among the changes."""
    return f"entry:{entry_id}"


def all_of(session: Session, kind: EntryKind) -> Sequence[Entry]:
    """The entries of a kind in their order, published or not."""
    wanted = select(Entry).where(Entry.kind == kind).order_by(Entry.position, Entry.id)
    return session.scalars(wanted).all()


def shown(session: Session, kind: EntryKind, language: str) -> list[tuple[Entry, EntryText]]:
    """What readers of a language see of a kind, in its order."""
    wanted = select(Entry).where(Entry.kind == kind, Entry.published).order_by(Entry.position, Entry.id)
    found = ((entry, entry.text_in(language)) for entry in session.scalars(wanted))
    return [(entry, text) for entry, text in found if text is not None and text.title]


def facts(entry: Entry) -> dict[str, str]:
    """Everything of an entry that the owner types."""
    told = {"slug": entry.slug, "day": entry.day.isoformat() if entry.day else "", "credit": entry.credit}
    told["group"] = entry.group.value if entry.group else ""
    for code in LANGUAGES:
        text = entry.text_in(code)
        told |= {f"{part}-{code}": getattr(text, part) if text else "" for part in PARTS}
    return told


def create(session: Session, kind: EntryKind, typed: Mapping[str, str], actor: str, now: datetime) -> int:
    """Add an unpublished entry before all others of its kind; answers its id. Raises ``SlugTaken``."""
    _check_slug(session, typed["slug"], None)
    first = session.scalar(select(func.min(Entry.position)).where(Entry.kind == kind))
    entry = Entry(kind=kind, position=0 if first is None else first - 1, published=False)
    _write(entry, typed)
    session.add(entry)
    _flush(session, entry.slug)
    changes.record(session, subject(entry.id), {}, facts(entry), actor, now)
    return entry.id


def revise(
    session: Session, entry_id: int, typed: Mapping[str, str], seen: str, actor: str, now: datetime
) -> list[str]:
    """Make an entry say what was typed; answers which fields that changed.

    Raises ``changes.Meanwhile``, ``SlugTaken``, and ``WrongState`` if it was deleted.
    """
    entry = _locked(session, entry_id)
    before = facts(entry)
    changes.compare(seen, before)
    _check_slug(session, typed["slug"], entry_id)
    _write(entry, typed)
    _flush(session, entry.slug)
    changed = changes.record(session, subject(entry_id), before, facts(entry), actor, now)
    if changed and entry.published:
        version.rise(session)
    return changed


def publish(session: Session, entry_id: int, actor: str, now: datetime) -> None:
    """Show an entry to readers; raises ``WrongState`` if it is shown already."""
    entry = _locked(session, entry_id)
    if entry.published:
        raise WrongState(entry.slug)
    entry.published, entry.published_at = True, entry.published_at or now
    changes.record(session, subject(entry_id), {"published": ""}, {"published": "1"}, actor, now)
    version.rise(session)


def take_back(session: Session, entry_id: int, actor: str, now: datetime) -> None:
    """Hide an entry from readers; raises ``WrongState`` if it is not shown."""
    entry = _locked(session, entry_id)
    if not entry.published:
        raise WrongState(entry.slug)
    entry.published = False
    changes.record(session, subject(entry_id), {"published": "1"}, {"published": ""}, actor, now)
    version.rise(session)


def move(session: Session, entry_id: int, by: int, actor: str, now: datetime) -> None:
    """Put an entry one place up (``by`` is −1) or down (1); raises ``WrongState`` if it stands at that end."""
    kind = _locked(session, entry_id).kind
    # Locked in one order, whoever moves what.
    wanted = select(Entry).where(Entry.kind == kind).order_by(Entry.id).with_for_update()
    found = session.scalars(wanted.execution_options(populate_existing=True)).all()
    rows = sorted(found, key=lambda each: (each.position, each.id))
    old = next(place for place, each in enumerate(rows) if each.id == entry_id)
    if not 0 <= old + by < len(rows):
        raise WrongState(str(entry_id))
    rows[old], rows[old + by] = rows[old + by], rows[old]
    for place, each in enumerate(rows):
        each.position = place
    places = ({"position": str(old + 1)}, {"position": str(old + by + 1)})
    changes.record(session, subject(entry_id), *places, actor, now)
    version.rise(session)


def delete(session: Session, entry_id: int, actor: str, now: datetime) -> None:
    """Remove an entry that was never published; its history stays. Raises ``WrongState`` for any other."""
    entry = _locked(session, entry_id)
    if entry.published_at is not None:
        raise WrongState(entry.slug)
    changes.record(session, subject(entry_id), facts(entry), {}, actor, now)
    session.delete(entry)


def _locked(session: Session, entry_id: int) -> Entry:
    entry = lock(session, Entry, entry_id)
    if entry is None:
        raise WrongState(str(entry_id))
    return entry


def _check_slug(session: Session, slug: str, entry_id: int | None) -> None:
    holder = session.scalar(select(Entry.id).where(Entry.slug == slug))
    if holder is not None and holder != entry_id:
        raise SlugTaken(slug)


def _flush(session: Session, slug: str) -> None:
    """Write, and say so if a rival has taken the short name since it was looked for."""
    try:
        session.flush()
    except IntegrityError as error:
        if "slug" not in str(error.orig):
            raise
        raise SlugTaken(slug) from error


def _write(entry: Entry, typed: Mapping[str, str]) -> None:
    entry.slug, entry.credit = typed["slug"], typed["credit"]
    entry.day = date.fromisoformat(typed["day"]) if typed["day"] else None
    entry.group = ArticleGroup(typed["group"]) if typed.get("group") else None
    for code in LANGUAGES:
        told = {part: typed.get(f"{part}-{code}", "") for part in PARTS}
        text = entry.text_in(code)
        if not any(told.values()):
            if text is not None:
                entry.texts.remove(text)
        elif text is None:
            entry.texts.append(EntryText(language=code, **told))
        else:
            for part, value in told.items():
                setattr(text, part, value)
