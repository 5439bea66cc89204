"""The file of a backup: a gzipped tar of the database's copy and the kept files, and last a manifest with a SHA-256 of
each.

The manifest stands last because the digests are taken while the rest is written; a file that was cut off has none.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from shop.errors import ShopError
from shop.libraries import files
from shop.uploads import keeping

FORMAT = 1
DATABASE = "database"
MANIFEST = "manifest.json"
KEPT = (keeping.FOLDER, files.FOLDER)
"""Folders of the instance folder whose files cannot be made again."""
MEMBER = re.compile(rf"(?:{'|'.join(KEPT)})(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){{1,3}}", re.ASCII)
"""What a kept file may be called in a backup: never anything outside its folder."""
LARGEST_MANIFEST = 64 * 1024 * 1024
CHUNK = 1024 * 1024
LEVEL = 6  # of 9: the last steps cost twice the time for a hundredth of the size


class Damaged(ShopError):
    """The file is no whole backup; the sentence says what is wrong with it."""


class MadeLater(ShopError):
    """The file was written by a later version of this code, which reads it as it should be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup: how long it is in bytes, and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    made_at: datetime
    dialect: str
    revision: str
    """What the database had been migrated to."""
    files: Mapping[str, Entry]

    def to_json(self) -> bytes:
        told = {
            "format": FORMAT,
            "made_at": self.made_at.astimezone(UTC).isoformat(timespec="seconds"),
            "database": {"dialect": self.dialect, "revision": self.revision},
            "files": {name: asdict(entry) for name, entry in sorted(self.files.items())},
        }
        return json.dumps(told, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Manifest:
        """Raises ``Damaged`` for what is no manifest, ``MadeLater`` for one of a format to come."""
        try:
            told = json.loads(body)
            if told["format"] > FORMAT:
                raise MadeLater("It was made by a later version of Bookstall; restore it with that one.")
            made_at = datetime.fromisoformat(told["made_at"])
            database = told["database"]
            entries = {name: Entry(int(each["size"]), str(each["sha256"])) for name, each in told["files"].items()}
            return cls(made_at, str(database["dialect"]), str(database["revision"]), entries)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged("Its manifest cannot be read.") from error


class Writer:
    """A backup that is being written to an open file: ``with Writer(out) as writer``."""

    def __init__(self, out: IO[bytes]) -> None:
        self._packed = gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=LEVEL)
        self._tar = tarfile.open(fileobj=self._packed, mode="w")  # noqa: SIM115 - closed by ``finish``
        self.entries: dict[str, Entry] = {}

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._packed.close()

    def add(self, name: str, path: Path) -> None:
        """Add a file, once; raises ``FileNotFoundError`` if it has gone meanwhile."""
        if name in self.entries:
            return
        with path.open("rb") as source:
            size = path.stat().st_size
            digested = _Digesting(source)
            self._tar.addfile(_member(name, size), digested)
        self.entries[name] = Entry(size, digested.sha256)

    def finish(self, manifest: Manifest) -> None:
        body = manifest.to_json()
        self._tar.addfile(_member(MANIFEST, len(body)), io.BytesIO(body))
        self._tar.close()


def verify(path: Path) -> Manifest:
    """Read a backup to its end and compare each file with the manifest; raises ``Damaged`` and ``MadeLater``."""
    found: dict[str, Entry] = {}
    manifest = None
    with _members(path) as members:
        for name, content, size in members:
            if manifest is not None:
                raise Damaged(f"Something comes after its end: {name}.")
            if name == MANIFEST:
                if size > LARGEST_MANIFEST:
                    raise Damaged("Its manifest cannot be read.")
                manifest = Manifest.from_json(content.read())
                continue
            if name in found or (name != DATABASE and not MEMBER.fullmatch(name)):
                raise Damaged(f"It holds something that no backup holds: {name}.")
            digested = _Digesting(content)
            while digested.read(CHUNK):
                pass
            found[name] = Entry(size, digested.sha256)
    if manifest is None:
        raise Damaged("It was cut off: its manifest is missing.")
    for name in sorted(found.keys() | manifest.files.keys() | {DATABASE}):
        if name not in found or found.get(name) != manifest.files.get(name):
            raise Damaged(f"{name} is not as it was when the backup was made.")
    return manifest


def contents(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and bytes of each file of a backup that was verified, to be read one after the other."""
    with _members(path) as members:
        for name, content, _size in members:
            if name != MANIFEST:
                yield name, content


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes], int]]]:
    try:
        with tarfile.open(path, mode="r|gz") as tar:
            yield _each(tar)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise Damaged(f"It cannot be unpacked: {error}.") from error


def _each(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes], int]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise Damaged(f"It holds something that no backup holds: {member.name}.")
        yield member.name, content, member.size


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


class _Digesting:
    """A file that is read, and its digest."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._digest = source, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
