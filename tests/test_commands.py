"""Whoever types a command reads a sentence when it cannot do its work, not the inside of the program."""

from __future__ import annotations

import runpy
import sqlite3
from pathlib import Path

import click
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy.exc import OperationalError

from shop import revisions
from shop.app import create_app
from shop.errors import GatewayUnavailable
from shop.extensions import db
from shop.settings import ROOT, Settings
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer

ENVIRON = {
    "SHOP_ENV": "development",
    "SHOP_URL": "http://127.0.0.1:8000",
    "SECRET_KEY": "of a shop that is being put up, long enough",
    "STRIPE_SECRET_KEY": "sk_test_123",
    "STRIPE_WEBHOOK_SECRET": "whsec_123",
    "SMTP_URL": "smtp://127.0.0.1:9",
    "MAIL_FROM": "shop@shop.example",
}
COMMANDS = (
    "doctor",
    "audit",
    "worker --once",
    "reconcile",
    "search-terms",
    "erase",
    "pages import",
    "catalogue export -",
)


def run(command: str, database: str, instance: Path) -> Result:
    settings = Settings.from_environ({**ENVIRON, "DATABASE_URL": database, "INSTANCE": str(instance)})
    app = create_app(settings, gateway=FakeGateway(), mailer=FakeMailer())
    done = app.test_cli_runner().invoke(args=["shop", *command.split()])
    with app.app_context():
        db.engine.dispose()
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_tables_says_how_to_make_them(command: str, tmp_path: Path) -> None:
    done = run(command, f"sqlite:///{tmp_path}/none.sqlite", tmp_path)
    assert (done.exit_code, done.output) == (
        1,
        "Error: There is no shop in this database yet: flask db upgrade makes one.\n",
    )


@pytest.mark.parametrize("command", ["doctor", "worker --once", "backup"])
def test_a_command_without_a_database_says_that_it_does_not_answer(command: str, tmp_path: Path) -> None:
    done = run(command, "postgresql+psycopg://shop@127.0.0.1:9/shop", tmp_path)
    assert done.exit_code == 1
    assert done.output.startswith("Error: The database does not answer: ")
    assert done.output.count("\n") == 1


def marked(path: Path, version: str) -> str:
    """The address of a database without tables that calls itself migrated to ``version``."""
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    made.close()
    return f"sqlite:///{path}"


def test_a_command_on_tables_of_another_version_says_so(tmp_path: Path) -> None:
    done = run("audit", marked(tmp_path / "old.sqlite", "20200101_0000"), tmp_path)
    assert done.exit_code == 1
    assert "are not those of this code: flask db upgrade" in done.output


def test_what_no_migration_would_mend_is_not_hidden_behind_a_sentence(tmp_path: Path) -> None:
    [head] = revisions.heads()
    done = run("audit", marked(tmp_path / "new.sqlite", head), tmp_path)
    assert isinstance(done.exception, OperationalError)


def test_a_round_that_could_not_do_everything_ends_with_1(
    app: Flask, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.before.extend([GatewayUnavailable("no answer")] * 10)
    done = app.test_cli_runner().invoke(args=["shop", "worker", "--once"])
    gateway.before.clear()
    assert (done.exit_code, "the payment provider" in caplog.text) == (1, True)
    assert app.test_cli_runner().invoke(args=["shop", "worker", "--once"]).exit_code == 0


def test_the_doctor_misses_a_catalogue(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["shop", "doctor"])
    assert "needed before orders are taken: a catalogue" in done.output


def test_a_server_that_cannot_start_says_why_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in Settings.__dataclass_fields__:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("INSTANCE", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", "short")
    with pytest.raises(
        click.ClickException, match=r"Bookstall cannot start: SHOP_URL is missing; .*SECRET_KEY is"
    ):
        runpy.run_path(str(ROOT / "wsgi.py"))
