"""Reminding: the distributor, then the shopkeeper, of a library that waits; a library of what is due, then was."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import files, links, papers, routing
from shop.libraries.models import LibraryOrder, LibraryState
from shop.libraries.paper_models import Paper
from shop.libraries.reminding import MORNING, after, rules
from shop.markets import day_begins
from shop.orders.timeline import SYSTEM, Actor


def due(session: Session, now: datetime) -> list[int]:
    """Ids of the tickets that somebody is to be reminded of."""
    wanted = select(LibraryOrder.id).where(LibraryOrder.chase_at <= now).order_by(LibraryOrder.id)
    return list(session.scalars(wanted))


def chase(session: Session, order_id: int, now: datetime) -> None:
    """Remind whoever is next of a ticket, unless somebody else has done so or it was answered meanwhile."""
    order = lock(session, LibraryOrder, order_id)
    if order is None or order.chase_at is None or order.chase_at > now or order.state is not LibraryState.SENT:
        return
    if order.chased == 0:
        _remind(session, order, SYSTEM, now)
        order.chased, order.chase_at = 1, after(session, now, rules(session).tell_days)
        return
    outbox.owe_shopkeepers(
        session,
        Kind.LIBRARY_ATTENTION,
        f"library:{order.id}:silent",
        routing.enquiry_facts(session, order) | {"reason": "silent", "line": ""},
        now,
        library_order_id=order.id,
    )
    routing.write_down(session, order, "told", SYSTEM, now)
    order.chased, order.chase_at = 2, None


def remind_now(session: Session, order_id: int, actor: Actor, now: datetime) -> None:
    """Remind the distributor because a person wants it; raises ``WrongState`` when he is not waited for."""
    order = lock(session, LibraryOrder, order_id)
    if order is None or order.state is not LibraryState.SENT:
        raise WrongState(f"nobody is waited for: {order_id}")
    _remind(session, order, actor, now)
    order.chased, order.chase_at = max(order.chased, 1), after(session, now, rules(session).tell_days)


def _remind(session: Session, order: LibraryOrder, actor: Actor, now: datetime) -> None:
    facts = routing.enquiry_facts(session, order) | {
        "answer_path": links.open_link(session, order, now),
        "attachments": [files.facts(each) for each in order.files],
        "seen": order.seen_at is not None,
    }
    outbox.owe(
        session,
        Kind.LIBRARY_REMINDER,
        f"library:{order.id}:{len(order.events)}",
        order.routed_to,
        outbox.locale_of(order.supplier_language),
        facts,
        now,
        library_order_id=order.id,
        reply_to=order.email,
    )
    routing.write_down(session, order, "reminded", actor, now, order.supplier_name)


def due_papers(session: Session, now: datetime) -> list[int]:
    """Ids of the invoices that a library, or the shopkeeper, is to be reminded of."""
    return list(session.scalars(select(Paper.id).where(Paper.remind_at <= now).order_by(Paper.id)))


def chase_paper(session: Session, paper_id: int, now: datetime) -> None:
    """Remind of an invoice: before it is due, after it was, and then the shopkeeper, each once."""
    paper = lock(session, Paper, paper_id)
    if paper is None or paper.remind_at is None or paper.remind_at > now or paper.due_on is None:
        return
    order = lock(session, LibraryOrder, paper.library_order_id)
    if order is None or not papers.open_sum(session, paper):
        paper.remind_at = None
        return
    after_due = timedelta(days=rules(session).after_due_days)
    overdue = now >= day_begins(paper.due_on + timedelta(days=1))
    if paper.reminded >= 2:
        outbox.owe_shopkeepers(
            session,
            Kind.LIBRARY_ATTENTION,
            f"paper:{paper.id}:unpaid",
            routing.enquiry_facts(session, order) | {"reason": "unpaid", "line": paper.number},
            now,
            library_order_id=order.id,
        )
        routing.write_down(session, order, "told_unpaid", SYSTEM, now, paper.number)
        paper.reminded, paper.remind_at = 3, None
        return
    for recipient in papers.recipients(order, to_pay=True):
        cause = f"paper:{paper.id}:{'overdue' if overdue else 'due'}"
        papers.write(session, paper, Kind.LIBRARY_DUE, cause, recipient, {"overdue": overdue}, now)
    routing.write_down(session, order, "reminded_due", SYSTEM, now, paper.number)
    paper.reminded = 2 if overdue else 1
    last = paper.due_on if not overdue else paper.due_on + after_due
    paper.remind_at = max(now, day_begins(last + after_due)) + MORNING
