"""The provider's ledger: each movement of our money there, with its fee, and statements of it by month.

Rows are the provider's own balance transactions (Stripe API, "Balance transactions"), so that a statement can be
held against his to the penny. Sums are in the currency of the balance, which need not be the buyer's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.database import Base, add_once, transact
from shop.libraries.paper_models import Paper
from shop.markets import SHOP_ZONE
from shop.money import Currency, Money
from shop.orders.models import Order
from shop.payments.gateway import BalanceFacts
from shop.payments.models import Dispute, Payment, Refund

AT_ONCE = 100


class LedgerEntry(Base):
    """One balance transaction: ``amount − fee = net``, minor units, negative when money leaves."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount - fee = net", name="net"),
        Index("ix_ledger_entry_currency_at", "currency", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[str] = mapped_column(String(100), unique=True)
    kind: Mapped[str] = mapped_column(String(60))
    """The provider's reporting category: ``charge``, ``refund``, ``dispute`` …"""
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), index=True)
    amount: Mapped[int]
    fee: Mapped[int]
    net: Mapped[int]
    currency: Mapped[Currency]
    at: Mapped[datetime]


@dataclass(slots=True)
class Statement:
    """One month in one currency: what came in by kind of movement, what it cost, what is left."""

    month: str
    currency: Currency
    by_kind: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    fees: int = 0
    net: int = 0

    def money(self, amount: int) -> Money:
        return Money(amount, self.currency)


def keep(session: Session, listed: Iterable[BalanceFacts]) -> None:
    """Record the provider's movements, so many in a transaction that nobody waits long for it."""
    rest = iter(listed)
    while some := list(islice(rest, AT_ONCE)):
        names = [facts.provider_id for facts in some]
        known = set(session.scalars(select(LedgerEntry.provider_id).where(LedgerEntry.provider_id.in_(names))))
        session.rollback()
        if fresh := [facts for facts in some if facts.provider_id not in known]:
            transact(session, record, fresh)


def record(session: Session, listed: Iterable[BalanceFacts]) -> int:
    """Keep those of the provider's movements that are about payments known here; answers how many were new."""
    new = 0
    for facts in listed:
        refund = session.scalar(select(Refund).where(Refund.provider_id == facts.source_id))
        payment_id = refund.payment_id if refund else _payment(session, facts.source_id)
        if payment_id is None or facts.currency is None:
            continue
        new += add_once(
            session,
            LedgerEntry,
            provider_id=facts.provider_id,
            kind=facts.kind,
            payment_id=payment_id,
            refund_id=refund.id if refund else None,
            amount=facts.amount,
            fee=facts.fee,
            net=facts.net,
            currency=facts.currency,
            at=facts.created,
        )
    return new


def _payment(session: Session, source_id: str) -> int | None:
    """The payment that a charge or a dispute belongs to."""
    if not source_id:
        return None
    charged = session.scalar(select(Payment.id).where(Payment.charge_id == source_id))
    return charged or session.scalar(select(Dispute.payment_id).where(Dispute.provider_id == source_id))


def of_payment(session: Session, payment_id: int) -> list[LedgerEntry]:
    return list(
        session.scalars(select(LedgerEntry).where(LedgerEntry.payment_id == payment_id).order_by(LedgerEntry.id))
    )


def statements(session: Session) -> list[Statement]:
    """Every month's statement, the newest first, one for each currency; months are those of the shop's own zone."""
    found: dict[tuple[str, Currency], Statement] = {}
    for entry in session.scalars(select(LedgerEntry).order_by(LedgerEntry.at)):
        month = entry.at.astimezone(SHOP_ZONE).strftime("%Y-%m")
        one = found.setdefault((month, entry.currency), Statement(month, entry.currency))
        one.by_kind[entry.kind] += entry.amount
        one.fees += entry.fee
        one.net += entry.net
    return sorted(found.values(), key=lambda one: (one.month, one.currency), reverse=True)


def of_month(session: Session, month: str, currency: Currency) -> list[tuple[LedgerEntry, str | None]]:
    """A month's movements in one currency, oldest first, with the number of the order or invoice each is about."""
    wanted = (
        select(LedgerEntry, func.coalesce(Order.number, Paper.number))
        .join(Payment, Payment.id == LedgerEntry.payment_id)
        .outerjoin(Order, Order.id == Payment.order_id)
        .outerjoin(Paper, Paper.id == Payment.paper_id)
        .where(LedgerEntry.currency == currency)
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    rows = [(entry, number) for entry, number in session.execute(wanted)]
    return [row for row in rows if row[0].at.astimezone(SHOP_ZONE).strftime("%Y-%m") == month]
