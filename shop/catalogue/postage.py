"""Where parcels go and what that costs."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from shop.catalogue import shelf
from shop.catalogue.memory import remembered
from shop.catalogue.models import NotSent, PostageZone, RefusedCountry, ZoneCountry
from shop.database import beside
from shop.markets import REGIONS
from shop.money import Money


def zone_of(session: Session, country: str) -> PostageZone | None:
    """The zone a country belongs to, whether it is on or off; ``None`` for a country nothing is posted to."""
    if known := shelf.of(session):
        return known.zone_of.get(country)
    return session.scalar(
        select(PostageZone)
        .join(ZoneCountry, ZoneCountry.zone_id == PostageZone.id)
        .where(ZoneCountry.country == country)
    )


def zones(session: Session) -> list[PostageZone]:
    if known := shelf.of(session):
        return list(known.zones)
    return list(session.scalars(select(PostageZone).order_by(PostageZone.position)))


def is_refused(session: Session, country: str) -> bool:
    if known := shelf.of(session):
        return country in known.refused
    return session.get(RefusedCountry, country) is not None


def refused(session: Session) -> set[str]:
    """The countries to which nothing is posted."""
    if known := shelf.of(session):
        return set(known.refused)
    return set(session.scalars(select(RefusedCountry.country)))


def not_sent(session: Session, country: str) -> set[int]:
    """Ids of the editions that may not be sent to a country."""
    if known := shelf.of(session):
        return {each.id for each in known.editions if any(row.country == country for row in each.not_sent)}
    return set(session.scalars(select(NotSent.edition_id).where(NotSent.country == country)))


def northern_ireland_served(session: Session) -> bool:
    """Whether parcels go to Northern Ireland, where the EU's product rules hold for consumers."""
    if known := shelf.of(session):
        return all(zone.enabled for zone in known.zones if zone.holds_northern_ireland)
    off = select(PostageZone.id).where(PostageZone.holds_northern_ireland, ~PostageZone.enabled).limit(1)
    return session.scalar(off) is None


_ENABLED = (
    select(PostageZone.enabled)
    .join(ZoneCountry, ZoneCountry.zone_id == PostageZone.id)
    .where(ZoneCountry.country == bindparam("country"))
)
_REFUSED = select(RefusedCountry.country).where(RefusedCountry.country == bindparam("country"))
_KEPT_BACK = select(NotSent.edition_id).where(
    NotSent.country == bindparam("country"), NotSent.edition_id.in_(bindparam("editions", expanding=True))
)
SERVED = select(_ENABLED.scalar_subquery() & ~_REFUSED.exists(), _KEPT_BACK.exists())


def refusal(session: Session, country: str, postal_code: str, editions: Iterable[int]) -> str:
    """Why a parcel may not go to an address: ``not_served``, ``not_sent_there``, ``northern_ireland``; else empty."""
    wanted = tuple(sorted(editions))
    served, unsent = remembered(
        session,
        ("served", country, wanted),
        lambda: beside(session, SERVED, {"country": country, "editions": list(wanted)}).one(),
    )
    if not served:
        return "not_served"
    if unsent:
        return "not_sent_there"
    northern = in_northern_ireland(country, postal_code)
    return "northern_ireland" if northern and not northern_ireland_served(session) else ""


def in_northern_ireland(country: str, postal_code: str) -> bool:
    """BT is Northern Ireland's postcode area (Royal Mail)."""
    return country == "GB" and "".join(postal_code.upper().split()).startswith("BT")


def postage(zone: PostageZone, grams: int) -> Money:
    """What a parcel of so many grams costs to a zone, in its region's currency."""
    currency = REGIONS[zone.region].currency
    for band in zone.bands:
        if grams <= band.up_to_grams:
            return Money(band.amount, currency)
    last = zone.bands[-1]
    if zone.further_grams is None or zone.further_amount is None:
        raise LookupError(f"{zone.slug} has no band for {grams} g")
    begun = -(-(grams - last.up_to_grams) // zone.further_grams)
    return Money(last.amount + begun * zone.further_amount, currency)


def carries(zone: PostageZone, grams: int) -> bool:
    """Whether any band of the zone takes a parcel of this weight."""
    return bool(zone.bands) and (zone.further_grams is not None or grams <= zone.bands[-1].up_to_grams)
