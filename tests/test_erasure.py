"""Erasing: nothing personal is left anywhere, and sums, copies, letters owed and timelines are proved as before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Text, delete, inspect, select, update
from sqlalchemy.orm import Session

from shop import erasure
from shop.bibliography.romanisation import ala_lc
from shop.database import Base, transact
from shop.erasure import NotErasable
from shop.letters import outbox
from shop.letters.delivery import deliver_due
from shop.letters.models import Kind, Letter
from shop.letters.rendering import Renderer
from shop.libraries import routing
from shop.libraries.models import LibraryOrder, LibraryState, Request
from shop.libraries.routing import Enquiry
from shop.markets import MARKETS
from shop.orders import fulfilment, placing, timeline
from shop.orders.models import Order, PersonalValue, Shipment, TimelineEntry, Worry
from shop.payments import checkouts, disputes, refund_calls, refunds, settling
from shop.payments.models import Payment, PaymentRole
from shop.trader import Trader
from shop.worker import keep_house
from tests.client import Client, let_in
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.till import differences, letters, payments, story

ADMIN = timeline.admin("Vera Keeper")
WRITER = Renderer("http://localhost", "Bookstall <shop@bookstall.example>", ala_lc)
YEAR = timedelta(days=366)
SECRETS = (
    "Ada Reader",
    "ada@reader.example",
    "1 Long Lane",
    "EC1A 9HF",
    "Für Ада",
    "PO 1921",
    "RN123456789GB",
    "4242",
)
LIBRARY_SECRETS = ("Olga", "olga@library.example", "Bodleian", "Broad Street", "to the third floor", "PO 77")


def send_all(session: Session, now: datetime) -> None:
    while deliver_due(session, FakeMailer(), WRITER, now):
        pass
    session.rollback()


def everything(session: Session) -> str:
    """All that the database says, as one text."""
    session.rollback()
    session.expire_all()
    told = []
    for mapper in Base.registry.mappers:
        for row in session.scalars(select(mapper.class_)).unique():
            told += [str(getattr(row, column.key)) for column in mapper.column_attrs]
    return "\n".join(told)


@pytest.fixture
def over(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """A posted order with everything personal that there can be, its letters sent."""
    make_admin(session)
    session.execute(update(Trader).values(address="2 Short Street"))
    session.commit()
    order = make_paid_order(session, gateway, now, note="Für Ада", purchase_order="PO 1921")
    transact(session, fulfilment.post, order.id, "Royal Mail", "RN123456789GB", ADMIN, now)
    asked = transact(session, refunds.ask, payments(session, order)[0].id, 50, "", ADMIN, now)
    refund_calls.perform(session, gateway, asked.id, now)
    send_all(session, now + timedelta(hours=1))
    session.refresh(order)
    return order


def erase(session: Session, order: Order, now: datetime) -> bool:
    done = transact(session, erasure.erase_order, order.id, ADMIN, now)
    if order in session:  # the audit lets go of what it has read
        session.refresh(order)
    return done


def test_nothing_personal_is_left_anywhere_and_the_audit_is_clean(session: Session, over: Order, now: datetime):
    before = everything(session)
    assert [secret for secret in SECRETS if secret not in before] == []
    entries = [(each.seq, each.digest) for each in over.timeline]
    assert erase(session, over, now + 8 * YEAR)
    after = everything(session)
    assert [secret for secret in SECRETS if secret in after] == []
    assert [(each.seq, each.digest) for each in over.timeline][:-1] == entries
    assert story(session, over)[-1] == "erased"
    assert differences(session) == []
    assert (over.total.amount, over.lines[0].quantity, payments(session)[0].amount) == (2550, 1, 2550)


def test_digests_that_could_be_guessed_at_go_as_well(session: Session, over: Order, now: datetime):
    told = {over.attempt, over.content, *(each.message_id for each in letters(session))} - {""}
    assert len(told) > 4
    erase(session, over, now)
    after = everything(session)
    assert [each for each in told if each in after] == []


def test_erasing_twice_does_nothing_the_second_time(session: Session, over: Order, now: datetime):
    assert erase(session, over, now)
    assert not erase(session, over, now + YEAR)
    assert over.buyer.erased_at == now
    assert story(session, over).count("erased") == 1


def test_erased_letters_are_not_sent_again(session: Session, over: Order, now: datetime):
    erase(session, over, now)
    letter = letters(session, Kind.ORDER_PAID)[0]
    with pytest.raises(erasure.WrongState):
        transact(session, lambda s: outbox.again(s, s.get_one(Letter, letter.id), now))


def test_a_message_that_told_of_two_orders_loses_its_text_with_the_first(
    session: Session, over: Order, gateway: FakeGateway, now: datetime
):
    """The other order's letter keeps what it was written from, and can be sent again."""
    two = [make_paid_order(session, gateway, now) for _ in range(2)]
    for order in two:
        order.buyer.name = f"Reader of {order.number}"
    session.commit()
    send_all(session, now + timedelta(hours=3))
    joined = [each for each in letters(session, Kind.NEW_ORDER) if each.order_id in {each.id for each in two}]
    assert joined[0].message_id == joined[1].message_id
    assert two[0].number in joined[1].text
    transact(session, fulfilment.post, two[0].id, "", "", ADMIN, now)
    send_all(session, now + timedelta(hours=4))
    erase(session, two[0], now)
    assert two[0].buyer.name == ""
    session.refresh(joined[1])
    assert (joined[1].text, joined[1].erased_at) == ("", None)
    transact(session, lambda s: outbox.again(s, s.get_one(Letter, joined[1].id), now))
    assert differences(session) == []


def unpaid(session: Session, gateway: FakeGateway, now: datetime) -> Order:
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    return order


def on_the_way(session: Session, gateway: FakeGateway, now: datetime) -> Order:
    order = make_order(session, now=now)
    settling.learn(session, gateway, pay(session, gateway, order, now, paid=False), now)
    return order


def disputed(session: Session, gateway: FakeGateway, now: datetime) -> Order:
    order = make_paid_order(session, gateway, now)
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    case = gateway.dispute(list(gateway.checkouts.values())[-1])
    disputes.learn(session, gateway, case.provider_id, now)
    return order


def refunding(session: Session, gateway: FakeGateway, now: datetime) -> Order:
    order = make_paid_order(session, gateway, now)
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    transact(session, refunds.ask, payments(session, order)[0].id, 50, "", ADMIN, now)
    return order


def worried(session: Session, gateway: FakeGateway, now: datetime) -> Order:
    order = make_paid_order(session, gateway, now)
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    transact(session, lambda s: timeline.worry(s, placing.locked(s, order.id), Worry.REFUND_FAILED, now))
    return order


@pytest.mark.parametrize(
    ("alive", "says"),
    [
        (unpaid, "It can still be paid"),
        (on_the_way, "It can still be paid"),
        (lambda *given: make_paid_order(*given), "Its copies are still to be posted"),
        (disputed, "Its payment is disputed"),
        (refunding, "A refund is under way"),
        (worried, "It needs the attention of a person"),
    ],
    ids=["unpaid", "on the way", "to post", "disputed", "refunding", "worried"],
)
def test_what_is_not_over_is_not_erased(  # type: ignore[no-untyped-def]
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, alive, says: str
):
    order = alive(session, gateway, now)
    send_all(session, now + timedelta(hours=1))
    with pytest.raises(NotErasable, match=says):
        transact(session, erasure.erase_order, order.id, ADMIN, now)
    found = erasure.run(session, now + 20 * YEAR, years=7, months=24)
    assert list(found.kept) == [order.number]
    assert found.orders == []
    session.refresh(order)
    assert order.buyer.erased_at is None


def test_nothing_is_erased_while_a_letter_about_it_is_to_be_sent(session: Session, over: Order, now: datetime):
    transact(session, lambda s: outbox.again(s, letters(s, Kind.POSTED)[0], now))
    with pytest.raises(NotErasable, match="letter"):
        transact(session, erasure.erase_order, over.id, ADMIN, now)


def test_an_order_that_was_never_paid_is_erased(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now, note="Für Ада")
    checkouts.cancel(session, gateway, order.id, timeline.BUYER, now)
    assert erase(session, order, now)
    assert "Für Ада" not in everything(session)
    assert differences(session) == []


def test_orders_are_erased_when_their_years_are_over_and_not_before(session: Session, over: Order, now: datetime):
    early = erasure.run(session, datetime(2033, 11, 22, 11, 59, tzinfo=UTC), years=7, months=24)
    assert (early.orders, early.kept) == ([], {})
    late = erasure.run(session, datetime(2033, 11, 22, 12, 0, tzinfo=UTC), years=7, months=24)
    assert late.orders == [over.number]
    assert erasure.run(session, now + 9 * YEAR, years=7, months=24).orders == []


def test_a_month_that_is_shorter_ends_on_its_last_day():
    assert erasure.before(datetime(2028, 2, 29, 5, tzinfo=UTC), 12) == datetime(2027, 2, 28, 5, tzinfo=UTC)
    assert erasure.before(datetime(2026, 1, 31, tzinfo=UTC), 2) == datetime(2025, 11, 30, tzinfo=UTC)


@pytest.fixture
def enquiry(session: Session, catalogue: Catalogue, now: datetime) -> LibraryOrder:
    asked = Enquiry(
        institution="Bodleian",
        contact_name="Olga",
        email="olga@library.example",
        delivery_address="Broad Street",
        country="GB",
        edition="russian",
        quantity=3,
        request=Request.ORDER,
        purchase_order="PO 77",
        notes="to the third floor",
        attempt="a" * 24,
    )
    placed = transact(session, routing.place, asked, MARKETS["en-gb"], now)
    transact(session, routing.move, placed.id, LibraryState.ANSWERED, ADMIN, "Olga agreed", now)
    return session.get_one(LibraryOrder, placed.id)


def test_library_orders_are_emptied_after_their_months(session: Session, enquiry: LibraryOrder, now: datetime):
    waiting = erasure.run(session, now + 3 * YEAR, years=7, months=24)
    assert waiting.kept == {enquiry.ticket: "A letter about it is still to be sent."}
    send_all(session, now)
    assert erasure.run(session, now + timedelta(days=700), years=7, months=24).libraries == []
    before = everything(session)
    assert [secret for secret in LIBRARY_SECRETS if secret not in before] == []
    assert erasure.run(session, now + 3 * YEAR, years=7, months=24).libraries == [enquiry.ticket]
    after = everything(session)
    assert [secret for secret in LIBRARY_SECRETS if secret in after] == []
    session.refresh(enquiry)
    assert (enquiry.quantity, enquiry.country, enquiry.state) == (3, "GB", LibraryState.ANSWERED)
    assert differences(session) == []


def test_payments_without_an_order_are_emptied_after_the_years(session: Session, over: Order, now: datetime):
    session.execute(update(Payment).values(role=PaymentRole.ORPHAN, order_id=None, facts={"order": "RR-1"}))
    session.commit()
    assert erasure.run(session, now + YEAR, years=7, months=24).orphans == 0
    assert erasure.run(session, now + 8 * YEAR, years=7, months=24).orphans == 1
    session.expire_all()
    assert (payments(session)[0].facts, payments(session)[0].card) == ({}, "")


@pytest.mark.parametrize(
    ("left", "named"),
    [
        (lambda: update(Shipment).values(tracking="RN1"), "a tracking number"),
        (lambda: update(Payment).values(card="visa 4242"), "facts of payment"),
        (lambda: update(Letter).where(Letter.kind == Kind.POSTED).values(text="Dear Ada"), "letter"),
    ],
    ids=["tracking", "card", "letter"],
)
def test_what_an_erasure_has_left_over_is_named(  # type: ignore[no-untyped-def]
    session: Session, over: Order, now: datetime, left, named: str
):
    erase(session, over, now)
    session.execute(left())
    session.commit()
    found, *others = differences(session)
    assert found.startswith(f"erasure: {over.number}: {named}")
    assert all(each.startswith("search terms") for each in others)  # a number that came back is not found by
    assert erase(session, over, now)  # and can be erased again
    assert differences(session) == []


def test_what_was_left_over_of_a_library_is_named(session: Session, enquiry: LibraryOrder, now: datetime):
    send_all(session, now)
    transact(session, erasure.erase_library, enquiry.id, now)
    session.execute(update(LibraryOrder).values(phone="1"))
    session.commit()
    assert differences(session) == [f"erasure: {enquiry.ticket}: its phone is still there, should be erased"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda: update(TimelineEntry).where(TimelineEntry.seq == 4).values(details={}),
            "entry 4 (posted) was changed",
        ),
        (lambda: delete(TimelineEntry).where(TimelineEntry.seq == 2), "entry 2 is missing"),
        (lambda: delete(TimelineEntry).where(TimelineEntry.seq > 5), "the timeline ends at entry 5, not 7"),
    ],
    ids=["changed", "missing", "cut off"],
)
def test_an_erased_timeline_still_shows_what_was_done_to_it(  # type: ignore[no-untyped-def]
    session: Session, over: Order, now: datetime, change, says: str
):
    erase(session, over, now)
    assert differences(session) == []
    session.execute(change())
    session.commit()
    [found] = [each for each in differences(session) if each.startswith("timeline")]
    assert says in found


def test_no_text_column_is_forgotten():
    """Whoever adds a text to what is erased decides whether it is personal."""
    kept = {
        "buyer": set(),
        "shipment": {"carrier", "posted_by", "asked_by", "undone_by", "returned_by", "reason"},
        "letter": {"cause", "locale"},
        "library_order": {
            "ticket",
            "token",
            "submission",
            "market",
            "country",
            "payment_route",
            "currency",
            "routed_to",
            "supplier_name",
            "supplier_language",
            "joins_by",  # a digest, and emptied
        },
    }
    known = {
        "buyer": set(erasure.BUYER),
        "shipment": {"tracking"},
        "letter": {"recipient", "reply_to", "message_id", "last_error", "subject", "text"},
        "library_order": set(erasure.LIBRARY),
    }
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        if table.name in kept:
            texts = {
                column.name
                for column in inspect(mapper).columns
                if type(column.type).__name__ in ("String", "Text") or isinstance(column.type, Text)
            }
            assert texts == kept[table.name] | known[table.name], table.name


# The pages and the command


def test_the_buyers_page_says_that_he_was_erased(client: Client, session: Session, over: Order, now: datetime):
    erase(session, over, now)
    for market, words in (("en-gb", "were erased on"), ("ru-gb", "стёрты")):
        page = client.get(f"/{market}/orders/{over.token}")
        assert page.status_code == 200
        assert words in page.text
        assert "Ada Reader" not in page.text
    sent = len(letters(session))
    form = client.get("/en-gb/orders").page.form("number")
    assert client.submit(form, number=over.number, email="ada@reader.example").status_code == 200
    assert len(letters(session)) == sent


def test_the_desk_says_what_was_erased_and_offers_no_letter_again(
    client: Client, session: Session, over: Order, now: datetime
):
    let_in(client)
    assert "RN123456789GB" in client.get(f"/admin/orders/{over.number}").text
    erase(session, over, now)
    page = client.get(f"/admin/orders/{over.number}").text
    assert "its tracking number was erased" in page
    assert "Name and address were erased" in page
    assert "What it said was erased" in page
    assert "/letters/" not in page
    for path in ("/admin/orders", "/admin/letters", "/admin/", f"/admin/orders/{over.number}/evidence.txt"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Ada" not in answer.text
    assert "erased" in client.get("/admin/orders").text


def test_a_library_and_the_desk_see_that_an_enquiry_was_erased(
    client: Client, session: Session, enquiry: LibraryOrder, now: datetime
):
    make_admin(session)
    let_in(client)
    send_all(session, now)
    transact(session, erasure.erase_library, enquiry.id, now)
    session.refresh(enquiry)
    for path in (f"/admin/libraries/{enquiry.ticket}", "/admin/libraries", f"/en-gb/libraries/{enquiry.token}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "erased" in answer.text
        assert "Olga" not in answer.text


def test_the_command_erases_what_is_old_or_one_order_by_its_number(
    app: Flask, session: Session, over: Order, gateway: FakeGateway, now: datetime
):
    alive = make_paid_order(session, gateway, now)
    session.rollback()
    run = app.test_cli_runner().invoke
    assert (
        run(args=["shop", "erase"]).stdout
        == "erased: 0 orders, 0 library orders, 0 payments without an order, 0 withdrawals\n"
    )
    refused = run(args=["shop", "erase", "--order", alive.number])
    assert refused.exit_code == 1
    assert f"{alive.number} cannot be erased yet. Its copies are still to be posted." in refused.output
    assert run(args=["shop", "erase", "--order", "RR-00000000"]).exit_code == 1
    for says in ("is erased", "was erased already"):
        done = run(args=["shop", "erase", "--order", over.number])
        assert (done.exit_code, done.stdout) == (0, f"{over.number} {says}\n")
    assert run(args=["shop", "audit"]).exit_code == 0


def test_the_worker_erases_what_is_old(app: Flask, session: Session, over: Order, now: datetime):
    session.rollback()
    with app.app_context():
        keep_house(session, now + 8 * YEAR, None)
    session.refresh(over)
    assert over.buyer.erased_at is not None
    assert session.scalars(select(PersonalValue)).all() == []
