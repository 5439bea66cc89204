"""Every page of the desk as people with and without good eyes meet it, in both languages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import select

from shop.database import transact
from shop.staff import Admin, people
from tests import factories
from tests.browser import full_desk
from tests.browser.axe import violations
from tests.browser.conftest import Strangers
from tests.conftest import opened, settings_for
from tests.factories import PASSWORD
from tests.live_shop import LiveShop

# Each language, each colours and each width once; EVERY_LOOK=1 looks at all eight together, in a quarter of an hour.
# Russian words are the longer ones: the narrow look is theirs.
LOOKS = [("ru", "light", 320), ("en", "dark", 1280)]
if os.environ.get("EVERY_LOOK"):
    LOOKS = list(product(("en", "ru"), ("light", "dark"), (320, 1280)))
looks = pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
FILES = (
    *("export_orders", "evidence", "order_papers", "parcel_papers", "statement_file", "upload_preview"),
    *("export_libraries", "library_file", "library_paper", "library_parcel_paper", "library_vendor_paper"),
)
OUTSIDE = ("sign_in", "invitation")
"""Pages before the sign-in, which have a test of their own."""
FOR_PACKERS = ("", "orders", "packing", "stock", "account")
NOT_FOR_PACKERS = ("people", "money", "orders.csv")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    running = LiveShop(tmp_path_factory.mktemp("desk"), UNDO_SECONDS="3600").start()
    try:
        full_desk.furnish(running)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    """A shop on its first day: nothing sold, nothing written, nobody at the desk but two owners."""
    running = LiveShop(tmp_path_factory.mktemp("empty")).start()
    try:
        with running.session() as session:
            for language, email in full_desk.PEOPLE.items():
                factories.make_admin(session, email, "Vera Keeper", language)
        yield running
    finally:
        running.stop()


def sign_in(page: Page, shop: LiveShop, email: str) -> None:
    page.goto(f"{shop.url}/admin/sign-in")
    page.fill("[name=email]", email)
    page.fill("[name=password]", PASSWORD)
    page.locator("main form button").first.click()
    page.wait_for_url("**/admin/")


def look(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})


def wrong(page: Page, where: str) -> list[str]:
    """What axe finds on a page, and whether anything sticks out of it."""
    found = [f"{where}: {each}" for each in violations(page)]
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        found.append(f"{where}: wider than the screen")
    return found


@looks
def test_nothing_at_the_desk_stands_in_the_way_of_a_screen_reader(
    desk: Page, full: LiveShop, strangers: Strangers, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, full, full_desk.PEOPLE[language])
    look(desk, scheme, width)
    found = []
    for path in full_desk.addresses(full):
        answer = desk.goto(f"{full.url}/admin/{path}")
        assert answer is not None
        assert answer.status in (200, 404, 422), (path, answer.status)
        assert desk.locator("html").get_attribute("lang") == language, path
        found += wrong(desk, path)
    assert found == []
    assert strangers == []


@looks
def test_a_desk_with_nothing_on_it_is_as_easy_to_read(
    desk: Page, empty: LiveShop, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, empty, full_desk.PEOPLE[language])
    look(desk, scheme, width)
    found = []
    for path in full_desk.PAGES:
        desk.goto(f"{empty.url}/admin/{path}")
        found += wrong(desk, path)
    assert found == []


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_way_about_takes_one_line_and_numbers_stand_under_each_other(
    desk: Page, full: LiveShop, language: str
) -> None:
    sign_in(desk, full, full_desk.PEOPLE[language])
    look(desk, "light", 1280)
    desk.goto(f"{full.url}/admin/orders")
    places = "all => [...new Set(all.map(each => Math.round(each.getBoundingClientRect()[%s])))].length"
    assert desk.locator(".top nav li").evaluate_all(places % "'top'") == 1
    assert desk.locator(".tick-box").count() not in (0, desk.locator("tbody tr").count())
    assert desk.locator("tbody th a").evaluate_all(places % "'left'") == 1


@looks
def test_an_edit_that_crosses_another_is_told_so_readably(
    desk: Page, full: LiveShop, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, full, full_desk.PEOPLE[language])
    look(desk, scheme, width)
    page = f"{full.url}/admin/editions/paperback"
    desk.goto(page)
    place = desk.locator("[name=place]")
    before = place.input_value()
    other = desk.context.new_page()
    other.goto(page)
    other.fill("[name=place]", f"{before} and {language} {scheme} {width}")
    other.locator("button.main").click()
    place.fill("Elsewhere")
    desk.locator("button.main").click()
    assert desk.locator("#meanwhile").count() == 1
    found = wrong(desk, "an edit that crosses another")
    other.goto(page)
    other.fill("[name=place]", before)
    other.locator("button.main").click()
    assert found == []


@looks
def test_forms_with_mistakes_and_previews_are_no_harder_to_read(
    desk: Page, full: LiveShop, language: str, scheme: str, width: int
) -> None:
    sign_in(desk, full, full_desk.PEOPLE[language])
    look(desk, scheme, width)
    found = []
    for path, fields, button in full_desk.mistakes(full):
        desk.goto(f"{full.url}/admin/{path}")
        desk.locator("main details").evaluate_all("all => all.forEach(each => each.open = true)")
        desk.evaluate("document.querySelectorAll('[required]').forEach(each => each.required = false)")
        clicked = desk.locator(button).first
        within = clicked.locator("xpath=ancestor::form")
        for name, value in fields.items():
            within.locator(f"[name='{name}']").fill(value)
        clicked.click()
        desk.wait_for_load_state()
        found += wrong(desk, f"{path} {fields}")
    assert found == []


@looks
def test_setting_up_a_second_factor_hinders_nobody(
    desk: Page, full: LiveShop, language: str, scheme: str, width: int
) -> None:
    email = full_desk.PACKERS[language]
    sign_in(desk, full, email)
    look(desk, scheme, width)
    desk.goto(f"{full.url}/admin/account/second-factor")
    desk.locator("form[action$='/offer'] button").click()
    found = wrong(desk, "the picture")
    desk.fill("[name=code]", "000000")
    desk.locator("main button.main").click()
    found += wrong(desk, "a wrong code")
    secret = pyotp.TOTP("".join(desk.locator("main p > code").inner_text().split()))
    desk.fill("[name=code]", secret.now())
    desk.locator("main button.main").click()
    assert desk.locator(".codes code").count() == 10
    found += wrong(desk, "recovery codes")
    for path in ("account/second-factor", "account", "confirm"):
        desk.goto(f"{full.url}/admin/{path}")
        found += wrong(desk, path)
    desk.goto(f"{full.url}/admin/account/second-factor")
    desk.locator("form[action$='/remove'] button").click()  # the next look begins as this one did
    assert found == []


@looks
def test_whoever_is_outside_or_may_not_do_everything_is_told_so_readably(
    desk: Page, full: LiveShop, language: str, scheme: str, width: int
) -> None:
    look(desk, scheme, width)
    desk.goto(f"{full.url}/admin/sign-in?language={language}")
    found = wrong(desk, "sign-in")
    desk.fill("[name=email]", "nobody@longlane.example")
    desk.fill("[name=password]", "a guess")
    desk.locator("main form button").click()
    found += wrong(desk, "a guess")
    with full.session() as session:
        invited = select(Admin).where(Admin.email == full_desk.INVITED)
        token = transact(session, lambda s: people.offer_link(s.scalars(invited).one(), datetime.now(UTC)))
    desk.goto(f"{full.url}/admin/invitation/{token}?language={language}")
    assert desk.locator("html").get_attribute("lang") == language
    found += wrong(desk, "invitation")
    desk.locator("main form input[type=password]").first.fill("short")
    desk.locator("main form button").click()
    found += wrong(desk, "a short password")
    desk.goto(f"{full.url}/admin/invitation/{token[1:]}?language={language}")
    found += wrong(desk, "no invitation")
    sign_in(desk, full, full_desk.PACKERS[language])
    for path in (*FOR_PACKERS, *NOT_FOR_PACKERS):
        answer = desk.goto(f"{full.url}/admin/{path}")
        assert answer is not None
        assert answer.status == (200 if path in FOR_PACKERS else 403), (path, answer.status)
        found += wrong(desk, f"{path} for a packer")
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
