"""Making a shop of a backup.

Nothing is touched before the whole file was verified. What there was is put aside, not deleted, and comes back if
anything goes wrong on the way. Kept files are added and never taken away: what no row names is not served.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shop import revisions
from shop.backups.archive import DATABASE, Manifest, contents, verify
from shop.backups.databases import CannotLoad, database_of
from shop.errors import ShopError

DRAFTS = ".restoring-"


class NotEmpty(ShopError):
    """There is a shop in the database already, and nobody has said that it may be replaced."""


class Unfit(ShopError):
    """The backup is whole, but not one for this shop; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where that lies what it replaced (empty if there was nothing)."""

    manifest: Manifest
    aside: str
    files: int
    """Kept files that were not there any more."""


def restore(
    engine: Engine, instance: Path, file: Path, now: datetime, upgrade: Callable[[], object], *, replace: bool
) -> Restored:
    """Make the database and the kept files what a backup says; ``upgrade`` migrates the database to this code.

    Raises what ``verify`` raises, ``Unfit``, ``NotEmpty``, and ``InUse``, ``CannotLoad`` and whatever ``upgrade``
    raises; after any of them everything is as it was.
    """
    manifest = verify(file)
    _check_fit(engine, manifest)
    database = database_of(engine)
    empty = database.is_empty()
    if not empty and not replace:
        raise NotEmpty("There is a shop in this database already. With --replace it is put aside for this one.")
    draft = Path(tempfile.mkdtemp(prefix=DRAFTS, dir=instance))
    try:
        added = _unpack(file, instance, draft / DATABASE)
        engine.dispose()
        aside = "" if empty else database.set_aside(f"{now.astimezone(UTC):%Y%m%d_%H%M%S}")
        try:
            database.load(draft / DATABASE)
            upgrade()
        except BaseException:  # raised again: whatever it was, the shop is to be there as before
            engine.dispose()
            database.put_back(aside)
            raise
    except SQLAlchemyError as error:
        raise CannotLoad(f"The database refused: {getattr(error, 'orig', None) or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Restored(manifest, aside, added)


def _check_fit(engine: Engine, manifest: Manifest) -> None:
    if manifest.dialect != engine.dialect.name:
        raise Unfit(f"It was made of {manifest.dialect}, and DATABASE_URL names {engine.dialect.name}.")
    if manifest.revision not in revisions.known():
        raise Unfit(
            f"Its database is at migration {manifest.revision}, which this code does not know: restore it with the "
            "version of Bookstall that made it, or a later one."
        )


def _unpack(file: Path, instance: Path, copy: Path) -> int:
    """Put the database's copy where it is told, and kept files that are missing in their places."""
    added = 0
    for name, content in contents(file):
        if name == DATABASE:
            _write(content, copy)
        elif not (place := instance / name).exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
            _write(content, draft)
            draft.replace(place)
            added += 1
    return added


def _write(content: IO[bytes], path: Path) -> None:
    with path.open("xb") as out:
        shutil.copyfileobj(content, out, 1024 * 1024)
