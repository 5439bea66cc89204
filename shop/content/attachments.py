"""What entries show: the picture of a photo, the file of a download, one for all languages or one for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from shop import changes
from shop.catalogue import version
from shop.content.entries import subject
from shop.content.models import Entry
from shop.database import Base, lock
from shop.errors import WrongState
from shop.uploads.models import Upload

EVERY = "all"
"""In place of a language: for the readers of all of them."""


class EntryFile(Base):
    """A file that an entry shows to the readers of a language."""

    __tablename__ = "entry_file"

    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    upload_id: Mapped[int] = mapped_column(ForeignKey("upload.id"), index=True)
    alts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """What is to be seen in a picture, by language, for those who do not see it."""
    credits: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Who made it and where it is from, by language."""
    upload: Mapped[Upload] = relationship(lazy="joined")


def attached(session: Session, entry_ids: Iterable[int]) -> dict[int, dict[str, EntryFile]]:
    """The files of some entries, by language."""
    found: dict[int, dict[str, EntryFile]] = defaultdict(dict)
    for row in session.scalars(select(EntryFile).where(EntryFile.entry_id.in_(list(entry_ids)))):
        found[row.entry_id][row.language] = row
    return found


def attach(
    session: Session,
    entry_id: int,
    language: str,
    upload: Upload | None,
    words: Mapping[str, Mapping[str, str]],
    actor: str,
    now: datetime,
) -> list[str]:
    """Show this file, or go on showing the one there is, with these ``alts`` and ``credits``.

    Answers what has changed. Raises ``WrongState`` without a file or without the entry.
    """
    entry = lock(session, Entry, entry_id)
    row = session.get(EntryFile, (entry_id, language), populate_existing=True)
    if entry is None or (row is None and upload is None):
        raise WrongState(str(entry_id))
    before = told(row)
    if row is None:
        row = EntryFile(entry_id=entry_id, language=language)
        session.add(row)
    if upload is not None:
        row.upload = upload
    row.alts, row.credits = dict(words["alts"]), dict(words["credits"])
    session.flush()
    changed = changes.record(session, subject(entry_id), before, told(row), actor, now)
    if changed and entry.published:
        version.rise(session)
    return changed


def detach(session: Session, entry_id: int, language: str, actor: str, now: datetime) -> None:
    """Show this file no longer; raises ``WrongState`` if there is none."""
    entry = lock(session, Entry, entry_id)
    row = session.get(EntryFile, (entry_id, language), populate_existing=True)
    if entry is None or row is None:
        raise WrongState(str(entry_id))
    changes.record(session, subject(entry_id), told(row), {}, actor, now)
    session.delete(row)
    if entry.published:
        version.rise(session)


def told(row: EntryFile | None) -> dict[str, str]:
    """A file and its words as facts that changes are recorded of."""
    if row is None:
        return {}
    facts = {f"file-{row.language}": row.upload.digest[:16]}
    facts |= {f"alt-{code}": text for code, text in row.alts.items()}
    return facts | {f"made_by-{code}": text for code, text in row.credits.items()}


def shown(session: Session, upload_ids: Iterable[int]) -> bool:
    """Whether an entry that is published shows one of these uploads."""
    wanted = select(EntryFile.upload_id).join(Entry, Entry.id == EntryFile.entry_id)
    wanted = wanted.where(Entry.published, EntryFile.upload_id.in_(list(upload_ids))).limit(1)
    return session.scalar(wanted) is not None
