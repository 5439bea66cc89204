"""The layer in front of the shop: what it answers from memory is always what the shop would say now, a second later
at most where another process changed it."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterator

import brotli
import pytest
from flask import Flask, has_request_context, request
from sqlalchemy import event
from sqlalchemy.orm import Session

from shop.catalogue.models import Edition, EditionText
from shop.content.interchange import import_pages
from shop.content.models import PageText
from shop.database import transact
from shop.markets import MARKETS
from shop.storefront import front
from shop.trader import trader
from tests.client import Client, make_client
from tests.conftest import MovedClock, engine_of, opened
from tests.factories import Catalogue, make_order, set_stock
from tests.fake_gateway import FakeGateway

WITHIN = 1.0  # seconds
PAGE = "/en-gb/books/paperback"


@pytest.fixture
def other(app: Flask, settings, catalogue: Catalogue) -> Iterator[Client]:
    """A reader of the same shop in another process: with connections and a memory of its own."""
    with opened(settings, gateway=FakeGateway()) as shop:
        yield make_client(shop)


@pytest.fixture
def views(app: Flask) -> Iterator[list[str]]:
    """The addresses that the shop itself was asked for, behind the layer."""
    asked: list[str] = []

    def note() -> None:
        asked.append(request.path)

    app.before_request_funcs.setdefault(None, []).append(note)
    yield asked
    app.before_request_funcs[None].remove(note)


@pytest.fixture
def questions(app: Flask) -> Iterator[list[str]]:
    """The statements that were sent to the database."""
    sent: list[str] = []

    def note(_connection, _cursor, sql: str, *_rest: object) -> None:
        sent.append(sql)

    event.listen(engine_of(app), "before_cursor_execute", note)
    yield sent
    event.remove(engine_of(app), "before_cursor_execute", note)


def rename(session: Session, name: str) -> None:
    def work(s: Session) -> None:
        edition = s.query(Edition).filter_by(slug="paperback").one()
        s.get_one(EditionText, (edition.id, "en")).name = name

    transact(session, work)


def until(true: Callable[[], bool]) -> float:
    """Wait until something is so; how long it took, in seconds."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < 3 * WITHIN, "it never happened"
        time.sleep(0.02)
    return time.monotonic() - began


def looked_up_since(began: float) -> float:
    """As many statements as it takes to look the state up as often as it is: BEGIN, the version, the classes."""
    return 3 * (2 + (time.monotonic() - began) // front.LOOK)


# What is answered from memory


def test_a_page_is_made_once_and_then_answered_without_the_shop(
    client: Client, catalogue: Catalogue, views: list[str], questions: list[str]
) -> None:
    first = client.get(PAGE)
    assert views == [PAGE]
    client.get(PAGE)
    del questions[:]
    began = time.monotonic()
    answers = [client.get(PAGE) for _ in range(20)]
    assert views == [PAGE]
    assert {each.data for each in answers} == {first.data}
    assert len(questions) <= looked_up_since(began)
    assert dict(answers[0].headers) == dict(first.headers)


def test_a_kept_page_carries_what_the_shop_itself_would_send(client: Client, catalogue: Catalogue) -> None:
    kept, computed = client.get(PAGE), client.get("/en-gb/order")
    own = {"Cache-Control", "Content-Length", "ETag", "Vary", "Content-Type"}
    assert set(kept.headers.keys()) - own == set(computed.headers.keys()) - own
    assert kept.headers["Content-Type"] == "text/html; charset=utf-8"
    for name in set(kept.headers.keys()) - own:
        assert kept.headers[name] == computed.headers[name]
    assert kept.headers["Vary"] == "Accept-Encoding"
    assert kept.headers["Cache-Control"] == "public, max-age=0, must-revalidate"


def test_a_page_comes_in_the_best_coding_that_is_taken(app: Flask, client: Client, catalogue: Catalogue) -> None:
    undo = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}
    plain = client.get(PAGE).data
    marks = set()
    for accepted, coding in (
        *(("br", "br"), ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip")),
        *(("gzip;q=1.0, br;q=0.5", "gzip"), ("*", "br"), ("deflate", None), ("", None), ("identity", None)),
        (";;q=\xff", None),
    ):
        answer = app.test_client().get(PAGE, headers={"Accept-Encoding": accepted})
        assert answer.headers.get("Content-Encoding") == coding, accepted
        assert undo[coding](answer.data) == plain
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        assert answer.headers["Vary"] == "Accept-Encoding"
        marks.add(answer.headers["ETag"])
    assert len(marks) == 3


def test_what_a_reader_has_already_is_not_sent_again(client: Client, catalogue: Catalogue) -> None:
    mark = client.get(PAGE).headers["ETag"]
    for known in (mark, f"W/{mark}", f'"other", {mark}', "*"):
        answer = client.get(PAGE, headers={"If-None-Match": known})
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"] == mark
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "must-revalidate" in answer.headers["Cache-Control"]
    for unknown in ('"other"', "", mark.replace('"', '"x', 1)):
        assert client.get(PAGE, headers={"If-None-Match": unknown}).status_code == 200, unknown


def test_head_is_told_what_get_would_get_without_the_page(client: Client, catalogue: Catalogue) -> None:
    page, head = client.get(PAGE), client.head(PAGE)
    assert head.data == b""
    assert dict(head.headers) == dict(page.headers)


def test_no_query_and_no_visitor_makes_a_page_of_its_own(
    client: Client, catalogue: Catalogue, views: list[str]
) -> None:
    plain = client.get(PAGE)
    for query in ("?utm_source=x", "?a=1&b=2", "?page=7", "?" + "x" * 2000):
        assert client.get(PAGE + query).data == plain.data
    for headers in (
        {"Cookie": "desk=1"},
        {"Accept-Language": "ru"},
        {"User-Agent": "x"},
        {"X-Forwarded-Host": "e"},
    ):
        assert client.get(PAGE, headers=headers).data == plain.data
    assert views == [PAGE]


@pytest.mark.parametrize(
    "path", ["/en-gb/order", "/en-gb/orders", "/en-gb/libraries", "/admin/sign-in", "/en-gb/nowhere", "/healthz"]
)
def test_forms_the_desk_and_errors_are_made_each_time(
    client: Client, catalogue: Catalogue, views: list[str], path: str
) -> None:
    for _ in range(2):
        answer = client.get(path)
        assert "public" not in answer.headers["Cache-Control"]
    assert views == [path, path]


def test_an_order_page_and_the_answer_to_a_form_are_not_kept(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    order = make_order(session)
    for answer in (
        client.get(f"/en-gb/orders/{order.token}"),
        client.post("/en-gb/orders", data={"number": order.number, "email": "x@example.org"}),
    ):
        assert "no-store" in answer.headers["Cache-Control"]
        assert "ETag" not in answer.headers


def test_a_page_that_is_not_there_is_not_remembered_as_one(
    app: Flask, client: Client, catalogue: Catalogue
) -> None:
    before = len(memory(app)._kept)
    for number in range(5):
        assert client.get(f"/en-gb/books/no-{number}").status_code == 404
    assert len(memory(app)._kept) == before


def memory(app: Flask) -> front.Front:
    return app.wsgi_app  # type: ignore[return-value]


# What has changed


def test_a_change_is_seen_at_once_where_it_was_made(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    for name in ("One name", "Another name", "Third name"):
        rename(session, name)
        assert name in client.get(PAGE).page.text


def test_a_change_is_seen_within_a_second_everywhere_else(
    session: Session, catalogue: Catalogue, other: Client
) -> None:
    for name in ("One name", "Another name"):
        assert name not in other.get(PAGE).page.text
        rename(session, name)
        assert until(lambda name=name: name in other.get(PAGE).page.text) < WITHIN


def test_every_table_that_pages_show_makes_them_anew(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def text(s: Session) -> None:
        s.get_one(PageText, ("terms", "en")).body = "Terms of the owner’s own."

    def seller(s: Session) -> None:
        trader(s).name = "Another bookshop"

    transact(session, import_pages)
    assert "own." not in client.get("/en-gb/terms").page.text
    transact(session, text)
    assert "Terms of the owner’s own." in client.get("/en-gb/terms").page.text
    transact(session, seller)
    assert "Another bookshop" in client.get("/en-gb/terms").page.text


def test_a_class_that_turns_is_seen_and_a_copy_less_makes_no_page(
    client: Client, session: Session, catalogue: Catalogue, other: Client, views: list[str]
) -> None:
    for reader in (client, other):
        assert "In stock" in reader.get(PAGE).page.text
    made = len(views)
    set_stock(session, catalogue.paperback, 39)
    client.get(PAGE)
    assert len(views) == made
    set_stock(session, catalogue.paperback, 1)
    assert "The last copies" in client.get(PAGE).page.text
    assert until(lambda: "The last copies" in other.get(PAGE).page.text) < WITHIN
    make_order(session, paperback=1)
    assert "No copies at present" in client.get(PAGE).page.text
    assert until(lambda: "No copies at present" in other.get(PAGE).page.text) < WITHIN


def test_a_page_that_was_made_while_a_class_had_turned_for_a_moment_is_not_told_later(
    app: Flask, client: Client, session: Session, catalogue: Catalogue
) -> None:
    """The copies go and come back while the page is being made; it must belong to the moment that it shows."""
    turned = []

    def turn(_connection, _cursor, sql: str, *_rest: object) -> None:
        if "stock.on_hand" in sql and has_request_context() and request.path == PAGE and not turned:
            turned.append(sql)  # the state has been read, the page not yet
            with Session(engine_of(app)) as another:
                set_stock(another, catalogue.paperback, 0)

    client.get("/en-gb/")
    event.listen(engine_of(app), "after_cursor_execute", turn)
    try:
        client.get(PAGE)
    finally:
        event.remove(engine_of(app), "after_cursor_execute", turn)
    assert turned
    set_stock(session, catalogue.paperback, 40)
    assert "In stock" in client.get(PAGE).page.text


def test_a_new_day_makes_pages_anew(
    client: Client, catalogue: Catalogue, clock: MovedClock, views: list[str]
) -> None:
    client.get(PAGE)
    clock.advance(days=1)
    assert until(lambda: client.get(PAGE).status_code == 200 and len(views) == 2) < WITHIN


def test_what_is_rolled_back_changes_nothing(
    client: Client, session: Session, catalogue: Catalogue, views: list[str]
) -> None:
    def fail(s: Session) -> None:
        trader(s).name = "Nobody"
        s.flush()
        raise LookupError

    client.get(PAGE)
    with pytest.raises(LookupError):
        transact(session, fail)
    client.get(PAGE)
    assert views == [PAGE]


# Trouble


def test_while_the_database_is_away_no_page_is_vouched_for(
    app: Flask, client: Client, catalogue: Catalogue
) -> None:
    assert client.get(PAGE).status_code == 200

    def refuse(*_connection: object) -> None:
        raise engine_of(app).dialect.loaded_dbapi.OperationalError("the database is away")

    event.listen(engine_of(app), "do_connect", refuse)
    engine_of(app).dispose()
    try:
        until(lambda: client.get(PAGE).status_code == 503)
        assert client.get(PAGE).headers["Cache-Control"] == "no-store"
        assert client.get("/en-gb/nothing").status_code == 404  # told without the database, too
    finally:
        event.remove(engine_of(app), "do_connect", refuse)
    until(lambda: client.get(PAGE).status_code == 200)


def test_many_readers_of_a_new_page_wait_for_one_making_of_it(
    app: Flask, catalogue: Catalogue, session: Session, views: list[str]
) -> None:
    rename(session, "A name for many")
    found: list[bytes] = []
    start = threading.Barrier(12)

    def read() -> None:
        visitor = app.test_client()
        start.wait()
        found.append(visitor.get(PAGE).data)

    readers = [threading.Thread(target=read) for _ in range(12)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert len(set(found)) == 1
    assert b"A name for many" in found[0]
    assert views == [PAGE]


def test_readers_and_a_writer_at_once_never_see_what_was_before(
    app: Flask, client: Client, session: Session, catalogue: Catalogue
) -> None:
    over = threading.Event()

    def read() -> None:
        visitor = app.test_client()
        while not over.is_set():
            visitor.get(PAGE)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    try:
        for number in range(30):
            rename(session, f"Name number {number}.")
            assert f"Name number {number}." in client.get(PAGE).page.text
    finally:
        over.set()
        for each in readers:
            each.join()


# Static files


def test_static_files_are_kept_for_good_under_the_mark_of_their_content(
    client: Client, catalogue: Catalogue
) -> None:
    form = client.get("/en-gb/order").page
    style = next(each.get("href") for each in form.all("head/link[@rel='stylesheet']"))
    answer = client.get(style, headers={"Accept-Encoding": "br"})
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "br"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with client.get("/static/shop.css") as plain:
        assert brotli.decompress(answer.data) == plain.get_data()
    older = client.get("/static/v-0123456789ab/shop.css")
    assert (older.status_code, older.headers["Cache-Control"]) == (200, "public, max-age=3600")
    for nowhere in ("nothing.css", "../app.py", "%2e%2e/app.py", "covers"):
        assert client.get(style.replace("shop.css", nowhere)).status_code == 404


# Forms


def test_forms_are_compressed_and_what_stands_beside_a_secret_is_not(
    app: Flask, session: Session, catalogue: Catalogue
) -> None:
    visitor, order = app.test_client(), make_order(session)
    for path in ("/en-gb/order", "/ru-us/libraries", "/en-gb/order?country=XX"):
        for coding, undo in (("br", brotli.decompress), ("gzip", gzip.decompress), ("", bytes)):
            answer = visitor.get(path, headers={"Accept-Encoding": coding})
            assert answer.headers.get("Content-Encoding", "") == coding
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert undo(answer.data).endswith(b"</html>")
    for path in (f"/en-gb/orders/{order.token}", "/admin/sign-in"):
        assert "Content-Encoding" not in visitor.get(path, headers={"Accept-Encoding": "br"}).headers


def bare(html: str) -> str:
    return re.sub(r'name="attempt" value="[^"]*"', "", html)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("market", MARKETS)
def test_the_order_form_from_memory_is_the_form_from_the_database_letter_for_letter(
    app: Flask, client: Client, session: Session, catalogue: Catalogue, market: str
) -> None:
    home, further = ("GB", "NZ") if market.endswith("gb") else ("US", "CA")
    queries: list[dict[str, object]] = [
        {"paperback": 1, "country": home},
        {"paperback": 2, "country": home, "note": 'Für <A> & "B", O\'Hara'},
        {"russian": 1, "country": home, "purchase_order": "ж"},
        {"paperback": 1, "russian": 2, "country": home},
        {"paperback": 3, "country": further},
        {"russian": 1, "country": further},
    ]
    another = "en-us" if market.startswith("ru") else "ru-us"
    for query in queries:  # whatever can be in memory is, another market's first, when the forms are compared
        client.get(f"/{another}/order", query_string=query)
        client.get(f"/{market}/order", query_string=query)
    for query in queries:
        quick = client.get(f"/{market}/order", query_string=query)
        assert quick.status_code == 200
        # Without the total that it showed, a post comes back as the form, computed from the database alone.
        slow = client.post(f"/{market}/order", data={"paperback": 0, "russian": 0, **query})
        assert slow.status_code == 409
        asked_again = r'(?s)<div class="notice" role="status" id="changed">.*?(?=<form class="order-form")'
        again = re.sub(asked_again, "", slow.get_data(as_text=True))
        assert bare(quick.get_data(as_text=True)).split() == bare(again).split()


def test_the_order_form_asks_the_database_nothing_and_follows_every_change(
    client: Client, session: Session, catalogue: Catalogue, other: Client, questions: list[str]
) -> None:
    form = "/en-gb/order?paperback=1&country=GB"
    client.get(form)
    del questions[:]
    began = time.monotonic()
    for _ in range(10):
        assert "£25.50" in client.get(form).page.text
    assert len(questions) <= looked_up_since(began)
    assert "£25.50" in other.get(form).page.text

    def dearer(s: Session) -> None:
        edition = s.query(Edition).filter_by(slug="paperback").one()
        next(price for price in edition.prices if price.currency == "GBP").amount += 100

    transact(session, dearer)
    assert "£26.50" in client.get(form).page.text
    assert until(lambda: "£26.50" in other.get(form).page.text) < WITHIN
    set_stock(session, catalogue.paperback, 0)
    assert "No copies at present" in client.get(form).page.text
    # Whoever was shown the old total is asked again: what is decided is read afresh.
    stale = {"paperback": "1", "russian": "0", "country": "GB", "shown_total": "2550"}
    assert client.post("/en-gb/order", data=stale).status_code == 409
