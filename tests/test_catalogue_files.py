"""Catalogue files: what goes in comes out again, and a contradiction is named."""

from __future__ import annotations

import tomllib

import pytest
from sqlalchemy import Column, func, select
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue import interchange, offers, postage, sheet, version
from shop.catalogue.models import CatalogueVersion, Edition, Unconfirmed, ZoneCountry
from shop.database import Base, transact
from shop.errors import CatalogueError
from shop.markets import COUNTRIES
from shop.stock import Stock, StockMovement
from shop.trader import Distributor, trader
from tests import shipped
from tests.conftest import empty
from tests.factories import Catalogue, make_order, set_stock
from tests.shipped import CATALOGUE

SHIPPED = CATALOGUE.read_text()


def take_in(session: Session, text: str, now) -> interchange.Imported:
    return transact(session, lambda s: interchange.import_catalogue(s, text.encode(), now))


def test_what_was_imported_is_exported_as_it_was(session, now):
    take_in(session, SHIPPED, now)
    written = interchange.export_catalogue(session)
    assert tomllib.loads(written) == tomllib.loads(SHIPPED)
    assert not take_in(session, written, now).changed
    assert interchange.export_catalogue(session) == written


def test_an_export_brings_the_same_shop_into_being_elsewhere(session, now):
    take_in(session, SHIPPED, now)
    written = interchange.export_catalogue(session)
    changed = written.replace("amount = 350", "amount = 375").replace("GBP = 2200", "GBP = 2345")
    assert take_in(session, changed, now).changed
    assert interchange.export_catalogue(session) == changed


def test_importing_again_changes_nothing(session, now):
    first = take_in(session, SHIPPED, now)
    before = version.current(session), session.scalar(select(func.count()).select_from(StockMovement))
    again = take_in(session, SHIPPED, now)
    after = version.current(session), session.scalar(select(func.count()).select_from(StockMovement))
    assert (first.changed, again.changed) == (True, False)
    assert before == after


def test_rows_that_tests_begin_with_are_those_of_an_import(session, now):
    take_in(session, SHIPPED, now)
    imported = rows(session)
    empty(session.get_bind())
    transact(session, shipped.copy, now)
    assert rows(session) == imported
    assert not take_in(session, SHIPPED, now).changed
    assert version.current(session) > 0


def rows(session: Session) -> dict[str, list[str]]:
    """All that the tables hold, without what is drawn: ids, the version, the shop's mark."""
    session.rollback()
    return {
        table.name: sorted(
            repr([value for column, value in zip(table.columns, row, strict=True) if not is_drawn(column)])
            for row in session.execute(select(table))
        )
        for table in Base.metadata.tables.values()
        if table is not CatalogueVersion.__table__
    }


def is_drawn(column: Column[object]) -> bool:
    return column is column.table.autoincrement_column or bool(column.foreign_keys) or column.name == "shop_id"


def test_a_change_raises_the_version(session, now):
    take_in(session, SHIPPED, now)
    before = version.current(session)
    take_in(session, SHIPPED.replace("USD = 3200", "USD = 3300"), now)
    assert version.current(session) == before + 1


def test_the_first_import_counts_the_opening_stock_and_no_later_one_does(session, now):
    take_in(session, SHIPPED, now)
    paperback = offers.edition(session, "paperback")
    assert session.get_one(Stock, paperback.id).on_hand == 40
    transact(session, lambda s: stock.count(s, paperback.id, 7, "counted", "admin: Vera", now))
    take_in(session, SHIPPED.replace("opening_stock = 40", "opening_stock = 50"), now)
    session.expire_all()
    assert session.get_one(Stock, paperback.id).on_hand == 7


def test_an_import_leaves_held_copies_held(session, catalogue: Catalogue, now):
    set_stock(session, catalogue.paperback, 3)
    make_order(session, paperback=2)
    take_in(session, SHIPPED, now)
    session.expire_all()
    row = session.get_one(Stock, catalogue.paperback)
    assert (row.on_hand, row.held) == (3, 2)


def test_what_was_confirmed_stays_confirmed(session, now):
    take_in(session, SHIPPED, now)
    row = session.scalars(select(Unconfirmed).where(Unconfirmed.fact == "prices")).first()
    row.confirmed_at = now
    session.commit()
    take_in(session, SHIPPED.replace("USD = 3200", "USD = 3300"), now)
    session.refresh(row)
    assert row.confirmed_at == now


def test_a_file_without_doubts_leaves_none(session, now):
    take_in(session, SHIPPED, now)
    assert len(offers.unconfirmed(session)) > 10
    take_in(session, "\n".join(line for line in SHIPPED.splitlines() if not line.startswith("to_confirm")), now)
    assert offers.unconfirmed(session) == []


def test_an_edition_that_the_file_does_not_name_stays(session, now):
    take_in(session, SHIPPED, now)
    parts = SHIPPED.split("[editions.russian]")
    without = parts[0] + "[zones" + parts[1].split("[zones", 1)[1]
    done = take_in(session, without, now)
    assert done.untouched == ("russian",)
    assert [edition.slug for edition in offers.editions(session)] == ["paperback", "russian"]


def test_a_zone_that_the_file_does_not_name_goes_and_its_countries_fall_to_the_rest(session, now):
    take_in(session, SHIPPED, now)
    head, tail = SHIPPED.split("[zones.europe]")
    take_in(session, head + "[zones." + tail.split("[zones.", 1)[1], now)
    assert postage.zone_of(session, "CH").slug == "rest"


def test_countries_change_zones_at_once(session, now):
    take_in(session, SHIPPED, now)
    swapped = SHIPPED.replace('"CA", "US"', '"CH", "US"').replace('"BA", "CH", "FO"', '"BA", "CA", "FO"')
    take_in(session, swapped, now)
    assert postage.zone_of(session, "CH").slug == "north-america"
    assert postage.zone_of(session, "CA").slug == "europe"


def test_every_country_is_in_one_zone_or_refused(session, now):
    take_in(session, SHIPPED, now)
    zoned = set(session.scalars(select(ZoneCountry.country)))
    refused = {code for code in COUNTRIES if postage.is_refused(session, code)}
    assert refused == {"RU", "BY", "CU", "IR", "KP", "SY"}
    assert zoned | refused == COUNTRIES
    assert not zoned & refused


def test_what_the_file_leaves_out_of_the_seller_stays_as_entered(session, now):
    take_in(session, SHIPPED, now)
    trader(session).name = "Long Lane Books"
    session.commit()
    take_in(session, SHIPPED, now)
    assert trader(session).name == "Long Lane Books"


def test_the_shipped_file_ships_the_known_facts_and_doubts_the_others(session, now):
    take_in(session, SHIPPED, now)
    paperback, russian = offers.editions(session)
    assert (paperback.isbn, paperback.pages, paperback.published) == ("9780415546416", 296, "2009-05-12")
    assert (russian.isbn, russian.pages, russian.subtitle, russian.weight_grams) == (None, None, "", None)
    assert russian.mailing_grams == 450
    doubted = {(row.subject, row.fact) for row in offers.unconfirmed(session)}
    assert {("paperback", "prices"), ("russian", "postage_weight"), ("trader", "identity")} <= doubted
    assert ("russian", "distributor") in doubted
    assert session.get_one(Distributor, russian.id).email == "sales@indexbooks.co.uk"
    assert not paperback.contents_complete
    assert {text.language for text in russian.texts} == {"en", "ru"}


def without_line(start: str) -> str:
    return "\n".join(line for line in SHIPPED.splitlines() if not line.startswith(start))


CONTRADICTIONS = {
    "a wrong check digit": (SHIPPED.replace("9780415546416", "9780415546417"), "check digit", "paperback"),
    "an ISBN with hyphens": (SHIPPED.replace("9780415546416", "978-0415546416"), "thirteen digits", "paperback"),
    "an ISBN of another edition": (SHIPPED.replace("9780415437035", "9780415546416"), "another edition", "isbn"),
    "a price missing in a region": (
        SHIPPED.replace("GBP = 1800, ", ""),
        "no price in GBP",
        "editions.russian.prices",
    ),
    "a negative price": (
        SHIPPED.replace("GBP = 1800", "GBP = -1800"),
        "not above zero",
        "editions.russian.prices",
    ),
    "a price of nothing": (
        SHIPPED.replace("GBP = 1800", "GBP = 0"),
        "not above zero",
        "editions.russian.prices.GBP",
    ),
    "a price with a point": (
        SHIPPED.replace("GBP = 1800", "GBP = 18.00"),
        "whole number",
        "editions.russian.prices",
    ),
    "a price that is a text": (SHIPPED.replace("GBP = 1800", 'GBP = "1800"'), "whole number", "prices.GBP"),
    "a price that is true": (SHIPPED.replace("GBP = 1800", "GBP = true"), "whole number", "prices.GBP"),
    "a price beyond all measure": (SHIPPED.replace("GBP = 1800", "GBP = 18000000000"), "whole number", "GBP"),
    "an unknown currency": (
        SHIPPED.replace("GBP = 1800", "GPB = 1800"),
        "not a currency",
        "editions.russian.prices",
    ),
    "a currency of no region": (SHIPPED.replace("GBP = 1800", "GBP = 1800, EUR = 2000"), "no region’s", "prices"),
    "a country in two zones": (
        SHIPPED.replace('["CA", "US"]', '["CA", "CH", "US"]'),
        "CH is in zone “europe”",
        "zones",
    ),
    "a country twice": (SHIPPED.replace('["CA", "US"]', '["CA", "CA", "US"]'), "twice", "zones.north-america"),
    "an unknown country": (
        SHIPPED.replace('["CA", "US"]', '["CA", "UX"]'),
        "'UX' is not the code",
        "north-america",
    ),
    "a country in small letters": (
        SHIPPED.replace('["CA", "US"]', '["CA", "us"]'),
        "'us' is not the code",
        "zones",
    ),
    "an unknown refused country": (SHIPPED.replace('"KP", "RU"', '"KP", "XX"'), "'XX' is not the code", "refused"),
    "a refused country in a zone": (SHIPPED.replace('["CA", "US"]', '["CA", "CU", "US"]'), "CU is among", "zones"),
    "an unknown country not sent to": (
        SHIPPED.replace('["UA"]', '["UKR"]'),
        "at most 2",
        "editions.russian.not_sent",
    ),
    "a home in no zone": (SHIPPED.replace('["CA", "US"]', '["CA"]'), "US, home of region “us”", "zones"),
    "an unknown region": (
        SHIPPED.replace('region = "us"', 'region = "usa"'),
        "'usa' is not one of gb, us",
        "zones",
    ),
    "a missing region": (without_line('region = "us"'), "“region” is missing", "zones.north-america"),
    "an unknown key": (
        SHIPPED.replace("weight_grams = 450\ntax", "wieght_grams = 450\ntax"),
        "wieght",
        "paperback",
    ),
    "an unknown key at the top": ("stock = 5\n" + SHIPPED, "“stock” is not known", ""),
    "an unknown language": (
        SHIPPED.replace("[editions.paperback.texts.ru]", "[editions.paperback.texts.rus]"),
        "rus",
        "",
    ),
    "a text missing in a language": (
        SHIPPED.split("[editions.paperback.texts.ru]")[0]
        + "[editions.russian]"
        + SHIPPED.split("[editions.russian]")[1],
        "“ru” is missing",
        "editions.paperback.texts",
    ),
    "an unknown state of being available": (
        SHIPPED.replace('"available"', '"in stock"', 1),
        "'in stock'",
        "status",
    ),
    "an announced edition without a day": (
        SHIPPED.replace('"available"', '"announced"', 1),
        "announced_for",
        "paperback",
    ),
    "an edition twice": (SHIPPED.replace("[editions.russian]", "[editions.paperback]"), "not TOML", ""),
    "a slug with capitals": (SHIPPED.replace("editions.russian", "editions.Russian"), "short name", "editions"),
    "a slug of the order form": (
        SHIPPED.replace("editions.russian", "editions.country"),
        "order form",
        "editions",
    ),
    "bands out of order": (
        SHIPPED.replace(
            "bands = [{ up_to_grams = 750, amount = 350 }]",
            "bands = [{ up_to_grams = 750, amount = 350 }, { up_to_grams = 500, amount = 300 }]",
        ),
        "rise",
        "zones.uk.bands",
    ),
    "no bands": (
        SHIPPED.replace("bands = [{ up_to_grams = 750, amount = 350 }]", "bands = []"),
        "bands must",
        "zones.uk",
    ),
    "negative postage": (
        SHIPPED.replace("amount = 350", "amount = -350"),
        "below zero",
        "zones.uk.bands[1].amount",
    ),
    "days the wrong way round": (SHIPPED.replace("[2, 4]", "[4, 2]"), "smaller first", "zones.uk.days"),
    "two rests": (
        SHIPPED.replace('countries = ["CA", "US"]', "rest = true"),
        "takes in the rest already",
        "zones.rest",
    ),
    "a rest with countries": (
        SHIPPED.replace("rest = true", 'rest = true\ncountries = ["AU"]'),
        "either",
        "zones.rest",
    ),
    "a fact nobody knows": (
        SHIPPED.replace('"prices", "weight", "size"', '"price", "size"'),
        "'price' is not",
        "paperback",
    ),
    "an empty text": (SHIPPED.replace('place = "Москва"', 'place = ""'), "leave out", "editions.russian.place"),
    "control characters": (SHIPPED.replace('place = "Москва"', 'place = "\\u0000"'), "control", "russian.place"),
    "a day that does not exist": (
        SHIPPED.replace("2009-05-12", "2009-02-30"),
        "no day",
        "editions.paperback.published",
    ),
    "a distributor without an address": (SHIPPED.replace("sales@index", "index"), "e-mail", "russian.distributor"),
    "an unknown role": (SHIPPED.replace('"translator"', '"translater"'), "translater", "contributors[2]"),
    "a table where a list belongs": (SHIPPED.replace("[2, 4]", "{ from = 2 }"), "not a list", "zones.uk.days"),
    "no editions": ("[zones]\n", "“editions” is missing", ""),
    "nothing at all": ("", "“editions” is missing", ""),
    "no TOML": ("<catalogue/>", "not TOML", ""),
}


@pytest.mark.parametrize(("text", "what", "place"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_contradiction_is_refused_with_a_sentence_that_names_it(text: str, what: str, place: str):
    assert text != SHIPPED
    with pytest.raises(CatalogueError) as refused:
        sheet.read(text.encode())
    sentence = str(refused.value)
    assert what in sentence
    assert place in sentence
    assert sentence.endswith(".")


def test_a_file_that_is_not_utf_8_is_refused():
    with pytest.raises(CatalogueError, match="not UTF-8"):
        sheet.read(SHIPPED.encode("utf-16"))


def test_a_file_that_begins_with_the_mark_of_its_encoding_is_the_same_file():
    assert sheet.read(SHIPPED.encode("utf-8-sig")) == sheet.read(SHIPPED.encode())


def test_a_refused_file_changes_nothing(session, now):
    take_in(session, SHIPPED, now)
    before = interchange.export_catalogue(session)
    with pytest.raises(CatalogueError):
        take_in(session, SHIPPED.replace("USD = 3200", "USD = 9900").replace("GBP = 1800, ", ""), now)
    assert interchange.export_catalogue(session) == before


def test_a_new_edition_is_added_beside_the_others(session, now):
    take_in(session, SHIPPED, now)
    german = SHIPPED.replace("[editions.russian", "[editions.german").replace(
        'language = "ru"', 'language = "de"', 1
    )
    take_in(session, german, now)
    assert session.scalars(select(Edition.slug).order_by(Edition.position)).all() == [
        "paperback",
        "german",
        "russian",
    ]
