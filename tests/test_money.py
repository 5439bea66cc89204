"""Sums are exact, and their currencies never mix."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.errors import CurrencyMismatch
from shop.markets import write_money
from shop.money import Currency, Money, total

AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
CURRENCIES = st.sampled_from(list(Currency))


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_adding_and_taking_away_are_exact(one: int, other: int, currency: Currency):
    left, right = Money(one, currency), Money(other, currency)
    assert left + right == right + left == Money(one + other, currency)
    assert (left + right) - right == left


@given(AMOUNTS, st.integers(min_value=0, max_value=50), CURRENCIES)
def test_many_times_a_sum_is_that_sum_added_as_often(amount: int, count: int, currency: Currency):
    money = Money(amount, currency)
    assert money * count == total(currency, [money] * count)


@given(AMOUNTS, CURRENCIES)
def test_a_sum_in_major_units_loses_nothing(amount: int, currency: Currency):
    assert Money(amount, currency).to_decimal() * 100 == amount


def test_sums_in_two_currencies_are_never_put_together():
    pounds, dollars = Money(100, Currency.GBP), Money(100, Currency.USD)
    for mixed in (lambda: pounds + dollars, lambda: pounds - dollars, lambda: total(Currency.GBP, [dollars])):
        with pytest.raises(CurrencyMismatch):
            mixed()
    assert pounds != dollars


def test_nothing_added_up_is_zero():
    assert total(Currency.USD, []) == Money(0, Currency.USD)
    assert Money(1999, Currency.USD).to_decimal() == Decimal("19.99")


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        (2200, Currency.GBP, "en_GB", "£22.00"),
        (123456789, Currency.USD, "en_US", "$1,234,567.89"),
        (3200, Currency.USD, "en_GB", "US$32.00"),
        (2200, Currency.GBP, "ru", "22,00\u00a0£"),
        (123456, Currency.USD, "ru", "1\u00a0234,56\u00a0$"),
    ],
)
def test_a_sum_is_written_as_it_is_there(amount: int, currency: Currency, locale: str, written: str):
    assert write_money(Money(amount, currency), locale) == written
