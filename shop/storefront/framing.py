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
from markupsafe import escape

from shop.catalogue.shelf import Shelf
from shop.markets import REGIONS
from shop.storefront.addresses import typed_for

MIDDLE = "\x00middle\x00"
TYPED = re.compile(r"(?<=\?)country=([A-Z]{2})&amp;typed=here")


def fill(shelf: Shelf, name: str, values: Mapping[str, Any]) -> str:
    """Render a template whose page differs from query to query in its block ``main`` and in ``elsewhere`` alone."""
    template = current_app.jinja_env.get_template(name)
    given = dict(values)
    current_app.update_template_context(given)
    context = template.new_context(given | {"market": g.market, "shelf": shelf})
    context.vars["m"] = current_app.jinja_env.get_template("_macros.html").module
    before, after = _frame(shelf, name, given)
    typed = {region.home: escape(typed_for(region)) for region in REGIONS.values()}
    head = [typed.get(part, part) for part in before]
    return "".join((*head, *template.blocks["main"](context), after))


def _frame(shelf: Shelf, name: str, given: dict[str, Any]) -> tuple[list[str], str]:
    """What stands before the middle, cut where links take along what was typed (text, home country of the
    link's region, text, …), and what stands after it."""
    key = (fill, name, g.market.slug)
    if key not in shelf.made:
        typed, g.typed = g.get("typed"), {"country": g.market.region.home, "typed": "here"}
        template = current_app.jinja_env.get_template(name)
        context = template.new_context(given)
        context.blocks["main"] = [_middle]
        whole = "".join(template.root_render_func(context))
        g.typed = typed
        before, _, after = whole.partition(MIDDLE)
        shelf.made[key] = TYPED.split(before), after
    frame: tuple[list[str], str] = shelf.made[key]
    return frame


def _middle(_context: Context) -> Iterator[str]:
    yield MIDDLE
