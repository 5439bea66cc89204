"""Packing slips, address labels and customs declarations: what is read out of them is what was typed."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import replace

import pypdf
import pytest

from shop.barcodes import WrongCheckDigit, ean13, is_ean13
from shop.documents import customs, labels, library_papers, slips
from shop.documents.consignments import Consignment, Item, Sender, is_unprintable, is_unreadable_there, script_of
from shop.orders.models import Buyer, Order, ParcelKind

SENDER = Sender("Long Lane Books", ("1 Long Lane", "London EC1A 9HF"))
NAMES = {
    ("paperback", "en"): "Paperback",
    ("paperback", "ru"): "Мягкая обложка",
    ("russian", "en"): "Russian edition",
    ("russian", "ru"): "Русское издание",
}
PAPERBACK = Item("paperback", "The Russian Revolution in Retreat, 1920–24", "en", "9780415546416", 2, 2200, 420)
RUSSIAN = Item("russian", "Русская революция в отступлении", "ru", None, 1, 1800, 400)
DEDICATION = "Дорогой Маше Ёлкиной — «с любовью»,\nот автора: office, fi, ffi, подъём"
NAME = "Щукина-Ёлкина Анна Юрьевна"
STREET = 'Große Straße 5 #panic("x") *нет* $x$ \\ @а <б>'


def parcel(**changes: object) -> Consignment:
    made = Consignment(
        number="RR-ABCDEFGH",
        kind=ParcelKind.ORDER,
        locale="ru",
        address_lines=(NAME, STREET, "кв. 12", "Berlin 10115"),
        country="DE",
        phone="+49 30 1",
        purchase_order="PO 4711/№ 5",
        note=DEDICATION,
        currency="GBP",
        items=(PAPERBACK, RUSSIAN),
    )
    return replace(made, **changes)


def names(slug: str, language: str) -> str:
    return NAMES[slug, language]


def pages(made: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages]


def test_a_slip_gives_back_the_exact_russian_name_and_dedication():
    [text] = pages(slips.packing_slips([parcel()], "en_GB", SENDER, names))
    for part in (NAME, STREET, *DEDICATION.splitlines(), "PO 4711/№ 5", "RR-ABCDEFGH", RUSSIAN.title):
        assert part in text


def test_letters_that_were_typed_as_two_characters_are_given_back_as_one():
    apart = unicodedata.normalize("NFD", NAME)
    assert apart != NAME
    [text] = pages(slips.packing_slips([parcel(address_lines=(apart, STREET))], "en_GB", SENDER, names))
    assert NAME in text
    assert not any(map(unicodedata.combining, text))


def test_a_slip_has_headings_in_the_language_of_the_buyer_and_of_whoever_packs():
    [text] = pages(slips.packing_slips([parcel()], "en_GB", SENDER, names))
    for part in (
        "Упаковочный лист",
        "Packing slip",
        "Мягкая обложка",
        "Paperback",
        "Примечание и\u00a0посвящение",
    ):
        assert part in text
    [text] = pages(slips.packing_slips([parcel()], "ru", SENDER, names))
    assert "Packing slip" not in text
    assert "Paperback" not in text


def test_a_slip_says_that_it_is_free_and_that_the_rest_went_before():
    [text] = pages(
        slips.packing_slips(
            [parcel(kind=ParcelKind.REPLACEMENT, rest_follows=True, locale="en_GB")], "en_GB", SENDER, names
        )
    )
    assert "free of charge" in text
    assert "posted before" in text


def test_a_label_is_what_the_buyer_typed_and_the_country_in_english_capitals():
    [text] = pages(labels.address_labels([parcel()], SENDER))
    lines = text.splitlines()
    start = lines.index(NAME)
    assert lines[start : start + 5] == [NAME, STREET, "кв. 12", "Berlin 10115", "GERMANY"]
    assert "Purchase order: PO 4711/№ 5" in text
    assert "Германия" not in text


def test_a_customs_declaration_is_english_whoever_buys():
    [text] = pages(customs.declarations([parcel()], SENDER, names))
    for part in (
        "Printed book (Russian edition) 1 0.400 kg 18.00 GBP 4901.99",
        "Total 1.240 kg 62.00 GBP",
        "GERMANY",
    ):
        assert part in text
    assert "CN 22" in text
    assert "Русское издание" not in text


def test_a_customs_declaration_of_much_is_another_form_and_says_no_weight_that_is_not_known():
    dear = parcel(items=(replace(PAPERBACK, quantity=13, grams=0),))
    [text] = pages(customs.declarations([dear], SENDER, names))
    assert "CN 23" in text
    assert "kg" not in text


@pytest.mark.parametrize(("country", "needed"), [("GB", False), ("IM", False), ("JE", True), ("US", True)])
def test_customs_are_asked_at_the_border_of_the_customs_territory(country: str, needed: bool):
    assert customs.is_needed(parcel(country=country)) is needed


def test_fifty_parcels_are_one_pdf_in_order():
    many = [parcel(number=f"RR-{number:08}") for number in range(50)]
    for made in (slips.packing_slips(many, "ru", SENDER, names), labels.address_labels(many, SENDER)):
        found = pages(made)
        assert len(found) == 50
        assert all(each.number in text for each, text in zip(many, found, strict=True))


def test_papers_are_tagged_accessible_and_carry_their_fonts():
    for made in (
        slips.packing_slips([parcel()], "en_GB", SENDER, names),
        labels.address_labels([parcel()], SENDER),
        customs.declarations([parcel()], SENDER, names),
    ):
        reader = pypdf.PdfReader(io.BytesIO(made))
        assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
        assert "pdfuaid:part" in reader.trailer["/Root"]["/Metadata"].get_data().decode()
        for font in reader.pages[0]["/Resources"]["/Font"].values():
            [inner] = font.get_object()["/DescendantFonts"]
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(inner.get_object()["/FontDescriptor"])


def test_a_script_that_no_font_here_holds_does_not_keep_a_parcel_back():
    [text] = pages(labels.address_labels([parcel(address_lines=("王小明", "1 Long Street"))], SENDER))
    assert "1 Long Street" in text
    assert "GERMANY" in text


def test_a_long_number_of_an_order_stays_on_the_paper_and_is_read_out_whole():
    number = "PO-" + "0123456789" * 9 + "№"
    long = parcel(purchase_order=number, note="x" * 200, address_lines=(NAME, "y" * 90))
    for made in (
        slips.packing_slips([long], "en_GB", SENDER, names),
        labels.address_labels([long], SENDER),
        customs.declarations([long], SENDER, names),
    ):
        [text] = pages(made)
        assert max(len(word) for word in text.split()) < 100
        assert "y" * 90 in "".join(text.split())
        assert number in "".join(text.split()) or "Customs" in text
    paper = library_papers.paper(
        {
            **dict.fromkeys(("due_on", "paid_on", "valid_until"), None),
            "kind": "invoice",
            "locale": "en_GB",
            "number": "INV-00001",
            "issued_on": "2026-11-28",
            "about": "",
            "ticket": "LB-ABCDEFGH",
            "currency": "GBP",
            "postage": 0,
            "total": 0,
            "tax_exempt": False,
            "terms_days": 30,
            "lines": [],
            "seller": dict.fromkeys(("name", "address", "email", "phone", "vat_number"), ""),
            "bank": dict.fromkeys(("account_name", "bank_name", "iban", "bic", "sort_code", "account_number"), ""),
            "buyer": dict.fromkeys(
                ("institution", "department", "contact_name", "delivery_address", "invoice_address", "vat_number"),
                "Ä",
            )
            | {"country": "CH", "purchase_order": number, "own_reference": "z" * 100, "san": ""},
        }
    )
    [text] = pages(paper)
    assert max(map(len, text.splitlines())) < 60
    assert number in "".join(text.split())
    assert "z" * 100 in "".join(text.split())


def test_a_very_long_dedication_goes_on_to_another_page():
    long = "\n".join(f"Строка {number}" for number in range(120))
    found = pages(slips.packing_slips([parcel(note=long), parcel(number="RR-22222222")], "ru", SENDER, names))
    assert "Строка 119" in "".join(found)
    assert "RR-22222222" in found[-1]


def test_a_bar_code_is_drawn_for_a_right_number_only():
    pattern = ean13("9780415546416")
    assert len(pattern) == 95
    assert (pattern[:3], pattern[45:50], pattern[-3:]) == ("101", "01010", "101")
    # GS1 General Specifications, figure 5.2.1.2: 5 901234 123457.
    assert ean13("5901234123457") == (
        "10100010110100111011001100100110111101001110101010110011011011001000010101110010011101000100101"
    )
    for wrong in ("9780415546417", "978041554641", "978041554641X", "٩٧٨٠٤١٥٥٤٦٤١٦"):
        assert not is_ean13(wrong)
        with pytest.raises(WrongCheckDigit):
            ean13(wrong)


def test_a_wrong_check_digit_is_said_on_the_slip():
    wrong = parcel(items=(replace(PAPERBACK, isbn="9780415546417"),), locale="en_GB")
    [text] = pages(slips.packing_slips([wrong], "en_GB", SENDER, names))
    assert "The check digit of this ISBN is wrong." in text


@pytest.mark.parametrize(
    ("country", "script"),
    [("GB", "Latn"), ("US", "Latn"), ("DE", "Latn"), ("GR", "Grek"), ("KZ", "Cyrl")],
)
def test_each_country_has_its_script(country: str, script: str):
    assert script_of(country) == script


@pytest.mark.parametrize(
    ("country", "line1", "city", "warned"),
    [
        ("DE", "Садовая, 5", "Берлин", True),
        ("DE", "Садовая, 5", "Berlin", False),
        ("DE", "Große Straße 5", "Köln", False),
        ("KZ", "Садовая, 5", "Алматы", False),
        ("GB", "5", "", False),
    ],
)
def test_an_address_that_no_postman_there_can_read_is_warned_of(country: str, line1: str, city: str, warned: bool):
    order = Order(country=country, buyer=Buyer(name="Анна", line1=line1, line2="", city=city, country=country))
    assert is_unreadable_there(order) is warned


@pytest.mark.parametrize(("name", "warned"), [("Анна Ёлкина", False), ("Żółć Ελένη", False), ("王小明", True)])
def test_letters_that_cannot_be_printed_are_warned_of(name: str, warned: bool):
    empty = dict.fromkeys(("line1", "line2", "city", "state", "postal_code", "purchase_order", "note"), "")
    assert is_unprintable(Order(buyer=Buyer(name=name, **empty))) is warned
