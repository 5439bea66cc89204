"""A library's order walks every state, in both languages: asked for on a phone, served at the desk, or routed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from shop.libraries.models import LibraryOrder, LibraryState, Stage
from shop.libraries.paper_models import Paper
from tests.browser.axe import violations
from tests.browser.conftest import Strangers
from tests.browser.test_buying import fill_in, fits
from tests.live_shop import LiveShop

DISTRIBUTOR = "sales@indexbooks.co.uk"
ASKED = {
    "institution": "Library of Somewhere",
    "contact_name": "Olga O’Neil",
    "delivery_address": "Loading Bay 2\nSomewhere SO1 2ME",
    "invoice_address": "Finance Office\nSomewhere",
    "quantity": "2",
    "country": "GB",
}


def ask(phone: Page, shop: LiveShop, market: str, email: str, file: Path | None = None, **changes: str) -> str:
    """Fill in the form of a market; returns the address of the library's own page."""
    phone.goto(f"{shop.url}/{market}/libraries")
    assert fits(phone)
    fill_in(phone, **{**ASKED, "email": email, **changes})
    if file is not None:
        phone.set_input_files("#purchase_order_file", file)
    phone.locator("[name=consent]").check()
    phone.locator("main form button[type=submit]").click()
    assert re.search(rf"/{market}/libraries/[\w-]{{43}}$", phone.url), phone.locator("main").inner_text()
    assert fits(phone)
    return phone.url


def order_of(shop: LiveShop, page_url: str) -> LibraryOrder:
    with shop.session() as session:
        token = page_url.rpartition("/")[2]
        return session.scalars(select(LibraryOrder).where(LibraryOrder.token == token)).one()


def sign_in(desk: Page, shop: LiveShop, language: str) -> None:
    email, password = shop.admin
    desk.goto(f"{shop.url}/admin/sign-in?language={language}")
    fill_in(desk, email=email, password=password)
    desk.locator("main button").first.click()
    desk.wait_for_url("**/admin/")
    button = desk.locator(f"button[name=language][value={language}]")
    if button.count():
        button.click()


def note_transfer(desk: Page) -> None:
    desk.locator("form[action$='/paid']").locator("xpath=..").locator("summary").click()
    fill_in(desk, **{"paid-day": "2026-12-01", "paid-note": "FT 1"})
    desk.locator("form[action$='/paid'] button").click()


def pay_by_link(phone: Page, desk: Page, own: str, email: str) -> None:
    """From the library's own page to the invoice, to the payment page and back; ``desk`` reads it by axe."""
    phone.goto(own)
    phone.locator("main a[href*='/invoices/INV-']").click()
    assert fits(phone)
    invoice = phone.url
    desk.goto(invoice)
    assert violations(desk) == []
    phone.locator("main form button").click()
    assert phone.locator("[name=line1]").count() == 0  # it is no parcel that is paid for
    fill_in(phone, email=email, name="Olga O’Neil", card_number="4242 4242 4242 4242")
    phone.locator("button[value=pay]").click()
    phone.wait_for_url(lambda url: url.startswith(invoice))
    assert phone.locator("main form").count() == 0
    assert fits(phone)
    desk.goto(invoice)
    assert violations(desk) == []


@pytest.mark.parametrize(
    ("market", "by_link"), [("en-gb", False), ("ru-us", True), ("en-us", True)], ids=["en-gb", "ru-us", "en-us"]
)
def test_the_shops_own_order_goes_from_the_form_to_the_credit_note(
    phone: Page, desk: Page, live_shop: LiveShop, strangers: Strangers, tmp_path: Path, market: str, by_link: bool
):
    email, file = f"own-{market}-{live_shop.port}@uni.example", tmp_path / "PO 7.pdf"
    file.write_bytes(b"%PDF-1.7\n%%EOF\n")
    own = ask(phone, live_shop, market, email, file, edition="paperback", request="order", purchase_order="PO 7")
    order = order_of(live_shop, own)
    assert order.state is LibraryState.RECEIVED
    sign_in(desk, live_shop, market[:2])
    place = f"{live_shop.url}/admin/libraries/{order.ticket}"
    desk.goto(place)
    assert violations(desk) == []
    desk.locator(f"a[href$='{order.ticket}/desk']").click()
    assert violations(desk) == []

    desk.locator("form[action$='papers/quote'] button").first.click()
    expect(desk.locator("h3", has_text="Q-")).to_be_visible()
    desk.locator("form[action$='/accept'] button").click()
    fill_in(desk, **{"invoice-postage": "3.50"})
    desk.locator("form[action$='papers/invoice'] button").click()
    expect(desk.locator("h3", has_text="INV-")).to_be_visible()
    assert violations(desk) == []
    fill_in(desk, **{"post-carrier": "Royal Mail", "post-tracking": "RM123"})
    desk.locator("form[action$='/post'] button").click()
    if by_link:
        pay_by_link(phone, desk, own, email)
        desk.goto(f"{place}/desk")
        assert violations(desk) == []
    else:
        note_transfer(desk)
    desk.locator("form[action$='/credit']").locator("xpath=..").locator("summary").click()
    fill_in(desk, **{"credit-copies": "1", "credit-back": "1"})
    desk.locator("form[action$='/credit'] button").click()
    expect(desk.locator("h3", has_text="CN-")).to_be_visible()
    desk.goto(place)
    desk.locator("button[formaction$='/closed']").click()
    order = order_of(live_shop, own)
    assert (order.state, order.stage, order.posted, order.held) == (LibraryState.CLOSED, Stage.INVOICED, 2, 0)

    phone.goto(own)
    assert fits(phone)
    assert phone.locator("main a[href$='.pdf']").count() == 3
    assert "RM123" in phone.locator("main").inner_text()
    wanted = 6 if by_link else 5  # acknowledged, quotation, invoice, posted, credit note; and paid by the link
    letters = live_shop.letters(email, count=wanted)
    assert len(letters) == wanted
    assert {str(letter["language"])[:2] for letter in letters} == {market[:2]}
    with live_shop.session() as session:
        serials = list(session.execute(select(Paper.kind, Paper.serial).order_by(Paper.kind, Paper.serial)))
        for kind in {row.kind for row in serials}:
            found = [row.serial for row in serials if row.kind == kind]
            assert found == list(range(1, len(found) + 1))
    assert strangers == []


@pytest.mark.parametrize("market", ["en-us", "ru-gb"])
def test_a_routed_order_is_answered_by_the_distributor_under_his_link(
    phone: Page, desk: Page, live_shop: LiveShop, strangers: Strangers, market: str
):
    email = f"routed-{market}-{live_shop.port}@uni.example"
    before = len(live_shop.letters(DISTRIBUTOR, count=0))
    own = ask(phone, live_shop, market, email, edition="russian", request="order", purchase_order=f"PO {market}")
    order = order_of(live_shop, own)
    mail = live_shop.letters(DISTRIBUTOR, count=before + 1)
    assert order.ticket in str(mail[0]["subject"])
    phone.goto(f"{live_shop.sandbox.url}/mailbox/{mail[0]['id']}")
    link = re.search(r"http://\S+/distributor/[\w-]{43}", phone.locator("pre.letter").inner_text())
    assert link is not None
    for _ in range(2):
        phone.goto(link[0])
        assert fits(phone)
    assert order_of(live_shop, own).seen_at is None
    fill_in(phone, line="in stock")
    phone.locator("button[name=answer][value=seen]").click()
    assert order_of(live_shop, own).seen_at is not None
    phone.locator("button[name=answer][value=supplied]").click()
    assert order_of(live_shop, own).state is LibraryState.SUPPLIED

    sign_in(desk, live_shop, market[:2])
    desk.goto(link[0])
    assert violations(desk) == []
    desk.goto(f"{live_shop.url}/admin/libraries/{order.ticket}")
    expect(desk.get_by_text("in stock")).to_be_visible()
    desk.locator("button[formaction$='/closed']").click()
    answer = phone.goto(link[0])
    assert answer is not None
    assert answer.status == 410
    assert fits(phone)
    assert strangers == []


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_what_the_distributor_cannot_supply_comes_back_to_the_desk_and_is_answered(
    phone: Page, desk: Page, live_shop: LiveShop, strangers: Strangers, market: str
):
    email = f"refused-{market}-{live_shop.port}@uni.example"
    before = len(live_shop.letters(DISTRIBUTOR, count=0))
    own = ask(
        phone, live_shop, market, email, edition="russian", request="order", purchase_order=f"PO no {market}"
    )
    order = order_of(live_shop, own)
    mail = live_shop.letters(DISTRIBUTOR, count=before + 1)
    assert order_of(live_shop, own).state is LibraryState.SENT
    phone.goto(f"{live_shop.sandbox.url}/mailbox/{mail[0]['id']}")
    link = re.search(r"http://\S+/distributor/[\w-]{43}", phone.locator("pre.letter").inner_text())
    assert link is not None
    phone.goto(link[0])
    fill_in(phone, line="out of print here")
    phone.locator("button[name=answer][value=cannot_supply]").click()
    assert order_of(live_shop, own).state is LibraryState.CANNOT_SUPPLY

    sign_in(desk, live_shop, market[:2])
    desk.goto(f"{live_shop.url}/admin/libraries/{order.ticket}")
    expect(desk.get_by_text("out of print here")).to_be_visible()
    assert violations(desk) == []
    desk.locator("button[formaction$='/answered']").click()
    assert order_of(live_shop, own).state is LibraryState.ANSWERED
    desk.locator("button[formaction$='/closed']").click()
    assert order_of(live_shop, own).state is LibraryState.CLOSED
    phone.goto(own)
    assert fits(phone)
    assert strangers == []
