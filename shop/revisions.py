"""Which migrations this code has, read from their files: Alembic would stay in a web worker's memory."""

from __future__ import annotations

import re
from functools import cache

from sqlalchemy import Connection, inspect, text

from shop.settings import ROOT

REVISION = re.compile('^revision = "(.+)"$', re.MULTILINE)
FOLLOWS = re.compile('^down_revision = "(.+)"$', re.MULTILINE)


@cache
def known() -> frozenset[str]:
    """Every migration of this code."""
    return _named(REVISION)


@cache
def heads() -> frozenset[str]:
    """The migrations that none follows: what a database of this code has."""
    return known() - _named(FOLLOWS)


def applied(connection: Connection) -> frozenset[str]:
    """What a database has been migrated to; nothing if it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return frozenset()
    return frozenset(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _named(pattern: re.Pattern[str]) -> frozenset[str]:
    files = (ROOT / "migrations" / "versions").glob("*.py")
    return frozenset(found[1] for each in files if (found := pattern.search(each.read_text())))
