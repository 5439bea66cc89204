"""What libraries were invoiced and credited, by month and currency; each currency by itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.libraries.paper_models import Paper, PaperKind
from shop.markets import day_begins, day_of
from shop.money import Currency


@dataclass(slots=True)
class Billed:
    """Papers of one month and currency; sums in minor units."""

    invoices: int = 0
    copies: int = 0
    """Invoiced less credited."""
    invoiced: int = 0
    credited: int = 0

    @property
    def net(self) -> int:
        return self.invoiced - self.credited


def by_month(session: Session, since: date) -> dict[tuple[str, Currency], Billed]:
    """Invoices and credit notes from a day on, by month of issue (``2026-11``, in the shop's time zone) and currency.

    An invoice counts when it is issued, paid or not. One that was issued anew was credited in full, so it counts once.
    """
    found: defaultdict[tuple[str, Currency], Billed] = defaultdict(Billed)
    wanted = select(Paper.issued_at, Paper.currency, Paper.kind, Paper.copies, Paper.amount).where(
        Paper.kind.in_((PaperKind.INVOICE, PaperKind.CREDIT_NOTE)), Paper.issued_at >= day_begins(since)
    )
    for issued_at, currency, kind, copies, amount in session.execute(wanted):
        month = found[day_of(issued_at).isoformat()[:7], currency]
        if kind is PaperKind.INVOICE:
            month.invoices += 1
            month.copies += copies
            month.invoiced += amount
        else:
            month.copies -= copies
            month.credited += amount
    return dict(found)
