"""A library's order on its way: files, repeated orders, the distributor's link and answers, reminders, the list."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import stream_encode_multipart

from shop.admin.export import FIRST
from shop.bibliography.romanisation import ala_lc
from shop.database import transact
from shop.errors import MailServerAway, WrongState
from shop.letters.delivery import deliver_due
from shop.letters.models import Kind, Letter
from shop.letters.rendering import Renderer
from shop.libraries import answers, chasing, files, links, routing
from shop.libraries.answers import Said
from shop.libraries.models import DistributorLink, LibraryFile, LibraryOrder, LibraryState
from shop.markets import MARKETS
from shop.orders.timeline import admin
from shop.settings import Settings
from shop.trader import CountryDistributor
from shop.worker import Worker, keep_house
from tests.client import Answer, Client, let_in, make_client
from tests.conftest import MovedClock
from tests.factories import Catalogue, make_admin
from tests.fake_mailer import FakeMailer
from tests.test_libraries import DISTRIBUTOR, FILLED, LIBRARIAN, ask, enquiry, orders, owed

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
VERA = admin("Vera")
PDF = b"%PDF-1.7\n1 0 obj << >> endobj\n%%EOF\n"
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(autouse=True)
def _shop(catalogue: Catalogue, settings: Settings) -> Iterator[Catalogue]:
    _empty(settings)  # of what other tests have left
    yield catalogue
    _empty(settings)


def _empty(settings: Settings) -> None:
    for each in (settings.instance_path / files.FOLDER).glob("*"):
        each.unlink()


def send(
    client: Client, body: bytes | None = PDF, name: str = "PO 117.pdf", market: str = "en-gb", **changes: str
) -> Answer:
    """Send the form with a file, as a browser would."""
    data: dict[str, object] = {**FILLED, "attempt": "f" * 24, **changes}
    if body is not None:
        data["purchase_order_file"] = FileStorage(io.BytesIO(body), name)
    sent, kind = encoded(data)
    return client.post(f"/{market}/libraries", data=sent, content_type=kind, headers=SAME)


def encoded(data: dict[str, object]) -> tuple[bytes, str]:
    """A form's body and content type."""
    stream, _length, boundary = stream_encode_multipart(data, use_tempfile=False)
    return stream.read(), f"multipart/form-data; boundary={boundary}"


def place(session: Session, now: datetime = NOW, market: str = "en-gb", **changes: object) -> LibraryOrder:
    return transact(session, lambda s: routing.place(s, enquiry(**changes), MARKETS[market], now))


def deliver(session: Session, settings: Settings, mailer: FakeMailer | None = None) -> FakeMailer:
    def read(fact: dict[str, str]) -> bytes:
        return files.path(settings.instance_path, fact["file"]).read_bytes()

    mailer = mailer or FakeMailer()
    writer = Renderer("http://shop.example", "Bookstall <shop@bookstall.example>", ala_lc, attached=read)
    while deliver_due(session, mailer, writer, datetime.now(UTC) + timedelta(minutes=1)):
        pass
    return mailer


def link_of(session: Session, order: LibraryOrder, kind: Kind = Kind.LIBRARY_ORDER) -> str:
    session.rollback()
    letter = session.scalars(select(Letter).where(Letter.kind == kind, Letter.library_order_id == order.id)).one()
    return str(letter.context["answer_path"])


def state(session: Session, order: LibraryOrder) -> LibraryState:
    session.rollback()
    return session.get_one(LibraryOrder, order.id, populate_existing=True).state


def story(session: Session, order: LibraryOrder) -> list[str]:
    session.rollback()
    session.expire_all()
    return [event.kind for event in session.get_one(LibraryOrder, order.id).events]


# The purchase order as a file


def test_a_purchase_order_travels_to_the_distributor_and_is_kept_for_the_desk(
    client: Client, session: Session, settings: Settings, app: Flask
) -> None:
    assert send(client).status_code == 303
    (order,) = orders(session)
    (file,) = order.files
    assert (file.name, file.media_type, file.size) == ("PO 117.pdf", "application/pdf", len(PDF))
    assert files.path(settings.instance_path, file.key).read_bytes() == PDF
    (message,) = deliver(session, settings).to(DISTRIBUTOR)
    (attachment,) = message.iter_attachments()
    assert message["Content-Language"] == "en-GB"
    assert (attachment.get_filename(), attachment.get_content()) == ("PO 117.pdf", PDF)
    make_admin(session)
    desk = make_client(app, after=session.rollback)
    let_in(desk)
    page = desk.get(f"/admin/libraries/{order.ticket}").page
    address = next(link for link in page.links() if "/files/" in link)
    saved = desk.get(address)
    assert saved.data == PDF
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert saved.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in saved.headers["Content-Security-Policy"]
    assert client.get(address).status_code == 302  # to the sign-in


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"<html><script>alert(1)</script>", "po.pdf"),
        (b"<svg onload=alert(1)>", "po.png"),
        (b"", "po.pdf"),
        (b"MZ\x90", "po.exe"),
        (PDF + b"x" * files.MOST_BYTES, "po.pdf"),
    ],
)
def test_a_file_of_another_kind_or_size_is_refused_beside_its_field_and_nothing_typed_is_lost(
    client: Client, session: Session, settings: Settings, body: bytes, name: str
) -> None:
    answer = send(client, body, name)
    assert answer.status_code == 400
    assert answer.page.all(".//*[@id='purchase_order_file-error']")
    assert answer.page.form("institution").fields["notes"] == FILLED["notes"]
    assert orders(session) == []
    assert session.scalars(select(LibraryFile)).all() == []
    assert list((settings.instance_path / files.FOLDER).glob("*")) == []


@pytest.mark.parametrize("market", ["en-gb", "ru-gb"])
def test_a_file_of_twenty_megabytes_comes_back_as_the_form_with_all_that_was_typed(
    client: Client, session: Session, settings: Settings, market: str
) -> None:
    answer = send(client, PDF + b"x" * 20_000_000, market=market)
    assert answer.status_code == 400
    (told,) = answer.page.all(".//*[@id='purchase_order_file-error']")
    words = {"en-gb": "at most 4 MB", "ru-gb": "не больше 4 МБ"}[market]
    assert words in "".join(told.itertext()).replace("\u00a0", " ")
    kept = answer.page.form("institution").fields
    for name in ("institution", "notes", "email", "marc_wanted"):
        assert kept.get(name) == FILLED.get(name)
    assert list((settings.instance_path / files.FOLDER).glob("*")) == []


def test_no_more_of_a_long_file_is_kept_on_its_way_than_shows_that_it_is_too_long(app: Flask) -> None:
    body, kind = encoded(
        {"purchase_order_file": FileStorage(io.BytesIO(PDF + b"x" * 2 * files.MOST_BYTES), "po.pdf")}
    )
    with app.test_request_context(
        "/en-gb/libraries", method="POST", data=body, content_type=kind, headers=SAME
    ) as context:
        assert app.preprocess_request() is None
        with closing(context.request.files["purchase_order_file"]) as file:
            assert file.stream.seek(0, io.SEEK_END) == files.MOST_BYTES + 1


@pytest.mark.parametrize(("market", "words"), [("en-gb", "may have 4 MB"), ("ru-gb", "не больше 4 МБ")])
def test_beyond_every_measure_a_page_says_how_large_a_file_may_be(
    client: Client, session: Session, market: str, words: str
) -> None:
    answer = client.post(
        f"/{market}/libraries",
        data=b"--b--",
        content_type="multipart/form-data; boundary=b",
        headers=SAME,
        environ_overrides={"CONTENT_LENGTH": str(files.MOST_SENT + 1)},
    )
    assert answer.status_code == 413
    assert words in answer.page.text.replace("\u00a0", " ")


def test_megabytes_in_a_form_with_files_are_refused(client: Client, session: Session) -> None:
    assert send(client, notes="x" * 3_000_000).status_code == 413
    assert orders(session) == []


def test_files_that_wait_for_their_forms_are_only_so_many(session: Session) -> None:
    def fill(s: Session) -> None:
        for number in range(files.UNATTACHED_AT_MOST):
            files.note(s, f"{number:043}", "po.pdf", PDF, NOW)

    transact(session, fill)
    with pytest.raises(files.NotTaken):
        transact(session, files.note, "x" * 43, "po.pdf", PDF, NOW + timedelta(minutes=59))
    # After an hour the next library's file takes the place of those that nobody came back for.
    transact(session, files.note, "y" * 43, "po.pdf", PDF, NOW + timedelta(minutes=61))
    assert [each.key for each in session.scalars(select(LibraryFile))] == ["y" * 43]
    transact(session, files.forget_waiting, NOW + timedelta(days=2))
    transact(session, files.note, "x" * 43, "po.pdf", PDF, NOW)


def test_what_lies_about_its_name_gets_the_ending_of_what_it_is(client: Client, session: Session) -> None:
    send(client, PDF, "../../etc/pass wd.html")
    assert [file.name for file in orders(session)[0].files] == ["pass wd.pdf"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("..\\..\\a.b.exe", "a.b.pdf"),
        ("\r\nBcc: x\u202e.pdf", "Bcc x.pdf"),
        ("...", "purchase-order.pdf"),
        ("", "purchase-order.pdf"),
        ("заявка № 5", "заявка № 5.pdf"),
        ("x" * 500, "x" * 100 + ".pdf"),
    ],
)
def test_the_name_of_a_file_does_no_harm(name: str, kept: str) -> None:
    assert files.plain_name(name, "pdf") == kept


def test_a_file_is_remembered_while_the_form_is_mended(client: Client, session: Session) -> None:
    refused = send(client, institution="")
    form = refused.page.form("institution")
    assert "PO 117.pdf" in refused.page.text
    assert client.submit(form, institution="University", consent="yes").status_code == 303
    (order,) = orders(session)
    assert [file.name for file in order.files] == ["PO 117.pdf"]


def test_a_mended_form_sent_twice_is_one_order_with_its_file(client: Client, session: Session) -> None:
    form = send(client, institution="").page.form("institution")
    answers = [client.submit(form, institution="University", consent="yes") for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    (order,) = orders(session)
    assert [file.name for file in order.files] == ["PO 117.pdf"]


def test_a_form_sent_once_more_with_a_file_brings_the_file(client: Client, session: Session) -> None:
    send(client, None)
    send(client)
    assert [len(each.files) for each in orders(session)] == [0, 1]


@pytest.mark.parametrize(("market", "words"), [("en-gb", "not here any more"), ("ru-gb", "больше нет")])
def test_a_file_that_was_dropped_meanwhile_is_asked_for_again(
    client: Client, session: Session, market: str, words: str
) -> None:
    form = send(client, institution="", market=market).page.form("institution")
    transact(session, files.forget_waiting, datetime.now(UTC) + timedelta(days=2))
    answer = client.submit(form, institution="University", consent="yes")
    assert answer.status_code == 400
    (told,) = answer.page.all(".//*[@id='purchase_order_file-error']")
    assert words in "".join(told.itertext()).replace("\u00a0", " ")
    assert orders(session) == []
    again = answer.page.form("institution")
    assert "purchase_order_kept" not in again.fields
    assert client.submit(again, consent="yes").status_code == 303  # or goes without it


def test_nobody_gets_the_file_of_another_ticket_by_its_key(client: Client, session: Session) -> None:
    send(client)
    (order,) = orders(session)
    send(client, None, attempt="g" * 24, purchase_order_kept=order.files[0].key, purchase_order="other")
    assert [len(each.files) for each in orders(session)] == [1, 0]


def test_a_double_click_with_a_file_is_one_order(client: Client, session: Session) -> None:
    assert send(client).headers["Location"] == send(client).headers["Location"]
    assert len(orders(session)) == 1


def test_files_that_no_ticket_holds_are_deleted_after_a_day(
    client: Client, session: Session, settings: Settings, app: Flask
) -> None:
    import os

    send(client)
    send(client, institution="", attempt="h" * 24)
    folder = Path(settings.instance_path) / files.FOLDER
    assert len(list(folder.iterdir())) == 2
    later = datetime.now(UTC) + timedelta(days=2)
    with app.app_context():
        keep_house(session, datetime.now(UTC), None)
        assert len(list(folder.iterdir())) == 2
        for each in folder.iterdir():
            os.utime(each, (later.timestamp() - 2 * 86400,) * 2)
        keep_house(session, later, None)
    (order,) = orders(session)
    assert [each.name for each in folder.iterdir()] == [order.files[0].key]


# Repeated orders


def test_one_purchase_order_of_one_domain_is_one_piece_of_work(session: Session) -> None:
    first = place(session, purchase_order="PO 1")
    again = place(session, purchase_order="po  1", email="second@uni.example", attempt="b" * 24)
    assert (again.joined_to_id, again.state, again.token == first.token) == (first.id, LibraryState.CLOSED, False)
    letters = session.scalars(select(Letter.kind).where(Letter.kind == Kind.LIBRARY_ORDER)).all()
    assert len(letters) == 2  # the number is written differently, so the distributor is told
    same = place(session, purchase_order="PO 1", attempt="c" * 24)
    assert same.joined_to_id == first.id
    assert len(session.scalars(select(Letter.id).where(Letter.kind == Kind.LIBRARY_ORDER)).all()) == 2
    assert story(session, first) == ["received", "routed", "joined_by", "joined_by"]


@pytest.mark.parametrize(
    ("changes", "resembles"),
    [
        ({"purchase_order": ""}, True),
        ({"email": "acquisitions@other.example", "institution": "Other"}, True),
        ({"email": "acquisitions@other.example", "institution": "Other", "purchase_order": "PO 2"}, False),
        ({"edition": "paperback"}, False),
        ({"purchase_order": "PO 2"}, True),
    ],
)
def test_what_only_looks_the_same_is_marked_and_not_joined(
    session: Session, changes: dict[str, object], resembles: bool
) -> None:
    first = place(session, purchase_order="PO 1")
    again = place(session, **{"purchase_order": "PO 1", "attempt": "b" * 24, **changes})
    assert again.joined_to_id is None
    assert (again.resembles_id == first.id) is resembles
    assert again.state is not LibraryState.CLOSED


def test_orders_without_a_number_are_never_joined(session: Session) -> None:
    place(session)
    assert place(session, attempt="b" * 24).joined_to_id is None


def test_nothing_is_joined_to_a_closed_ticket(session: Session) -> None:
    first = place(session, purchase_order="PO 1")
    transact(session, routing.move, first.id, LibraryState.CLOSED, VERA, "", NOW)
    again = place(session, purchase_order="PO 1", attempt="b" * 24)
    assert (again.joined_to_id, again.resembles_id) == (None, first.id)


def test_two_of_one_purchase_order_at_once_become_one_piece_of_work(app: Flask, session: Session) -> None:
    import threading

    from tests.conftest import engine_of

    together = threading.Barrier(6)

    def work(number: int) -> None:
        with Session(engine_of(app)) as own:
            together.wait()
            transact(
                own,
                lambda s: routing.place(
                    s, enquiry(purchase_order="PO 1", attempt=f"{number:024}"), MARKETS["en-gb"], NOW
                ),
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(order.joined_to_id is None for order in orders(session)) == 1
    assert len(orders(session)) == 6
    assert len(session.scalars(select(Letter.id).where(Letter.kind == Kind.LIBRARY_ORDER)).all()) == 1


def test_the_page_of_a_repeated_order_shows_nothing_of_the_first(client: Client, session: Session) -> None:
    ask(client, contact_name="Olga First")
    answer = client.get(ask(client, contact_name="Ivan Second", attempt="b" * 24).headers["Location"])
    first, _second = orders(session)
    assert first.ticket in answer.page.text
    assert "Olga First" not in answer.page.text
    assert first.token not in answer.get_data(as_text=True)


# The distributor's link


def test_opening_the_link_changes_nothing_whoever_does_it(client: Client, session: Session) -> None:
    order = place(session, purchase_order="PO 1")
    path = link_of(session, order)
    before = story(session, order)
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        assert client.open(path, method=method).status_code == 200
    answer = client.get(path, headers={"User-Agent": "Mozilla/5.0 (compatible; LinkScanner)"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    for fact in (order.ticket, "PO 1", "University", LIBRARIAN):
        assert fact in answer.page.text
    assert story(session, order) == before


def test_the_distributor_says_that_he_has_seen_it_and_supplied_it(client: Client, session: Session) -> None:
    order = place(session)
    path = link_of(session, order)
    page = client.get(path).page
    seen = client.submit(page.form("line"), ("answer", "seen"), line="on Monday")
    assert (seen.status_code, seen.headers["Location"]) == (303, path)
    assert "on Monday" in client.get(path).page.text
    assert client.submit(page.form("line"), ("answer", "seen")).status_code == 303  # once more changes nothing
    assert client.submit(page.form("line"), ("answer", "supplied"), line="DHL 12").status_code == 303
    assert state(session, order) is LibraryState.SUPPLIED
    assert story(session, order) == ["received", "routed", "seen", "supplied"]
    assert [event.actor for event in order.events[2:]] == ["distributor: Index Books"] * 2
    assert client.submit(page.form("line"), ("answer", "cannot_supply")).status_code == 409
    assert state(session, order) is LibraryState.SUPPLIED


def test_the_shopkeeper_hears_that_it_cannot_be_supplied(client: Client, session: Session) -> None:
    make_admin(session)
    order = place(session)
    page = client.get(link_of(session, order)).page
    assert client.submit(page.form("line"), ("answer", "cannot_supply"), line="sold out").status_code == 303
    letter = owed(session)[Kind.LIBRARY_ATTENTION, "vera@longlane.example"]
    assert (letter.context["reason"], letter.context["line"]) == ("cannot_supply", "sold out")


@pytest.mark.parametrize("button", ["", "closed", "answered", "received", "<b>"])
def test_the_link_is_good_for_its_three_answers_alone(client: Client, session: Session, button: str) -> None:
    order = place(session)
    assert client.post(link_of(session, order), data={"answer": button}, headers=SAME).status_code == 400
    assert state(session, order) is LibraryState.SENT


def test_a_line_that_is_too_long_or_hostile_does_no_harm(client: Client, session: Session) -> None:
    order = place(session)
    path = link_of(session, order)
    long = client.post(path, data={"answer": "seen", "line": "x" * 301}, headers=SAME)
    assert long.status_code == 400
    nasty = {"answer": "seen", "line": "a\r\nBcc: x@y.example<script>"}
    assert client.post(path, data=nasty, headers=SAME).status_code == 303
    assert order.events[-1].detail == "a Bcc: x@y.example<script>" or story(session, order)
    assert b"<script>" not in client.get(path).data


def test_the_link_of_one_ticket_opens_no_other_and_is_kept_as_a_digest_only(
    client: Client, session: Session
) -> None:
    one, other = place(session), place(session, attempt="b" * 24, institution="Another")
    path = link_of(session, one)
    assert "Another" not in client.get(path).page.text
    token = path.rpartition("/")[2]
    assert len(token) >= 43
    assert token not in {each.token_hash for each in session.scalars(select(DistributorLink))}
    for wrong in (token[:-1], token + "x", one.token, other.ticket, "x" * 5000):
        assert client.get(f"/distributor/{wrong}").status_code == 404
        assert client.post(f"/distributor/{wrong}", data={"answer": "seen"}, headers=SAME).status_code == 404
    assert client.post(path, data={"answer": "supplied"}, headers=SAME).status_code == 303
    assert (state(session, one), state(session, other)) == (LibraryState.SUPPLIED, LibraryState.SENT)


def test_all_links_of_a_ticket_end_when_it_is_closed(client: Client, session: Session) -> None:
    order = place(session)
    transact(session, chasing.remind_now, order.id, VERA, NOW)
    paths = [link_of(session, order), link_of(session, order, Kind.LIBRARY_REMINDER)]
    assert paths[0] != paths[1]
    transact(session, routing.move, order.id, LibraryState.CLOSED, VERA, "", NOW)
    for path in paths:
        assert client.get(path).status_code == 410
        assert client.post(path, data={"answer": "supplied"}, headers=SAME).status_code == 410
        with pytest.raises(LookupError):
            transact(session, answers.answer, path.rpartition("/")[2], Said.SUPPLIED, "", NOW)
    transact(session, routing.move, order.id, LibraryState.ANSWERED, VERA, "", NOW)
    assert client.get(paths[0]).status_code == 410  # opened again or not
    assert state(session, order) is LibraryState.ANSWERED


def test_the_desk_shows_no_link_with_which_it_could_answer_for_the_distributor(
    session: Session, settings: Settings
) -> None:
    order = place(session)
    token = link_of(session, order).rpartition("/")[2]
    (message,) = deliver(session, settings).to(DISTRIBUTOR)
    assert token in message.as_bytes().decode("ascii").replace("=\n", "").replace("=\r\n", "")
    session.rollback()
    sent = session.scalars(select(Letter).where(Letter.kind == Kind.LIBRARY_ORDER)).one()
    session.refresh(sent)
    assert sent.text
    assert token not in sent.text


# Reminders


def chased(session: Session, order: LibraryOrder, now: datetime) -> list[str]:
    for order_id in chasing.due(session, now):
        transact(session, chasing.chase, order_id, now)
    return story(session, order)


def test_first_the_distributor_is_reminded_then_the_shopkeeper_told_each_once(session: Session) -> None:
    make_admin(session)
    order = place(session)  # Monday noon; three working days later is Thursday
    assert "reminded" not in chased(session, order, NOW + timedelta(days=2, hours=20))
    for _ in range(3):
        assert chased(session, order, NOW + timedelta(days=3)).count("reminded") == 1
    # Two working days after Thursday is Monday.
    assert "told" not in chased(session, order, NOW + timedelta(days=6))
    for _ in range(3):
        assert chased(session, order, NOW + timedelta(days=7)).count("told") == 1
    assert chased(session, order, NOW + timedelta(days=99)).count("told") == 1
    kinds = [kind for kind, _recipient in owed(session)]
    assert kinds.count(Kind.LIBRARY_REMINDER) == kinds.count(Kind.LIBRARY_ATTENTION) == 1


def test_nobody_is_reminded_of_what_was_answered(session: Session) -> None:
    order = place(session)
    transact(session, routing.move, order.id, LibraryState.ANSWERED, VERA, "", NOW)
    assert chased(session, order, NOW + timedelta(days=30)) == ["received", "routed", "answered"]
    with pytest.raises(WrongState):
        transact(session, chasing.remind_now, order.id, VERA, NOW)


def test_who_has_it_in_hand_is_reminded_later(client: Client, session: Session, clock: MovedClock) -> None:
    order = place(session, datetime.now(UTC) - timedelta(days=7))
    due = order.chase_at
    assert due is not None
    assert client.post(link_of(session, order), data={"answer": "seen"}, headers=SAME).status_code == 303
    session.refresh(order)
    assert order.chase_at is not None
    assert order.chase_at > due


def test_the_owner_decides_after_how_many_days_and_the_worker_keeps_to_it(app: Flask, session: Session) -> None:
    make_admin(session)
    desk = make_client(app, after=session.rollback)
    let_in(desk)
    form = desk.get("/admin/libraries/rules").page.form("remind_days")
    assert desk.submit(form, remind_days="0").status_code == 422
    assert desk.submit(form, remind_days="1", tell_days="1").status_code == 303
    order = place(session, datetime.now(UTC) - timedelta(days=10))
    worker = Worker(app)
    worker.round(everything=True)
    assert story(session, order) == ["received", "routed", "reminded"]


# By country


def test_a_country_may_have_a_distributor_of_its_own_or_none(app: Flask, session: Session) -> None:
    make_admin(session)
    desk = make_client(app, after=session.rollback)
    let_in(desk)
    form = desk.get("/admin/setup/distributors/russian").page.form("local-country")
    there = {"local-country": "US", "local-name": "East View", "local-email": "books@east.example"}
    assert desk.submit(form, **there).status_code == 303
    assert desk.submit(form, **{"local-country": "DE"}).status_code == 303
    assert desk.submit(form, **{"local-country": "FR", "local-email": "x@y.example"}).status_code == 422
    assert place(session, country="US", attempt="u" * 24).routed_to == "books@east.example"
    assert place(session, country="DE", attempt="d" * 24).routed_to == ""
    assert place(session, country="GB", attempt="g" * 24).routed_to == DISTRIBUTOR
    page = desk.get("/en-gb/libraries").page.text
    assert "East View" in page
    removal = next(
        each for each in desk.get("/admin/setup/distributors/russian").page.forms() if "US/remove" in each.action
    )
    assert desk.submit(removal).status_code == 303
    assert [each.country for each in session.scalars(select(CountryDistributor))] == ["DE"]


# The list


def test_library_orders_are_taken_away_as_a_file_that_no_spreadsheet_obeys(app: Flask, session: Session) -> None:
    make_admin(session)
    order = place(session, institution='=HYPERLINK("http://evil.example")', purchase_order="+44", notes="@x")
    desk = make_client(app, after=session.rollback)
    let_in(desk)
    answer = desk.get("/admin/libraries.csv")
    text = answer.get_data(as_text=True)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert order.ticket in text
    for cell in ("'=HYPERLINK", "'+44", "'@x"):
        assert cell in text
    assert desk.get("/admin/libraries.csv?state=closed").get_data(as_text=True).count("\n") == 1
    assert desk.get("/admin/libraries.csv?state=nonsense").status_code == 404


def test_a_long_list_is_taken_away_in_pieces_each_order_once(app: Flask, session: Session) -> None:
    def fill(s: Session) -> None:
        for number in range(FIRST + 2):
            asked = enquiry(attempt=f"{number:024}", purchase_order=f"PO {number}")
            routing.place(s, asked, MARKETS["en-gb"], NOW)

    transact(session, fill)
    make_admin(session)
    desk = make_client(app, after=session.rollback)
    let_in(desk)
    pieces = list(desk.get("/admin/libraries.csv", buffered=False).response)
    assert len(pieces) == 3  # the heading, the first rows, the rest
    written = [row.split(",")[0] for row in b"".join(pieces).decode("utf-8-sig").splitlines()]
    told = [each for each in written if each.startswith("LB-")]
    assert told == list(session.scalars(select(LibraryOrder.ticket).order_by(LibraryOrder.id.desc())))


# Mail


def test_after_two_hours_without_mail_each_routed_order_arrives_once(session: Session, settings: Settings) -> None:
    begun = datetime.now(UTC) - timedelta(hours=3)
    tickets = {place(session, begun, attempt=f"{n:024}", institution=f"U{n}").ticket for n in range(5)}
    mailer = FakeMailer()
    writer = Renderer("http://shop.example", "Bookstall <shop@bookstall.example>", ala_lc)
    for minutes in range(0, 120, 5):
        mailer.troubles.append(MailServerAway("away"))
        deliver_due(session, mailer, writer, begun + timedelta(minutes=minutes))
        mailer.troubles.clear()
    assert mailer.sent == []
    for minutes in range(120, 180, 5):
        deliver_due(session, mailer, writer, begun + timedelta(minutes=minutes))
    subjects = [str(message["Subject"]) for message in mailer.to(DISTRIBUTOR)]
    assert len(subjects) == 5
    assert {subject.partition(":")[0] for subject in subjects} == tickets
    assert len({message["Message-ID"] for message in mailer.sent}) == len(mailer.sent) == 10


def test_links_that_never_were_lead_nowhere(session: Session) -> None:
    assert links.find(session, "x") is None
