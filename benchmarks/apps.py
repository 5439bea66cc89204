"""What is measured: the shop's webhook, and the two floors it is held against."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stripe
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shop.app import create_app
from shop.payments.stripe_gateway import StripeGateway
from shop.settings import Settings

PLACE = "@@"
"""Stands in the recording where the page's own number was: ``cs_test_@@``, ``pi_@@``, ``ch_@@``."""


def hello() -> Flask:
    """The lower floor: a bare Flask endpoint that says hello."""
    app = Flask("hello")

    @app.route("/", methods=["GET", "POST"])
    def say() -> str:
        return "hello"

    return app


class Base(DeclarativeBase):
    pass


class Note(Base):
    """A row of the upper floor."""

    __tablename__ = "bench_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def insert() -> Flask:
    """The upper floor: a bare Flask endpoint that inserts one row and commits. The table is made beforehand, once."""
    app = Flask("insert")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 20}
    database = SQLAlchemy(app, model_class=Base)

    @app.post("/")
    def write() -> str:
        database.session.add(Note(text="a row", at=datetime.now(UTC)))
        database.session.commit()
        return "hello"

    return app


class Recorded(stripe.HTTPClient):
    """Stripe's answer about one paid page, recorded, given for whichever page is asked about, at once.

    So Stripe's own time and the network's are taken off, while the package's work on each answer is not.
    """

    name = "recorded"

    def __init__(self, answer: str) -> None:
        super().__init__()
        self._answer = answer

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        page = url.partition("?")[0].rpartition("_")[2]
        return self._answer.replace(PLACE, page), 200, {"Request-Id": "req_recorded"}

    def close(self) -> None:
        """Nothing is open."""


class RecordedGateway(StripeGateway):
    """The shop's own gateway, with a recorded Stripe behind the package."""

    def __init__(self, settings: Settings, answer: str) -> None:
        super().__init__(settings.stripe_secret_key, settings.stripe_api_base, settings.webhook_secrets)
        self._recorded = stripe.StripeClient(settings.stripe_secret_key, http_client=Recorded(answer))

    def _stripe(self) -> stripe.StripeClient:
        return self._recorded


def settling() -> Flask:
    """The shop, asked to settle paid checkouts by webhook."""
    settings = Settings.from_environ(os.environ)
    answer = Path(os.environ["BENCH_ANSWER"]).read_text()
    return create_app(settings, gateway=RecordedGateway(settings, answer))


def pages() -> Flask:
    """The shop as it is."""
    return create_app(Settings.from_environ(os.environ))
