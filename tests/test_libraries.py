"""Library orders: the form, what follows from it, the library's own page, and what hostile forms cannot do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.bibliography.romanisation import ala_lc
from shop.catalogue.models import Unconfirmed
from shop.database import transact
from shop.errors import WrongState
from shop.letters.delivery import deliver_due
from shop.letters.models import Kind, Letter
from shop.letters.rendering import Renderer
from shop.libraries import routing
from shop.libraries.models import LibraryOrder, LibraryState, Request
from shop.libraries.routing import MOVES, Enquiry
from shop.markets import MARKETS
from shop.orders.timeline import admin
from shop.storefront import form_marks
from shop.storefront.libraries import ORDERS_TOGETHER, POSTS_AT_ONCE
from shop.storefront.order_form import ATTEMPT
from shop.trader import Distributor
from tests.client import Answer, Client
from tests.conftest import MovedClock, engine_of
from tests.factories import Catalogue, make_admin
from tests.fake_mailer import FakeMailer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WRITER = Renderer("http://shop.example", "Bookstall <shop@bookstall.example>", ala_lc)
DISTRIBUTOR = "sales@indexbooks.co.uk"
LIBRARIAN = "acquisitions@uni.example"

FILLED = {
    "institution": "University of Somewhere",
    "department": "Slavonic section",
    "contact_name": "Olga O’Neil",
    "email": LIBRARIAN,
    "phone": "+44 1234 567890",
    "edition": "russian",
    "quantity": "3",
    "request": "order",
    "delivery_address": "Library, Loading Bay 2\nSomewhere SO1 2ME",
    "country": "GB",
    "invoice_address": "Finance Office\nSomewhere SO1 3ME",
    "invoice_email": "finance@uni.example",
    "purchase_order": "PO-2026/117",
    "own_reference": "HIST-44",
    "san": "SAN 123-4567",
    "payment_route": "bank transfer",
    "currency": "GBP",
    "vat_number": "GB 123 4567 89",
    "tax_exempt": "yes",
    "vendor_forms": "W-8BEN-E",
    "deadline": "2999-12-31",
    "marc_wanted": "yes",
    "notes": "Two for the main library,\none for the reading room.",
    "consent": "yes",
}
FIELDS = set(FILLED)


@pytest.fixture(autouse=True)
def _shop(catalogue: Catalogue) -> Catalogue:
    return catalogue


def ask(client: Client, market: str = "en-gb", **changes: str) -> Answer:
    """Fill in the form of a market as a browser would, and send it."""
    form = client.get(f"/{market}/libraries").page.form("institution")
    return client.submit(form, **{**FILLED, **changes})


def orders(session: Session) -> list[LibraryOrder]:
    session.rollback()
    return list(session.scalars(select(LibraryOrder).order_by(LibraryOrder.id)))


def owed(session: Session) -> dict[tuple[Kind, str], Letter]:
    session.rollback()
    return {(letter.kind, letter.recipient): letter for letter in session.scalars(select(Letter))}


def bare(text: str) -> str:
    return " ".join(text.split())


def sent(session: Session) -> FakeMailer:
    mailer = FakeMailer()
    while deliver_due(session, mailer, WRITER, datetime.now(UTC) + timedelta(minutes=1)):
        pass
    return mailer


@pytest.mark.parametrize("market", MARKETS)
def test_the_form_carries_the_fields_of_a_library_order_and_no_others(client: Client, market: str) -> None:
    page = client.get(f"/{market}/libraries").page
    form = page.form("institution")
    names = {each.get("name") for each in form.element.iter() if each.get("name")}
    assert names == FIELDS | {"attempt", "website", "purchase_order_file"}
    starred = {each.get("id") for each in form.element.iter() if each.get("required") is not None}
    assert starred == {
        *("institution", "contact_name", "email", "edition", "quantity", "request"),
        *("delivery_address", "country", "consent"),
    }
    assert "Index Books" in page.text


def test_a_library_order_is_kept_and_its_letters_are_owed(client: Client, session: Session) -> None:
    answer = ask(client)
    (order,) = orders(session)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/en-gb/libraries/{order.token}"
    assert len(order.token) >= 32
    assert routing.by_ticket(session, order.ticket.lower().replace("-", " ")) is order
    assert order.state is LibraryState.SENT
    assert order.routed_to == DISTRIBUTOR
    assert order.institution == "University of Somewhere"
    assert order.delivery_address == "Library, Loading Bay 2\nSomewhere SO1 2ME"
    assert order.notes == "Two for the main library,\none for the reading room."
    assert (order.quantity, order.request, order.market) == (3, Request.ORDER, "en-gb")
    assert order.tax_exempt
    assert order.marc_wanted
    assert order.deadline
    assert [event.kind for event in order.events] == ["received", "routed"]
    assert set(owed(session)) == {(Kind.LIBRARY_ORDER, DISTRIBUTOR), (Kind.LIBRARY_ACKNOWLEDGED, LIBRARIAN)}


def test_the_distributor_gets_one_screen_of_plain_text(client: Client, session: Session) -> None:
    ask(client)
    (order,) = orders(session)
    (message,) = sent(session).to(DISTRIBUTOR)
    assert message["Reply-To"] == LIBRARIAN
    assert order.ticket in message["Subject"]
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert len(text.splitlines()) <= 50
    said = bare(text)
    for fact in (
        order.ticket,
        "Asked for: delivery with an invoice (a firm order)",
        "Title: Русская революция в отступлении",
        "Romanised: Russkai͡a revoli͡ut͡sii͡a v otstuplenii",
        "Copies: 3",
        "Institution: University of Somewhere",
        "Department: Slavonic section",
        "Contact: Olga O’Neil",
        f"E-mail: {LIBRARIAN}",
        "Telephone: +44 1234 567890",
        "Deliver to: Library, Loading Bay 2 Somewhere SO1 2ME United Kingdom",
        "Invoice to: Finance Office Somewhere SO1 3ME",
        "E-mail for the invoice: finance@uni.example",
        "Purchase order: PO-2026/117",
        "Library’s reference: HIST-44",
        "SAN or GLN: SAN 123-4567",
        "Payment: bank transfer",
        "Currency: GBP",
        "VAT number: GB 123 4567 89",
        "Exempt from tax: yes",
        "W-8BEN-E",
        "Needed by: 31 December 2999",
        "MARC record wanted: yes",
        "Two for the main library, one for the reading room.",
    ):
        assert fact in said


@pytest.mark.parametrize("market", ["en-us", "ru-us"])
def test_the_library_gets_an_acknowledgement_in_its_language(
    client: Client, session: Session, market: str
) -> None:
    ask(client, market)
    (order,) = orders(session)
    (message,) = sent(session).to(LIBRARIAN)
    assert order.ticket in message["Subject"]
    body = message.get_body(("plain",))
    assert body is not None
    said = bare(body.get_content())
    assert "Index Books" in said
    assert f"http://shop.example/{market}/libraries/{order.token}" in said
    assert "PO-2026/117" in said
    assert ("Спасибо" in said) == (market == "ru-us")
    # What anybody could type to annoy a third person does not travel in it.
    assert "reading room" not in said
    assert "Olga" not in said


def test_a_paperback_for_a_library_comes_to_the_shopkeepers(client: Client, session: Session) -> None:
    make_admin(session, "vera@longlane.example", language="en")
    make_admin(session, "anna@longlane.example", language="ru")
    ask(client, edition="paperback", request="quote")
    (order,) = orders(session)
    assert (order.state, order.routed_to) == (LibraryState.RECEIVED, "")
    mailer = sent(session)
    (to_vera,), (to_anna,) = mailer.to("vera@longlane.example"), mailer.to("anna@longlane.example")
    assert to_vera["Reply-To"] == to_anna["Reply-To"] == LIBRARIAN
    assert "library enquiry" in to_vera["Subject"]
    assert "запрос библиотеки" in to_anna["Subject"]
    (acknowledged,) = mailer.to(LIBRARIAN)
    assert "We supply this edition ourselves" in acknowledged.as_bytes().decode("ascii").replace("=\r\n", "")


def test_an_unconfirmed_distributor_counts_as_none_in_production(session: Session) -> None:
    make_admin(session)
    doubt = update(Unconfirmed).where(Unconfirmed.fact == "distributor").values(confirmed_at=None)
    transact(session, lambda s: s.execute(doubt))
    for confirmed_only, routed_to in ((True, ""), (False, DISTRIBUTOR)):
        order = transact(
            session,
            lambda s, only=confirmed_only: routing.place(
                s, enquiry(attempt=f"a{only}"), MARKETS["en-gb"], NOW, confirmed_only=only
            ),
        )
        assert order.routed_to == routed_to


def test_without_a_distributor_the_order_comes_to_the_shop(client: Client, session: Session) -> None:
    make_admin(session)
    transact(session, lambda s: [s.delete(each) for each in s.scalars(select(Distributor))])
    ask(client)
    (order,) = orders(session)
    assert order.routed_to == ""
    assert (Kind.LIBRARY_ORDER, "vera@longlane.example") in owed(session)


@pytest.mark.parametrize("market", ["en-gb", "ru-gb"])
def test_the_librarys_own_page_shows_how_things_stand_to_nobody_else(
    client: Client, session: Session, market: str
) -> None:
    answer = client.get(ask(client, market).headers["Location"])
    (order,) = orders(session)
    assert answer.status_code == 200
    for fact in (order.ticket, "Index Books", LIBRARIAN, "PO-2026/117", "Loading Bay 2", "reading room"):
        assert fact in answer.page.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    before = answer.page.text
    moved = transact(
        session,
        lambda s: routing.move(s, order.id, LibraryState.CANNOT_SUPPLY, admin("Vera"), "sold out", NOW),
    )
    assert moved.state is LibraryState.CANNOT_SUPPLY
    after = client.get(answer.request.path).page.text
    assert after != before
    assert "sold out" not in after


def test_an_unknown_address_of_a_library_is_not_found(client: Client) -> None:
    for token in ("x", "a" * 43, "%D0%B0", "a" * 2000):
        assert client.get(f"/en-gb/libraries/{token}").status_code == 404


@pytest.mark.parametrize("market", ["en-gb", "ru-gb"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("institution", ""),
        ("institution", " \t "),
        ("institution", "x" * 201),
        ("contact_name", ""),
        ("email", ""),
        ("email", "nobody"),
        ("email", "a@b.example\r\nBcc: c@d.example"),
        ("email", "a@b.example, c@d.example"),
        ("invoice_email", "nobody@"),
        ("edition", ""),
        ("edition", "hardback"),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", "1.5"),
        ("quantity", "٣"),
        ("quantity", "501"),
        ("quantity", "9" * 400),
        ("request", ""),
        ("request", "gift"),
        ("delivery_address", ""),
        ("delivery_address", "x" * 601),
        ("country", ""),
        ("country", "XX"),
        ("currency", "RUB"),
        ("deadline", "tomorrow"),
        ("deadline", "2020-01-01"),
        ("notes", "x" * 2001),
        ("purchase_order", "x" * 61),
        ("consent", ""),
    ],
)
def test_a_mistake_is_named_beside_its_field_and_nothing_typed_is_lost(
    client: Client, session: Session, market: str, field: str, value: str
) -> None:
    form = client.get(f"/{market}/libraries").page.form("institution")
    data = {**form.fields, **FILLED, field: value}
    if field == "consent":
        del data["consent"]
    answer = client.post(f"/{market}/libraries", data=data)
    assert answer.status_code == 400
    assert orders(session) == []
    assert answer.headers["Cache-Control"] == "no-store"
    page = answer.page
    assert page.all(f".//*[@id='{field}-error']")
    assert f"#{field}" in page.links()
    kept = page.form("institution").fields
    assert kept["attempt"] == data["attempt"]
    for name in FIELDS - {field, "consent"}:
        assert kept[name] == FILLED[name]


def test_mistakes_are_listed_in_the_order_of_the_fields(client: Client) -> None:
    page = client.post("/en-gb/libraries", data={}).page
    listed = [each.get("href", "") for each in page.all(".//div[@role='alert']//a")]
    shown = [f"#{each.get('id')}" for each in page.root.iter() if each.get("aria-invalid") == "true"]
    assert listed == shown
    assert len(shown) > 5


@pytest.mark.parametrize("market", ["en-gb", "ru-gb"])
def test_an_empty_form_is_a_list_of_what_is_missing(client: Client, session: Session, market: str) -> None:
    answer = client.post(f"/{market}/libraries", data={})
    assert answer.status_code == 400
    needed = {
        "institution",
        "contact_name",
        "email",
        "edition",
        "quantity",
        "request",
        "delivery_address",
        "country",
    }
    assert {link[1:] for link in answer.page.links() if link.startswith("#")} >= needed | {"consent"}
    assert orders(session) == []


def test_a_double_click_is_one_order(client: Client, session: Session) -> None:
    form = client.get("/en-gb/libraries").page.form("institution")
    first, second = client.submit(form, **FILLED), client.submit(form, **FILLED)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(orders(session)) == 1
    assert len(owed(session)) == 2
    third = client.submit(form, **{**FILLED, "quantity": "4"})
    assert third.headers["Location"] != first.headers["Location"]


def enquiry(**changes: object) -> Enquiry:
    values: dict[str, object] = {
        "institution": "University",
        "contact_name": "Olga",
        "email": LIBRARIAN,
        "delivery_address": "Library",
        "country": "GB",
        "edition": "russian",
        "quantity": 1,
        "request": Request.ORDER,
        "attempt": "a" * 24,
    }
    return Enquiry(**{**values, **changes})  # type: ignore[arg-type]


def test_the_same_enquiry_from_many_at_once_is_one_order(app: Flask, session: Session) -> None:
    tickets, together = set(), threading.Barrier(8)

    def work() -> None:
        with Session(engine_of(app)) as own:
            together.wait()
            tickets.add(transact(own, lambda s: routing.place(s, enquiry(), MARKETS["en-gb"], NOW).ticket))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tickets) == 1
    assert len(orders(session)) == 1
    assert len(owed(session)) == 2


def test_a_machine_that_fills_in_the_trap_is_thanked_and_nothing_happens(client: Client, session: Session) -> None:
    answer = ask(client, website="http://spam.example")
    assert answer.status_code == 303
    assert client.get(answer.headers["Location"]).status_code == 200
    assert orders(session) == []
    assert owed(session) == {}


def test_a_flood_from_one_address_is_slowed_and_the_next_library_is_served(
    client: Client, session: Session, app: Flask, clock: MovedClock
) -> None:
    for number in range(POSTS_AT_ONCE):
        assert ask(client, own_reference=str(number), email=f"a{number}@uni.example").status_code == 303
    for _ in range(3):
        refused = ask(client, own_reference="kept")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) <= 60
        assert refused.page.form("institution").fields["own_reference"] == "kept"
    assert len(orders(session)) == POSTS_AT_ONCE
    honest = client.post(
        "/en-gb/libraries", data={**FILLED, "attempt": "b" * 24}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert honest.status_code == 303
    for number in range(3):  # the address itself is never closed for longer than a minute
        clock.advance(minutes=1)
        assert ask(client, own_reference=f"later {number}", email=f"b{number}@uni.example").status_code == 303
        assert ask(client, own_reference="kept").status_code == 429


@pytest.mark.parametrize("with_a_mark", [False, True], ids=["without a mark", "with one mark again and again"])
def test_a_library_behind_the_very_address_that_floods_is_served(
    client: Client, session: Session, clock: MovedClock, with_a_mark: bool
) -> None:
    form, theirs = (client.get("/en-gb/libraries").page.form("institution") for _ in range(2))
    clock.advance(seconds=30)
    for number in range(40):
        data = {**FILLED, "own_reference": str(number), "email": f"a{number}@spam.example"}
        data["attempt"] = theirs.fields["attempt"] if with_a_mark else f"{number:024}"
        client.post("/en-gb/libraries", data=data)
    assert client.post("/en-gb/libraries", data={**FILLED, "attempt": "c" * 24}).status_code == 429
    assert len(orders(session)) <= 2 * POSTS_AT_ONCE
    bad = client.submit(form, **{**FILLED, "institution": ""})
    assert bad.status_code == 400
    assert bad.page.form("institution").fields["attempt"] == form.fields["attempt"]
    assert client.submit(form, **FILLED).status_code == 303


def test_a_form_counts_as_opened_when_it_was_opened_here_and_somebody_can_have_filled_it_in() -> None:
    mark = form_marks.fresh("secret", NOW)
    assert ATTEMPT.fullmatch(mark)
    assert form_marks.was_opened(mark, "secret", NOW + timedelta(minutes=5))
    late, early = NOW + timedelta(days=2), NOW + timedelta(seconds=1)
    assert not any(form_marks.was_opened(mark, "secret", moment) for moment in (late, early))
    assert not form_marks.was_opened(mark, "another", NOW + timedelta(minutes=5))
    for wrong in (
        "",
        "b" * 24,
        "x" + mark[1:],
        mark[:-1],
        mark + "x",
        mark[:22] + "ffffffff" + mark[30:],
        "é" * 60,
    ):
        assert not form_marks.was_opened(wrong, "secret", NOW + timedelta(minutes=5))


def test_one_reader_is_not_written_to_without_end(client: Client, session: Session) -> None:
    statuses = []
    for number in range(12):
        data = {**FILLED, "attempt": f"{number:024}", "email": "victim@mail.example"}
        environ = {"REMOTE_ADDR": f"192.0.2.{number}"}
        statuses.append(client.post("/en-gb/libraries", data=data, environ_base=environ).status_code)
    assert statuses == [303] * 10 + [429] * 2
    assert ORDERS_TOGETHER > 12


HOSTILE = "Anne\r\nBcc: victim@mail.example\r\n\r\n<script>alert(1)</script>\u2028\u202eevil\x1b[2J"


def test_a_hostile_form_sends_nothing_it_should_not(client: Client, session: Session) -> None:
    texts = [
        name
        for name, value in FILLED.items()
        if name
        not in (
            *("email", "invoice_email", "edition", "quantity", "request", "country", "currency", "deadline"),
            *("tax_exempt", "marc_wanted", "consent", "san", "vat_number", "payment_route", "phone"),
            *("purchase_order", "own_reference"),
        )
    ]
    answer = ask(client, **dict.fromkeys(texts, HOSTILE))
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"])
    assert b"<script" not in page.data
    (order,) = orders(session)
    assert "\n" not in order.institution
    assert "\x1b" not in order.institution + order.notes
    mailer = sent(session)
    assert len(mailer.sent) == 2
    for message in mailer.sent:
        assert message["Bcc"] is None
        html = message.get_body(("html",))
        assert html is not None
        assert "<script" not in html.get_content()


@pytest.mark.parametrize(
    "field",
    [
        *("institution", "department", "contact_name", "email", "phone", "delivery_address", "invoice_address"),
        *(
            "invoice_email",
            "purchase_order",
            "own_reference",
            "payment_route",
            "vat_number",
            "vendor_forms",
            "san",
        ),
        *("notes", "edition", "quantity", "request", "country", "currency", "deadline"),
    ],
)
def test_no_field_adds_a_recipient_or_a_header(client: Client, session: Session, field: str) -> None:
    """Refused beside its field, or kept in one line and written to those alone who were to be written to."""
    answer = ask(client, **{field: f"{FILLED[field][:9]}\r\nBcc: v@x.example\r\n\r\n<b>"})
    if answer.status_code == 400:
        assert (orders(session), owed(session)) == ([], {})
        return
    assert answer.status_code == 303
    messages = sent(session).sent
    assert sorted(str(message["To"]) for message in messages) == sorted([LIBRARIAN, DISTRIBUTOR])
    for message in messages:
        assert not {"Bcc", "Cc"} & set(message.keys())
        for header in ("Subject", "From", "To", "Reply-To"):
            assert "\n" not in str(message[header] or "")
        html = message.get_body(("html",))
        assert html is not None
        assert "<b>" not in html.get_content()


def test_broken_or_huge_forms_are_refused_as_a_client_error(client: Client, session: Session) -> None:
    nul = client.post("/en-gb/libraries", data={**FILLED, "institution": "a\0b"})
    broken = client.post(
        "/en-gb/libraries", data=b"institution=%ff%fe", content_type="application/x-www-form-urlencoded"
    )
    huge = client.post("/en-gb/libraries", data={**FILLED, "notes": "x" * 3_000_000})
    twice = client.post("/en-gb/libraries", data={**FILLED, "email": [LIBRARIAN, "second@uni.example"]})
    assert [nul.status_code, broken.status_code, huge.status_code, twice.status_code] == [400, 400, 413, 400]
    assert (
        client.post("/en-gb/libraries", data=FILLED, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    assert orders(session) == []


def test_a_form_without_its_mark_is_taken(client: Client, session: Session) -> None:
    assert client.post("/en-gb/libraries", data=FILLED).status_code == 303
    assert len(orders(session)) == 1


def test_the_edition_can_be_chosen_by_the_address(client: Client) -> None:
    for query, chosen in (("?edition=paperback", "paperback"), ("", ""), ("?edition=%3Cb%3E", "")):
        assert client.get(f"/en-gb/libraries{query}").page.form("institution").fields["edition"] == chosen


def test_every_move_outside_the_table_is_refused(session: Session) -> None:
    order_id = transact(session, lambda s: routing.place(s, enquiry(), MARKETS["en-gb"], NOW).id)
    actor = admin("Vera")
    for before in LibraryState:
        for after in LibraryState:

            def work(s: Session, before: LibraryState = before, after: LibraryState = after) -> LibraryState:
                s.execute(update(LibraryOrder).values(state=before))
                return routing.move(s, order_id, after, actor, "", NOW).state

            if after is before or after in MOVES[before]:
                assert transact(session, work) is after
            else:
                with pytest.raises(WrongState):
                    transact(session, work)


def test_a_move_leaves_a_line_that_says_who_and_why(session: Session) -> None:
    order_id = transact(session, lambda s: routing.place(s, enquiry(), MARKETS["en-gb"], NOW).id)
    for _ in range(2):
        transact(session, lambda s: routing.move(s, order_id, LibraryState.SUPPLIED, admin("Vera"), "two", NOW))
    order = session.get_one(LibraryOrder, order_id)
    assert [(event.kind, event.actor, event.detail) for event in order.events] == [
        ("received", "buyer", ""),
        ("routed", "system", "Index Books"),
        ("supplied", "admin: Vera", "two"),
    ]


def test_a_ticket_is_found_however_it_was_typed(session: Session) -> None:
    order = transact(session, lambda s: routing.place(s, enquiry(), MARKETS["ru-gb"], NOW))
    typed = order.ticket.removeprefix("LB-")
    for form in (order.ticket, order.ticket.lower(), typed, f" lb {typed[:4]} {typed[4:]} "):
        found = routing.by_ticket(session, form)
        assert found is not None
        assert found.id == order.id
    assert routing.by_ticket(session, "LB-00000001") is None
    assert routing.by_ticket(session, "") is None
