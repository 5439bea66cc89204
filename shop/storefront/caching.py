"""Who may keep a page: public pages anybody, after asking whether they changed; everything else nobody."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Flask, Response, make_response, request
from werkzeug.wrappers import Response as BaseResponse

P = ParamSpec("P")
Answer = str | BaseResponse | tuple[str, int]
YEAR = 365 * 24 * 3600  # seconds


def init_app(app: Flask) -> None:
    app.after_request(keep_nothing_else)


def public(view: Callable[P, Answer]) -> Callable[P, Response]:
    """A page that depends on its address alone: kept by anybody, asked for again by its ETag."""

    @wraps(view)
    def cached(*args: P.args, **kwargs: P.kwargs) -> Response:
        response = make_response(view(*args, **kwargs))
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=0, must-revalidate"
            response.add_etag()
            response.make_conditional(request)
        return response

    return cached


def keep_nothing_else(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code in (200, 206, 304):
        lasting = "v" in request.args
        response.headers["Cache-Control"] = (
            f"public, max-age={YEAR}, immutable" if lasting else "public, max-age=3600"
        )
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
