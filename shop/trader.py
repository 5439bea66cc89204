"""Who sells, and who supplies libraries: what the owner enters once and changes in the admin."""

from __future__ import annotations

import secrets

from sqlalchemy import ForeignKey, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_once

SHOP = 1


class Trader(Base):
    """The one seller. Name and geographic address are what the law asks every page of terms to show."""

    __tablename__ = "trader"

    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[str] = mapped_column(String(40))
    """This installation's mark in Stripe's metadata, by which other shops' events are told apart."""
    name: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(Text, default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    """Where readers write for help; empty until the owner enters it."""
    phone: Mapped[str] = mapped_column(String(40), default="")
    vat_number: Mapped[str] = mapped_column(String(40), default="")
    dispatch_days: Mapped[int] = mapped_column(default=2)
    """Within so many working days a paid order is posted."""


class Distributor(Base):
    """Who supplies an edition to libraries; without one, their orders come to the shopkeeper."""

    __tablename__ = "distributor"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    phone: Mapped[str] = mapped_column(String(60), default="")
    language: Mapped[str] = mapped_column(String(8), default="en")


class CountryDistributor(Base):
    """Who supplies an edition to the libraries of one country, where that is somebody else than elsewhere.

    Without an address it is the shop itself.
    """

    __tablename__ = "country_distributor"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(60), default="")
    language: Mapped[str] = mapped_column(String(8), default="en")


class Vendor(Base):
    """What institutions ask of a new supplier, beside his name and address: one row, entered once at the desk."""

    __tablename__ = "vendor"

    id: Mapped[int] = mapped_column(primary_key=True)
    legal_form: Mapped[str] = mapped_column(String(200), default="")
    """Such as “sole trader” or “limited company”."""
    company_number: Mapped[str] = mapped_column(String(60), default="")
    contact_name: Mapped[str] = mapped_column(String(200), default="")
    account_name: Mapped[str] = mapped_column(String(200), default="")
    bank_name: Mapped[str] = mapped_column(String(200), default="")
    iban: Mapped[str] = mapped_column(String(40), default="")
    bic: Mapped[str] = mapped_column(String(20), default="")
    sort_code: Mapped[str] = mapped_column(String(20), default="")
    account_number: Mapped[str] = mapped_column(String(40), default="")
    tax_note: Mapped[str] = mapped_column(Text, default="")
    """About a W-8BEN-E, say, and what it is to be asked for."""


Supplier = Distributor | CountryDistributor


def trader(session: Session) -> Trader:
    """The seller's row, made with a fresh shop id the first time it is asked for (inside a writing transaction)."""
    row = session.get(Trader, SHOP)
    if row is None:
        add_once(
            session,
            Trader,
            id=SHOP,
            shop_id="shop_" + secrets.token_hex(8),
            name="",
            address="",
            email="",
            phone="",
            vat_number="",
            dispatch_days=2,
        )
        row = session.get_one(Trader, SHOP)
    return row


def of_country(session: Session, edition_id: int, country: str) -> CountryDistributor | None:
    return session.get(CountryDistributor, (edition_id, country))


def of_countries(session: Session, edition_id: int) -> list[CountryDistributor]:
    """Every country with a supplier of its own."""
    wanted = select(CountryDistributor).where(CountryDistributor.edition_id == edition_id)
    return list(session.scalars(wanted.order_by(CountryDistributor.country)))


def vendor(session: Session) -> Vendor:
    """The vendor's row, or an empty one that is in no session."""
    blank = {column.key: "" for column in Vendor.__mapper__.columns if column.key != "id"}
    return session.get(Vendor, SHOP) or Vendor(id=SHOP, **blank)


def distributor(session: Session, edition_id: int) -> Distributor | None:
    return session.scalar(select(Distributor).where(Distributor.edition_id == edition_id))
