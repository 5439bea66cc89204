"""The catalogue in memory, for a page that is computed for every query: read once for each state of the shop.

A session that has been given a shelf (``use``) is answered from it by ``offers`` and ``postage`` instead of from the
database. For showing alone: what is decided is read afresh, in the transaction that decides it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue.models import Edition, PostageZone, RefusedCountry, Unconfirmed
from shop.trader import SHOP, Trader

SHELF = "shelf"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Rows as they were at one moment, without a session, so that many threads may read them."""

    editions: tuple[Edition, ...]
    zones: tuple[PostageZone, ...]
    refused: frozenset[str]
    unconfirmed: tuple[Unconfirmed, ...]
    trader: Trader | None
    availability: dict[str, str]
    """Classes by the edition's slug."""
    zone_of: dict[str, PostageZone]
    made: dict[Any, Any] = field(default_factory=dict)
    """What has been made of these rows and will be wanted again, by whatever makes it another."""


def read(session: Session, availability: Iterable[tuple[str, str]]) -> Shelf:
    """Take everything from the database and out of the session."""
    zones = tuple(session.scalars(select(PostageZone).order_by(PostageZone.position)))
    shelf = Shelf(
        tuple(session.scalars(select(Edition).order_by(Edition.position))),
        zones,
        frozenset(session.scalars(select(RefusedCountry.country))),
        tuple(
            session.scalars(select(Unconfirmed).where(Unconfirmed.confirmed_at.is_(None)).order_by(Unconfirmed.id))
        ),
        session.get(Trader, SHOP),
        dict(availability),
        {each.country: zone for zone in zones for each in zone.countries},
    )
    session.expunge_all()
    return shelf


def use(session: Session, shelf: Shelf | None) -> None:
    session.info[SHELF] = shelf


def of(session: Session) -> Shelf | None:
    shelf: Shelf | None = session.info.get(SHELF)
    return shelf
