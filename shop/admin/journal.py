"""The journal: who did what at the desk, searched by person, kind, day and text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin import fields
from shop.admin.desk import desk
from shop.admin.listing import HIGHEST, listing
from shop.admin.rights import ACTS, BY_COMMAND
from shop.extensions import db
from shop.markets import SHOP_ZONE
from shop.orders.models import Order
from shop.payments.models import Payment, Refund
from shop.staff import Admin, JournalEntry
from shop.staff.journal import plain

LONGEST_SEARCH = 200
TOLD = {kind: act.told for kind, act in ACTS.items() if act.told is not None} | BY_COMMAND


@desk.get("/journal")
def journal_page() -> ResponseReturnValue:
    """What was done, newest first; everything that is searched for stands in the address."""
    asked = {name: request.args.get(name, "").strip() for name in ("person", "kind", "from", "to", "q")}
    session = db.session()
    wanted = select(JournalEntry)
    if asked["person"]:
        wanted = wanted.where(JournalEntry.admin_id == _id(asked["person"]))
    if asked["kind"]:
        if asked["kind"] not in TOLD:
            abort(404)
        wanted = wanted.where(JournalEntry.kind == asked["kind"])
    if asked["from"]:
        wanted = wanted.where(JournalEntry.at >= _midnight(asked["from"]))
    if asked["to"]:
        wanted = wanted.where(JournalEntry.at < _midnight(asked["to"], timedelta(days=1)))
    if len(asked["q"]) > LONGEST_SEARCH:
        abort(404)
    for word in plain(asked["q"]).split():
        wanted = wanted.where(JournalEntry.search.contains(word, autoescape=True))
    page = listing(session, wanted, JournalEntry.id)
    people = {each.id: each.name for each in session.scalars(select(Admin).order_by(Admin.id))}
    return render_template(
        "admin/journal.html",
        page=page,
        asked=asked,
        kept={name: value for name, value in asked.items() if value},
        people=people,
        told=TOLD,
        kinds=sorted(((kind, str(text)) for kind, text in TOLD.items()), key=lambda pair: pair[1].casefold()),
        orders=_orders(session, page.rows),
        fields=fields,
    )


def _orders(session: Session, entries: Sequence[JournalEntry]) -> dict[tuple[str, str], str]:
    """The numbers of the orders whose payments and refunds entries name."""
    found: dict[tuple[str, str], str] = {}
    for about, model in (("payment_id", Payment), ("refund_id", Refund)):
        ids = [int(each.subject) for each in entries if each.about == about and each.subject.isdigit()]
        if not ids:
            continue
        wanted = select(model.id, Order.number)
        if model is Refund:
            wanted = wanted.join(Payment, Payment.id == Refund.payment_id)
        wanted = wanted.join(Order, Order.id == Payment.order_id).where(model.id.in_(ids))
        found |= {(about, str(key)): number for key, number in session.execute(wanted)}
    return found


def _id(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit()) or len(typed) > 10 or int(typed) > HIGHEST:
        abort(404)
    return int(typed)


def _midnight(typed: str, later: timedelta = timedelta(0)) -> datetime:
    """When a day begins in the shop's zone, or the day so much later."""
    try:
        return datetime.combine(date.fromisoformat(typed) + later, time.min, SHOP_ZONE)
    except (ValueError, OverflowError):
        abort(404)
