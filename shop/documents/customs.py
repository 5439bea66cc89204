"""What a customs declaration asks for (CN 22), always in English.

Printed books are HS heading 4901; the declared value is what the buyer paid for the copies, even of a free parcel.
Above 270 GBP the post wants CN 23 instead (Royal Mail).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shop.documents.consignments import Consignment, Sender
from shop.documents.labels import ENGLISH
from shop.documents.slips import Names
from shop.documents.typesetting import pdf
from shop.markets import country_name
from shop.money import Currency, Money
from shop.orders.models import ParcelKind

HS_CODE = "4901.99"
CN22_LIMIT = Money(27_000, Currency.GBP)
AT_HOME = ("GB", "IM")
"""One customs territory with the shop's; Jersey and Guernsey are not."""
PURPOSE = {
    ParcelKind.ORDER: "Sale of goods",
    ParcelKind.REPLACEMENT: "Sale of goods (free replacement)",
    ParcelKind.RESENT: "Sale of goods (posted again)",
}


def is_needed(parcel: Consignment) -> bool:
    return parcel.country not in AT_HOME


def declarations(parcels: Sequence[Consignment], sender: Sender, names: Names) -> bytes:
    """One page of data a parcel that leaves the customs territory, in order, as PDF; the others are left out."""
    pages = [_declaration(parcel, names) for parcel in parcels if is_needed(parcel)]
    data = {"title": "Customs declarations", "sender": [sender.name, *sender.address_lines], "pages": pages}
    return pdf("customs", data)


def _declaration(parcel: Consignment, names: Names) -> dict[str, Any]:
    value = sum(item.unit * item.quantity for item in parcel.items)
    grams = [item.grams * item.quantity for item in parcel.items]
    whole = Money(value, Currency(parcel.currency))
    return {
        "number": parcel.number,
        "form": "CN 23" if whole.currency is CN22_LIMIT.currency and value > CN22_LIMIT.amount else "CN 22",
        "purpose": PURPOSE[parcel.kind],
        "address": [*parcel.address_lines, country_name(parcel.country, ENGLISH).upper()],
        "phone": parcel.phone,
        "items": [
            [
                f"Printed book ({names(item.slug, 'en')})",
                str(item.quantity),
                _kilograms(weight),
                _sum(item.unit * item.quantity, parcel.currency),
                HS_CODE,
                "",
            ]
            for item, weight in zip(parcel.items, grams, strict=True)
        ],
        "weight": _kilograms(sum(grams) if all(grams) else 0),
        "value": _sum(value, parcel.currency),
    }


def _kilograms(grams: int) -> str:
    """Empty when it is not known: what is declared must be true."""
    return f"{grams / 1000:.3f} kg" if grams else ""


def _sum(amount: int, currency: str) -> str:
    return f"{Money(amount, Currency(currency)).to_decimal():.2f} {currency}"
