"""What axe, the rules of WCAG as a program, finds on a page that a browser shows."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Which element it is, is told by its HTML: finding a selector for each takes a fifth of axe's time.
OPTIONS = {"resultTypes": ["violations"], "selectors": False}


def violations(page: Page) -> list[str]:
    """Each rule that is broken, with the first element that breaks it."""
    report = Axe().run(page, options=OPTIONS)
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in report.response["violations"]]
