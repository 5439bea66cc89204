"""What every test may ask for. Whatever touches money or stock runs on SQLite and on a real PostgreSQL, at the level
that it has by default and at the strictest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import flask_migrate
import hypothesis
import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shop.app import create_app
from shop.catalogue.models import Unconfirmed
from shop.database import Base
from shop.extensions import db
from shop.sandbox.launch import free_port
from shop.settings import Settings
from tests import factories
from tests.client import Client, make_client
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.live_shop import LiveShop
from tests.postgres import NoPostgres, Postgres, create
from tests.sandbox_process import KEY, SECRET, Sandbox
from tests.sharing_out import LONG, SharingOut, group_of
from tools.translations import compile_stale

ROOT = Path(__file__).resolve().parent.parent
WEBHOOK_SECRET = "whsec_of_the_suite"
DATABASES = ["sqlite", "postgresql", "serializable"]
STRICT = "&options=-c%20default_transaction_isolation%3Dserializable"
MONEY_AND_STOCK = {
    "test_caps",
    "test_checkouts",
    "test_demo",
    "test_disputes",
    "test_finding",
    "test_inbox",
    "test_invoice_paying",
    "test_library_desk",
    "test_letters_delivery",
    "test_mistakes",
    "test_orphans",
    "test_parcels",
    "test_paying",
    "test_placing",
    "test_reconciliation",
    "test_refunded_copies",
    "test_refunds",
    "test_rush",
    "test_sales",
    "test_second_thoughts",
    "test_stock",
    "test_transactions",
    "test_worker",
}
NO_POSTGRES = pytest.StashKey[str]()
_started: list[Postgres] = []

# A busy machine is no fault of the code; and the suite tries the same examples each time. New ones, and many:
# ``--hypothesis-profile=long``.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("suite")

# No proxy stands between the suite and what it starts on this machine.
for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    compile_stale()
    if getattr(config.option, "numprocesses", None):
        _start_postgres(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    while _started:
        _started.pop().stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if reason := config.stash.get(NO_POSTGRES, os.environ.get("TEST_NO_POSTGRES", "")):
        terminalreporter.write_line(f"Nothing ran on PostgreSQL. {reason}", yellow=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a test of the live shop that would have another process start one."""
    if "live_shop" in getattr(item, "fixturenames", ()) and group_of(item.nodeid) != "live shop":
        raise pytest.UsageError(f"{item.nodeid} asks for live_shop: name it in tests/sharing_out.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharingOut | None:
    return SharingOut(config, log) if config.getvalue("dist") == "loadgroup" else None


def _start_postgres(config: pytest.Config) -> None:
    """Start the server once; workers find it by the environment they inherit."""
    if "TEST_POSTGRES" in os.environ or "TEST_NO_POSTGRES" in os.environ:
        return
    try:
        _started.append(Postgres())
    except NoPostgres as missing:
        config.stash[NO_POSTGRES] = os.environ["TEST_NO_POSTGRES"] = str(missing)
    else:
        os.environ["TEST_POSTGRES"] = str(_started[0].folder)
        os.environ["TEST_POSTGRES_PROGRAMS"] = str(_started[0].programs)


@pytest.fixture(scope="session")
def new_database(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, str], str]:
    """Make an empty database: ``new_database(one of DATABASES, name)`` returns its address."""

    def make(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp(name) / 'shop.sqlite'}"
        _start_postgres(pytestconfig)
        if reason := os.environ.get("TEST_NO_POSTGRES"):
            if os.environ.get("CI"):
                pytest.fail(reason)
            # Where no server is to be had the rest runs on SQLite.
            pytest.skip(reason)
        strict = STRICT if kind == "serializable" else ""
        return create(os.environ["TEST_POSTGRES"], f"{name}_{kind}_{worker_id}") + strict

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever asks for a database on each kind; tests of money and stock at the strictest level too."""
    chosen = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    for name in ({"database_url", "_live_shop"} & set(metafunc.fixturenames)) - chosen:
        strict = metafunc.module.__name__.rpartition(".")[2] in MONEY_AND_STOCK
        kinds = DATABASES if strict else DATABASES[:2]
        metafunc.parametrize(name, kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def _databases() -> dict[str, str]:
    """Addresses by kind: tests do not come in the order of their databases."""
    return {}


@pytest.fixture(scope="session")
def database_url(
    request: pytest.FixtureRequest,
    new_database: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
    _databases: dict[str, str],
) -> str:
    """An empty database of each kind, its tables made by the migrations, once for the whole session."""
    if request.param not in _databases:
        url = new_database(request.param, "suite")
        with migrated(settings_for(url, tmp_path_factory.mktemp("instance"))):
            _databases[request.param] = url
    return _databases[request.param]


@contextmanager
def migrated(settings: Settings) -> Iterator[Flask]:
    """A shop whose database the migrations have just built."""
    with opened(settings) as app, app.app_context():
        flask_migrate.upgrade()
        yield app


@contextmanager
def opened(settings: Settings, **adapters: object) -> Iterator[Flask]:
    """A shop whose connections are closed at the end."""
    app = create_app(settings, **adapters)  # type: ignore[arg-type]
    try:
        yield app
    finally:
        engine_of(app).dispose()


def engine_of(app: Flask) -> Engine:
    with app.app_context():
        return db.engine


def settings_for(database_url: str, instance: Path, **changes: str) -> Settings:
    """Settings as ``from_environ`` reads them; ``changes`` are settings by their names in the environment."""
    environ = {
        "SHOP_ENV": "development",
        "SHOP_URL": "http://localhost",
        "SECRET_KEY": "of the suite, thirty-two characters long",
        "DATABASE_URL": database_url,
        "STRIPE_SECRET_KEY": "sk_test_suite",
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": "http://127.0.0.1:9",  # nobody listens to the discard port
        "SMTP_URL": "smtp://127.0.0.1:9",
        "MAIL_FROM": "Bookstall <shop@bookstall.example>",
        "SHOP_CLOCK_OFFSET_FILE": str(instance / "clock"),
        "INSTANCE": str(instance),
        "UNDO_SECONDS": "0",  # what can be taken back is a test's own wish
    }
    return Settings.from_environ({**environ, **changes})


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's folder on disk."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="session")
def _apps() -> Iterator[dict[str, Flask]]:
    """Shops once put together, by database and adapters."""
    kept: dict[str, Flask] = {}
    yield kept
    for app in kept.values():
        engine_of(app).dispose()


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates as they were compiled by the first of those shops."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def settings(request: pytest.FixtureRequest, database_url: str, instance: Path) -> Settings:
    """Settings of the shop under test. Whoever asks for ``sandbox`` too gets a shop that talks to it."""
    if "sandbox" not in request.fixturenames:
        return settings_for(database_url, instance)
    sandbox: Sandbox = request.getfixturevalue("sandbox")
    return settings_for(
        database_url,
        instance,
        STRIPE_API_BASE=sandbox.url,
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        SMTP_URL=f"smtp://127.0.0.1:{sandbox.smtp_port}",
        SHOP_CLOCK_OFFSET_FILE=str(sandbox.clock_file),
    )


@pytest.fixture
def gateway(app: Flask) -> FakeGateway:
    """The payment provider in memory that ``app`` talks to (unless the test asks for ``sandbox``)."""
    return app.extensions["shop.gateway"]  # type: ignore[no-any-return]


@pytest.fixture
def mailer(app: Flask) -> FakeMailer:
    """The mail server in memory that ``app`` talks to (unless the test asks for ``sandbox``)."""
    return app.extensions["shop.mailer"]  # type: ignore[no-any-return]


@pytest.fixture
def app(
    request: pytest.FixtureRequest,
    settings: Settings,
    _apps: dict[str, Flask],
    _templates: FileSystemBytecodeCache,
) -> Iterator[Flask]:
    """A shop with empty tables, at the real time."""
    outside = "sandbox" in request.fixturenames
    app = _apps.get(repr(settings))
    if app is None:
        adapters = {} if outside else {"gateway": FakeGateway(), "mailer": FakeMailer()}
        app = _apps[repr(settings)] = create_app(settings, **adapters)  # type: ignore[arg-type]
        app.jinja_env.bytecode_cache = _templates
    if not outside:
        app.extensions["shop.gateway"].forget()
        app.extensions["shop.mailer"].forget()
        Path(settings.shop_clock_offset_file).unlink(missing_ok=True)
    yield app
    empty(engine_of(app))


def empty(engine: Engine) -> None:
    """Delete every row, children first (faster than TRUNCATE); waits for a transaction that is still open."""
    statements = _emptying()
    if engine.dialect.name == "postgresql":
        statements = ["; ".join(statements)]  # all of them in one message
    for attempt in range(3):
        try:
            with engine.connect().execution_options(writing=True) as connection:
                for each in statements:
                    connection.exec_driver_sql(each)
                connection.execute(delete(Unconfirmed))  # one that the shop's public pages listen for
                connection.commit()
        except OperationalError:
            if attempt == 2:
                raise
        else:
            return


@cache
def _emptying() -> list[str]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot correctly sort tables")
        return [str(table.delete()) for table in reversed(Base.metadata.sorted_tables)]


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session of the test's own; the client ends its transaction after each request, so that it looks afresh."""
    with Session(engine_of(app)) as session:
        yield session


@pytest.fixture
def client(app: Flask, session: Session) -> Client:
    """A visitor of the shop: every page it gets is parsed strictly."""
    return make_client(app, after=session.rollback)


@pytest.fixture(scope="session")
def _sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with Sandbox(folder, port=free_port(), smtp_port=free_port()) as running:
        yield running


@pytest.fixture
def sandbox(_sandbox_process: Sandbox) -> Sandbox:
    """The real sandbox process, without faults; its time only ever moves on, and ``app`` reads the same clock.

    It knows no shop to send webhooks to: a test posts them itself, or asks for ``live_shop``.
    """
    _sandbox_process.control("faults", {"before": 0, "after": 0, "rate": 0})
    return _sandbox_process


@pytest.fixture(scope="session")
def _live_shop(
    request: pytest.FixtureRequest,
    new_database: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveShop]:
    url = "" if request.param == "sqlite" else new_database(request.param, "live")
    running = LiveShop(tmp_path_factory.mktemp("live"), url).start()
    yield running
    running.stop()


@pytest.fixture
def live_shop(_live_shop: LiveShop) -> LiveShop:
    """A whole shop over loopback, as `make run` starts it, on each database; its rows outlive the test."""
    _live_shop.calm()
    return _live_shop


class MovedClock:
    """The shop's clock, which a test may move by the file that development reads."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def advance(self, **by: float) -> datetime:
        """Move on by ``days=1``, ``minutes=45`` …; returns the shop's new now."""
        offset = self._offset() + timedelta(**by).total_seconds()
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{int(offset)}\n")
        draft.replace(self._file)
        return self.now()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset())

    def _offset(self) -> float:
        return float(self._file.read_text()) if self._file.exists() else 0.0


@pytest.fixture
def clock(settings: Settings, app: Flask) -> MovedClock:
    return MovedClock(Path(settings.shop_clock_offset_file))


@pytest.fixture
def now() -> datetime:
    """An instant for tests that do not read the clock."""
    return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def catalogue(session: Session) -> factories.Catalogue:
    """The shipped catalogue, everything in it confirmed, sold by a trader with a name and an address."""
    return factories.stock_the_shop(session)
