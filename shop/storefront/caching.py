"""Who may keep an answer: public pages anybody, after asking whether they changed; everything else nobody.

What ``public`` and ``fixed`` mark is also kept by the layer in front of the shop (``front``), which asks for
it with a ``Ticket`` in the environment; without one, the answer is made each time.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import brotli
from flask import Flask, Response, current_app, g, make_response, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from shop.catalogue import shelf, version
from shop.catalogue.version import State
from shop.database import look
from shop.extensions import db, now, settings
from shop.markets import day_of
from shop.storefront.front import KEPT, TICKET, Front, Ticket, best_coding

P = ParamSpec("P")
T = TypeVar("T")
Answer = str | BaseResponse | tuple[str, int]
YEAR = 365 * 24 * 3600  # seconds
HOUR = 3600


QUICK = 1
"""Brotli's quality for what is compressed on the way: a third of the size in the twentieth of a millisecond."""


def init_app(app: Flask) -> None:
    app.after_request(keep_nothing_else)
    app.after_request(compress)


def public(view: Callable[P, Answer]) -> Callable[P, Response]:
    """A page that depends on its address and on ``State`` alone: kept by anybody, asked for again by its ETag.

    All of it is read at one moment, the state included, so that the two belong together whatever is changed
    meanwhile. A query is not part of the address.
    """

    @wraps(view)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Response:
        session = db.session()
        look(session)
        state = version.state(session, day_of(now()))
        g.kept = True
        return keep(make_response(view(*args, **kwargs)), state)

    return kept(cached)


def fixed(view: Callable[P, Answer]) -> Callable[P, Response]:
    """An answer that depends on nothing but its address and this code."""

    @wraps(view)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Response:
        return keep(make_response(view(*args, **kwargs)), None)

    return kept(cached)


def kept(view: Callable[P, T]) -> Callable[P, T]:
    """Mark a view some of whose answers may be kept, those that it hands to ``keep``."""
    setattr(view, KEPT, True)
    return view


def keep(response: Response, state: State | None) -> Response:
    """Let an answer be kept while the shop is in a state; without one, for as long as this code runs."""
    if response.status_code != 200:
        return response
    response.headers.setdefault("Cache-Control", f"public, max-age={settings().page_seconds}, must-revalidate")
    ticket = request.environ.get(TICKET)
    if isinstance(ticket, Ticket):
        ticket.admit(state)
    else:
        response.add_etag()
        response.make_conditional(request)
    return response


def from_the_shelf(session: Session) -> None:
    """Let what a form shows of the catalogue come from memory, where it is as old as a public page at most."""
    front: Front = current_app.extensions["shop.front"]
    shelf.use(session, front.shelf())


def keep_nothing_else(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code in (200, 206, 304):
        response.headers["Cache-Control"] = f"public, max-age={HOUR}"
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def compress(response: Response) -> Response:
    """Make the forms, which are computed each time, small on the wire.

    Not where an address carries a secret, nor at the desk: what stands beside one must not be guessed from lengths.
    """
    views, arguments = request.endpoint or "", request.view_args or {}
    if not views.startswith("storefront.") or "token" in arguments or response.mimetype != "text/html":
        return response
    response.vary.add("Accept-Encoding")
    coding = best_coding(request.headers.get("Accept-Encoding", ""))
    if coding:
        plain = response.get_data()
        response.set_data(brotli.compress(plain, quality=QUICK) if coding == "br" else gzip.compress(plain, QUICK))
        response.headers["Content-Encoding"] = coding
    return response
