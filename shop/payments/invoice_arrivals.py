"""Arrivals for invoices: money that a library has paid by an invoice's link. It is never turned away by an error.

What is open of the invoice → it is paid; not open any more (paid by transfer, credited, a second page) → all of it
goes back; another sum than the page had asked for → a person looks.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.libraries import papers
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperKind
from shop.orders.models import Worry
from shop.payments import invoice_news, refunds
from shop.payments.gateway import CheckoutFacts
from shop.payments.models import AttemptState, InvoiceAttempt, Payment, PaymentRole

log = logging.getLogger(__name__)

ONWARD = (AttemptState.NEW, AttemptState.OPEN, AttemptState.COMPLETE, AttemptState.CLOSED)
"""A page goes on and never back, so what was fetched before somebody else's news changes nothing after it."""


def invoice_of(session: Session, facts: CheckoutFacts, shop_id: str) -> int | None:
    """Which invoice a checkout is a page of, by its id or, when its answer was lost, by this shop's mark."""
    known = select(InvoiceAttempt.paper_id).where(InvoiceAttempt.checkout_id == facts.checkout_id)
    found = session.scalar(known)
    mark = facts.metadata
    if found is not None or mark.get("shop") != shop_id or not mark.get("invoice"):
        return found
    # The ticket is random; a number may have been given to another library after a backup was restored.
    wanted = (
        select(Paper.id)
        .join(LibraryOrder, LibraryOrder.id == Paper.library_order_id)
        .where(
            Paper.kind == PaperKind.INVOICE,
            Paper.number == mark["invoice"],
            LibraryOrder.ticket == mark.get("ticket", ""),
        )
    )
    return session.scalar(wanted)


def apply(session: Session, paper_id: int, facts: CheckoutFacts, now: datetime) -> bool:
    """Apply what has become of an invoice's page, inside one transaction; false when nothing changed."""
    paper, _order = invoice_news.locked(session, paper_id)
    attempt = _attempt(session, paper, facts)
    changed = attempt is not None and _advance(attempt, facts, now)
    if facts.paid:
        changed |= _receive(session, paper, attempt, facts, now)
    session.flush()
    return changed


def _attempt(session: Session, paper: Paper, facts: CheckoutFacts) -> InvoiceAttempt | None:
    """The attempt that a page belongs to: by its id, or the one whose answer was lost."""
    mine = select(InvoiceAttempt).where(InvoiceAttempt.paper_id == paper.id)
    known = session.scalar(mine.where(InvoiceAttempt.checkout_id == facts.checkout_id))
    if known is not None:
        return known
    for lost in session.scalars(mine.where(InvoiceAttempt.checkout_id.is_(None))):
        if lost.expires_at == facts.expires_at:
            lost.checkout_id, lost.url = facts.checkout_id, facts.url
            session.flush()
            return lost
    return None


def _advance(attempt: InvoiceAttempt, facts: CheckoutFacts, now: datetime) -> bool:
    """Bring an attempt on to what its page has become."""
    state = AttemptState.OPEN
    if facts.status == "expired" or facts.paid or facts.failed:
        state = AttemptState.CLOSED
    elif facts.status == "complete":
        state = AttemptState.COMPLETE
    attempt.checked_at = now
    if ONWARD.index(state) <= ONWARD.index(attempt.state):
        return False
    attempt.state = state
    return True


def _receive(
    session: Session, paper: Paper, attempt: InvoiceAttempt | None, facts: CheckoutFacts, now: datetime
) -> bool:
    """Record a library's money once, and do what follows from it; false when it was recorded before."""
    if session.scalar(select(Payment.id).where(Payment.intent_id == facts.intent_id)) is not None:
        return False
    bill = invoice_news.bill_of(session, paper)
    came = (facts.total, facts.currency)
    differs = attempt is not None and came != (attempt.amount, attempt.currency)
    pays = not differs and bill is not None and came == (papers.open_sum(session, bill), bill.currency)
    meant = bill if pays and bill is not None else paper
    payment = Payment(
        paper_id=meant.id,
        role=PaymentRole.INVOICE if pays else PaymentRole.SURPLUS,
        intent_id=facts.intent_id,
        charge_id=facts.charge_id,
        checkout_id=facts.checkout_id,
        amount=facts.total,
        currency=facts.currency or paper.currency,
        card=facts.card,
        received_at=now,
        facts={},
    )
    session.add(payment)
    session.flush()
    if pays:
        invoice_news.paid(session, meant, payment, now)
    elif differs:
        log.error("payment %s is not what the page of %s asked for", facts.intent_id, paper.number)
        invoice_news.differs(session, paper, payment, now)
    else:
        twice = bill is not None and bill.paid_on is not None
        refunds.owe(session, payment, payment.amount, (Worry.PAID_TWICE if twice else Worry.PAID_LATE).value, now)
        invoice_news.returned(session, paper, payment, now, twice=twice)
    return True
