"""Keeping what was made of an upload: bytes in the instance folder first, then rows."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import add_all_once, add_once
from shop.uploads.models import StoredFile, Upload, UploadKind

FOLDER = "uploads"


@dataclass(frozen=True, slots=True)
class Made:
    """One file to be kept; width and height are in pixels."""

    data: bytes
    media_type: str
    width: int | None = None
    height: int | None = None

    @property
    def digest(self) -> str:
        return digest_of(self.data)[:32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was made of something that was sent, with the SHA-256 of that."""

    digest: str
    kind: UploadKind
    files: Sequence[Made]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def place(instance: Path, digest: str) -> Path:
    """Where a file lies in the instance folder."""
    return instance / FOLDER / digest[:2] / digest


def write(instance: Path, prepared: Prepared) -> None:
    """Put files on disk, each whole or not at all. What no row comes to name does no harm there."""
    for made in prepared.files:
        path = place(instance, made.digest)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with draft.open("wb") as out:
            out.write(made.data)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)


def keep(session: Session, prepared: Prepared, actor: str, now: datetime) -> Upload:
    """The row of an upload whose files are on disk; the same content twice is one row."""
    known = select(Upload).where(Upload.digest == prepared.digest, Upload.kind == prepared.kind)
    if (row := session.scalar(known)) is not None:
        return row
    add_once(session, Upload, digest=prepared.digest, kind=prepared.kind, at=now, actor=actor)
    row = session.scalars(known).one()
    files = {made.digest: made for made in prepared.files}
    add_all_once(
        session,
        StoredFile,
        [
            {
                "upload_id": row.id,
                "digest": digest,
                "media_type": made.media_type,
                "size": len(made.data),
                "width": made.width,
                "height": made.height,
            }
            for digest, made in files.items()
        ],
    )
    session.refresh(row, ["files"])
    return row
