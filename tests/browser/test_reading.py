"""Pages as people with and without good eyes meet them."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

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


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_all_that_is_read_is_drawn_in_literata(desk: Page, live_shop: LiveShop, market: str):
    for path in ("", "books/russian", "delivery", "order?paperback=1&country=GB"):
        desk.goto(f"{live_shop.url}/{market}/{path}")
        desk.evaluate("document.fonts.ready.then(() => null)")
        assert drawn_in(desk) == {"Literata"}, path


def drawn_in(page: Page) -> set[str]:
    """The fonts that the browser has really taken for what stands on a page."""
    session = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    # Hidden words may be in any, and a field's own parts belong to the browser.
    read = "h1, h2, h3, p, li, dt, dd, td, th, label, legend, .button, .wordmark span"
    nodes = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": read})["nodeIds"]
    told = (session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"] for node in nodes)
    return {font["familyName"] for fonts in told for font in fonts}


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
