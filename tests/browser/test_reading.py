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


# Words of titles, prices and buttons that do not stand on one line; where a line may end within them is no break.
BROKEN = """() => {
  const broken = [], range = document.createRange();
  for (const element of document.querySelectorAll("h1, h2, .price, .button")) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let text; (text = walker.nextNode()); ) {
      for (const word of text.data.matchAll(/[^\\s\\u00a0–-]+/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(each => Math.round(each.top)));
        if (lines.size > 1 && !text.parentElement.closest(".unseen")) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


def test_no_word_of_a_title_is_broken_on_any_screen(desk: Page, live_shop: LiveShop):
    for path in ("/ru-gb/", "/en-us/", "/ru-us/books/russian", "/ru-gb/books/paperback", "/ru-us/withdraw"):
        desk.goto(live_shop.url + path)
        desk.evaluate("document.fonts.ready")
        for width in (320, 390, 768, 1024, 1280, 1920):
            desk.set_viewport_size({"width": width, "height": 800})
            assert desk.evaluate(BROKEN) == [], (path, width)


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_the_first_screen_of_a_phone_says_what_a_copy_costs_and_sells_it(
    desk: Page, live_shop: LiveShop, market: str
):
    desk.set_viewport_size({"width": 390, "height": 844})
    for path in ("", "books/paperback", "books/russian"):
        desk.goto(f"{live_shop.url}/{market}/{path}")
        desk.evaluate("document.fonts.ready")
        for what in (".price >> nth=-1", ".button >> nth=0"):
            place = desk.locator(what).bounding_box() or {"y": 0, "height": 0}
            assert 0 < place["y"] + place["height"] <= 844, (path, what)


def test_a_photograph_has_its_place_before_it_has_come(desk: Page, live_shop: LiveShop):
    desk.goto(f"{live_shop.url}/en-gb/photos")
    for wide, high, least in ((1600, 1000, 400), (900, 1300, 600)):
        height = desk.evaluate(
            """([wide, high]) => {
              document.querySelector("article").insertAdjacentHTML("beforeend", `<div class="photos">
                <figure class="photo"><img width="${wide}" height="${high}" alt="" loading="lazy"></figure></div>`);
              return document.querySelector("article .photos:last-child img").getBoundingClientRect().height;
            }""",
            [wide, high],
        )
        assert height > least, (wide, high)


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
