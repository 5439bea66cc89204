"""How often somebody may be wrong about a password or a code, and browsers that are known.

Tries are counted for an account from one address, for an address, and for an account from everywhere. A browser that
has signed in to the account before carries a signed cookie and is counted by itself, so that no guesser, not even one
behind the same address, keeps the owner out. What turns out right is not counted.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from datetime import timedelta

from flask import request
from flask.wrappers import Response
from flask_babel import ngettext
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from shop import throttle
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import db, now, settings

WINDOW = timedelta(minutes=15)
TRIES_PER_PAIR = 10
"""One account from one address, or from one known browser."""
TRIES_PER_ADDRESS = 50
TRIES_PER_ACCOUNT = 60
"""One account from every browser that has never signed in to it."""
ACCOUNT_WINDOW = timedelta(hours=1)
COOKIE = "desk_browser"
REMEMBERED = timedelta(days=400)  # the longest that browsers keep a cookie (RFC 6265bis)
ACCOUNTS_REMEMBERED = 20


def keys(email: str, admin_id: int | None) -> dict[str, tuple[int, timedelta]]:
    """Under which keys a try for an account is counted, each with its limit and window."""
    account = hashlib.sha256(email.encode()).hexdigest()[:32]
    browser, known = _browser()
    if admin_id is not None and admin_id in known:
        return {f"sign-in:{account}:{browser}": (TRIES_PER_PAIR, WINDOW)}
    address = throttle.prefix(request.remote_addr)
    return {
        f"sign-in:{address}": (TRIES_PER_ADDRESS, WINDOW),
        f"sign-in:{account}:{address}": (TRIES_PER_PAIR, WINDOW),
        f"sign-in:{account}": (TRIES_PER_ACCOUNT, ACCOUNT_WINDOW),
    }


def presence_keys(admin_id: int) -> dict[str, tuple[int, timedelta]]:
    """The same for somebody who is signed in and proves once more to be there."""
    return {f"presence:{admin_id}": (TRIES_PER_PAIR, WINDOW)}


def count(counted: dict[str, tuple[int, timedelta]]) -> None:
    """Count one more try, before it is looked at; raises ``TooMany``."""

    def work(s: Session) -> None:
        for key, (limit, window) in counted.items():
            throttle.spend(s, key, limit, window, now())

    transact(db.session(), work)


def was_right(session: Session, counted: dict[str, tuple[int, timedelta]]) -> None:
    """It was no guess: take it back."""
    for key in counted:
        throttle.give_back(session, key)


def sentence(error: TooMany) -> str:
    """How long to wait."""
    minutes = math.ceil(error.retry_after / 60)
    said: str = ngettext(
        "Too many attempts. Please try again in %(num)d minute.",
        "Too many attempts. Please try again in %(num)d minutes.",
        minutes,
    )
    return said


def remember(response: Response, admin_id: int) -> None:
    """Let the browser remember that this account was signed in to with it."""
    browser, known = _browser()
    ids = [admin_id, *(each for each in known if each != admin_id)][:ACCOUNTS_REMEMBERED]
    response.set_cookie(
        COOKIE,
        _serializer().dumps({"browser": browser or secrets.token_urlsafe(12), "accounts": ids}),
        max_age=REMEMBERED,
        path="/admin",
        secure=settings().production,
        httponly=True,
        samesite="Lax",
    )


def _browser() -> tuple[str, list[int]]:
    """The browser's own mark, and the accounts that were signed in to with it; a forged cookie says nothing."""
    try:
        said = _serializer().loads(request.cookies.get(COOKIE, ""))
    except BadSignature:
        return "", []
    return said["browser"], said["accounts"]


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key, salt="desk browser")
