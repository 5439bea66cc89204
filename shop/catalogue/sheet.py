"""A catalogue file as data: read strictly, so that whoever made a mistake is told where and what.

What comes out is the file's own structure with nothing left out that is needed and nothing in it that is not
known; ``interchange`` makes rows of it. Sums are minor units, weights grams, sizes millimetres.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import Any

from shop.catalogue import values
from shop.catalogue.models import Binding, Role, Status
from shop.catalogue.values import Check, Sheet
from shop.errors import CatalogueError
from shop.markets import LANGUAGES, REGIONS

TRADER_FACTS = ("identity",)
EDITION_FACTS = (
    "prices",
    "weight",
    "postage_weight",
    "size",
    "stock",
    "isbn",
    "pages",
    "series",
    "contributors",
    "subjects",
    "contents",
    "title",
    "published",
    "where_else",
    "distributor",
)
ZONE_FACTS = ("postage", "days")
SCHEMES = ("thema", "thema_place", "thema_time", "bisac", "lcsh")
FORMATS = ("hardback", "paperback", "ebook", "audiobook")
TAX_CODE = re.compile(r"txcd_\d{8}")


def read(body: bytes) -> Sheet:
    """Read a catalogue file; raises ``CatalogueError`` with a sentence that names the place."""
    try:
        raw = tomllib.loads(body.decode("utf-8-sig"))  # some editors begin a file with the mark of its encoding
    except UnicodeDecodeError as error:
        raise CatalogueError(f"The file is not UTF-8 (byte {error.start}).") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CatalogueError(f"The file is not TOML: {error}.") from error
    table = Table("", raw)
    sheet = {
        "refused": table.get("refused", values.countries, []),
        "trader": table.get("trader", _trader, {}),
        "editions": table.need("editions", values.each(_edition, values.edition_slug)),
        "zones": table.need("zones", values.each(_zone, values.slug)),
    }
    table.finish()
    _check_isbns(sheet)
    _check_countries(sheet)
    return sheet


class Table:
    """A table of the file whose keys are taken one by one; ``finish`` refuses those that nobody took."""

    def __init__(self, place: str, raw: Any) -> None:
        if not isinstance(raw, dict):
            raise values.wrong(place, f"{raw!r} is not a table")
        self.place = place
        self._raw = dict(raw)
        self._known: list[str] = []

    def get(self, key: str, check: Check, default: Any = None) -> Any:
        """The checked value of a key that may be absent."""
        self._known.append(key)
        return check(self.at(key), self._raw.pop(key)) if key in self._raw else default

    def need(self, key: str, check: Check) -> Any:
        """The checked value of a key that must be there."""
        if key not in self._raw:
            raise values.wrong(self.place, f"“{key}” is missing")
        return self.get(key, check)

    def take(self, into: Sheet, check: Check, *keys: str) -> None:
        """Copy those of the keys that are there."""
        for key in keys:
            value = self.get(key, check)
            if value is not None:
                into[key] = value

    def finish(self) -> None:
        for key in self._raw:
            raise values.wrong(self.place, f"“{key}” is not known here (known are {', '.join(self._known)})")

    def at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key


def _edition(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    edition: Sheet = {
        "language": table.need("language", values.any_language),
        "binding": table.get("binding", values.one_of(Binding), Binding.UNKNOWN.value),
        "status": table.need("status", values.one_of(Status)),
    }
    table.take(edition, values.day, "announced_for")
    if (edition["status"] == Status.ANNOUNCED) != ("announced_for" in edition):
        raise values.wrong(place, "“announced_for” belongs to an announced edition, and to no other")
    edition["title"] = table.need("title", values.line(300))
    table.take(edition, values.line(300), "subtitle")
    table.take(edition, values.isbn_13, "isbn")
    table.take(edition, values.line(200), "publisher")
    table.take(edition, values.line(100), "place")
    table.take(edition, values.published, "published")
    table.take(edition, values.line(300), "series")
    table.take(edition, values.line(20), "series_volume")
    numbers = ("pages", "illustrations", "height_mm", "width_mm", "weight_grams", "postage_weight_grams")
    table.take(edition, values.positive, *numbers)
    edition["tax_code"] = table.need("tax_code", values.matching(TAX_CODE, "a tax code such as txcd_35010000"))
    edition["order_limit"] = table.get("order_limit", values.positive, 5)
    edition["last_copies"] = table.get("last_copies", values.count, 3)
    edition["opening_stock"] = table.get("opening_stock", values.count, 0)
    table.take(edition, values.line(200), "cover")
    table.take(edition, values.list_of(values.line(300)), "contents")
    edition["contents_complete"] = table.get("contents_complete", values.flag, False)
    edition["prices"] = _prices(table, edition["status"])
    table.take(edition, values.countries, "not_sent")
    edition["contributors"] = table.need("contributors", values.list_of(_contributor))
    table.take(edition, values.list_of(_subject), "subjects")
    table.take(edition, values.list_of(_other_format), "other_formats")
    table.take(edition, values.list_of(_elsewhere), "where_else")
    table.take(edition, values.facts(EDITION_FACTS), "to_confirm")
    table.take(edition, _distributor, "distributor")
    edition["texts"] = table.need("texts", values.in_every_language(_text))
    table.finish()
    return {key: value for key, value in edition.items() if value != []}


def _prices(table: Table, status: str) -> Sheet:
    prices: Sheet = table.get("prices", values.each(values.positive, values.currency), {})
    if prices or status == Status.AVAILABLE:
        for region in REGIONS.values():
            if region.currency not in prices:
                what = f"there is no price in {region.currency}, the currency of region “{region.code}”"
                raise values.wrong(table.at("prices"), what)
    return dict(sorted(prices.items()))


def _contributor(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    person = {
        "role": table.need("role", values.one_of(Role)),
        "name": table.need("name", values.line(200)),
        "sort_name": table.need("sort_name", values.line(200)),
    }
    names = table.get("names", values.each(values.line(200), values.language), {})
    if names:
        person["names"] = {code: names[code] for code in LANGUAGES if code in names}
    table.finish()
    return person


def _subject(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    subject = {
        "scheme": table.need("scheme", values.one_of(SCHEMES)),
        "code": table.need("code", values.line(200)),
    }
    table.finish()
    return subject


def _other_format(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    other = {"format": table.need("format", values.one_of(FORMATS))}
    table.take(other, values.isbn_13, "isbn")
    table.take(other, values.published, "published")
    table.take(other, values.line(40), "pages")
    table.finish()
    return other


def _elsewhere(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    seller = {"name": table.need("name", values.line(100))}
    table.take(seller, values.web_address, "url")
    table.finish()
    return seller


def _text(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    text = {
        "name": table.need("name", values.line(100)),
        "summary": table.need("summary", values.line(2000)),
        "description": table.need("description", values.prose),
    }
    table.finish()
    return text


def _distributor(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    distributor = {"name": table.need("name", values.line(200)), "email": table.need("email", values.email)}
    table.take(distributor, values.line(60), "phone")
    distributor["language"] = table.get("language", values.language, "en")
    table.finish()
    return distributor


def _trader(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    trader: Sheet = {}
    table.take(trader, values.line(200), "name")
    table.take(trader, values.prose, "address")
    table.take(trader, values.email, "email")
    table.take(trader, values.line(40), "phone", "vat_number")
    table.take(trader, values.positive, "dispatch_days")
    table.take(trader, values.facts(TRADER_FACTS), "to_confirm")
    table.finish()
    return trader


def _zone(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    zone: Sheet = {
        "region": table.need("region", values.one_of(REGIONS)),
        "enabled": table.need("enabled", values.flag),
    }
    for flag in ("rest", "holds_northern_ireland"):
        if table.get(flag, values.flag, False):
            zone[flag] = True
    names = table.need("names", values.in_every_language(values.line(100)))
    zone["names"] = names
    table.take(zone, values.countries, "countries")
    if ("rest" in zone) == bool(zone.get("countries")):
        raise values.wrong(place, "a zone either names its “countries” or has “rest = true”")
    zone["days"] = table.need("days", _days)
    zone["bands"] = table.need("bands", values.list_of(_band))
    limits = [band["up_to_grams"] for band in zone["bands"]]
    if not limits or limits != sorted(set(limits)):
        raise values.wrong(table.at("bands"), "bands must be there and rise from the lightest to the heaviest")
    table.take(zone, _further, "further")
    table.take(zone, values.facts(ZONE_FACTS), "to_confirm")
    table.finish()
    return zone


def _band(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    band = {
        "up_to_grams": table.need("up_to_grams", values.positive),
        "amount": table.need("amount", values.count),
    }
    table.finish()
    return band


def _further(place: str, raw: Any) -> Sheet:
    table = Table(place, raw)
    further = {"grams": table.need("grams", values.positive), "amount": table.need("amount", values.count)}
    table.finish()
    return further


def _days(place: str, raw: Any) -> list[int]:
    days: list[int] = values.list_of(values.positive)(place, raw)
    if len(days) != 2 or days[0] > days[1]:
        raise values.wrong(place, "two numbers of working days are needed, the smaller first")
    return days


def _check_isbns(sheet: Sheet) -> None:
    seen: Counter[str] = Counter()
    for slug, edition in sheet["editions"].items():
        forms = [edition, *edition.get("other_formats", [])]
        for number in (form["isbn"] for form in forms if "isbn" in form):
            seen[number] += 1
            # Editions list each other's formats in common, but no two are one.
            if seen[number] > 1 and number == edition.get("isbn"):
                raise values.wrong(f"editions.{slug}.isbn", f"{number} belongs to another edition or format too")


def _check_countries(sheet: Sheet) -> None:
    found: dict[str, str] = {}
    for slug, zone in sheet["zones"].items():
        for country in zone.get("countries", []):
            if country in sheet["refused"]:
                raise values.wrong(f"zones.{slug}.countries", f"{country} is among the refused countries")
            if country in found:
                raise values.wrong(f"zones.{slug}.countries", f"{country} is in zone “{found[country]}” already")
            found[country] = slug
    rest = [slug for slug, zone in sheet["zones"].items() if "rest" in zone]
    if len(rest) > 1:
        raise values.wrong(f"zones.{rest[1]}.rest", f"zone “{rest[0]}” takes in the rest already")
    for region in REGIONS.values():
        home = found.get(region.home) or next(iter(rest), "")
        if region.home in sheet["refused"] or not home or sheet["zones"][home]["region"] != region.code:
            raise values.wrong(
                "zones", f"{region.home}, home of region “{region.code}”, is in no zone of that region"
            )
