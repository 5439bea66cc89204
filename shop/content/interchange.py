"""Pages of text as files: ``{slug}.{language}.md`` with title and summary above the text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session

from shop.content.models import PageText
from shop.errors import CatalogueError

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "pages"
RULE = "---"


class Draft(NamedTuple):
    """A page as it stands in a file. ``body`` is Markdown."""

    slug: str
    language: str
    title: str
    summary: str
    body: str


def read(path: Path) -> Draft:
    """Read one file; raises ``CatalogueError`` naming it when title or text are missing."""
    slug, _, language = path.stem.rpartition(".")
    head, separator, body = path.read_text(encoding="utf-8").removeprefix(RULE + "\n").partition(f"\n{RULE}\n")
    facts = {}
    for line in head.splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    if not (slug and language and separator and facts.get("title") and body.strip()):
        raise CatalogueError(f"{path.name} is not a page with a language, a title and a text")
    return Draft(slug, language, facts["title"], facts.get("summary", ""), body.strip() + "\n")


def import_pages(session: Session, folder: Path = SHIPPED, *, replace: bool = False) -> int:
    """Fill in the pages that are missing (all of them with ``replace``); answers how many were written."""
    written = 0
    for path in sorted(folder.glob("*.md")):
        draft = read(path)
        row = session.get(PageText, (draft.slug, draft.language))
        if row is not None and not replace:
            continue
        session.merge(PageText(**draft._asdict()))
        written += 1
    session.flush()
    return written


def page(session: Session, slug: str, language: str) -> PageText | None:
    """A page in a language: the owner's, if it is published, or else the one the shop comes with."""
    row = session.get(PageText, (slug, language))
    if row is not None and row.published and row.body:
        return row
    draft = _shipped(slug, language)
    return PageText(**draft._asdict()) if draft else None


@cache
def _shipped(slug: str, language: str) -> Draft | None:
    path = SHIPPED / f"{slug}.{language}.md"
    return read(path) if path.is_file() else None


def own_or_shipped(session: Session, slug: str, language: str) -> PageText:
    """A page's row, published or not; where there is none, an unsaved one with the text that the shop comes with."""
    return session.get(PageText, (slug, language)) or shipped_row(slug, language)


def shipped_row(slug: str, language: str) -> PageText:
    """The text that the shop comes with, as a row that is not saved; an empty one where there is none."""
    draft = _shipped(slug, language) or Draft(slug, language, "", "", "")
    return PageText(**draft._asdict(), published=True)
