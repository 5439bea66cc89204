"""Pages as people with and without good eyes meet them."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import Strangers
from tests.live_shop import LiveShop

# What a page looks like does not depend on the database.
pytestmark = pytest.mark.parametrize("_live_shop", ["sqlite"], indirect=True, scope="session")

PAGES = (
    *(
        f"/{market}/{path}"
        for market in ("en-gb", "ru-us")
        for path in (
            *(
                "",
                "books/paperback",
                "books/russian",
                "author",
                "reviews",
                "articles",
                "downloads",
                "photos",
                "news",
            ),
            *(
                "how-to-order",
                "delivery",
                "returns",
                "withdraw",
                "terms",
                "privacy",
                "contact",
                "orders",
                "libraries",
                "recommend",
            ),
            *("order?paperback=1&russian=1&country=GB", "order?paperback=99&country=GB", "nowhere"),
        )
    ),
    "/admin/sign-in",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1280)])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    desk: Page, live_shop: LiveShop, strangers: Strangers, scheme: Literal["light", "dark"], width: int
):
    desk.emulate_media(color_scheme=scheme)
    desk.set_viewport_size({"width": width, "height": 800})
    found = []
    for path in PAGES:
        desk.goto(live_shop.url + path)
        found += [f"{path}: {each}" for each in violations(desk)]
    assert found == []
    assert strangers == []


SET = {
    **dict.fromkeys(("/en-gb/", "/ru-us/", "/en-us/books/russian", "/ru-gb/books/paperback"), 3),  # with a byline
    **dict.fromkeys(("/en-gb/order", "/ru-gb/libraries"), 2),
    "/en-gb/recommend": 4,  # a whole letter in Russian
}


def test_all_words_and_figures_are_set_in_literata_from_one_file_a_style(browser: Browser, live_shop: LiveShop):
    for path, files in SET.items():
        context = browser.new_context()  # a first visit: what is in a browser's memory counts as loaded
        page = context.new_page()
        page.goto(live_shop.url + path)
        page.evaluate("document.fonts.ready")
        loaded = "[...document.fonts].filter(each => each.status == 'loaded' && each.family.includes('Literata'))"
        assert page.evaluate(f"{loaded}.length") == files, path
        inspector = context.new_cdp_session(page)
        inspector.send("DOM.enable")
        inspector.send("CSS.enable")
        root = inspector.send("DOM.getDocument")["root"]["nodeId"]
        nodes = inspector.send(
            "DOM.querySelectorAll", {"nodeId": root, "selector": "h1, h2, p, a, dt, dd, label, data"}
        )
        used = {
            (font["familyName"].split()[0], font["isCustomFont"])
            for node in nodes["nodeIds"]
            for font in inspector.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        }
        assert used == {("Literata", True)}, path
        context.close()


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
    assert violations(desk) == []
