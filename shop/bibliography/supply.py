"""How an edition can be had from this shop, for machines: its price in each region, and where it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue import offers, postage
from shop.catalogue.models import Edition, RefusedCountry
from shop.catalogue.offers import Availability
from shop.markets import REGIONS, Region
from shop.money import Money

Withheld = frozenset[tuple[str, str]]
"""(edition or zone, fact) of what may not be said yet."""


@dataclass(frozen=True, slots=True)
class RegionalPrice:
    """What one copy costs in a region, postage apart, and the countries there that it is sent to."""

    region: Region
    price: Money
    countries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Supply:
    availability: Availability
    selling: bool
    """Whether the shop takes orders at all."""
    prices: tuple[RegionalPrice, ...]

    @property
    def countries(self) -> tuple[str, ...]:
        return tuple(sorted(code for each in self.prices for code in each.countries))


def supply(session: Session, edition: Edition, withheld: Withheld, *, selling: bool) -> Supply:
    """Prices that may be said, by region; a region that no zone in use belongs to is left out."""
    unserved = set(session.scalars(select(RefusedCountry.country))) | {row.country for row in edition.not_sent}
    countries: dict[str, set[str]] = {code: set() for code in REGIONS}
    for zone in postage.zones(session):
        if zone.enabled:
            countries[zone.region] |= {each.country for each in zone.countries} - unserved
    prices = []
    for code, region in REGIONS.items():
        price = edition.price_in(region.currency)
        if price is not None and countries[code] and (edition.slug, "prices") not in withheld:
            prices.append(RegionalPrice(region, price, tuple(sorted(countries[code]))))
    return Supply(offers.availability(session, edition), selling, tuple(prices))
