"""Languages × regions: the first part of each public address, and how dates, sums and countries are written there.

The markets themselves are data (``shop/data/markets.toml``); a third language or region is an entry there.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from babel.units import format_unit

from shop.money import Currency, Money

DATA = Path(__file__).parent / "data"
SHOP_ZONE = ZoneInfo("Europe/London")  # the shop's own days; instants are stored in UTC
SATURDAY = 5
DAYS_OFF = re.compile(r"(\d{4}-\d\d-\d\d)(?:\s*(?:\.{2,3}|…|–|—|/|\s-\s)\s*(\d{4}-\d\d-\d\d))?", re.ASCII)
LONGEST_HOLIDAY = timedelta(days=366)
KEPT = re.compile(
    r"(?:(?<!\d)\d{1,3}–\d+|(?<![\w/-])\d{4}-\d\d-\d\d(?![\w-])|\b[Ee]-mail\b|"
    r"(?<![\w-])(?:[а-яё]{1,2}-[а-яё]+|[а-яё]+-[а-яё]{1,2})(?![\w-])|"
    r"(?<![/\w])(?:(?:RR|LB)-[0-9A-Z]{8}|(?:Q|PF|INV|CN)-\d{5,})\b|\bISBN[ \u00a0][\d-]{13,17})(?![^<>]*>)"
)
"""Where no line ends, outside the tags of HTML: a range of numbers, but not of years (titles stay as they are),
“e-mail”, a hyphen with two letters or one on a side («из-за»), a day as machines write it, numbers of orders,
tickets and papers, an ISBN."""
YEARS = re.compile(r"(?<!\d)\d{4}–\d+(?![^<>]*>)")


@dataclass(frozen=True, slots=True)
class Region:
    """Where a price list holds: one currency, and the country whose delivered price is shown first."""

    code: str
    currency: Currency
    home: str


@dataclass(frozen=True, slots=True)
class Market:
    """One language in one region, such as ``ru-us``."""

    slug: str
    language: str
    region: Region
    locale: str
    checkout_locale: str
    script: str
    """The language's own, in four letters (ISO 15924)."""

    @property
    def currency(self) -> Currency:
        return self.region.currency

    def __str__(self) -> str:
        return self.slug


def _read() -> tuple[dict[str, Region], dict[str, Market], dict[str, str], dict[str, str]]:
    data = tomllib.loads((DATA / "markets.toml").read_text())
    regions = {
        code: Region(code, Currency(each["currency"]), each["home"]) for code, each in data["regions"].items()
    }
    markets = {}
    for slug, each in data["markets"].items():
        language, region = slug.split("-")
        script = data["languages"][language].get("script", "Latn")
        markets[slug] = Market(slug, language, regions[region], each["locale"], each["stripe"], script)
    names = {code: each["name"] for code, each in data["languages"].items()}
    fallbacks = {code: f"{code}-{each['fallback_region']}" for code, each in data["languages"].items()}
    return regions, markets, names, fallbacks


REGIONS, MARKETS, LANGUAGES, GENERIC = _read()
DEFAULT = MARKETS["en-gb"]
COUNTRIES = frozenset(
    code
    for line in (DATA / "countries.txt").read_text().splitlines()
    if not line.startswith("#")
    for code in line.split()
)


def market(language: str, region: str) -> Market:
    """The market of a language in a region; raises ``KeyError`` for one that is not kept."""
    return MARKETS[f"{language}-{region}"]


def negotiate(accepted: Iterable[tuple[str, float]]) -> Market:
    """Choose a market from ``Accept-Language`` as (tag, quality) pairs, by the reader's own order of preference.

    A tag that names a market is that market (``en-US``), any other tag of a kept language its generic one.
    """
    wanted = sorted((pair for pair in accepted if pair[1] > 0), key=lambda pair: -pair[1])
    for tag, _quality in wanted:
        parts = tag.lower().replace("_", "-").split("-")
        exact = MARKETS.get(f"{parts[0]}-{parts[-1]}") if len(parts) > 1 else None
        if exact or parts[0] in GENERIC:
            return exact or MARKETS[GENERIC[parts[0]]]
    return DEFAULT


@lru_cache(4096)
def write_money(money: Money, locale: str) -> str:
    """A sum as it is written there: ``£22.00``, ``24,99 $``; less than nothing with a minus, not a hyphen."""
    written = format_currency(money.to_decimal(), money.currency.value, locale=locale)
    return written.replace("-", "\u2212")


@lru_cache(4096)
def write_number(number: int, locale: str) -> str:
    return format_decimal(number, locale=locale)


def day_begins(day: date) -> datetime:
    """The instant at which a day of the shop begins."""
    return datetime.combine(day, time(), SHOP_ZONE).astimezone(UTC)


def day_of(moment: datetime) -> date:
    """The day of the shop that an instant falls on."""
    return moment.astimezone(SHOP_ZONE).date()


def after_working_days(day: date, days: int, holidays: Container[date] = ()) -> date:
    """The day so many working days (Monday to Friday, save ``holidays``) after another."""
    while days > 0:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY and day not in holidays
    return day


def days_off(written: str) -> frozenset[date]:
    """Days from lines such as ``2026-12-25`` or ``2026-12-24 – 2027-01-02`` (ISO 8601, both ends included).

    Raises ``ValueError`` with the line that is neither, or a range that goes backwards or on for more than a year.
    """
    found: set[date] = set()
    for line in filter(None, (each.strip() for each in written.splitlines())):
        ends = DAYS_OFF.fullmatch(line)
        try:
            first = date.fromisoformat(ends[1] if ends else "")
            last = date.fromisoformat(ends[2]) if ends and ends[2] else first
        except ValueError:
            raise ValueError(line) from None
        if not timedelta(0) <= last - first <= LONGEST_HOLIDAY:
            raise ValueError(line)
        found.update(first + timedelta(days=n) for n in range((last - first).days + 1))
    return frozenset(found)


def write_date(day: date | datetime, locale: str, form: str = "long") -> str:
    """A day in words; an instant is first brought to the shop's own time zone."""
    return _write_day(day_of(day) if isinstance(day, datetime) else day, locale, form)


@lru_cache(4096)
def _write_day(day: date, locale: str, form: str) -> str:
    written: str = format_date(day, form, locale=locale).replace(" ", "\u00a0", 1)  # a day keeps to its month
    if locale.startswith("ru") and form == "long":  # in full: after “г.” a full stop would be a second one
        written = re.sub(r"\sг\.$", "\u00a0года", written)
    return written.replace(" г.", "\u00a0г.").replace("\u202f", "\u00a0")


def write_moment(moment: datetime, locale: str, form: str = "medium") -> str:
    """An instant in the shop's own time zone, to the minute; a line may end before the hour alone."""
    there = moment.astimezone(SHOP_ZONE)
    day = write_date(there.date(), locale, form).replace(" ", "\u00a0")
    return f"{day}, {there:%H:%M}"


def unbroken(html: str, *, years: bool = False) -> str:
    """HTML where no line ends within a range such as ``2–4`` (of years if wanted), “e-mail”, a number or an ISBN; a
    dash or a hyphen would let it (Unicode, UAX #14)."""
    kept = r'<span class="unbroken">\g<0></span>'
    html = KEPT.sub(kept, html)
    return YEARS.sub(kept, html) if years else html


def write_time(moment: datetime, locale: str) -> str:
    """The time of day of an instant in the shop's own time zone, to the second."""
    written: str = format_datetime(moment.astimezone(SHOP_ZONE), "HH:mm:ss", locale=locale)
    return written


def write_size(size: int, locale: str) -> str:
    """How large a file of so many bytes is, as its reader's language writes it: ``1.2 MB``, «340 кБ»."""
    if size >= 1_000_000:
        return format_unit(round(size / 1_000_000, 1), "digital-megabyte", "short", locale=locale)
    return format_unit(max(1, round(size / 1000)), "digital-kilobyte", "short", locale=locale)


@cache
def country_name(code: str, locale: str) -> str:
    """A country's name in a language (Unicode CLDR); the code itself where it has none."""
    name: str = Locale.parse(locale).territories.get(code, code)
    return name.replace(" - ", " – ").replace("единенные", "единённые")


def by_name(codes: Iterable[str], locale: str) -> list[tuple[str, str]]:
    """(code, name) pairs in the reader's alphabetical order (Ё beside Е, diacritics ignored)."""
    return sorted(((code, country_name(code, locale)) for code in codes), key=lambda pair: _alphabetical(pair[1]))


@cache
def _alphabetical(name: str) -> str:
    flat = unicodedata.normalize("NFKD", name.replace("Ё", "Е").replace("ё", "е"))
    plain = "".join(c for c in flat if not unicodedata.combining(c) or c == "\u0306")
    return unicodedata.normalize("NFC", plain).casefold()
