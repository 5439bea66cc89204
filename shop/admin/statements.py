"""What Stripe's account says: a statement for each month and currency, to look at and to download."""

from __future__ import annotations

import re

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from shop.admin import spreadsheets, words
from shop.admin.desk import desk
from shop.extensions import db
from shop.markets import SHOP_ZONE
from shop.money import Currency
from shop.payments import ledger

MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


@desk.get("/statements")
def statement_list() -> ResponseReturnValue:
    return render_template("admin/statements.html", statements=ledger.statements(db.session()))


@desk.get("/statements/<month>/<code>.csv")
def statement_file(month: str, code: str) -> ResponseReturnValue:
    """Every movement of a month in one currency, a row each; sums in major units."""
    if not MONTH.fullmatch(month) or code not in set(Currency):
        abort(404)
    entries = ledger.of_month(db.session(), month, Currency(code))
    if not entries:
        abort(404)
    writes = spreadsheets.custom()
    heading = [_("Day"), _("What"), _("Order"), _("Sum"), _("Fee"), _("Net"), _("Currency"), _("Stripe’s mark")]
    rows = [
        [
            *(entry.at.astimezone(SHOP_ZONE).date().isoformat(), str(words.ledger_kind(entry.kind)), number or ""),
            *(writes.sum(each) for each in (entry.amount, entry.fee, entry.net)),
            *(entry.currency.value, entry.provider_id),
        ]
        for entry, number in entries
    ]
    return spreadsheets.answer(f"{month}-{code}", heading, iter([rows]))
