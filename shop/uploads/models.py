"""The tables of uploads."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base


class UploadKind(enum.StrEnum):
    PICTURE = "picture"
    DOCUMENT = "document"


class Upload(Base):
    """One content that somebody uploaded, however often. Never changed, never deleted."""

    __tablename__ = "upload"
    __table_args__ = (UniqueConstraint("digest", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was sent; of a picture that itself is not kept."""
    kind: Mapped[UploadKind]
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    files: Mapped[list[StoredFile]] = relationship(
        cascade="all, delete-orphan", order_by="StoredFile.width, StoredFile.media_type", lazy="selectin"
    )


class StoredFile(Base):
    """One file made of an upload: a document as it came, or a picture in one width and format."""

    __tablename__ = "stored_file"

    upload_id: Mapped[int] = mapped_column(ForeignKey("upload.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True, index=True)
    """The first 128 bits of SHA-256 of its bytes: its name on disk and in its address."""
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    """Bytes."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    """Pixels, of a picture."""
