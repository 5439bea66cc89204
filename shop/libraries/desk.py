"""The library desk: what the shop does about an order that it supplies itself, step by step, on one record.

Quotation or pro-forma → purchase order accepted, copies put aside → invoice → posted; paid when the bank says so;
credited when something comes back.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy.orm import Session

from shop import stock
from shop.database import lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import duplicates, files, links, papers, routing
from shop.libraries.models import LibraryOrder, LibraryParcel, LibraryState, Stage
from shop.libraries.paper_models import Paper, PaperKind
from shop.libraries.papers import Terms
from shop.markets import MARKETS
from shop.orders.timeline import Actor

OVER = (LibraryState.CLOSED,)


def may_serve(order: LibraryOrder) -> bool:
    """Whether the shop itself supplies this order: no distributor was asked, or he cannot."""
    if order.joined_to_id is not None or order.state in OVER or order.erased_at is not None:
        return False
    return not order.routed_to or order.state is LibraryState.CANNOT_SUPPLY or order.stage is not Stage.NONE


def taken(session: Session, order_id: int) -> LibraryOrder:
    """The order, locked; raises ``WrongState`` when it is not the shop's to supply.

    From the first step on, a distributor who could not supply it has no more to say about it.
    """
    order = lock(session, LibraryOrder, order_id)
    if order is None:
        raise LookupError(order_id)
    if not may_serve(order):
        raise WrongState(f"{order.ticket} is not supplied from here")
    return order


def offer(session: Session, order_id: int, kind: PaperKind, terms: Terms, actor: Actor, now: datetime) -> Paper:
    """Issue a quotation or a pro-forma invoice; an earlier one of its kind has ended with it."""
    order = taken(session, order_id)
    if kind not in (PaperKind.QUOTE, PaperKind.PRO_FORMA) or order.stage is Stage.INVOICED:
        raise WrongState(f"{order.ticket}: no {kind.value} now")
    earlier = papers.current(session, order.id, kind)
    if earlier is not None and earlier.paid_on is not None:
        raise WrongState(f"{earlier.number} is paid")
    links.end_links(session, order.id, now)
    paper = papers.issue(session, order, kind, terms, actor, now, about=earlier)
    if order.stage is Stage.NONE:
        order.stage = Stage.QUOTED
    if order.state in (LibraryState.RECEIVED, LibraryState.CANNOT_SUPPLY):
        routing.move(session, order.id, LibraryState.ANSWERED, actor, "", now)
    return paper


def accept(
    session: Session,
    order_id: int,
    purchase_order: str,
    copies: int,
    actor: Actor,
    now: datetime,
    *,
    file_key: str = "",
) -> LibraryOrder:
    """A purchase order has come: its copies are put aside. Raises ``OutOfStock`` if there are not enough."""
    order = taken(session, order_id)
    if order.stage not in (Stage.NONE, Stage.QUOTED) or copies < 1:
        raise WrongState(f"{order.ticket} is {order.stage.value}")
    links.end_links(session, order.id, now)
    order.purchase_order, order.quantity, order.stage, order.held = purchase_order, copies, Stage.ORDERED, copies
    joins_by = duplicates.key(order, order.edition_id)
    if duplicates.first(session, joins_by) is None:
        order.joins_by = joins_by  # sent once more by the form, it is this order again
    if file_key:
        files.attach(session, file_key, order)
    if order.state in (LibraryState.RECEIVED, LibraryState.CANNOT_SUPPLY):
        routing.move(session, order.id, LibraryState.ANSWERED, actor, "", now)
    routing.write_down(session, order, "accepted", actor, now, purchase_order)
    stock.hold(session, {order.edition_id: copies}, stock.Library(order.id), str(actor), now)
    return order


def invoice(session: Session, order_id: int, terms: Terms, actor: Actor, now: datetime) -> Paper:
    """Issue the invoice for the copies put aside, which are sold by that. A paid pro-forma of its sum pays it."""
    order = taken(session, order_id)
    waiting = order.held + order.posted
    if order.stage is not Stage.ORDERED or terms.copies != waiting:
        raise WrongState(f"{order.ticket}: {waiting} copies can be invoiced")
    advance = papers.current(session, order.id, PaperKind.PRO_FORMA)
    paid = advance is not None and advance.paid_on is not None and advance.total == terms.total
    paper = papers.issue(
        session,
        order,
        PaperKind.INVOICE,
        terms,
        actor,
        now,
        paid_on=advance.paid_on if advance is not None and paid else None,
        paid_note=advance.number if advance is not None and paid else "",
    )
    copies, order.held, order.stage = order.held, 0, Stage.INVOICED
    order.allocated += copies
    session.flush()
    if copies:
        stock.allocate(session, {order.edition_id: copies}, stock.Library(order.id), str(actor), now)
    return paper


def issue_again(session: Session, paper_id: int, actor: Actor, now: datetime) -> Paper:
    """Another paper in place of one that was issued, with addresses and numbers as they are now.

    An invoice is credited in full and issued anew, paid if it was; its copies stay sold. Raises ``WrongState`` for
    what has ended or was credited.
    """
    paper = lock(session, Paper, paper_id)
    if paper is None:
        raise LookupError(paper_id)
    order = taken(session, paper.library_order_id)
    if paper.ended_at is not None or paper.kind is PaperKind.CREDIT_NOTE or papers.credited(session, paper)[1]:
        raise WrongState(f"{paper.number} is not to be issued again")
    line = paper.data["lines"][0]
    terms = Terms(line["quantity"], line["unit"], paper.data["postage"], paper.currency)
    if paper.kind is PaperKind.INVOICE:
        papers.issue(session, order, PaperKind.CREDIT_NOTE, terms, actor, now, about=paper)
    return papers.issue(
        session,
        order,
        paper.kind,
        terms,
        actor,
        now,
        about=paper,
        paid_on=paper.paid_on,
        paid_note=paper.paid_note,
        paid_online=paper.paid_online,
    )


def note_paid(session: Session, paper_id: int, day: date | None, note: str, actor: Actor, now: datetime) -> Paper:
    """Record that a transfer has arrived, or (no day) that it had not after all.

    Raises ``WrongState`` for what was paid by its link: that goes back as a refund, or not at all.
    """
    paper = lock(session, Paper, paper_id)
    if paper is None:
        raise LookupError(paper_id)
    order = lock(session, LibraryOrder, paper.library_order_id)
    if order is None or paper.kind not in papers.PAYABLE or paper.ended_at is not None:
        raise WrongState(f"{paper.number} is not to be paid")
    if (paper.paid_on is None) == (day is None) or paper.paid_online:
        raise WrongState(f"{paper.number} stands so already")
    paper.paid_on, paper.paid_note = day, note if day else ""
    if day is not None:
        paper.remind_at = None
    kind = "paid" if day is not None else "unpaid"
    routing.write_down(session, order, kind, actor, now, f"{paper.number} {note}".strip())
    return paper


def post(
    session: Session, order_id: int, copies: int, carrier: str, tracking: str, actor: Actor, now: datetime
) -> LibraryParcel:
    """Copies leave the house, all that remain or some of them; everybody who is to be informed is written to."""
    order = taken(session, order_id)
    left = order.held + order.allocated
    if not 0 < copies <= left:
        raise WrongState(f"{order.ticket}: {left} copies can be posted, not {copies}")
    bill = papers.current(session, order.id, PaperKind.INVOICE)
    if bill is not None and bill.disputed:
        raise WrongState(f"the payment of {bill.number} is disputed")
    sold, unsold = min(copies, order.allocated), copies - min(copies, order.allocated)
    order.allocated, order.held, order.posted = order.allocated - sold, order.held - unsold, order.posted + copies
    parcel = LibraryParcel(
        library_order_id=order.id,
        quantity=copies,
        carrier=carrier,
        tracking=tracking,
        posted_at=now,
        posted_by=actor.name,
    )
    session.add(parcel)
    session.flush()
    session.expire(order, ["parcels"])
    routing.write_down(session, order, "posted", actor, now, " ".join(filter(None, (carrier, tracking))))
    if copies == left:
        routing.move(session, order.id, LibraryState.SUPPLIED, actor, "", now)
    context = routing.enquiry_facts(session, order) | {
        "posted_copies": copies,
        "to_follow": left - copies,
        "carrier": carrier,
        "tracking": tracking,
    }
    for recipient in papers.recipients(order):
        outbox.owe(
            session,
            Kind.LIBRARY_POSTED,
            f"lparcel:{parcel.id}",
            recipient,
            MARKETS[order.market].locale,
            context,
            now,
            library_order_id=order.id,
        )
    whose, moved = stock.Library(order.id), {order.edition_id: copies}
    if unsold:
        stock.allocate(session, {order.edition_id: unsold}, whose, str(actor), now)
    stock.ship(session, moved, whose, str(actor), now)
    return parcel


def credit(
    session: Session, paper_id: int, copies: int, postage: int, back: int, actor: Actor, now: datetime
) -> Paper:
    """Credit copies of an invoice, and postage (minor units); ``back`` of the posted ones stand on the shelf again.

    Copies that were not posted yet are sold no more. Raises ``WrongState`` for more than was invoiced or posted.
    """
    paper = lock(session, Paper, paper_id)
    if paper is None:
        raise LookupError(paper_id)
    order = lock(session, LibraryOrder, paper.library_order_id)
    if order is None or paper.kind is not PaperKind.INVOICE or paper.ended_at is not None:
        raise WrongState(f"{paper.number} is not to be credited")
    line, whose = paper.data["lines"][0], stock.Library(order.id)
    terms = Terms(copies, line["unit"], postage, paper.currency)
    taken_copies, taken_sum = papers.credited(session, paper)
    away = stock.away_to_library(session, order.id).get(order.edition_id, 0)
    if (
        not (0 <= copies <= paper.copies - taken_copies)
        or not 0 < terms.total.amount <= paper.amount - taken_sum
        or not 0 <= back <= min(copies, away)
        or postage < 0
    ):
        raise WrongState(f"{paper.number}: that cannot be credited")
    note = papers.issue(session, order, PaperKind.CREDIT_NOTE, terms, actor, now, about=paper)
    if not papers.open_sum(session, paper):
        paper.remind_at = None
    freed = min(copies - back, order.allocated)
    order.allocated -= freed
    session.flush()
    if freed:
        stock.free(session, {order.edition_id: freed}, whose, str(actor), now)
    if back:
        stock.take_back(session, {order.edition_id: back}, whose, note.number, str(actor), now)
    return note


def let_go(session: Session, order_id: int, actor: Actor, now: datetime) -> None:
    """Give the copies of an order back to sale before it is closed.

    Raises ``WrongState`` while an invoice is neither paid nor credited, or sold copies are still to be posted.
    """
    order = lock(session, LibraryOrder, order_id)
    if order is None:
        raise LookupError(order_id)
    bill = papers.current(session, order.id, PaperKind.INVOICE)
    if order.allocated or (bill is not None and papers.open_sum(session, bill)):
        raise WrongState(f"{order.ticket} has an open invoice or sold copies")
    if order.held:
        copies, order.held = order.held, 0
        order.stage = Stage.QUOTED
        session.flush()
        stock.release(session, {order.edition_id: copies}, stock.Library(order.id), str(actor), now)
