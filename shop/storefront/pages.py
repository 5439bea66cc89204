"""Pages that only show: home, editions, delivery, and the shop's texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Blueprint, abort, g, render_template, request, url_for
from flask_babel import gettext, ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from shop.catalogue import offers, postage
from shop.catalogue.models import Edition, EditionText, PostageZone, RefusedCountry
from shop.catalogue.offers import Availability, Offer
from shop.content import entries, interchange
from shop.content.models import ArticleGroup, Entry, EntryKind, EntryText, PageText
from shop.content.rendering import fill
from shop.errors import NotOrderable
from shop.extensions import db, settings
from shop.markets import REGIONS, Market, by_name
from shop.money import Money
from shop.storefront import claims
from shop.storefront.caching import Answer, public
from shop.storefront.claims import Facts
from shop.storefront.filters import locale, seller, typeset

TEXT_PAGES = (
    *("how-to-order", "delivery", "returns", "terms", "privacy", "contact"),
    *("author", "reviews", "articles", "downloads", "photos", "news"),
)
LISTED = {
    "reviews": EntryKind.REVIEW,
    "articles": EntryKind.ARTICLE,
    "downloads": EntryKind.DOWNLOAD,
    "photos": EntryKind.PHOTO,
    "news": EntryKind.NEWS,
}
"""Pages that list entries beneath their text."""
NEWS_AT_HOME = 2
Listing = list[tuple[Entry, EntryText]]


@dataclass(frozen=True, slots=True)
class Shown:
    """An edition as a page shows it: its words, whether it can be had, and what it costs delivered home.

    ``kept_back``: there is a price, and nobody has confirmed it yet.
    """

    edition: Edition
    text: EditionText | None
    availability: Availability
    price: Money | None
    home: Offer | None
    kept_back: bool

    @property
    def name(self) -> str:
        return self.text.name if self.text else self.edition.title

    @property
    def sold_elsewhere(self) -> bool:
        """There are copies, and no price for readers of this region."""
        return self.availability.orderable and self.home is None and not self.kept_back


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/", "home", public(home))
    blueprint.add_url_rule("/books/<slug>", "edition", public(edition))
    names = ",".join(f'"{slug}"' for slug in TEXT_PAGES)
    blueprint.add_url_rule(f"/<any({names}):slug>", "page", public(page))
    blueprint.before_app_request(whole_address)


def whole_address() -> Response | None:
    """``/en-gb`` is ``/en-gb/``."""
    if request.path.removeprefix("/") == g.market.slug and not g.negotiated and request.method in ("GET", "HEAD"):
        return redirect(url_for("storefront.home"), 301)
    return None


def show(session: Session, edition: Edition, market: Market, kept_back: Facts) -> Shown:
    try:
        home = offers.offer(session, {edition.slug: 1}, market.region.home)
    except NotOrderable:
        home = None
    settled = home is None or claims.settled(home, kept_back)
    return Shown(
        edition,
        edition.text_in(market.language),
        claims.availability(session, edition, kept_back),
        edition.price_in(market.currency) if settled else None,
        home if settled else None,
        not settled,
    )


def all_shown(session: Session, market: Market) -> list[Shown]:
    kept_back = claims.withheld(session)
    return [show(session, each, market, kept_back) for each in offers.editions(session)]


def home() -> Answer:
    session = db.session()
    shown = all_shown(session, g.market)
    # The reader's own edition leads the page; the other stands beside it.
    shown.sort(key=lambda each: each.edition.language != g.market.language)
    text = interchange.page(session, "home", g.market.language)
    author = interchange.page(session, "author", g.market.language)
    return render_template(
        "storefront/home.html",
        shown=shown,
        leading=next(iter(shown), None),
        text=text and filled(text),
        news=listing(session, "news")[:NEWS_AT_HOME],
        reviews=listing(session, "reviews"),
        articles=grouped(listing(session, "articles")),
        author=author and filled(author),
    )


def edition(slug: str) -> Answer:
    session = db.session()
    found = offers.edition(session, slug)
    if found is None:
        abort(404)
    shown = all_shown(session, g.market)
    current = next(each for each in shown if each.edition.slug == slug)
    author = interchange.page(session, "author", g.market.language)
    return render_template(
        "storefront/edition.html",
        shown=shown,
        current=current,
        edition=found,
        days=dispatch_words(),
        kept_back=claims.withheld(session),
        reviews=listing(session, "reviews"),
        articles=grouped(listing(session, "articles")),
        downloads=listing(session, "downloads"),
        photos=listing(session, "photos"),
        author=author and filled(author),
        # What nobody has confirmed is not claimed; a demonstration shows all there is.
        doubted=offers.doubted(session, slug) if settings().production else frozenset(),
    )


def page(slug: str) -> Answer:
    session = db.session()
    text = interchange.page(session, slug, g.market.language)
    if text is None:
        abort(404)
    zones = zone_table(session) if slug == "delivery" else []
    listed = listing(session, slug) if slug in LISTED else []
    return render_template(
        "storefront/page.html",
        slug=slug,
        text=filled(text),
        listed=listed,
        articles=grouped(listed) if slug == "articles" else {},
        zones=zones,
        days=dispatch_words(),
        REGIONS=REGIONS,
        kept_back=claims.withheld(session) if zones else frozenset(),
    )


def listing(session: Session, slug: str) -> Listing:
    """What a page lists in the reader's language."""
    return entries.shown(session, LISTED[slug], g.market.language)


def grouped(articles: Listing) -> dict[ArticleGroup, Listing]:
    """Articles under their headings, those that have any."""
    found = {group: [each for each in articles if each[0].group is group] for group in ArticleGroup}
    return {group: each for group, each in found.items() if each}


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    summary: str
    body: str

    @property
    def opening(self) -> str:
        """What stands before the first heading."""
        return self.body.partition("\n## ")[0]


def filled(text: PageText) -> Text:
    """A page's text with the trader's name and address in it, or a phrase where these two were not entered yet."""
    session, trader = db.session(), seller()
    later = gettext("(entered by the seller before the shop opens)")
    values = {
        "trader_name": (trader and trader.name) or later,
        "trader_address": (trader and trader.address) or later,
        "trader_address_line": ", ".join(trader.address.splitlines()) if trader and trader.address else later,
        "trader_email": trader.email if trader else "",
        "trader_phone": trader.phone if trader else "",
        "dispatch": dispatch_words(),
        "refused_countries": names(session.scalars(select(RefusedCountry.country))),
        "editions_not_sent": "; ".join(
            gettext(
                "%(edition)s – %(countries)s",
                edition=each.name,
                countries=names(row.country for row in each.edition.not_sent),
            )
            for each in all_shown(session, g.market)
            if each.edition.not_sent
        ),
    }
    return Text(text.title, text.summary, fill(text.body, values))


def names(codes: Iterable[str]) -> str:
    """Countries by name, in the reader's alphabetical order."""
    return ", ".join(name for _, name in by_name(codes, locale())) or gettext("none")


def dispatch_words() -> str:
    trader = seller()
    days = trader.dispatch_days if trader else 2
    return typeset(ngettext("within %(num)d working day", "within %(num)d working days", days))


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """A postage zone as the delivery page lists it."""

    zone: PostageZone
    name: str
    countries: list[str]
    bands: list[tuple[int, Money]]
    further: tuple[int, Money] | None


def zone_table(session: Session) -> list[ZoneRow]:
    """Every zone, those of this market's region first."""
    rows = []
    for zone in sorted(postage.zones(session), key=lambda each: each.region != g.market.region.code):
        currency = REGIONS[zone.region].currency
        further = None
        if zone.further_grams is not None and zone.further_amount is not None:
            further = (zone.further_grams, Money(zone.further_amount, currency))
        countries = [name for _, name in by_name([each.country for each in zone.countries], locale())]
        bands = [(band.up_to_grams, Money(band.amount, currency)) for band in zone.bands]
        rows.append(ZoneRow(zone, zone.names.get(g.market.language, zone.slug), countries, bands, further))
    return rows
