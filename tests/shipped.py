"""The shipped catalogue as rows: imported once by the shop's own code, then copied into empty tables.

Nearly every test begins with it, and an import costs more than most of them (``test_catalogue_files`` holds the copy
against an import, on each database).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy import JSON, Column, Table, create_engine, insert, literal_column, make_url, select, update
from sqlalchemy.orm import Session

from shop.catalogue import version
from shop.catalogue.interchange import import_catalogue
from shop.catalogue.models import CatalogueVersion
from shop.database import Base
from shop.stock import StockMovement
from shop.trader import Trader

CATALOGUE = Path(__file__).resolve().parent.parent / "shop" / "data" / "catalogue.toml"
ONCE = datetime(2000, 1, 1, tzinfo=UTC)
FURTHER = 1000
"""Ids that PostgreSQL draws begin above this, so that they are none of the copied ones."""


def copy(session: Session, at: datetime) -> None:
    """Leave empty tables as ``import_catalogue`` at this instant would."""
    connection = session.connection()
    for statements in _script(connection.dialect.name):
        connection.exec_driver_sql(statements)
    for statement in (update(StockMovement).values(at=at), update(Trader).values(shop_id=f"shop_{token_hex(8)}")):
        session.execute(statement.execution_options(synchronize_session=False))
    version.rise(session)


@cache
def _script(database: str) -> tuple[str, ...]:
    """All rows as statements with the values in them; PostgreSQL takes these at once."""
    dialect = make_url(f"{database}://").get_dialect()()
    statements = [
        str(insert(table).values(rows).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        for table, rows in _rows().items()
    ]
    if database != "postgresql":
        return tuple(statements)
    drawn = [(table.name, table.autoincrement_column) for table in _rows()]
    statements += [
        f"SELECT setval(pg_get_serial_sequence('{name}', '{column.name}'), {FURTHER})"
        for name, column in drawn
        if column is not None and not column.foreign_keys
    ]
    return ("; ".join(statements),)


@cache
def _rows() -> dict[Table, list[dict[str, Any]]]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        import_catalogue(session, CATALOGUE.read_bytes(), ONCE)
        found = {
            table: [
                {column.name: _literal(column, value) for column, value in zip(table.columns, row, strict=True)}
                for row in session.execute(select(table))
            ]
            for table in Base.metadata.sorted_tables
            if table is not CatalogueVersion.__table__
        }
    engine.dispose()
    return {table: rows for table, rows in found.items() if rows}


def _literal(column: Column[Any], value: Any) -> Any:
    """SQLAlchemy writes whatever it knows into a statement, JSON excepted."""
    if not isinstance(column.type, JSON) or value is None:
        return value
    quoted = json.dumps(value).replace("'", "''")
    return literal_column(f"'{quoted}'")
