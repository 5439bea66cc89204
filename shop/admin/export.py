"""The orders that the list shows, as a file for a spreadsheet; sent while it is being read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin import spreadsheets
from shop.admin.desk import desk
from shop.admin.order_list import wanted
from shop.admin.spreadsheets import written_moment
from shop.database import look
from shop.extensions import db
from shop.orders import finding, paging
from shop.orders.finding import Wanted
from shop.orders.models import Buyer, Order, OrderLine, Shipment

FIRST, LATER = 50, 500
"""Orders read at once; few at first, so that the file begins soon."""
COLUMNS = [
    *(Order.id, Order.number, Order.placed_at, Order.paid_at, Order.payment_state, Order.fulfilment_state),
    *(Order.market_slug, Order.country, Order.currency, Order.books_amount, Order.postage_amount),
    *(Buyer.name, Buyer.email, Buyer.phone, Buyer.line1, Buyer.line2, Buyer.city, Buyer.state),
    *(Buyer.postal_code, Buyer.country.label("address_country"), Buyer.purchase_order, Buyer.note),
]


@desk.get("/orders.csv")
def export_orders() -> Response:
    """Exactly the orders that the same address shows as a list, all of them, newest first."""
    session, which = db.session(), wanted()
    return spreadsheets.answer(spreadsheets.dated("orders"), _heading(), _batches(session, which))


def _heading() -> list[str]:
    return [
        *(_("Number"), _("Placed"), _("Paid"), _("Payment"), _("Parcel"), _("Market"), _("Country")),
        *(_("Currency"), _("Books"), _("Postage"), _("Total"), _("Copies")),
        *(_("Name"), _("E-mail"), _("Telephone"), _("Address, line 1"), _("Address, line 2"), _("Town")),
        *(_("County or state"), _("Postcode"), _("Country of the address"), _("Purchase order"), _("Note")),
        *(_("Carrier"), _("Tracking number"), _("Posted")),
    ]


def _batches(session: Session, which: Wanted) -> Iterator[Iterable[list[str]]]:
    """The rows, so many at once."""
    look(session)  # all of it as of one moment, however long it takes
    found = finding.listing(session, which)
    what: Any = select(*COLUMNS).join(Buyer, Buyer.order_id == Order.id)
    key, size = None, FIRST
    while True:
        rows, more = paging.page(session, what, found, before=key, size=size)
        if rows:
            yield _cells(session, rows)
        if not more:
            session.rollback()
            return
        key, size = (rows[-1].placed_at, rows[-1].id), LATER


def _cells(session: Session, rows: Sequence[Any]) -> Iterator[list[str]]:
    ids, writes = [row.id for row in rows], spreadsheets.custom()
    copies: dict[int, list[str]] = {}
    lines = select(OrderLine.order_id, OrderLine.quantity, OrderLine.slug).where(OrderLine.order_id.in_(ids))
    for order_id, quantity, slug in session.execute(lines.order_by(OrderLine.order_id, OrderLine.position)):
        copies.setdefault(order_id, []).append(f"{quantity} × {slug}")
    parcels: dict[int, list[Any]] = {}
    posted = select(Shipment.order_id, Shipment.carrier, Shipment.tracking, Shipment.posted_at)
    for parcel in session.execute(posted.where(Shipment.order_id.in_(ids)).order_by(Shipment.id)):
        parcels.setdefault(parcel.order_id, []).append(parcel)
    for row in rows:
        sent = parcels.get(row.id, [])
        yield [
            *(row.number, written_moment(row.placed_at), written_moment(row.paid_at)),
            *(
                row.payment_state.value,
                row.fulfilment_state.value,
                row.market_slug,
                row.country,
                row.currency.value,
            ),
            *(
                writes.sum(row.books_amount),
                writes.sum(row.postage_amount),
                writes.sum(row.books_amount + row.postage_amount),
            ),
            "; ".join(copies.get(row.id, [])),
            *(row.name, row.email, row.phone, row.line1, row.line2, row.city, row.state, row.postal_code),
            *(row.address_country, row.purchase_order, row.note),
            "; ".join(each.carrier for each in sent),
            "; ".join(each.tracking for each in sent),
            "; ".join(written_moment(each.posted_at) for each in sent),
        ]
