"""A carrier's list, pasted or uploaded: its tracking numbers go to the orders, and what was there stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin import posting
from shop.admin.desk import desk, person
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.orders import carrier_list, parcels
from shop.orders.carrier_list import Line
from shop.orders.folding import squeeze
from shop.orders.models import Order, Shipment
from shop.orders.timeline import Actor

MOST_BYTES = 200_000
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of spreadsheet programmes begin: .xlsx and .ods are archives, .xls is a compound file."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one line. ``kind``: ``good``, ``same`` or ``bad``."""

    line: Line
    kind: str
    words: str


class Workbook(Exception):
    """A spreadsheet's own file instead of a list."""


@desk.get("/packing/carrier")
def carrier_page() -> ResponseReturnValue:
    return _page()


@desk.post("/packing/carrier")
def carrier_import() -> ResponseReturnValue:
    """Read a list, mark its parcels as posted, and say of each line what became of it."""
    typed = request.form.get("list", "")
    upload = request.files.get("file")
    try:
        text = _decoded(upload.read(MOST_BYTES + 1)) if upload and upload.filename else typed
        if not text.strip():
            return _page(422, _("Please paste a list or choose a file."), typed)
        lines = carrier_list.read(text)
    except (carrier_list.TooLong, OverflowError):
        return _page(422, _("The list is too long: at most %(num)d lines.", num=carrier_list.LONGEST), typed)
    except Workbook:
        problem = _(
            "This is a spreadsheet’s own file, not a list as text. Save it as CSV there, or copy its cells and paste "
            "them here."
        )
        return _page(422, problem, typed)
    except (carrier_list.Unreadable, UnicodeError):
        problem = _(
            "No columns with the numbers of orders and of tracking were found. Is it a CSV file, with commas, "
            "semicolons or tabs between the columns?"
        )
        return _page(422, problem, typed)
    if not lines:
        return _page(422, _("There are headings in this list, but no parcels."), typed)
    session, actor, at = db.session(), person().actor, now()
    carrier = request.form.get("carrier", "").strip()[:100]
    others = _sharing(lines)
    reports = [
        _apply(session, line, line.carrier or carrier, actor, at, others.get(squeeze(line.tracking), []))
        for line in lines
    ]
    return _page(reports=reports, carrier=carrier)


def _decoded(body: bytes) -> str:
    """Text as programmes of carriers write it; raises ``OverflowError`` for too much of it, ``Workbook`` for none."""
    if body.startswith(WORKBOOKS):
        raise Workbook
    if len(body) > MOST_BYTES:
        raise OverflowError
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1251")


def _sharing(lines: list[Line]) -> dict[str, list[str]]:
    """Tracking numbers that stand beside several orders, with these."""
    beside: dict[str, list[str]] = {}
    for line in lines:
        known = beside.setdefault(squeeze(line.tracking), [])
        if line.number and line.number not in known:
            known.append(line.number)
    return {tracking: numbers for tracking, numbers in beside.items() if len(numbers) > 1}


def _apply(session: Session, line: Line, carrier: str, actor: Actor, at: datetime, sharing: list[str]) -> Report:
    """Do what one line says; ``sharing`` are the orders beside which its tracking number stands, if several."""
    if not line.number:
        return Report(line, "bad", _("There is no number of an order in this line."))
    order = session.scalar(select(Order).where(Order.number == line.number))
    if order is None:
        return Report(line, "bad", _("There is no such order."))
    if not line.tracking:
        return Report(line, "bad", _("There is no tracking number in this line."))
    if not carrier_list.may_be_tracking(line.tracking):
        words = _(
            "What stands there is no tracking number. A spreadsheet shortens long ones, to 9.4E+21: take the carrier’s "
            "own file."
        )
        return Report(line, "bad", words)
    if any(squeeze(parcel.tracking) == squeeze(line.tracking) for parcel in order.shipments):
        return Report(line, "same", _("Known already; nothing was changed."))
    if sharing:
        words = _(
            "The same tracking number stands beside several orders: %(numbers)s. Somebody’s parcel would be mistaken "
            "for another one.",
            numbers=", ".join(sharing),
        )
        return Report(line, "bad", words)
    waiting = next((each for each in order.parcels if parcels.may_be_posted(each)), None)
    if order.may_be_posted or waiting is not None:
        key = order.number if order.may_be_posted or waiting is None else posting.key_of(waiting)
        problem = posting.post(session, key, carrier, line.tracking, actor, at)
        return Report(
            line, "bad" if problem else "good", problem or _("Marked as posted. The buyer gets a letter.")
        )
    return _noted(session, line, order, carrier, actor, at)


def _noted(session: Session, line: Line, order: Order, carrier: str, actor: Actor, at: datetime) -> Report:
    """A parcel that was marked as posted without its number gets it now."""
    blank: list[Shipment] = [each for each in order.shipments if not each.tracking]
    if not blank or order.buyer.erased_at is not None:
        return Report(line, "bad", posting.not_now(order))
    try:
        transact(session, parcels.track, blank[-1].id, carrier, line.tracking, actor, at)
    except WrongState:
        return Report(line, "bad", posting.not_now(order))
    return Report(line, "good", _("Was posted before; the tracking number was noted."))


def _page(
    status: int = 200, problem: str = "", typed: str = "", reports: list[Report] | None = None, carrier: str = ""
) -> tuple[str, int]:
    page = render_template(
        "admin/carrier.html", problem=problem, typed=typed, reports=reports or [], carrier=carrier
    )
    return page, status
