"""How Alembic reaches the shop's database and models."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from shop.database import UTCDateTime

extension = current_app.extensions["migrate"]
metadata = extension.db.metadatas[None]


def skip_empty(_context, _revision, directives):
    """Make no migration when nothing changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


def plainly(kind, item, _autogen):
    """Write our own column types as what the database sees, so that no migration imports the shop."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def run(connection: Connection | None = None) -> None:
    options = {"process_revision_directives": skip_empty, "render_item": plainly, **extension.configure_args}
    if connection is None:
        url = extension.db.engine.url.render_as_string(hide_password=False)
        context.configure(url=url, target_metadata=metadata, literal_binds=True, **options)
    else:
        context.configure(connection=connection, target_metadata=metadata, **options)
    with context.begin_transaction():
        context.run_migrations()
        if connection is not None and connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise RuntimeError(f"rows that refer to nothing: {broken[:10]}")


def run_online() -> None:
    """On SQLite a table that is made anew is dropped first, though others refer to it: so nobody watches meanwhile,
    and all is looked at before the end (SQLite, "Making Other Kinds Of Table Schema Changes")."""
    with extension.db.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            run(connection)
            return
        bare = connection.connection.dbapi_connection
        bare.execute("PRAGMA foreign_keys = OFF")  # heeded only while no transaction is open
        try:
            run(connection)
        finally:
            connection.rollback()
            bare.execute("PRAGMA foreign_keys = ON")


if context.is_offline_mode():
    run()
else:
    run_online()
