"""A shop as `make run` starts it: web server with two workers, worker and sandbox, each its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from shop.catalogue import offers
from shop.database import prepare
from shop.sandbox.launch import ADMIN, free_port
from shop.stock import Stock
from tests import factories
from tests.client import Form, Page
from tests.sandbox_process import Answer, Sandbox, fetch

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 90  # seconds until everything must answer
OURS = (
    "SHOP_",
    "STRIPE_",
    "SANDBOX_",
    "SMTP_",
    "FLASK_",
    "MAIL_",
    "PORT",
    "INSTANCE",
    "DATABASE_URL",
    "SECRET_KEY",
    "UNDO_SECONDS",
)
# Ends the launcher when the suite ends, however it ends: its standard input closes then.
WATCH = '"$@" & launcher=$!; read -r _; kill -TERM $launcher 2>/dev/null; wait $launcher'


def clean_environment(home: Path) -> dict[str, str]:
    """Nobody's settings, nobody's proxies, nobody's home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OURS) and "proxy" not in name.lower()
    }
    return kept | {"HOME": str(home), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


class LiveShop:
    """A running shop; ``sandbox`` drives its stand-in for Stripe and reads its mailbox."""

    def __init__(self, instance: Path, database_url: str = "", **environ: str) -> None:
        self.instance = instance
        self.port, sandbox_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = clean_environment(instance) | {
            "PORT": str(self.port),
            "SANDBOX_PORT": str(sandbox_port),
            "INSTANCE": str(instance),
            "WEB_CONCURRENCY": "2",
            "UNDO_SECONDS": "0",
            **({"DATABASE_URL": database_url} if database_url else {}),
            **environ,
        }
        self.log = instance / "launch.log"
        self.database_url = database_url or f"sqlite:///{instance / 'shop.sqlite'}"
        self.engine = create_engine(self.database_url)
        prepare(self.engine)
        self.sandbox = Sandbox(instance, port=sandbox_port, smtp_port=0, clock_file=instance / "clock")

    def start(self) -> LiveShop:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", WATCH, "sh", sys.executable, "-m", "shop.sandbox.launch"],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while "Bookstall is running" not in self.said:
            # The shell waits for the suite's word, so an early end shows in what was said.
            ended = "bookstall: " in self.said or "Traceback" in self.said
            if ended or self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the shop did not start:\n{self.said}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(30)
        self.engine.dispose()

    @property
    def said(self) -> str:
        """All that was printed."""
        return self.log.read_text(errors="replace")

    @property
    def admin(self) -> tuple[str, str]:
        """E-mail and password of the demonstration's admin."""
        return ADMIN, json.loads((self.instance / "secrets.json").read_text())["admin_password"]

    @contextmanager
    def session(self) -> Iterator[Session]:
        with Session(self.engine) as session:
            yield session

    def calm(self) -> None:
        """Put right what an earlier test has left: copies sold, faults and storms set up."""
        self.sandbox.control("faults", {"before": 0, "after": 0, "rate": 0})
        self.sandbox.control("webhooks", {"drop": 0, "repeat": 0, "delay": 0, "shuffle": 0})
        with self.session() as session:
            wanted = {edition.id: edition.opening_stock for edition in offers.editions(session)}
            for edition_id, copies in wanted.items():
                if session.get_one(Stock, edition_id).available != copies:
                    factories.set_stock(session, edition_id, copies)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One request; ``path`` may be a whole address."""
        return fetch(self.absolute(path), headers=dict(headers or {}))

    def post(self, path: str, data: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form as a browser would from a page of the shop."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        return fetch(self.absolute(path), "POST", urlencode(data), sent | dict(headers or {}))

    def page(self, path: str) -> Page:
        """A page that must be there."""
        answer = self.get(path)
        assert answer.status == 200, f"{path}: {answer.status}"
        return Page(answer.text, self.absolute(path))

    def submit(self, form: Form, **changes: str) -> Answer:
        """Send a form of a page with some fields changed."""
        return self.post(form.action, {**form.fields, **changes})

    def absolute(self, path: str) -> str:
        return path if path.startswith("http") else self.url + path

    def letters(self, to: str, count: int = 1, patience: float = 15) -> list[dict[str, object]]:
        """The letters in the mailbox to an address, newest first, once there are so many."""
        deadline = time.monotonic() + patience
        while True:
            found = [letter for letter in self.sandbox.mail() if to in str(letter["to"])]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.1)
