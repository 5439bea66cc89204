"""Pages of text as a form shows them, all languages side by side, and back; publishing them and taking them back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import changes
from shop.catalogue import version
from shop.content.interchange import SHIPPED, own_or_shipped, shipped_row
from shop.content.models import PageText
from shop.database import add_once, lock
from shop.errors import WrongState
from shop.markets import LANGUAGES

SLUGS = tuple(
    dict.fromkeys(
        [
            *("home", "how-to-order", "delivery", "returns", "terms", "privacy", "contact", "author"),
            *sorted(path.name.partition(".")[0] for path in SHIPPED.glob("*.md")),
        ]
    )
)
PARTS = ("title", "summary", "body")


def subject(slug: str) -> str:
    """What a page is called among the changes."""
    return f"page:{slug}"


def rows(session: Session, slug: str) -> dict[str, PageText]:
    """A page in every language."""
    return {code: own_or_shipped(session, slug, code) for code in LANGUAGES}


def everything(session: Session) -> dict[str, dict[str, PageText]]:
    """Every page in every language, by one question to the database."""
    known = {(row.slug, row.language): row for row in session.scalars(select(PageText))}
    return {
        slug: {code: known.get((slug, code)) or shipped_row(slug, code) for code in LANGUAGES} for slug in SLUGS
    }


def told(page: Mapping[str, PageText]) -> dict[str, str]:
    """Everything of a page that the owner may change."""
    return {f"{part}-{code}": getattr(row, part).strip() for code, row in page.items() for part in PARTS}


def facts(session: Session, slug: str) -> dict[str, str]:
    return told(rows(session, slug))


def revise(
    session: Session, slug: str, typed: Mapping[str, str], seen: str, actor: str, now: datetime
) -> list[str]:
    """Make a page say what was typed; answers which fields that changed. Raises ``changes.Meanwhile``."""
    locked = {code: _locked(session, slug, code) for code in LANGUAGES}
    before = facts(session, slug)
    changes.compare(seen, before)
    for code, row in locked.items():
        row.title, row.summary = typed[f"title-{code}"], typed[f"summary-{code}"]
        row.body = f"{typed[f'body-{code}']}\n" if typed[f"body-{code}"] else ""
    changed = changes.record(session, subject(slug), before, facts(session, slug), actor, now)
    if changed:
        version.rise(session)
    return changed


def set_published(session: Session, slug: str, language: str, wanted: bool, actor: str, now: datetime) -> None:
    """Let readers see the owner's text of a page, or again the one that the shop comes with.

    Raises ``WrongState`` if that is so already.
    """
    row = _locked(session, slug, language)
    if row.published is wanted or (wanted and not row.body):
        raise WrongState(slug)
    row.published = wanted
    name, (before, after) = f"published-{language}", ("", "1") if wanted else ("1", "")
    changes.record(session, subject(slug), {name: before}, {name: after}, actor, now)
    version.rise(session)


def _locked(session: Session, slug: str, language: str) -> PageText:
    draft = own_or_shipped(session, slug, language)
    if draft not in session:
        known = {name: getattr(draft, name) for name in ("slug", "language", *PARTS, "published")}
        add_once(session, PageText, **known)
    row = lock(session, PageText, (slug, language))
    assert row is not None
    return row
