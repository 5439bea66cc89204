"""Backups: everything in one file while the shop sells, and a shop made of it again, on each database."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, func, inspect, make_url, select
from sqlalchemy.orm import Session

from shop import audit, revisions
from shop.backups import archive, databases, making
from shop.backups.latest import Latest, latest, note
from shop.database import transact
from shop.libraries import files as purchase_orders
from shop.orders import timeline
from shop.orders.models import Order
from shop.payments import reconciliation, refund_calls, refunds
from shop.payments.models import Payment, PaymentRole, Refund, RefundState
from shop.uploads import keeping
from tests import factories
from tests.client import Client
from tests.conftest import engine_of, opened, settings_for
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.test_admin_orders import desk
from tests.test_setup import BAD, WELL, found
from tests.till import is_strict

__all__ = ["desk"]
PDF = b"%PDF-1.7 a purchase order"
PICTURE = keeping.Made(b"the bytes of a picture", "image/jpeg", 1, 1)


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """PostgreSQL's own programs are those of the server."""
    if programs := os.environ.get("TEST_POSTGRES_PROGRAMS"):
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def elsewhere(database_url: str, new_database: Callable[[str, str], str], tmp_path: Path) -> Callable[..., Any]:
    """Makes another shop on an empty database of the same kind: ``with elsewhere() as app``."""
    kind = database_url.partition(":")[0].partition("+")[0]
    taken = iter(("one", "two"))

    @contextmanager
    def another() -> Iterator[Flask]:
        name = next(taken)
        folder = tmp_path / name
        folder.mkdir()
        settings = settings_for(new_database(kind, f"backup_{name}"), folder)
        with opened(settings, gateway=FakeGateway(), mailer=FakeMailer()) as app:
            yield app

    return another


def flask_shop(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(args=["shop", *map(str, words)])


def backup(app: Flask, folder: Path, *words: object) -> Path:
    """Make a backup by the command; answers the file."""
    done = flask_shop(app, "backup", "--to", folder, *words)
    assert done.exit_code == 0, done.output
    return Path(re.match(r"(.+) \(.+\)", done.output)[1])  # type: ignore[index]


def numbers(app: Flask) -> list[str]:
    with Session(engine_of(app)) as session:
        return sorted(session.scalars(select(Order.number)))


def differences(app: Flask) -> list[str]:
    with Session(engine_of(app)) as session:
        return [str(each) for each in audit.run(session)]


def repacked(file: Path, change: Callable[[dict[str, bytes]], None], *, honest: bool = True) -> Path:
    """A backup with other contents; ``honest`` ones have the right digests."""
    with tarfile.open(file) as tar:
        held = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    change(held)
    told = json.loads(held.pop(archive.MANIFEST))
    if honest:
        told["files"] = {
            name: {"size": len(body), "sha256": keeping.digest_of(body)} for name, body in held.items()
        }
    out = file.with_name(f"repacked-{file.name}")
    with tarfile.open(out, "w:gz") as tar:
        for name, body in {**held, archive.MANIFEST: json.dumps(told).encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return out


def manifest(changes: dict[str, Any]) -> Callable[[dict[str, bytes]], None]:
    """Changes what a manifest says of the database or of its own format."""

    def change(held: dict[str, bytes]) -> None:
        told = json.loads(held[archive.MANIFEST])
        told |= {name: each for name, each in changes.items() if name in told}
        told["database"] |= {name: each for name, each in changes.items() if name in told["database"]}
        held[archive.MANIFEST] = json.dumps(told).encode()

    return change


def test_a_backup_made_while_orders_come_in_becomes_a_shop_in_which_everything_agrees(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    factories.set_stock(session, catalogue.paperback, 500)
    for _ in range(3):
        factories.make_paid_order(session, gateway)
    begun, enough, made = threading.Event(), threading.Event(), []

    def sell() -> None:
        with Session(engine_of(app)) as own:
            while not enough.is_set() and len(made) < 400:
                made.append(factories.make_order(own).number)
                begun.set()

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        assert begun.wait(30)
        file = backup(app, tmp_path / "backups")
        after = len(made)
    finally:
        enough.set()
        seller.join()
    with elsewhere() as other:
        done = flask_shop(other, "restore", file)
        assert done.exit_code == 0, done.output
        assert "audit: 0 differences" in done.output
        kept = set(numbers(other))
        assert made[0] in kept
        assert kept <= set(numbers(app))
        assert len(kept) <= 3 + after + 1
        with Session(engine_of(other)) as there:  # it goes on selling
            assert factories.make_paid_order(there, gateway).number not in kept
        assert differences(other) == []


def test_what_stripe_did_after_the_backup_is_learned_by_reconciling_and_no_money_goes_back_twice(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    order, at = factories.make_paid_order(session, gateway), datetime.now(UTC)
    payment = session.scalars(select(Payment.id).where(Payment.order_id == order.id)).one()
    owed = transact(session, refunds.ask, payment, 100, "", timeline.admin("Vera Keeper"), at).id
    file = backup(app, tmp_path)
    refund_calls.perform(session, gateway, owed, at)
    late = factories.make_paid_order(session, gateway)
    with elsewhere() as other:
        assert flask_shop(other, "restore", file).exit_code == 0
        with Session(engine_of(other)) as there:
            reconciliation.run(there, gateway, at)
            assert there.get_one(Refund, owed).state is RefundState.SUCCEEDED
            assert refund_calls.due(there, at + timedelta(days=2)) == []
            orphan = there.scalars(select(Payment).where(Payment.role == PaymentRole.ORPHAN)).one()
            assert orphan.amount == late.total.amount
        assert differences(other) == []


def test_a_backup_is_for_its_owner_alone_and_says_what_it_holds(
    app: Flask, session: Session, catalogue: Catalogue, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    file = backup(app, folder)
    assert re.fullmatch(r"bookstall-\d{4}-\d\d-\d\d-\d{6}\.tar\.gz", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in folder.iterdir()] == [file.name]
    told = archive.verify(file)
    assert told.dialect == session.get_bind().dialect.name
    assert {told.revision} == revisions.heads()
    assert abs(told.made_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert flask_shop(app, "restore", "--check", file).output.startswith(f"whole: {told.dialect} at migration")


def test_uploads_and_purchase_orders_come_back_and_secrets_and_drafts_do_not(
    app: Flask, session: Session, catalogue: Catalogue, instance: Path, elsewhere: Any, tmp_path: Path
) -> None:
    keeping.write(instance, keeping.Prepared("0" * 64, "picture", [PICTURE]))  # type: ignore[arg-type]
    key = purchase_orders.store(instance, PDF)
    draft = instance / purchase_orders.FOLDER / f"{key}.part"
    draft.write_bytes(b"half")
    (instance / "secrets.json").write_text("{}")
    file = backup(app, tmp_path / "backups")
    with tarfile.open(file) as tar:
        names = set(tar.getnames())
    assert f"libraries/{key}" in names
    assert not [each for each in names if each.endswith(".part") or "secret" in each]
    with elsewhere() as other:
        flask_shop(other, "restore", file)
        there = Path(other.instance_path)
        assert keeping.place(there, PICTURE.digest).read_bytes() == PICTURE.data
        assert (there / "libraries" / key).read_bytes() == PDF
    draft.unlink()


@pytest.mark.parametrize("how", ["cut off", "changed", "another file", "outside", "a file less", "no backup"])
def test_a_backup_that_is_not_as_it_was_made_is_refused_before_anything_is_touched(
    app: Flask, session: Session, catalogue: Catalogue, elsewhere: Any, tmp_path: Path, how: str
) -> None:
    file = backup(app, tmp_path / "backups")
    match how:
        case "cut off":
            file.write_bytes(file.read_bytes()[:-200])
        case "changed":
            plain = bytearray(gzip.decompress(file.read_bytes()))
            with tarfile.open(fileobj=io.BytesIO(plain)) as tar:  # what fills up a block is nobody's
                plain[tar.getmember("database").offset_data + 1000] ^= 1
            file.write_bytes(gzip.compress(plain, 1))
        case "another file":
            file = repacked(file, lambda held: held.update({"libraries/x": b""}), honest=False)
        case "outside":
            file = repacked(file, lambda held: held.update({"uploads/../../evil": b"x"}))
        case "a file less":
            file = repacked(file, lambda held: held.pop("database"), honest=False)  # type: ignore[arg-type,return-value]
        case "no backup":
            file.write_bytes(b"a letter to the editor")
    with elsewhere() as other:
        done = flask_shop(other, "restore", file)
        assert done.exit_code == 1
        assert "Nothing was restored." in done.output
        assert "Traceback" not in done.output
        assert flask_shop(other, "restore", "--check", file).exit_code == 1
        assert databases.database_of(engine_of(other)).is_empty()
        assert list(Path(other.instance_path).glob("uploads/**/*")) == []
    assert not (tmp_path / "evil").exists()


def test_a_shop_is_not_overwritten_unless_that_is_said_and_then_it_is_kept_beside(
    app: Flask, session: Session, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    factories.make_order(session)
    file = backup(app, tmp_path / "backups")
    with elsewhere() as other:
        assert flask_shop(other, "restore", file).exit_code == 0
        with Session(engine_of(other)) as there:
            newer = factories.make_order(there).number
        before = numbers(other)
        refused = flask_shop(other, "restore", file)
        assert refused.exit_code == 1
        assert "--replace" in refused.output
        assert numbers(other) == before
        done = flask_shop(other, "restore", "--replace", file)
        assert done.exit_code == 0, done.output
        assert numbers(other) == numbers(app)
        aside = re.search(r"kept: (.+)", done.output)[1]  # type: ignore[index]
        assert newer in beside(engine_of(other), aside)
        # What was put aside is no part of the shop: not of its next backup either.
        with elsewhere() as third:
            assert flask_shop(third, "restore", backup(other, tmp_path / "backups")).exit_code == 0
            assert numbers(third) == numbers(app)
            assert not [each for each in inspect(engine_of(third)).get_schema_names() if "before" in each]


def beside(engine: Engine, aside: str) -> list[str]:
    """The numbers of the orders in a database that was put aside."""
    if engine.dialect.name == "sqlite":
        with sqlite3.connect(aside) as kept:
            return [number for (number,) in kept.execute('SELECT number FROM "order"')]
    with engine.connect() as connection:
        return list(connection.scalars(select(Order.number).execution_options(schema_translate_map={None: aside})))


def test_what_goes_wrong_while_it_is_restored_leaves_the_shop_as_it_was(
    app: Flask, session: Session, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    file = backup(app, tmp_path / "backups")
    no_database = {"database": b"no database at all" * 100}
    garbage = repacked(file, lambda held: held.update(no_database)).rename(tmp_path / "garbage.tar.gz")
    lost = repacked(file, astray).rename(tmp_path / "lost.tar.gz")  # loads, and cannot be migrated
    with elsewhere() as other:
        assert flask_shop(other, "restore", file).exit_code == 0
        with Session(engine_of(other)) as there:
            number = factories.make_order(there).number
        for broken in (garbage, lost):
            assert flask_shop(other, "restore", "--replace", broken).exit_code == 1
            assert numbers(other) == [number]
            assert differences(other) == []
        assert flask_shop(other, "restore", "--replace", file).exit_code == 0


def astray(held: dict[str, bytes]) -> None:
    """Let the copy of the database be at a migration that nobody knows."""
    known = next(iter(revisions.heads())).encode()
    assert known in held["database"]
    held["database"] = held["database"].replace(known, b"x" * len(known))


def test_a_running_shop_is_not_replaced(
    app: Flask, session: Session, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    file = backup(app, tmp_path / "backups")
    with elsewhere() as other:
        flask_shop(other, "restore", file)
        with opened(settings_for(other.config["SQLALCHEMY_DATABASE_URI"], tmp_path)) as running:
            with Session(engine_of(running)) as busy:
                busy.scalar(select(func.count(Order.id)))
            refused = flask_shop(other, "restore", "--replace", file)
            assert refused.exit_code == 1
            assert "Stop the shop and its worker first" in refused.output
            assert numbers(running) == numbers(other)
        assert flask_shop(other, "restore", "--replace", file).exit_code == 0


def test_a_backup_of_older_code_is_migrated_and_one_of_newer_code_is_refused(
    app: Flask, session: Session, catalogue: Catalogue, elsewhere: Any, tmp_path: Path
) -> None:
    with elsewhere() as old, old.app_context():
        flask_migrate.upgrade(revision="0014_routed")
        file = making.make(engine_of(old), Path(old.instance_path), tmp_path, datetime.now(UTC))
    assert archive.verify(file).revision == "0014_routed"
    with elsewhere() as other:
        newer = repacked(file, manifest({"revision": "0999_of_tomorrow"}))
        refused = flask_shop(other, "restore", newer)
        assert (refused.exit_code, "0999_of_tomorrow, which this code does not know" in refused.output) == (
            1,
            True,
        )
        assert flask_shop(other, "restore", file).exit_code == 0
        with engine_of(other).connect() as connection:
            assert revisions.applied(connection) == revisions.heads()


@pytest.mark.parametrize(
    ("told", "sentence"),
    [({"dialect": "oracle"}, "It was made of oracle"), ({"format": 2}, "made by a later version of Bookstall")],
)
def test_a_backup_that_this_shop_cannot_use_is_refused_in_a_sentence(
    app: Flask, session: Session, catalogue: Catalogue, tmp_path: Path, told: dict[str, Any], sentence: str
) -> None:
    refused = flask_shop(app, "restore", "--replace", repacked(backup(app, tmp_path), manifest(told)))
    assert refused.exit_code == 1
    assert sentence in refused.output


def test_only_the_newest_backups_are_kept_and_nothing_else_is_deleted(
    app: Flask, session: Session, catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "bookstall-notes.txt").write_text("mine")
    made = [backup(app, tmp_path, "--keep", 2) for _ in range(4)]
    assert {each.name for each in tmp_path.iterdir()} == {*(each.name for each in made[2:]), "bookstall-notes.txt"}


def test_what_a_killed_backup_has_left_is_swept_away_a_day_later(
    app: Flask, session: Session, catalogue: Catalogue, tmp_path: Path
) -> None:
    old, young = tmp_path / ".bookstall-old", tmp_path / ".bookstall-young"
    for folder in (old, young):
        folder.mkdir()
    past = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(old, (past, past))
    backup(app, tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_without_the_programs_of_postgresql_it_is_said_what_to_install(
    app: Flask, session: Session, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = flask_shop(app, "backup", "--to", tmp_path / "backups")
    if session.get_bind().dialect.name == "sqlite":
        assert done.exit_code == 0
    else:
        assert done.exit_code == 1
        assert "pg_dump is not on PATH. Install PostgreSQL’s client programs" in done.output
        assert list((tmp_path / "backups").iterdir()) == []


def test_the_password_of_the_database_is_not_among_the_words_of_a_command(app: Flask) -> None:
    url = make_url("postgresql+psycopg://bookstall:s%40cret@db.example:5433/shop?sslmode=require&password=other")
    address, environ = databases._address(url)
    assert address == "postgresql://bookstall@db.example:5433/shop?sslmode=require"
    assert environ["PGPASSWORD"] == "other"


@pytest.mark.parametrize("database_url", ["serializable"], indirect=True)
def test_a_database_whose_address_has_options_is_copied_as_well(app: Flask, tmp_path: Path) -> None:
    """Such as the strictest level of isolation in the README; PostgreSQL's programs take no "+" for a space."""
    assert is_strict(app)
    assert flask_shop(app, "restore", backup(app, tmp_path), "--check").exit_code == 0


def test_the_set_up_page_says_when_the_last_backup_was_made_and_whether_that_is_long_ago(
    desk: Client, app: Flask, catalogue: Catalogue, instance: Path, tmp_path: Path
) -> None:
    (instance / "last-backup.json").unlink(missing_ok=True)
    assert found(desk)["Last backup"].startswith(f"{BAD} None has been made yet.")
    backup(app, tmp_path)
    assert latest(instance) is not None
    assert found(desk)["Last backup"].startswith(WELL)
    note(instance, Latest(datetime.now(UTC) - timedelta(days=3, minutes=1), "bookstall-….tar.gz", 4_200_000))
    said = found(desk)["Last backup"].replace("\u00a0", " ")
    assert said.startswith(BAD)
    assert "4.2 MB. That is long ago: does it still run every night?" in said
    (instance / "last-backup.json").write_text("{")
    assert found(desk)["Last backup"].startswith(f"{BAD} None has been made yet.")
