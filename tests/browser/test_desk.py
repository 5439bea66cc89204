"""Every page of the desk as people with and without good eyes meet it, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page

from tests.browser import full_desk
from tests.browser.axe import violations
from tests.browser.conftest import Strangers
from tests.conftest import opened, settings_for
from tests.factories import PASSWORD
from tests.live_shop import LiveShop

# Each language, each colours and each width once.
LOOKS = [("en", "dark", 320), ("ru", "light", 1280)]
FILES = (
    *("export_orders", "evidence", "order_papers", "parcel_papers", "statement_file", "upload_preview"),
    *("export_libraries", "library_file", "library_paper", "library_parcel_paper", "library_vendor_paper"),
)
OUTSIDE = ("sign_in", "invitation")
"""Pages before the sign-in, which have a test of their own."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    running = LiveShop(tmp_path_factory.mktemp("desk"), UNDO_SECONDS="3600").start()
    try:
        full_desk.furnish(running)
        yield running
    finally:
        running.stop()


def sign_in(page: Page, shop: LiveShop, language: str) -> None:
    page.goto(f"{shop.url}/admin/sign-in")
    page.fill("[name=email]", full_desk.PEOPLE[language])
    page.fill("[name=password]", PASSWORD)
    page.locator("main form button").first.click()
    page.wait_for_url("**/admin/")


def wrong(page: Page, where: str) -> list[str]:
    """What axe finds on a page, and whether anything sticks out of it."""
    found = [f"{where}: {each}" for each in violations(page)]
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        found.append(f"{where}: wider than the screen")
    return found


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_nothing_at_the_desk_stands_in_the_way_of_a_screen_reader(
    desk: Page, full: LiveShop, strangers: Strangers, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, full, language)
    desk.emulate_media(color_scheme=scheme)
    desk.set_viewport_size({"width": width, "height": 800})
    found = []
    for path in full_desk.addresses(full):
        answer = desk.goto(f"{full.url}/admin/{path}")
        assert answer is not None
        assert answer.status in (200, 404), (path, answer.status)
        assert desk.locator("html").get_attribute("lang") == language, path
        found += wrong(desk, path)
    assert found == []
    assert strangers == []


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_forms_with_mistakes_and_previews_are_no_harder_to_read(
    desk: Page, full: LiveShop, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, full, language)
    desk.emulate_media(color_scheme=scheme)
    desk.set_viewport_size({"width": width, "height": 800})
    found = []
    for path, fields, button in (
        ("setup/trader", {"name": "", "email": "nonsense"}, "main form button"),
        ("setup/prices", {"paperback-GBP": "x"}, "main form button"),
        ("editions/paperback", {"isbn": "123", "title": ""}, "button.main"),
        ("editions/paperback", {"description-en": "# Words\n\n* one\n* two"}, "button[name=preview]"),
        ("content/news/new", {"slug": "Not Good"}, "button.main"),
        ("content/pages/returns", {"body-ru": "## Words"}, "button[name=preview]"),
        ("editions/paperback/cover", {"alt-ru": ""}, "button.main"),
        ("people", {"name": "", "email": "x"}, "main form:has([name=email]) button"),
        ("stock", {"counted": "x"}, "main form:has([name=counted]) button"),
        ("account/second-factor", {}, "main form button"),
    ):
        desk.goto(f"{full.url}/admin/{path}")
        for name, value in fields.items():
            desk.locator(f"main [name='{name}']").first.fill(value)
        desk.locator(button).first.click()
        desk.wait_for_load_state()
        found += wrong(desk, f"{path} {fields}")
    assert found == []


def test_no_page_of_the_desk_is_left_out(full: LiveShop, tmp_path: Path) -> None:
    with opened(settings_for(full.database_url, tmp_path)) as app:
        visited = {endpoint_of(app, path) for path in full_desk.addresses(full)}
        there = {
            rule.endpoint.removeprefix("admin.")
            for rule in app.url_map.iter_rules()
            if rule.endpoint.startswith("admin.") and "GET" in (rule.methods or ())
        }
    assert there - visited - {*FILES, *OUTSIDE} == set()


def endpoint_of(app: Flask, path: str) -> str:
    endpoint, _arguments = app.url_map.bind("localhost").match(f"/admin/{path.partition('?')[0]}")
    return endpoint.removeprefix("admin.")
