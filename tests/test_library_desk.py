"""The library desk: papers numbered without gaps and never changed, copies held and sold, payments, credits, papers."""

from __future__ import annotations

import io
import threading
from datetime import UTC, date, datetime, timedelta

import pypdf
import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop import audit, erasure
from shop.database import transact
from shop.documents import library_papers
from shop.errors import OutOfStock, WrongState
from shop.letters.models import Kind, Letter
from shop.libraries import billing, chasing, desk, papers, routing
from shop.libraries.models import LibraryOrder, LibraryState, Stage
from shop.libraries.paper_models import Paper, PaperFile, PaperKind, PaperSeries
from shop.libraries.papers import Terms
from shop.markets import MARKETS, day_of, write_money
from shop.money import Currency
from shop.orders.timeline import admin
from shop.stock import Stock
from shop.trader import Trader, Vendor, trader, vendor
from shop.worker import Worker
from tests.client import Client, let_in, make_client
from tests.conftest import MovedClock, engine_of
from tests.factories import Catalogue, make_admin, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.test_libraries import LIBRARIAN, enquiry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
VERA = admin("Vera")
NAME = "Щукина-Ёлкина Анна Юрьевна"
INSTITUTION = "Библиотека имени Ф. Э. Ёлкина — «Große Straße» #panic($x$) <б> fi ffi"
TERMS = Terms(3, 2200, 350, Currency.GBP)


@pytest.fixture(autouse=True)
def _shop(catalogue: Catalogue) -> Catalogue:
    return catalogue


def place(session: Session, market: str = "en-gb", **changes: object) -> LibraryOrder:
    asked = {"edition": "paperback", "quantity": 3, "purchase_order": "PO 1", **changes}
    return transact(session, lambda s: routing.place(s, enquiry(**asked), MARKETS[market], NOW))


def do(session: Session, work: object, *arguments: object) -> object:
    """One step of the desk, by Vera at noon."""
    done = transact(session, work, *arguments, VERA, NOW)  # type: ignore[arg-type]
    session.expire_all()
    return done


def invoiced(session: Session, market: str = "en-gb", **changes: object) -> tuple[LibraryOrder, Paper]:
    order = place(session, market, **changes)
    do(session, desk.accept, order.id, "PO 1", 3)
    paper = do(session, desk.invoice, order.id, TERMS)
    assert isinstance(paper, Paper)
    return order, paper


def text_of(body: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(body)).pages)


def shelf(session: Session, edition_id: int) -> tuple[int, int, int]:
    session.expire_all()
    row = session.get_one(Stock, edition_id)
    return row.on_hand, row.held, row.allocated


def found(session: Session) -> list[str]:
    return [str(each) for each in audit.run(session)]


def letters(session: Session, kind: Kind) -> list[Letter]:
    session.rollback()
    return list(session.scalars(select(Letter).where(Letter.kind == kind).order_by(Letter.id)))


# Numbers


def test_twenty_at_once_are_numbered_without_gaps_and_the_refused_take_no_number(
    app: Flask, session: Session
) -> None:
    ids = [place(session, attempt=f"{n:024}", purchase_order=f"PO {n}").id for n in range(20)]
    broken = place(session, attempt="x" * 24, purchase_order="PO x").id
    together, errors = threading.Barrier(21), []

    def issue(order_id: int) -> None:
        with Session(engine_of(app)) as own:
            together.wait()
            try:
                transact(own, desk.offer, order_id, PaperKind.QUOTE, TERMS, VERA, NOW)
            except Exception as error:
                errors.append(error)

    def fail() -> None:
        def work(s: Session) -> None:
            desk.offer(s, broken, PaperKind.QUOTE, TERMS, VERA, NOW)
            raise WrongState("after the number was drawn")

        with Session(engine_of(app)) as own:
            together.wait()
            with pytest.raises(WrongState):
                transact(own, work)

    threads = [threading.Thread(target=issue, args=(each,)) for each in ids] + [threading.Thread(target=fail)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    session.rollback()
    assert sorted(session.scalars(select(Paper.serial))) == list(range(1, 21))
    assert {paper.number for paper in session.scalars(select(Paper))} == {f"Q-{n:05d}" for n in range(1, 21)}
    assert found(session) == []


def test_each_kind_of_paper_has_a_series_of_its_own(session: Session) -> None:
    order, invoice = invoiced(session)
    note = do(session, desk.credit, invoice.id, 1, 0, 0)
    assert (invoice.number, note.number) == ("INV-00001", "CN-00001")  # type: ignore[attr-defined]
    again, other = invoiced(session, attempt="b" * 24, purchase_order="PO 2")
    assert other.number == "INV-00002"
    assert order.id != again.id


@pytest.mark.parametrize("spoil", ["gap", "content", "pdf", "counter"])
def test_the_audit_names_a_missing_number_and_whatever_was_changed(session: Session, spoil: str) -> None:
    _order, paper = invoiced(session)
    library_papers.make(session, paper.id, NOW)
    assert found(session) == []

    def work(s: Session) -> None:
        if spoil == "gap":
            s.execute(update(Paper).values(serial=2))
        elif spoil == "counter":
            s.execute(update(PaperSeries).values(last=2))
        elif spoil == "content":
            row = s.get_one(Paper, paper.id)
            row.data = row.data | {"buyer": row.data["buyer"] | {"institution": "Another"}}
        else:
            s.execute(update(PaperFile).values(pdf=b"%PDF-other"))

    transact(session, work)
    assert len(found(session)) == 1


# From quotation to credit


def test_an_order_goes_from_quotation_to_payment_and_its_copies_with_it(
    session: Session, catalogue: Catalogue
) -> None:
    set_stock(session, catalogue.paperback, 10)
    order = place(session, request=routing.Request.QUOTE)
    quote = do(session, desk.offer, order.id, PaperKind.QUOTE, TERMS)
    assert (quote.valid_until, order.stage, order.state) == (  # type: ignore[attr-defined]
        date(2026, 12, 23),
        Stage.QUOTED,
        LibraryState.ANSWERED,
    )
    do(session, desk.accept, order.id, "PO 4711", 3)
    assert (order.purchase_order, shelf(session, catalogue.paperback)) == ("PO 4711", (10, 3, 0))
    invoice = do(session, desk.invoice, order.id, TERMS)
    assert isinstance(invoice, Paper)
    assert (invoice.amount, invoice.due_on, shelf(session, catalogue.paperback)) == (
        6950,
        date(2026, 12, 23),
        (10, 0, 3),
    )
    do(session, desk.post, order.id, 2, "Royal Mail", "RM 1")
    assert (shelf(session, catalogue.paperback), order.state) == ((8, 0, 1), LibraryState.ANSWERED)
    do(session, desk.post, order.id, 1, "", "")
    assert (shelf(session, catalogue.paperback), order.state) == ((7, 0, 0), LibraryState.SUPPLIED)
    assert [(each.quantity, each.tracking) for each in order.parcels] == [(2, "RM 1"), (1, "")]
    do(session, desk.note_paid, invoice.id, date(2026, 12, 1), "FT 1")
    assert papers.open_sum(session, invoice) == 0
    do(session, desk.credit, invoice.id, 1, 0, 1)
    assert shelf(session, catalogue.paperback) == (8, 0, 0)
    assert found(session) == []
    assert [event.kind for event in order.events] == [
        *("received", "issued_quote", "answered", "accepted", "issued_invoice", "posted", "posted", "supplied"),
        *("paid", "issued_credit_note"),
    ]


def test_copies_are_held_from_the_accepted_order_or_nothing_is(session: Session, catalogue: Catalogue) -> None:
    set_stock(session, catalogue.paperback, 2)
    order = place(session)
    with pytest.raises(OutOfStock):
        do(session, desk.accept, order.id, "PO 1", 3)
    session.expire_all()
    assert (order.stage, order.held, shelf(session, catalogue.paperback)) == (Stage.NONE, 0, (2, 0, 0))
    do(session, desk.accept, order.id, "PO 1", 2)
    with pytest.raises(WrongState):
        do(session, desk.accept, order.id, "PO 1", 1)
    assert found(session) == []


def test_a_purchase_order_that_was_accepted_at_the_desk_is_known_when_the_form_brings_it(session: Session) -> None:
    order = place(session, purchase_order="")
    do(session, desk.accept, order.id, "PO 88", 3)
    again = place(session, purchase_order="PO 88", attempt="b" * 24)
    assert again.joined_to_id == order.id


def test_four_who_do_the_same_at_once_do_it_once(app: Flask, session: Session, catalogue: Catalogue) -> None:
    set_stock(session, catalogue.paperback, 40)
    order = place(session)
    steps = (
        (desk.accept, order.id, "PO 1", 3),
        (desk.invoice, order.id, TERMS),
        (desk.post, order.id, 3, "", ""),
    )
    for work, *arguments in steps:
        together, done = threading.Barrier(4), []

        def act(work: object = work, arguments: list[object] = arguments, done: list[str] = done) -> None:
            with Session(engine_of(app)) as own:
                together.wait()  # noqa: B023 - the threads end before the next step
                try:
                    transact(own, work, *arguments, VERA, NOW)  # type: ignore[arg-type]
                except WrongState:
                    done.append("refused")
                else:
                    done.append("done")

        threads = [threading.Thread(target=act) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == ["done", *["refused"] * 3]
    session.rollback()
    assert shelf(session, catalogue.paperback) == (37, 0, 0)
    assert found(session) == []


def test_what_was_put_aside_goes_back_on_sale_when_the_order_is_closed(
    session: Session, catalogue: Catalogue
) -> None:
    before = shelf(session, catalogue.paperback)
    order = place(session)
    do(session, desk.accept, order.id, "PO 1", 3)
    with pytest.raises(WrongState):
        transact(session, routing.move, order.id, LibraryState.CLOSED, VERA, "", NOW)
    do(session, desk.let_go, order.id)
    transact(session, routing.move, order.id, LibraryState.CLOSED, VERA, "", NOW)
    assert shelf(session, catalogue.paperback) == before
    assert found(session) == []


def test_an_order_with_an_open_invoice_is_not_closed(session: Session) -> None:
    order, invoice = invoiced(session)
    with pytest.raises(WrongState):
        do(session, desk.let_go, order.id)
    do(session, desk.post, order.id, 3, "", "")
    with pytest.raises(WrongState):
        do(session, desk.let_go, order.id)
    do(session, desk.credit, invoice.id, 3, 350, 0)
    do(session, desk.let_go, order.id)


def test_nothing_is_credited_that_was_not_invoiced_or_comes_back_that_was_not_posted(session: Session) -> None:
    order, invoice = invoiced(session)
    for copies, postage, back in ((4, 0, 0), (1, 0, 1), (0, 0, 0), (3, 351, 0), (0, -1, 0), (1, 0, 2)):
        with pytest.raises(WrongState):
            do(session, desk.credit, invoice.id, copies, postage, back)
    do(session, desk.post, order.id, 3, "", "")
    do(session, desk.credit, invoice.id, 2, 0, 2)
    with pytest.raises(WrongState):
        do(session, desk.credit, invoice.id, 2, 0, 0)
    do(session, desk.credit, invoice.id, 1, 350, 1)
    assert papers.open_sum(session, invoice) == 0
    assert found(session) == []


def test_more_than_was_put_aside_is_neither_invoiced_nor_posted(session: Session) -> None:
    order = place(session)
    do(session, desk.accept, order.id, "PO 1", 3)
    with pytest.raises(WrongState):
        do(session, desk.invoice, order.id, Terms(4, 2200, 0, Currency.GBP))
    for copies in (0, 4, -1):
        with pytest.raises(WrongState):
            do(session, desk.post, order.id, copies, "", "")
    do(session, desk.post, order.id, 3, "", "")  # before the invoice
    do(session, desk.invoice, order.id, TERMS)
    with pytest.raises(WrongState):
        do(session, desk.invoice, order.id, TERMS)
    assert found(session) == []


def test_a_paid_pro_forma_pays_the_invoice_of_its_sum(session: Session) -> None:
    order = place(session)
    advance = do(session, desk.offer, order.id, PaperKind.PRO_FORMA, TERMS)
    do(session, desk.note_paid, advance.id, date(2026, 11, 24), "FT 9")  # type: ignore[attr-defined]
    with pytest.raises(WrongState):
        do(session, desk.offer, order.id, PaperKind.PRO_FORMA, TERMS)
    do(session, desk.accept, order.id, "PO 1", 3)
    invoice = do(session, desk.invoice, order.id, TERMS)
    assert isinstance(invoice, Paper)
    assert (invoice.paid_on, invoice.paid_note, invoice.remind_at) == (date(2026, 11, 24), "PF-00001", None)
    text = text_of(library_papers.make(session, invoice.id, NOW))
    assert "24\u00a0November 2026" in text
    assert "payable within" not in text


def test_a_payment_noted_by_mistake_is_taken_back(session: Session) -> None:
    _order, invoice = invoiced(session)
    do(session, desk.note_paid, invoice.id, date(2026, 11, 24), "FT")
    with pytest.raises(WrongState):
        do(session, desk.note_paid, invoice.id, date(2026, 11, 25), "FT")
    do(session, desk.note_paid, invoice.id, None, "")
    assert papers.open_sum(session, invoice) == 6950


def test_what_a_distributor_supplies_is_not_offered_from_here_until_he_cannot(
    client: Client, session: Session
) -> None:
    order = place(session, edition="russian")
    with pytest.raises(WrongState):
        do(session, desk.offer, order.id, PaperKind.QUOTE, TERMS)
    path = letters(session, Kind.LIBRARY_ORDER)[0].context["answer_path"]
    transact(session, routing.move, order.id, LibraryState.CANNOT_SUPPLY, VERA, "", NOW)
    assert client.get(path).status_code == 200
    do(session, desk.offer, order.id, PaperKind.QUOTE, TERMS)
    assert order.state is LibraryState.ANSWERED
    assert client.get(path).status_code == 410  # from now on it is the shop's


# What was issued stays


def test_a_changed_address_makes_another_paper_and_never_a_changed_one(session: Session) -> None:
    order, invoice = invoiced(session)
    first = library_papers.make(session, invoice.id, NOW)
    before = dict(invoice.data)

    def move_house(s: Session) -> None:
        row = s.get_one(LibraryOrder, order.id)
        row.delivery_address, row.purchase_order = "New Hall", "PO 2"
        seller = s.get_one(Trader, 1)
        seller.address = "2 Short Street"

    transact(session, move_house)
    session.expire_all()
    assert invoice.data == before
    assert library_papers.make(session, invoice.id, NOW) == first
    again = do(session, desk.issue_again, invoice.id)
    assert isinstance(again, Paper)
    assert (again.number, again.data["buyer"]["delivery_address"]) == ("INV-00002", "New Hall")
    assert invoice.ended_at is not None
    credit = session.scalars(select(Paper).where(Paper.kind == PaperKind.CREDIT_NOTE)).one()
    assert (credit.amount, credit.data["about"]) == (invoice.amount, "INV-00001")
    assert "New Hall" in text_of(library_papers.make(session, again.id, NOW))
    assert "New Hall" not in text_of(first)
    with pytest.raises(WrongState):
        do(session, desk.issue_again, invoice.id)
    assert found(session) == []


def test_a_paper_that_was_committed_gets_its_pdf_even_if_the_process_died_before(
    app: Flask, session: Session
) -> None:
    _order, invoice = invoiced(session)
    assert session.get(PaperFile, invoice.id) is None
    Worker(app).round(everything=True)
    session.rollback()
    assert session.get_one(PaperFile, invoice.id).pdf.startswith(b"%PDF")
    assert [letter.recipient for letter in letters(session, Kind.LIBRARY_PAPER)] == [LIBRARIAN]
    Worker(app).round(everything=True)
    assert len(letters(session, Kind.LIBRARY_PAPER)) == 1


# What papers say


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_text_from_each_paper_gives_back_every_name_exactly(
    session: Session, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    def enter(s: Session) -> None:
        known = vendor(s)
        known.account_name, known.iban, known.bic = "Long Lane Books", "GB33BUKB20201555555555", "BUKBGB22"
        s.merge(known)

    transact(session, enter)
    asked = {
        "institution": INSTITUTION,
        "contact_name": NAME,
        "delivery_address": "Ленинский пр-т, 5\nÇa va 7",
        "invoice_address": "Бухгалтерия\nкомн. 12",
        "purchase_order": "PO 4711/№ 5",
        "own_reference": "HIST-44",
    }
    order = place(session, market, **asked)
    made = [do(session, desk.offer, order.id, kind, TERMS) for kind in (PaperKind.QUOTE, PaperKind.PRO_FORMA)]
    do(session, desk.accept, order.id, "PO 4711/№ 5", 3)
    made.append(do(session, desk.invoice, order.id, TERMS))
    made.append(do(session, desk.credit, made[-1].id, 1, 0, 0))  # type: ignore[attr-defined]
    words = {
        "en": ["Quotation", "Pro-forma invoice", "Invoice", "Credit note"],
        "ru": ["Коммерческое предложение", "Счёт на\u00a0предоплату", "Счёт", "Кредит-нота"],
    }[market[:2]]
    for paper, title in zip(made, words, strict=True):
        assert isinstance(paper, Paper)
        body = library_papers.make(session, paper.id, NOW)
        text = " ".join(text_of(body).split(" "))
        flat = " ".join(text.split())
        for part in (
            *(" ".join(title.split()), paper.number, NAME, "Ленинский пр-т, 5", "Ça va 7", "Бухгалтерия"),
            *("PO 4711/№ 5", "HIST-44", order.ticket, "Long Lane Books", "1 Long Lane", "978-0-415-54641-6"),
        ):
            assert part in flat, part
        assert INSTITUTION in flat
        bank = "GB33 BUKB 2020 1555 5555 55" in flat
        assert bank is (paper.kind in papers.PAYABLE)
        assert ("British Pound (GBP)" in flat) is (market == "en-gb")
        reader = pypdf.PdfReader(io.BytesIO(body))
        assert b"pdfuaid" in reader.trailer["/Root"]["/Metadata"].get_object().get_data()
        assert reader.trailer["/Root"]["/Lang"][:2] == market[:2]
        for page in reader.pages:
            for font in page["/Resources"]["/Font"].values():
                inner = font.get_object().get("/DescendantFonts", [font])[0].get_object()
                assert any(key.startswith("/FontFile") for key in inner["/FontDescriptor"].get_object())
    assert caplog.text == ""


@pytest.mark.parametrize("registered", [True, False])
def test_vat_is_a_line_only_for_who_is_registered(session: Session, registered: bool) -> None:
    transact(session, lambda s: setattr(trader(s), "vat_number", "GB 123" if registered else ""))
    _order, invoice = invoiced(session)
    text = text_of(library_papers.make(session, invoice.id, NOW))
    assert ("zero-rated" in text) is registered
    assert ("not registered for VAT" in text) is not registered


# Letters and reminders


def test_everybody_who_is_to_be_informed_gets_paper_and_parcel(session: Session) -> None:
    order = place(session, invoice_email="finance@uni.example")
    transact(
        session, lambda s: setattr(s.get_one(LibraryOrder, order.id), "informed", "a@uni.example\nb@uni.example")
    )
    do(session, desk.accept, order.id, "PO 1", 3)
    invoice = do(session, desk.invoice, order.id, TERMS)
    library_papers.make(session, invoice.id, NOW)  # type: ignore[attr-defined]
    do(session, desk.post, order.id, 3, "Royal Mail", "RM 1")
    paid_by = {letter.recipient for letter in letters(session, Kind.LIBRARY_PAPER)}
    assert paid_by == {"finance@uni.example", LIBRARIAN, "a@uni.example", "b@uni.example"}
    told = letters(session, Kind.LIBRARY_POSTED)
    assert {letter.recipient for letter in told} == {LIBRARIAN, "a@uni.example", "b@uni.example"}
    assert {letter.context["purchase_order"] for letter in told} == {"PO 1"}


def test_a_library_is_reminded_before_and_after_the_due_date_and_then_the_shopkeeper_told(
    session: Session,
) -> None:
    make_admin(session)
    _order, invoice = invoiced(session)
    library_papers.make(session, invoice.id, NOW)
    due = datetime(2026, 12, 23, 12, 0, tzinfo=UTC)

    def pass_time(now: datetime) -> tuple[int, int]:
        for paper_id in chasing.due_papers(session, now):
            transact(session, chasing.chase_paper, paper_id, now)
        return len(letters(session, Kind.LIBRARY_DUE)), len(letters(session, Kind.LIBRARY_ATTENTION))

    assert pass_time(due - timedelta(days=6)) == (0, 0)
    assert pass_time(due - timedelta(days=5)) == (1, 0)
    assert pass_time(due + timedelta(days=6)) == (1, 0)
    assert pass_time(due + timedelta(days=7)) == (2, 0)
    assert [letter.context["overdue"] for letter in letters(session, Kind.LIBRARY_DUE)] == [False, True]
    assert pass_time(due + timedelta(days=13)) == (2, 0)
    assert pass_time(due + timedelta(days=15)) == (2, 1)
    assert pass_time(due + timedelta(days=400)) == (2, 1)


def test_nobody_is_reminded_of_what_is_paid_or_credited(session: Session) -> None:
    _order, paid = invoiced(session)
    do(session, desk.note_paid, paid.id, date(2026, 11, 24), "")
    _other, gone = invoiced(session, attempt="b" * 24, purchase_order="PO 2")
    do(session, desk.credit, gone.id, 3, 350, 0)
    assert chasing.due_papers(session, NOW + timedelta(days=400)) == []


# Keeping


def test_a_bill_is_kept_as_long_as_orders_are_and_then_emptied(session: Session) -> None:
    order, invoice = invoiced(session, contact_name=NAME)
    library_papers.make(session, invoice.id, NOW)
    do(session, desk.post, order.id, 3, "Royal Mail", "RM 1")
    with pytest.raises(erasure.NotErasable):
        transact(session, erasure.erase_library, order.id, NOW)
    do(session, desk.note_paid, invoice.id, date(2026, 11, 24), "")
    transact(session, lambda s: s.execute(update(Letter).values(state="sent")))
    assert erasure.run(session, NOW + timedelta(days=1000), years=7, months=24).libraries == []
    assert erasure.run(session, NOW + timedelta(days=2600), years=7, months=24).libraries == [order.ticket]
    session.expire_all()
    assert (invoice.data, session.get(PaperFile, invoice.id), invoice.amount) == ({}, None, 6950)
    assert found(session) == []


# At the desk


@pytest.fixture
def vera(app: Flask, session: Session) -> Client:
    make_admin(session)
    client = make_client(app, after=session.rollback)
    let_in(client)
    return client


def send(client: Client, order: LibraryOrder, action: str, **values: str) -> int:
    page = client.get(f"/admin/libraries/{order.ticket}/desk").page
    token = page.forms()[0].fields["csrf_token"]
    answer = client.post(f"/admin/libraries/{order.ticket}/{action}", data={"csrf_token": token, **values})
    return answer.status_code


def test_the_desk_walks_an_order_to_its_end(vera: Client, session: Session) -> None:
    order = place(session)
    offer = {"offer-copies": "3", "offer-unit": "22.00", "offer-postage": "3.50", "offer-currency": "GBP"}
    begun = vera.get(f"/admin/libraries/{order.ticket}/desk").page.form("offer-postage").fields
    assert (begun["offer-unit"], begun["offer-postage"]) == ("22.00", "7.00")  # 1,350 g to Great Britain
    assert send(vera, order, "papers/quote", **(offer | {"offer-unit": "free"})) == 422
    assert send(vera, order, "papers/quote", **offer) == 303
    assert send(vera, order, "accept", **{"accept-purchase_order": "PO 7", "accept-copies": "3"}) == 303
    bill = {key.replace("offer", "invoice"): value for key, value in offer.items()}
    assert send(vera, order, "papers/invoice", **(bill | {"invoice-copies": "2"})) == 409
    assert send(vera, order, "papers/invoice", **bill) == 303
    invoice = session.scalars(select(Paper).where(Paper.kind == PaperKind.INVOICE)).one()
    page = vera.get(f"/admin/libraries/{order.ticket}/desk").page
    assert f"/admin/libraries/{order.ticket}/papers/{invoice.id}.pdf" in page.links()
    pdf = vera.get(f"/admin/libraries/{order.ticket}/papers/{invoice.id}.pdf")
    assert "INV-00001" in text_of(pdf.data)
    for kind in ("slip", "label"):
        assert "PO 7" in text_of(vera.get(f"/admin/libraries/{order.ticket}/{kind}.pdf").data)
    for state, listed in (("to_post", True), ("unpaid", True), ("supplied", False)):
        assert (order.ticket in vera.get(f"/admin/libraries?state={state}").page.text) is listed
    assert "/admin/libraries?state=unpaid" in vera.get("/admin/").page.links()
    assert send(vera, order, "post", **{"post-copies": "3", "post-carrier": "", "post-tracking": "RM"}) == 303
    assert send(vera, order, f"papers/{invoice.id}/paid", **{"paid-day": "2026-12-01", "paid-note": "FT"}) == 303
    assert order.ticket not in vera.get("/admin/libraries?state=unpaid").page.text
    credit = {"credit-copies": "1", "credit-back": "1", "credit-postage": "0"}
    assert send(vera, order, f"papers/{invoice.id}/credit", **credit) == 303
    csv = vera.get("/admin/libraries.csv").get_data(as_text=True)
    assert "PO 7" in csv
    assert "INV-00001" in csv
    assert found(session) == []


def test_addresses_are_changed_for_what_comes_and_a_paper_is_issued_anew(vera: Client, session: Session) -> None:
    order, invoice = invoiced(session)
    form = next(
        each for each in vera.get(f"/admin/libraries/{order.ticket}/desk").page.forms() if "/record" in each.action
    )
    assert vera.submit(form, **{"record-informed": "not an address"}).status_code == 422
    changed = {"record-institution": "New Name", "record-informed": "a@uni.example"}
    assert vera.submit(form, **changed).status_code == 303
    assert send(vera, order, f"papers/{invoice.id}/again") == 303
    other = place(session, attempt="c" * 24, purchase_order="PO 9")
    assert send(vera, other, f"papers/{invoice.id}/again") == 404
    numbers = [paper.data["buyer"]["institution"] for paper in session.scalars(select(Paper).order_by(Paper.id))]
    assert numbers == ["University", "New Name", "New Name"]


# What the library and the buyer get


def test_reports_tell_of_invoices_to_libraries_beside_readers_orders_and_add_nothing_up(
    vera: Client, session: Session, gateway: FakeGateway, clock: MovedClock
) -> None:
    now = clock.now()
    assert "to libraries" not in vera.get("/admin/reports").page.text
    dollars = Terms(3, 3200, 1400, Currency.USD)
    for number, terms in enumerate((TERMS, TERMS, dollars)):
        order = place(session, attempt=f"{number:024}", purchase_order=f"PO {number}")
        transact(session, desk.accept, order.id, f"PO {number}", 3, VERA, now)
        bill = transact(session, desk.invoice, order.id, terms, VERA, now)
        if number == 1:
            transact(session, desk.credit, bill.id, 1, 100, 0, VERA, now)
        if number == 2:  # another in its place is no second sale
            transact(session, desk.issue_again, bill.id, VERA, now)
    taken = write_money(make_paid_order(session, gateway, paperback=2, now=now).total, "en_GB")
    text = " ".join(vera.get("/admin/reports").page.text.replace("\u00a0", " ").split())
    pounds, _, american = text.partition("Sales: US Dollar")
    for told in (
        "Invoices to libraries this month 2",
        "Copies invoiced to libraries, less those credited 5",
        "Invoiced to libraries this month £139.00",
        "Credited to libraries this month £23.00",
        "Invoiced to libraries less credit notes £116.00",
        f"Taken this month {taken}",
    ):
        assert told in pounds
    for told in ("Invoices to libraries this month 2", "less credit notes US$110.00", "Taken this month US$0.00"):
        assert told in american
    later = billing.by_month(session, day_of(now) + timedelta(days=1))
    assert later == {}


def test_a_library_finds_its_papers_on_its_page_and_nobody_elses(client: Client, session: Session) -> None:
    order, invoice = invoiced(session)
    other = place(session, attempt="b" * 24, purchase_order="PO 2")
    address = f"/en-gb/libraries/{order.token}/papers/{invoice.number}.pdf"
    assert address in client.get(f"/en-gb/libraries/{order.token}").page.links()
    answer = client.get(address)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert client.get(f"/en-gb/libraries/{other.token}/papers/{invoice.number}.pdf").status_code == 404


def test_vendor_papers_are_handed_to_an_open_order_and_not_to_the_world(
    client: Client, vera: Client, session: Session
) -> None:
    form = vera.get("/admin/setup/vendor").page.form("iban")
    assert vera.submit(form, iban="GB33BUKB20201555555556").status_code == 422
    entered = {
        "iban": "GB33 BUKB 2020 1555 5555 55",
        "bic": "BUKBGB22",
        "tax_note": "A W-8BEN-E is sent on request.",
    }
    assert vera.submit(form, **entered).status_code == 303
    assert session.get_one(Vendor, 1).iban == "GB33BUKB20201555555555"
    order, asks = place(session), place(session, attempt="b" * 24, request=routing.Request.AVAILABILITY)
    routed = place(session, attempt="c" * 24, edition="russian", purchase_order="PO 3")
    address = f"/en-gb/libraries/{order.token}/vendor.pdf"
    assert address in client.get(f"/en-gb/libraries/{order.token}").page.links()
    text = text_of(client.get(address).data)
    for part in (
        "GB33 BUKB 2020 1555 5555 55",
        "W-8BEN-E",
        "Long Lane Books",
        order.ticket,
        "Purchase order: PO 1",
        str(datetime.now(UTC).year),
    ):
        assert part in text
    for stranger in (asks, routed):
        assert client.get(f"/en-gb/libraries/{stranger.token}/vendor.pdf").status_code == 404
    transact(session, routing.move, order.id, LibraryState.CLOSED, VERA, "", NOW)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_a_buyer_gets_a_receipt_once_he_has_paid(
    client: Client, session: Session, gateway: FakeGateway, market: str
) -> None:
    from tests.factories import make_order

    unpaid = make_order(session, market)
    assert client.get(f"/{market}/orders/{unpaid.token}/receipt.pdf").status_code == 404
    order = make_paid_order(session, gateway, market=market)
    address = f"/{market}/orders/{order.token}/receipt.pdf"
    assert address in client.get(f"/{market}/orders/{order.token}").page.links()
    text = text_of(client.get(address).data)
    for part in (order.number, order.buyer.name, "978-0-415-54641-6", "Long Lane Books"):
        assert part in " ".join(text.split())
    assert ("Квитанция" in text) == (market == "ru-us")
