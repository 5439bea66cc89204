"""What a search engine finds that follows every link: pages, their twins, words of their own, and little to load."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import brotli
import pytest
from flask import Flask
from fontTools.ttLib import TTFont

from shop.markets import LANGUAGES, MARKETS
from tests.client import Client, Page
from tests.factories import Catalogue

ROOT = Path(__file__).resolve().parent.parent
CSS = (ROOT / "shop" / "static" / "shop.css").read_text(encoding="utf-8")
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
        loaded |= {urljoin(style, font) for font in fonts_for(page.text, rules, address[1:3])}
        second = size(address)
        heaviest[address] = (second + sum(size(each) for each in loaded), second)
    assert max(first for first, _ in heaviest.values()) < FIRST_VISIT, heaviest
    assert max(second for _, second in heaviest.values()) < SECOND_VISIT, heaviest


LOADED = ("stylesheet", "preload")
FACE = re.compile(r"@font-face \{([^}]*)\}")


FAMILY = {"en": "Literata", "ru": "Literata Russian"}


def faces(rules: str, family: str, style: str) -> Iterator[tuple[str, set[int]]]:
    """The files of a family in one style with the characters that are taken from them, the first choice first."""
    for face in reversed(FACE.findall(rules)):
        where = re.search(r'url\("([^"]+)"\)', face)
        if where and f'"{family}"; {style};' in face:
            spans = re.findall(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?", face.partition("unicode-range")[2])
            yield (
                where[1],
                {code for first, last in spans for code in range(int(first, 16), int(last or first, 16) + 1)},
            )


def fonts_for(text: str, rules: str, language: str) -> set[str]:
    """The font files that a browser would fetch for a text, as if all of it were upright; bold and italic of the page's
    language are counted always."""
    wanted = {
        url for url in re.findall(r'url\("([^"]+)"\)', rules) if re.search(rf"-{language}(-bold|-italic)?\.", url)
    }
    left = set(map(ord, text))
    for url, codes in faces(rules, FAMILY[language], "font-weight: 400"):
        if left & codes:
            wanted.add(url)
        left -= codes
    return wanted


def test_each_font_is_small_and_carries_its_licence() -> None:
    fonts = ROOT / "shop" / "static" / "fonts"
    files = list(fonts.glob("*.woff2"))
    assert len(files) >= 4
    assert [each.name for each in files if each.stat().st_size > ONE_FONT] == []
    assert "SIL OPEN FONT LICENSE" in (fonts / "OFL.txt").read_text()
    named = set(re.findall(r'url\("fonts/([^"]+)"\)', CSS))
    assert named == {each.name for each in files}


STYLES = ("font-weight: 400", "font-weight: 700", "font-style: italic; font-weight: 400")
TITLES = {"en": "The Russian Revolution in Retreat", "ru": "Русская революция в отступлении"}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("family", FAMILY.values())
def test_a_rule_promises_what_its_file_has(family: str, style: str) -> None:
    named = dict(faces(CSS, family, style))
    assert len(named) >= 2
    for url, codes in named.items():
        with TTFont(ROOT / "shop" / "static" / url, lazy=True) as font:
            assert codes == set(font.getBestCmap()), url


def test_all_rules_of_a_family_and_style_have_the_same_weight() -> None:
    """A browser takes the rules whose weight fits best and does not look for characters in the others."""
    for family in FAMILY.values():
        rules = [each for each in FACE.findall(CSS) if f'font-family: "{family}"' in each]
        assert sum(len(list(faces(CSS, family, style))) for style in STYLES) == len(rules) > 0


@pytest.mark.parametrize("language", FAMILY)
@pytest.mark.parametrize("style", STYLES[:2])
def test_titles_and_the_names_of_languages_need_no_further_file(language: str, style: str) -> None:
    said = set(map(ord, "".join(TITLES.values())))
    if style == STYLES[0]:
        said |= set(map(ord, "".join(LANGUAGES.values())))
    url, codes = next(faces(CSS, FAMILY[language], style))
    assert f"literata-{language}" in url
    assert said <= codes
