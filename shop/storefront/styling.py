"""The stylesheet within a page, so that a first page is painted without waiting for a second request."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from flask import Flask, current_app, g, request
from markupsafe import Markup

STYLESHEET = "shop.css"
BYLINED = ("storefront.home", "storefront.edition")
WITH_TITLES = ("author", "reviews", "articles")
"""Pages of text that name journals or books."""
COMMENT = re.compile(r"/\*.*?\*/\n?", re.DOTALL)


def fonts_here() -> list[str]:
    """The fonts that the first screen of this page needs, so that none is asked for only once it has been laid out.

    The largest comes first: it takes the connection that is open already.
    """
    language = g.market.language
    names = [language, f"{language}-bold"]
    slanted = request.endpoint in BYLINED or (request.view_args or {}).get("slug") in WITH_TITLES
    if slanted or (request.endpoint == "storefront.recommend" and language == "en"):  # its letter comes first
        names.append(f"{language}-italic")
    return names


def inline_style() -> Markup | None:
    """The stylesheet to stand in a page that is kept; ``None`` where a link to it is better.

    A page that is computed and compressed for each reader links it: it would cost more time than it spares.
    """
    if not g.get("kept") or current_app.debug or request.script_root:
        return None
    return Markup(_style(str(current_app.static_folder)))  # noqa: S704 - our own


def style_source(app: Flask) -> str:
    """The inline stylesheet by its digest, as ``style-src`` names it (CSP level 3, 6.7.3.3)."""
    digest = hashlib.sha256(_style(str(app.static_folder)).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def mark_of(folder: str) -> str:
    """What stands for the content of all static files in their addresses."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _style(folder: str) -> str:
    """The stylesheet without its comments, and with fonts that are found from any page."""
    css = COMMENT.sub("", (Path(folder) / STYLESHEET).read_text(encoding="utf-8"))
    return css.replace('url("fonts/', f'url("/static/v-{mark_of(folder)}/fonts/')
