"""The packing table: what is to be posted, oldest first, its papers, and marking it as posted, alone or together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from shop.admin import posting
from shop.admin.deadlines import post_by
from shop.admin.desk import desk, locale, person
from shop.admin.forms import PostForm
from shop.admin.naming import edition_names_in
from shop.admin.orders import find
from shop.database import transact
from shop.documents import consignments, customs, labels, slips
from shop.documents.consignments import Consignment
from shop.errors import WrongState
from shop.extensions import db, now
from shop.markets import SHOP_ZONE
from shop.orders import parcels
from shop.orders.finding import TO_POST
from shop.orders.models import Order, OrderLine, Shipment
from shop.trader import SHOP, Trader, trader

AT_ONCE = 50
"""Parcels on the table, and in one PDF."""
LONGEST_TRACKING = 100
PAPERS = ("slips", "labels", "customs")


@dataclass(frozen=True, slots=True)
class ToPack:
    """One parcel to be packed. ``since`` is when it was paid, or decided if it is free."""

    key: str
    order: Order
    shipment: Shipment | None
    copies: Sequence[tuple[OrderLine, int]]
    since: datetime
    due: date
    unreadable: bool
    unprintable: bool


@desk.get("/packing")
def packing_table() -> ResponseReturnValue:
    """What is to be packed; ``?ticked=all`` ticks everything."""
    return _table(everything=request.args.get("ticked") == "all")


def _table(
    status: int = 200,
    problem: str = "",
    form: PostForm | None = None,
    ticked: Sequence[str] = (),
    everything: bool = False,
) -> tuple[str, int]:
    session, at = db.session(), now()
    waiting = _waiting(session)
    many = (session.scalar(select(func.count()).select_from(Order).where(TO_POST)) or 0) + sum(
        each.shipment is not None for each in waiting
    )
    page = render_template(
        "admin/packing.html",
        waiting=waiting,
        many=many,
        ticked=[each.key for each in waiting] if everything else ticked,
        form=form or PostForm(),
        undoable=_just_posted(session, at),
        stuck=_stuck(session),
        tracked={each.key: _tracking(each.key) for each in waiting},
        day=at.astimezone(SHOP_ZONE).date(),
        problem=problem,
    )
    return page, status


def _waiting(session: Session) -> list[ToPack]:
    """At most ``AT_ONCE`` parcels, those that wait longest first."""
    seller = session.get(Trader, SHOP)
    days = seller.dispatch_days if seller else 2
    oldest = select(Order).where(TO_POST).order_by(Order.paid_at, Order.id).limit(AT_ONCE)
    found = [
        _to_pack(order, None, [(line, line.to_post) for line in order.lines if line.to_post], days)
        for order in session.scalars(oldest)
    ]
    for shipment in _free(session):
        if parcels.may_be_posted(shipment):
            lines = {line.position: line for line in shipment.order.lines}
            copies = [(lines[line.position], line.quantity) for line in shipment.lines]
            found.append(_to_pack(shipment.order, shipment, copies, days))
    return sorted(found, key=lambda each: (each.since, each.key))[:AT_ONCE]


def _stuck(session: Session) -> list[tuple[Shipment, str]]:
    """Free parcels that were decided and cannot be posted as things stand, each with a sentence that says why."""
    kept = [each for each in _free(session) if not parcels.may_be_posted(each)]
    return [(each, posting.not_now(each.order, each)) for each in kept]


def _free(session: Session) -> Iterator[Shipment]:
    """Free parcels that were decided and not posted, with their orders, those that wait longest first."""
    return iter(
        session.scalars(
            select(Shipment)
            .join(Shipment.order)
            .options(contains_eager(Shipment.order))
            .where(parcels.WAITING)
            .order_by(Shipment.asked_at, Shipment.id)
            .limit(AT_ONCE)
        )
    )


def _to_pack(
    order: Order, shipment: Shipment | None, copies: Sequence[tuple[OrderLine, int]], days: int
) -> ToPack:
    since = (shipment.asked_at if shipment else order.paid_at) or order.placed_at
    return ToPack(
        key=posting.key_of(shipment) if shipment else order.number,
        order=order,
        shipment=shipment,
        copies=copies,
        since=since,
        due=post_by(since, days),
        unreadable=consignments.is_unreadable_there(order),
        unprintable=consignments.is_unprintable(order),
    )


def _just_posted(session: Session, at: datetime) -> list[Shipment]:
    """Parcels whose posting can still be taken back, the last first."""
    wanted = (
        select(Shipment)
        .join(Shipment.order)
        .options(contains_eager(Shipment.order).selectinload(Order.lines))
        .where(Shipment.undo_until > at, Shipment.undone_at.is_(None))
        .order_by(Shipment.posted_at.desc(), Shipment.id.desc())
        .limit(2 * AT_ONCE)
    )
    return [each for each in session.scalars(wanted) if parcels.can_be_undone(each, at)]


@desk.post("/packing")
def pack() -> ResponseReturnValue:
    """Do with what is ticked what the button says: print its papers, or mark it as posted."""
    done, form = request.form.get("do", ""), PostForm(request.form)
    ticked = list(dict.fromkeys(request.form.getlist("parcel")))
    if done not in (*PAPERS, "post"):
        abort(400)
    if not ticked:
        return _table(422, _("Please tick at least one order."), form)
    if len(ticked) > AT_ONCE:
        return _table(422, _("At most %(num)d orders at once, please.", num=AT_ONCE), form, ticked)
    if done in PAPERS:
        return _papers(done, ticked, form)
    if not form.validate():
        return _table(422, "", form, ticked)
    if any(len(_tracking(key)) > LONGEST_TRACKING for key in ticked):
        return _table(422, _("At most %(max)d characters, please.", max=LONGEST_TRACKING), form, ticked)
    session, actor, at = db.session(), person().actor, now()
    problems = {
        key: posting.post(session, key, form.carrier.data or "", _tracking(key), actor, at) for key in ticked
    }
    posted = [key for key, problem in problems.items() if not problem]
    if posted:
        flash(
            ngettext(
                "%(num)d parcel was marked as posted. The buyer gets a letter.",
                "%(num)d parcels were marked as posted. The buyers get letters.",
                len(posted),
            )
        )
    for key, problem in problems.items():
        if problem:
            flash(
                _("%(number)s was not marked as posted. %(why)s", number=_name(session, key), why=problem),
                "warning",
            )
    return redirect(url_for("admin.packing_table"), code=303)


def _tracking(key: str) -> str:
    """What was typed beside a parcel."""
    return request.form.get(f"tracking-{key}", "").strip()


def _name(session: Session, key: str) -> str:
    found = posting.find(session, key)
    return found[0].number if found else key[:20]


@desk.get("/orders/<number>/papers/<kind>.pdf")
def order_papers(number: str, kind: str) -> ResponseReturnValue:
    """One order's papers; those of its last parcel when nothing is left to post."""
    if kind not in PAPERS:
        abort(404)
    order = find(db.session(), number)
    if order.buyer.erased_at is not None or not order.buyer.address_lines():
        abort(404)
    made = _consignments(db.session(), [order.number])
    return _pdf(kind, made) if made else abort(404)


@desk.get("/parcels/<int:shipment_id>/papers/<kind>.pdf")
def parcel_papers(shipment_id: int, kind: str) -> ResponseReturnValue:
    """One free parcel's papers."""
    shipment = db.session().get(Shipment, shipment_id) if shipment_id < 2**31 else None
    if kind not in PAPERS or shipment is None or shipment.order.buyer.erased_at is not None:
        abort(404)
    return _pdf(kind, [consignments.of_parcel(shipment.order, shipment)])


def _papers(kind: str, ticked: list[str], form: PostForm) -> ResponseReturnValue:
    made = _consignments(db.session(), ticked)
    if kind == "customs" and not any(map(customs.is_needed, made)):
        return _table(422, _("None of these parcels needs a customs declaration."), form, ticked)
    if not made:
        return _table(409, _("There is nothing to print any more."), form, ticked)
    return _pdf(kind, made)


def _consignments(session: Session, keys: list[str]) -> list[Consignment]:
    """Parcels in the order of their keys, read in as many questions however many they are."""
    named = set(keys)
    wanted = select(Order).where(Order.number.in_(named)).options(selectinload(Order.shipments))
    orders = {order.number: order for order in session.scalars(wanted)}
    ids = [int(match[1]) for key in keys if (match := posting.FREE.fullmatch(key))]
    free_ones = (
        select(Shipment).join(Shipment.order).options(contains_eager(Shipment.order)).where(Shipment.id.in_(ids))
    )
    free = {posting.key_of(each): each for each in session.scalars(free_ones)}
    found = []
    for key in keys:
        if key in free:
            found.append(consignments.of_parcel(free[key].order, free[key]))
        elif (order := orders.get(key)) is not None:
            if order.copies and order.may_be_posted:
                found.append(consignments.of_order(order))
            elif order.shipments:
                found.append(consignments.of_parcel(order, order.shipments[-1]))
    return found


def _pdf(kind: str, made: list[Consignment]) -> Response:
    sender, names = consignments.sender(trader(db.session())), edition_names_in()
    if kind == "slips":
        body = slips.packing_slips(made, locale(), sender, names)
    elif kind == "labels":
        body = labels.address_labels(made, sender)
    elif any(map(customs.is_needed, made)):
        body = customs.declarations(made, sender, names)
    else:
        abort(404)
    name = f"{kind}-{made[0].number}.pdf" if len(made) == 1 else f"{kind}.pdf"
    return Response(
        body, mimetype="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'}
    )


@desk.post("/packing/undo")
def undo_posting() -> ResponseReturnValue:
    """Take back that parcels were posted, as far as their letters have not left."""
    session, actor, at = db.session(), person().actor, now()
    chosen = [each for each in request.form.getlist("shipment") if each.isascii() and each.isdigit()][
        : 2 * AT_ONCE
    ]
    taken, late = 0, 0
    for shipment_id in (int(each) for each in chosen if len(each) < 10):
        try:
            transact(session, parcels.undo, shipment_id, actor, at)
        except WrongState:
            late += 1
        except LookupError:
            abort(404)
        else:
            taken += 1
    if taken:
        flash(
            ngettext(
                "%(num)d parcel is to be posted again, as if nothing had been done.",
                "%(num)d parcels are to be posted again, as if nothing had been done.",
                taken,
            )
        )
    if late:
        flash(
            ngettext(
                "%(num)d posting could not be taken back: its letter has left, or something followed from it.",
                "%(num)d postings could not be taken back: their letters have left, or something followed from them.",
                late,
            ),
            "warning",
        )
    number = request.form.get("number", "")
    if number:
        return redirect(url_for("admin.order_page", number=find(session, number).number), code=303)
    return redirect(url_for("admin.packing_table"), code=303)
