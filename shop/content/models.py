"""Pages of text, and what is added to them over the years: news, reviews, articles, downloads, photos."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base


class PageText(Base):
    """One page in one language: ``delivery``, ``returns``, ``terms`` … ``body`` is Markdown."""

    __tablename__ = "page_text"

    slug: Mapped[str] = mapped_column(String(40), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text, default="")
    """One sentence for search engines."""
    body: Mapped[str] = mapped_column(Text)
    published: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Else readers see the text that the shop comes with."""


class EntryKind(enum.StrEnum):
    NEWS = "news"
    REVIEW = "review"
    ARTICLE = "article"
    DOWNLOAD = "download"
    PHOTO = "photo"


class ArticleGroup(enum.StrEnum):
    """Under which heading an article is listed, in this order."""

    DEBATE = "debate"
    PAPERS = "papers"
    PUBLICATIONS = "publications"
    FURTHER = "further"
    """By another hand."""


class Entry(Base):
    """One piece of news, review, article, download or photo. It is shown in the languages that have a title."""

    __tablename__ = "entry"
    __table_args__ = (
        Index(None, "kind", "position"),
        CheckConstraint("NOT published OR published_at IS NOT NULL", name="published"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[EntryKind]
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    """Its part of an address."""
    position: Mapped[int]
    """Its place among those of its kind; the first has the smallest."""
    day: Mapped[date | None]
    credit: Mapped[str] = mapped_column(String(200), default="")
    """Who wrote it, or took the picture."""
    group: Mapped[ArticleGroup | None]
    """Of an article alone."""
    published: Mapped[bool] = mapped_column(default=False)
    published_at: Mapped[datetime | None]
    """When it was first published; what never was may be deleted."""

    texts: Mapped[list[EntryText]] = relationship(
        cascade="all, delete-orphan", order_by="EntryText.language", lazy="selectin"
    )

    def text_in(self, language: str) -> EntryText | None:
        return next((text for text in self.texts if text.language == language), None)


class EntryText(Base):
    """An entry in one language. ``text`` is Markdown; a review's is its gist, and its title names the reviewer."""

    __tablename__ = "entry_text"

    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    title: Mapped[str] = mapped_column(String(300))
    caption: Mapped[str] = mapped_column(String(500), default="")
    """One line beneath the title or the picture; a reviewer's affiliation."""
    source: Mapped[str] = mapped_column(String(300), default="")
    """Where it first appeared; one line of Markdown."""
    link: Mapped[str] = mapped_column(String(500), default="")
    quotation: Mapped[str] = mapped_column(Text, default="", server_default="")
    """What a review says, word for word."""
    text: Mapped[str] = mapped_column(Text, default="")
