"""A library's papers behind its secret address: those that were issued, and what a new supplier is asked for."""

from __future__ import annotations

from flask import Blueprint, Response, abort
from sqlalchemy.orm import Session

from shop.documents import library_papers, vendor_papers
from shop.extensions import db, now
from shop.libraries import papers, routing
from shop.libraries.models import LibraryOrder, LibraryState, Request, Stage
from shop.markets import MARKETS
from shop.storefront.order_pages import hidden_file
from shop.trader import SHOP, Vendor

OVER = (LibraryState.CLOSED, LibraryState.CANNOT_SUPPLY)


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/libraries/<token>/papers/<number>.pdf", "library_paper", show_paper, methods=["GET"])
    blueprint.add_url_rule("/libraries/<token>/vendor.pdf", "vendor_paper", show_vendor, methods=["GET"])


def has_vendor_paper(session: Session, order: LibraryOrder) -> bool:
    """Whether the seller's particulars are handed out: to a library with an open order that the shop supplies."""
    ordered = order.request is Request.ORDER or order.stage is not Stage.NONE
    open_here = not order.routed_to and order.joined_to_id is None and order.state not in OVER
    return ordered and open_here and order.erased_at is None and session.get(Vendor, SHOP) is not None


def show_paper(token: str, number: str) -> Response:
    session, order = db.session(), _find(token)
    paper = papers.numbered(session, order.id, number)
    if paper is None or not paper.data:
        abort(404)
    return hidden_file(library_papers.make(session, paper.id, now()), number)


def show_vendor(token: str) -> Response:
    session, order = db.session(), _find(token)
    if not has_vendor_paper(session, order):
        abort(404)
    facts = vendor_papers.facts(session, order, now())
    return hidden_file(library_papers.vendor(facts, MARKETS[order.market].locale), f"vendor-{order.ticket}")


def _find(token: str) -> LibraryOrder:
    order = routing.by_token(db.session(), token)
    if order is None:
        abort(404)
    return order
