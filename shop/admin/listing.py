"""Lists by pages: so many rows before a known one, newest first, without counting what lies behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import abort, request
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

R = TypeVar("R")
PER_PAGE = 50
HIGHEST = 2**31 - 1  # the largest id either database keeps in an integer column


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """One page of rows. ``older`` is the ``before`` of the next page, ``None`` on the last."""

    rows: Sequence[R]
    older: int | None
    is_first: bool


def listing(session: Session, wanted: Select[R], key: InstrumentedAttribute[int]) -> Listing[R]:
    """The page that the address asks for (``before=id``) of a statement without order or limit."""
    before = _before()
    if before is not None:
        wanted = wanted.where(key < before)
    found: list[Any] = list(session.scalars(wanted.order_by(key.desc()).limit(PER_PAGE + 1)).unique())
    rows = found[:PER_PAGE]
    older = getattr(rows[-1], key.key) if len(found) > PER_PAGE else None
    return Listing(rows, older, before is None)


def _before() -> int | None:
    """``before`` from the address; anything but a possible id is a 404."""
    typed = request.args.get("before", "")
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()) or len(typed) > 10 or not 0 < int(typed) <= HIGHEST:
        abort(404)
    return int(typed)
