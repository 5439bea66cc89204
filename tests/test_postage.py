"""What a parcel costs, and where it may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.catalogue import offers, postage
from shop.catalogue.models import PostageBand, PostageZone
from shop.catalogue.offers import Refusal
from shop.database import transact
from shop.errors import NotOrderable
from shop.markets import COUNTRIES, REGIONS
from shop.money import Currency, Money

STEPS = st.lists(st.integers(1, 5000), min_size=1, max_size=6, unique=True).map(sorted)


def zone(limits: list[int], amounts: list[int], further: tuple[int, int] | None = None) -> PostageZone:
    bands = [PostageBand(up_to_grams=limit, amount=amount) for limit, amount in zip(limits, amounts, strict=True)]
    grams, amount = further or (None, None)
    return PostageZone(slug="z", region="gb", bands=bands, further_grams=grams, further_amount=amount)


@given(STEPS, st.data())
def test_a_parcel_costs_what_the_first_band_that_takes_it_says(limits: list[int], data: st.DataObject):
    amounts = data.draw(st.lists(st.integers(0, 9000), min_size=len(limits), max_size=len(limits)))
    grams = data.draw(st.integers(1, limits[-1]))
    expected = next(amount for limit, amount in zip(limits, amounts, strict=True) if grams <= limit)
    assert postage.postage(zone(limits, amounts), grams) == Money(expected, Currency.GBP)


@given(STEPS, st.integers(1, 2000), st.integers(0, 3000), st.integers(1, 40_000))
def test_above_the_last_band_each_begun_step_costs_more(limits: list[int], step: int, more: int, extra: int):
    bands = zone(limits, [100] * len(limits), (step, more))
    begun = (extra + step - 1) // step
    assert postage.postage(bands, limits[-1] + extra).amount == 100 + begun * more
    assert postage.carries(bands, limits[-1] + extra)


@given(STEPS, st.integers(1, 40_000))
def test_without_further_steps_nothing_heavier_than_the_last_band_goes(limits: list[int], extra: int):
    bands = zone(limits, [100] * len(limits))
    assert postage.carries(bands, limits[-1])
    assert not postage.carries(bands, limits[-1] + extra)
    with pytest.raises(LookupError):
        postage.postage(bands, limits[-1] + extra)


@given(STEPS, st.integers(1, 2000), st.integers(0, 3000))
def test_a_heavier_parcel_never_costs_less_where_bands_rise(limits: list[int], step: int, more: int):
    bands = zone(limits, [100 * place for place in range(len(limits))], (step, more))
    costs = [postage.postage(bands, grams).amount for grams in range(1, limits[-1] + 3 * step, 37)]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("country", "quantities", "books", "sent"),
    [
        ("GB", {"paperback": 1}, 2200, 350),
        ("JE", {"paperback": 1}, 2200, 350),
        ("GB", {"paperback": 1, "russian": 1}, 4000, 700),
        ("GB", {"paperback": 3, "russian": 2}, 10200, 1050),
        ("US", {"paperback": 1}, 3200, 1400),
        ("CA", {"russian": 2}, 4800, 2800),
        ("CH", {"paperback": 1}, 2200, 950),
        ("AU", {"russian": 1}, 1800, 1450),
        ("PR", {"paperback": 1}, 2200, 1450),
    ],
)
def test_books_and_postage_by_country(session, catalogue, country, quantities, books, sent):
    offer = offers.offer(session, quantities, country)
    assert (offer.books.amount, offer.postage.amount) == (books, sent)
    assert offer.total == offer.books + offer.postage
    assert offer.books.currency is offer.region.currency


@pytest.mark.parametrize(
    ("quantities", "country", "reason"),
    [
        ({}, "GB", Refusal.NO_COPIES),
        ({"paperback": 0}, "GB", Refusal.NO_COPIES),
        ({"paperback": 6}, "GB", Refusal.TOO_MANY),
        ({"hardback": 1}, "GB", Refusal.NOT_AVAILABLE),
        ({"paperback": 1}, "XX", Refusal.UNKNOWN_COUNTRY),
        ({"paperback": 1}, "gb", Refusal.UNKNOWN_COUNTRY),
        ({"paperback": 1}, "", Refusal.UNKNOWN_COUNTRY),
        ({"paperback": 1}, "RU", Refusal.REFUSED_COUNTRY),
        ({"paperback": 1}, "BY", Refusal.REFUSED_COUNTRY),
        ({"paperback": 1}, "DE", Refusal.ZONE_OFF),
        ({"paperback": 1}, "GP", Refusal.ZONE_OFF),
        ({"russian": 1}, "UA", Refusal.NOT_SENT_THERE),
        ({"paperback": 1, "russian": 1}, "UA", Refusal.NOT_SENT_THERE),
    ],
)
def test_what_cannot_be_ordered_is_refused_with_its_reason(session, catalogue, quantities, country, reason):
    with pytest.raises(NotOrderable) as refused:
        offers.offer(session, quantities, country)
    assert refused.value.reason is reason


def test_the_paperback_goes_to_ukraine(session, catalogue):
    assert offers.offer(session, {"paperback": 1}, "UA").zone.slug == "europe"


def reason_against(session, country: str) -> Refusal | None:
    try:
        offer = offers.offer(session, {"paperback": 1}, country)
    except NotOrderable as refused:
        return Refusal(refused.reason)
    return None if offer.books.currency is REGIONS[offer.zone.region].currency else Refusal.CLOSED


def test_every_country_is_either_priced_or_refused_with_a_reason(session, catalogue):
    reasons = {country: reason_against(session, country) for country in COUNTRIES}
    refused = {country for country, reason in reasons.items() if reason is Refusal.REFUSED_COUNTRY}
    off = {country for country, reason in reasons.items() if reason is Refusal.ZONE_OFF}
    assert refused == {"RU", "BY", "CU", "IR", "KP", "SY"}
    assert {"DE", "FR", "IE", "NO", "IS", "LI", "AX", "RE"} <= off
    assert set(reasons.values()) == {None, Refusal.REFUSED_COUNTRY, Refusal.ZONE_OFF}


def test_northern_ireland_is_served_only_while_the_eu_is(session, catalogue):
    assert not postage.northern_ireland_served(session)

    def turn_on(session):
        next(zone for zone in postage.zones(session) if zone.slug == "eu").enabled = True

    transact(session, turn_on)
    assert postage.northern_ireland_served(session)


@pytest.mark.parametrize(
    ("country", "code", "there"),
    [
        ("GB", "BT1 5GS", True),
        ("GB", " bt15gs", True),
        ("GB", "B T1 5GS", True),
        ("GB", "B1 1TB", False),
        ("GB", "", False),
        ("US", "BT1 5GS", False),
    ],
)
def test_northern_ireland_is_known_by_its_postcodes(country: str, code: str, there: bool):
    assert postage.in_northern_ireland(country, code) is there
