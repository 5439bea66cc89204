"""The layer in front of Flask: public pages and static files answered from bytes that are ready.

It is WSGI and nothing else. What a view has marked as kept (``storefront.caching``) is made once by the shop itself,
asked as the shop's own host with nothing of the visitor's request but the path, and then answered from memory with its
full headers, compressed, until the shop is in another ``State``. Whatever is not kept goes on to the shop as it came.

Each process looks the state up at most every ``LOOK`` seconds, and at once after a commit of its own that may have
changed a page; nobody is answered from a state that was looked up ``LONGEST`` seconds ago or more. While the database
does not answer that question, pages are not vouched for: requests go on to the shop, which says that it is busy.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import brotli
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.datastructures import Accept, Headers
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.http import parse_accept_header, parse_etags
from werkzeug.sansio.utils import get_host
from werkzeug.test import EnvironBuilder, run_wsgi_app

from shop.catalogue import shelf, version
from shop.catalogue.shelf import Shelf
from shop.catalogue.version import State, Watch
from shop.clock import Clock
from shop.database import look
from shop.markets import day_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

KEPT = "kept_in_front"
"""Marks a view whose answers may be kept."""
TICKET = "shop.ticket"
LOOK, LONGEST = 0.4, 0.9  # seconds
LOCKS = 64
COMPRESSED = ("text/", "application/json", "application/xml", "application/atom+xml", "image/svg+xml")
MOST = 32 * 1024 * 1024  # bytes of all that is kept, uncompressed
OFTEN_KNOWN = 1000
"""So many different hosts, lists of codings, and paths of no kept page are remembered."""
NOTHING: tuple[State | None, object, float] = (None, object(), float("-inf"))
NOT_OF_A_304 = ("content-type", "content-length", "content-encoding")


@dataclass(slots=True)
class Ticket:
    """Comes with a request for an answer to be kept; the view says whether it may, and for which state."""

    admitted: bool = False
    state: State | None = None
    """``None``: for as long as the process lives."""

    def admit(self, state: State | None) -> None:
        self.admitted, self.state = True, state


@dataclass(frozen=True, slots=True)
class Variant:
    """An answer in one coding, ready to be sent."""

    etag: str
    headers: list[tuple[str, str]]
    headers_unchanged: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True)
class Kept:
    """An answer with its headers; each coding is made when it is first asked for."""

    state: State | None
    headers: Headers
    body: bytes
    variants: dict[str, Variant] = field(default_factory=dict)

    def variant(self, coding: str) -> Variant:
        found = self.variants.get(coding)
        if found is None:
            found = self.variants[coding] = self._make(coding)
        return found

    def _make(self, coding: str) -> Variant:
        mark = hashlib.sha256(repr(list(self.headers)).encode() + self.body).hexdigest()[:20]
        body, headers = self.body, Headers(self.headers)
        if coding and not headers.get("Content-Type", "").startswith(COMPRESSED):
            coding = ""
        if coding:
            body = brotli.compress(body) if coding == "br" else gzip.compress(body, 9, mtime=0)
            headers["Content-Encoding"] = coding
        etag = f'"{mark}-{coding}"' if coding else f'"{mark}"'
        headers["ETag"], headers["Vary"] = etag, "Accept-Encoding"
        headers["Content-Length"] = str(len(body))
        listed = headers.to_wsgi_list()
        return Variant(etag, listed, [pair for pair in listed if pair[0].lower() not in NOT_OF_A_304], body)

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        coding = best_coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
        variant = self.variants.get(coding) or self.variant(coding)
        asked = environ.get("HTTP_IF_NONE_MATCH")
        if asked is not None and (asked == variant.etag or parse_etags(asked).contains_weak(variant.etag[1:-1])):
            start_response("304 NOT MODIFIED", list(variant.headers_unchanged))
            return ()
        start_response("200 OK", list(variant.headers))
        return () if environ["REQUEST_METHOD"] == "HEAD" else (variant.body,)


@lru_cache(OFTEN_KNOWN)
def best_coding(accepted: str) -> str:
    """``br``, ``gzip`` or nothing, as the reader's software takes it (RFC 9110, 12.5.3)."""
    codings = parse_accept_header(accepted, Accept)
    best = max(("br", "gzip"), key=lambda each: (codings.quality(each), each == "br"))
    return best if codings.quality(best) > 0 else ""


class Front:
    """The layer of one process. ``inner`` is the shop as WSGI."""

    def __init__(self, app: Flask, engine: Engine, watch: Watch) -> None:
        self._app, self._inner, self._engine, self._watch = app, app.wsgi_app, engine, watch
        self._clock: Clock = app.extensions["shop.clock"]
        self._own: str = app.extensions["shop.settings"].shop_url
        self._kept: dict[str, Kept] = {}
        self._size = 0
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._looking, self._keeping, self._shelving = (threading.Lock() for _ in range(3))
        self._known = NOTHING
        self._shelf: tuple[State, Shelf] | None = None
        self._addresses = app.url_map.bind("localhost")
        self._is_ours: Callable[[str, str], bool] = lru_cache(OFTEN_KNOWN)(self._trusts)
        self._may_be_kept: Callable[[str], bool] = lru_cache(OFTEN_KNOWN)(self._is_of_a_kept_view)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            kept = self._find(environ)
            if kept is not None:
                return kept.answer(environ, start_response)
        return self._inner(environ, start_response)

    def _find(self, environ: WSGIEnvironment) -> Kept | None:
        """What may be answered from memory, made now if need be; ``None`` for whatever the shop is to answer."""
        path: str = environ["PATH_INFO"]
        if environ.get("SCRIPT_NAME") or self._app.debug:
            return None
        if not self._is_ours(environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")):
            return None
        kept = self._kept.get(path)
        if kept is None:
            return self._make(path) if self._may_be_kept(path) else None
        state = self._state() if kept.state else None
        if state == kept.state:
            return kept
        return self._make(path) if state else None

    def _trusts(self, scheme: str, host: str) -> bool:
        """As Flask decides it before it looks for a view."""
        try:
            get_host(scheme, host, None, self._app.config["TRUSTED_HOSTS"])
        except SecurityError:
            return False
        return True

    def _is_of_a_kept_view(self, path: str) -> bool:
        try:
            endpoint, _ = self._addresses.match(path.encode("latin-1").decode(), "GET")
        except (HTTPException, UnicodeDecodeError):
            return False
        return hasattr(self._app.view_functions[endpoint], KEPT)

    def _make(self, path: str) -> Kept | None:
        """Have the shop make an answer, once for all who wait for it; ``None`` if it is not one to be kept."""
        with self._locks[hash(path) % LOCKS]:
            kept = self._kept.get(path)
            # Whoever was here before may have begun before a change that this reader already knows of.
            if kept is not None and kept.state in (None, self._state()):
                return kept
            kept = self._ask(path)
            if kept is not None:
                self._keep(path, kept)
            return kept

    def _ask(self, path: str) -> Kept | None:
        ticket = Ticket()
        environ = EnvironBuilder(base_url=self._own).get_environ()
        environ |= {"PATH_INFO": path, TICKET: ticket}
        chunks, status, headers = run_wsgi_app(self._inner, environ, buffered=True)
        of_a_visitor = "Set-Cookie" in headers or headers.get("Vary", "Accept-Encoding") != "Accept-Encoding"
        if not ticket.admitted or not status.startswith("200") or of_a_visitor:
            return None
        return Kept(ticket.state, headers, b"".join(chunks))

    def _keep(self, path: str, kept: Kept) -> None:
        with self._keeping:
            self._size += len(kept.body)
            if self._size > MOST:  # there are fewer pages than that; whoever makes it fill up gains nothing
                self._kept, self._size = {}, len(kept.body)
            self._kept[path] = kept
            if kept.state not in (None, self._known[0]):  # it knows more than was looked up last
                self._known = NOTHING

    def shelf(self) -> Shelf | None:
        """The catalogue in memory, as old at most as a page might be; ``None`` while the database is away."""
        state = self._state()
        if state is None:
            return None
        with self._shelving:
            if self._shelf is None or self._shelf[0] != state:
                with Session(self._engine) as session:
                    look(session)
                    read = version.state(session, state.day)
                    self._shelf = read, shelf.read(session, read.availability)
                if read != state:
                    self._known = NOTHING
            return self._shelf[1]

    def _state(self) -> State | None:
        """The state that the shop is in, ``LONGEST`` ago at most; ``None`` while the database does not say."""
        state, mark, at = self._known
        age, certain = time.monotonic() - at, mark is self._watch.mark
        if certain and age < LOOK:
            return state
        # One asks; the others wait only if what is known may no longer be told.
        if not self._looking.acquire(blocking=not certain or age >= LONGEST):
            return state
        try:
            if self._known[2] == at or self._known[1] is not self._watch.mark:
                self._known = self._look_up()
            return self._known[0]
        finally:
            self._looking.release()

    def _look_up(self) -> tuple[State | None, object, float]:
        mark, at = self._watch.mark, time.monotonic()
        try:
            with self._engine.connect() as connection:
                return version.state(connection, day_of(self._clock.now())), mark, at
        except SQLAlchemyError as error:
            log.warning("pages are not vouched for, since the database does not answer: %s", error)
            return None, mark, at
