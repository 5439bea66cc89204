"""A buyer's receipt: what was paid for, from the rows of a paid order, in the order's language."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from shop.markets import day_of
from shop.orders.models import Order
from shop.trader import SHOP, Trader, vendor

NOBODY = ("department", "contact_name", "vat_number", "invoice_address", "own_reference", "san")


def facts(session: Session, order: Order, refunded: int) -> dict[str, Any]:
    """As ``library_papers.paper`` takes it; ``refunded`` in minor units. The order must be paid."""
    seller, lines = session.get(Trader, SHOP), order.buyer.address_lines()
    paid_at = order.paid_at or order.placed_at
    return {
        "kind": "receipt",
        "number": order.number,
        "locale": order.market.locale,
        "currency": order.currency.value,
        "issued_on": day_of(paid_at).isoformat(),
        "ticket": "",
        "about": "",
        "paid_on": None,
        "seller": {
            **{
                name: getattr(seller, name) if seller else ""
                for name in ("name", "address", "email", "phone", "vat_number")
            },
            "company_number": vendor(session).company_number,
        },
        "bank": {},
        "buyer": {
            **dict.fromkeys(NOBODY, ""),
            "institution": lines[0] if lines else "",
            "delivery_address": "\n".join(lines[1:]),
            "country": order.buyer.country or order.country,
            "purchase_order": order.buyer.purchase_order,
        },
        "tax_exempt": False,
        "lines": [
            {
                "title": line.title,
                "language": line.language,
                "name": "",
                "people": [],
                "publisher": "",
                "published": "",
                "isbn": line.isbn,
                "quantity": line.quantity,
                "unit": line.unit_amount,
                "amount": line.quantity * line.unit_amount,
            }
            for line in order.lines
        ],
        "postage": order.postage_amount,
        "total": order.total.amount,
        "refunded": refunded,
    }
