"""The order desk's content: pages of text and entries, edited in both languages, published and taken back."""

from __future__ import annotations

import threading
import time

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import changes
from shop.catalogue.version import current
from shop.changes import Change
from shop.content import entries
from shop.content.models import Entry, EntryKind, PageText
from shop.markets import LANGUAGES
from tests.client import Answer, Client, Form
from tests.conftest import engine_of
from tests.factories import Catalogue
from tests.test_admin_orders import colleague, desk, form_to

__all__ = ["colleague", "desk"]
PAGE = "/admin/content/pages/returns"
NEWS = {"slug": "prize-2027", "title-en": "A prize", "title-ru": "Премия", "text-en": "It was *given*."}


def edit(desk: Client, page: str = PAGE) -> Form:
    return next(form for form in desk.get(page).page.forms() if "seen" in form.fields)


def write(desk: Client, slug: str, kind: str = "news", **more: str) -> str:
    """Write an entry; the address of its page."""
    answer = desk.submit(edit(desk, f"/admin/content/{kind}/new"), **NEWS | {"slug": slug} | more)
    assert answer.status_code == 303, answer.page.text
    return answer.location


def act(desk: Client, page: str, what: str) -> Answer:
    return desk.submit(form_to(desk.get(page), f"/{what}"))


def order(session: Session) -> list[str]:
    session.expire_all()
    return [entry.slug for entry in entries.all_of(session, EntryKind.NEWS)]


# Pages of text


def test_a_page_is_edited_in_both_languages_and_shown_at_once(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    version = current(session)
    answer = desk.submit(edit(desk), **{"body-en": "Send it back.", "body-ru": "Пришлите обратно."})
    assert answer.status_code == 303
    assert "Send it back." in desk.get("/en-gb/returns").page.text
    assert "Пришлите обратно." in desk.get("/ru-gb/returns").page.text
    found = changes.history(session, ["page:returns"])
    assert {(row.field, row.after, row.actor) for row in found} == {
        ("body-en", "Send it back.", "admin: Vera Keeper"),
        ("body-ru", "Пришлите обратно.", "admin: Vera Keeper"),
    }
    assert current(session) > version
    assert "Vera Keeper" in desk.get(PAGE).page.text


def test_saving_a_page_without_a_change_is_no_change(desk: Client, session: Session, catalogue: Catalogue) -> None:
    before = desk.get("/en-gb/returns").get_data()
    assert desk.submit(edit(desk)).status_code == 303
    assert session.scalars(select(Change)).all() == []
    assert desk.get("/en-gb/returns").get_data() == before


def test_a_page_taken_back_shows_what_the_shop_comes_with(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    shipped = desk.get("/en-gb/returns").page.text
    desk.submit(edit(desk), **{"body-en": "Our own rule."})
    assert act(desk, PAGE, "en/hide").status_code == 303
    assert desk.get("/en-gb/returns").page.text == shipped
    assert edit(desk).fields["body-en"] == "Our own rule."
    assert act(desk, PAGE, "en/show").status_code == 303
    assert "Our own rule." in desk.get("/en-gb/returns").page.text
    fields = [row.field for row in changes.history(session, ["page:returns"])]
    assert fields == ["published-en", "published-en", "body-en"]


def test_a_page_is_taken_back_once(desk: Client, catalogue: Catalogue) -> None:
    form = form_to(desk.get(PAGE), "/en/hide")
    assert desk.submit(form).status_code == 303
    answer = desk.submit(form)
    assert answer.status_code == 409
    assert "taken back already" in answer.page.text


def test_what_is_missing_in_one_language_is_marked(desk: Client, session: Session, catalogue: Catalogue) -> None:
    assert "missing" not in desk.get(PAGE).page.text
    answer = desk.submit(edit(desk), **{"title-ru": "", "body-ru": ""})
    assert answer.status_code == 303
    assert "missing: Russian" in desk.get(PAGE).page.text
    assert "missing: Russian" in desk.get("/admin/content").page.text
    assert "missing: English" not in desk.get("/admin/content").page.text
    assert desk.get("/ru-gb/returns").status_code == 200


def test_half_a_language_is_refused(desk: Client, session: Session, catalogue: Catalogue) -> None:
    answer = desk.submit(edit(desk), **{"body-ru": "", "body-en": "Typed."})
    assert answer.status_code == 422
    assert answer.page.form("body-en").fields["body-en"] == "Typed."
    assert session.scalars(select(Change)).all() == []


def test_a_preview_is_clean_and_saves_nothing(desk: Client, session: Session, catalogue: Catalogue) -> None:
    typed = "**Bold** <img src=x onerror=alert(1)> [bad](javascript:alert(1))"
    answer = desk.submit(edit(desk), ("preview", "1"), **{"body-en": typed})
    assert answer.status_code == 200
    assert "Bold" in [each.text for each in answer.page.all(".//div[@class='preview']//strong")]
    assert not answer.page.all(".//img")
    assert not [link for link in answer.page.links() if link.startswith("javascript")]
    assert answer.page.form("body-en").fields["body-en"] == typed
    assert session.scalars(select(Change)).all() == []


def test_two_people_at_one_page_lose_nothing(
    desk: Client, colleague: Client, session: Session, catalogue: Catalogue
) -> None:
    mine, theirs = edit(desk), edit(colleague)
    colleague.submit(theirs, **{"body-en": "Theirs.", "title-ru": "Их заголовок"})
    answer = desk.submit(mine, **{"body-en": "Mine."})
    assert answer.status_code == 409
    assert "Theirs." in answer.page.text
    again = answer.page.form("body-en")
    assert (again.fields["body-en"], again.fields["title-ru"]) == ("Mine.", "Их заголовок")
    assert desk.submit(again).status_code == 303
    session.expire_all()
    assert session.get_one(PageText, ("returns", "en")).body == "Mine.\n"


def test_an_unknown_page_or_language_is_not_there(desk: Client, catalogue: Catalogue) -> None:
    assert desk.get("/admin/content/pages/nowhere").status_code == 404
    form = form_to(desk.get(PAGE), "/en/hide")
    form.action = form.action.replace("/en/", "/xx/")
    assert desk.submit(form).status_code == 404


# Entries


@pytest.mark.parametrize("kind", list(EntryKind))
def test_an_entry_of_each_kind_is_written_changed_and_published(
    desk: Client, session: Session, catalogue: Catalogue, kind: EntryKind
) -> None:
    page = write(desk, "first", kind, day="2027-03-01", credit="A. Reader", **{"caption-ru": "Подпись"})
    entry = session.scalars(select(Entry)).one()
    assert (entry.kind, entry.published, str(entry.day), entry.credit) == (kind, False, "2027-03-01", "A. Reader")
    text = entry.text_in("ru")
    assert text is not None
    assert text.caption == "Подпись"
    assert desk.submit(edit(desk, page), **{"title-en": "Another title"}).status_code == 303
    version = current(session)
    assert act(desk, page, "publish").status_code == 303
    session.expire_all()
    assert entry.published
    assert current(session) == version + 1
    assert act(desk, page, "take_back").status_code == 303
    session.expire_all()
    assert not entry.published
    done = [row.field for row in changes.history(session, [entries.subject(entry.id)])]
    assert done[:3] == ["published", "published", "title-en"]
    assert "Another title" in desk.get(f"/admin/content/{kind}").page.text


def test_a_missing_language_of_an_entry_is_marked_and_allowed(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    page = write(desk, "half", **{"title-ru": ""})
    assert "missing: Russian" in desk.get(page).page.text
    assert "missing: Russian" in desk.get("/admin/content/news").page.text
    entry = session.scalars(select(Entry)).one()
    assert [text.language for text in entry.texts] == ["en"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Not a slug"),
        ("slug", ""),
        ("slug", "taken"),
        ("day", "2027-02-30"),
        ("day", "20270301"),
        ("link-en", "javascript:alert(1)"),
        ("title-en", ""),
        ("title-en", "x" * 301),
        ("text-ru", "x" * 20_001),
    ],
)
def test_what_is_no_entry_is_refused_beside_its_field(
    desk: Client, session: Session, catalogue: Catalogue, field: str, value: str
) -> None:
    write(desk, "taken")
    for page in ("/admin/content/news/new", write(desk, "other")):
        answer = desk.submit(edit(desk, page), **NEWS | {"credit": "Kept", field: value})
        assert answer.status_code == 422
        assert answer.page.all(f".//*[@aria-invalid='true'][@id='{field}']")
        assert answer.page.form("credit").fields["credit"] == "Kept"
    assert {entry.credit for entry in session.scalars(select(Entry))} == {""}


def test_new_entries_come_first_and_are_moved_by_one_place(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    for slug in ("one", "two", "three"):
        write(desk, slug)
    write(desk, "review", "review")
    assert order(session) == ["three", "two", "one"]
    buttons = [form for form in desk.get("/admin/content/news").page.forms() if form.action.endswith("/down")]
    assert len(buttons) == 2
    assert desk.submit(buttons[0]).status_code == 303
    assert order(session) == ["two", "three", "one"]
    last = session.scalars(select(Entry).where(Entry.slug == "one")).one().id
    assert act(desk, "/admin/content/news", f"{last}/up").status_code == 303
    assert order(session) == ["two", "one", "three"]
    stale = buttons[0]
    assert desk.submit(stale).status_code == 409  # "three" stands last by now
    assert order(session) == ["two", "one", "three"]


def test_only_what_was_never_published_is_deleted(desk: Client, session: Session, catalogue: Catalogue) -> None:
    page = write(desk, "draft")
    delete = form_to(desk.get(page), "/delete")
    act(desk, page, "publish")
    act(desk, page, "take_back")
    assert not [form for form in desk.get(page).page.forms() if form.action.endswith("/delete")]
    answer = desk.submit(delete)
    assert answer.status_code == 409
    assert "Take it back" in answer.page.text
    other = write(desk, "mistake")
    assert act(desk, other, "delete").status_code == 303
    assert order(session) == ["draft"]
    assert desk.get(other).status_code == 404
    assert ("slug", "mistake", "") in [
        (row.field, row.before, row.after) for row in session.scalars(select(Change))
    ]


def test_publishing_twice_is_refused(desk: Client, session: Session, catalogue: Catalogue) -> None:
    page = write(desk, "news")
    form = form_to(desk.get(page), "/publish")
    assert desk.submit(form).status_code == 303
    assert desk.submit(form).status_code == 409
    assert len([row for row in session.scalars(select(Change)) if row.field == "published"]) == 1


def test_the_second_editor_of_an_entry_is_told(
    desk: Client, colleague: Client, session: Session, catalogue: Catalogue
) -> None:
    page = write(desk, "news")
    mine, theirs = edit(desk, page), edit(colleague, page)
    colleague.submit(theirs, **{"title-en": "Theirs"})
    answer = desk.submit(mine, **{"text-en": "Mine"})
    assert answer.status_code == 409
    again = answer.page.form("text-en")
    assert (again.fields["title-en"], again.fields["text-en"]) == ("Theirs", "Mine")
    assert desk.submit(again).status_code == 303


def test_an_entry_nobody_wrote_is_not_there(desk: Client, catalogue: Catalogue) -> None:
    for page in ("entries/1", f"entries/{2**40}", "poems", "poems/new"):
        assert desk.get(f"/admin/content/{page}").status_code == 404


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_the_content_pages_read_in_both_languages(
    desk: Client, session: Session, catalogue: Catalogue, language: str
) -> None:
    page = write(desk, "news")
    desk.submit(form_to(desk.get("/admin/"), "/language"), ("language", language)) if language == "ru" else None
    for address in (
        "/admin/content",
        "/admin/content/news",
        page,
        PAGE,
        "/admin/editions",
        "/admin/editions/russian",
    ):
        assert desk.get(address).page.language == language


@pytest.mark.parametrize("revised", [False, True])
def test_of_two_who_take_one_short_name_in_the_same_instant_the_second_is_told(
    app: Flask, session: Session, desk: Client, catalogue: Catalogue, revised: bool
) -> None:
    """The rival has written the name and not committed when the second looks for it."""
    page = write(desk, "mine") if revised else "/admin/content/news/new"
    form = edit(desk, page)
    answers = []

    def save() -> None:
        answers.append(desk.submit(form, **NEWS | {"slug": "taken"}))

    with Session(engine_of(app)) as rival:
        rival.connection(execution_options={"writing": True})
        rival.add(Entry(kind=EntryKind.NEWS, slug="taken", position=-9, published=False))
        rival.flush()
        second = threading.Thread(target=save)
        second.start()
        time.sleep(0.5)
        assert answers == []
        rival.commit()
        second.join(30)
    assert [answer.status_code for answer in answers] == [422]
    assert "Another entry has this short name." in answers[0].page.text
