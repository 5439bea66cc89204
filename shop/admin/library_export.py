"""Library orders as a file for a spreadsheet."""

from __future__ import annotations

from flask import Response, abort, request
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from shop.admin.desk import desk, locale
from shop.admin.export import csv_lines, written_moment, written_sum
from shop.admin.libraries import STATES
from shop.admin.naming import edition_name
from shop.admin.words import LIBRARY, REQUEST, STAGE
from shop.extensions import db, now
from shop.libraries import papers
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperKind
from shop.markets import SHOP_ZONE, country_name


@desk.get("/libraries.csv")
def export_libraries() -> Response:
    """The library orders that the list of the same state shows, all of them, newest first."""
    state = request.args.get("state", "")
    if state not in STATES:
        abort(404)
    wanted = (
        select(LibraryOrder)
        .where(STATES[state][1])
        .options(
            joinedload(LibraryOrder.edition), joinedload(LibraryOrder.joined_to), selectinload(LibraryOrder.files)
        )
        .order_by(LibraryOrder.id.desc())
    )
    session = db.session()
    body = b"\xef\xbb\xbf" + csv_lines([_heading(), *(_cells(session, each) for each in session.scalars(wanted))])
    name = now().astimezone(SHOP_ZONE).strftime("library-orders-%Y-%m-%d.csv")
    return Response(body, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


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


def _cells(session: Session, order: LibraryOrder) -> list[str]:
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
        "; ".join(_paper(session, each) for each in papers.of_order(session, order.id)),
        *(str(order.held + order.allocated), str(order.posted)),
        "; ".join(each.tracking for each in order.parcels if each.tracking),
    ]


def _paper(session: Session, paper: Paper) -> str:
    """Number, sum, and what of it is open."""
    whole = f"{paper.number}: {written_sum(paper.amount)} {paper.currency.value}"
    left = papers.open_sum(session, paper) if paper.kind is PaperKind.INVOICE and not paper.ended_at else 0
    return f"{whole} ({_('open')}: {written_sum(left)})" if left else whole
