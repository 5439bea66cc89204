"""Address labels: exactly what the buyer typed, and the country in English capitals, as the post asks
(Universal Postal Convention, Regulations, article 17-109: country in capitals on the last line)."""

from __future__ import annotations

from collections.abc import Sequence

from shop.documents.consignments import Consignment, Sender
from shop.documents.typesetting import pdf
from shop.markets import country_name

ENGLISH = "en_GB"


def address_labels(parcels: Sequence[Consignment], sender: Sender) -> bytes:
    """One label of 148 × 105 mm a parcel, in order, as PDF."""
    pages = [
        {
            "number": parcel.number,
            "address": list(parcel.address_lines),
            "country": country_name(parcel.country, ENGLISH).upper(),
            "purchase_order": parcel.purchase_order,
        }
        for parcel in parcels
    ]
    data = {"title": "Address labels", "sender": [sender.name, *sender.address_lines], "pages": pages}
    return pdf("label", data)
