"""Addresses: the market at their beginning, the language it brings, and the same page in the other markets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import Flask, g, request, url_for
from flask.globals import request_ctx
from flask_babel import refresh
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map

from shop.extensions import settings
from shop.markets import GENERIC, MARKETS, Market, Region, negotiate

PLAIN_IN_A_QUERY = "!$'()*,/:;?@"
"""As Werkzeug leaves them (WHATWG URL)."""
CAUGHT = "/.,;:!?…)]}>»”’\"'\u00a0\u200b \t\r\n"
"""What stands after an address in a sentence or in a letter, and comes along when it is copied or clicked."""


class MarketConverter(BaseConverter):
    """Accepts the markets that are kept and nothing else, so that any other first part is not found."""

    def __init__(self, map: Map) -> None:  # noqa: A002 - Werkzeug's name for it
        super().__init__(map)
        self.regex = "|".join(re.escape(slug) for slug in MARKETS)

    def to_python(self, value: str) -> Market:
        return MARKETS[value]

    def to_url(self, value: Market | str) -> str:
        return str(value)


def init_app(app: Flask) -> None:
    app.url_map.converters["market"] = MarketConverter
    app.before_request(choose_language)

    @app.url_defaults
    def same_market(endpoint: str, values: dict[str, Any]) -> None:
        if "market" not in values and app.url_map.is_endpoint_expecting(endpoint, "market") and "market" in g:
            values["market"] = g.market

    app.jinja_env.globals.update(
        url_for=link,
        elsewhere=elsewhere,
        alternates=alternates,
        canonical=canonical,
        may_be_found=may_be_found,
        market_now=market_now,
        order_address=order_address,
    )


def link(endpoint: str, **values: Any) -> str:
    """``url_for``, which remembers what pages of thirty links ask for again and again."""
    here = request_ctx._get_current_object() if request_ctx else None  # type: ignore[attr-defined]
    market: Market | None = g.get("market") if here else None
    if here is None or market is None or here.request.script_root:
        return url_for(endpoint, **values)
    given = tuple([(name, str(value)) for name, value in values.items() if value is not None])
    return _link(here.app, market.slug, endpoint, given)


@lru_cache(4096)
def _link(_app: Flask, _market: str, endpoint: str, values: tuple[tuple[str, str], ...]) -> str:
    return url_for(endpoint, **dict(values))  # type: ignore[arg-type]


def choose_language() -> None:
    """Take market and language from the address; without one there, from what the browser asks for."""
    if request_ctx.url_adapter is None:  # a host that is not ours: the error page still needs addresses
        request_ctx.url_adapter = request_ctx.app.url_map.bind("localhost")
    named = MARKETS.get(request.path.split("/", 2)[1] if "/" in request.path else "")
    g.negotiated = named is None
    enter(named or negotiate(request.accept_languages))


def enter(market: Market) -> None:
    """Answer this request in a market: its language, its currency, its links."""
    g.market, g.locale = market, market.locale
    refresh()


def meant() -> str | None:
    """Another address that this one was meant to be: with a slash or a full stop too much, or in capitals."""
    if request.method not in ("GET", "HEAD") or request.path.startswith("//"):
        return None
    plain = request.path.rstrip(CAUGHT)
    first, slash, rest = plain.lstrip("/").partition("/")
    tries = [f"/{first.lower()}{slash}{rest}" if first.lower() in MARKETS else plain]
    if request.url_rule is None:  # capitals matter in a secret, which only its view knows
        tries.append(plain.lower())
    for path in tries:
        if path.strip("/") in MARKETS:
            path += "/"
        if path != request.path and _is_a_page(path):
            query = request.query_string.decode("ascii", "replace")
            return quote(path, safe="/:@-._~!$&'()*+,;=") + (f"?{query}" if query else "")
    return None


def _is_a_page(path: str) -> bool:
    adapter = request_ctx.url_adapter
    if adapter is None:
        return False
    try:
        endpoint, _ = adapter.match(path, "GET")
    except HTTPException:  # no page, or only a way to one
        return False
    return not endpoint.startswith("admin.")


def take_market(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Views find the market in ``g``, not among their arguments."""
    if values is not None:
        values.pop("market", None)


def market_now() -> Market:
    market: Market = g.market
    return market


def elsewhere(market: Market) -> str:
    """The address of this same page in another market, with what was typed into the order form.

    The price follows the country, so whoever changes the region there is shown its home country.
    """
    endpoint = request.endpoint
    if endpoint is None or not endpoint.startswith("storefront.") or g.get("no_twin"):
        return url_for("storefront.home", market=market)
    address = link(endpoint, **(request.view_args or {}), market=market)
    query = typed_for(market.region)
    return f"{address}?{query}" if query else address


def typed_for(region: Region) -> str:
    """What was typed into the order form, as a query in the markets of a region."""
    typed = g.get("typed", {})
    if "country" in typed and region is not g.market.region:
        typed = typed | {"country": region.home}
    return urlencode(typed, safe=PLAIN_IN_A_QUERY)


def order_address(slug: str) -> str:
    """The order form with one copy of an edition, to the region's home country."""
    query: dict[str, Any] = {slug: 1, "country": g.market.region.home}
    return url_for("storefront.order", **query)


def may_be_found() -> bool:
    """Whether this is a page with an address of its own in every market."""
    return (request.endpoint or "").startswith("storefront.") and not g.get("no_twin")


def canonical(market: Market | None = None) -> str:
    """The whole address of this page, in this market or another, without any query."""
    return whole(request.endpoint or "storefront.home", request.view_args or {}, market or g.market)


def whole(endpoint: str, arguments: Mapping[str, Any], market: Market) -> str:
    return settings().shop_url + link(endpoint, **arguments, market=market)


def alternates(endpoint: str = "", arguments: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    """(hreflang, whole address) of a page in every market, each language's generic one, and the rest; this page's
    unless another is named."""
    if not endpoint:
        endpoint, arguments = request.endpoint or "storefront.home", request.view_args
    there = {slug: whole(endpoint, arguments or {}, market) for slug, market in MARKETS.items()}
    pairs = []
    for slug, address in there.items():
        language, region = slug.split("-")
        pairs.append((f"{language}-{region.upper()}", address))
    pairs += [(language, there[slug]) for language, slug in GENERIC.items()]
    pairs.append(("x-default", settings().shop_url + "/"))
    return pairs
