"""What Stripe's account says: a statement for each month and currency, to look at and to download."""

from __future__ import annotations

import csv
import io
import re

from flask import Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from shop.admin import words
from shop.admin.desk import desk
from shop.extensions import db
from shop.markets import SHOP_ZONE
from shop.money import Currency, Money
from shop.payments import ledger

MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


@desk.get("/statements")
def statement_list() -> ResponseReturnValue:
    return render_template("admin/statements.html", statements=ledger.statements(db.session()))


@desk.get("/statements/<month>/<code>.csv")
def statement_file(month: str, code: str) -> ResponseReturnValue:
    """Every movement of a month in one currency, a row each; sums in major units with a point."""
    if not MONTH.fullmatch(month) or code not in set(Currency):
        abort(404)
    entries = ledger.of_month(db.session(), month, Currency(code))
    if not entries:
        abort(404)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(
        [_("Day"), _("What"), _("Order"), _("Sum"), _("Fee"), _("Net"), _("Currency"), _("Stripe’s mark")]
    )
    for entry, number in entries:
        day = entry.at.astimezone(SHOP_ZONE).date().isoformat()
        sums = [str(Money(each, entry.currency).to_decimal()) for each in (entry.amount, entry.fee, entry.net)]
        told = [plain(each) for each in (words.ledger_kind(entry.kind), number or "")]
        rows.writerow([day, *told, *sums, entry.currency.value, plain(entry.provider_id)])
    # The mark at the beginning tells spreadsheets that this is UTF-8.
    return Response(
        "\ufeff" + text.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{month}-{code}.csv"'},
    )


def plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP, "CSV injection")."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text
