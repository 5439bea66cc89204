"""``{% once … %}``: parts of a template that are made once for a shelf and a market, and then put in as they are.

What stands between the tags may depend on nothing but the catalogue on the shelf, the market, and the values that the
tag names (``{% once edition.slug %}``): few values, that is, of the catalogue's and none that somebody typed. Only a page
that was given a ``shelf`` (``framing.fill``) keeps them; everywhere else they are rendered like any other text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context

from shop.catalogue.shelf import Shelf


class Once(Extension):
    """The tag ``{% once key, key … %} … {% endonce %}``."""

    tags = {"once"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        keys: list[nodes.Expr] = []
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            keys.append(parser.parse_expression())
        place = f"{parser.name}:{parser.free_identifier().name}"
        body = parser.parse_statements(("name:endonce",), drop_needle=True)
        call = self.call_method("kept", [nodes.ContextReference(), nodes.Const(place), nodes.Tuple(keys, "load")])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def kept(self, context: Context, place: str, keys: tuple[Any, ...], caller: Callable[[], str]) -> str:
        shelf: Shelf | None = context.get("shelf")
        if shelf is None:
            return caller()
        key = (place, context["market"].slug, keys)
        made = shelf.made.get(key)
        if made is None:
            made = shelf.made[key] = caller()
        text: str = made
        return text
