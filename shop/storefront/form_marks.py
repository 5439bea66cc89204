"""Marks of forms that were opened here: random, signed, and saying when, so that a flood of posts is told from readers.

A mark makes a double click one order, wherever it came from. Whether it is ours decides only in which queue a post
waits: machines that send a form without having opened it, or faster than anybody types, keep nobody of their own
address from being served.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

TYPED_WITHIN = timedelta(seconds=3)
"""Nobody fills in a form faster."""
GOOD_FOR = timedelta(days=1)
RANDOM, MOMENT = 22, 8  # characters


def fresh(secret: str, now: datetime) -> str:
    """A mark for a form that is opened now."""
    said = secrets.token_urlsafe(16) + f"{int(now.timestamp()):08x}"
    return said + _signature(said, secret)


def was_opened(mark: str, secret: str, now: datetime) -> bool:
    """Whether a form with this mark was opened here, long enough ago to be filled in and no longer than a day."""
    said, signed = mark[: RANDOM + MOMENT], mark[RANDOM + MOMENT :]
    if not hmac.compare_digest(signed.encode(), _signature(said, secret).encode()):
        return False
    opened = datetime.fromtimestamp(int(said[RANDOM:], 16), UTC)
    return opened + TYPED_WITHIN <= now <= opened + GOOD_FOR


def _signature(said: str, secret: str) -> str:
    digest = hmac.new(secret.encode(), b"form mark:" + said.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
