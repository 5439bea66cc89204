"""Text as pages show it: Markdown, with a few names filled in, cleaned of everything that is not text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import nh3
from markdown_it import MarkdownIt

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
TAGS = {
    *("a", "abbr", "blockquote", "br", "cite", "code", "dd", "dl", "dt", "em", "h2", "h3", "h4", "hr", "i", "li"),
    *("ol", "p", "span", "strong", "table", "tbody", "td", "th", "thead", "time", "tr", "ul"),
}
ATTRIBUTES = {
    "*": {"lang", "id"},
    "a": {"href", "hreflang"},
    "time": {"datetime"},
    "th": {"scope"},
    "ol": {"start"},
}


@cache
def _markdown() -> MarkdownIt:
    # HTML is let through so that a phrase can say its language; nh3 decides what of it stays.
    return MarkdownIt("commonmark", {"html": True}).enable("table")


def to_html(text: str) -> str:
    """Markdown as safe HTML: no scripts, no styles, no pictures, no addresses but web, mail and our own."""
    return nh3.clean(
        _markdown().render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener",
    )


def inline(text: str) -> str:
    """One line of Markdown as safe HTML: emphasis and links, nothing else."""
    tags = {"a", "em", "i", "span", "strong", "cite"}
    return nh3.clean(
        _markdown().renderInline(text),
        tags=tags,
        attributes={"*": {"lang"}, "a": {"href", "hreflang"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener",
    )


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of ``{trader_name}`` and the like; a name that is not known is left as it stands.

    A value is text and nothing else: whatever would be Markdown or HTML in it is made harmless. What has no value
    vanishes: from a list within a line with its comma, and with the whole line when nothing else was to be told.
    """

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        if known is None:
            return found[0]
        lines = (MARKDOWN_SIGNS.sub(r"\\\1", line.strip()) for line in known.splitlines())
        return "\\\n".join(line for line in lines if line)

    told: list[str] = []
    for line in text.split("\n"):
        names = PLACEHOLDER.findall(line)
        empty = {name for name in names if not values.get(name, name).strip()}
        if empty and empty == set(names):
            # The blank line before it goes as well, so that nothing gapes.
            if told and told[-1].strip(" >") == "":
                told.pop()
            continue
        told.append(re.sub(rf",? ?\{{({'|'.join(empty)})\}}", "", line) if empty else line)
    return PLACEHOLDER.sub(value, "\n".join(told))
