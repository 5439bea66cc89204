"""The market of a reader, and how things are written there."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from shop.markets import (
    COUNTRIES,
    LANGUAGES,
    MARKETS,
    REGIONS,
    by_name,
    country_name,
    negotiate,
    unbroken,
    write_date,
    write_moment,
    write_number,
)
from shop.money import Currency


@pytest.mark.parametrize(
    ("header", "market"),
    [
        ("en-US", "en-us"),
        ("en-US,en;q=0.9", "en-us"),
        ("en-GB", "en-gb"),
        ("en", "en-gb"),
        ("en-AU", "en-gb"),
        ("ru", "ru-gb"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", "ru-gb"),
        ("ru-US", "ru-us"),
        ("de-DE,de;q=0.9,en-US;q=0.8,ru;q=0.7", "en-us"),
        ("de,fr", "en-gb"),
        ("en-US;q=0.5,ru;q=0.9", "ru-gb"),
        ("ru;q=0,en-US;q=0.1", "en-us"),
        ("ru;q=0", "en-gb"),
        ("EN-us", "en-us"),
        ("*", "en-gb"),
        ("", "en-gb"),
    ],
)
def test_the_reader_gets_the_first_market_of_his_own_order(header: str, market: str):
    assert negotiate(parse_accept_header(header, LanguageAccept)).slug == market


@given(st.lists(st.tuples(st.text(max_size=12), st.floats(0, 1)), max_size=6))
def test_whatever_a_browser_asks_for_there_is_a_market(accepted: list[tuple[str, float]]):
    assert negotiate(accepted).slug in MARKETS


def test_the_markets_are_every_language_in_every_region():
    assert set(MARKETS) == {f"{language}-{region}" for language in LANGUAGES for region in REGIONS}
    assert MARKETS["ru-us"].currency is Currency.USD
    assert MARKETS["en-gb"].region.home == "GB"
    assert {market.checkout_locale for market in MARKETS.values()} == {"en-GB", "en", "ru"}


def test_numbers_and_days_are_written_as_they_are_there():
    day = date(2026, 3, 5)
    assert write_date(day, "en_GB") == "5\u00a0March 2026"
    assert write_date(day, "en_US") == "March\u00a05, 2026"
    assert write_date(day, "ru") == "5\u00a0марта 2026\u00a0года"
    assert [write_number(1234567, locale) for locale in ("en_GB", "ru")] == ["1,234,567", "1\u00a0234\u00a0567"]


def test_an_instant_is_shown_in_the_shops_own_time():
    summer = datetime(2026, 7, 31, 23, 30, tzinfo=UTC)
    assert write_date(summer, "en_GB") == "1\u00a0August 2026"
    assert write_moment(summer, "en_GB").endswith("00:30")


def test_every_country_has_a_name_in_every_language():
    for language in ("en_GB", "en_US", "ru"):
        for code in COUNTRIES:
            name = country_name(code, language)
            assert name != code
            assert " - " not in name


def test_countries_stand_in_the_readers_alphabetical_order():
    english = [name for _code, name in by_name({"AX", "AT", "AL", "ZW"}, "en_GB")]
    assert english == ["Åland Islands", "Albania", "Austria", "Zimbabwe"]
    russian = [name for _code, name in by_name(COUNTRIES, "ru")]
    assert russian.index("Йемен") > russian.index("Италия")
    assert russian.index("Йемен") < russian.index("Казахстан")


def test_no_line_ends_within_a_number_or_the_word_e_mail():
    kept = '<span class="unbroken">{}</span>'.format
    numbers = (
        "RR-1A2B3C4D",
        "LB-1A2B3C4D",
        "INV-00012",
        "PF-00001",
        "Q-00002",
        "CN-00003",
        "ISBN 978-0-415-54641-6",
    )
    for whole in ("2–4", "e-mail", "из-за", "кто-то", "2026-12-25", *numbers):
        assert unbroken(f"<p>Here {whole}.</p>") == f"<p>Here {kept(whole)}.</p>"
    for other in (
        '<a href="/e-mail/RR-1A2B3C4D">http://shop.example/RR-1A2B3C4D</a>',
        "1920–24",
        "RR-12",
        "купли-продажи",
    ):
        assert unbroken(other) == other
    assert unbroken("1920–24", years=True) == kept("1920–24")
