"""The entries that a new shop starts from: ``data/entries.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue import version
from shop.content.entries import PARTS, SLUG
from shop.content.models import ArticleGroup, Entry, EntryKind, EntryText
from shop.errors import CatalogueError
from shop.markets import LANGUAGES

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "entries.toml"
OWN = {"slug", "day", "credit", "group", "published"}


def import_entries(session: Session, file: Path, now: datetime) -> int:
    """Fill the kinds that have no entry at all, so that nothing of the owner's is touched; answers with how many.

    A short name that the owner has given to something else stays his.

    The file holds tables by kind, each with ``slug`` and a table for each language. Raises ``CatalogueError`` naming
    what cannot be read.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{file.name} is no TOML: {error}") from error
    written, taken = 0, set(session.scalars(select(Entry.slug)))
    for name, rows in tables.items():
        if name not in list(EntryKind):
            raise CatalogueError(f"{file.name} has entries of an unknown kind: {name}")
        kind = EntryKind(name)
        if session.scalar(select(Entry.id).where(Entry.kind == kind).limit(1)) is not None:
            continue
        for position, row in enumerate(rows):
            entry = _entry(kind, position, row, now)
            if entry.slug not in taken:
                session.add(entry)
                written += 1
    if written:
        version.rise(session)
    session.flush()
    return written


def _entry(kind: EntryKind, position: int, row: Mapping[str, Any], now: datetime) -> Entry:
    slug, day, group = str(row.get("slug", "")), row.get("day"), row.get("group")
    unknown = row.keys() - OWN - LANGUAGES.keys()
    if not SLUG.fullmatch(slug) or unknown or not (day is None or isinstance(day, date)):
        raise CatalogueError(f"an entry of {kind.value} cannot be read: {slug or row}")
    if (kind is EntryKind.ARTICLE) != (group in list(ArticleGroup)):
        raise CatalogueError(f"{slug} is in no group of articles")
    published = bool(row.get("published", True))
    return Entry(
        kind=kind,
        slug=slug,
        position=position,
        day=day,
        credit=str(row.get("credit", "")),
        group=ArticleGroup(group) if group else None,
        published=published,
        published_at=now if published else None,
        texts=[_text(slug, code, row[code]) for code in LANGUAGES if code in row],
    )


def _text(slug: str, language: str, told: Mapping[str, str]) -> EntryText:
    if told.keys() - set(PARTS) or not told.get("title"):
        raise CatalogueError(f"{slug} ({language}) has no title, or something that no entry has")
    return EntryText(language=language, **{name: value.strip() for name, value in told.items()})
