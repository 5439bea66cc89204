"""Making a backup while the shop goes on selling.

The database is copied as it is at one moment. The kept files are immutable, written before the row that names them and
deleted after it: they are taken before the database and again after it, so that no row of the copy lacks its file.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from shop import revisions
from shop.backups.archive import DATABASE, KEPT, MEMBER, Manifest, Writer
from shop.backups.databases import database_of
from shop.backups.latest import Latest, note
from shop.errors import ShopError

FOLDER = "backups"
NAME = re.compile(r"bookstall-(\d{4}-\d{2}-\d{2}-\d{6})(?:-(\d+))?\.tar\.gz", re.ASCII)
"""When it was made, and the number of a second and later one within the same second."""
DRAFTS = ".bookstall-"
ABANDONED = timedelta(days=1)
"""What a backup that was killed has left behind is swept away when it is older."""


class NotMigrated(ShopError):
    """The database is not at one known point of its history."""


def make(engine: Engine, instance: Path, folder: Path, now: datetime) -> Path:
    """Write a backup into a folder under a name of its own, whole or not at all, for the owner of the process alone.

    Raises ``NotMigrated`` and what ``databases`` raises; ``OSError`` if there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(folder, now)
    draft = Path(tempfile.mkdtemp(prefix=DRAFTS, dir=folder))
    try:
        packed = draft / "backup"
        with os.fdopen(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            with Writer(out) as writer:
                _write(writer, engine, instance, draft / DATABASE, now)
            out.flush()
            os.fsync(out.fileno())
        made = _free_name(folder, now)
        packed.rename(made)
        _sync(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    note(instance, Latest(now, made.name, made.stat().st_size))
    return made


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups of a folder; answers which. Nothing else in it is touched."""
    gone = [path for _at, _number, path in _made(folder)[:-keep]]
    for each in gone:
        each.unlink()
    return gone


def _write(writer: Writer, engine: Engine, instance: Path, copy: Path, now: datetime) -> None:
    before = _revision(engine)
    _add_kept(writer, instance)
    database_of(engine).dump(copy)
    if _revision(engine) != before:
        raise NotMigrated("The database was migrated meanwhile; make the backup again.")
    writer.add(DATABASE, copy)
    copy.unlink()
    _add_kept(writer, instance)
    writer.finish(Manifest(now, engine.dialect.name, before, writer.entries))


def _revision(engine: Engine) -> str:
    with engine.connect() as connection:
        applied = revisions.applied(connection)
    if len(applied) != 1:
        raise NotMigrated("There is no shop in this database yet: flask db upgrade makes one.")
    return next(iter(applied))


def _add_kept(writer: Writer, instance: Path) -> None:
    for name, path in _kept(instance):
        try:
            writer.add(name, path)
        except FileNotFoundError:  # erased meanwhile, with its row
            continue


def _kept(instance: Path) -> Iterator[tuple[str, Path]]:
    for folder in KEPT:
        for path in sorted((instance / folder).rglob("*")):
            name = path.relative_to(instance).as_posix()
            if MEMBER.fullmatch(name) and not name.endswith(".part") and path.is_file() and not path.is_symlink():
                yield name, path


def _free_name(folder: Path, now: datetime) -> Path:
    at = f"{now.astimezone(UTC):%Y-%m-%d-%H%M%S}"
    number = max((number for when, number, _path in _made(folder) if when == at), default=0) + 1
    return folder / (f"bookstall-{at}-{number}.tar.gz" if number > 1 else f"bookstall-{at}.tar.gz")


def _made(folder: Path) -> list[tuple[str, int, Path]]:
    """The backups in a folder, oldest first: second, number within it, file."""
    named = ((NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((found[1], int(found[2] or 1), path) for found, path in named if found)


def _sweep(folder: Path, now: datetime) -> None:
    for each in folder.glob(f"{DRAFTS}*"):
        if each.is_dir() and datetime.fromtimestamp(each.stat().st_mtime, UTC) < now - ABANDONED:
            shutil.rmtree(each, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Let the new name outlive a power cut."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
