"""What stands around the middle of a page that is computed for every query: made once for a market, then filled.

Head, masthead and foot are two thirds of the order form's work and the same for every query, but for the links that
take along what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import current_app, g
from jinja2.runtime import Context

from shop.catalogue.shelf import Shelf
from shop.markets import MARKETS
from shop.storefront.addresses import elsewhere

MIDDLE = "\x00middle\x00"
TYPED = {"typed": "here"}
LINK = re.compile(r'"/([a-z-]+)/[a-z/-]+\?typed=here"')


def fill(shelf: Shelf, name: str, values: Mapping[str, Any]) -> str:
    """Render a template whose page differs from query to query in its block ``main`` and in ``elsewhere`` alone."""
    template = current_app.jinja_env.get_template(name)
    given = dict(values)
    current_app.update_template_context(given)
    context = template.new_context(given | {"market": g.market, "shelf": shelf})
    context.vars["m"] = current_app.jinja_env.get_template("_macros.html").module
    before, after = _frame(shelf, name, given)
    before = LINK.sub(lambda found: f'"{_escaped(elsewhere(MARKETS[found[1]]))}"', before)
    return "".join((before, *template.blocks["main"](context), after))


def _escaped(address: str) -> str:
    return address.replace("&", "&amp;")


def _frame(shelf: Shelf, name: str, given: dict[str, Any]) -> tuple[str, str]:
    key = (fill, name, g.market.slug)
    if key not in shelf.made:
        typed, g.typed = g.get("typed"), TYPED
        template = current_app.jinja_env.get_template(name)
        context = template.new_context(given)
        context.blocks["main"] = [_middle]
        whole = "".join(template.root_render_func(context))
        g.typed = typed
        before, _, after = whole.partition(MIDDLE)
        shelf.made[key] = before, after
    frame: tuple[str, str] = shelf.made[key]
    return frame


def _middle(_context: Context) -> Iterator[str]:
    yield MIDDLE
