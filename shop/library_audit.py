"""The audit of library orders: copies by movement, papers by number, content and PDF, and what was erased."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from shop import erasure
from shop.letters.models import Kind, Letter
from shop.libraries import papers
from shop.libraries.models import LibraryOrder, LibraryParcel
from shop.libraries.paper_models import Paper, PaperFile, PaperKind, PaperSeries
from shop.payments.models import Payment, PaymentRole
from shop.stock import Movement, StockMovement

Found = tuple[str, str, str, str]
"""Kind of difference, what it is about, what stands, what should."""


def differences(session: Session) -> Iterator[Found]:
    """Whatever does not agree about library orders."""
    yield from _copies(session)
    yield from _numbers(session)
    yield from _papers(session)
    yield from _money(session)
    erased = select(LibraryOrder).where(LibraryOrder.erased_at.is_not(None)).order_by(LibraryOrder.id)
    for enquiry in session.scalars(erased):
        for left in erasure.remains_of_library(session, enquiry):
            yield "erasure", enquiry.ticket, f"{left} is still there", "erased"


def _copies(session: Session) -> Iterator[Found]:
    """What an order says of its copies, against the movements and its parcels."""
    sums = select(
        StockMovement.library_order_id,
        func.sum(StockMovement.held),
        func.sum(StockMovement.allocated),
    ).where(StockMovement.library_order_id.is_not(None))
    moved = {row[0]: (row[1], row[2]) for row in session.execute(sums.group_by(StockMovement.library_order_id))}
    gone = select(StockMovement.library_order_id, -func.sum(StockMovement.on_hand)).where(
        StockMovement.library_order_id.is_not(None), StockMovement.kind == Movement.SHIP
    )
    left = dict(iter(session.execute(gone.group_by(StockMovement.library_order_id))))
    packed = select(LibraryParcel.library_order_id, func.sum(LibraryParcel.quantity))
    parcels = dict(iter(session.execute(packed.group_by(LibraryParcel.library_order_id))))
    some = or_(
        *(column != 0 for column in (LibraryOrder.held, LibraryOrder.allocated, LibraryOrder.posted)),
        LibraryOrder.id.in_([*moved, *parcels]),
    )
    for order in session.scalars(select(LibraryOrder).where(some).order_by(LibraryOrder.id)):
        should = moved.get(order.id, (0, 0))
        if (order.held, order.allocated) != should:
            yield "library copies", order.ticket, str((order.held, order.allocated)), str(should)
        for told in (left.get(order.id, 0), parcels.get(order.id, 0)):
            if order.posted != told:
                yield "library parcels", order.ticket, str(order.posted), str(told)


def _numbers(session: Session) -> Iterator[Found]:
    """Each series counts from one without a gap, up to what its row says."""
    last = dict(iter(session.execute(select(PaperSeries.kind, PaperSeries.last))))
    rows = session.execute(select(Paper.kind, Paper.serial).order_by(Paper.kind, Paper.serial))
    issued = {kind: [row.serial for row in found] for kind, found in groupby(rows, key=lambda row: row.kind)}
    for kind in PaperKind:
        serials, counted = issued.get(kind, []), last.get(kind, 0)
        if serials != list(range(1, counted + 1)):
            missing = sorted({*range(1, counted + 1)} ^ {*serials})
            yield "paper numbers", kind.value, f"{missing} missing or too many", f"1 to {counted}"


def _papers(session: Session) -> Iterator[Found]:
    """What a paper says and its PDF are as they were when it was issued; an erased one says nothing."""
    for paper in session.scalars(select(Paper).order_by(Paper.id)):
        if paper.digest and papers.digest(paper.data) != paper.digest:
            yield "paper", paper.number, "changed since it was issued", "unchanged"
        if paper.data and (paper.data["total"], paper.data["number"]) != (paper.amount, paper.number):
            yield "paper", paper.number, f"{paper.amount}", f"{paper.data['total']}"
        taken = papers.credited(session, paper)
        if taken[0] > paper.copies or taken[1] > paper.amount:
            yield "credit", paper.number, str(taken), f"at most {(paper.copies, paper.amount)}"
    for paper_id, pdf, digest in session.execute(select(PaperFile.paper_id, PaperFile.pdf, PaperFile.digest)):
        if hashlib.sha256(pdf).hexdigest() != digest:
            yield "paper", f"the PDF of paper {paper_id}", "changed since it was made", "unchanged"


def _money(session: Session) -> Iterator[Found]:
    """An invoice that counts as paid by its link has one payment, which is no more than its sum, and its letter."""
    paying: dict[int, list[Payment]] = {}
    for payment in session.scalars(select(Payment).where(Payment.role == PaymentRole.INVOICE)):
        if payment.paper is None or payment.order_id is not None:
            yield "invoice payment", payment.intent_id, "for no invoice", "for one"
        else:
            paying.setdefault(payment.paper.library_order_id, []).append(payment)
    written = select(Letter.cause).where(Letter.kind == Kind.LIBRARY_PAID)
    told = set(session.scalars(written))
    standing = select(Paper).where(Paper.kind == PaperKind.INVOICE, Paper.ended_at.is_(None))
    for bill in session.scalars(standing.where(Paper.paid_online).order_by(Paper.id)):
        found = paying.pop(bill.library_order_id, [])
        if len(found) != 1 or bill.paid_on is None:
            yield (
                "invoice payment",
                bill.number,
                f"{len(found)} payments, paid on {bill.paid_on}",
                "one, and a day",
            )
        for payment in found:
            if payment.currency is not bill.currency or not 0 < payment.amount <= bill.amount:
                yield "invoice payment", bill.number, str(payment.money), f"at most {bill.total}"
            if bill.order.erased_at is None and f"payment:{payment.id}" not in told:
                yield "letter", f"{Kind.LIBRARY_PAID.value} for payment:{payment.id}", "none", "one"
    for payments in paying.values():
        for payment in payments:
            yield "invoice payment", payment.intent_id, "pays an invoice that is not paid by its link", "surplus"
