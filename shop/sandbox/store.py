"""Where the sandbox remembers: one SQLite file, one connection, one lock, everything as JSON documents."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, created INTEGER NOT NULL,
    status TEXT, intent TEXT, charge TEXT, label TEXT, body TEXT NOT NULL, hidden TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, seq);
CREATE INDEX IF NOT EXISTS object_intent ON object (intent, kind);
CREATE INDEX IF NOT EXISTS object_charge ON object (charge, kind);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, type TEXT NOT NULL, endpoint TEXT NOT NULL,
    url TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL, status INTEGER, error TEXT, sent_at REAL);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (state, due);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event);
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, created INTEGER NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, request_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS timer (
    due INTEGER NOT NULL, what TEXT NOT NULL, object TEXT NOT NULL, PRIMARY KEY (what, object)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timer_due ON timer (due);
CREATE TABLE IF NOT EXISTS call (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, at REAL NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, params TEXT NOT NULL, idempotency_key TEXT, status INTEGER, fault TEXT, error TEXT);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One object: what the API shows of it, and what only the sandbox knows."""

    seq: int
    body: Json
    hidden: Json

    @property
    def id(self) -> str:
        return str(self.body["id"])


def _columns(body: Json) -> tuple[str | None, str | None, str | None, str | None]:
    """The few values that lists filter by."""
    kind = body["object"]
    charge = body.get("source") if kind == "balance_transaction" else body.get("charge")
    label = body.get("type")
    if kind == "checkout.session":
        label = (body["customer_details"] or {}).get("email") or body["customer_email"]
    return body.get("status"), body.get("payment_intent"), charge, label


class Store:
    """The documents and the queues. Whoever changes anything does so inside `transaction()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._lock = threading.RLock()
        self._depth = 0
        self._afterwards: list[Callable[[], None]] = []

    def close(self) -> None:
        """Wait for whoever is writing, then close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one at a time; inside another one it is part of that one."""
        with self._lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:  # raised again: whatever it is, nothing of it is kept
                self._afterwards.clear()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0
            afterwards, self._afterwards = self._afterwards, []
        for act in afterwards:
            act()

    def afterwards(self, act: Callable[[], None]) -> None:
        """Do something once the running transaction is kept, with no lock held."""
        self._afterwards.append(act)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Read rows, or change them and read what comes back."""
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows; returns the id of the row that was added."""
        with self._lock:
            return int(self._db.execute(sql, parameters).lastrowid or 0)

    def count(self, name: str) -> int:
        """The next number of a series, never given twice."""
        sql = (
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
        )
        return int(self.rows(sql, (name,))[0][0])

    def save(self, body: Json, hidden: Json | None = None) -> Json:
        """Keep a new or changed object; `hidden` stays as it was unless given."""
        columns = _columns(body)
        text = json.dumps(body, ensure_ascii=False)
        secret = None if hidden is None else json.dumps(hidden, ensure_ascii=False)
        with self._lock:
            found = self._db.execute(
                "UPDATE object SET status=?, intent=?, charge=?, label=?, body=?,"
                " hidden=COALESCE(?, hidden) WHERE id=?",
                (*columns, text, secret, body["id"]),
            ).rowcount
            if not found:
                self._db.execute(
                    "INSERT INTO object (id, kind, created, status, intent, charge, label, body, hidden)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (body["id"], body["object"], body.get("created", 0), *columns, text, secret or "{}"),
                )
        return body

    def forget(self, object_id: str) -> None:
        """Remove an object for good."""
        self.write("DELETE FROM object WHERE id=?", (object_id,))

    def find(self, kind: str, object_id: str) -> Record | None:
        """One object by its id."""
        found = self.records(kind, "id=?", (object_id,))
        return found[0] if found else None

    def records(
        self,
        kind: str,
        where: str = "1",
        parameters: Sequence[Any] = (),
        *,
        newest_first: bool = True,
        limit: int = -1,
    ) -> list[Record]:
        """Objects of one kind that satisfy a condition."""
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT seq, body, hidden FROM object WHERE kind=? AND ({where}) ORDER BY seq {order} LIMIT ?"  # noqa: S608
        return [
            Record(row["seq"], json.loads(row["body"]), json.loads(row["hidden"]))
            for row in self.rows(sql, (kind, *parameters, limit))
        ]

    def remind(self, what: str, object_id: str, due: int) -> None:
        """Wind an alarm on the sandbox's clock; one per object and purpose."""
        self.write("INSERT OR REPLACE INTO timer (due, what, object) VALUES (?, ?, ?)", (due, what, object_id))

    def unwind(self, what: str, object_id: str) -> None:
        """Take an alarm back."""
        self.write("DELETE FROM timer WHERE what=? AND object=?", (what, object_id))
