"""What a search engine finds that follows every link: pages, their twins, words of their own, and little to load."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import brotli
import pytest
from flask import Flask

from shop.markets import MARKETS
from tests.client import Client, Page
from tests.factories import Catalogue

ROOT = Path(__file__).resolve().parent.parent
HERE = "http://localhost"
FIRST_VISIT, SECOND_VISIT = 100_000, 15_000  # bytes
ONE_FONT = 25_000
MARKED = "{http://www.w3.org/1999/xhtml}link"
PLACED = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture
def pages(client: Client, catalogue: Catalogue) -> dict[str, Page]:
    """Every page that links lead to from the entrance of each market, by its address without a query."""
    waiting, seen, found = [f"/{market}/" for market in MARKETS], set(), {}
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        with client.get(address) as answer:
            assert answer.status_code == 200, address
            if answer.mimetype != "text/html":
                continue
            found.setdefault(address.partition("?")[0], answer.page)
        for tag, attribute in (("a", "href"), ("link", "href"), ("img", "src"), ("source", "srcset")):
            for element in answer.page.root.iter(tag):
                there = urlsplit(urldefrag(urljoin(HERE + address, element.get(attribute) or "#"))[0])
                if there.netloc == "localhost" and there.scheme == "http" and there.path != "/":
                    waiting.append(there.path + (f"?{there.query}" if there.query else ""))
    return found


def twins(page: Page) -> dict[str, str]:
    return {
        each.get("hreflang", ""): each.get("href", "").removeprefix(HERE)
        for each in page.all("head/link[@rel='alternate'][@hreflang]")
    }


def meta(page: Page, name: str) -> str:
    found = [each for each in page.root.iter("meta") if name in (each.get("name"), each.get("property"))]
    assert len(found) == 1, name
    return found[0].get("content", "")


def is_hidden(page: Page) -> bool:
    return any(each.get("name") == "robots" for each in page.root.iter("meta"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_link_of_a_crawl_is_answered_and_every_page_has_words_of_its_own(pages: dict[str, Page]) -> None:
    assert len(pages) > 50
    titles, descriptions = defaultdict(list), defaultdict(list)
    for address, page in pages.items():
        if is_hidden(page):
            continue
        titles[address[:6], page.title].append(address)
        descriptions[address[:6], meta(page, "description")].append(address)
        assert 10 <= len(meta(page, "description")) <= 320, address
    for kept in (titles, descriptions):
        assert [addresses for addresses in kept.values() if len(addresses) > 1] == []
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    for market, words in [*titles, *descriptions]:
        assert not market.startswith("/ru") or cyrillic.search(words), words
    for market, words in descriptions:
        assert market.startswith("/ru") or not cyrillic.search(words), words


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_twins_name_each_other_and_the_site_map_names_them_too(pages: dict[str, Page], client: Client) -> None:
    tree = ElementTree.fromstring(client.get("/sitemap.xml").data)
    mapped = {
        url.findtext(f"{PLACED}loc", "").removeprefix(HERE): {
            each.get("hreflang", ""): each.get("href", "").removeprefix(HERE) for each in url.iter(MARKED)
        }
        for url in tree.iter(f"{PLACED}url")
    }
    for address, page in pages.items():
        if is_hidden(page):
            continue
        named = twins(page)
        assert set(named) == {"en-GB", "en-US", "ru-GB", "ru-US", "en", "ru", "x-default"}, address
        assert address in named.values(), address
        assert (named["en"], named["ru"], named["x-default"]) == (named["en-GB"], named["ru-GB"], "/")
        for there in set(named.values()) - {"/"}:
            assert twins(pages[there]) == named, f"{address} and {there}"
        assert page.all("head/link[@rel='canonical']")[0].get("href") == HERE + address
        assert meta(page, "og:url") == HERE + address
        assert meta(page, "og:title") == page.title
        assert meta(page, "og:description") == meta(page, "description")
        if address in mapped:
            assert mapped.pop(address) == named
    assert mapped == {}, "on the map, and no link leads there"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_first_visit_is_light_and_a_second_lighter(app: Flask, pages: dict[str, Page]) -> None:
    visitor = app.test_client()

    def size(address: str) -> int:
        with visitor.get(address, headers={"Accept-Encoding": "gzip, br"}) as answer:
            assert answer.status_code == 200, address
            return len(answer.get_data())

    heaviest = {}
    for address, page in pages.items():
        loaded = {each.get("href", "") for each in page.root.iter("link") if each.get("rel") in LOADED}
        loaded |= {each.get("src", "") for each in page.root.iter("img") if "/static/" in each.get("src", "")}
        style = next((each for each in loaded if each.endswith(".css")), address)
        with visitor.get(style, headers={"Accept-Encoding": "br"}) as answer:
            rules = brotli.decompress(answer.get_data()).decode()
        loaded |= {urljoin(style, font) for font in fonts_for(page.text, rules)}
        second = size(address)
        heaviest[address] = (second + sum(size(each) for each in loaded), second)
    assert max(first for first, _ in heaviest.values()) < FIRST_VISIT, heaviest
    assert max(second for _, second in heaviest.values()) < SECOND_VISIT, heaviest


LOADED = ("stylesheet", "icon", "preload")
FACE = re.compile(r"@font-face \{([^}]*)\}")


def fonts_for(text: str, rules: str) -> set[str]:
    """The font files that a browser would fetch for a text; italics and the switch's own are counted always."""
    wanted = set()
    for face in FACE.findall(rules):
        where = re.search(r'url\("([^"]+)"\)', face)
        ranges = re.findall(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?", face.partition("unicode-range")[2])
        if where and any(
            int(first, 16) <= ord(char) <= int(last or first, 16) for first, last in ranges for char in set(text)
        ):
            wanted.add(where[1])
    return wanted


def test_each_font_is_small_and_carries_its_licence() -> None:
    fonts = ROOT / "shop" / "static" / "fonts"
    files = list(fonts.glob("*.woff2"))
    assert len(files) >= 4
    assert [each.name for each in files if each.stat().st_size > ONE_FONT] == []
    assert "SIL OPEN FONT LICENSE" in (fonts / "OFL.txt").read_text()
    named = set(re.findall(r'url\("fonts/([^"]+)"\)', (ROOT / "shop" / "static" / "shop.css").read_text()))
    assert named == {each.name for each in files}
