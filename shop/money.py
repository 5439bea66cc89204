"""Exact sums: whole minor units and a currency."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from shop.errors import CurrencyMismatch


class Currency(enum.StrEnum):
    """ISO 4217 codes of the currencies a region may use; each has two decimals."""

    GBP = "GBP"
    USD = "USD"
    EUR = "EUR"


@dataclass(frozen=True, slots=True)
class Money:
    """An exact sum: ``Money(1999, Currency.USD)`` is $19.99. ``amount`` is in minor units."""

    amount: int
    currency: Currency

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, count: int) -> Money:
        return Money(self.amount * count, self.currency)

    def _same(self, other: Money) -> None:
        if other.currency is not self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")

    def to_decimal(self) -> Decimal:
        """The sum in major units, for formatting only."""
        return Decimal(self.amount).scaleb(-2)


def total(currency: Currency, sums: Iterable[Money]) -> Money:
    """Add up sums of one currency; an empty sequence is zero."""
    result = Money(0, currency)
    for each in sums:
        result += each
    return result
