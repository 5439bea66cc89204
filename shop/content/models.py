"""Pages of text."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

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
