"""Chromium for the browser tests. Nothing outside this machine is ever loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever is not on this machine is not found, addresses as numbers included. Routing each request through the
    # suite would say the same, but would have every page fetch stylesheet and fonts anew.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
PHONE = {"width": 360, "height": 740}
NEAR = ("127.0.0.1", "localhost")
MISSING = "There is no Chromium: apt-get install --no-install-recommends chromium libatomic1"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, for as long as browser tests run: its driver keeps an event loop going, which others cannot bear."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)  # a developer without a browser may run the rest; under CI it is a failure
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class Strangers(list[str]):
    """Addresses outside this machine that a page asked for; none of them was loaded."""

    def guard(self, context: BrowserContext) -> None:
        def look(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("data", "blob") and parts.hostname not in NEAR:
                self.append(request.url)

        context.on("request", look)


@pytest.fixture
def strangers() -> Strangers:
    return Strangers()


@pytest.fixture
def phone(browser: Browser, strangers: Strangers) -> Iterator[Page]:
    """A page on a phone's width with JavaScript off."""
    context = browser.new_context(java_script_enabled=False, viewport=PHONE, reduced_motion="reduce")
    strangers.guard(context)
    yield context.new_page()
    context.close()


@pytest.fixture
def desk(browser: Browser, strangers: Strangers) -> Iterator[Page]:
    """A page on a desk's width, with JavaScript."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    strangers.guard(context)
    yield context.new_page()
    context.close()
