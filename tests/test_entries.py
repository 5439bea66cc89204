"""What readers see of reviews, articles and news: from the database, in their own language, and as feeds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.content import entries
from shop.content.first_entries import SHIPPED, import_entries
from shop.content.models import Entry, EntryKind, EntryText
from shop.database import transact
from shop.errors import CatalogueError
from shop.markets import MARKETS
from tests.client import Client, Page
from tests.factories import Catalogue
from tests.test_admin_content import act, edit, write
from tests.test_admin_orders import desk
from tests.test_pages import strangers

__all__ = ["desk"]
AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(autouse=True)
def stocked(session: Session, catalogue: Catalogue) -> int:
    """The entries that a shop starts from; how many there are."""
    return transact(session, import_entries, SHIPPED, AT)


def headings(page: Page, level: str) -> list[str]:
    return ["".join(each.itertext()).replace("\u00a0", " ") for each in page.all(f".//main//{level}")]


def slugs(page: Page) -> list[str]:
    return [each.get("id", "") for each in page.all(".//main//li[@id]")]


def test_what_a_shop_starts_from_is_filled_in_once_and_stays_the_owners(session: Session, stocked: int) -> None:
    assert stocked == 20

    def rewrite(s: Session) -> None:
        s.execute(update(EntryText).where(EntryText.language == "en").values(title="Mine"))
        s.delete(s.scalars(select(Entry).where(Entry.kind == EntryKind.NEWS)).one())

    transact(session, rewrite)
    assert transact(session, import_entries, SHIPPED, AT) == 1  # the news alone: that kind had none

    def rename(s: Session) -> None:
        s.delete(s.scalars(select(Entry).where(Entry.kind == EntryKind.PHOTO)).one())
        s.scalars(select(Entry).where(Entry.kind == EntryKind.NEWS)).one().slug = "literacy-course-1922"

    transact(session, rename)
    assert transact(session, import_entries, SHIPPED, AT) == 0
    titles = set(session.scalars(select(EntryText.title).where(EntryText.language == "en")))
    assert titles == {"Mine", "The Russian edition is out"}


def test_every_entry_is_there_in_both_languages_and_claims_no_link_that_is_not_known(session: Session) -> None:
    for entry in session.scalars(select(Entry)):
        assert {text.language for text in entry.texts} == {"en", "ru"}
        assert all(text.link == "" and text.quotation == "" for text in entry.texts)
        if entry.kind is EntryKind.REVIEW:
            assert all(text.text == "" for text in entry.texts)  # what a review says is the owner's to tell


@pytest.mark.parametrize(
    "broken",
    [
        'x = "',
        "[[essay]]\nslug = 'a'",
        "[[news]]\nslug = 'A b'\nen = { title = 'x' }",
        "[[news]]\nslug = 'a'\nen = { titel = 'x' }",
        "[[news]]\nslug = 'a'\nen = { caption = 'x' }",
        "[[article]]\nslug = 'a'\nen = { title = 'x' }",
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(session: Session, tmp_path: Path, broken: str) -> None:
    file = tmp_path / "entries.toml"
    file.write_text(broken)

    def clear_and_import(s: Session) -> None:
        for entry in s.scalars(select(Entry)):
            s.delete(entry)
        s.flush()
        import_entries(s, file, AT)

    with pytest.raises(CatalogueError):
        transact(session, clear_and_import)
    assert len(session.scalars(select(Entry)).all()) == 20


@pytest.mark.parametrize("market", MARKETS)
def test_reviews_stand_on_their_page_on_the_home_page_and_on_each_edition(client: Client, market: str) -> None:
    wanted = ["ertz", "rosenberg", "herrlinger", "hickey", "dixon", "farber", "le-blanc"]
    assert slugs(client.get(f"/{market}/reviews").page) == wanted
    for path in ("", "books/paperback", "books/russian"):
        assert [slug for slug in slugs(client.get(f"/{market}/{path}").page) if slug in wanted] == wanted


def test_articles_stand_under_their_headings_and_what_another_wrote_is_not_the_authors(client: Client) -> None:
    page = client.get("/en-gb/articles").page
    assert headings(page, "h2") == [
        "Debate",
        "Articles and papers",
        "Other publications",
        "Further reading, by other hands",
    ]
    [further] = page.all(".//section[@id='further']")
    assert [each.get("id") for each in further.iter("li")] == ["workers-democracy-in-revolutionary-petrograd"]
    assert "Pirani" not in "".join(further.itertext())


@pytest.mark.parametrize("market", MARKETS)
def test_no_page_with_entries_has_unmarked_words_of_the_other_language(client: Client, market: str) -> None:
    for path in ("", "reviews", "articles", "news", "downloads", "photos", "books/paperback", "books/russian"):
        found = strangers(client.get(f"/{market}/{path}").page)
        assert found == set(), path


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_an_edition_tells_everything_in_its_order(client: Client, market: str) -> None:
    page = client.get(f"/{market}/books/paperback").page
    order = [
        *("libraries", "about", "reviews", "author", "facts", "articles", "formats", "elsewhere"),
    ]
    found = [each.get("id", "").removesuffix("-heading") for each in page.all(".//main//h2[@id]")]
    assert [each for each in found if each in order] == order
    article = page.all(".//article[@class='edition']")[0]
    tags = [each.tag for each in article.iter() if each.tag in ("img", "h1", "dl")]
    assert tags[:3] == ["img", "h1", "dl"]  # cover, title, price


def test_what_is_not_published_or_has_no_title_in_a_language_is_not_shown(client: Client, desk: Client) -> None:
    assert "literacy" not in client.get("/en-gb/photos").page.text
    page = write(desk, "the-prize", **{"title-en": "The prize", "title-ru": "", "text-ru": ""})
    assert "The prize" not in client.get("/en-gb/news").page.text
    act(desk, page, "publish")
    assert "The prize" in client.get("/en-gb/news").page.text
    assert "The prize" in client.get("/en-gb/").page.text
    assert "The prize" not in client.get("/ru-gb/news").page.text
    act(desk, page, "take_back")
    assert "The prize" not in client.get("/en-gb/news").page.text


def test_the_owner_gives_a_review_its_quotation_and_an_article_its_heading(client: Client, desk: Client) -> None:
    review = desk.get("/admin/content/review").page
    address = next(href for href, words in review.links().items() if words == "Paul Le Blanc")
    typed = {"quotation-en": 'He "shows" it', "text-en": "He *liked* it.", "link-en": "https://journal.example/1"}
    assert desk.submit(edit(desk, address), **typed).status_code == 303
    page = client.get("/en-gb/reviews").page
    [row] = page.all(".//li[@id='le-blanc']")
    assert "He “shows” it" in "".join(row.itertext())
    assert next(row.iter("a")).get("href") == "https://journal.example/1"
    listed = desk.get("/admin/content/article").page
    address = next(href for href, words in listed.links().items() if words == "The communists’ dilemma")
    assert desk.submit(edit(desk, address), group="debate").status_code == 303
    [debate] = client.get("/en-gb/articles").page.all(".//section[@id='debate']")
    assert "the-communists-dilemma" in [each.get("id") for each in debate.iter("li")]
    assert "quotation-en" not in edit(desk, address).fields


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_feed_is_valid_atom_in_its_language_and_named_on_every_page(client: Client, language: str) -> None:
    address = f"/feed.{language}.xml"
    answer = client.get(address, headers={"Accept-Language": "ru" if language == "en" else "en"})
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(answer.get_data())
    assert feed.tag == f"{ATOM}feed"
    # RFC 4287, 4.1.1 and 4.1.2: what a feed and an entry must have, once each.
    for element in (feed, *feed.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"{ATOM}{name}")) == 1, name
        assert datetime.fromisoformat(element.findtext(f"{ATOM}updated", "")).tzinfo is not None
        assert element.findtext(f"{ATOM}id", "").startswith(("http://", "tag:"))
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    [entry] = feed.findall(f"{ATOM}entry")
    content = entry.find(f"{ATOM}content")
    assert content is not None
    assert content.get("type") == "html"
    assert f'href="http://localhost/{language}-gb/books/russian"' in (content.text or "")
    told = {"en": "The Russian edition is out", "ru": "Вышло русское издание"}
    assert entry.findtext(f"{ATOM}title") == told[language]
    page = client.get(f"/{language}-us/author").page
    [named] = page.all("head/link[@type='application/atom+xml']")
    assert named.get("href") == address
    assert client.get(address, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_changed_entry_is_a_changed_feed(client: Client, desk: Client, session: Session) -> None:
    before = ElementTree.fromstring(client.get("/feed.en.xml").get_data()).findtext(f"{ATOM}updated")
    news = desk.get("/admin/content/news").page
    address = next(href for href, words in news.links().items() if words == "The Russian edition is out")
    desk.submit(edit(desk, address), **{"text-en": "It <b>came</b> & went."})
    feed = ElementTree.fromstring(client.get("/feed.en.xml").get_data())
    assert feed.findtext(f"{ATOM}updated", "") > (before or "")
    assert "It came &amp; went." in feed.findtext(f"{ATOM}entry/{ATOM}content", "")


def test_an_empty_feed_is_valid_too(app: Flask, client: Client, session: Session) -> None:
    def hide(s: Session) -> None:
        s.execute(update(Entry).values(published=False))

    transact(session, hide)
    feed = ElementTree.fromstring(client.get("/feed.ru.xml").get_data())
    assert feed.findall(f"{ATOM}entry") == []
    assert feed.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00+00:00"
    assert entries.shown(session, EntryKind.NEWS, "ru") == []
