"""Numbers for people: ``RR-`` and eight characters of Crockford's base 32, the last a check character."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX = "RR-"
LOOKALIKES = str.maketrans("OILU", "011V")


def new_number(prefix: str = PREFIX) -> str:
    """A random number, which betrays no sales figures."""
    return number_of("".join(secrets.choice(ALPHABET) for _ in range(7)), prefix)


def number_of(body: str, prefix: str = PREFIX) -> str:
    """The number with these seven characters."""
    return prefix + body + check_character(body)


def check_character(body: str) -> str:
    """Luhn's sum modulo 32: finds every single wrong character and nearly every swap of neighbours."""
    total = 0
    for place, character in enumerate(reversed(body)):
        value = ALPHABET.index(character) * (2 if place % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def read_number(typed: str, prefix: str = PREFIX) -> str | None:
    """The number a person meant, however it was typed; ``None`` when the check character does not fit."""
    flat = "".join(typed.upper().split()).replace("\u2013", "-").replace("-", "")
    flat = flat.removeprefix(prefix.rstrip("-")) if len(flat) == 10 else flat
    flat = flat.translate(LOOKALIKES)
    if len(flat) != 8 or any(character not in ALPHABET for character in flat):
        return None
    return prefix + flat if check_character(flat[:7]) == flat[7] else None
