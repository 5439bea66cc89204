"""What an order says of itself at one moment, as JSON: the frozen facts that letters are written from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from shop.catalogue.memory import remembered
from shop.catalogue.models import EditionText
from shop.database import beside
from shop.money import Money
from shop.orders.models import Order, OrderLine
from shop.trader import Trader, trader


def money_fact(money: Money) -> dict[str, Any]:
    """A sum as JSON: ``{"amount": minor units, "currency": code}``."""
    return {"amount": money.amount, "currency": money.currency.value}


def order_facts(session: Session, order: Order) -> dict[str, Any]:
    """Everything a letter to the buyer or the shopkeeper says of an order; inside a writing transaction.

    Sums are as ``money_fact`` writes them, instants ISO 8601 in UTC, ``path`` the order page's address without
    the host. ``min_days`` and ``max_days`` are working days on the way, ``dispatch_days`` those before posting.
    """
    seller = remembered(session, "seller", lambda: beside(session, SELLER).first()) or trader(session)
    buyer = order.buyer
    editions = tuple(line.edition_id for line in order.lines)
    names = remembered(session, ("names", editions), lambda: _names(session, editions))
    return {
        "number": order.number,
        "path": f"/{order.market_slug}/orders/{order.token}",
        "market": order.market_slug,
        "placed_at": order.placed_at.isoformat(),
        "paid_at": order.paid_at.isoformat() if order.paid_at else None,
        "lines": [_line(line, names[line.edition_id]) for line in order.lines],
        "books": money_fact(order.books),
        "postage": money_fact(order.postage),
        "total": money_fact(order.total),
        "email": buyer.email,
        "address_lines": buyer.address_lines(),
        "country": buyer.country or order.country,
        "purchase_order": buyer.purchase_order,
        "note": buyer.note,
        "min_days": order.min_days,
        "max_days": order.max_days,
        "dispatch_days": seller.dispatch_days,
        "trader": {
            "name": seller.name,
            "address": seller.address,
            "email": seller.email,
            "phone": seller.phone,
            "vat_number": seller.vat_number,
        },
    }


SELLER = select(Trader.name, Trader.address, Trader.email, Trader.phone, Trader.vat_number, Trader.dispatch_days)
NAMES = select(EditionText.edition_id, EditionText.language, EditionText.name).where(
    EditionText.edition_id.in_(bindparam("editions", expanding=True))
)


def _names(session: Session, editions: tuple[int, ...]) -> dict[int, dict[str, str]]:
    """What editions are called, by language."""
    names: dict[int, dict[str, str]] = {edition_id: {} for edition_id in editions}
    for edition_id, language, name in beside(session, NAMES, {"editions": list(editions)}):
        names[edition_id][language] = name
    return names


def _line(line: OrderLine, names: dict[str, str]) -> dict[str, Any]:
    return {
        "slug": line.slug,
        "title": line.title,
        "name": line.name,
        # The desk reads in its own language, whichever the order's is.
        "names": names,
        "language": line.language,
        "isbn": line.isbn,
        "quantity": line.quantity,
        "called_off": line.called_off,
        "unit": money_fact(line.unit),
        "amount": money_fact(line.amount),
    }
