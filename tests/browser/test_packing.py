"""Ten paid orders become posted by the keyboard alone: in two clicks each, and in four together."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Order
from tests.live_shop import LiveShop
from tests.test_races import buy, order_of, order_page

# What keys do does not depend on the database.
pytestmark = pytest.mark.parametrize("_live_shop", ["sqlite"], indirect=True, scope="session")
TEN = 10
MOST_STOPS = 600  # of the Tab key, on a table of fifty parcels


class Keys:
    """A person without a mouse. ``clicks`` counts what was set off: links, buttons and boxes, by Enter or Space."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def type(self, field: str, text: str) -> None:
        self._go_to(field)
        self.page.keyboard.type(text)

    def click(self, target: str) -> None:
        self._go_to(target)
        is_box = self.page.evaluate("document.activeElement.type === 'checkbox'")
        if is_box:
            self.page.keyboard.press("Space")
        else:
            with self.page.expect_navigation():
                self.page.keyboard.press("Enter")
        self.clicks += 1

    def _go_to(self, target: str) -> None:
        for _ in range(MOST_STOPS):
            if self.page.evaluate("target => document.activeElement.matches(target)", target):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not reach {target}")


def at_the_desk(page: Page, shop: LiveShop) -> Keys:
    """Signed in, on today's page."""
    email, password = shop.admin
    page.goto(f"{shop.url}/admin/sign-in")
    keys = Keys(page)
    keys.type("[name=email]", email)
    keys.type("[name=password]", password)
    keys.click("main form button, form button")
    page.wait_for_url("**/admin/")
    keys.clicks = 0
    return keys


def paid_orders(shop: LiveShop) -> list[str]:
    """The numbers of ten orders that were just paid."""
    numbers = []
    for _ in range(TEN):
        url = buy(shop)
        shop.sandbox.pay(url)
        shop.get(order_page(shop, url))
        with shop.session() as session:
            numbers.append(order_of(session, url).number)
    return numbers


def posted(shop: LiveShop, numbers: Iterable[str]) -> list[str]:
    with shop.session() as session:
        wanted = select(Order.number).where(Order.number.in_(list(numbers)))
        return list(session.scalars(wanted.where(Order.fulfilment_state == FulfilmentState.POSTED)))


def test_each_of_ten_paid_orders_is_posted_in_two_clicks(desk: Page, live_shop: LiveShop) -> None:
    numbers = paid_orders(live_shop)
    keys = at_the_desk(desk, live_shop)
    desk.goto(f"{live_shop.url}/admin/packing")
    for number in numbers:
        before = keys.clicks
        keys.click(f"[type=checkbox][value='{number}']")
        keys.click("button[value=post]")
        expect(desk.locator("[role=status]")).to_be_visible()
        assert keys.clicks - before == 2
    assert sorted(posted(live_shop, numbers)) == sorted(numbers)


def test_ten_paid_orders_are_posted_together_in_four_clicks_at_most(desk: Page, live_shop: LiveShop) -> None:
    numbers = paid_orders(live_shop)
    keys = at_the_desk(desk, live_shop)
    keys.click("a[href$='/admin/packing']")
    keys.click("a[href$='ticked=all']")
    keys.click("button[value=post]")
    assert keys.clicks <= 4
    deadline = time.monotonic() + 10
    while len(posted(live_shop, numbers)) < TEN and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(posted(live_shop, numbers)) == sorted(numbers)
