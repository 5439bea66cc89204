"""What a shop in production keeps to itself until its owner has confirmed it: prices, postage, days on the way."""

from __future__ import annotations

from sqlalchemy.orm import Session

from shop.catalogue import offers
from shop.catalogue.models import Edition
from shop.catalogue.offers import Availability, Offer
from shop.extensions import settings

Facts = frozenset[tuple[str, str]]
"""(edition or postage zone, fact), as the set-up names them."""
PRICES = ("prices", "weight", "postage_weight")
POSTAGE, DAYS, STOCK = "postage", "days", "stock"


def sales_closed(session: Session) -> bool:
    """In production nothing is sold until prices, weights, postage, stock and the seller are confirmed."""
    return settings().production and bool(offers.missing_for_sale(session))


def withheld(session: Session) -> Facts:
    """What no page says: the unconfirmed facts of a shop whose sales are closed."""
    if not sales_closed(session):
        return frozenset()
    return frozenset((row.subject, row.fact) for row in offers.unconfirmed(session))


def availability(session: Session, edition: Edition, kept_back: Facts) -> Availability:
    """The class that may be said: a closed shop whose stock nobody has confirmed claims no copies."""
    found = offers.availability(session, edition)
    counted = found in (Availability.IN_STOCK, Availability.LAST_COPIES, Availability.NONE)
    return Availability.NOT_YET if counted and (edition.slug, STOCK) in kept_back else found


def settled(offer: Offer, kept_back: Facts) -> bool:
    """Whether all that makes up the sum may be said."""
    facts = {(line.edition.slug, fact) for line in offer.lines for fact in PRICES}
    return kept_back.isdisjoint(facts | {(offer.zone.slug, POSTAGE)})
