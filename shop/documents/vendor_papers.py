"""What a vendor paper says: the seller's particulars as they are today, for one library."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from shop.documents.slips import words
from shop.libraries.models import LibraryOrder
from shop.markets import MARKETS, day_of
from shop.trader import SHOP, Trader, vendor


def facts(session: Session, order: LibraryOrder, now: datetime) -> dict[str, Any]:
    """As ``library_papers.vendor`` takes it; what nobody has entered is left out."""
    gettext = words(MARKETS[order.market].locale).gettext
    seller, known = session.get(Trader, SHOP), vendor(session)
    name, address = (seller.name, seller.address) if seller else ("", "")
    vat = seller.vat_number if seller else ""
    return {
        "institution": order.institution,
        "ticket": order.ticket,
        "purchase_order": order.purchase_order,
        "day": day_of(now).isoformat(),
        "seller_rows": [
            [gettext("Name"), name],
            [gettext("Address"), ", ".join(address.splitlines())],
            [gettext("Legal form"), known.legal_form],
            [gettext("Company number"), known.company_number],
            [gettext("Contact person"), known.contact_name],
            [gettext("E-mail"), seller.email if seller else ""],
            [gettext("Telephone"), seller.phone if seller else ""],
        ],
        "tax_rows": [
            [gettext("VAT number"), vat],
            [gettext("VAT"), "" if vat else gettext("The seller is not registered for VAT; none is charged.")],
        ],
        "tax_note": known.tax_note,
        "bank": {
            name: getattr(known, name)
            for name in ("account_name", "bank_name", "iban", "bic", "sort_code", "account_number")
        },
    }
