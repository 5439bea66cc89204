"""Addresses of records, what pages tell machines, and the letter to one's library: all from the one edition."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit
from xml.etree import ElementTree

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from shop.barcodes import LEFT, ean13
from shop.bibliography import jsonld
from shop.catalogue.models import Edition, Unconfirmed
from shop.database import transact
from shop.markets import MARKETS
from tests.client import Client, Page, make_client
from tests.conftest import opened, settings_for
from tests.factories import Catalogue, set_stock
from tests.fake_gateway import FakeGateway
from tests.test_admin_catalogue import edit
from tests.test_admin_orders import colleague, desk
from tests.test_marc import read, values
from tests.test_pages import strangers

__all__ = ["colleague", "desk"]
TYPES = {
    "mrc": "application/marc",
    "marcxml": "application/marcxml+xml",
    "onix": "application/xml",
    "bib": "application/x-bibtex; charset=utf-8",
    "ris": "application/x-research-info-systems; charset=utf-8",
    "csl.json": "application/vnd.citationstyles.csl+json",
}
ENGLISH = "The Russian Revolution in Retreat, 1920–24: Soviet Workers and the New Communist Elite"


def graph(page: Page) -> list[dict[str, object]]:
    [script] = page.all(".//script")
    assert script.get("type") == "application/ld+json"
    told = json.loads(script.text or "")
    assert told["@context"] == "https://schema.org"
    return told["@graph"]


def node(page: Page, name: str) -> dict[str, object]:
    return next(each for each in graph(page) if each.get("@id") == f"http://localhost/#{name}")


def metas(page: Page) -> list[tuple[str, str]]:
    found = [(each.get("name", ""), each.get("content", "")) for each in page.all("head/meta")]
    return [each for each in found if each[0].startswith(("citation_", "DC."))]


# Addresses


@pytest.mark.parametrize("slug", ["paperback", "russian"])
@pytest.mark.parametrize("extension", TYPES)
def test_every_file_has_its_type_its_name_and_can_be_kept(
    client: Client, catalogue: Catalogue, slug: str, extension: str
) -> None:
    path = f"/books/{slug}.{extension}"
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == TYPES[extension]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{slug}.{extension}"'
    assert answer.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"
    head = client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.data))
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    russian = client.get(path, headers={"Accept-Language": "ru"})
    assert russian.data == answer.data


def test_what_is_not_there_is_not_found(client: Client, catalogue: Catalogue) -> None:
    for path in ("nothing.mrc", "paperback.doc", "paperback.json", "paper.back.mrc", "russian.ean13.svg", ".mrc"):
        assert client.get(f"/books/{path}").status_code == 404, path
    for extension in TYPES:
        assert client.post(f"/books/paperback.{extension}").status_code == 405


def test_an_empty_shop_has_no_feed(client: Client) -> None:
    assert client.get("/onix.xml").status_code == 404
    assert client.get("/books/paperback.mrc").status_code == 404


def test_the_feed_can_be_kept_and_read_where_it_stands(client: Client, catalogue: Catalogue) -> None:
    answer = client.get("/onix.xml")
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert client.get("/onix.xml", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_code_of_the_agency_stands_in_the_record_only_when_there_is_one(
    session: Session, client: Client, catalogue: Catalogue, database_url: str, tmp_path: Path
) -> None:
    assert read(client, "paperback").get_fields("003", "040") == []
    named = settings_for(database_url, tmp_path, MARC_ORGANIZATION="UkLoBkst")
    with opened(named, gateway=FakeGateway()) as app:
        record = read(make_client(app), "paperback")
        assert record["003"].data == "UkLoBkst"
        assert values(record, "040") == ["$a UkLoBkst $b eng $e rda $c UkLoBkst"]


# The bar code


def modules(svg: str) -> str:
    """The bars of a picture as ninety-five modules, read off its path."""
    found = re.findall(r"M(\d+) 12h(\d+)v(\d+)", svg)
    row = ["0"] * 95
    for x, wide, _ in found:
        for place in range(int(x) - 11, int(x) - 11 + int(wide)):
            row[place] = "1"
    return "".join(row)


def test_the_bar_code_is_the_isbn(client: Client, catalogue: Catalogue) -> None:
    answer = client.get("/books/paperback.ean13.svg")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    text = answer.get_data(as_text=True)
    assert modules(text) == ean13("9780415546416")
    assert "ISBN 978-0-415-54641-6" in text
    root = ElementTree.fromstring(text)
    assert root.get("width") == "37.29mm"  # nominal size: 113 modules of 0.33 mm
    right = {left.translate(str.maketrans("01", "10")): str(digit) for digit, left in enumerate(LEFT)}
    bars = modules(text)[50:92]
    assert "".join(right[bars[at : at + 7]] for at in range(0, 42, 7)) == "546416"
    assert len(re.findall("v74h", text)) == 6  # two long bars at each edge and in the middle


# One record


def test_whatever_is_changed_at_the_desk_is_changed_in_every_record(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    kept = {extension: desk.get(f"/books/paperback.{extension}").headers["ETag"] for extension in TYPES}
    assert desk.submit(edit(desk), pages="312", title="The Russian Revolution Retold").status_code == 303
    record = read(desk, "paperback")
    assert record["300"]["a"] == "312 pages :"
    assert record["245"]["a"] == "The Russian Revolution Retold :"
    page = desk.get("/en-gb/books/paperback").page
    assert node(page, "paperback")["numberOfPages"] == 312
    assert "312 p." in page.text.replace("\u00a0", " ")
    assert "<ExtentValue>312</ExtentValue>" in desk.get("/onix.xml").get_data(as_text=True)
    assert "pagetotal = {312}" in desk.get("/books/paperback.bib").get_data(as_text=True)
    assert "SP  - 312" in desk.get("/books/paperback.ris").get_data(as_text=True)
    assert json.loads(desk.get("/books/paperback.csl.json").data)[0]["number-of-pages"] == "312"
    assert ("DC.format", "312 pages") in metas(page)
    [coins] = page.all(".//span[@class='Z3988']")
    assert parse_qs(coins.get("title", ""))["rft.tpages"] == ["312"]
    for extension in TYPES:
        answer = desk.get(f"/books/paperback.{extension}")
        assert answer.headers["ETag"] != kept[extension]
        assert b"Retold" in answer.data
    assert b"Retold" in desk.get("/books/russian.mrc").data  # its 240 and 765
    assert b"Retold" in desk.get("/books/russian.csl.json").data


def test_what_nobody_has_confirmed_is_in_no_record_in_production(
    session: Session, catalogue: Catalogue, database_url: str, tmp_path: Path
) -> None:
    live = settings_for(
        database_url,
        tmp_path,
        SHOP_ENV="production",
        SHOP_URL="https://shop.example",
        STRIPE_SECRET_KEY="sk_live_suite",
        STRIPE_API_BASE="",
        SHOP_CLOCK_OFFSET_FILE="",
    )

    def doubt(s: Session) -> None:
        s.execute(delete(Unconfirmed))
        facts = ("series", "size", "weight", "contributors", "subjects", "isbn", "pages")
        s.add_all(Unconfirmed(subject=slug, fact=fact) for slug in claims for fact in facts)

    claims = {
        "paperback": ("9780415546416", "978-0-415-54641-6", "BASEES", "296", "NHD", "Soviet Union", '"weight"'),
        "russian": ("Горбач", "Gorbach", "NHD"),
    }
    with opened(live, gateway=FakeGateway()) as app:
        reader = make_client(app)
        before = reader.get("https://shop.example/books/paperback.mrc").get_data(as_text=True)
        assert "9780415546416" in before
        transact(session, doubt)
        for slug, claimed in claims.items():
            for path in (
                *(f"books/{slug}.{each}" for each in TYPES),
                f"en-gb/books/{slug}",
                f"ru-us/books/{slug}",
            ):
                text = reader.get(f"https://shop.example/{path}").get_data(as_text=True)
                assert [each for each in claimed if each in text] == [], path
        assert reader.get("https://shop.example/books/paperback.ean13.svg").status_code == 404
        russian = reader.get("https://shop.example/books/russian.mrc").get_data(as_text=True)
        assert "translated from the English" in russian  # that it is a translation is sure


# Pages


@pytest.mark.parametrize("market", MARKETS)
def test_an_edition_page_has_a_book_an_offer_and_who_sells(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    page = client.get(f"/{market}/books/paperback").page
    book = node(page, "paperback")
    american = market.endswith("us")
    assert book["@type"] == ["Product", "Book"]
    assert book["name"] == ENGLISH
    assert (book["isbn"], book["gtin13"], book["numberOfPages"]) == ("9780415546416", "9780415546416", 296)
    assert (book["inLanguage"], book["bookFormat"]) == ("en", "https://schema.org/Paperback")
    assert book["datePublished"] == "2009-05-12"
    assert book["publisher"] == {"@type": "Organization", "name": "Routledge"}
    assert book["workTranslation"] == [{"@id": "http://localhost/#russian"}]
    assert re.fullmatch(r"http://localhost/static/[^/]+/covers/[a-z]+\.svg", str(book["image"]))
    offer = book["offers"]
    assert (offer["price"], offer["priceCurrency"]) == (("32.00", "USD") if american else ("22.00", "GBP"))
    assert offer["availability"] == "https://schema.org/InStock"
    assert offer["itemCondition"] == "https://schema.org/NewCondition"
    assert offer["seller"]["name"] == "Long Lane Books"
    assert offer["url"] == page.all("head/link[@rel='canonical']")[0].get("href")
    shipping = offer["shippingDetails"]
    assert shipping["shippingRate"]["value"] == ("14.00" if american else "3.50")
    assert shipping["shippingDestination"]["addressCountry"] == ("US" if american else "GB")
    assert shipping["deliveryTime"]["handlingTime"]["maxValue"] == 2
    transit = shipping["deliveryTime"]["transitTime"]
    assert (transit["minValue"], transit["maxValue"]) == ((7, 14) if american else (2, 4))
    returns = offer["hasMerchantReturnPolicy"]
    assert (returns["merchantReturnDays"], returns["applicableCountry"]) == (14, "US" if american else "GB")
    assert urlsplit(returns["merchantReturnLink"]).path == f"/{market}/returns"
    currencies = set(re.findall(r'"(?:priceCurrency|currency)":"(\w+)"', page.all(".//script")[0].text or ""))
    assert currencies == {"USD" if american else "GBP"}
    [trail] = [each for each in graph(page) if each["@type"] == "BreadcrumbList"]
    assert [urlsplit(step["item"]).path for step in trail["itemListElement"]] == [
        f"/{market}/",
        f"/{market}/books/paperback",
    ]
    [shop] = [each for each in graph(page) if each.get("@id") == "http://localhost/#seller"]
    assert shop["name"] == "Long Lane Books"


def test_the_translation_and_its_original_name_each_other(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/ru-gb/books/russian").page
    russian = node(page, "russian")
    assert russian["translationOfWork"] == {"@id": "http://localhost/#paperback"}
    assert [each["name"] for each in russian["translator"]] == ["Денис Горбач", "Евгения Полщикова"]
    assert node(page, "paperback")["workTranslation"] == [{"@id": "http://localhost/#russian"}]
    work = node(page, "work")
    assert {each["@id"] for each in work["workExample"]} == {
        "http://localhost/#paperback",
        "http://localhost/#russian",
    }
    for unknown in ("isbn", "gtin13", "numberOfPages", "bookFormat", "weight", "isPartOf", "workTranslation"):
        assert unknown not in russian
    named = {each["@id"] for each in graph(page) if "@id" in each}
    pointed = set(re.findall(r'\{"@id":"([^"]+)"\}', page.all(".//script")[0].text or ""))
    assert pointed <= named


def test_an_offer_says_how_many_copies_there_are_as_the_page_does(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    for copies, told in ((2, "LimitedAvailability"), (0, "OutOfStock")):
        set_stock(session, catalogue.paperback, copies)
        page = client.get("/en-gb/books/paperback").page
        assert node(page, "paperback")["@type"] == ["Product", "Book"]
        offer = node(page, "paperback")["offers"]
        assert (offer["price"], offer["availability"]) == ("22.00", f"https://schema.org/{told}")
        assert "£22.00" in page.text
    assert node(client.get("/en-gb/books/russian").page, "russian")["offers"]["availability"].endswith("/InStock")


@pytest.mark.parametrize("status", ["announced", "out_of_print"])
def test_what_is_not_sold_has_no_offer_and_its_page_no_words_about_delivery(
    client: Client, session: Session, catalogue: Catalogue, status: str
) -> None:
    changed = update(Edition).where(Edition.slug == "paperback").values(status=status)
    transact(session, lambda s: s.execute(changed.execution_options(synchronize_session=False)))
    page = client.get("/en-gb/books/paperback").page
    assert node(page, "paperback")["@type"] == "Book"
    assert "offers" not in node(page, "paperback")
    [box] = page.all(".//section[@class='buy']")
    words = "".join(box.itertext())
    assert "Price, delivered" not in words
    assert "withdraw" not in words


def test_a_closed_shop_offers_nothing(
    session: Session, catalogue: Catalogue, database_url: str, tmp_path: Path
) -> None:
    live = settings_for(
        database_url,
        tmp_path,
        SHOP_ENV="production",
        SHOP_URL="https://shop.example",
        STRIPE_SECRET_KEY="sk_live_suite",
        STRIPE_API_BASE="",
        SHOP_CLOCK_OFFSET_FILE="",
    )
    with opened(live, gateway=FakeGateway()) as app:
        reader = make_client(app)
        pages = ("https://shop.example/en-gb/", "https://shop.example/en-us/books/paperback")
        assert all('"offers"' in reader.get(page).get_data(as_text=True) for page in pages)
        doubts = update(Unconfirmed).where(Unconfirmed.fact == "stock").values(confirmed_at=None)
        transact(session, lambda s: s.execute(doubts.execution_options(synchronize_session=False)))
        assert not any('"offers"' in reader.get(page).get_data(as_text=True) for page in pages)


def test_the_front_page_tells_of_the_shop_and_of_every_edition(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/ru-us/").page
    kinds = [each["@type"] for each in graph(page)]
    assert "WebSite" in kinds
    assert node(page, "russian")["offers"]["price"] == "24.00"
    assert node(page, "paperback")["offers"]["priceCurrency"] == "USD"


def test_no_word_of_the_catalogue_ends_the_script(client: Client, session: Session, catalogue: Catalogue) -> None:
    bad = "</script><script>alert(1)</script><!-- & \u2028 ё"

    def write(s: Session) -> None:
        s.get_one(Edition, catalogue.paperback).title = bad

    transact(session, write)
    answer = client.get("/en-gb/books/paperback")
    assert answer.get_data(as_text=True).count("<script") == 1
    assert str(node(answer.page, "paperback")["name"]).startswith(bad)
    assert "<" not in jsonld.script([{"name": bad}])
    [coins] = answer.page.all(".//span[@class='Z3988']")
    assert parse_qs(coins.get("title", ""))["rft.btitle"][0].startswith(bad)
    assert dict(metas(answer.page))["citation_title"].startswith(bad)


def test_reference_managers_find_the_same_facts_in_the_page(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/en-us/books/paperback").page
    told = metas(page)
    assert [content for name, content in told if name == "citation_title"] == [ENGLISH]
    assert [content for name, content in told if name == "citation_author"] == ["Pirani, Simon"]
    assert ("citation_publication_date", "2009/05/12") in told
    assert ("citation_isbn", "9780415546416") in told
    assert ("DC.identifier", "urn:isbn:9780415546416") in told
    assert ("DC.creator", "Pirani, Simon") in told
    [coins] = page.all(".//span[@class='Z3988']")
    told_too = dict(parse_qsl(coins.get("title", ""), strict_parsing=True))
    assert told_too["rft_val_fmt"] == "info:ofi/fmt:kev:mtx:book"
    assert (told_too["rft.btitle"], told_too["rft.aulast"], told_too["rft.isbn"]) == (
        ENGLISH,
        "Pirani",
        "9780415546416",
    )
    russian = client.get("/ru-gb/books/russian").page
    assert ("DC.contributor", "Горбач, Денис") in metas(russian)
    assert not [each for each in metas(russian) if each[0] in ("citation_isbn", "DC.format")]


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_an_edition_page_shows_how_to_cite_it_and_where_its_records_are(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    page = client.get(f"/{market}/books/paperback").page
    links = page.links()
    for extension in (*TYPES, "ean13.svg"):
        assert client.get(f"/books/paperback.{extension}").status_code == 200
        assert f"/books/paperback.{extension}" in links
    assert f"/{market}/recommend" in links
    cited = page.all(".//section[@aria-labelledby='cite-heading']//cite")
    assert next("".join(each.itertext()) for each in cited) == ENGLISH
    assert "/books/russian.ean13.svg" not in client.get(f"/{market}/books/russian").page.links()


# The letter


@pytest.mark.parametrize("market", MARKETS)
def test_a_reader_finds_a_ready_letter_in_both_languages(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    page = client.get(f"/{market}/recommend").page
    mails = [urlsplit(each) for each in page.links() if each.startswith("mailto:?")]
    assert len(mails) == 2
    bodies = []
    for mail in mails:
        query = parse_qs(mail.query, strict_parsing=True)
        assert "+" not in mail.query  # a mail program shows it as it stands
        assert query["subject"][0].endswith("The Russian Revolution in Retreat, 1920–24")
        bodies.append(query["body"][0])
    first, second = bodies if market.startswith("en") else reversed(bodies)
    assert first.startswith("Dear Librarian,\r\n\r\n")
    assert second.startswith("Здравствуйте!\r\n\r\n")
    for body in bodies:
        assert "ISBN 978-0-415-54641-6" in body.replace("\u00a0", " ")
        assert "http://localhost/books/paperback.mrc" in body
        assert "http://localhost/books/russian.mrc" in body
        for address in re.findall(r"http://localhost(\S+)", body):
            assert client.get(address).status_code == 200, address
    assert f"/en-{market[-2:]}/libraries" in first
    assert f"/ru-{market[-2:]}/libraries" in second
    shown = ["\n".join(each.itertext()) for each in page.all(".//blockquote")]
    assert "978-0-415-54641-6" in shown[0]
    assert strangers(page) <= {"MARC", "MARCXML", "ONIX"}


def test_the_library_page_leads_to_the_letter_and_the_site_map_knows_it(
    client: Client, catalogue: Catalogue
) -> None:
    assert "/ru-gb/recommend" in client.get("/ru-gb/libraries").page.links()
    assert "/en-us/recommend" in client.get("/sitemap.xml").get_data(as_text=True)
