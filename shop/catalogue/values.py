"""Checks of single values in a catalogue file. Each takes the place it stands at and answers the value itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from babel import Locale
from email_validator import EmailNotValidError, validate_email
from stdnum import isbn

from shop.errors import CatalogueError
from shop.markets import COUNTRIES, LANGUAGES, REGIONS
from shop.money import Currency

Check = Callable[[str, Any], Any]
Sheet = dict[str, Any]

LARGEST = 2**31 - 1  # what an integer column of PostgreSQL holds
FORM_FIELDS = ("country", "shown_total", "purchase_order", "note", "attempt")  # of the order form
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PUBLISHED = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)


def wrong(place: str, what: str) -> CatalogueError:
    return CatalogueError(f"{place}: {what}." if place else f"{what}.")


def each(check: Check, check_key: Callable[[str, str], object]) -> Check:
    def checked(place: str, raw: Any) -> Sheet:
        if not isinstance(raw, dict) or not raw:
            raise wrong(place, f"{raw!r} is not a table with at least one entry")
        for key in raw:
            check_key(place, key)
        return {key: check(f"{place}.{key}", value) for key, value in raw.items()}

    return checked


def in_every_language(check: Check) -> Check:
    def checked(place: str, raw: Any) -> Sheet:
        given = each(check, language)(place, raw)
        for code in LANGUAGES:
            if code not in given:
                raise wrong(place, f"the language “{code}” is missing")
        return {code: given[code] for code in LANGUAGES}

    return checked


def list_of(check: Check) -> Check:
    def checked(place: str, raw: Any) -> list[Any]:
        if not isinstance(raw, list):
            raise wrong(place, f"{raw!r} is not a list")
        return [check(f"{place}[{number}]", value) for number, value in enumerate(raw, start=1)]

    return checked


def one_of(known: Iterable[str] | type[StrEnum]) -> Check:
    values = [str(value) for value in known]

    def checked(place: str, raw: Any) -> str:
        if not isinstance(raw, str) or raw not in values:
            raise wrong(place, f"{raw!r} is not one of {', '.join(values)}")
        return raw

    return checked


def facts(known: tuple[str, ...]) -> Check:
    def checked(place: str, raw: Any) -> list[str]:
        named = list_of(one_of(known))(place, raw)
        return [fact for fact in known if fact in named]

    return checked


def _whole(place: str, raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or abs(raw) > LARGEST:
        raise wrong(place, f"{raw!r} is not a whole number")
    return raw


def positive(place: str, raw: Any) -> int:
    if _whole(place, raw) <= 0:
        raise wrong(place, f"{raw} is not above zero")
    return int(raw)


def count(place: str, raw: Any) -> int:
    if _whole(place, raw) < 0:
        raise wrong(place, f"{raw} is below zero")
    return int(raw)


def flag(place: str, raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise wrong(place, f"{raw!r} is neither true nor false")
    return raw


def line(longest: int) -> Check:
    def checked(place: str, raw: Any) -> str:
        text = prose(place, raw)
        if "\n" in text or text != text.strip():
            raise wrong(place, "the text must be one line without spaces around it")
        if len(text) > longest:
            raise wrong(place, f"the text has {len(text)} characters, at most {longest} are kept")
        return text

    return checked


def prose(place: str, raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise wrong(
            place, f"{raw!r} is not a text" if raw != "" else "the text is empty; leave out what is not known"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in raw.replace("\n", "")):
        raise wrong(place, "the text contains control characters")
    return raw


def matching(pattern: re.Pattern[str], what: str) -> Check:
    def checked(place: str, raw: Any) -> str:
        if not isinstance(raw, str) or not pattern.fullmatch(raw):
            raise wrong(place, f"{raw!r} is not {what}")
        return raw

    return checked


def isbn_13(place: str, raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"97[89]\d{10}", raw, re.ASCII):
        raise wrong(place, f"{raw!r} is not an ISBN-13 in thirteen digits")
    if not isbn.is_valid(raw):
        raise wrong(place, f"the check digit of ISBN {raw} does not fit")
    return raw


def published(place: str, raw: Any) -> str:
    text: str = matching(PUBLISHED, "a year, a month (2009-05) or a day (2009-05-12)")(place, raw)
    try:
        date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        raise wrong(place, f"there is no day {text}") from None
    return text


def day(place: str, raw: Any) -> date:
    if not isinstance(raw, date) or isinstance(raw, datetime):
        raise wrong(place, f"{raw!r} is not a date such as 2027-03-31, without quotation marks")
    return raw


def email(place: str, raw: Any) -> str:
    try:
        validate_email(line(254)(place, raw), check_deliverability=False)
    except EmailNotValidError:
        raise wrong(place, f"{raw!r} is not an e-mail address") from None
    return str(raw)


web_address = matching(re.compile(r"https?://[^\s\"<>]+"), "an address on the web")


def countries(place: str, raw: Any) -> list[str]:
    codes: list[str] = []
    for code in list_of(line(2))(place, raw):
        if code not in COUNTRIES:
            raise wrong(place, f"{code!r} is not the code of a country (ISO 3166-1, two capital letters)")
        if code in codes:
            raise wrong(place, f"{code} is there twice")
        codes.append(code)
    return sorted(codes)


def any_language(place: str, raw: Any) -> str:
    if not isinstance(raw, str) or raw not in Locale("en").languages or len(raw) > 3:
        raise wrong(place, f"{raw!r} is not the code of a language")
    return raw


def language(place: str, raw: Any) -> str:
    return str(one_of(LANGUAGES)(place, raw))


def currency(place: str, raw: str) -> None:
    if raw not in {region.currency.value for region in REGIONS.values()}:
        known = ", ".join(sorted({region.currency.value for region in REGIONS.values()}))
        what = f"{raw} is no region’s currency" if raw in list(Currency) else f"{raw!r} is not a currency"
        raise wrong(place, f"{what} (those are {known})")


def slug(place: str, raw: str) -> None:
    if not SLUG.fullmatch(raw) or len(raw) > 40:
        raise wrong(place, f"{raw!r} is not a short name of small letters, digits and hyphens")


def edition_slug(place: str, raw: str) -> None:
    slug(place, raw)
    if raw in FORM_FIELDS:
        raise wrong(place, f"{raw!r} is the name of a field of the order form")
