"""Files for a spreadsheet: what the person's own takes for columns, sums and days, and nothing it takes for a formula.

A spreadsheet that writes a comma in its decimals expects semicolons between the cells. It would put a line with commas
into one cell, and take 12.10 for a day in October.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from babel.numbers import get_decimal_symbol
from flask import Response, stream_with_context

from shop.admin.desk import locale
from shop.extensions import now
from shop.markets import SHOP_ZONE

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may take a cell for that begins so (OWASP, "CSV injection")."""
SUM = re.compile(r"-[0-9]+[.,][0-9]{2}")
MARK = b"\xef\xbb\xbf"
"""Tells a spreadsheet that a file is UTF-8."""


@dataclass(frozen=True, slots=True)
class Custom:
    """How the spreadsheet of whoever asks writes: the sign in decimals, and the one between cells."""

    point: str
    between: str

    def sum(self, amount: int) -> str:
        """A sum of so many minor units in major ones, without its currency."""
        sign, whole = "-" if amount < 0 else "", abs(amount)
        return f"{sign}{whole // 100}{self.point}{whole % 100:02d}"

    def lines(self, rows: Iterable[list[str]]) -> bytes:
        """Rows as text, lines as in RFC 4180."""
        text = io.StringIO()
        csv.writer(text, delimiter=self.between).writerows([harmless(cell) for cell in row] for row in rows)
        return text.getvalue().encode()


def custom() -> Custom:
    """That of the language of the desk."""
    point = get_decimal_symbol(locale())
    return Custom(point, ";" if point == "," else ",")


def written_moment(moment: datetime | None) -> str:
    """In the shop's time zone, as every spreadsheet reads it."""
    return moment.astimezone(SHOP_ZONE).strftime("%Y-%m-%d %H:%M") if moment else ""


def answer(name: str, heading: list[str], batches: Iterator[Iterable[list[str]]]) -> Response:
    """A file in pieces that the browser saves under a name."""
    writes = custom()

    def pieces() -> Iterator[bytes]:
        yield MARK + writes.lines([heading])
        yield from (writes.lines(rows) for rows in batches)

    response = Response(stream_with_context(pieces()), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def dated(name: str) -> str:
    """A name with the day in the shop's time zone."""
    return now().astimezone(SHOP_ZONE).strftime(f"{name}-%Y-%m-%d")


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; a sum is none."""
    if not (cell.lstrip().startswith(FORMULA) or cell.startswith(FORMULA)):
        return cell
    return cell if SUM.fullmatch(cell) else "'" + cell
