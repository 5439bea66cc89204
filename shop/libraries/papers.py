"""Issuing papers: number and frozen data in one commit, from a locked row of the series; the PDF is made afterwards.

A quotation's place is taken by a later one, an invoice's only by a credit note and another invoice: what was issued
never changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from shop.database import add_once, lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import routing
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperFile, PaperKind, PaperSeries
from shop.libraries.reminding import MORNING, rules
from shop.markets import MARKETS, day_begins, day_of
from shop.money import Currency, Money
from shop.orders.timeline import Actor
from shop.trader import trader, vendor

PREFIXES = {
    PaperKind.QUOTE: "Q",
    PaperKind.PRO_FORMA: "PF",
    PaperKind.INVOICE: "INV",
    PaperKind.CREDIT_NOTE: "CN",
}
PAYABLE = (PaperKind.PRO_FORMA, PaperKind.INVOICE)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be paid for: copies at a price each, and postage, in minor units."""

    copies: int
    unit: int
    postage: int
    currency: Currency

    @property
    def total(self) -> Money:
        return Money(self.copies * self.unit + self.postage, self.currency)


def issue(
    session: Session,
    order: LibraryOrder,
    kind: PaperKind,
    terms: Terms,
    actor: Actor,
    now: datetime,
    *,
    about: Paper | None = None,
    paid_on: date | None = None,
    paid_note: str = "",
    paid_online: bool = False,
) -> Paper:
    """Give the next number of a series to a paper and freeze all it says; the order must be locked.

    ``paid_on`` is when it was paid before it was issued.
    """
    seller = trader(session)
    if not seller.name or not seller.address:
        raise WrongState("nobody is entered who could issue a paper")
    day, decided = day_of(now), rules(session)
    valid_until = (
        day + timedelta(days=decided.valid_days) if kind in (PaperKind.QUOTE, PaperKind.PRO_FORMA) else None
    )
    due_on = day + timedelta(days=decided.terms_days) if kind is PaperKind.INVOICE else None
    serial = _next(session, kind)
    number = f"{PREFIXES[kind]}-{serial:05d}"
    data = _frozen(session, order, terms) | {
        "kind": kind.value,
        "number": number,
        "issued_on": day.isoformat(),
        "valid_until": valid_until.isoformat() if valid_until else None,
        "due_on": due_on.isoformat() if due_on else None,
        "terms_days": decided.terms_days,
        "paid_on": paid_on.isoformat() if paid_on else None,
        "about": about.number if about is not None else "",
    }
    paper = Paper(
        library_order_id=order.id,
        kind=kind,
        serial=serial,
        number=number,
        issued_at=now,
        issued_by=str(actor),
        currency=terms.currency,
        copies=terms.copies,
        amount=terms.total.amount,
        valid_until=valid_until,
        due_on=due_on,
        data=data,
        digest=digest(data),
        about_id=about.id if about is not None else None,
        paid_on=paid_on,
        paid_note=paid_note,
        paid_online=paid_online,
    )
    if due_on is not None and paid_on is None:
        paper.remind_at = _morning(due_on - timedelta(days=decided.before_due_days))
    session.add(paper)
    session.flush()
    if about is not None and kind is not PaperKind.CREDIT_NOTE:
        about.ended_at, about.remind_at = now, None
    routing.write_down(session, order, f"issued_{kind.value}", actor, now, number)
    return paper


def _next(session: Session, kind: PaperKind) -> int:
    """The next number of a series: its row stays locked until the paper is committed, so no number is left out."""
    add_once(session, PaperSeries, kind=kind, last=0)
    series = lock(session, PaperSeries, kind)
    if series is None:
        raise LookupError(kind)
    series.last += 1
    session.flush()
    return series.last


def _morning(day: date) -> datetime:
    return day_begins(day) + MORNING


def _frozen(session: Session, order: LibraryOrder, terms: Terms) -> dict[str, Any]:
    """Whatever a paper says, as JSON; sums in minor units."""
    seller, bank, edition = trader(session), vendor(session), order.edition
    market = MARKETS[order.market]
    names = {text.language: text.name for text in edition.texts}
    return {
        "ticket": order.ticket,
        "locale": market.locale,
        "currency": terms.currency.value,
        "seller": {
            "name": seller.name,
            "address": seller.address,
            "email": seller.email,
            "phone": seller.phone,
            "vat_number": seller.vat_number,
            "company_number": bank.company_number,
        },
        "bank": {
            name: getattr(bank, name)
            for name in ("account_name", "bank_name", "iban", "bic", "sort_code", "account_number")
        },
        "buyer": {
            name: getattr(order, name)
            for name in (
                *("institution", "department", "contact_name", "country", "vat_number", "delivery_address"),
                *("invoice_address", "purchase_order", "own_reference", "san"),
            )
        },
        "tax_exempt": order.tax_exempt,
        "lines": [
            {
                "title": edition.heading,
                "language": edition.language,
                "name": names.get(market.language, edition.slug),
                "people": [person.name for person in edition.contributors],
                "publisher": edition.publisher,
                "published": edition.published,
                "isbn": edition.isbn,
                "quantity": terms.copies,
                "unit": terms.unit,
                "amount": terms.copies * terms.unit,
            }
        ],
        "postage": terms.postage,
        "total": terms.total.amount,
    }


def digest(data: dict[str, Any]) -> str:
    """What shows that nothing of a paper was changed."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def of_order(session: Session, order_id: int) -> list[Paper]:
    """A ticket's papers, oldest first."""
    return list(session.scalars(select(Paper).where(Paper.library_order_id == order_id).order_by(Paper.id)))


def numbered(session: Session, order_id: int, number: str) -> Paper | None:
    """A ticket's paper of this number."""
    return session.scalar(select(Paper).where(Paper.library_order_id == order_id, Paper.number == number))


def current(session: Session, order_id: int, kind: PaperKind) -> Paper | None:
    """The paper of a kind that no other has taken the place of."""
    return session.scalar(
        select(Paper)
        .where(Paper.library_order_id == order_id, Paper.kind == kind, Paper.ended_at.is_(None))
        .order_by(Paper.id.desc())
        .limit(1)
    )


def credited(session: Session, invoice: Paper) -> tuple[int, int]:
    """Copies and sum that credit notes have taken off an invoice."""
    sums = select(func.coalesce(func.sum(Paper.copies), 0), func.coalesce(func.sum(Paper.amount), 0))
    copies, amount = session.execute(
        sums.where(Paper.about_id == invoice.id, Paper.kind == PaperKind.CREDIT_NOTE)
    ).one()
    return int(copies), int(amount)


def open_sum(session: Session, invoice: Paper) -> int:
    """What of an invoice is neither paid nor credited, in minor units."""
    if invoice.paid_on is not None:
        return 0
    return invoice.amount - credited(session, invoice)[1]


_NOTE = aliased(Paper)
_OFF = select(func.coalesce(func.sum(_NOTE.amount), 0)).where(
    _NOTE.about_id == Paper.id, _NOTE.kind == PaperKind.CREDIT_NOTE
)
UNPAID = select(Paper.library_order_id).where(
    Paper.kind == PaperKind.INVOICE,
    Paper.ended_at.is_(None),
    Paper.paid_on.is_(None),
    Paper.amount > _OFF.correlate(Paper).scalar_subquery(),
)
"""Ids of the orders with an invoice that is neither paid nor credited."""


def pay_path(paper: Paper) -> str:
    """The stable link by which an invoice is paid, as a path; as secret as the library's own page."""
    order = paper.order
    return f"/{order.market}/libraries/{order.token}/invoices/{paper.number}"


def facts(paper: Paper) -> dict[str, Any]:
    """A paper as letters name it."""
    to_pay = paper.kind is PaperKind.INVOICE and paper.paid_on is None
    return {
        "kind": paper.kind.value,
        "number": paper.number,
        "total": {"amount": paper.amount, "currency": paper.currency.value},
        "valid_until": paper.valid_until.isoformat() if paper.valid_until else None,
        "due_on": paper.due_on.isoformat() if paper.due_on else None,
        "paid_on": paper.paid_on.isoformat() if paper.paid_on else None,
        "about": str(paper.data.get("about", "")),
        "pay_path": pay_path(paper) if to_pay else "",
    }


def attachment(paper: Paper) -> dict[str, Any]:
    return {"paper": paper.id, "name": f"{paper.number}.pdf", "type": "application/pdf"}


def unmade(session: Session) -> list[int]:
    """Papers whose PDF has not been made yet."""
    made = select(PaperFile.paper_id)
    wanted = select(Paper.id).where(Paper.id.not_in(made), Paper.digest != "").order_by(Paper.id)
    return list(session.scalars(wanted))


def store(session: Session, paper_id: int, pdf: bytes, now: datetime) -> bool:
    """Keep the PDF of a paper, once, and owe the letters that bring it; ``False`` when it was there already."""
    paper = lock(session, Paper, paper_id)
    if paper is None:
        raise LookupError(paper_id)
    told = hashlib.sha256(pdf).hexdigest()
    if not add_once(session, PaperFile, paper_id=paper.id, pdf=pdf, digest=told, made_at=now):
        return False
    for recipient in recipients(paper.order, to_pay=paper.kind not in (PaperKind.QUOTE, PaperKind.PRO_FORMA)):
        write(session, paper, Kind.LIBRARY_PAPER, f"paper:{paper.id}", recipient, {}, now)
    return True


def write(
    session: Session,
    paper: Paper,
    kind: Kind,
    cause: str,
    recipient: str,
    more: dict[str, Any],
    now: datetime,
) -> None:
    """Owe one letter about a paper, with the paper."""
    order = paper.order
    context = routing.enquiry_facts(session, order) | {"paper": facts(paper), "attachments": [attachment(paper)]}
    outbox.owe(
        session,
        kind,
        cause,
        recipient,
        MARKETS[order.market].locale,
        context | more,
        now,
        library_order_id=order.id,
    )


def recipients(order: LibraryOrder, *, to_pay: bool = False) -> list[str]:
    """Who gets letters about an order: whoever asked (for what is to be paid, whoever pays), and all who were named."""
    first = order.invoice_email if to_pay and order.invoice_email else order.email
    named = [line.strip() for line in order.informed.splitlines()]
    found = {each.casefold(): each for each in (first, *([order.email] if to_pay else []), *named) if each}
    return list(found.values())
