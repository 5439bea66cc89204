"""Before a view: posts of other sites and broken input are refused. After it: the headers every answer carries.

All of it holds for every address of the shop, the desk and the webhook included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from urllib.parse import unquote_to_bytes

from flask import Flask, Request, Response, abort, current_app, request, session

from shop.extensions import LONGEST_FILE, ROOM, settings
from shop.settings import Settings
from shop.storefront.front import KEPT
from shop.storefront.styling import style_source

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_GUARD = ("/stripe/webhook",)  # carries a signature instead
BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
FORM, FILES = "application/x-www-form-urlencoded", "multipart/form-data"
HSTS = "max-age=31536000"
OF_DOCUMENTS = ("Content-Security-Policy", "Referrer-Policy", "Permissions-Policy", "Cross-Origin-Opener-Policy")
"""What a browser heeds in a document or a stylesheet: before each font half a kilobyte that a reader waits for."""
DRAINED = 4 * 1024 * 1024  # bytes
CHUNK = 64 * 1024
SPOOLED = 500 * 1024  # bytes; what is longer goes to a temporary file (as Werkzeug does it)


class CutFile(SpooledTemporaryFile[bytes]):
    """A file that is being sent, of which only the beginning is kept."""

    def __init__(self, most: int) -> None:
        super().__init__(max_size=SPOOLED, mode="w+b")
        self._most = most

    def write(self, data: Any) -> int:
        super().write(data[: max(0, self._most - self.tell())])
        return len(data)


class BoundedRequest(Request):
    """A request whose files are cut off where its view would refuse them anyway."""

    longest_file: int | None = None

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> IO[bytes]:
        if self.longest_file is None:
            return super()._get_file_stream(*args, **kwargs)
        return cast(IO[bytes], CutFile(self.longest_file + 1))


def init_app(app: Flask) -> None:
    app.request_class = BoundedRequest
    app.before_request(make_room)
    app.before_request(refuse_other_sites)
    app.before_request(refuse_broken_text)
    app.after_request(standing_headers(app))
    app.after_request(drain)


def make_room() -> None:
    """Let a body be longer than elsewhere where files are taken; at the desk, for browsers that have signed in."""
    known = request.blueprint != "admin" or "token" in session
    if request.endpoint in ROOM and request.mimetype == FILES and known:
        request.max_content_length = ROOM[request.endpoint]
        cast(BoundedRequest, request).longest_file = LONGEST_FILE.get(request.endpoint)


def refuse_other_sites() -> None:
    """A form of ours is sent by a page of ours: what the browser says of another origin is refused."""
    if request.method in SAFE_METHODS or request.path in OWN_GUARD:
        return
    site = request.headers.get("Sec-Fetch-Site", "").strip().lower()
    if site in ("same-origin", "none"):
        return
    origin = request.headers.get("Origin")
    if site in ("cross-site", "same-site") or (
        origin is not None and origin not in (settings().shop_url, _own_origin())
    ):
        abort(403)


def _own_origin() -> str:
    """Where the browser believes it is; nowhere for a ``Host`` that is none, such as ``xn--``."""
    try:
        return request.host_url.rstrip("/")
    except (UnicodeError, ValueError):
        return ""


def refuse_broken_text() -> None:
    """What is no text (bad percent-encoding, bad UTF-8, NUL, which PostgreSQL refuses) is a bad request.

    A page that reads no query takes any: search engines and advertisements hang words on an address, in old encodings.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if "\0" in request.path or (broken(request.query_string) and not hasattr(view, KEPT)):
        abort(400)
    if request.path in OWN_GUARD:
        return
    if request.mimetype == FORM and request.method not in SAFE_METHODS:
        if broken(request.get_data(cache=True)):
            abort(400)
    elif request.mimetype == FILES and request.method not in SAFE_METHODS:
        _refuse_nul(request.form.items(multi=True))
        _refuse_nul((name, file.filename or "") for name, file in request.files.items(multi=True))


def broken(encoded: bytes) -> bool:
    plain = unquote_to_bytes(encoded)
    if b"\0" in plain or BROKEN_PERCENT.search(encoded):
        return True
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _refuse_nul(pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        if "\0" in name or "\0" in value or "\ufffd" in value:
            abort(400)


def drain(response: Response) -> Response:
    """Read the rest of a body that is refused, within bounds: what is left unread ends the connection, and with it
    the answer that is on its way to the browser."""
    if response.status_code in (403, 413) and request.method not in SAFE_METHODS:
        stream = request.environ["wsgi.input"]
        for _ in range(max(DRAINED, 2 * (request.max_content_length or 0)) // CHUNK):
            if not stream.read(CHUNK):
                break
    return response


def standing_headers(app: Flask) -> Callable[[Response], Response]:
    """What every answer says, unless its view says otherwise."""
    of_shop: Settings = app.extensions["shop.settings"]
    origins = " ".join(("'self'", *of_shop.checkout_origins))
    policy = (
        f"default-src 'none'; style-src 'self' {style_source(app)}; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; "
        f"form-action {origins}; base-uri 'none'; frame-ancestors 'none'"
    )
    standing = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if of_shop.production:
        standing["Strict-Transport-Security"] = HSTS
    of_fonts = {name: value for name, value in standing.items() if name not in OF_DOCUMENTS}

    def add_headers(response: Response) -> Response:
        said = {name.lower() for name, _ in response.headers}
        wanted = of_fonts if (response.mimetype or "").startswith("font/") else standing
        response.headers.extend([pair for pair in wanted.items() if pair[0].lower() not in said])
        return response

    return add_headers
