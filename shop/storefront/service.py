"""Addresses for machines: the entrance, robots, site map, health and metrics."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator

from flask import Flask, Response, abort, g, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from shop import revisions
from shop.catalogue import offers
from shop.catalogue.models import Edition
from shop.extensions import db, settings
from shop.letters.models import Letter, LetterState
from shop.orders.models import Order
from shop.payments.models import InboxEvent, InboxState
from shop.settings import ROOT
from shop.stock import Stock
from shop.storefront.addresses import alternates, whole
from shop.storefront.caching import fixed, public
from shop.storefront.pages import TEXT_PAGES

FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


def init_app(app: Flask) -> None:
    app.add_url_rule("/", "entrance", entrance)
    app.add_url_rule("/robots.txt", "robots", fixed(robots))
    app.add_url_rule("/sitemap.xml", "sitemap", public(sitemap))
    app.add_url_rule("/favicon.ico", "favicon", fixed(favicon))
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", metrics)


def entrance() -> BaseResponse:
    """Lead the reader to the market of his language."""
    response = redirect(url_for("storefront.home", market=g.market), 302)
    response.vary.add("Accept-Language")
    return response


def plain(text: str, status: int = 200, kind: str = "text/plain") -> Response:
    return Response(text, status, content_type=f"{kind}; charset=utf-8")


def robots() -> Response:
    lines = [
        "User-agent: *",
        "Disallow: /admin/",
        "Disallow: /distributor/",
        f"Sitemap: {settings().shop_url}/sitemap.xml",
    ]
    return plain("\n".join(lines) + "\n")


def sitemap() -> Response:
    """Every public page in every market, with its twins."""
    places: list[tuple[str, dict[str, str]]] = [("storefront.home", {})]
    places += [("storefront.edition", {"slug": each.slug}) for each in offers.editions(db.session())]
    places += [(f"storefront.{each}", {}) for each in ("order", "libraries", "recommend", "withdraw")]
    places += [("storefront.page", {"slug": slug}) for slug in TEXT_PAGES]
    xml = render_template("storefront/sitemap.xml", places=places, alternates=alternates, whole=whole)
    return plain(xml, kind="application/xml")


def favicon() -> Response:
    response = Response((ROOT / "shop" / "static" / "icon.svg").read_bytes(), mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


def healthz() -> Response:
    return plain("ok\n")


def readyz() -> Response:
    """200 when the database answers and its tables are those of this code."""
    try:
        current = revisions.applied(db.session().connection())
    except SQLAlchemyError:
        return plain("database unreachable\n", 503)
    if current != revisions.heads():
        return plain("migrations pending\n", 503)
    return plain("ready\n")


def metrics() -> Response:
    """Prometheus' text format; for this machine itself, or whoever bears the token."""
    if not (_from_here() or _bears_token()):
        abort(403)
    return plain("\n".join(_lines()) + "\n", kind="text/plain; version=0.0.4")


def _from_here() -> bool:
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _bears_token() -> bool:
    token = settings().metrics_token
    given = request.headers.get("Authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _lines() -> Iterator[str]:
    session = db.session()
    yield "# HELP bookstall_orders Orders by payment and fulfilment state."
    yield "# TYPE bookstall_orders gauge"
    counted = select(Order.payment_state, Order.fulfilment_state, func.count()).group_by(
        Order.payment_state, Order.fulfilment_state
    )
    for payment, fulfilment, count in session.execute(counted):
        yield f'bookstall_orders{{payment="{payment.value}",fulfilment="{fulfilment.value}"}} {count}'
    attention = session.scalar(select(func.count()).select_from(Order).where(Order.needs_attention))
    yield "# HELP bookstall_orders_needing_attention Orders a person has to look at."
    yield "# TYPE bookstall_orders_needing_attention gauge"
    yield f"bookstall_orders_needing_attention {attention}"
    owed = session.scalar(select(func.count()).select_from(Letter).where(Letter.state == LetterState.OWED))
    yield "# HELP bookstall_letters_owed Letters not sent yet."
    yield "# TYPE bookstall_letters_owed gauge"
    yield f"bookstall_letters_owed {owed}"
    pending = select(func.count()).select_from(InboxEvent).where(InboxEvent.state == InboxState.NEW)
    yield "# HELP bookstall_inbox_open Webhooks kept and not settled yet."
    yield "# TYPE bookstall_inbox_open gauge"
    yield f"bookstall_inbox_open {session.scalar(pending)}"
    yield "# HELP bookstall_stock Copies by edition and kind."
    yield "# TYPE bookstall_stock gauge"
    for slug, stock in session.execute(select(Edition.slug, Stock).join(Stock, Stock.edition_id == Edition.id)):
        for kind in ("on_hand", "held", "allocated", "available"):
            yield f'bookstall_stock{{edition="{slug}",kind="{kind}"}} {getattr(stock, kind)}'
