"""What was sold, by month and currency, as charts with the same numbers as tables. Currencies are never added up.

Readers' orders count when they are paid, libraries' invoices when they are issued: the two stand beside each other and
are not added up either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from babel.dates import format_skeleton
from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from shop import sales
from shop.admin.charts import Chart, across, columns
from shop.admin.desk import desk, locale
from shop.admin.naming import edition_name
from shop.extensions import db, now
from shop.libraries import billing
from shop.libraries.billing import Billed
from shop.markets import country_name, day_of, write_money, write_number
from shop.money import Currency, Money
from shop.sales import Sum, Totals, What

MONTHS = 13
"""This one and the last twelve."""
COUNTRIES = 9
Bills = dict[tuple[str, Currency], Billed]


@dataclass(frozen=True, slots=True)
class LibrarySales:
    """What libraries were invoiced and credited this month."""

    invoices: int
    copies: int
    invoiced: Money
    credited: Money
    net: Money


@dataclass(frozen=True, slots=True)
class Report:
    """One currency's sales: this month in figures, all months as charts."""

    currency: Currency
    orders: int
    copies: Sequence[tuple[str, int]]
    taken: Money
    back: Money
    net: Money
    libraries: LibrarySales | None
    """Nothing where no library was invoiced in all these months."""
    charts: Sequence[Chart]


@desk.get("/reports")
def report_page() -> ResponseReturnValue:
    return render_template("admin/reports.html", reports=reports(db.session(), now()), whole=True)


def reports(session: Session, at: datetime) -> list[Report]:
    """A report for each currency in which anything was sold, invoiced or given back in these months."""
    firsts = _months(day_of(at))
    found, bills = sales.totals(session, firsts[0], at), billing.by_month(session, firsts[0])
    used = {one.currency for one in found.number} | {currency for _month, currency in bills}
    return [_report(currency, firsts, found, bills) for currency in Currency if currency in used]


def _months(today: date) -> list[date]:
    first = today.replace(day=1)
    found = [first]
    while len(found) < MONTHS:
        first = (first - timedelta(days=1)).replace(day=1)
        found.append(first)
    return found[::-1]


def _report(currency: Currency, firsts: Sequence[date], found: Totals, bills: Bills) -> Report:
    months = [sales.month_of(first) for first in firsts]
    labels = [(str(first.month), _month(first)) for first in firsts]

    def by_month(sums: Counter[Sum], what: What, key: str = "") -> list[int]:
        return [sums[Sum(month, currency, what, key)] for month in months]

    slugs = sorted({each.key for each in found.number if each.what is What.EDITION and each.currency is currency})
    orders, taken = by_month(found.number, What.COUNTRY), by_month(found.amount, What.COUNTRY)
    back = by_month(found.amount, What.REFUND)
    copies = [(edition_name(slug), by_month(found.number, What.EDITION, slug)) for slug in slugs]
    net = [came - went for came, went in zip(taken, back, strict=True)]
    charts = [
        columns(_("Orders"), labels, [(_("Orders"), orders)], _number),
        columns(_("Copies by edition"), labels, copies or [(_("Copies"), [0] * len(labels))], _number),
        columns(_("Revenue less refunds"), labels, [(_("Revenue less refunds"), net)], _money(currency)),
    ]
    billed = [bills.get((month, currency), Billed()) for month in months]
    libraries = None
    if any(currency is known for _month, known in bills):
        sums = (Money(each, currency) for each in (billed[-1].invoiced, billed[-1].credited, billed[-1].net))
        libraries = LibrarySales(billed[-1].invoices, billed[-1].copies, *sums)
        title = _("Invoiced to libraries less credit notes")
        charts.append(columns(title, labels, [(title, [each.net for each in billed])], _money(currency)))
    charts.append(_countries(currency, found))
    return Report(
        currency,
        orders[-1],
        [(name, numbers[-1]) for name, numbers in copies],
        Money(taken[-1], currency),
        Money(back[-1], currency),
        Money(net[-1], currency),
        libraries,
        charts,
    )


def _countries(currency: Currency, found: Totals) -> Chart:
    """Orders of all the months by country, the most first; small ones together."""
    sums = {country: number for (known, country), number in found.countries.items() if known is currency}
    ranked = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [(country_name(code, locale()), number) for code, number in ranked[:COUNTRIES]]
    if rest := sum(number for _code, number in ranked[COUNTRIES:]):
        shown.append((_("other countries"), rest))
    names, numbers = [name for name, _number in shown], [number for _name, number in shown]
    return across(_("Orders by country, all months"), names, _("Orders"), numbers, _number)


def _month(first: date) -> str:
    written: str = format_skeleton("yMMMM", first, locale=locale())
    return written.replace(" г.", "\u00a0г.")


def _number(value: int) -> str:
    return write_number(value, locale())


def _money(currency: Currency) -> Callable[[int], str]:
    return lambda value: write_money(Money(value, currency), locale())
