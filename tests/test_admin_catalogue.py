"""The order desk's catalogue: editions, prices and postage are edited, and every change says who, when, what."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import changes
from shop.admin.forms import minor_units
from shop.catalogue import editing, interchange
from shop.catalogue.models import Edition
from shop.catalogue.version import current
from shop.changes import Change
from shop.database import transact
from shop.money import Currency
from tests import factories
from tests.client import Client, Form
from tests.factories import Catalogue
from tests.test_admin_orders import colleague, desk

__all__ = ["colleague", "desk"]
PAGE = "/admin/editions/paperback"


def edit(desk: Client, page: str = PAGE) -> Form:
    return next(form for form in desk.get(page).page.forms() if "seen" in form.fields)


def price(session: Session, edition: int) -> int:
    found = session.get_one(Edition, edition).price_in(Currency("GBP"))
    assert found is not None
    return found.amount


def rows(session: Session, subject: str) -> list[tuple[str, str, str, str]]:
    return [(row.field, row.before, row.after, row.actor) for row in changes.history(session, [subject])]


def test_what_was_changed_of_an_edition_says_who_from_what_to_what(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    before = current(session)
    answer = desk.submit(edit(desk), publisher="Another House", **{"price-GBP": "23,50"})
    assert answer.status_code == 303
    assert session.get_one(Edition, catalogue.paperback).publisher == "Another House"
    found = rows(session, "edition:paperback")
    assert {row[0] for row in found} == {"publisher", "price-GBP"}
    assert {row[3] for row in found} == {"admin: Vera Keeper"}
    assert ("price-GBP", "22.00", "23.50", "admin: Vera Keeper") in found
    text = desk.get(PAGE).page.text
    assert "Another House" in text
    assert "Vera Keeper" in text
    assert current(session) == before + 1


def test_saving_without_a_change_changes_nothing(desk: Client, session: Session, catalogue: Catalogue) -> None:
    for slug in ("paperback", "russian"):
        known, number = interchange.export_catalogue(session), current(session)
        assert desk.submit(edit(desk, f"/admin/editions/{slug}")).status_code == 303
        session.expire_all()
        assert interchange.export_catalogue(session) == known
        assert current(session) == number
    assert session.scalars(select(Change)).all() == []


def test_a_changed_price_holds_at_once_and_touches_no_order(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order = factories.make_order(session)
    total = order.total
    desk.submit(edit(desk), **{"price-GBP": "30.00"})
    session.expire_all()
    assert order.total == total
    assert price(session, catalogue.paperback) == 3000
    assert "£30.00" in desk.get("/en-gb/books/paperback").page.text


@pytest.mark.parametrize(
    ("typed", "pence"),
    [
        *(("22", 2200), ("22,50", 2250), (" 22.50 ", 2250), ("1 000", 100000), ("1\u00a0000,00", 100000)),
        *(("22 50", None), ("22\u00a050", None), ("2 2", None), ("£22", None), ("1,000", None), ("1e3", None)),
        *(("22.505", None), ("-1", None), ("", None)),
    ],
)
def test_a_sum_is_taken_as_people_write_it_and_a_slip_is_not(typed: str, pence: int | None) -> None:
    assert minor_units(typed) == pence


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("isbn", "9780415546417", "last digit"),
        ("isbn", "978041554641", "thirteen"),
        ("isbn", "9780415437035", "Another edition or format"),
        ("title", " ", "fill this in"),
        ("published", "2009-13", "a year, a month"),
        ("language", "english", "characters"),
        ("announced_for", "2027-01-01", "announced edition"),
        ("price-GBP", "", "on sale"),
        ("price-USD", "0", "too low"),
        ("pages", "-3", "number from"),
        ("tax_code", "books", "txcd_"),
        ("contributors", "author | Simon Pirani", "Line 1"),
        ("subjects", "thema | NHD\nwords", "Line 2"),
        ("other_formats", "ebook | 123", "Line 1"),
        ("where_else", "Shop | javascript:alert(1)", "Line 1"),
        ("not_sent", "CH XX", "XX"),
        ("status", "gone", "choose one"),
        ("description-ru", "", "fill this in"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_beside_its_field(
    desk: Client, session: Session, catalogue: Catalogue, field: str, value: str, sentence: str
) -> None:
    answer = desk.submit(edit(desk), publisher="Typed House", **{field: value})
    assert answer.status_code == 422
    errors = ["".join(each.itertext()) for each in answer.page.all(".//p[@class='error']")]
    assert any(sentence in each for each in errors), errors
    assert answer.page.form("publisher").fields["publisher"] == "Typed House"
    assert session.get_one(Edition, catalogue.paperback).publisher == "Routledge"
    assert session.scalars(select(Change)).all() == []


def test_a_preview_saves_nothing_and_keeps_what_was_typed(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    form = edit(desk)
    answer = desk.submit(
        form, ("preview", "1"), **{"description-en": "A *new* text <script>alert(1)</script>", "isbn": "1"}
    )
    assert answer.status_code == 200
    assert [each.text for each in answer.page.all(".//div[@class='preview']//em")] == ["new"]
    assert not answer.page.all(".//script")
    again = answer.page.form("publisher")
    assert again.fields["isbn"] == "1"
    assert again.fields["seen"] == form.fields["seen"]
    assert session.scalars(select(Change)).all() == []


def test_the_second_of_two_is_told_what_changed_and_loses_nothing(
    desk: Client, colleague: Client, session: Session, catalogue: Catalogue
) -> None:
    mine, theirs = edit(desk), edit(colleague)
    colleague.submit(theirs, publisher="Their House", place="Leeds")
    answer = desk.submit(mine, publisher="My House", series_volume="46")
    assert answer.status_code == 409
    assert session.get_one(Edition, catalogue.paperback).publisher == "Their House"
    assert "Their House" in answer.page.text
    again = answer.page.form("publisher")
    assert again.fields["publisher"] == "My House"
    assert again.fields["series_volume"] == "46"
    assert again.fields["place"] == "Leeds"  # left alone here, so it follows
    assert desk.submit(again).status_code == 303
    edition = session.get_one(Edition, catalogue.paperback)
    assert (edition.publisher, edition.series_volume, edition.place) == ("My House", "46", "Leeds")


@pytest.mark.parametrize("seen", ["", "nonsense", "=", "title=0"])
def test_a_form_that_does_not_say_what_it_saw_saves_nothing(
    desk: Client, session: Session, catalogue: Catalogue, seen: str
) -> None:
    assert desk.submit(edit(desk), publisher="Blind House", seen=seen).status_code == 409
    assert session.get_one(Edition, catalogue.paperback).publisher == "Routledge"


def test_every_list_of_an_edition_goes_through_the_form_and_back_into_a_file(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    answer = desk.submit(
        edit(desk),
        contributors="author | Simon Pirani | Pirani, Simon | ru: Саймон Пирани\ntranslator | A. B. | B., A.",
        subjects="thema | NHD\nlcsh | Soviet Union—History",
        other_formats="hardback | 9780415437035 | 2008 | xiv, 289\nebook",
        where_else="Routledge | https://www.routledge.com/\nAmazon",
        not_sent="rs, ch",
        contents="One\nTwo",
        contents_complete="y",
    )
    assert answer.status_code == 303
    told = tomllib.loads(interchange.export_catalogue(session))["editions"]["paperback"]
    assert [each["role"] for each in told["contributors"]] == ["author", "translator"]
    assert told["contributors"][0]["names"] == {"ru": "Саймон Пирани"}
    assert told["other_formats"][0]["pages"] == "xiv, 289"
    assert told["where_else"][0]["url"] == "https://www.routledge.com/"
    assert told["not_sent"] == ["CH", "RS"]
    assert told["contents"] == ["One", "Two"]
    at = datetime.now(UTC)
    written = interchange.export_catalogue(session).encode()
    assert not transact(session, lambda s: interchange.import_catalogue(s, written, at)).changed


def test_an_isbn_of_another_edition_is_refused_and_hyphens_are_left_out(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    assert desk.submit(edit(desk), isbn="978-0-415-54641-6").status_code == 303
    assert session.scalars(select(Change)).all() == []
    other = edit(desk, "/admin/editions/russian")
    assert desk.submit(other, isbn="9780415546416").status_code == 422


def test_prices_and_postage_are_noted_and_crossing_edits_are_told(
    desk: Client, colleague: Client, session: Session, catalogue: Catalogue
) -> None:
    mine, theirs = edit(desk, "/admin/setup/prices"), edit(colleague, "/admin/setup/prices")
    assert colleague.submit(theirs, **{"paperback-GBP": "24.00"}).status_code == 303
    assert rows(session, "edition:paperback")[0][:3] == ("price-GBP", "22.00", "24.00")
    answer = desk.submit(mine, **{"paperback-GBP": "25.00"})
    assert answer.status_code == 409
    assert "24.00" in answer.page.text
    assert price(session, catalogue.paperback) == 2400
    assert desk.submit(answer.page.form("paperback-GBP")).status_code == 303
    assert price(session, catalogue.paperback) == 2500

    page = "/admin/setup/postage"
    mine, theirs = edit(desk, page), edit(colleague, page)
    days = next(name for name in mine.fields if name.endswith("-most"))
    assert colleague.submit(theirs, **{days: "61"}).status_code == 303
    assert rows(session, "postage")[0][0::2] == (days, "61")
    answer = desk.submit(mine, **{days: "62"})
    assert answer.status_code == 409
    assert desk.submit(answer.page.form(days)).status_code == 303
    assert "62" in desk.get(page).page.text


def test_an_edition_nobody_knows_is_not_there(desk: Client, catalogue: Catalogue) -> None:
    assert desk.get("/admin/editions/hardback").status_code == 404
    assert desk.get("/admin/editions").status_code == 200


def test_the_facts_of_an_edition_are_those_of_its_form(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    known = editing.facts(session.get_one(Edition, catalogue.russian))
    shown = set(edit(desk, "/admin/editions/russian").fields) - {"seen", "csrf_token"}
    assert set(known) - shown <= {"contents_complete"}  # a box without its tick
    assert shown <= set(known)


def test_a_band_of_weight_is_added_once_and_the_last_one_stays(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    page, version = "/admin/setup/postage", current(session)

    def bands(action: str) -> list[Form]:
        return [form for form in desk.get(page).page.forms() if form.action.endswith(action)]

    add = bands("/bands")[0]
    before = len(bands("/remove"))
    assert desk.submit(add, grams="2000", amount="9,90").status_code == 303
    assert rows(session, "postage")[0][0:3] == ("uk-2000", "", "9.90")
    assert current(session) == version + 1
    assert desk.submit(add, grams="2000", amount="1.00").status_code == 409
    for typed in ({"grams": "0", "amount": "1.00"}, {"grams": "9", "amount": "-1"}, {"grams": "", "amount": ""}):
        assert desk.submit(add, **typed).status_code == 422
    remove = bands("/remove")
    assert len(remove) > before
    added = next(form for form in remove if "/2000/" in form.action)
    assert desk.submit(added).status_code == 303
    assert desk.submit(added).status_code == 409
    last = added
    last.action = last.action.replace("/2000/", "/750/")
    assert desk.submit(last).status_code == 409
    assert len(bands("/remove")) == before
