"""What is read for every payment and changes only with what public pages show, remembered for each version of that.

The version rises in the same transaction as what it stands for (see ``version``), and is read by the transaction that
relies on it. So what was read under a version is at least as new as the version, in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.orm import Session, SessionTransaction

from shop.catalogue.models import CatalogueVersion

T = TypeVar("T")

SEEN = "version of the catalogue"
VERSION = select(CatalogueVersion.version).scalar_subquery()
"""To be asked along with something else."""

_kept: WeakKeyDictionary[Engine | Connection, tuple[int, dict[Hashable, Any]]] = WeakKeyDictionary()


def see(session: Session, version: int | None) -> None:
    """Note the version that this transaction has read; none before anything was ever shown."""
    session.info[SEEN] = version


def remembered(session: Session, key: Hashable, read: Callable[[], T]) -> T:
    """What ``read`` found in this version, under a key of its own; read afresh when no version was noted."""
    version: int | None = session.info.get(SEEN)
    if version is None:
        return read()
    place = session.get_bind()
    known = _kept.get(place)
    if known is None or known[0] != version:
        known = _kept[place] = version, {}
    if key not in known[1]:
        known[1][key] = read()
    found: T = known[1][key]
    return found


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(SEEN, None)
