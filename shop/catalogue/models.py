"""What is sold, at which price, and where it is posted to."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop.database import Base
from shop.money import Currency, Money


class Binding(enum.StrEnum):
    PAPERBACK = "paperback"
    HARDBACK = "hardback"
    UNKNOWN = "unknown"


class Status(enum.StrEnum):
    """Whether the edition is to be had at all; how many copies there are is stock's business."""

    AVAILABLE = "available"
    ANNOUNCED = "announced"
    OUT_OF_PRINT = "out_of_print"


class Role(enum.StrEnum):
    AUTHOR = "author"
    TRANSLATOR = "translator"


class Edition(Base):
    """One form in which the title is sold. Unknown facts are empty, never guessed."""

    __tablename__ = "edition"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    position: Mapped[int]
    language: Mapped[str] = mapped_column(String(8))
    binding: Mapped[Binding]
    status: Mapped[Status]
    announced_for: Mapped[date | None]
    title: Mapped[str] = mapped_column(String(300))
    subtitle: Mapped[str] = mapped_column(String(300), default="")
    isbn: Mapped[str | None] = mapped_column(String(13), unique=True)
    publisher: Mapped[str] = mapped_column(String(200), default="")
    place: Mapped[str] = mapped_column(String(100), default="")
    published: Mapped[str] = mapped_column(String(10), default="")
    """Year, or year and month, or a whole date: ISO 8601, as exact as is known."""
    series: Mapped[str] = mapped_column(String(300), default="")
    series_volume: Mapped[str] = mapped_column(String(20), default="")
    pages: Mapped[int | None]
    illustrations: Mapped[int | None]
    height_mm: Mapped[int | None]
    width_mm: Mapped[int | None]
    weight_grams: Mapped[int | None]
    postage_weight_grams: Mapped[int | None]
    """For postage alone where the weight itself is not known; never shown."""
    tax_code: Mapped[str] = mapped_column(String(20))
    order_limit: Mapped[int] = mapped_column(default=5)
    last_copies: Mapped[int] = mapped_column(default=3)
    """So many available copies or fewer are called the last ones."""
    opening_stock: Mapped[int] = mapped_column(default=0)
    cover: Mapped[str] = mapped_column(String(200), default="")
    contents: Mapped[list[str]] = mapped_column(JSON, default=list)
    contents_complete: Mapped[bool] = mapped_column(default=False)
    other_formats: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    where_else: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)

    texts: Mapped[list[EditionText]] = relationship(
        cascade="all, delete-orphan", order_by="EditionText.language", lazy="selectin"
    )
    contributors: Mapped[list[Contributor]] = relationship(
        cascade="all, delete-orphan", order_by="Contributor.position", lazy="selectin"
    )
    subjects: Mapped[list[Subject]] = relationship(
        cascade="all, delete-orphan", order_by="Subject.position", lazy="selectin"
    )
    prices: Mapped[list[Price]] = relationship(
        cascade="all, delete-orphan", order_by="Price.currency", lazy="selectin"
    )
    not_sent: Mapped[list[NotSent]] = relationship(
        cascade="all, delete-orphan", order_by="NotSent.country", lazy="selectin"
    )

    __table_args__ = (
        CheckConstraint("order_limit > 0", name="order_limit"),
        CheckConstraint("postage_weight_grams > 0", name="postage_weight"),
        CheckConstraint("pages > 0", name="pages"),
    )

    def price_in(self, currency: Currency) -> Money | None:
        return next((price.money for price in self.prices if price.currency is currency), None)

    def text_in(self, language: str) -> EditionText | None:
        return next((text for text in self.texts if text.language == language), None)

    def people(self, role: Role) -> list[Contributor]:
        return [person for person in self.contributors if person.role is role]

    @property
    def heading(self) -> str:
        """Title and subtitle as one line."""
        return f"{self.title}: {self.subtitle}" if self.subtitle else self.title

    @property
    def mailing_grams(self) -> int | None:
        return self.postage_weight_grams or self.weight_grams


class EditionText(Base):
    """What the shop says of an edition in one interface language. ``description`` is Markdown."""

    __tablename__ = "edition_text"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    """What this edition is called among the others: “Paperback”, «Русское издание»."""
    summary: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)


class Contributor(Base):
    __tablename__ = "contributor"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[Role]
    name: Mapped[str] = mapped_column(String(200))
    names: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """The name as it is written in other interface languages."""
    sort_name: Mapped[str] = mapped_column(String(200))

    def name_in(self, language: str) -> str:
        return self.names.get(language, self.name)


class Subject(Base):
    """A subject in a scheme of the trade (ONIX code list 27): ``thema``, ``thema_place``, ``lcsh`` …"""

    __tablename__ = "subject"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(String(20))
    code: Mapped[str] = mapped_column(String(200))


class Price(Base):
    """What one copy costs in a currency, postage apart. ``amount`` is in minor units."""

    __tablename__ = "price"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    currency: Mapped[Currency] = mapped_column(primary_key=True)
    amount: Mapped[int]

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class NotSent(Base):
    """A country this one edition may not be sent to."""

    __tablename__ = "not_sent"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    country: Mapped[str] = mapped_column(String(2), primary_key=True)


class RefusedCountry(Base):
    """A country nothing is posted to."""

    __tablename__ = "refused_country"

    country: Mapped[str] = mapped_column(String(2), primary_key=True)


class PostageZone(Base):
    """Countries that cost the same postage. Each belongs to one region, hence to one currency."""

    __tablename__ = "postage_zone"
    __table_args__ = (
        CheckConstraint("min_days > 0 AND max_days >= min_days", name="days"),
        CheckConstraint("(further_grams IS NULL) = (further_amount IS NULL)", name="further"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    position: Mapped[int]
    region: Mapped[str] = mapped_column(String(8))
    enabled: Mapped[bool]
    rest: Mapped[bool] = mapped_column(default=False)
    """Takes in every country that no other zone names and that is not refused."""
    holds_northern_ireland: Mapped[bool] = mapped_column(default=False)
    """While this zone is off, addresses in Northern Ireland (BT postcodes) are off too."""
    min_days: Mapped[int]
    max_days: Mapped[int]
    """Working days from posting to arrival."""
    further_grams: Mapped[int | None]
    further_amount: Mapped[int | None]
    """Above the last band, each begun ``further_grams`` costs ``further_amount`` more."""

    names: Mapped[dict[str, str]] = mapped_column(JSON)
    """What the zone is called, by language."""
    countries: Mapped[list[ZoneCountry]] = relationship(
        cascade="all, delete-orphan", order_by="ZoneCountry.country", lazy="selectin"
    )
    bands: Mapped[list[PostageBand]] = relationship(
        cascade="all, delete-orphan", order_by="PostageBand.up_to_grams", lazy="selectin"
    )


class ZoneCountry(Base):
    """The primary key is the country: none can be in two zones."""

    __tablename__ = "zone_country"

    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    zone_id: Mapped[int] = mapped_column(ForeignKey("postage_zone.id", ondelete="CASCADE"), index=True)
    zone: Mapped[PostageZone] = relationship(back_populates="countries")


class PostageBand(Base):
    """Postage for a parcel up to a weight, in minor units of the zone's currency."""

    __tablename__ = "postage_band"
    __table_args__ = (CheckConstraint("up_to_grams > 0 AND amount >= 0", name="counted"),)

    zone_id: Mapped[int] = mapped_column(ForeignKey("postage_zone.id", ondelete="CASCADE"), primary_key=True)
    up_to_grams: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


class Unconfirmed(Base):
    """A value that nobody has confirmed yet; ticked off in the admin. ``subject`` is an edition, zone or part."""

    __tablename__ = "unconfirmed"
    __table_args__ = (UniqueConstraint("subject", "fact"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(60))
    fact: Mapped[str] = mapped_column(String(60))
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str] = mapped_column(String(200), default="")


class CatalogueVersion(Base):
    """One row: a number that rises with every change of what public pages show."""

    __tablename__ = "catalogue_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
