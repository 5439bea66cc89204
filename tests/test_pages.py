"""Every public page in every market: words, links between the markets, headers, and what must not be there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from shop.catalogue.models import Unconfirmed
from shop.content.interchange import SHIPPED, import_pages, page, read
from shop.content.models import PageText
from shop.content.rendering import fill, to_html
from shop.database import transact
from shop.markets import MARKETS
from shop.storefront.pages import TEXT_PAGES
from tests.client import Client, Page, make_client
from tests.conftest import opened, settings_for
from tests.factories import Catalogue, make_order, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway

PUBLIC = ("", "books/paperback", "books/russian", "order", "orders", "recommend", "withdraw", *TEXT_PAGES)
CACHED = tuple(each for each in PUBLIC if each not in ("order", "orders"))
CYRILLIC = re.compile(r"[а-яё]+", re.IGNORECASE)
LATIN = re.compile(r"[a-z]{2,}", re.IGNORECASE)
ALLOWED_LATIN = {"ISBN", "Stripe", "RR"}
TITLES = ("The Russian Revolution in Retreat, 1920–24", "Русская революция в отступлении")
TRADER = ("Long Lane Books", "1 Long Lane", "London EC1A 9HF", "help@longlane.example")


def spoken(element: ElementTree.Element, language: str) -> Iterator[tuple[str, str]]:
    """(language, text) of everything a reader reads or hears, attributes included; data for machines is neither."""
    if element.tag in ("script", "style"):
        return
    lang = element.get("lang", language)
    own = "en" if lang.endswith("-Latn") else lang[:2]  # romanised, so that a reader of English can read it
    for attribute in ("alt", "aria-label", "title", "placeholder", "content"):
        if attribute != "content" or element.get("name") == "description":
            yield own, element.get(attribute, "")
    yield own, element.text or ""
    for child in element:
        if isinstance(child.tag, str):
            yield from spoken(child, own)
        yield own, child.tail or ""


def strangers(page: Page) -> set[str]:
    """Words in the wrong alphabet for the language they stand in."""
    found: set[str] = set()
    for language, text in spoken(page.root, page.language):
        text = text.replace("\u00a0", " ")
        for allowed in (*TITLES, *TRADER):
            text = text.replace(allowed, "")
        text = re.sub(r"\S+@\S+", "", text)
        found.update((CYRILLIC if language == "en" else LATIN).findall(text))
    return found - ALLOWED_LATIN


@pytest.mark.parametrize("market", MARKETS)
def test_every_page_answers_in_every_market_with_one_heading_and_a_title_of_its_own(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    titles = set()
    for path in PUBLIC:
        answer = client.get(f"/{market}/{path}")
        assert answer.status_code == 200, path
        assert len(answer.page.all(".//h1")) == 1, path
        assert answer.page.language == MARKETS[market].locale.replace("_", "-")
        assert len(answer.page.all(".//main")) == 1
        kinds = {each.get("type") for each in answer.page.all(".//script")}
        assert kinds <= {"application/ld+json"}, "code, not data"
        titles.add(answer.page.title)
    assert len(titles) == len(PUBLIC)


@pytest.mark.parametrize("market", MARKETS)
def test_no_page_has_words_of_the_other_language(client: Client, catalogue: Catalogue, market: str) -> None:
    for path in (*PUBLIC, "nowhere", "order?paperback=7", "order?country=RU", "order?country=FR", "orders/x"):
        assert strangers(client.get(f"/{market}/{path}").page) == set(), path


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_order_pages_have_no_words_of_the_other_language(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, market: str
) -> None:
    waiting = make_order(session, market=market, paperback=1, russian=1, purchase_order="7-12")
    paid = make_paid_order(session, gateway, market=market, country=MARKETS[market].region.home)
    for order in (waiting, paid):
        page = client.get(f"/{market}/orders/{order.token}").page
        assert {word for word in strangers(page) if word.upper() != word} <= {
            *("Soviet", "Workers", "and", "the", "New", "Communist", "Elite"),
            *("Ada", "Reader", "Long", "Lane", "London", "Ivan", "Station", "Road", "Springfield"),
        }
        assert order.number in page.text


def test_each_page_names_its_twins_and_they_name_it(client: Client, catalogue: Catalogue) -> None:
    for path in PUBLIC:
        if path == "orders":
            continue
        known: set[tuple[str, str]] | None = None
        for market in MARKETS:
            page = client.get(f"/{market}/{path}").page
            links = page.all("head/link[@rel='alternate'][@hreflang]")
            alternates = {(each.get("hreflang", ""), each.get("href", "")) for each in links}
            assert known in (None, alternates)
            known = alternates
            codes = {code: urlsplit(address).path for code, address in alternates}
            assert codes == {
                "en-GB": f"/en-gb/{path}",
                "en-US": f"/en-us/{path}",
                "ru-GB": f"/ru-gb/{path}",
                "ru-US": f"/ru-us/{path}",
                "en": f"/en-gb/{path}",
                "ru": f"/ru-gb/{path}",
                "x-default": "/",
            }
            assert page.all("head/link[@rel='canonical']")[0].get("href") == f"http://localhost/{market}/{path}"


def test_language_and_currency_switches_lead_to_the_same_page_with_what_was_typed(
    client: Client, catalogue: Catalogue
) -> None:
    page = client.get("/en-gb/order?paperback=2&russian=1&country=CH&note=Hello").page
    switches = [each.get("href", "") for each in page.all(".//nav[@class='switches']//a")]
    assert {urlsplit(each).path for each in switches} == {"/en-gb/order", "/ru-gb/order", "/en-us/order"}
    assert all("paperback=2" in each and "note=Hello" in each for each in switches)


@pytest.mark.parametrize("market", MARKETS)
def test_public_pages_set_no_cookie_and_can_be_kept(client: Client, catalogue: Catalogue, market: str) -> None:
    for path in PUBLIC:
        answer = client.get(f"/{market}/{path}")
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
    for path in CACHED:
        answer = client.get(f"/{market}/{path}")
        assert answer.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
        again = client.get(f"/{market}/{path}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


def test_a_page_stays_the_same_until_an_availability_class_changes(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def mark() -> str:
        return client.get("/en-gb/books/paperback").headers["ETag"]

    before = mark()
    set_stock(session, catalogue.paperback, 39)
    assert mark() == before
    set_stock(session, catalogue.paperback, 2)
    assert mark() != before
    assert "The last copies" in client.get("/en-gb/books/paperback").page.text


def test_everything_a_page_loads_is_our_own_and_small(client: Client, catalogue: Catalogue) -> None:
    browser, wire = client.application.test_client(), {"Accept-Encoding": "br"}
    page = client.get("/ru-gb/").page
    loaded = [each.get("href", "") for each in page.all("head/link") if each.get("rel") == "preload"]
    loaded += [each.get("src", "") for each in page.all(".//img")]
    assert len(loaded) > 2
    size = len(browser.get("/ru-gb/", headers=wire).data)
    for address in loaded:
        assert address.startswith("/static/")
        part = browser.get(address, headers=wire)
        assert part.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        size += len(part.data)
        part.close()
    assert size < 100_000


def facts(page: Page) -> str:
    """The bibliographic facts that an edition's page lists."""
    listed = page.all(".//section[@aria-labelledby='facts-heading']")
    return " ".join("".join(each.itertext()) for each in listed)


def test_who_published_it_and_where_is_said_in_letters_that_the_reader_reads(client: Client, catalogue: Catalogue):
    pages = (client.get(f"/{market}/books/russian").page for market in ("en-gb", "ru-gb"))
    english, russian = (facts(page) for page in pages)
    assert all(each in english for each in ("Novyĭ khronograf", "Moscow"))
    assert "Москва" not in english
    assert all(each in russian for each in ("Новый хронограф", "Москва"))
    assert "Лондон" in client.get("/ru-gb/books/paperback").page.text


def test_the_delivered_price_is_book_and_postage_together(client: Client, catalogue: Catalogue) -> None:
    english = client.get("/en-gb/books/paperback").page.text
    assert all(each in english for each in ("£22.00", "£3.50", "£25.50", "United Kingdom (not Northern Ireland)"))
    american = client.get("/en-us/books/russian").page.text
    assert all(each in american for each in ("$24.00", "$14.00", "$38.00"))
    russian = client.get("/ru-gb/").page.text
    assert all(each in russian for each in ("25,50\xa0£", "21,50\xa0£"))


@pytest.mark.parametrize(
    ("market", "country"), [("en-gb", "United Kingdom (not Northern Ireland)"), ("en-us", "United States")]
)
def test_the_home_page_says_once_where_its_prices_lead(
    client: Client, catalogue: Catalogue, market: str, country: str
) -> None:
    home = client.get(f"/{market}/").page.text
    assert home.count(f"Postage is included. Delivery to: {country}.") == 1


def test_only_what_is_known_of_an_edition_is_said(client: Client, catalogue: Catalogue) -> None:
    english, russian = (client.get(f"/en-gb/books/{slug}").page.text for slug in ("paperback", "russian"))
    assert "978-0-415-54641-6" in english
    assert "296" in english
    assert "Contents" not in english  # the list is not complete
    assert "Pages" not in russian
    assert "ISBN" not in russian
    assert "450" not in russian


def test_what_nobody_has_confirmed_is_not_claimed_in_production(
    session: Session, catalogue: Catalogue, database_url: str, tmp_path: Path
) -> None:
    def doubt(s: Session) -> None:
        doubts = update(Unconfirmed).where(Unconfirmed.fact.in_(("weight", "size", "series", "contributors")))
        s.execute(doubts.values(confirmed_at=None))

    claims = {
        "paperback": ("450", "234", "Routledge Series", "Size", "Weight"),
        "russian": ("Denis Gorbach",),
    }
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
        pages = {slug: f"https://shop.example/en-gb/books/{slug}" for slug in claims}
        for slug, claimed in claims.items():
            assert all(each in reader.get(pages[slug]).page.text for each in claimed)
        transact(session, doubt)
        time.sleep(1)  # this shop is another process than the one that wrote it
        for slug, claimed in claims.items():
            text = reader.get(pages[slug]).page.text
            assert [each for each in claimed if each in text] == []
            assert "Bibliographic details" in text


def test_the_delivery_page_lists_every_zone(client: Client, catalogue: Catalogue) -> None:
    text = client.get("/en-us/delivery").page.text
    assert text.index("$14.00") < text.index("£3.50")  # this region's own first
    for each in ("£3.50", "£9.50", "£14.50", "European Union and EEA", "We do not post there yet", "North Korea"):
        assert each in text
    assert "Ukraine" in text


def test_the_seller_stands_under_every_page_and_in_the_terms(client: Client, catalogue: Catalogue) -> None:
    page = client.get("/ru-gb/reviews").page
    assert "Long Lane Books" in page.text
    terms = client.get("/ru-us/terms").page.text
    assert "London EC1A 9HF" in terms
    assert "help@longlane.example" in terms
    assert "Телефон" not in terms  # none was entered
    assert "(продавец укажет" not in terms


def test_pages_stand_before_anything_was_imported(client: Client) -> None:
    for path in PUBLIC:
        if not path.startswith("books/"):
            answer = client.get(f"/ru-gb/{path}")
            assert answer.status_code in ((200, 400) if path == "order" else (200,)), path


def test_texts_are_imported_once_and_stay_the_owners(client: Client, session: Session) -> None:
    written = transact(session, import_pages)
    assert written == len(list(SHIPPED.glob("*.md")))
    assert transact(session, import_pages) == 0

    def change(s: Session) -> None:
        s.get_one(PageText, ("terms", "en")).body = "The owner’s own terms."

    transact(session, change)
    assert transact(session, import_pages) == 0
    assert "The owner’s own terms." in client.get("/en-gb/terms").page.text
    transact(session, lambda s: import_pages(s, replace=True))
    assert "The owner’s own terms." not in client.get("/en-gb/terms").page.text


def test_every_text_is_there_in_both_languages(session: Session) -> None:
    for slug in ("home", *TEXT_PAGES):
        for language in ("en", "ru"):
            found = page(session, slug, language)
            assert found is not None, (slug, language)
            assert found.summary
    for path in SHIPPED.glob("*.md"):
        assert re.findall(r"\{(?!trader_|dispatch|refused_countries|editions_not_sent)", read(path).body) == []


def test_text_carries_no_script_and_a_value_no_markup() -> None:
    body = fill("Write to {trader_name}. {unknown}", {"trader_name": "<b>*Ann*</b>\n[x](javascript:y)"})
    html = to_html(body + "\n\n<script>alert(1)</script><img src=x onerror=y> [a](javascript:alert(1))")
    assert "&lt;b&gt;*Ann*&lt;/b&gt;<br>\n[x](javascript:y)" in html
    assert "{unknown}" in html
    for banned in ("<script", "<img", 'href="javascript', "<em>"):
        assert banned not in html
    assert to_html('<span lang="ru">Слово</span>') == '<p><span lang="ru">Слово</span></p>\n'
