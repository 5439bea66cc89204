"""Today: what must be done, each thing a number and a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import ScalarSelect, Select, bindparam, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from shop.admin import reports, soundings
from shop.admin.deadlines import dispatch_days, overdue_since, post_by
from shop.admin.desk import desk
from shop.admin.letters import not_delivered
from shop.admin.libraries import STATES, WAITING
from shop.admin.money import UNCONFIRMED_REFUNDS, ownerless
from shop.admin.soundings import many
from shop.catalogue import offers
from shop.catalogue.models import Edition, Status
from shop.extensions import db, now
from shop.letters.models import Letter
from shop.libraries.models import LibraryOrder
from shop.markets import day_of
from shop.orders import parcels
from shop.orders.finding import ATTENTION, TO_POST
from shop.orders.models import Order, Shipment
from shop.payments import comparison
from shop.payments.disputes import TO_ANSWER
from shop.payments.models import Dispute, InboxEvent, InboxState, Payment, Refund
from shop.stock import Stock
from shop.withdrawals import statements
from shop.withdrawals.models import Withdrawal

SHOWN = 25
WITH_ORDER = (
    joinedload(Dispute.payment).joinedload(Payment.order).options(lazyload(Order.lines), lazyload(Order.buyer))
)


CAME_BACK = (
    select(Shipment)
    .where(parcels.CAME_BACK)
    .options(joinedload(Shipment.order).options(lazyload(Order.lines), lazyload(Order.buyer)))
    .order_by(Shipment.returned_at, Shipment.id)
    .limit(SHOWN)
)


@dataclass(frozen=True, slots=True)
class Task:
    """A thing to do: how often, in which words, and where."""

    count: int
    words: str
    link: str


@desk.get("/")
def today() -> ResponseReturnValue:
    session = db.session()
    days = dispatch_days(session)
    oldest = select(Order).where(TO_POST).order_by(Order.paid_at, Order.id).limit(SHOWN)
    waiting = [(order, post_by(order.paid_at or order.placed_at, days)) for order in session.scalars(oldest)]
    return render_template(
        "admin/today.html",
        tasks=_tasks(session),
        waiting=waiting,
        disputes=_disputes(session),
        returned=list(session.scalars(CAME_BACK)),
        withdrawals=statements.waiting(session, SHOWN),
        day=day_of(now()),
        shown=SHOWN,
        reports=reports.reports(session, now()),
    )


def _disputes(session: Session) -> list[Dispute]:
    """Disputes that the bank expects an answer to, the most urgent first."""
    wanted = select(Dispute).where(Dispute.status.in_(TO_ANSWER)).options(WITH_ORDER)
    return list(session.scalars(wanted.order_by(Dispute.due_by, Dispute.id).limit(SHOWN)))


def _tasks(session: Session) -> list[Task]:
    """Everything to do, counted in one question."""
    at = now()
    count = session.execute(COUNTS, soundings.cuts(at) | {"overdue": overdue_since(session, at)}).one()
    last = comparison.latest(session)
    orders, libraries, here = url_for("admin.order_list"), url_for("admin.library_list"), url_for("admin.today")
    money, setup = url_for("admin.money_page"), url_for("admin.setup_page")
    return [
        Task(count.to_post, _("Orders to post"), f"{orders}?state=to_post"),
        Task(count.overdue, _("Orders late to post"), f"{orders}?state=overdue"),
        Task(count.free_parcels, _("Free parcels to post"), url_for("admin.packing_table")),
        Task(count.came_back, _("Parcels that came back"), f"{here}#returned"),
        Task(count.attention, _("Orders that need attention"), f"{orders}?state=attention"),
        Task(count.disputes, _("Disputes to answer"), f"{here}#disputes"),
        Task(count.libraries, _("Library orders waiting for an answer"), f"{libraries}?state=waiting"),
        Task(count.withdrawals, _("Withdrawals to deal with"), f"{here}#withdrawals"),
        Task(count.libraries_to_post, _("Library orders to post"), f"{libraries}?state=to_post"),
        Task(count.unpaid, _("Unpaid invoices of libraries"), f"{libraries}?state=unpaid"),
        Task(count.letters, _("Letters not delivered"), url_for("admin.letter_list")),
        Task(count.refunds, _("Refunds that Stripe has yet to confirm"), money),
        Task(count.ownerless, _("Payments of no known order"), money),
        Task(last.unresolved if last else 0, _("Differences with Stripe"), money),
        Task(count.events, _("Messages from Stripe that failed"), url_for("admin.inbox_list")),
        Task(count.left_waiting, _("Things left undone by the worker"), setup),
        Task(count.low, _("Editions running low"), url_for("admin.stock_page")),
        Task(len(offers.unconfirmed(session)), _("Facts nobody has confirmed"), setup),
    ]


def _low() -> ScalarSelect[int]:
    left = func.coalesce(Stock.on_hand - Stock.held - Stock.allocated, 0)
    few = or_(Stock.edition_id.is_(None), left <= Edition.last_copies)
    editions = select(func.count()).select_from(Edition).outerjoin(Stock, Stock.edition_id == Edition.id)
    return editions.where(Edition.status == Status.AVAILABLE, few).scalar_subquery()


COUNTS: Select[*tuple[Any, ...]] = select(
    many(Order, TO_POST).label("to_post"),
    many(Order, TO_POST, Order.paid_at < bindparam("overdue")).label("overdue"),
    many(Shipment, parcels.WAITING).label("free_parcels"),
    many(Shipment, parcels.CAME_BACK).label("came_back"),
    many(Order, ATTENTION).label("attention"),
    many(Dispute, Dispute.status.in_(TO_ANSWER)).label("disputes"),
    many(LibraryOrder, WAITING).label("libraries"),
    many(Withdrawal, Withdrawal.done_at.is_(None)).label("withdrawals"),
    many(LibraryOrder, STATES["to_post"][1]).label("libraries_to_post"),
    many(LibraryOrder, STATES["unpaid"][1]).label("unpaid"),
    (many(Letter, not_delivered()) + soundings.STALLING).label("letters"),
    many(Refund, UNCONFIRMED_REFUNDS).label("refunds"),
    many(Payment, ownerless()).label("ownerless"),
    many(InboxEvent, InboxEvent.state == InboxState.FAILED).label("events"),
    soundings.LEFT_WAITING.label("left_waiting"),
    _low().label("low"),
)
