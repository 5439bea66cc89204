"""Words and typography: each language by itself where other tests do not look, and written as a printer would."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from flask import Flask
from sqlalchemy.orm import Session

from shop.content.interchange import SHIPPED, read
from shop.content.rendering import fill
from shop.markets import MARKETS
from shop.settings import ROOT
from shop.storefront import errors
from shop.storefront.wording import STATES
from tests.client import Client
from tests.factories import Catalogue
from tests.test_libraries import FILLED
from tests.test_pages import CYRILLIC, LATIN, strangers

SAME = {"Sec-Fetch-Site": "same-origin"}
NAMES = {"MARC", "SAN", "GLN", "BEN", "Index", "Books", "LB", "GBP", "PDF", "PNG", "JPEG"}
"""What has the same name in both languages: formats, numbers of the trade, the distributor."""

EVERYWHERE = {
    "a straight quotation mark or apostrophe": r"[\"']",
    "three dots for an ellipsis": r"\.\.\.",
    "a hyphen for a dash": r"(?<=\S)[ \u00a0]-\s",
    "spaces in a row": r" {2,}",
}
RUSSIAN = EVERYWHERE | {
    "quotation marks of another language": r"[“”„‘]",
    "a dash that may begin a line": r"[^\u00a0\n]—|\u00a0—(?=\S)",
    "a word of one letter that may end a line": r"(?<![\w-])[авикосуя] (?=\S)",
    "a unit that may leave its number": r"\d (?:г|кг|мм|см|£|\$|год|дн|рабоч)",
    "a number sign that may leave its number": r"№ ?\d",
}
ENGLISH = EVERYWHERE | {
    "quotation marks of another language": r"[«»„]",
    "a long dash": r"—",
}


def faults(text: str, language: str) -> list[str]:
    """What a printer would not set like this; tags, addresses and phrases in other languages left out."""
    text = re.sub(r"<span lang=\"\w+\">.*?</span>", "…", text)
    text = re.sub(r"<[^>]*>|\]\([^)]*\)", "", text)
    rules = RUSSIAN if language == "ru" else ENGLISH
    found = ((name, re.search(rule, text, re.IGNORECASE)) for name, rule in rules.items())
    return [f"{name}: {text[max(0, at.start() - 30) : at.end() + 30]}" for name, at in found if at]


def translated() -> Iterator[tuple[str, str]]:
    """(language, text) of every text of the project, as it is compiled."""
    with (ROOT / "translations" / "ru" / "LC_MESSAGES" / "messages.mo").open("rb") as compiled:
        for message in read_mo(compiled):
            if message.id:
                yield from (("en", text) for text in _forms(message.id))
                yield from (("ru", text) for text in _forms(message.string))


def shipped() -> Iterator[tuple[str, str]]:
    """(language, text) of every page and description that the shop comes with."""
    for path in SHIPPED.glob("*.md"):
        draft = read(path)
        yield from ((draft.language, text) for text in (draft.title, draft.summary, draft.body))
    catalogue = tomllib.loads((ROOT / "shop" / "data" / "catalogue.toml").read_text(encoding="utf-8"))
    for edition in catalogue["editions"].values():
        for language, texts in edition["texts"].items():
            yield from ((language, text) for text in texts.values())
    for zone in catalogue["zones"].values():
        yield from zone["names"].items()


def _forms(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(map(str, text)) if isinstance(text, tuple | list) else ()


def test_every_text_is_set_as_its_language_is_printed() -> None:
    assert [fault for language, text in translated() for fault in faults(text, language)] == []


def test_pages_and_descriptions_are_set_as_their_language_is_printed() -> None:
    assert [fault for language, text in shipped() for fault in faults(text, language)] == []


def test_no_text_begins_or_ends_with_a_space() -> None:
    assert [text for _, text in translated() if text != text.strip()] == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ru", "Книга - лучший подарок"),
        ("ru", "Книга — лучший подарок"),
        ("ru", 'Книга "Так"'),
        ("ru", "Мы не знаем..."),
        ("ru", "Письмо в бутылке"),
        ("ru", "в\u00a0течение 14 дней"),
        ("ru", "Заказ № 5"),
        ("en", "the seller's name"),
        ("en", "a book — at last"),
        ("en", "two  spaces"),
    ],
)
def test_what_is_set_wrongly_is_found(language: str, text: str) -> None:
    assert faults(text, language)


@pytest.mark.parametrize("market", MARKETS)
def test_the_library_desk_has_no_words_of_the_other_language(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    address = f"/{market}/libraries"
    assert strangers(client.get(f"{address}?edition=russian").page) <= NAMES
    refused = client.post(address, data={"quantity": "0", "email": "x", "deadline": "soon"}, headers=SAME)
    assert refused.status_code == 400
    assert strangers(refused.page) <= NAMES
    kept = client.post(address, data=FILLED | {"consent": "yes", "attempt": "b" * 32}, headers=SAME)
    page = client.get(kept.headers["Location"]).page
    typed = " ".join(FILLED.values()).split()
    unknown = {word for word in strangers(page) - NAMES if not any(word in each for each in typed)}
    assert {word for word in unknown if not re.search(rf"LB-\w*{word}", page.text)} == set()


@pytest.mark.parametrize("market", MARKETS)
def test_no_error_has_words_of_the_other_language(app: Flask, client: Client, market: str) -> None:
    other = CYRILLIC if market.startswith("en") else LATIN
    with app.test_request_context(f"/{market}/"):
        app.preprocess_request()
        for page in errors.PAGES.values():
            assert other.findall(f"{page.title} {page.text}") == [], page.status
        for words in STATES.values():
            assert set(other.findall(f"{words.title} {words.meaning} {words.next}")) <= {"Stripe"}


@pytest.mark.parametrize("market", ["ru-gb", "en-us"])
def test_every_refusal_of_the_order_form_is_told_once(client: Client, catalogue: Catalogue, market: str) -> None:
    for query in ("country=FR", "country=RU", "country=ZZ", "paperback=0", "paperback=9", "paperback=two"):
        page = client.get(f"/{market}/order?{query}").page
        told = ["".join(each.itertext()) for each in page.all(".//div[@role='alert']//li")]
        assert len(told) == 1, query
        assert strangers(page) == set()


def test_days_on_the_way_are_counted_in_russian(client: Client, catalogue: Catalogue) -> None:
    assert "2–4\u00a0рабочих дня в\u00a0пути" in client.get("/ru-gb/books/paperback").page.text
    assert "7–14\u00a0рабочих дней в\u00a0пути" in client.get("/ru-us/books/paperback").page.text
    assert "5–10\u00a0рабочих дней" in client.get("/ru-gb/delivery").page.text


@pytest.mark.parametrize("market", ["ru-gb", "en-gb"])
def test_no_line_ends_within_a_range_of_days(client: Client, catalogue: Catalogue, market: str) -> None:
    for path in ("books/paperback", "order", "delivery"):
        page = client.get(f"/{market}/{path}").page
        kept = ["".join(each.itertext()) for each in page.all(".//span[@class='unbroken']")]
        days = [each for each in kept if re.fullmatch(r"\d{1,2}–\d+", each)]
        assert days, path
        assert len(days) == len(re.findall(r"(?<!\d)\d{1,2}–\d", page.text)), path


def test_what_the_seller_has_not_entered_leaves_no_gap() -> None:
    text = "> {trader_name}\n>\n> Telephone: {trader_phone}\n>\n> {trader_email}\n\nTo: {trader_name}, {trader_email}\n"
    known = {"trader_name": "Ann", "trader_phone": "", "trader_email": ""}
    assert fill(text, known) == "> Ann\n\nTo: Ann\n"
    assert fill("{trader_phone} {unknown}", known) == " {unknown}"


def test_only_name_and_address_are_promised_before_they_are_entered(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    for slug in ("contact", "terms", "privacy", "returns"):
        text = client.get(f"/en-gb/{slug}").page.text
        assert "Telephone" not in text
        assert "entered by the seller" not in text


def test_every_path_of_a_text_page_is_a_file_of_both_languages() -> None:
    slugs: dict[str, set[str]] = {}
    for path in Path(SHIPPED).glob("*.md"):
        slug, _, language = path.stem.rpartition(".")
        slugs.setdefault(language, set()).add(slug)
    assert slugs["en"] == slugs["ru"]
