"""Pages as people with and without good eyes meet them."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Strangers
from tests.live_shop import LiveShop

PAGES = (
    "/en-gb/",
    "/ru-us/",
    "/ru-gb/books/russian",
    "/en-us/books/paperback",
    "/en-gb/order?paperback=1&russian=1&country=GB",
    "/ru-gb/order?paperback=99&country=GB",
    "/ru-gb/libraries",
    "/ru-us/recommend",
    "/en-gb/recommend",
    "/en-gb/delivery",
    "/ru-gb/terms",
    "/en-gb/nowhere",
    "/admin/sign-in",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    desk: Page, live_shop: LiveShop, strangers: Strangers, scheme: str
):
    desk.emulate_media(color_scheme=scheme)
    found = []
    for path in PAGES:
        desk.goto(live_shop.url + path)
        report = Axe().run(desk, options={"resultTypes": ["violations"]})
        found += [
            f"{path}: {each['id']}: {each['nodes'][0]['html'][:120]}" for each in report.response["violations"]
        ]
    assert found == []
    assert strangers == []


def test_pages_fit_a_phone(phone: Page, live_shop: LiveShop):
    for path in PAGES:
        phone.goto(live_shop.url + path)
        assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_the_shopkeeper_signs_in_and_sees_the_desk(desk: Page, live_shop: LiveShop):
    email, password = live_shop.admin
    desk.goto(f"{live_shop.url}/admin/sign-in")
    desk.fill("[name=email]", email)
    desk.fill("[name=password]", password)
    desk.locator("main button, form button").first.click()
    desk.wait_for_url("**/admin/")
    desk.goto(f"{live_shop.url}/admin/orders")
    expect(desk.locator("h1")).to_be_visible()
    report = Axe().run(desk, options={"resultTypes": ["violations"]})
    assert [each["id"] for each in report.response["violations"]] == []
