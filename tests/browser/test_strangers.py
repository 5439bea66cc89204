"""No browser test reaches anything but this machine, and each that tries is told."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.conftest import Strangers


def test_what_lies_outside_this_machine_is_named_and_not_loaded(desk: Page, strangers: Strangers) -> None:
    outside = ["http://192.0.2.1/cover.png", "https://shop.example/cover.png"]
    refused: dict[str, str | None] = {}
    desk.on("requestfailed", lambda request: refused.update({request.url: request.failure}))
    desk.set_content("".join(f"<img alt='' src='{each}'>" for each in outside))
    assert sorted(strangers) == outside
    assert refused == dict.fromkeys(outside, "net::ERR_NAME_NOT_RESOLVED")
