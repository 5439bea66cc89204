"""The number that rises with every change of what public pages show."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.catalogue.models import CatalogueVersion
from shop.database import add_once

ONLY = 1


def rise(session: Session) -> None:
    """Say that catalogue, postage or set-up have changed; inside the transaction that changes them."""
    if not add_once(session, CatalogueVersion, id=ONLY, version=1):
        session.execute(
            update(CatalogueVersion)
            .values(version=CatalogueVersion.version + 1)
            .execution_options(synchronize_session=False)
        )


def current(session: Session) -> int:
    return session.scalar(select(CatalogueVersion.version)) or 0
