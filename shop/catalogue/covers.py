"""The cover of an edition that the owner has uploaded, in the place of the one drawn for this shop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from shop import changes
from shop.catalogue import version
from shop.catalogue.editing import subject
from shop.catalogue.models import Edition
from shop.database import Base, lock
from shop.errors import WrongState
from shop.uploads.models import Upload


class EditionCover(Base):
    """A picture of an edition's cover."""

    __tablename__ = "edition_cover"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    upload_id: Mapped[int] = mapped_column(ForeignKey("upload.id"), index=True)
    alts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """What is to be seen on it, by language, for those who do not see it."""
    credits: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Who made it, by language."""
    upload: Mapped[Upload] = relationship(lazy="joined")


def cover_of(session: Session, edition_id: int) -> EditionCover | None:
    return session.get(EditionCover, edition_id)


def put(
    session: Session,
    edition_id: int,
    upload: Upload | None,
    words: Mapping[str, Mapping[str, str]],
    actor: str,
    now: datetime,
) -> list[str]:
    """Show this cover, or go on showing the one there is, with these ``alts`` and ``credits``.

    Answers what has changed. Raises ``WrongState`` without a picture.
    """
    edition = lock(session, Edition, edition_id)
    row = session.get(EditionCover, edition_id, populate_existing=True)
    if edition is None or (row is None and upload is None):
        raise WrongState(str(edition_id))
    before = told(row)
    if row is None:
        row = EditionCover(edition_id=edition_id)
        session.add(row)
    if upload is not None:
        row.upload = upload
    row.alts, row.credits = dict(words["alts"]), dict(words["credits"])
    session.flush()
    changed = changes.record(session, subject(edition.slug), before, told(row), actor, now)
    if changed:
        version.rise(session)
    return changed


def take_away(session: Session, edition_id: int, actor: str, now: datetime) -> None:
    """Show the drawn cover again; raises ``WrongState`` if that is so already."""
    edition = lock(session, Edition, edition_id)
    row = session.get(EditionCover, edition_id, populate_existing=True)
    if edition is None or row is None:
        raise WrongState(str(edition_id))
    changes.record(session, subject(edition.slug), told(row), {}, actor, now)
    session.delete(row)
    version.rise(session)


def told(row: EditionCover | None) -> dict[str, str]:
    """A cover and its words as facts that changes are recorded of."""
    if row is None:
        return {}
    facts = {"cover": row.upload.digest[:16]} | {f"alt-{code}": text for code, text in row.alts.items()}
    return facts | {f"made_by-{code}": text for code, text in row.credits.items()}


def shown(session: Session, upload_ids: Iterable[int]) -> bool:
    """Whether one of these uploads is a cover."""
    wanted = select(EditionCover.upload_id).where(EditionCover.upload_id.in_(list(upload_ids))).limit(1)
    return session.scalar(wanted) is not None
