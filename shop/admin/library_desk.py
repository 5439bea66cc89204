"""The library desk: one page on which an order that the shop supplies itself goes from quotation to credit note."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session
from wtforms import Form

from shop.admin.desk import desk, locale, person
from shop.admin.library_forms import AcceptForm, CreditForm, LibraryPostForm, PaidForm, PaperForm, RecordForm
from shop.admin.naming import edition_names_in
from shop.catalogue import postage
from shop.database import lock, transact
from shop.documents import consignments, customs, labels, library_papers, slips, vendor_papers
from shop.errors import GatewayError, OutOfStock, WrongState
from shop.extensions import LONGEST_FILE, ROOM, db, gateway, now, settings
from shop.libraries import desk as work_desk
from shop.libraries import files, papers, routing
from shop.libraries.files import NotTaken
from shop.libraries.models import LibraryOrder, Stage
from shop.libraries.paper_models import Paper, PaperKind
from shop.libraries.papers import Terms
from shop.markets import MARKETS
from shop.money import Currency
from shop.payments import invoice_checkouts, refunds
from shop.trader import trader

log = logging.getLogger(__name__)

ROOM["admin.accept_order"], LONGEST_FILE["admin.accept_order"] = files.MOST_SENT, files.MOST_BYTES
OFFERS = (PaperKind.QUOTE, PaperKind.PRO_FORMA)
FORMS: dict[str, type[Form]] = {
    "offer": PaperForm,
    "accept": AcceptForm,
    "invoice": PaperForm,
    "post": LibraryPostForm,
    "paid": PaidForm,
    "credit": CreditForm,
    "record": RecordForm,
}


@desk.get("/libraries/<ticket>/desk")
def library_desk_page(ticket: str) -> ResponseReturnValue:
    return _page(_find(ticket))


@desk.post("/libraries/<ticket>/papers/<any(quote, pro_forma, invoice):kind>")
def issue_paper(ticket: str, kind: str) -> ResponseReturnValue:
    """Issue a paper: its number and what it says are committed, then its PDF is made."""
    order, which, actor, at = _find(ticket), PaperKind(kind), person().actor, now()
    name = "offer" if which in OFFERS else "invoice"
    form = PaperForm(request.form, prefix=f"{name}-")
    order_id = order.id
    if not form.validate():
        return _page(order, {name: form}, 422)
    terms = Terms(form.copies.data or 0, form.unit.data, form.postage.data, Currency(form.currency.data))

    def work(s: Session) -> int:
        if which in OFFERS:
            return work_desk.offer(s, order_id, which, terms, actor, at).id
        return work_desk.invoice(s, order_id, terms, actor, at).id

    return _do(ticket, {name: form}, work, _("Issued. It is sent to the library with its PDF."), makes_paper=True)


@desk.post("/libraries/<ticket>/accept")
def accept_order(ticket: str) -> ResponseReturnValue:
    """A purchase order has come, with or without a file: put its copies aside."""
    order, actor, at, session = _find(ticket), person().actor, now(), db.session()
    form, order_id = AcceptForm(request.form, prefix="accept-"), order.id
    if not form.validate():
        return _page(order, {"accept": form}, 422)
    sent, key = request.files.get("accept-file"), ""
    if sent is not None and sent.filename:
        body, name = sent.read(files.MOST_BYTES + 1), sent.filename
        sent.close()
        try:
            key = files.store(settings().instance_path, body)
            transact(session, files.note, key, name, body, at)
        except NotTaken:
            problem = _("This file cannot be kept: PDF, PNG or JPEG, please, at most 4 MB.")
            return _page(_find(ticket), {"accept": form}, 422, problem)
    number, copies = form.purchase_order.data or "", form.copies.data or 0

    def work(s: Session) -> None:
        work_desk.accept(s, order_id, number, copies, actor, at, file_key=key)

    return _do(ticket, {"accept": form}, work, _("Accepted. The copies are put aside."))


@desk.post("/libraries/<ticket>/post")
def post_to_library(ticket: str) -> ResponseReturnValue:
    order, actor, at = _find(ticket), person().actor, now()
    form, order_id = LibraryPostForm(request.form, prefix="post-"), order.id
    if not form.validate():
        return _page(order, {"post": form}, 422)
    copies, carrier, tracking = form.copies.data or 0, form.carrier.data or "", form.tracking.data or ""

    def work(s: Session) -> None:
        work_desk.post(s, order_id, copies, carrier, tracking, actor, at)

    return _do(ticket, {"post": form}, work, _("Posted. The library is written to."))


@desk.post("/libraries/<ticket>/record")
def change_record(ticket: str) -> ResponseReturnValue:
    """Change who gets what and pays it, from now on; papers that were issued stay as they are."""
    order, actor, at = _find(ticket), person().actor, now()
    form, order_id = RecordForm(request.form, prefix="record-"), order.id
    if not form.validate():
        return _page(order, {"record": form}, 422)

    def work(s: Session) -> None:
        row = lock(s, LibraryOrder, order_id)
        if row is None or row.erased_at is not None:
            raise WrongState(ticket)
        if row.joins_by is not None and row.purchase_order != form.purchase_order.data:
            row.joins_by = None  # what comes with the old number is not this order's any more
        form.populate_obj(row)
        routing.write_down(s, row, "record_changed", actor, at)

    said = _("Saved. Papers that were issued stay as they are; issue anew what is to show the change.")
    return _do(ticket, {"record": form}, work, said)


@desk.post("/libraries/<ticket>/papers/<int:paper_id>/again")
def issue_paper_again(ticket: str, paper_id: int) -> ResponseReturnValue:
    actor, at, wanted = person().actor, now(), _paper(ticket, paper_id).id

    def work(s: Session) -> int:
        return work_desk.issue_again(s, wanted, actor, at).id

    return _do(ticket, {}, work, _("Issued anew. It is sent to the library with its PDF."), makes_paper=True)


@desk.post("/libraries/<ticket>/papers/<int:paper_id>/paid")
def note_paid(ticket: str, paper_id: int) -> ResponseReturnValue:
    actor, at, wanted = person().actor, now(), _paper(ticket, paper_id).id
    form = PaidForm(request.form, prefix="paid-")
    if not form.validate():
        return _page(_find(ticket), {"paid": form}, 422)
    day, note = form.day.data, form.note.data or ""

    def work(s: Session) -> None:
        work_desk.note_paid(s, wanted, day, note, actor, at)

    return _do(ticket, {"paid": form}, work, _("Noted as paid."))


@desk.post("/libraries/<ticket>/papers/<int:paper_id>/unpaid")
def note_unpaid(ticket: str, paper_id: int) -> ResponseReturnValue:
    actor, at, wanted = person().actor, now(), _paper(ticket, paper_id).id
    return _do(
        ticket,
        {},
        lambda s: work_desk.note_paid(s, wanted, None, "", actor, at),
        _("The payment was taken back."),
    )


@desk.post("/libraries/<ticket>/papers/<int:paper_id>/credit")
def credit_library(ticket: str, paper_id: int) -> ResponseReturnValue:
    actor, at, wanted = person().actor, now(), _paper(ticket, paper_id).id
    form = CreditForm(request.form, prefix="credit-")
    if not form.validate():
        return _page(_find(ticket), {"credit": form}, 422)
    copies, postage, back = form.copies.data or 0, form.postage.data, form.back.data or 0

    def work(s: Session) -> int:
        return work_desk.credit(s, wanted, copies, postage, back, actor, at).id

    said = _("Credited. The credit note is sent to the library with its PDF.")
    return _do(ticket, {"credit": form}, work, said, makes_paper=True)


@desk.get("/libraries/<ticket>/papers/<int:paper_id>.pdf")
def library_paper(ticket: str, paper_id: int) -> Response:
    paper = _paper(ticket, paper_id)
    if not paper.data:
        abort(404)
    number = paper.number
    return pdf_answer(library_papers.make(db.session(), paper.id, now()), number)


@desk.get("/libraries/<ticket>/<any(slip, label, customs):kind>.pdf")
def library_parcel_paper(ticket: str, kind: str) -> Response:
    """What goes with the copies that are still to be posted, or else with the last parcel."""
    session, order = db.session(), _find(ticket)
    copies = order.held + order.allocated or (order.parcels[-1].quantity if order.parcels else order.quantity)
    terms = _terms(session, order, Stage.INVOICED)
    made = [consignments.of_library(order, copies, terms.unit, terms.currency.value)]
    if order.erased_at is not None or (kind == "customs" and not customs.is_needed(made[0])):
        abort(404)
    sender, names = consignments.sender(trader(session)), edition_names_in()
    if kind == "slip":
        body = slips.packing_slips(made, locale(), sender, names)
    elif kind == "label":
        body = labels.address_labels(made, sender)
    else:
        body = customs.declarations(made, sender, names)
    return pdf_answer(body, f"{kind}-{order.ticket}")


@desk.get("/libraries/<ticket>/vendor.pdf")
def library_vendor_paper(ticket: str) -> Response:
    """What the institution asks of a new supplier, dated today."""
    session, order = db.session(), _find(ticket)
    facts = vendor_papers.facts(session, order, now())
    if order.erased_at is not None:
        abort(404)
    return pdf_answer(library_papers.vendor(facts, MARKETS[order.market].locale), f"vendor-{order.ticket}")


def pdf_answer(body: bytes, name: str) -> Response:
    return Response(
        body, mimetype="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}.pdf"'}
    )


def _do(
    ticket: str,
    forms: dict[str, Form],
    work: Callable[[Session], Any],
    said: str,
    *,
    makes_paper: bool = False,
) -> ResponseReturnValue:
    """Run a step; what stands in its way is told on the page as it stands then."""
    session = db.session()
    try:
        done = transact(session, work)
    except OutOfStock:
        return _page(_find(ticket), forms, 409, _("There are not enough copies. Count the stock first."))
    except WrongState:
        problem = _("This is not possible as the order stands now. Nothing was changed.")
        return _page(_find(ticket), forms, 409, problem)
    if makes_paper:
        library_papers.make(session, done, now())
    _close_pages(_find(ticket).id)
    flash(said)
    return redirect(url_for("admin.library_desk_page", ticket=ticket), code=303)


def _close_pages(order_id: int) -> None:
    """Nobody is to pay what is not open any more; without an answer from Stripe the worker sees to it."""
    session = db.session()
    session.rollback()
    try:
        invoice_checkouts.close_stale(session, gateway(), now(), order_id)
    except GatewayError as error:
        session.rollback()
        log.warning("a page to pay on could not be closed: %s", error)


def _find(ticket: str) -> LibraryOrder:
    order = routing.by_ticket(db.session(), ticket)
    if order is None:
        abort(404)
    return order


def _paper(ticket: str, paper_id: int) -> Paper:
    order = _find(ticket)
    paper = db.session().get(Paper, paper_id) if paper_id < 2**31 else None
    if paper is None or paper.library_order_id != order.id:
        abort(404)
    return paper


def _terms(session: Session, order: LibraryOrder, stage: Stage) -> Terms:
    """What was agreed on last, or what the catalogue says."""
    written = [each for each in papers.of_order(session, order.id) if each.kind is not PaperKind.CREDIT_NOTE]
    copies = order.held + order.posted if stage is not Stage.NONE and order.held + order.posted else order.quantity
    if written and written[-1].data:
        data = written[-1].data
        return Terms(copies, data["lines"][0]["unit"], data["postage"], Currency(data["currency"]))
    market = MARKETS[order.market]
    currency = Currency(order.currency) if order.currency in set(Currency) else market.currency
    price = order.edition.price_in(currency)
    if price is None:
        currency = market.currency
        price = order.edition.price_in(currency)
    return Terms(copies, price.amount if price else 0, _postage(session, order, copies, currency), currency)


def _postage(session: Session, order: LibraryOrder, copies: int, currency: Currency) -> int:
    """What readers there pay for such a parcel, in minor units; 0 where they pay in another currency."""
    zone, grams = postage.zone_of(session, order.country), order.edition.mailing_grams
    if zone is None or grams is None or not postage.carries(zone, grams * copies):
        return 0
    sum_there = postage.postage(zone, grams * copies)
    return sum_there.amount if sum_there.currency is currency else 0


def _page(
    order: LibraryOrder, filled: dict[str, Form] | None = None, status: int = 200, problem: str = ""
) -> tuple[str, int]:
    session = db.session()
    terms = _terms(session, order, order.stage)
    asked = {
        "copies": terms.copies,
        "unit": terms.unit,
        "postage": terms.postage,
        "currency": terms.currency.value,
    }
    begun: dict[str, dict[str, Any]] = {
        "offer": asked,
        "invoice": asked,
        "accept": {"purchase_order": order.purchase_order, "copies": order.quantity},
        "post": {"copies": order.held + order.allocated},
        "paid": {},
        "credit": {"copies": 0, "back": 0, "postage": 0},
        "record": {name: getattr(order, name) for name in RecordForm()._fields},
    }
    forms = {name: kind(prefix=f"{name}-", data=begun[name]) for name, kind in FORMS.items()} | (filled or {})
    written = papers.of_order(session, order.id)
    page = render_template(
        "admin/library_desk.html",
        order=order,
        forms=forms,
        papers=written,
        open_sums={each.id: papers.open_sum(session, each) for each in written if each.kind is PaperKind.INVOICE},
        pay_links={
            each.id: settings().shop_url + papers.pay_path(each)
            for each in written
            if invoice_checkouts.payable(session, each)
        },
        payments=[
            (each, refunds.refundable(session, each)) for each in invoice_checkouts.payments_of(session, order.id)
        ],
        PaperKind=PaperKind,
        Stage=Stage,
        served=work_desk.may_serve(order),
        to_post=order.held + order.allocated,
        customs_needed=customs.is_needed(consignments.of_library(order, 1, terms.unit, terms.currency.value)),
        problem=problem,
    )
    return page, status
