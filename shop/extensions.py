"""The bare extensions, and typed ways to what ``create_app`` has put together."""

from __future__ import annotations

from datetime import datetime
from functools import cache, cached_property
from gettext import NullTranslations
from typing import cast

from babel import Locale
from flask import Flask, Request, current_app, g, has_request_context
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_babel import Babel, Domain, get_locale
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from shop import changes, duty, sales, staff, stock, throttle, trader
from shop.catalogue import covers
from shop.catalogue import models as catalogue_models
from shop.clock import Clock
from shop.content import attachments
from shop.content import models as content_models
from shop.database import Base
from shop.letters import models as letter_models
from shop.letters import proof
from shop.letters.mailer import Mailer
from shop.libraries import models as library_models
from shop.libraries import paper_models
from shop.orders import models as order_models
from shop.orders import terms
from shop.payments import ledger
from shop.payments import models as payment_models
from shop.payments.gateway import PaymentGateway
from shop.settings import Settings
from shop.uploads import models as upload_models

TABLES = (
    attachments,
    catalogue_models,
    changes,
    content_models,
    covers,
    duty,
    ledger,
    letter_models,
    library_models,
    order_models,
    paper_models,
    payment_models,
    proof,
    sales,
    staff,
    stock,
    terms,
    throttle,
    trader,
    upload_models,
)
"""Every room that has tables, so that migrations see them all."""

ROOM: dict[str, int] = {}
"""Endpoints that take files, and how long a body may be there (bytes); each is entered by its own module."""

LONGEST_FILE: dict[str, int] = {}
"""Of these endpoints' files no more than so many bytes are kept while they come: what is longer is read and let go,
so that the form around it arrives whole and can say what is wrong with it."""


class Sessions(SecureCookieSessionInterface):
    """Flask's own sessions; whoever brings no cookie, as all readers do, costs no key derivation."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


class Texts(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    """Translations kept by locale; Flask-Babel would put the locale's name together anew for each of a page's texts."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Locale | None, NullTranslations] = {}

    def get_translations(self) -> NullTranslations:
        here = get_locale()
        found = self._known.get(here)
        if found is None:
            found = self._known[here] = super().get_translations()
        return found


class Languages(Babel):  # type: ignore[misc]
    """Flask-Babel with these texts."""

    @cached_property
    def domain_instance(self) -> Texts:
        return Texts()


db = SQLAlchemy(model_class=Base)
babel = Languages()
csrf = CSRFProtect()


def settings() -> Settings:
    return cast(Settings, current_app.extensions["shop.settings"])


def gateway() -> PaymentGateway:
    return cast(PaymentGateway, current_app.extensions["shop.gateway"])


def mailer() -> Mailer:
    return cast(Mailer, current_app.extensions["shop.mailer"])


def now() -> datetime:
    """The instant of this request: read once, the same to its end."""
    clock = cast(Clock, current_app.extensions["shop.clock"])
    if not has_request_context():
        return clock.now()
    if "now" not in g:
        g.now = clock.now()
    return cast(datetime, g.now)


def select_locale() -> Locale:
    """The locale that the page's address, or the person signed in, has chosen."""
    return _locale(g.get("locale", "en_GB"))


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name)
