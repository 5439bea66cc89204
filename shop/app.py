"""``create_app()``: the only place where the parts meet."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

from shop import admin, cli, storefront, webhooks
from shop.catalogue.version import Watch
from shop.clock import Clock
from shop.database import engine_options, prepare
from shop.extensions import Sessions, babel, csrf, db, select_locale
from shop.letters.mailer import Mailer, SmtpMailer
from shop.payments.gateway import PaymentGateway
from shop.payments.stripe_gateway import StripeGateway
from shop.settings import ROOT, Settings, environment
from shop.storefront.front import Front

MAX_BODY = 256 * 1024  # bytes; the webhook has its own, larger limit


def create_app(
    settings: Settings | None = None,
    *,
    gateway: PaymentGateway | None = None,
    mailer: Mailer | None = None,
) -> Flask:
    """Put a shop together from its settings; tests may hand in a gateway and a mailer of their own."""
    settings = settings or Settings.from_environ(environment(os.environ))
    settings.instance_path.mkdir(parents=True, exist_ok=True)
    app = Flask(
        "shop",
        root_path=str(ROOT / "shop"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "shop" / "static"),
        instance_path=str(settings.instance_path),
    )
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "translations"),
        BABEL_DEFAULT_LOCALE="en_GB",
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        TRUSTED_HOSTS=settings.hosts,
        SESSION_COOKIE_NAME="desk",
        SESSION_COOKIE_PATH="/admin",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.production,
        # Forms behind the sign-in carry a token; public ones are guarded by where they come from.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = Sessions()
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.extensions["shop.settings"] = settings
    app.extensions["shop.clock"] = Clock(settings.shop_clock_offset_file)
    app.extensions["shop.gateway"] = gateway or StripeGateway(
        settings.stripe_secret_key, settings.stripe_api_base, settings.webhook_secrets
    )
    app.extensions["shop.mailer"] = mailer or SmtpMailer(settings.smtp_url)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    prepare(engine)
    watch = Watch(engine)
    app.extensions["migrate"] = LocalProxy(lambda: _migrations(app))
    babel.init_app(app, locale_selector=select_locale)
    csrf.init_app(app)
    storefront.init_app(app)
    admin.init_app(app)
    webhooks.init_app(app)
    cli.init_app(app)
    front = app.extensions["shop.front"] = Front(app, engine, watch)
    app.wsgi_app = front  # type: ignore[method-assign]
    if settings.proxies:  # outermost: the front, too, is to see the host that the reader's browser asked
        hops = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _migrations(app: Flask) -> Any:
    """Flask-Migrate's part of the app, once a command asks for it (``cli.Migrations``)."""
    from flask_migrate import Migrate

    Migrate().init_app(app, db, directory=str(ROOT / "migrations"))
    return app.extensions["migrate"]
