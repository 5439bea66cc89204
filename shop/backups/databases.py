"""How each kind of database is copied as it is at one moment, put aside, and made from a copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, inspect, text
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import ShopError

ASIDE = "before_restore_"
PATIENCE = 30.0  # seconds that a copy waits for a writer
BRIEFLY = 1.0  # seconds that a replacement waits for others to be gone
DEBIAN = "PostgreSQL’s client programs (Debian: postgresql-client), not older than the server"


class CannotCopy(ShopError):
    """The database cannot be copied; the sentence says why."""


class CannotLoad(ShopError):
    """A copy cannot be made a database again; the sentence says why."""


class InUse(ShopError):
    """Somebody else has the database open."""


class Database(Protocol):
    """What both kinds can do. Nothing here may be called while the shop's own engine has connections open, but
    ``dump``."""

    def dump(self, to: Path) -> None:
        """Write a copy of one moment to a new file. Raises ``CannotCopy``."""

    def is_empty(self) -> bool:
        """Whether there is nothing that could be lost: no table at all."""

    def set_aside(self, stamp: str) -> str:
        """Keep all there is under another name; answers where. Raises ``InUse``."""

    def load(self, copy: Path) -> None:
        """Make a database of a copy where there is nothing. Raises ``CannotLoad``."""

    def put_back(self, aside: str) -> None:
        """Throw away what was loaded, and bring back what was put aside, if there was anything."""


def database_of(engine: Engine) -> Database:
    """The database that an engine talks to."""
    if engine.dialect.name == "sqlite":
        return Sqlite(Path(engine.url.database or "").resolve())
    return Postgres(engine)


class Sqlite:
    """A file. Its copy is a file as well, made by the online backup API within one reading transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def dump(self, to: Path) -> None:
        try:
            with closing(self._open(PATIENCE, "ro")) as source, closing(sqlite3.connect(to)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, not three
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise CannotCopy(f"SQLite: {error}.") from error
        if found != "ok":
            raise CannotCopy(f"The database is damaged: {found}")

    def is_empty(self) -> bool:
        if not self._path.exists():
            return True
        try:
            with closing(self._open(PATIENCE, "ro")) as there:
                return not there.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.Error:
            return False  # whatever it is, it is something

    def set_aside(self, stamp: str) -> str:
        self._leave_alone()
        aside = self._path.with_name(f"{self._path.name}.{ASIDE}{stamp}")
        for ending in ("-wal", "-shm"):  # left only by a database that could not be opened
            if (beside := self._beside(ending)).exists():
                beside.rename(aside.with_name(aside.name + ending))
        self._path.rename(aside)
        return str(aside)

    def load(self, copy: Path) -> None:
        try:
            with closing(sqlite3.connect(copy)) as opened:
                found = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise CannotLoad(f"SQLite: {error}.") from error
        if found != "ok":
            raise CannotLoad(f"The copy is damaged: {found}")
        self._clear()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        copy.chmod(0o600)
        shutil.move(copy, self._path)

    def put_back(self, aside: str) -> None:
        self._clear()
        if aside:
            kept = Path(aside)
            for ending in ("-wal", "-shm"):
                if (beside := kept.with_name(kept.name + ending)).exists():
                    beside.rename(self._beside(ending))
            kept.rename(self._path)

    def _leave_alone(self) -> None:
        """Bring everything into the one file, which SQLite does for nobody but its only user."""
        try:
            with closing(self._open(BRIEFLY, "rw")) as there:
                there.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InUse(_stop("somebody has the database open")) from error
        except sqlite3.DatabaseError:
            return  # no database at all: it is kept as it is

    def _clear(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._beside(ending).unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def _open(self, patience: float, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self._path))}?mode={mode}", uri=True, timeout=patience)


class Postgres:
    """A database on a server. Its copy is a dump in PostgreSQL's custom format; what is put aside goes to a schema of
    its own in the same database, which needs no room and no right but to make one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def dump(self, to: Path) -> None:
        # The archive around it is packed, so the dump is not.
        options = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges"]
        failed = self._run("pg_dump", *options, f"--exclude-schema={ASIDE}*", f"--file={to}")
        if failed:
            raise CannotCopy(f"pg_dump: {failed}")

    def is_empty(self) -> bool:
        with self._engine.connect() as connection:
            return not inspect(connection).get_table_names()

    def set_aside(self, stamp: str) -> str:
        schema = f"{ASIDE}{stamp}"

        def work(session: Session) -> None:
            connection = session.connection()
            others = text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND client_port IS NOT NULL"
            )
            if count := connection.scalar(others):
                raise InUse(_stop(f"{count} other connections have the database open"))
            connection.execute(text(f'CREATE SCHEMA "{schema}"'))
            _move(connection, str(inspect(connection).default_schema_name), schema)

        with Session(self._engine) as session:
            transact(session, work)
        return schema

    def load(self, copy: Path) -> None:
        if failed := self._run(
            "pg_restore", "--single-transaction", "--no-owner", "--no-privileges", "--no-comments", str(copy)
        ):
            raise CannotLoad(f"pg_restore: {failed}")
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # a dump holds no statistics

    def put_back(self, aside: str) -> None:
        def work(session: Session) -> None:
            connection = session.connection()
            here = str(inspect(connection).default_schema_name)
            for table in inspect(connection).get_table_names(here):
                connection.execute(text(f'DROP TABLE "{here}"."{table}" CASCADE'))
            if aside:
                _move(connection, aside, here)
                connection.execute(text(f'DROP SCHEMA "{aside}"'))

        with Session(self._engine) as session:
            transact(session, work)

    def _run(self, program: str, *words: str) -> str:
        """Run one of PostgreSQL's programs on this database; answers what it says if it fails."""
        if (path := shutil.which(program)) is None:
            raise CannotCopy(f"{program} is not on PATH. Install {DEBIAN}.")
        address, environ = _address(self._engine.url)
        command = [path, f"--dbname={address}", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environ, stdin=subprocess.DEVNULL)
        return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


def _move(connection: Connection, source: str, target: str) -> None:
    """Bring all tables from one schema to another, with their indexes, keys and sequences."""
    for table in inspect(connection).get_table_names(source):
        connection.execute(text(f'ALTER TABLE "{source}"."{table}" SET SCHEMA "{target}"'))


def _address(url: URL) -> tuple[str, dict[str, str]]:
    """A database's address for PostgreSQL's programs, and their environment: it holds the password, which everybody on
    the machine could read among the words of a command."""
    query: dict[str, Any] = dict(url.query)
    password = query.pop("password", None) or url.password
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    environ = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    # SQLAlchemy writes a space of the query as "+", which these programs take for a plus sign.
    head, mark, tail = plain.render_as_string(hide_password=False).partition("?")
    return head + mark + tail.replace("+", "%20"), environ


def _stop(why: str) -> str:
    return f"Stop the shop and its worker first: {why}."
