"""``{% once … %}``: parts of a template that are made once for a shelf and a market, and then put in as they are.

What stands between the tags may depend on nothing but the catalogue on the shelf, the market, and the values that
the tag names (``{% once edition.slug %}``): few values, of the catalogue's, and none that somebody typed. Only a page
that was given a ``shelf`` (``framing.fill``) keeps them; everywhere else they are rendered like any other text.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from markupsafe import Markup

from shop.catalogue.shelf import Shelf

FIND, KEEP = "fragment", "kept_fragment"


class Once(Extension):
    """The tag ``{% once key, key … %} … {% endonce %}``.

    It becomes a look-up, and what is between the tags where that finds nothing: two calls of filters, since a form has
    a dozen of these and Jinja's own ways of calling (macros, methods of extensions) take longer than the look-up.
    """

    tags = {"once"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update({FIND: find, KEEP: keep})

    def parse(self, parser: Parser) -> list[nodes.Node]:
        line = next(parser.stream).lineno
        keys: list[nodes.Expr] = []
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            keys.append(parser.parse_expression())
        found, made = parser.free_identifier(), parser.free_identifier()
        place: list[nodes.Expr] = [nodes.Const(f"{parser.name}:{found.name}"), *keys]
        body = parser.parse_statements(("name:endonce",), drop_needle=True)
        look = nodes.Assign(found, _filter(nodes.Tuple(place, "load"), FIND))
        make = nodes.AssignBlock(made, None, body)
        kept = nodes.Output([_filter(made, KEEP, nodes.Tuple(place, "load"))])
        missing = nodes.Test(found, "none", [], [], None, None)
        return [
            look.set_lineno(line),
            nodes.If(missing, [make, kept], [], [nodes.Output([found])]).set_lineno(line),
        ]


def _filter(value: nodes.Expr, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None)


@pass_context
def find(context: Context, place: tuple[Any, ...]) -> Markup | None:
    """What was made of a fragment before for this shelf, market and keys."""
    shelf: Shelf | None = context.get("shelf")
    found: Markup | None = shelf.made.get((context["market"].slug, place)) if shelf else None
    return found


@pass_context
def keep(context: Context, made: Markup, place: tuple[Any, ...]) -> Markup:
    shelf: Shelf | None = context.get("shelf")
    if shelf:
        shelf.made[context["market"].slug, place] = made
    return made
