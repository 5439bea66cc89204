"""Unconfirmed facts in words: what they are about, what the shop believes now, and where that is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session

from shop import stock
from shop.admin.desk import language, locale
from shop.admin.naming import edition_name
from shop.catalogue import offers, postage
from shop.catalogue.models import Edition, PostageZone, Unconfirmed
from shop.markets import REGIONS, write_money, write_number
from shop.money import Money
from shop.trader import SHOP, Trader, distributor

FACTS = {
    "identity": _l("the seller’s name and address"),
    "prices": _l("prices"),
    "weight": _l("weight"),
    "postage_weight": _l("weight for postage"),
    "size": _l("height and width"),
    "stock": _l("copies in stock"),
    "series": _l("the wording of the series"),
    "subjects": _l("subjects for libraries and booksellers"),
    "contributors": _l("the names of the contributors"),
    "distributor": _l("the distributor"),
    "postage": _l("what postage costs"),
    "days": _l("days on the way"),
    "isbn": _l("the ISBN"),
    "pages": _l("the number of pages"),
    "contents": _l("the table of contents"),
    "where_else": _l("where else to buy"),
    "title": _l("title and subtitle"),
    "published": _l("the date of publication"),
}


@dataclass(frozen=True, slots=True)
class Described:
    """A fact for a person. ``link`` leads to where it is changed, if the desk can change it.

    ``lang`` is the language of a value that is quoted from the book.
    """

    row: Unconfirmed
    subject: str
    fact: str
    value: str
    link: str
    lang: str = ""


def described(session: Session, rows: Sequence[Unconfirmed]) -> list[Described]:
    editions = {each.slug: each for each in offers.editions(session)}
    zones = {each.slug: each for each in postage.zones(session)}
    return [_one(session, row, editions, zones) for row in rows]


def _one(
    session: Session, row: Unconfirmed, editions: dict[str, Edition], zones: dict[str, PostageZone]
) -> Described:
    fact = str(FACTS.get(row.fact, row.fact))
    slug = row.subject.rpartition(".")[2]
    if edition := editions.get(slug):
        name = edition_name(edition.slug)
        value, link = _of_edition(session, edition, row.fact), _edition_link(edition, row.fact)
        quoted = {"series": edition.language, "title": edition.language, "subjects": "en"}
        return Described(row, name, fact, value, link, quoted.get(row.fact, ""))
    if zone := zones.get(slug):
        name = _("Postage: %(zone)s", zone=zone.names.get(language(), zone.slug))
        return Described(row, name, fact, _of_zone(zone, row.fact), url_for("admin.postage_page"))
    seller = session.get(Trader, SHOP)
    value = ", ".join([seller.name, *seller.address.splitlines()]) if seller and seller.name else ""
    return Described(row, _("The seller"), fact, value, url_for("admin.trader_page"))


def _edition_link(edition: Edition, fact: str) -> str:
    places = {
        "prices": url_for("admin.prices_page"),
        "stock": url_for("admin.stock_page"),
        "distributor": url_for("admin.distributor_page", slug=edition.slug),
    }
    return places.get(fact, url_for("admin.edition_page", slug=edition.slug))


def _of_edition(session: Session, edition: Edition, fact: str) -> str:
    """What the shop believes now; empty where it knows nothing or has no short way to say it."""
    if fact == "prices":
        return " · ".join(write_money(price.money, locale()) for price in edition.prices)
    if fact in ("weight", "postage_weight"):
        grams = edition.weight_grams if fact == "weight" else edition.postage_weight_grams
        return str(_("%(grams)s g", grams=write_number(grams, locale()))) if grams else ""
    if fact == "size" and edition.height_mm and edition.width_mm:
        return str(_("%(height)s × %(width)s mm", height=edition.height_mm, width=edition.width_mm))
    if fact == "stock":
        row = session.get(stock.Stock, edition.id)
        return write_number(row.on_hand if row else 0, locale())
    if fact == "distributor":
        supplier = distributor(session, edition.id)
        return f"{supplier.name}, {supplier.email}" if supplier else ""
    values = {
        "series": edition.series,
        "subjects": " · ".join(subject.code for subject in edition.subjects),
        "contributors": " · ".join(person.name_in(language()) for person in edition.contributors),
        "isbn": edition.isbn or "",
        "pages": str(edition.pages or ""),
        "title": edition.heading,
        "published": edition.published,
    }
    return values.get(fact, "")


def _of_zone(zone: PostageZone, fact: str) -> str:
    if fact == "days":
        least, most = write_number(zone.min_days, locale()), write_number(zone.max_days, locale())
        return str(_("from %(least)s to %(most)s working days", least=least, most=most))
    currency = REGIONS[zone.region].currency
    return " · ".join(
        _(
            "up to %(grams)s g %(sum)s",
            grams=write_number(band.up_to_grams, locale()),
            sum=write_money(Money(band.amount, currency), locale()),
        )
        for band in zone.bands
    )
