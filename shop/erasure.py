"""Erasing: after the years of keeping, or when somebody asks, what is personal goes; sums, copies and proofs stay.

An erased row is emptied, not deleted, so that totals, letters owed and timelines can be audited as before.
"""

from __future__ import annotations

import calendar
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from shop.database import lock, transact
from shop.errors import WrongState
from shop.letters.models import SHOPKEEPER, Letter, LetterState
from shop.libraries import links, papers
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperFile, PaperKind
from shop.orders import terms, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Buyer, Order, PersonalValue
from shop.orders.placing import locked
from shop.orders.timeline import Actor
from shop.payments import invoice_checkouts
from shop.payments.models import AttemptState, CheckoutAttempt, Dispute, Payment, Refund, RefundState
from shop.withdrawals import statements
from shop.withdrawals.models import Withdrawal

BUYER = (
    *("email", "name", "phone", "line1", "line2", "city", "state", "postal_code", "country"),
    *("purchase_order", "note", "search"),
)
LIBRARY = (
    *("institution", "department", "contact_name", "email", "phone", "delivery_address", "invoice_address"),
    *("invoice_email", "purchase_order", "own_reference", "vat_number", "vendor_forms", "san", "notes"),
    "informed",
)
STATEMENT = ("name", "number", "email", "details")
BILLS = (PaperKind.INVOICE, PaperKind.CREDIT_NOTE)
"""Papers that are kept as long as orders are."""
UNPAID = (PaymentState.AWAITING, PaymentState.PROCESSING)


class NotErasable(WrongState):
    """Something about an order or an enquiry is not over; the text is a sentence that says what."""


@dataclass(slots=True)
class Erased:
    """What a run has erased, by number, and what it has left, with the reason."""

    orders: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    orphans: int = 0
    statements: int = 0
    """Statements of withdrawal that no order was found for."""
    kept: dict[str, str] = field(default_factory=dict)


def run(session: Session, now: datetime, *, years: int, months: int, most: int | None = None) -> Erased:
    """Erase orders older than ``years`` and library orders older than ``months``, each in its own transaction.

    What is not over is left for a later run. ``most`` limits how many of each kind are erased at once.
    """
    done = Erased()
    old, old_enquiry = before(now, 12 * years), before(now, months)
    overdue = (
        select(Order.id, Order.number)
        .join(Buyer)
        .where(Order.placed_at <= old, Buyer.erased_at.is_(None))
        .order_by(Order.id)
    )
    for order_id, number in _rows(session, overdue):
        if most is not None and len(done.orders) >= most:
            break
        try:
            transact(session, erase_order, order_id, timeline.SYSTEM, now)
            done.orders.append(number)
        except NotErasable as error:
            done.kept[number] = str(error)
    billed = select(Paper).where(Paper.kind.in_(BILLS), Paper.issued_at > old).subquery()
    enquiries = (
        select(LibraryOrder.id, LibraryOrder.ticket)
        .where(LibraryOrder.placed_at <= old_enquiry, LibraryOrder.erased_at.is_(None))
        .where(~select(billed.c.id).where(billed.c.library_order_id == LibraryOrder.id).exists())
        .order_by(LibraryOrder.id)
    )
    for enquiry_id, ticket in _rows(session, enquiries):
        if most is not None and len(done.libraries) >= most:
            break
        try:
            transact(session, erase_library, enquiry_id, now)
            done.libraries.append(ticket)
        except NotErasable as error:
            done.kept[ticket] = str(error)
    done.orphans = transact(session, _erase_orphans, old)
    done.statements = transact(session, _erase_statements, old, now)
    return done


def _rows(session: Session, wanted: object) -> list[tuple[int, str]]:
    found = [(row[0], row[1]) for row in session.execute(wanted)]  # type: ignore[call-overload]
    session.rollback()
    return found


def before(moment: datetime, months: int) -> datetime:
    """The same day and hour so many months earlier; the month's last day where it has fewer."""
    years, month = divmod(moment.month - 1 - months, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def hindrance(session: Session, order: Order) -> str:
    """Why an order cannot be erased yet, as a sentence; empty when it is over."""
    pages = select(CheckoutAttempt.id).where(
        CheckoutAttempt.order_id == order.id, CheckoutAttempt.state != AttemptState.CLOSED
    )
    if order.payment_state in UNPAID or session.scalar(pages.limit(1)) is not None:
        return "It can still be paid, or its payment is on the way."
    if order.fulfilment_state is FulfilmentState.TO_POST:
        return "Its copies are still to be posted."
    if any(parcel.is_waiting for parcel in order.parcels):
        return "A parcel in place of another is still to be posted."
    if any(parcel.awaits_decision for parcel in order.parcels):
        return "A parcel came back, and what follows is not decided."
    payments = select(Payment.id).where(Payment.order_id == order.id)
    open_disputes = select(Dispute.id).where(Dispute.payment_id.in_(payments), Dispute.closed_at.is_(None))
    if session.scalar(open_disputes.limit(1)) is not None:
        return "Its payment is disputed."
    under_way = select(Refund.id).where(
        Refund.payment_id.in_(payments), Refund.state.in_((RefundState.OWED, RefundState.PENDING))
    )
    if session.scalar(under_way.limit(1)) is not None:
        return "A refund is under way."
    if any(each.done_at is None for each in statements.of_order(session, order.id)):
        return "Its buyer has withdrawn, and nobody has dealt with that."
    if order.needs_attention:
        return "It needs the attention of a person."
    if _letter_owed(session, Letter.order_id == order.id):
        return "A letter about it is still to be sent."
    return ""


def _letter_owed(session: Session, about: object) -> bool:
    owed = select(Letter.id).where(about, Letter.state == LetterState.OWED)  # type: ignore[arg-type]
    return session.scalar(owed.limit(1)) is not None


def erase_order(session: Session, order_id: int, actor: Actor, now: datetime) -> bool:
    """Empty everything personal about an order; false when it was empty already.

    Raises ``NotErasable`` while something about the order is not over.
    """
    order = locked(session, order_id)
    if why := hindrance(session, order):
        raise NotErasable(why)
    if order.buyer.erased_at is not None and not any(remains(session, order)):
        return False
    for name in BUYER:
        setattr(order.buyer, name, "")
    order.buyer.erased_at = now
    for shipment in order.parcels:
        shipment.tracking = ""
    for payment in session.scalars(select(Payment).where(Payment.order_id == order.id)):
        payment.card, payment.facts = "", {}
    # The digest of what was typed could be guessed at; that of the form's random mark goes with it.
    order.visitor, order.attempt, order.content = "", secrets.token_hex(32), secrets.token_hex(32)
    _erase_letters(session, list(session.scalars(select(Letter).where(Letter.order_id == order.id))), now)
    for kept in statements.of_order(session, order.id):
        _empty_statement(kept, now)
    session.execute(
        delete(PersonalValue)
        .where(PersonalValue.order_id == order.id)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    session.expire(order, ["timeline"])
    timeline.note(session, order, "erased", actor, now)
    return True


def erase_library(session: Session, enquiry_id: int, now: datetime) -> bool:
    """Empty everything that a library typed and that was noted about it; false when it was empty already.

    Raises ``NotErasable`` while a letter is still to be sent.
    """
    enquiry = lock(session, LibraryOrder, enquiry_id)
    if enquiry is None:
        raise LookupError(enquiry_id)
    if _letter_owed(session, Letter.library_order_id == enquiry.id):
        raise NotErasable("A letter about it is still to be sent.")
    if enquiry.held or enquiry.allocated:
        raise NotErasable("Copies are put aside for it.")
    written = papers.of_order(session, enquiry.id)
    if any(
        each.kind is PaperKind.INVOICE and each.ended_at is None and papers.open_sum(session, each)
        for each in written
    ):
        raise NotErasable("An invoice is neither paid nor credited.")
    if invoice_checkouts.is_unsettled(session, enquiry.id):
        raise NotErasable("A page to pay on is open, a refund is under way, or a payment is disputed.")
    if enquiry.erased_at is not None and not any(remains_of_library(session, enquiry)):
        return False
    for name in LIBRARY:
        setattr(enquiry, name, "")
    enquiry.submission, enquiry.erased_at = secrets.token_hex(32), now
    # The digest of a purchase order could be guessed at; the files' bytes go with the next housekeeping.
    enquiry.joins_by, enquiry.chase_at = None, None
    links.end_links(session, enquiry.id, now)
    for paper in written:
        # Its digest, with names to guess at, would prove them.
        paper.data, paper.digest, paper.paid_note, paper.remind_at = {}, "", "", None
        session.execute(delete(PaperFile).where(PaperFile.paper_id == paper.id))
    for payment in invoice_checkouts.payments_of(session, enquiry.id):
        payment.card = ""
    for page in invoice_checkouts.pages_of(session, enquiry.id):
        page.parameters, page.url = {}, ""  # they name the purchase order
    for parcel in enquiry.parcels:
        parcel.tracking = ""
    for file in enquiry.files:
        session.delete(file)
    for happened in enquiry.events:
        happened.detail = ""
    letters = select(Letter).where(Letter.library_order_id == enquiry.id)
    _erase_letters(session, list(session.scalars(letters)), now)
    return True


def _erase_letters(session: Session, letters: list[Letter], now: datetime) -> None:
    """Empty letters, and the text of those that went in one message with them."""
    joined = {each.message_id for each in letters if each.message_id and each.kind in SHOPKEEPER}
    if joined:
        session.execute(
            update(Letter)
            .where(Letter.message_id.in_(joined), Letter.message_id != "")
            .values(text="")
            .execution_options(synchronize_session=False)
        )
    for letter in letters:
        # A key needs a recipient, and no two rows the same one.
        letter.recipient, letter.reply_to, letter.context = f"erased-{letter.id}", "", {}
        letter.subject = letter.text = letter.message_id = letter.last_error = ""
        letter.erased_at = now


def _erase_orphans(session: Session, old: datetime) -> int:
    """Empty what is told by payments that no order is known for; answers how many there were."""
    wanted = select(Payment).where(Payment.order_id.is_(None), Payment.received_at <= old)
    found = [each for each in session.scalars(wanted) if each.card or each.facts]
    for payment in found:
        payment.card, payment.facts = "", {}
    return len(found)


def _empty_statement(kept: Withdrawal, now: datetime) -> None:
    for name in STATEMENT:
        setattr(kept, name, "")
    # A digest of what was typed could be guessed at.
    kept.submission, kept.erased_at = secrets.token_hex(32), now


def _erase_statements(session: Session, old: datetime, now: datetime) -> int:
    """Empty old statements of withdrawal that no order was found for, and their letters; answers how many."""
    wanted = select(Withdrawal).where(
        Withdrawal.order_id.is_(None), Withdrawal.stated_at <= old, Withdrawal.erased_at.is_(None)
    )
    found = list(session.scalars(wanted))
    for kept in found:
        _empty_statement(kept, now)
        letters = select(Letter).where(
            Letter.cause == statements.cause_of(kept), Letter.kind.in_(statements.LETTERS)
        )
        _erase_letters(session, list(session.scalars(letters)), now)
    return len(found)


def remains(session: Session, order: Order) -> Iterator[str]:
    """What is personal and still there about an order whose buyer was erased; the timeline's values aside."""
    yield from (f"the buyer's {name}" for name in BUYER if getattr(order.buyer, name))
    yield from ("a tracking number" for shipment in order.parcels if shipment.tracking)
    if any(source != terms.NUMBER for _term, source, _at in terms.kept(session, [order.id]).get(order.id, ())):
        yield "a word that it is found by"
    for payment in session.scalars(select(Payment).where(Payment.order_id == order.id)):
        if payment.card or payment.facts:
            yield f"facts of payment {payment.id}"
    for kept in statements.of_order(session, order.id):
        yield from (f"the {name} of a withdrawal" for name in STATEMENT if getattr(kept, name))
    yield from _readable(session.scalars(select(Letter).where(Letter.order_id == order.id).order_by(Letter.id)))


def remains_of_library(session: Session, enquiry: LibraryOrder) -> Iterator[str]:
    """What is still there of what a library had written before it was erased."""
    yield from (f"its {name}" for name in LIBRARY if getattr(enquiry, name))
    yield from (f"the file {each.id}" for each in enquiry.files)
    yield from (f"what {each.number} says" for each in papers.of_order(session, enquiry.id) if each.data)
    yield from (
        f"the card of {each.intent_id}" for each in invoice_checkouts.payments_of(session, enquiry.id) if each.card
    )
    yield from (
        f"what page {each.id} said" for each in invoice_checkouts.pages_of(session, enquiry.id) if each.parameters
    )
    yield from ("a tracking number" for each in enquiry.parcels if each.tracking)
    yield from (f"a remark on {each.kind}" for each in enquiry.events if each.detail and each.at <= _at(enquiry))
    letters = select(Letter).where(Letter.library_order_id == enquiry.id).order_by(Letter.id)
    yield from _readable(session.scalars(letters))


def _at(enquiry: LibraryOrder) -> datetime:
    return enquiry.erased_at or enquiry.placed_at


def _readable(letters: object) -> Iterator[str]:
    for letter in letters:  # type: ignore[attr-defined]
        if letter.erased_at is None or letter.text or letter.context:
            yield f"letter {letter.id} ({letter.kind.value})"
