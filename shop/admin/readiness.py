"""What a shop needs before it can sell, as the set-up page shows it: each thing entered and confirmed, or not."""

from __future__ import annotations

from collections.abc import Collection

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from shop.admin.desk import locale
from shop.admin.naming import edition_name
from shop.admin.soundings import Sounding
from shop.catalogue import offers, postage
from shop.catalogue.models import Edition, Status
from shop.markets import REGIONS, write_number
from shop.stock import Stock
from shop.trader import SHOP, Trader, distributor


def readiness(session: Session) -> list[Sounding]:
    """Who sells, at which prices, what it weighs, where it goes, how many there are, who supplies libraries."""
    open_facts: dict[str, int] = {}
    for row in offers.unconfirmed(session):
        open_facts[row.fact] = open_facts.get(row.fact, 0) + 1
    sold = [each for each in offers.editions(session) if each.status is Status.AVAILABLE]
    return [
        _seller(session, open_facts),
        _prices(sold, open_facts),
        _weights(sold, open_facts),
        _postage(session, open_facts),
        _stock(session, sold, open_facts),
        _distributor(session, open_facts),
    ]


def _doubt(open_facts: dict[str, int], *names: str) -> str:
    """How many facts of these kinds nobody has confirmed, as a sentence; empty if there are none."""
    count = sum(open_facts.get(name, 0) for name in names)
    if not count:
        return ""
    words: str = ngettext(
        "%(num)d value is not confirmed by anybody.", "%(num)d values are not confirmed by anybody.", count
    )
    return words


def _told(lacking: Collection[str], doubt: str, well: str) -> tuple[str, bool]:
    """What is to be said of a thing: first what is missing of it, then what is in doubt."""
    if lacking:
        return " ".join([_("Missing: %(what)s.", what=", ".join(lacking)), *([doubt] if doubt else [])]), False
    return doubt or well, not doubt


def _seller(session: Session, open_facts: dict[str, int]) -> Sounding:
    row = session.get(Trader, SHOP)
    lacking = [] if row and row.name else [_("name")]
    lacking += [] if row and row.address else [_("address")]
    how, well = _told(lacking, _doubt(open_facts, "identity"), _("Entered and confirmed."))
    return Sounding(_("The seller"), how, well, url_for("admin.trader_page"))


def _prices(sold: list[Edition], open_facts: dict[str, int]) -> Sounding:
    currencies = dict.fromkeys(region.currency for region in REGIONS.values())
    lacking = [
        f"{edition_name(edition.slug)}, {currency.value}"
        for edition in sold
        for currency in currencies
        if edition.price_in(currency) is None
    ]
    how, well = _told(lacking, _doubt(open_facts, "prices"), _("Entered and confirmed."))
    return Sounding(_("Prices"), how, well, url_for("admin.prices_page"))


def _weights(sold: list[Edition], open_facts: dict[str, int]) -> Sounding:
    lacking = [edition_name(edition.slug) for edition in sold if edition.mailing_grams is None]
    doubt = _doubt(open_facts, "weight", "postage_weight")
    how, well = _told(lacking, doubt, _("Entered and confirmed."))
    return Sounding(_("Weights"), how, well, url_for("admin.edition_list"))


def _postage(session: Session, open_facts: dict[str, int]) -> Sounding:
    zones = [zone for zone in postage.zones(session) if zone.enabled]
    lacking = [zone.slug for zone in zones if not zone.bands] or ([] if zones else [_("a zone that is served")])
    how, well = _told(lacking, _doubt(open_facts, "postage", "days"), _("Entered and confirmed."))
    return Sounding(_("Postage"), how, well, url_for("admin.postage_page"))


def _stock(session: Session, sold: list[Edition], open_facts: dict[str, int]) -> Sounding:
    rows = {edition.slug: session.get(Stock, edition.id) for edition in sold}
    lacking = [edition_name(slug) for slug, row in rows.items() if row is None]
    counted = ", ".join(
        f"{edition_name(slug)} {write_number(row.on_hand, locale())}" for slug, row in rows.items() if row
    )
    how, well = _told(lacking, _doubt(open_facts, "stock"), _("On hand: %(copies)s.", copies=counted))
    return Sounding(_("Stock"), how, well, url_for("admin.stock_page"))


def _distributor(session: Session, open_facts: dict[str, int]) -> Sounding:
    doubt = _doubt(open_facts, "distributor")
    found = [
        f"{edition_name(edition.slug)}: {row.name}"
        for edition in offers.editions(session)
        if (row := distributor(session, edition.id)) is not None
    ]
    if doubt:
        how = _("Not confirmed by anybody, so libraries’ orders come to you.")
    else:
        how = "; ".join(found) if found else _("None: libraries’ orders come to you.")
    return Sounding(_("Who supplies libraries"), how, not doubt, "#distributors")
