"""ONIX 3.1 of each edition and of all: valid to the letter, with the prices and copies of the moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import onixcheck
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.bibliography.description import verified
from shop.catalogue.models import Edition, PostageZone, Price, Status, Unconfirmed
from shop.database import transact
from tests.client import Client, make_client
from tests.conftest import opened, settings_for
from tests.factories import Catalogue, set_stock
from tests.fake_gateway import FakeGateway
from tests.test_marc import FACTS

NS = {"o": "http://ns.editeur.org/onix/3.1/reference"}
SLUGS = ("paperback", "russian")


@pytest.fixture
def check(tmp_path: Path) -> Callable[[bytes], list[str]]:
    """What the schemas find wrong with a message, XSD and RNG both."""

    def checked(message: bytes) -> list[str]:
        file = tmp_path / "message.xml"
        file.write_bytes(message)
        found = [each for kind in ("xsd", "rng") for each in onixcheck.validate(str(file), schemas=(kind,))]
        return [f"{each.location}: {each.message}" for each in found]

    return checked


def product(client: Client, slug: str = "paperback") -> ElementTree.Element:
    root = ElementTree.fromstring(client.get(f"/books/{slug}.onix").data)
    [found] = root.findall("o:Product", NS)
    return found


def texts(element: ElementTree.Element, path: str) -> list[str]:
    """Texts of the elements at ``Measure/Measurement`` and the like, however deep."""
    steps = "/".join(f"o:{step}" for step in path.split("/"))
    return [each.text or "" for each in element.findall(f".//{steps}", NS)]


def test_both_schemas_take_each_message(
    client: Client, catalogue: Catalogue, check: Callable[[bytes], list[str]]
) -> None:
    for path in ("/books/paperback.onix", "/books/russian.onix", "/onix.xml"):
        assert check(client.get(path).data) == []


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_whatever_is_known_or_unknown_the_schemas_take_it(
    client: Client,
    session: Session,
    catalogue: Catalogue,
    check: Callable[[bytes], list[str]],
    facts: dict[str, object],
) -> None:
    def write(s: Session) -> None:
        for name, value in facts.items():
            setattr(s.get_one(Edition, catalogue.russian), name, value)

    transact(session, write)
    assert check(client.get("/onix.xml").data) == []


@pytest.mark.parametrize("status", Status)
def test_an_edition_of_any_status_without_copies_or_price_is_still_valid(
    client: Client,
    session: Session,
    catalogue: Catalogue,
    check: Callable[[bytes], list[str]],
    status: Status,
) -> None:
    def write(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        edition.status = status
        edition.announced_for = date(2027, 3, 31) if status is Status.ANNOUNCED else None
        edition.prices = []

    transact(session, write)
    set_stock(session, catalogue.paperback, 0)
    message = client.get("/books/paperback.onix").data
    assert check(message) == []
    told = product(client)
    assert texts(told, "UnpricedItemType") == ["02"]
    wanted = {Status.AVAILABLE: "30", Status.ANNOUNCED: "10", Status.OUT_OF_PRINT: "40"}
    assert texts(told, "ProductAvailability") == [wanted[status]]
    assert texts(told, "SupplyDate/Date") == (["20270331"] if status is Status.ANNOUNCED else [])


def test_the_paperback_says_all_that_is_known_of_it(client: Client, catalogue: Catalogue) -> None:
    told = product(client)
    identifiers = [each for each in told if each.tag.endswith("ProductIdentifier")]
    assert [[part.text for part in each] for each in identifiers] == [
        ["03", "9780415546416"],
        ["15", "9780415546416"],
    ]
    assert texts(told, "RecordReference") == ["localhost.paperback"]
    assert texts(told, "ProductForm") == ["BC"]
    assert texts(told, "Measure/Measurement") == ["234", "156", "450"]
    assert texts(told, "ProductClassificationCode") == ["490199"]
    assert texts(told, "TitlePrefix") == ["The"]
    assert texts(told, "Contributor/KeyNames") == ["Pirani"]
    assert texts(told, "ExtentValue") == ["296"]
    assert texts(told, "AncillaryContent/Number") == ["14"]
    assert texts(told, "SubjectSchemeIdentifier") == ["93", "94", "96", "04"]
    assert texts(told, "PublishingDate/Date") == ["20090512"]
    assert texts(told, "Publisher/PublisherName") == ["Routledge"]
    assert texts(told, "SupplierName") == ["Long Lane Books"]
    assert texts(told, "SupplierRole") == ["08"]
    assert texts(told, "ProductRelationCode") == ["11", "06", "06"]
    assert texts(told, "RelatedProduct/ProductIdentifier/IDValue") == [
        "localhost.russian",
        "9780415437035",
        "9780203930298",
    ]


def test_there_is_one_text_of_each_kind_in_every_language(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        edition.contents_complete = True

    transact(session, write)
    told = product(client)
    assert texts(told, "TextContent/TextType") == ["02", "03", "04"]
    languages = [
        [text.get("language") for text in each.findall("o:Text", NS)]
        for each in told.findall(".//o:TextContent", NS)
    ]
    assert languages == [["eng", "rus"], ["eng", "rus"], ["eng"]]


def test_the_translation_names_its_original_and_claims_nothing_unknown(
    client: Client, catalogue: Catalogue
) -> None:
    told = product(client, "russian")
    assert texts(told, "TitleType") == ["01", "03"]
    assert texts(told, "LanguageCode") == ["rus", "eng"]
    assert texts(told, "ContributorRole") == ["A01", "B06", "B06"]
    assert texts(told, "ProductForm") == ["BA"]
    assert [texts(told, name) for name in ("Extent", "Measure", "AncillaryContent")] == [[], [], []]
    own = next(each for each in told if each.tag.endswith("ProductIdentifier"))
    assert [part.text for part in own] == ["01", "Long Lane Books", "localhost.russian"]
    assert texts(told, "RelatedProduct/ProductRelationCode") == ["11"]


def test_every_isbn_of_the_feed_has_its_check_digit(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def break_it(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        edition.isbn = "9780415546417"
        edition.other_formats = [{"format": "hardback", "isbn": "9780415437036"}]

    assert "9780415546416" in client.get("/onix.xml").get_data(as_text=True)
    transact(session, break_it)
    message = client.get("/onix.xml").get_data(as_text=True)
    assert "978041554641" not in message
    assert "978041543703" not in message
    for path in ("paperback.mrc", "paperback.bib", "paperback.ris", "paperback.csl.json"):
        assert b"978041554641" not in client.get(f"/books/{path}").data
    assert client.get("/books/paperback.ean13.svg").status_code == 404
    assert verified("9780415546416") == "9780415546416"
    assert verified("0415546419") is None


def test_prices_are_those_of_the_moment_by_region_with_the_countries_served_there(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    told = product(client, "russian")
    assert texts(told, "PriceAmount") == ["18.00", "24.00"]
    assert texts(told, "PriceType") == ["02", "01"]
    assert texts(told, "CurrencyCode") == ["GBP", "USD"]
    assert texts(told, "TaxRateCode") == ["Z"]
    british, american = (set(each.split()) for each in texts(told, "Price/Territory/CountriesIncluded"))
    assert american == {"CA", "US"}
    assert {"GB", "CH", "JP"} <= british
    assert british.isdisjoint(
        {"RU", "BY", "SY", "UA", "FR", "IE", "US"}
    )  # refused, not sent, off, of another region
    assert "UA" in texts(product(client), "Price/Territory/CountriesIncluded")[0].split()
    [market] = texts(told, "Market/Territory/CountriesIncluded")
    assert set(market.split()) == british | american
    assert texts(told, "SalesRights/Territory/CountriesIncluded") == [market]

    def dearer(s: Session) -> None:
        s.execute(update(Price).where(Price.edition_id == catalogue.russian).values(amount=Price.amount + 50))
        zone = s.scalars(select(PostageZone).where(PostageZone.slug == "eu")).one()
        zone.enabled = True

    transact(session, dearer)
    told = product(client, "russian")
    assert texts(told, "PriceAmount") == ["18.50", "24.50"]
    assert "FR" in texts(told, "Price/Territory/CountriesIncluded")[0].split()


def test_availability_follows_the_shelf(client: Client, session: Session, catalogue: Catalogue) -> None:
    for copies, code in ((40, "21"), (2, "21"), (0, "30")):
        set_stock(session, catalogue.paperback, copies)
        assert texts(product(client), "ProductAvailability") == [code]


def test_a_shop_that_sells_nothing_yet_names_no_price_that_nobody_has_confirmed(
    session: Session, catalogue: Catalogue, database_url: str, tmp_path: Path, check: Callable[[bytes], list[str]]
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
        address = "https://shop.example/books/paperback.onix"
        before = ElementTree.fromstring(reader.get(address).data)
        assert texts(before, "PriceAmount") == ["22.00", "32.00"]
        assert texts(before, "ProductAvailability") == ["21"]
        doubts = update(Unconfirmed).where(Unconfirmed.subject == "paperback").values(confirmed_at=None)
        transact(session, lambda s: s.execute(doubts.execution_options(synchronize_session=False)))
        message = reader.get(address).data
        after = ElementTree.fromstring(message)
        assert check(message) == []
        assert texts(after, "PriceAmount") == []
        assert texts(after, "UnpricedItemType") == ["02"]
        assert texts(after, "ProductAvailability") == ["40"]
        assert texts(after, "Measure/Measurement") == []
        assert texts(after, "Collection/CollectionType") == []
        assert texts(after, "SubjectCode") == []
        assert texts(after, "ExtentValue") == ["296"]
