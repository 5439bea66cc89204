"""News as Atom (RFC 4287), one feed for each language."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import Flask, Response, render_template, url_for
from markupsafe import Markup
from sqlalchemy import func, select

from shop.changes import Change
from shop.content import entries
from shop.content.models import Entry, EntryKind
from shop.content.rendering import to_html
from shop.content.typography import set_html
from shop.extensions import db, settings
from shop.markets import GENERIC, LANGUAGES, MARKETS
from shop.storefront.addresses import enter
from shop.storefront.caching import public

RELATIVE = re.compile(r'href="(?![a-z]+:|/|#)')
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
"""What an empty feed says of its last change."""


def init_app(app: Flask) -> None:
    app.add_url_rule(f"/feed.<any({', '.join(LANGUAGES)}):language>.xml", "feed", public(feed))


def feed(language: str) -> Response:
    market = MARKETS[GENERIC[language]]
    enter(market)
    session, root = db.session(), settings().shop_url
    page = root + url_for("storefront.page", slug="news", market=market)
    rows = []
    for entry, text in entries.shown(session, EntryKind.NEWS, language):
        # A reader of the feed has no page that an address such as ``books/russian`` could begin at.
        html = RELATIVE.sub(f'href="{root}/{market.slug}/', set_html(to_html(text.text), language))
        rows.append((entry, text, changed_at(entry), Markup(html)))  # noqa: S704 - cleaned by to_html
    xml = render_template(
        "storefront/feed.xml",
        language=language,
        page=page,
        home=root + url_for("storefront.home", market=market),
        address=root + url_for("feed", language=language),
        host=urlsplit(root).hostname,
        updated=max((at for _, _, at, _ in rows), default=BEFORE_ALL),
        rows=rows,
    )
    return Response(xml, content_type="application/atom+xml; charset=utf-8")


def changed_at(entry: Entry) -> datetime:
    """When an entry was published, or changed after that."""
    last = select(func.max(Change.at)).where(Change.subject == entries.subject(entry.id))
    published = entry.published_at or BEFORE_ALL
    return max(db.session().scalar(last) or published, published)
