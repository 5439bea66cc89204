"""Money for a library's invoice: what is written down and told of it, and what it makes of the invoice.

Whoever calls has locked the invoice and its order, by ``locked``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from shop.database import lock
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import papers, routing
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperKind
from shop.markets import MARKETS, day_of
from shop.orders.snapshot import money_fact
from shop.orders.timeline import STRIPE
from shop.payments.models import Dispute, Payment, PaymentRole, Refund


def locked(session: Session, paper_id: int) -> tuple[Paper, LibraryOrder]:
    """An invoice and its order, both locked, in the order in which the library desk locks them."""
    paper = lock(session, Paper, paper_id)
    order = lock(session, LibraryOrder, paper.library_order_id) if paper is not None else None
    if paper is None or order is None:
        raise LookupError(paper_id)
    return paper, order


def bill_of(session: Session, paper: Paper) -> Paper | None:
    """The invoice that holds for a ticket now: ``paper`` itself, or the one that has taken its place."""
    bill = papers.current(session, paper.library_order_id, PaperKind.INVOICE)
    return bill if bill is None or bill.id == paper.id else lock(session, Paper, bill.id)


def paid(session: Session, bill: Paper, payment: Payment, now: datetime) -> None:
    """The invoice is paid by its link; whoever pays and the shopkeeper are told."""
    bill.paid_on, bill.paid_note, bill.paid_online, bill.remind_at = day_of(now), payment.intent_id, True, None
    routing.write_down(session, bill.order, "paid_online", STRIPE, now, f"{bill.number} {payment.intent_id}")
    told = {"sum": money_fact(payment.money), "arrived_on": bill.paid_on.isoformat()}
    _write(session, bill, Kind.LIBRARY_PAID, f"payment:{payment.id}", told, now)
    _tell(session, bill, "paid_online", f"payment:{payment.id}:paid", now)


def returned(session: Session, paper: Paper, payment: Payment, now: datetime, *, twice: bool) -> None:
    """The money finds nothing to pay: all of it goes back. ``twice``: the invoice had been paid before."""
    kind = "paid_twice" if twice else "paid_late"
    routing.write_down(session, paper.order, kind, STRIPE, now, f"{paper.number} {payment.intent_id}")
    told = {"sum": money_fact(payment.money), "reason": kind}
    _write(session, paper, Kind.LIBRARY_REFUNDED, f"payment:{payment.id}", told, now)
    _tell(session, paper, kind, f"payment:{payment.id}:{kind}", now)


def differs(session: Session, paper: Paper, payment: Payment, now: datetime) -> None:
    """What came is not what the page had asked for: a person looks."""
    routing.write_down(session, paper.order, "amount_differs", STRIPE, now, f"{paper.number} {payment.intent_id}")
    _tell(session, paper, "amount_differs", f"payment:{payment.id}:differs", now)


def refunded(session: Session, payment: Payment, refund: Refund, now: datetime) -> None:
    """Some of a payment is on its way back; of one that found nothing to pay it was told when that was decided."""
    paper = _paper(session, payment)
    routing.write_down(session, paper.order, "refunded", STRIPE, now, f"{paper.number} {payment.intent_id}")
    if payment.role is PaymentRole.INVOICE:
        told = {"sum": money_fact(refund.money), "reason": "refunded"}
        _write(session, paper, Kind.LIBRARY_REFUNDED, f"refund:{refund.id}", told, now)


def refund_failed(session: Session, payment: Payment, refund: Refund, now: datetime) -> None:
    """The bank has refused a refund: the money is here, and a person must send it another way."""
    paper = _paper(session, payment)
    routing.write_down(session, paper.order, "refund_failed", STRIPE, now, f"{paper.number} {payment.intent_id}")
    _tell(session, paper, "refund_failed", f"refund:{refund.id}:failed", now)


def reckon(session: Session, payment: Payment, back: int, now: datetime) -> None:
    """A payment that has gone back whole (``back`` minor units) pays its invoice no more.

    What is open of it then is what was not credited; if that is something, a person looks.
    """
    if payment.role is not PaymentRole.INVOICE or back < payment.amount:
        return
    bill = bill_of(session, _paper(session, payment))
    payment.role = PaymentRole.SURPLUS
    if bill is None or not bill.paid_online:
        return
    bill.paid_on, bill.paid_note, bill.paid_online = None, "", False
    session.flush()
    routing.write_down(session, bill.order, "unpaid_online", STRIPE, now, f"{bill.number} {payment.intent_id}")
    if papers.open_sum(session, bill):
        _tell(session, bill, "open_again", f"payment:{payment.id}:back", now)


def disputed(session: Session, payment: Payment, dispute: Dispute, now: datetime, *, new: bool) -> None:
    """The payer's bank asks for the money, or has changed its mind."""
    paper = _paper(session, payment)
    kind = "dispute_opened" if new else "dispute_changed"
    routing.write_down(session, paper.order, kind, STRIPE, now, f"{paper.number} {dispute.status}")
    if new:
        _tell(session, paper, "dispute", f"dispute:{dispute.id}", now)


def mark_disputed(session: Session, payment: Payment, standing: bool) -> None:
    """Keep the rest of an order from being posted while its money is asked back."""
    bill = bill_of(session, _paper(session, payment))
    if bill is not None:
        bill.disputed = standing


def warned(session: Session, payment: Payment, warning_id: str, now: datetime) -> None:
    """The card's bank believes that the payment is a fraud; the same warning is told once."""
    _tell(session, _paper(session, payment), "fraud_warning", warning_id, now)


def _paper(session: Session, payment: Payment) -> Paper:
    if payment.paper_id is None:
        raise LookupError(f"payment {payment.id} is for no invoice")
    return session.get_one(Paper, payment.paper_id)


def _write(session: Session, paper: Paper, kind: Kind, cause: str, more: dict[str, Any], now: datetime) -> None:
    order = paper.order
    if order.erased_at is not None:
        return
    told = routing.enquiry_facts(session, order) | {"paper": papers.facts(paper)} | more
    for recipient in papers.recipients(order, to_pay=True):
        outbox.owe(
            session, kind, cause, recipient, MARKETS[order.market].locale, told, now, library_order_id=order.id
        )


def _tell(session: Session, paper: Paper, reason: str, cause: str, now: datetime) -> None:
    order = paper.order
    outbox.owe_shopkeepers(
        session,
        Kind.LIBRARY_ATTENTION,
        cause,
        routing.enquiry_facts(session, order) | {"reason": reason, "line": paper.number},
        now,
        library_order_id=order.id,
    )
