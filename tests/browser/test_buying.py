"""A reader buys both editions on a phone, with JavaScript off, and reads the letter."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from shop.markets import MARKETS
from shop.stock import Stock
from tests.browser.conftest import Strangers
from tests.live_shop import LiveShop

CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
WORDS = {
    "en": {"order": "Order and pay", "update": "Update the total", "titles": "Русская революция в отступлении"},
    "ru": {"order": "Заказать с обязательством оплаты", "update": "Пересчитать", "titles": ""},
}
TOTALS = {"en-gb": "£47.00", "en-us": "$84.00", "ru-gb": "47,00\u00a0£", "ru-us": "84,00\u00a0$"}
HOMES = {
    "GB": {"line1": "1 Gower Street", "city": "London", "postal_code": "WC1E 6BT"},
    "US": {"line1": "12 Elm Street", "city": "Springfield", "state": "IL", "postal_code": "62701"},
}


def fill_in(page: Page, **values: str) -> None:
    """Fill in fields by their names, choosing from a list where there is one."""
    for name, value in values.items():
        field = page.locator(f"[name={name}]")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the right of the screen, once the page has its style."""
    page.wait_for_load_state()
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def order_both(page: Page, shop: LiveShop, market: str) -> str:
    """From the home page to the payment page; returns the reader's e-mail address to come."""
    words, country = WORDS[market[:2]], MARKETS[market].region.home
    page.goto(f"{shop.url}/{market}/")
    assert fits(page)
    page.locator(f"a[href^='/{market}/books/russian']").first.click()
    assert fits(page)
    page.locator(f"main a[href^='/{market}/order']").first.click()
    fill_in(page, paperback="1", russian="1", country=country)
    page.locator("button[formmethod=get]").click()
    expect(page.get_by_text(TOTALS[market]).first).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name=words["order"]).click()
    return country


@pytest.mark.parametrize("market", MARKETS)
def test_a_reader_buys_both_editions_and_reads_the_letter(
    phone: Page, live_shop: LiveShop, strangers: Strangers, market: str
):
    language, email = market[:2], f"reader-{market}@example.com"
    country = order_both(phone, live_shop, market)
    assert phone.url.startswith(live_shop.sandbox.url)
    assert phone.locator("html").get_attribute("lang")[:2] == language
    assert fits(phone)
    fill_in(phone, email=email, name="Ada Reader", **HOMES[country], card_number="4242 4242 4242 4242")
    phone.locator("button[name=action][value=pay]").click()

    assert phone.url.startswith(f"{live_shop.url}/{market}/orders/")
    expect(phone.locator(".state-paid")).to_be_visible()
    assert fits(phone)
    number = re.search(r"RR-[0-9A-Z]{8}", phone.locator("h1").inner_text())
    assert number is not None

    letters = live_shop.letters(email)
    assert len(letters) == 1
    letter = letters[0]
    assert number[0] in str(letter["subject"])
    assert str(letter["language"])[:2] == language
    phone.goto(f"{live_shop.sandbox.url}/mailbox/{letter['id']}")
    text = phone.locator("pre.letter").inner_text()
    assert number[0] in text
    assert TOTALS[market] in text
    assert bool(CYRILLIC.search(text.replace(WORDS["en"]["titles"], ""))) is (language == "ru")
    assert strangers == []


def test_a_declined_card_can_be_replaced(phone: Page, live_shop: LiveShop):
    order_both(phone, live_shop, "ru-gb")
    fill_in(phone, email="declined@example.com", name="Ада Читатель", **HOMES["GB"])
    fill_in(phone, card_number="4000 0000 0000 0002")
    phone.locator("button[name=action][value=pay]").click()
    assert phone.url.startswith(live_shop.sandbox.url)
    fill_in(phone, card_number="4242 4242 4242 4242")
    phone.locator("button[name=action][value=pay]").click()
    expect(phone.locator(".state-paid")).to_be_visible()


def test_a_reader_comes_back_without_paying_and_goes_on_or_gives_up(phone: Page, live_shop: LiveShop):
    order_both(phone, live_shop, "en-gb")
    phone.locator("button[name=action][value=cancel]").click()
    expect(phone.get_by_role("button", name="Continue to payment")).to_be_visible()
    here = phone.url.partition("#")[0]
    phone.get_by_role("button", name="Continue to payment").click()
    assert phone.url.startswith(live_shop.sandbox.url)
    phone.goto(here)
    phone.get_by_role("button", name="Cancel the order").click()
    phone.wait_for_url(here)
    expect(phone.locator(".state-cancelled")).to_be_visible()
    with live_shop.session() as session:
        assert [row.held for row in session.scalars(select(Stock))] == [0, 0]


def test_the_price_follows_the_country_and_consent_is_asked(phone: Page, live_shop: LiveShop):
    phone.goto(f"{live_shop.url}/en-gb/order?paperback=1&country=GB")
    fill_in(phone, country="US")
    phone.get_by_role("button", name="Order and pay").click()
    changed = phone.locator("#changed")
    expect(changed).to_be_visible()
    assert "£25.50" in changed.inner_text()
    assert "46.00" in changed.inner_text()
    phone.get_by_role("button", name="Order and pay").click()
    assert phone.url.startswith(live_shop.sandbox.url)
