"""The link on which a library pays an invoice: a page that shows it, and the way to the payment page.

Opening it changes nothing, for scanners open what letters bring; only the button's post opens a payment page.
"""

from __future__ import annotations

import enum
import logging

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from shop.errors import GatewayError, GatewayRefused, WrongState
from shop.extensions import db, gateway, now, settings
from shop.libraries import papers, routing
from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper, PaperKind
from shop.payments import invoice_checkouts
from shop.storefront.order_pages import hidden

log = logging.getLogger(__name__)


class Standing(enum.StrEnum):
    """What whoever opens the link is told."""

    TO_PAY = "to_pay"
    CONFIRMING = "confirming"
    PAID = "paid"
    CREDITED = "credited"
    REPLACED = "replaced"
    BY_TRANSFER = "by_transfer"
    """A sum that no card pays, or money has come that a person must look at first."""


WORDS: dict[Standing, LazyString] = {
    Standing.TO_PAY: _l("It can be paid here by card, or by bank transfer with the particulars that stand on it."),
    Standing.CONFIRMING: _l("The payment is being confirmed. This takes a moment; please do not pay again."),
    Standing.PAID: _l("It is paid. Thank you."),
    Standing.CREDITED: _l("It was credited: nothing of it is to be paid."),
    Standing.REPLACED: _l("Another invoice has taken its place."),
    Standing.BY_TRANSFER: _l(
        "It cannot be paid by card just now. Please pay by bank transfer with the particulars that stand on it, or "
        "write to us."
    ),
}


def register(blueprint: Blueprint) -> None:
    address = "/libraries/<token>/invoices/<number>"
    blueprint.add_url_rule(address, "invoice_page", show_invoice, methods=["GET"])
    blueprint.add_url_rule(address, "pay_invoice", pay_invoice, methods=["POST"])


def show_invoice(token: str, number: str) -> Response:
    """How an invoice stands; Stripe is asked first where somebody may just have paid."""
    session = db.session()
    answered, paper = True, _find(session, token, number)
    if invoice_checkouts.is_open(session, paper.id):
        answered = invoice_checkouts.refresh(session, gateway(), paper.id, now())
        paper = _find(session, token, number)
    return _page(session, paper, answered=answered)


def pay_invoice(token: str, number: str) -> Response:
    """303 to the payment page of exactly what is open: the one that is open already, or a new one."""
    session = db.session()
    paper_id = _find(session, token, number).id
    session.rollback()
    try:
        url = invoice_checkouts.pay_page(session, gateway(), paper_id, settings().shop_url, now())
    except WrongState:  # paid already, credited, replaced: the page says which
        return redirect(url_for("storefront.invoice_page", token=token, number=number), 303)
    except GatewayError as error:
        session.rollback()
        log.warning("invoice %s could not be paid: %s", number, error)
        status = 502 if isinstance(error, GatewayRefused) else 503
        return _page(session, _find(session, token, number), status)
    return redirect(url, 303)


def _find(session: Session, token: str, number: str) -> Paper:
    order = routing.by_token(session, token)
    paper = papers.numbered(session, order.id, number) if order is not None else None
    if paper is None or paper.kind is not PaperKind.INVOICE or not paper.data:
        abort(404)
    return paper


def _page(session: Session, paper: Paper, status: int = 200, *, answered: bool = True) -> Response:
    order: LibraryOrder = paper.order
    standing = _standing(session, paper, answered=answered)
    g.no_twin = status != 200
    page = render_template(
        "storefront/invoice_page.html",
        order=order,
        paper=paper,
        current=papers.current(session, order.id, PaperKind.INVOICE) if paper.ended_at is not None else None,
        left=invoice_checkouts.payable(session, paper),
        standing=standing,
        Standing=Standing,
        words=WORDS[standing],
        away=status != 200,
        noindex=True,
    )
    return hidden(page, status)


def _standing(session: Session, paper: Paper, *, answered: bool) -> Standing:
    if paper.paid_on is not None:
        return Standing.PAID
    if paper.ended_at is not None:
        return Standing.REPLACED
    if not papers.open_sum(session, paper):
        return Standing.CREDITED
    if "session_id" in request.args and not answered:
        return Standing.CONFIRMING
    if invoice_checkouts.is_underway(session, paper.id):
        return Standing.CONFIRMING
    if invoice_checkouts.payable(session, paper) is None or invoice_checkouts.awaits_person(session, paper):
        return Standing.BY_TRANSFER
    return Standing.TO_PAY
