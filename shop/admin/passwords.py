"""Passwords as Argon2id hashes."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12  # characters

_hasher = PasswordHasher()  # the library's own parameters: RFC 9106, for machines of little memory


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def fits(stored: str | None, password: str) -> bool:
    """Whether a password belongs to a stored hash; takes as long when there is none."""
    nobody = _nobody()
    try:
        return _hasher.verify(stored or nobody, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    """The hash of a password that nobody knows, to be compared with when no such person exists."""
    return hash_password(secrets.token_urlsafe(32))
