"""Writing rows by the thousand: COPY on PostgreSQL, the driver's own repetition on SQLite."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import Session

from shop.database import Base


def reserve(session: Session, model: type[Base], number: int) -> int:
    """The first of so many ids that nobody else will take."""
    table: Table = model.__table__  # type: ignore[assignment]
    if session.get_bind().dialect.name == "sqlite":
        return (session.scalar(select(func.max(table.c.id))) or 0) + 1
    sequence = f"pg_get_serial_sequence('\"{table.name}\"', 'id')"
    first = session.scalar(text(f"SELECT nextval({sequence})"))
    assert isinstance(first, int)
    session.execute(text(f"SELECT setval({sequence}, :last)"), {"last": first + number})
    return first


def write(session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows given as sequences in the order of ``columns``."""
    table = f'"{model.__tablename__}"'
    connection = session.connection()
    driver: Any = connection.connection.dbapi_connection
    names = ", ".join(f'"{each}"' for each in columns)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of our own tables
        driver.executemany(statement, ([_plain(each, "") for each in row] for row in rows))
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([_plain(each, "+00") for each in row])


def _plain(value: Any, zone: str) -> Any:
    """A value as both drivers take it; instants as SQLAlchemy writes them."""
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind is datetime:
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}{zone}"
    if isinstance(value, enum.Enum):
        return value.value
    return json.dumps(value, ensure_ascii=False)
