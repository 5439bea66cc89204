"""Static files under an address that carries a mark of their content, so that browsers may keep them for good.

One mark stands for all files, as a folder in the address: a stylesheet names its fonts relative to itself.
"""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, abort, current_app
from werkzeug.security import safe_join

from shop.storefront import caching
from shop.storefront.addresses import link
from shop.storefront.styling import fonts_here, inline_style, mark_of

FOREVER = f"public, max-age={caching.YEAR}, immutable"
FOR_NOW = f"public, max-age={caching.HOUR}"
mimetypes.add_type("font/woff2", ".woff2")


def init_app(app: Flask) -> None:
    app.add_url_rule("/static/v-<mark>/<path:filename>", "asset", asset_file)
    app.jinja_env.globals.update(asset=asset, icon=icon, fonts_here=fonts_here, inline_style=inline_style)


def asset(filename: str) -> str:
    """The address of a static file."""
    return link("asset", mark=_mark(), filename=filename)


def icon() -> str:
    """The icon as an address that holds it: at 200 bytes, another request costs more. Search engines take the file."""
    return _icon(str(current_app.static_folder))


@cache
def _icon(folder: str) -> str:
    drawing = (Path(folder) / "icon.svg").read_text(encoding="utf-8").strip().replace('"', "'")
    return "data:image/svg+xml," + quote(drawing, safe="/:='")


@caching.kept
def asset_file(mark: str, filename: str) -> Response:
    """A static file; under the mark of another version, which a page kept elsewhere may still ask for, as it is now."""
    path = safe_join(str(current_app.static_folder), filename)
    if path is None or not Path(path).is_file():
        abort(404)
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    response = Response(Path(path).read_bytes(), mimetype=kind)
    response.headers["Cache-Control"] = FOREVER if mark == _mark() else FOR_NOW
    return caching.keep(response, None) if mark == _mark() else response


def _mark() -> str:
    folder = str(current_app.static_folder)
    return mark_of.__wrapped__(folder) if current_app.debug else mark_of(folder)
