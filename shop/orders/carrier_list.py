"""A carrier's list of parcels: order number, tracking number, perhaps the carrier, as text with separators."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from shop.errors import ShopError
from shop.orders.folding import fold
from shop.orders.numbers import read_number

SEPARATORS = ",;\t"
LONGEST = 1000  # lines; more than a year of a small shop
NAMES = {
    "number": ("order", "reference", "ref", "number", "заказ", "номер заказа", "референс"),
    "tracking": ("tracking", "barcode", "consignment", "item id", "трек", "отслеживан", "штрих"),
    "carrier": ("carrier", "service", "courier", "перевозчик", "служба", "почта"),
}
"""What columns may be called: beginnings or parts of their names, folded."""
TRACKING = re.compile(r"[^\W_][\w \-./#]{0,99}")
"""No sign that makes a formula, and no plus: a spreadsheet turns long numbers into 9.40011E+21."""


class Unreadable(ShopError):
    """Nothing in the list can be told to be an order's number and a tracking number."""


class TooLong(ShopError):
    """More lines than anybody posts at once."""


@dataclass(frozen=True, slots=True)
class Line:
    """One parcel of the list; ``number`` is empty where no order's number could be read."""

    place: int
    number: str
    tracking: str
    carrier: str
    typed: str


def read(text: str) -> list[Line]:
    """The parcels of a list, in order; columns are found by their names, or by what stands in them.

    Raises ``Unreadable`` when that fails, ``TooLong`` for more than ``LONGEST`` lines.
    """
    text = "\n".join(text.lstrip("\ufeff").splitlines())
    try:
        read_rows = list(csv.reader(io.StringIO(text), delimiter=_separator(text)))
    except csv.Error as error:
        raise Unreadable(str(error)) from error
    rows = [
        (place, [cell.strip() for cell in row])
        for place, row in enumerate(read_rows, 1)
        if any(cell.strip() for cell in row)
    ]
    if len(rows) > LONGEST + 1:
        raise TooLong(str(len(rows)))
    if not rows:
        raise Unreadable("empty")
    if rows[0][1][0].casefold() == "sep=" and len(rows) > 1:  # says to a spreadsheet what separates the columns
        rows = rows[1:]
    columns = _by_name(rows[0][1])
    if columns:
        rows = rows[1:]
    else:
        columns = _by_content([row for _place, row in rows])
    if not {"number", "tracking"} <= columns.keys():
        raise Unreadable("no such columns")
    return [_line(place, row, columns) for place, row in rows]


def _line(place: int, row: list[str], columns: dict[str, int]) -> Line:
    told = {name: row[column] if column < len(row) else "" for name, column in columns.items()}
    number = read_number(told["number"]) or ""
    return Line(place, number, told["tracking"], told.get("carrier", "")[:100], " · ".join(filter(None, row)))


def may_be_tracking(typed: str) -> bool:
    """Whether a parcel can be looked up by this: no formula, no sentence, no number that a spreadsheet has rounded."""
    return TRACKING.fullmatch(typed) is not None


def _separator(text: str) -> str:
    """The separator that the first lines have most of."""
    head = text.splitlines()[:20]
    return max(SEPARATORS, key=lambda each: sum(line.count(each) for line in head))


def _by_name(header: list[str]) -> dict[str, int]:
    """Columns by their names; empty if this is no header."""
    if any(read_number(cell) for cell in header):
        return {}
    found: dict[str, int] = {}
    folded = [fold(cell) for cell in header]
    for name in ("tracking", "carrier", "number"):
        for word in NAMES[name]:
            places = [at for at, cell in enumerate(folded) if fold(word) in cell and at not in found.values()]
            if places:
                found[name] = places[0]
                break
    return found if {"number", "tracking"} <= found.keys() else {}


def _by_content(rows: list[list[str]]) -> dict[str, int]:
    """Columns of a list without a header: the numbers of orders, and beside them what has digits in it."""
    width = max(map(len, rows))

    def share(column: int, test: object) -> int:
        return sum(bool(test(row[column])) for row in rows if column < len(row))  # type: ignore[operator]

    numbers = max(range(width), key=lambda column: share(column, read_number))
    if not share(numbers, read_number):
        return {}
    others = [column for column in range(width) if column != numbers]
    tracking = max(others, key=lambda column: share(column, _has_digits), default=None)
    if tracking is None or not share(tracking, _has_digits):
        return {}
    found = {"number": numbers, "tracking": tracking}
    words = [
        column
        for column in others
        if column != tracking and share(column, lambda cell: cell and not _has_digits(cell))
    ]
    return found | ({"carrier": words[0]} if words else {})


def _has_digits(cell: str) -> bool:
    return sum(each.isdigit() for each in cell) >= 4
