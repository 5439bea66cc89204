"""Today: what must be done, each thing a number and a link."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from shop.admin import reports, soundings
from shop.admin.deadlines import dispatch_days, overdue_since, post_by
from shop.admin.desk import desk
from shop.admin.letters import not_delivered
from shop.admin.libraries import STATES, WAITING
from shop.admin.money import UNCONFIRMED_REFUNDS, ownerless
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
    def many(what: type[object], *where: ColumnElement[bool]) -> int:
        wanted: Select[int] = select(func.count()).select_from(what).where(*where)
        return session.scalar(wanted) or 0

    last = comparison.latest(session)
    return [
        Task(many(Order, TO_POST), _("Orders to post"), url_for("admin.order_list", state="to_post")),
        Task(
            many(Order, TO_POST, Order.paid_at < overdue_since(session, now())),
            _("Orders late to post"),
            url_for("admin.order_list", state="overdue"),
        ),
        Task(many(Shipment, parcels.WAITING), _("Free parcels to post"), url_for("admin.packing_table")),
        Task(
            many(Shipment, parcels.CAME_BACK),
            _("Parcels that came back"),
            f"{url_for('admin.today')}#returned",
        ),
        Task(
            many(Order, ATTENTION), _("Orders that need attention"), url_for("admin.order_list", state="attention")
        ),
        Task(
            many(Dispute, Dispute.status.in_(TO_ANSWER)),
            _("Disputes to answer"),
            f"{url_for('admin.today')}#disputes",
        ),
        Task(
            many(LibraryOrder, WAITING),
            _("Library orders waiting for an answer"),
            url_for("admin.library_list", state="waiting"),
        ),
        Task(
            many(Withdrawal, Withdrawal.done_at.is_(None)),
            _("Withdrawals to deal with"),
            f"{url_for('admin.today')}#withdrawals",
        ),
        Task(
            many(LibraryOrder, STATES["to_post"][1]),
            _("Library orders to post"),
            url_for("admin.library_list", state="to_post"),
        ),
        Task(
            many(LibraryOrder, STATES["unpaid"][1]),
            _("Unpaid invoices of libraries"),
            url_for("admin.library_list", state="unpaid"),
        ),
        Task(
            many(Letter, not_delivered()) + many(Letter, soundings.stalled(now())),
            _("Letters not delivered"),
            url_for("admin.letter_list"),
        ),
        Task(
            many(Refund, UNCONFIRMED_REFUNDS),
            _("Refunds that Stripe has yet to confirm"),
            url_for("admin.money_page"),
        ),
        Task(many(Payment, ownerless()), _("Payments of no known order"), url_for("admin.money_page")),
        Task(last.unresolved if last else 0, _("Differences with Stripe"), url_for("admin.money_page")),
        Task(
            many(InboxEvent, InboxEvent.state == InboxState.FAILED),
            _("Messages from Stripe that failed"),
            url_for("admin.inbox_list"),
        ),
        Task(
            soundings.left_waiting(session, now()),
            _("Things left undone by the worker"),
            url_for("admin.setup_page"),
        ),
        Task(_low(session), _("Editions running low"), url_for("admin.stock_page")),
        Task(len(offers.unconfirmed(session)), _("Facts nobody has confirmed"), url_for("admin.setup_page")),
    ]


def _low(session: Session) -> int:
    left = func.coalesce(Stock.on_hand - Stock.held - Stock.allocated, 0)
    wanted = (
        select(func.count())
        .select_from(Edition)
        .outerjoin(Stock, Stock.edition_id == Edition.id)
        .where(
            and_(Edition.status == Status.AVAILABLE, or_(Stock.edition_id.is_(None), left <= Edition.last_copies))
        )
    )
    return session.scalar(wanted) or 0
