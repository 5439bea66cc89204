"""Purchase orders as files: what is taken, where the bytes lie, and when they go.

What is taken is decided by the bytes alone, whatever the name says. They lie in the instance folder under a random
name, and are never shown inside a page.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shop.errors import ShopError
from shop.libraries.models import LibraryFile, LibraryOrder

FOLDER = "libraries"
MOST_BYTES = 4 * 1024 * 1024
MOST_SENT = 64 * 1024 * 1024
"""Forms with a file up to this long are read whole, so that nothing typed is lost; the file itself is refused."""
KEY = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
TYPES = {
    "application/pdf": (b"%PDF-", "pdf"),
    "image/png": (b"\x89PNG\r\n\x1a\n", "png"),
    "image/jpeg": (b"\xff\xd8\xff", "jpg"),
}
"""Media types by the bytes that files of theirs begin with, and how their names end."""
LEFT_FREE = 500 * 1024 * 1024
"""So many bytes of the disk are never filled with what strangers send."""
UNATTACHED_AT_MOST = 100
MENDED_WITHIN = timedelta(days=1)
"""So long a file waits for its form to be mended,"""
MENDED_SOON = timedelta(hours=1)
"""and so long at least when there is no room for another's."""


class NotTaken(ShopError):
    """A file that is not kept. ``reason`` is ``kind``, ``size``, ``empty`` or ``room``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def media_type(body: bytes) -> str:
    """What the bytes are; raises ``NotTaken`` for anything but PDF, PNG and JPEG."""
    for name, (start, _ending) in TYPES.items():
        if body.startswith(start):
            return name
    raise NotTaken("kind")


def store(folder: Path, body: bytes) -> str:
    """Write bytes to the instance folder, before the row that names them; answers their key."""
    if not body:
        raise NotTaken("empty")
    if len(body) > MOST_BYTES:
        raise NotTaken("size")
    media_type(body)
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(place).free < LEFT_FREE:
        raise NotTaken("room")
    key = secrets.token_urlsafe(32)
    draft = place / f"{key}.part"
    draft.write_bytes(body)
    draft.replace(place / key)
    return key


def note(session: Session, key: str, name: str, body: bytes, now: datetime) -> LibraryFile:
    """The row of bytes that were stored; raises ``NotTaken`` when too many wait for their forms."""
    waiting = select(func.count()).select_from(LibraryFile).where(LibraryFile.library_order_id.is_(None))
    if (session.scalar(waiting) or 0) >= UNATTACHED_AT_MOST:
        forget_waiting(session, now, MENDED_SOON)
        if (session.scalar(waiting) or 0) >= UNATTACHED_AT_MOST:
            raise NotTaken("room")
    kind = media_type(body)
    row = LibraryFile(
        key=key,
        name=plain_name(name, TYPES[kind][1]),
        media_type=kind,
        size=len(body),
        digest=hashlib.sha256(body).hexdigest(),
        kept_at=now,
    )
    session.add(row)
    session.flush()
    return row


def kept(session: Session, key: str) -> LibraryFile | None:
    """A file that was kept, whether it waits for its form or has become a ticket's."""
    return session.scalar(select(LibraryFile).where(LibraryFile.key == key)) if KEY.fullmatch(key) else None


def unattached(session: Session, key: str) -> LibraryFile | None:
    """A file that waits for its form."""
    found = kept(session, key)
    return found if found is not None and found.library_order_id is None else None


def attach(session: Session, key: str, order: LibraryOrder) -> None:
    """A waiting file becomes a ticket's; one that has become another's meanwhile is left there."""
    session.execute(
        update(LibraryFile)
        .where(LibraryFile.key == key, LibraryFile.library_order_id.is_(None))
        .values(library_order_id=order.id)
        .execution_options(synchronize_session=False)
    )
    session.expire(order, ["files"])


def plain_name(name: str, ending: str) -> str:
    """A file's name without folders, control characters or an ending that lies."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(each for each in last if unicodedata.category(each)[0] != "C" and each not in '"<>:|?*;%')
    stem = visible.rpartition(".")[0] or visible
    return f"{' '.join(stem.split())[:100].strip(' .') or 'purchase-order'}.{ending}"


def path(folder: Path, key: str) -> Path:
    """Where the bytes lie; raises ``LookupError`` for what is no key."""
    if not KEY.fullmatch(key):
        raise LookupError(key)
    return folder / FOLDER / key


def facts(file: LibraryFile) -> dict[str, str]:
    """An attachment as letters keep it."""
    return {"file": file.key, "name": file.name, "type": file.media_type}


def forget_waiting(session: Session, now: datetime, waited: timedelta = MENDED_WITHIN) -> None:
    """Drop the rows of files whose forms were never mended."""
    session.execute(
        delete(LibraryFile)
        .where(LibraryFile.library_order_id.is_(None), LibraryFile.kept_at <= now - waited)
        .execution_options(synchronize_session=False)
    )


def clear(session: Session, folder: Path, now: datetime) -> int:
    """Delete the bytes that no row names (any more), unless they were just written; answers how many there were."""
    place = folder / FOLDER
    if not place.is_dir():
        return 0
    known = set(session.scalars(select(LibraryFile.key)))
    session.rollback()
    old = (now - MENDED_WITHIN).timestamp()
    gone = [each for each in place.iterdir() if each.name not in known and each.stat().st_mtime <= old]
    for each in gone:
        each.unlink(missing_ok=True)
    return len(gone)
