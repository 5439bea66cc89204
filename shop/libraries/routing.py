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
from shop.libraries.models import LibraryEvent, LibraryOrder, LibraryState, Request
from shop.markets import Market
from shop.orders.numbers import new_number, read_number
from shop.orders.timeline import BUYER, SYSTEM, Actor
from shop.trader import Distributor, distributor, trader

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
    attempt: str
    """The form's random mark: the same mark with the same content is the same order."""

    def digest(self) -> str:
        """SHA-256 of mark and content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


def place(
    session: Session, enquiry: Enquiry, market: Market, now: datetime, *, confirmed_only: bool = False
) -> LibraryOrder:
    """Keep a library's order and owe the letters that follow from it; the same enquiry gives the same order.

    ``confirmed_only`` makes an unconfirmed distributor count as none. Raises ``LookupError`` for an edition that
    is not kept.
    """
    edition = offers.edition(session, enquiry.edition)
    if edition is None:
        raise LookupError(enquiry.edition)
    supplier = supplier_of(session, edition, confirmed_only=confirmed_only)
    submission = enquiry.digest()
    added = _keep(session, enquiry, edition, market, submission, supplier, now)
    order = session.scalars(select(LibraryOrder).where(LibraryOrder.submission == submission)).one()
    if not added:
        return order
    _note(session, order, "received", BUYER, now)
    cause, facts = f"library:{order.id}", enquiry_facts(session, order, supplier)
    if supplier:
        outbox.owe(
            session,
            Kind.LIBRARY_ORDER,
            cause,
            supplier.email,
            outbox.locale_of(supplier.language),
            facts,
            now,
            library_order_id=order.id,
            reply_to=order.email,
        )
        _note(session, order, "routed", SYSTEM, now, supplier.name)
    else:
        outbox.owe_shopkeepers(
            session, Kind.LIBRARY_ORDER, cause, facts, now, library_order_id=order.id, reply_to=order.email
        )
    outbox.owe(
        session,
        Kind.LIBRARY_ACKNOWLEDGED,
        cause,
        order.email,
        market.locale,
        facts,
        now,
        library_order_id=order.id,
    )
    return order


def known(session: Session, enquiry: Enquiry) -> LibraryOrder | None:
    """The order that this very enquiry has already become."""
    return session.scalar(select(LibraryOrder).where(LibraryOrder.submission == enquiry.digest()))


def supplier_of(session: Session, edition: Edition, *, confirmed_only: bool) -> Distributor | None:
    """Who supplies an edition to libraries; ``None`` when it is the shop itself."""
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
    """Bring a library order into another state, with a line of text; raises ``WrongState`` for a move not kept."""
    order = lock(session, LibraryOrder, order_id)
    if order is None:
        raise LookupError(order_id)
    if state is order.state:
        return order
    if state not in MOVES[order.state]:
        raise WrongState(f"{state.value} does not follow {order.state.value}")
    order.state = state
    _note(session, order, state.value, actor, now, detail)
    return order


def by_token(session: Session, token: str) -> LibraryOrder | None:
    return session.scalar(select(LibraryOrder).where(LibraryOrder.token == token))


def by_ticket(session: Session, typed: str) -> LibraryOrder | None:
    """The order a person means by a ticket, however it was typed."""
    ticket = read_number(typed, PREFIX)
    return session.scalar(select(LibraryOrder).where(LibraryOrder.ticket == ticket)) if ticket else None


def enquiry_facts(session: Session, order: LibraryOrder, supplier: Distributor | None) -> dict[str, Any]:
    """All that the letters about a library order are written from, as JSON; inside a writing transaction."""
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
        "supplier": {"name": supplier.name, "email": supplier.email, "phone": supplier.phone}
        if supplier
        else None,
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
    supplier: Distributor | None,
    now: datetime,
) -> bool:
    """Write the row; ``False`` when it was there already."""
    values = {
        **{name: getattr(enquiry, name) for name in TYPED},
        "market": market.slug,
        "submission": submission,
        "state": LibraryState.SENT if supplier else LibraryState.RECEIVED,
        "placed_at": now,
        "edition_id": edition.id,
        "quantity": enquiry.quantity,
        "request": enquiry.request,
        "deadline": enquiry.deadline,
        "consent_at": now,
        "routed_to": supplier.email if supplier else "",
    }
    known = select(LibraryOrder.id).where(LibraryOrder.submission == submission)
    while session.scalar(known) is None:
        # A ticket that is taken already, however unlikely, is drawn again.
        if add_once(session, LibraryOrder, ticket=new_number(PREFIX), token=secrets.token_urlsafe(32), **values):
            return True
    return False


def _note(session: Session, order: LibraryOrder, kind: str, actor: Actor, now: datetime, detail: str = "") -> None:
    session.add(LibraryEvent(library_order_id=order.id, at=now, actor=str(actor), kind=kind, detail=detail))
    session.flush()
    session.expire(order, ["events"])
