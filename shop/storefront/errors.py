"""Errors as pages, in the reader's language: one table from facts to words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, make_response, redirect, render_template, request
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from shop.errors import (
    CatalogueError,
    GatewayRefused,
    GatewayUnavailable,
    NotOrderable,
    OutOfStock,
    TooMany,
    WrongState,
)
from shop.extensions import db
from shop.storefront.addresses import meant


@dataclass(frozen=True, slots=True)
class Page:
    """What one kind of error says."""

    status: int
    title: LazyString
    text: LazyString


BAD_REQUEST = Page(
    400,
    _l("That request could not be read"),
    _l("Something in the address or in the form was damaged on its way. Please go back and try again."),
)
AWAY = _l("Our payment partner is not answering. Nothing was charged. Please try again in a few minutes.")
BUSY = Page(
    503,
    _l("The shop is busy for a moment"),
    _l("Nothing was charged and nothing is lost. Please try again in a minute."),
)

PAGES: dict[type[Exception] | int, Page] = {
    400: BAD_REQUEST,
    403: Page(
        403,
        _l("This was not sent from our own page"),
        _l(
            "For your safety the shop only takes what is sent from its own pages. Please open the page here again."
        ),
    ),
    404: Page(
        404,
        _l("There is no such page"),
        _l(
            "The address may have been mistyped, or the page may have moved. Everything in the shop is one click away."
        ),
    ),
    405: Page(
        405,
        _l("This page cannot be used like that"),
        _l("The address exists, but not for this kind of request. Please start from the page itself."),
    ),
    409: Page(
        409,
        _l("This is no longer possible"),
        _l("Something has changed in the meantime. Please open the page again to see how it stands now."),
    ),
    413: Page(
        413,
        _l("That was too much at once"),
        _l("More was sent than the shop can take. Please shorten the text and try again."),
    ),
    429: Page(
        429,
        _l("Too many tries in a short time"),
        _l("Please wait a little before you try again. Nothing was charged."),
    ),
    500: Page(
        500,
        _l("Something went wrong on our side"),
        _l("We are sorry. Nothing was charged by this page. Please try again in a few minutes."),
    ),
    502: Page(502, _l("The payment page could not be opened"), AWAY),
    503: BUSY,
    OutOfStock: Page(
        409,
        _l("Sorry, there are not enough copies left"),
        _l("Somebody was faster. Please go back to the order form to see what can still be had."),
    ),
    NotOrderable: Page(
        409,
        _l("This cannot be ordered as it stands"),
        _l("Please go back to the order form to see what can be ordered."),
    ),
    WrongState: Page(
        409,
        _l("This is no longer possible"),
        _l("The order has moved on in the meantime. Please open the order page again to see how it stands now."),
    ),
    TooMany: Page(
        429,
        _l("Too many tries in a short time"),
        _l("Please wait a little before you try again. Nothing was charged."),
    ),
    GatewayRefused: Page(502, _l("The payment page could not be opened"), AWAY),
    GatewayUnavailable: Page(503, _l("The payment page could not be opened"), AWAY),
    CatalogueError: Page(400, BAD_REQUEST.title, BAD_REQUEST.text),
    OperationalError: BUSY,
}


TOO_LARGE: dict[str, LazyString] = {}
"""What is said of a body that is too long, by the endpoint that it was for; each is entered by its own module."""


def init_app(app: Flask) -> None:
    for cause in PAGES:
        if isinstance(cause, type):
            app.register_error_handler(cause, show)
    app.register_error_handler(HTTPException, show)


def show(error: Exception) -> Any:
    """Answer an error with its page; an exception that the table does not know ends as 500."""
    if isinstance(error, HTTPException):
        if error.code is None or error.code < 400:
            return error
        if error.code == 404 and (address := meant()):
            return redirect(address, 301)
        known = PAGES.get(error.code) or PAGES[500 if error.code >= 500 else 400]
        text = TOO_LARGE.get(request.endpoint or "", known.text) if error.code == 413 else known.text
        response = answer(Page(error.code, known.title, text))
        for name, value in error.get_headers(None, {}):
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response
    page = next(PAGES[cause] for cause in type(error).__mro__ if cause in PAGES)
    response = answer(page)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def answer(page: Page) -> Response:
    g.no_twin = True
    if page.status >= 500:
        g.bare = True  # the database may be what is missing
    else:
        db.session.rollback()
    response = make_response(_write(page), page.status)
    response.headers["Cache-Control"] = "no-store"
    if page.status in (502, 503):
        response.headers["Retry-After"] = "60"
    if g.get("negotiated"):
        response.vary.add("Accept-Language")
    return response


def _write(page: Page) -> str:
    try:
        return render_template("storefront/error.html", page=page)
    except OperationalError:  # no such page, and no database either: the page is told without it
        db.session.remove()
        g.bare = True
        return render_template("storefront/error.html", page=page)
