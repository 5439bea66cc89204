"""Library orders as a file for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Response, abort, request
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload, selectinload

from shop.admin import spreadsheets
from shop.admin.desk import desk, locale
from shop.admin.export import FIRST, LATER
from shop.admin.libraries import STATES
from shop.admin.naming import edition_name
from shop.admin.spreadsheets import written_moment
from shop.admin.words import LIBRARY, REQUEST, STAGE
from shop.database import look
from shop.extensions import db
from shop.libraries import papers
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperKind
from shop.markets import country_name


@desk.get("/libraries.csv")
def export_libraries() -> Response:
    """The library orders that the list of the same state shows, all of them, newest first."""
    state = request.args.get("state", "")
    if state not in STATES:
        abort(404)
    rows = _batches(db.session(), STATES[state][1])
    return spreadsheets.answer(spreadsheets.dated("library-orders"), _heading(), rows)


def _batches(session: Session, condition: ColumnElement[bool]) -> Iterator[Iterable[list[str]]]:
    """The rows, so many at once, with what belongs to them by one question for each kind of it."""
    look(session)  # all of it as of one moment, however long it takes
    wanted = (
        select(LibraryOrder)
        .where(condition)
        .options(
            joinedload(LibraryOrder.edition),
            joinedload(LibraryOrder.joined_to),
            selectinload(LibraryOrder.parcels),
        )
        .order_by(LibraryOrder.id.desc())
    )
    last, size = None, FIRST
    while True:
        older = wanted if last is None else wanted.where(LibraryOrder.id < last)
        orders = list(session.scalars(older.limit(size)))
        if not orders:
            session.rollback()
            return
        issued: dict[int, list[Paper]] = {}
        ids = [order.id for order in orders]
        for paper in session.scalars(select(Paper).where(Paper.library_order_id.in_(ids)).order_by(Paper.id)):
            issued.setdefault(paper.library_order_id, []).append(paper)
        yield [_cells(session, order, issued.get(order.id, [])) for order in orders]
        last, size = orders[-1].id, LATER
        session.expunge_all()  # a row that was written is needed no more


def _heading() -> list[str]:
    return [
        *(_("Ticket"), _("Placed"), _("State"), _("Request"), _("Edition"), "ISBN", _("Copies")),
        *(_("Institution"), _("Department"), _("Contact person"), _("E-mail"), _("Telephone")),
        *(_("Delivery address"), _("Country"), _("Invoice address"), _("E-mail for the invoice")),
        *(_("Purchase order"), _("Their own reference"), _("SAN or GLN"), _("How they pay"), _("Currency")),
        *(_("VAT number"), _("Exempt from tax"), _("Vendor forms"), _("Deadline"), _("MARC record wanted")),
        *(_("Notes"), _("Distributor"), _("In hand since"), _("Joined to")),
        *(_("Library desk"), _("Papers"), _("Put aside"), _("Posted"), _("Tracking number")),
    ]


def _cells(session: Session, order: LibraryOrder, issued: list[Paper]) -> list[str]:
    yes = {True: str(_("yes")), False: str(_("no"))}
    return [
        *(order.ticket, written_moment(order.placed_at), str(LIBRARY[order.state]), str(REQUEST[order.request])),
        *(edition_name(order.edition.slug), order.edition.isbn or "", str(order.quantity)),
        *(order.institution, order.department, order.contact_name, order.email, order.phone),
        *(order.delivery_address, country_name(order.country, locale()), order.invoice_address),
        *(order.invoice_email, order.purchase_order, order.own_reference, order.san, order.payment_route),
        *(order.currency, order.vat_number, yes[order.tax_exempt], order.vendor_forms),
        *(order.deadline.isoformat() if order.deadline else "", yes[order.marc_wanted], order.notes),
        *(order.supplier_name or order.routed_to, written_moment(order.seen_at)),
        order.joined_to.ticket if order.joined_to else "",
        str(STAGE[order.stage]),
        "; ".join(_paper(session, each) for each in issued),
        *(str(order.held + order.allocated), str(order.posted)),
        "; ".join(each.tracking for each in order.parcels if each.tracking),
    ]


def _paper(session: Session, paper: Paper) -> str:
    """Number, sum, and what of it is open."""
    writes = spreadsheets.custom()
    whole = f"{paper.number}: {writes.sum(paper.amount)} {paper.currency.value}"
    left = papers.open_sum(session, paper) if paper.kind is PaperKind.INVOICE and not paper.ended_at else 0
    return f"{whole} ({_('open')}: {writes.sum(left)})" if left else whole
