"""A carrier's list of parcels: order number, tracking number, perhaps the carrier, as text with separators."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
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
TRACKING = re.compile(r"(?=.*\d)[^\W_][\w \-./#]{0,99}")
"""No sign that makes a formula, and no plus: a spreadsheet turns long numbers into 9.40011E+21. Some digit: a parcel's
state, such as “Delivered”, is no number of it."""
DAY = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}\b.*")
KEPT_AS_TEXT = re.compile(r"=\"(.*)\"|'(?=\w)(.*)")
"""How a long number is written that a spreadsheet shall leave alone: ``="94001"``, ``'94001``."""


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
        (place, [_plain(cell) for cell in row])
        for place, row in enumerate(read_rows, 1)
        if any(cell.strip() for cell in row)
    ]
    if len(rows) > LONGEST + 1:
        raise TooLong(str(len(rows)))
    if not rows:
        raise Unreadable("empty")
    if rows[0][1][0].casefold() == "sep=" and len(rows) > 1:  # says to a spreadsheet what separates the columns
        rows = rows[1:]
    columns = _by_name(rows[0][1], [row for _place, row in rows[1:]])
    if columns:
        rows = rows[1:]
    else:
        columns = _by_content([row for _place, row in rows])
    if not {"number", "tracking"} <= columns.keys():
        raise Unreadable("no such columns")
    return [_line(place, row, columns) for place, row in rows]


def _plain(cell: str) -> str:
    """What stands in a cell, without what keeps a spreadsheet from reckoning with it."""
    kept = KEPT_AS_TEXT.fullmatch(cell.strip())
    return (kept[1] or kept[2] or "").strip() if kept else cell.strip()


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


def _by_name(header: list[str], rows: list[list[str]]) -> dict[str, int]:
    """Columns by their names; empty if this is no header.

    Of several whose names would do, such as “Order date” and “Order reference”, the one is meant in which most lines
    hold what is looked for.
    """
    if any(read_number(cell) for cell in header):
        return {}
    found: dict[str, int] = {}
    folded = [fold(cell) for cell in header]
    for name, fits in FITS.items():
        named = [at for word in NAMES[name] for at, cell in enumerate(folded) if fold(word) in cell]
        places = [at for at in dict.fromkeys(named) if at not in found.values()]
        if name == "carrier":  # «Почта» is a carrier, «Электронная почта» none
            places = [at for at in places if _share(rows, at, fits)]
        if places:
            found[name] = max(places, key=lambda at: _share(rows, at, fits))
    return found if {"number", "tracking"} <= found.keys() else {}


def _by_content(rows: list[list[str]]) -> dict[str, int]:
    """Columns of a list without a header: the numbers of orders, and beside them what has digits in it."""
    width = max(map(len, rows))
    numbers = max(range(width), key=lambda column: _share(rows, column, _is_number))
    if not _share(rows, numbers, _is_number):
        return {}
    others = [column for column in range(width) if column != numbers]
    tracking = max(
        others,
        key=lambda column: (_share(rows, column, _may_be_of_a_parcel), _share(rows, column, _has_digits)),
        default=None,
    )
    if tracking is None or not _share(rows, tracking, _has_digits):
        return {}
    found = {"number": numbers, "tracking": tracking}
    words = [column for column in others if column != tracking and _share(rows, column, _is_wording)]
    return found | ({"carrier": words[0]} if words else {})


def _share(rows: list[list[str]], column: int, fits: Callable[[str], bool]) -> int:
    """In how many lines a column holds what is looked for."""
    return sum(fits(row[column]) for row in rows if column < len(row))


def _is_number(cell: str) -> bool:
    return read_number(cell) is not None


def _has_digits(cell: str) -> bool:
    return sum(each.isdigit() for each in cell) >= 4


def _may_be_of_a_parcel(cell: str) -> bool:
    return _has_digits(cell) and may_be_tracking(cell) and not DAY.fullmatch(cell)


def _is_wording(cell: str) -> bool:
    return bool(cell) and "@" not in cell and not _has_digits(cell)


FITS: dict[str, Callable[[str], bool]] = {
    "tracking": _may_be_of_a_parcel,
    "carrier": _is_wording,
    "number": _is_number,
}
"""What a cell of a column looks like, in the order in which columns are told apart."""
