"""A library's order: kept, passed on to whoever supplies the edition, acknowledged, and moved from state to state."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue import offers
from shop.catalogue.models import Edition, Unconfirmed
from shop.database import add_once, lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.libraries import duplicates, files, links
from shop.libraries.models import LibraryEvent, LibraryOrder, LibraryState, Request
from shop.libraries.reminding import after, rules
from shop.markets import Market
from shop.orders.numbers import new_number, read_number
from shop.orders.timeline import BUYER, SYSTEM, Actor
from shop.trader import Supplier, distributor, of_country, trader

PREFIX = "LB-"

L = LibraryState
MOVES: dict[LibraryState, tuple[LibraryState, ...]] = {
    L.RECEIVED: (L.SENT, L.ANSWERED, L.SUPPLIED, L.CANNOT_SUPPLY, L.CLOSED),
    L.SENT: (L.ANSWERED, L.SUPPLIED, L.CANNOT_SUPPLY, L.CLOSED),
    L.ANSWERED: (L.SUPPLIED, L.CANNOT_SUPPLY, L.CLOSED),
    L.SUPPLIED: (L.CLOSED,),
    L.CANNOT_SUPPLY: (L.ANSWERED, L.SUPPLIED, L.CLOSED),
    L.CLOSED: (L.ANSWERED,),
}
"""From each state, those that may follow; the order desk draws its buttons from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """What a library entered, cleaned and checked. ``edition`` is a slug, ``country`` an ISO 3166 code."""

    institution: str
    contact_name: str
    email: str
    delivery_address: str
    country: str
    edition: str
    quantity: int
    request: Request
    department: str = ""
    phone: str = ""
    invoice_address: str = ""
    invoice_email: str = ""
    purchase_order: str = ""
    own_reference: str = ""
    payment_route: str = ""
    currency: str = ""
    vat_number: str = ""
    tax_exempt: bool = False
    vendor_forms: str = ""
    san: str = ""
    deadline: date | None = None
    marc_wanted: bool = False
    notes: str = ""
    file_digest: str = ""
    """SHA-256 of the purchase order that came as a file."""
    attempt: str
    """The form's random mark: the same mark with the same content is the same order."""

    def digest(self) -> str:
        """SHA-256 of mark and content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


def place(
    session: Session,
    enquiry: Enquiry,
    market: Market,
    now: datetime,
    *,
    confirmed_only: bool = False,
    file_key: str = "",
) -> LibraryOrder:
    """Keep a library's order and owe the letters that follow from it; the same enquiry gives the same order.

    ``confirmed_only`` makes an unconfirmed distributor count as none. ``file_key`` names a file that was stored
    before. One purchase order about one edition from one e-mail domain is one piece of work: a second ticket with it
    is joined to the first, and whoever supplies hears of it only if something differs. Raises ``LookupError`` for an
    edition that is not kept.
    """
    edition = offers.edition(session, enquiry.edition)
    if edition is None:
        raise LookupError(enquiry.edition)
    supplier = supplier_of(session, edition, enquiry.country, confirmed_only=confirmed_only)
    submission = enquiry.digest()
    added = _keep(session, enquiry, edition, market, submission, supplier, now)
    order = session.scalars(select(LibraryOrder).where(LibraryOrder.submission == submission)).one()
    if not added:
        return order
    if file_key:
        files.attach(session, file_key, order)
    write_down(session, order, "received", BUYER, now)
    if order.joined_to is not None:
        write_down(session, order, "joined", SYSTEM, now, order.joined_to.ticket)
        write_down(session, order.joined_to, "joined_by", SYSTEM, now, order.ticket)
        order.supplier_name, order.routed_to = order.joined_to.supplier_name, order.joined_to.routed_to
        if _differs(order, order.joined_to):
            _write_to_supplier(session, order, order.joined_to, now)
    else:
        _write_to_supplier(session, order, order, now)
    outbox.owe(
        session,
        Kind.LIBRARY_ACKNOWLEDGED,
        f"library:{order.id}",
        order.email,
        market.locale,
        enquiry_facts(session, order),
        now,
        library_order_id=order.id,
    )
    return order


def _write_to_supplier(session: Session, order: LibraryOrder, work: LibraryOrder, now: datetime) -> None:
    """Owe the letter about an order to whoever does the work: the distributor of that ticket, or the shopkeeper."""
    cause, facts = f"library:{order.id}", enquiry_facts(session, order)
    if work.routed_to:
        path = links.open_link(session, work, now)
        outbox.owe(
            session,
            Kind.LIBRARY_ORDER,
            cause,
            work.routed_to,
            outbox.locale_of(work.supplier_language),
            facts | {"answer_path": path, "attachments": [files.facts(each) for each in order.files]},
            now,
            library_order_id=order.id,
            reply_to=order.email,
        )
        write_down(session, order, "routed", SYSTEM, now, work.supplier_name)
    else:
        outbox.owe_shopkeepers(
            session, Kind.LIBRARY_ORDER, cause, facts, now, library_order_id=order.id, reply_to=order.email
        )


def _differs(order: LibraryOrder, first: LibraryOrder) -> bool:
    """Whether a repeated order says something that matters to whoever supplies it."""
    told = (*TYPED, "quantity", "request", "deadline")
    return bool(order.files) or any(
        getattr(order, name) != getattr(first, name) for name in told if name not in ("contact_name", "email")
    )


def known(session: Session, enquiry: Enquiry) -> LibraryOrder | None:
    """The order that this very enquiry has already become."""
    return session.scalar(select(LibraryOrder).where(LibraryOrder.submission == enquiry.digest()))


def supplier_of(session: Session, edition: Edition, country: str = "", *, confirmed_only: bool) -> Supplier | None:
    """Who supplies an edition to a country's libraries; ``None`` when it is the shop itself.

    What was entered for one country goes before what holds everywhere.
    """
    local = of_country(session, edition.id, country) if country else None
    if local is not None:
        return local if local.email else None
    found = distributor(session, edition.id)
    if found is None or not confirmed_only:
        return found
    doubted = select(Unconfirmed.id).where(
        Unconfirmed.confirmed_at.is_(None),
        Unconfirmed.fact == "distributor",
        Unconfirmed.subject.in_((edition.slug, f"editions.{edition.slug}")),
    )
    return found if session.scalar(doubted.limit(1)) is None else None


def move(
    session: Session, order_id: int, state: LibraryState, actor: Actor, detail: str, now: datetime
) -> LibraryOrder:
    """Bring a library order into another state, with a line of text; raises ``WrongState`` for a move not kept.

    Nobody is reminded any more of what has been answered; a closed ticket's links end, and nothing is joined to it.
    """
    order = lock(session, LibraryOrder, order_id)
    if order is None:
        raise LookupError(order_id)
    if state is order.state:
        return order
    if state not in MOVES[order.state]:
        raise WrongState(f"{state.value} does not follow {order.state.value}")
    if state is LibraryState.CLOSED and (order.held or order.allocated):
        raise WrongState(f"{order.ticket} has copies")
    order.state = state
    order.chase_at = None
    if state is LibraryState.CLOSED:
        order.joins_by = None
        links.end_links(session, order.id, now)
    write_down(session, order, state.value, actor, now, detail)
    return order


def by_token(session: Session, token: str) -> LibraryOrder | None:
    return session.scalar(select(LibraryOrder).where(LibraryOrder.token == token))


def by_ticket(session: Session, typed: str) -> LibraryOrder | None:
    """The order a person means by a ticket, however it was typed."""
    ticket = read_number(typed, PREFIX)
    return session.scalar(select(LibraryOrder).where(LibraryOrder.ticket == ticket)) if ticket else None


def enquiry_facts(session: Session, order: LibraryOrder) -> dict[str, Any]:
    """All that the letters about a library order are written from, as JSON; inside a writing transaction."""
    known = distributor(session, order.edition_id) if order.routed_to else None
    phone = known.phone if known is not None and known.email == order.routed_to else ""
    seller, edition = trader(session), order.edition
    return {
        "ticket": order.ticket,
        "path": f"/{order.market}/libraries/{order.token}",
        "market": order.market,
        "placed_at": order.placed_at.isoformat(),
        "request": order.request.value,
        "edition": {
            "slug": edition.slug,
            "title": edition.heading,
            "language": edition.language,
            "isbn": edition.isbn,
            "publisher": edition.publisher,
            "published": edition.published,
        },
        "quantity": order.quantity,
        **{name: getattr(order, name) for name in TYPED},
        "deadline": order.deadline.isoformat() if order.deadline else None,
        "supplier": {"name": order.supplier_name, "email": order.routed_to, "phone": phone}
        if order.routed_to
        else None,
        "joined_to": order.joined_to.ticket if order.joined_to is not None else "",
        "files": [each.name for each in order.files],
        "trader": {
            "name": seller.name,
            "address": seller.address,
            "email": seller.email,
            "phone": seller.phone,
            "vat_number": seller.vat_number,
        },
    }


TYPED = (
    *("institution", "department", "contact_name", "email", "phone", "delivery_address", "country"),
    *("invoice_address", "invoice_email", "purchase_order", "own_reference", "payment_route", "currency"),
    *("vat_number", "tax_exempt", "vendor_forms", "san", "marc_wanted", "notes"),
)


def _keep(
    session: Session,
    enquiry: Enquiry,
    edition: Edition,
    market: Market,
    submission: str,
    supplier: Supplier | None,
    now: datetime,
) -> bool:
    """Write the row; ``False`` when it was there already."""
    values = {
        **{name: getattr(enquiry, name) for name in TYPED},
        "market": market.slug,
        "submission": submission,
        "placed_at": now,
        "edition_id": edition.id,
        "quantity": enquiry.quantity,
        "request": enquiry.request,
        "deadline": enquiry.deadline,
        "consent_at": now,
        "chased": 0,
    }
    known = select(LibraryOrder.id).where(LibraryOrder.submission == submission)
    joins_by = duplicates.key(enquiry, edition.id)
    while session.scalar(known) is None:
        # A ticket that is taken already, however unlikely, is drawn again; a rival with this purchase order is found.
        names = {"ticket": new_number(PREFIX), "token": secrets.token_urlsafe(32)}
        again = duplicates.first(session, joins_by)
        if again is not None:
            route = {"state": LibraryState.CLOSED, "joined_to_id": again.id}
        else:
            like = duplicates.resembled(session, enquiry, edition.id, now)
            route = {
                "joins_by": joins_by,
                "resembles_id": like.id if like else None,
                **_route(session, supplier, now),
            }
        if add_once(session, LibraryOrder, **names, **values, **BLANK | route):
            return True
    return False


BLANK: dict[str, Any] = {
    "joins_by": None,
    "joined_to_id": None,
    "resembles_id": None,
    "chase_at": None,
    "routed_to": "",
    "supplier_name": "",
    "supplier_language": "",
}


def _route(session: Session, supplier: Supplier | None, now: datetime) -> dict[str, Any]:
    """Where a new ticket goes."""
    if supplier is None:
        return {"state": LibraryState.RECEIVED}
    return {
        "state": LibraryState.SENT,
        "routed_to": supplier.email,
        "supplier_name": supplier.name,
        "supplier_language": supplier.language,
        "chase_at": after(session, now, rules(session).remind_days),
    }


def write_down(
    session: Session, order: LibraryOrder, kind: str, actor: Actor, now: datetime, detail: str = ""
) -> None:
    """Add a line to what happened to a library order."""
    session.add(LibraryEvent(library_order_id=order.id, at=now, actor=str(actor), kind=kind, detail=detail))
    session.flush()
    session.expire(order, ["events"])
