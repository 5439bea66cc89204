"""The order desk's other tables: stock, library orders, letters, Stripe's messages and the set-up; and its words."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shop import duty, stock
from shop.admin import library_words, words
from shop.admin.facts import FACTS
from shop.catalogue.models import Edition, PostageZone, Unconfirmed
from shop.catalogue.version import current
from shop.database import transact
from shop.letters.models import Kind, Letter, LetterState
from shop.libraries import routing
from shop.libraries.models import LibraryEvent, LibraryOrder, LibraryState, Request
from shop.markets import MARKETS
from shop.money import Currency
from shop.orders import counting, placing, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Worry
from shop.payments.models import InboxEvent, InboxState, Payment, PaymentRole, Refund
from shop.stock import Stock, StockMovement
from shop.trader import Distributor, trader
from tests import factories
from tests.client import Client, let_in
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import colleague, desk, form_to, has_form, url, worried

__all__ = ["colleague", "desk"]
ROOT = Path(__file__).resolve().parent.parent
VERA = timeline.admin("Vera Keeper")


def make_enquiry(session: Session, edition: str = "russian") -> LibraryOrder:
    enquiry = routing.Enquiry(
        institution="Universitätsbibliothek Basel",
        contact_name="Anna Müller",
        email="anna@ub.example",
        delivery_address="Schönbeinstrasse 18\n4056 Basel",
        country="CH",
        edition=edition,
        quantity=2,
        request=Request.QUOTE,
        notes="For the Slavic department",
        attempt=str(datetime.now(UTC).timestamp()),
    )
    at = datetime.now(UTC)
    return transact(session, lambda s: routing.place(s, enquiry, MARKETS["en-gb"], at))


# Stock


def test_a_count_is_recorded_with_its_reason(desk: Client, session: Session, catalogue: Catalogue) -> None:
    page = desk.get("/admin/stock")
    answer = desk.submit(form_to(page, "/stock/paperback"), counted="38", reason="two were damp")
    assert answer.status_code == 303
    assert session.get_one(Stock, catalogue.paperback).on_hand == 38
    text = desk.get("/admin/stock").page.text
    assert "two were damp" in text
    assert "Vera Keeper" in text
    assert "−2" in text


@pytest.mark.parametrize("counted", ["", "-1", "many", "1.5", "9" * 30, "100001"])
def test_what_is_no_count_is_said_beside_the_field(
    desk: Client, session: Session, catalogue: Catalogue, counted: str
) -> None:
    answer = desk.submit(form_to(desk.get("/admin/stock"), "/stock/paperback"), counted=counted, reason="why")
    assert answer.status_code == 422
    assert answer.page.all(".//input[@aria-invalid='true'][@id='counted-paperback']")
    assert session.get_one(Stock, catalogue.paperback).on_hand == 40
    no_reason = desk.submit(form_to(desk.get("/admin/stock"), "/stock/paperback"), counted="3", reason="  ")
    assert no_reason.status_code == 422


def test_a_count_begun_before_a_parcel_left_is_asked_for_again(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    form = form_to(desk.get("/admin/stock"), "/stock/paperback")
    desk.submit(form_to(desk.get(url(order)), "/post"))
    answer = desk.submit(form, counted="40", reason="yearly count")
    assert answer.status_code == 409
    assert session.get_one(Stock, catalogue.paperback).on_hand == 39
    assert desk.submit(form_to(answer, "/stock/paperback"), counted="39", reason="again").status_code == 303


@pytest.mark.parametrize("seen", [None, "", "forty"])
def test_a_count_that_does_not_say_what_it_began_from_is_refused(
    desk: Client, session: Session, catalogue: Catalogue, seen: str | None
) -> None:
    form = form_to(desk.get("/admin/stock"), "/stock/paperback")
    del form.fields["seen"]
    answer = desk.submit(form, counted="3", reason="why", **({} if seen is None else {"seen": seen}))
    assert answer.status_code == 422
    assert "Nothing was recorded" in answer.page.text
    assert session.get_one(Stock, catalogue.paperback).on_hand == 40


def test_a_count_that_finds_too_few_worries_about_the_newest_orders_until_the_rest_can_be_kept(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    old, middle, new = (factories.make_paid_order(session, gateway, paperback=2) for _ in range(3))
    unpaid = factories.make_order(session)
    answer = desk.submit(form_to(desk.get("/admin/stock"), "/stock/paperback"), counted="4", reason="flood")
    assert answer.status_code == 303
    session.expire_all()
    assert [order.needs_attention for order in (old, middle, new, unpaid)] == [False, True, True, False]
    assert [concern.worry for concern in new.concerns] == [Worry.COPIES_MISSING]
    assert stock.available(session, catalogue.paperback) == -3
    text = desk.get("/admin/stock").page.text
    assert "2 orders now need attention" in text
    assert "−3" in text or "-3" in text


def test_unpaid_orders_are_worried_about_only_when_paid_ones_do_not_cover_it(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    paid, unpaid = factories.make_paid_order(session, gateway), factories.make_order(session)
    at = datetime.now(UTC)
    short = transact(session, lambda s: counting.count(s, catalogue.paperback, 0, "fire", VERA, at))
    assert [order.id for order in short] == [paid.id, unpaid.id]
    again = transact(session, lambda s: counting.count(s, catalogue.paperback, 0, "fire", VERA, at))
    assert len(again) == 2
    session.expire_all()
    assert len(paid.concerns) == 1  # nothing new about what nobody has looked at yet


def test_a_new_count_after_somebody_has_looked_worries_anew(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order, at = factories.make_paid_order(session, gateway), datetime.now(UTC)

    def look(s: Session) -> None:
        row = placing.locked(s, order.id)
        timeline.settle_worry(s, row, row.concerns[-1], VERA, at)

    for _ in range(2):
        transact(session, lambda s: counting.count(s, catalogue.paperback, 0, "fire", VERA, at))
        session.expire_all()
        assert order.needs_attention
        transact(session, look)
    session.expire_all()
    assert len(order.concerns) == 2
    assert list(timeline.breaks(order)) == []


def test_copies_put_aside_for_a_library_name_its_order(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order, at = make_enquiry(session, "paperback"), datetime.now(UTC)
    whose = stock.Library(order.id)
    transact(session, lambda s: stock.hold(s, {catalogue.paperback: 2}, whose, str(VERA), at))
    links = desk.get("/admin/stock").page.links()
    assert links[f"/admin/libraries/{order.ticket}"] == order.ticket


def test_movements_go_on_by_pages(desk: Client, session: Session, catalogue: Catalogue) -> None:
    at = datetime.now(UTC)

    def many(s: Session) -> None:
        for number in range(60):
            stock.count(s, catalogue.paperback, 40 + number % 2, f"count {number}", str(VERA), at)

    transact(session, many)
    first = desk.get("/admin/stock").page
    older = next(link for link, text in first.links().items() if text == "Older")
    total = session.scalar(select(func.count()).select_from(StockMovement)) or 0
    rows = len(first.all(".//table//tbody/tr")) + len(desk.get(older).page.all(".//table//tbody/tr"))
    assert rows == total


# Library orders


def test_a_library_order_is_shown_whole_and_moved(desk: Client, session: Session, catalogue: Catalogue) -> None:
    order = make_enquiry(session)
    assert order.ticket in desk.get("/admin/libraries?state=waiting").page.text
    page = desk.get(f"/admin/libraries/{order.ticket.lower()}")
    for part in ("Universitätsbibliothek Basel", "Switzerland", "a quotation", "sales@indexbooks.co.uk", "Slavic"):
        assert part in page.page.text
    form = form_to(page, "/answered")
    form.action = form.action.replace("/answered", "/supplied")  # another button of the same form
    answer = desk.submit(form, detail="by post")
    assert answer.status_code == 303
    session.expire_all()
    assert order.state is LibraryState.SUPPLIED
    text = desk.get(f"/admin/libraries/{order.ticket}").page.text
    assert "by post" in text
    assert "Vera Keeper" in text
    assert order.ticket not in desk.get("/admin/libraries?state=waiting").page.text


def test_a_library_order_moved_by_somebody_else_is_shown_as_it_stands(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order = make_enquiry(session)
    form = form_to(desk.get(f"/admin/libraries/{order.ticket}"), "/answered")
    assert desk.submit(form, detail="first").status_code == 303
    second = desk.submit(form, detail="second")
    assert second.status_code == 409
    assert "first" in second.page.text
    events = session.scalars(select(LibraryEvent).where(LibraryEvent.library_order_id == order.id)).all()
    assert [event.detail for event in events if event.kind == "answered"] == ["first"]


def test_a_library_order_without_a_distributor_is_the_shopkeepers_own(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order = make_enquiry(session, "paperback")
    assert "answering is up to you" in desk.get(f"/admin/libraries/{order.ticket}").page.text


# Letters and messages


def test_letters_of_a_library_order_are_sent_again_from_the_list(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order = make_enquiry(session)
    letter = session.scalars(select(Letter).where(Letter.kind == Kind.LIBRARY_ORDER)).one()

    def fail(s: Session) -> None:
        s.get_one(Letter, letter.id).state = LetterState.FAILED

    transact(session, fail)
    assert desk.get("/admin/").page.links()["/admin/letters"].startswith("1")
    page = desk.get("/admin/letters")
    assert order.ticket in page.page.text
    assert desk.submit(form_to(page, f"/letters/{letter.id}")).status_code == 303
    again = session.scalars(select(Letter).where(Letter.kind == Kind.LIBRARY_ORDER, Letter.copy == 1)).one()
    assert again.reply_to == "anna@ub.example"
    assert desk.get("/admin/").page.links()["/admin/letters"].startswith("0")


def test_a_failed_message_is_worked_again(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_order(session)
    page_id = factories.pay(session, gateway, order)
    event = gateway.tell("checkout.session.completed", page_id)
    at = datetime.now(UTC)
    row = {"id": event.event_id, "type": event.type, "object_id": event.object_id, "received_at": at, "due_at": at}
    transact(session, lambda s: s.add(InboxEvent(**row, state=InboxState.FAILED, last_error="it broke", tries=3)))
    page = desk.get("/admin/inbox")
    assert "it broke" in page.page.text
    assert desk.submit(form_to(page, f"/inbox/{event.event_id}")).status_code == 303
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert "The message was processed again." in desk.get("/admin/inbox").page.text


def test_a_message_that_fails_again_is_said_so(desk: Client, session: Session, catalogue: Catalogue) -> None:
    at = datetime.now(UTC)
    row = {"id": "evt_x", "type": "checkout.session.completed", "object_id": "cs_none", "received_at": at}
    transact(session, lambda s: s.add(InboxEvent(**row, due_at=at, state=InboxState.FAILED)))
    form = form_to(desk.get("/admin/inbox"), "/inbox/evt_x")
    assert desk.submit(form).status_code == 303
    assert desk.get("/admin/inbox").status_code == 200


def test_messages_go_on_by_pages(desk: Client, session: Session, catalogue: Catalogue) -> None:
    at = datetime.now(UTC)

    def many(s: Session) -> None:
        for number in range(55):
            moment = at + timedelta(seconds=number // 2)  # some came at the same instant
            s.add(
                InboxEvent(
                    id=f"evt_{number:02}",
                    type="charge.refunded",
                    object_id="ch",
                    received_at=moment,
                    due_at=moment,
                    state=InboxState.DONE,
                )
            )

    transact(session, many)
    first = desk.get("/admin/inbox").page
    older = next(link for link, text in first.links().items() if text == "Older")
    found = re.findall(r"evt_\d\d", first.text + desk.get(older).page.text)
    assert len(set(found)) == 55


def test_money_without_an_order_waits_for_a_person(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    factories.make_paid_order(session, gateway)
    lose = update(Payment).values(order_id=None, attempt_id=None, role=PaymentRole.ORPHAN)
    transact(session, lambda s: s.execute(lose))
    payment = session.scalars(select(Payment)).one()
    assert payment.intent_id in desk.get("/admin/money").page.text
    form = desk.get(f"/admin/payments/{payment.id}/refund").page.form("reason")
    assert desk.submit(form).location == "/admin/money"
    assert session.scalars(select(Refund)).one().amount == payment.amount
    assert payment.intent_id not in desk.get("/admin/money").page.text


def test_a_refund_that_stripe_refuses_is_said_so_and_the_money_stays_listed(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    at = datetime.now(UTC)
    orphan = {"role": PaymentRole.ORPHAN, "intent_id": "pi_unknown", "amount": 2550, "received_at": at}
    transact(session, lambda s: s.add(Payment(**orphan, currency=Currency.GBP)))
    payment = session.scalars(select(Payment)).one()
    desk.submit(desk.get(f"/admin/payments/{payment.id}/refund").page.form("reason"))
    text = desk.get("/admin/money").page.text
    assert "The refund of £25.50 failed. The money is still with you." in text
    assert "pi_unknown" in text


# Set-up


def test_a_fact_is_ticked_off_by_name_and_once(desk: Client, session: Session, catalogue: Catalogue) -> None:
    undone = update(Unconfirmed).where(Unconfirmed.fact == "prices").values(confirmed_at=None, confirmed_by="")
    transact(session, lambda s: s.execute(undone.execution_options(synchronize_session=False)))
    page = desk.get("/admin/setup")
    assert "£22.00" in page.page.text
    row = session.scalars(select(Unconfirmed).where(Unconfirmed.confirmed_at.is_(None))).first()
    assert row is not None
    before = current(session)
    assert desk.submit(form_to(page, f"/facts/{row.id}")).status_code == 303
    session.refresh(row)
    assert row.confirmed_by == "Vera Keeper"
    assert current(session) == before + 1
    at = row.confirmed_at
    assert desk.submit(form_to(page, f"/facts/{row.id}")).status_code == 303
    session.refresh(row)
    assert row.confirmed_at == at


def test_every_unconfirmed_fact_has_words_in_both_languages(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    undone = update(Unconfirmed).values(confirmed_at=None, confirmed_by="")
    transact(session, lambda s: s.execute(undone.execution_options(synchronize_session=False)))
    facts = session.scalars(select(Unconfirmed)).all()
    assert {fact.fact for fact in facts} <= set(FACTS)
    assert desk.get("/admin/setup").page.text.count("Confirm:") == len(facts)


def test_the_seller_is_entered_and_shown(desk: Client, session: Session, catalogue: Catalogue) -> None:
    form = desk.get("/admin/setup/trader").page.form("dispatch_days")
    answer = desk.submit(form, name="Narrow Lane Books", address="2 Narrow Lane\nLeeds", dispatch_days="3")
    assert answer.status_code == 303
    seller = session.get_one(type(trader(session)), 1)
    assert (seller.name, seller.dispatch_days) == ("Narrow Lane Books", 3)
    assert "Narrow Lane Books" in desk.get("/admin/setup").page.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "nonsense"), ("dispatch_days", "0"), ("dispatch_days", ""), ("name", "x" * 201), ("name", "")],
)
def test_a_wrong_entry_about_the_seller_is_said_beside_it(
    desk: Client, session: Session, catalogue: Catalogue, field: str, value: str
) -> None:
    answer = desk.submit(desk.get("/admin/setup/trader").page.form("dispatch_days"), **{field: value})
    assert answer.status_code == 422
    assert answer.page.all(f".//input[@id='{field}'][@aria-invalid='true']")


def test_a_distributor_is_entered_changed_and_removed(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    place = "/admin/setup/distributors/paperback"
    form = desk.get(place).page.form("language")
    wrong = desk.submit(form, name="Books Abroad", email="orders at example")
    assert wrong.status_code == 422
    assert desk.submit(form, name="Books Abroad", email="orders@abroad.example", language="xx").status_code == 422
    assert desk.submit(form, name="Books Abroad", email="orders@abroad.example").status_code == 303
    assert session.get_one(Distributor, catalogue.paperback).email == "orders@abroad.example"
    assert desk.submit(form_to(desk.get(place), "/remove")).status_code == 303
    session.expire_all()
    assert session.get(Distributor, catalogue.paperback) is None
    assert not has_form(desk.get(place), "/remove")


def test_a_changed_price_holds_from_now_on_and_touches_no_order(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    order, before = factories.make_order(session), current(session)
    form = desk.get("/admin/setup/prices").page.form("paperback-GBP")
    assert form.fields["paperback-GBP"] == "22.00"
    assert desk.submit(form, **{"paperback-GBP": "23,50"}).status_code == 303
    edition = session.get_one(Edition, catalogue.paperback)
    prices = {price.currency: price.amount for price in edition.prices}
    assert prices == {Currency.GBP: 2350, Currency.USD: 3200}
    session.refresh(order)
    assert order.books_amount == 2200
    assert current(session) == before + 1


@pytest.mark.parametrize("typed", ["", "0", "0.00", "-1", "1.5", "1e3", "22 pounds", "9" * 12])
def test_what_is_no_price_is_refused_beside_the_field(
    desk: Client, session: Session, catalogue: Catalogue, typed: str
) -> None:
    form = desk.get("/admin/setup/prices").page.form("paperback-GBP")
    answer = desk.submit(form, **{"paperback-GBP": typed})
    assert answer.status_code == 422
    assert answer.page.all(".//input[@id='paperback-GBP'][@aria-invalid='true']")


def test_postage_is_changed_and_a_zone_turned_on_and_off(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    form = desk.get("/admin/setup/postage").page.form("uk-750")
    assert "eu-on" not in form.fields
    del form.fields["rest-on"]
    changes = {"uk-750": "4.20", "uk-further": "4.20", "eu-on": "y", "uk-least": "3", "uk-most": "6"}
    assert desk.submit(form, **changes).status_code == 303
    zones = {zone.slug: zone for zone in session.scalars(select(PostageZone))}
    assert (zones["uk"].bands[0].amount, zones["uk"].further_amount) == (420, 420)
    assert (zones["uk"].min_days, zones["uk"].max_days) == (3, 6)
    assert zones["eu"].enabled
    assert not zones["rest"].enabled
    wrong = desk.submit(form, **{"uk-least": "9", "uk-most": "3"})
    assert wrong.status_code == 422
    assert wrong.page.all(".//input[@id='uk-most'][@aria-invalid='true']")


def test_the_set_up_page_finds_out_that_the_worker_stands_still(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    assert "Nothing is waiting." in desk.get("/admin/setup").page.text
    factories.make_paid_order(session, gateway, now=datetime.now(UTC) - timedelta(hours=1))
    text = desk.get("/admin/setup").page.text
    assert "the worker seems to have stopped" in text
    assert "It has never run here." in text
    at = datetime.now(UTC)

    def work(s: Session) -> None:
        duty.claim(s, "refunds", timedelta(minutes=1), at)
        duty.finish(s, "refunds", at, timedelta(minutes=1))

    transact(session, work)
    assert "It has never run here." not in desk.get("/admin/setup").page.text


# Words


def test_every_state_worry_and_letter_has_words() -> None:
    tables = (
        (words.PAYMENT, PaymentState),
        (words.FULFILMENT, FulfilmentState),
        (words.WORRY, Worry),
        (words.LETTER, Kind),
        (words.LIBRARY, LibraryState),
        (words.MOVEMENT, stock.Movement),
    )
    for table, states in tables:
        assert set(table) == set(states)


def test_every_entry_of_a_timeline_has_a_sentence() -> None:
    kinds = set()
    for path in (ROOT / "shop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("timeline.note", "note"):
                if len(node.args) < 3:  # a note of something else
                    continue
                for kind in ast.walk(node.args[2]):
                    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                        kinds.add(kind.value)
    assert len(kinds) > 15
    assert kinds - set(words.EVENTS) == set()


def test_every_event_of_a_library_order_has_a_sentence() -> None:
    kinds = {state.value for state in LibraryState if state is not LibraryState.RECEIVED}
    for path in (ROOT / "shop" / "libraries").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("write_down"):
                kinds |= {each.value for each in node.args if isinstance(each, ast.Constant) and each.value}
    assert len(kinds) > 10
    assert kinds - set(library_words.LIBRARY_EVENTS) == set()


def english_words() -> set[str]:
    """Words of the desk's English texts that no Russian page needs."""
    with (ROOT / "translations/ru/LC_MESSAGES/messages.po").open("rb") as file:
        catalogue = read_po(file, locale="ru")
    own = [m for m in catalogue if m.id and any("admin" in place for place, _line in m.locations)]
    plain = " ".join(m.id if isinstance(m.id, str) else " ".join(m.id) for m in own)
    russian = " ".join(m.string if isinstance(m.string, str) else " ".join(m.string) for m in own)
    plain, russian = (re.sub(r"%\(\w+\)[sd]", " ", text) for text in (plain, russian))
    return set(re.findall(r"[A-Za-z]{3,}", plain)) - set(re.findall(r"[A-Za-z]{3,}", russian))


def test_a_russian_desk_shows_no_english_word_and_an_english_one_no_russian(
    client: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    factories.make_admin(session, "anna@longlane.example", "Anna", "ru", notified=False)
    factories.make_admin(session, notified=False)
    posted, worry = factories.make_paid_order(session, gateway), factories.make_paid_order(session, gateway)
    factories.make_order(session, market="ru-gb")
    worried(session, worry)
    ticket = make_enquiry(session).ticket
    transact(session, lambda s: s.execute(update(Unconfirmed).values(confirmed_at=None)))
    let_in(client, "anna@longlane.example")
    client.submit(form_to(client.get(url(posted)), "/post"), carrier="RM", tracking="1")
    pages = [
        *("/admin/", "/admin/orders", url(posted), url(worry), "/admin/stock", "/admin/libraries", "/admin/money"),
        *(f"/admin/libraries/{ticket}", "/admin/letters", "/admin/inbox", "/admin/setup", "/admin/setup/trader"),
        *("/admin/setup/prices", "/admin/setup/postage", "/admin/setup/distributors/russian", "/admin/none"),
        *("/admin/people", "/admin/journal", "/admin/account", "/admin/account/second-factor", "/admin/confirm"),
    ]
    foreign = english_words()
    for page in pages:
        text = without_foreign_parts(client, page, "ru")
        assert set(re.findall(r"[A-Za-z]{3,}", text)) & foreign == set(), page
    client.submit(form_to(client.get("/admin/"), "/admin/language"), ("language", "en"))
    for page in pages:
        assert re.findall(r"[А-яЁё]+", without_foreign_parts(client, page, "en")) == [], page


def without_foreign_parts(client: Client, address: str, language: str) -> str:
    """What a page says in its own words: marked foreign parts, addresses, codes and what people typed left out."""
    pieces: list[str] = []

    def walk(element: object) -> None:
        tag, get = element.tag, element.get  # type: ignore[attr-defined]
        own = get("lang") in (None, language) and tag not in ("code", "address")
        if own and "typed" not in get("class", ""):
            pieces.append(element.text or "")  # type: ignore[attr-defined]
            for child in element:  # type: ignore[attr-defined]
                walk(child)
                pieces.append(child.tail or "")

    root = client.get(address).page.root
    assert root.get("lang") == language
    walk(root.find("body"))
    return re.sub(r"\S+@\S+", "", " ".join(pieces))


@pytest.mark.parametrize(
    ("method", "address", "headers", "status"),
    [
        ("POST", "/admin/stock/paperback", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/admin/orders?q=%00", {}, 400),
        ("GET", "/admin/%00", {}, 400),
        ("GET", "/admin/orders?q=%01", {}, 400),
        ("DELETE", "/admin/orders", {}, 400),
        ("GET", "/admin/nowhere", {}, 404),
    ],
)
def test_a_refusal_speaks_the_language_of_the_person_at_the_desk(
    colleague: Client, catalogue: Catalogue, method: str, address: str, headers: dict[str, str], status: int
) -> None:
    answer = colleague.open(address, method=method, headers={"Accept-Language": "en", **headers})
    assert answer.status_code == status
    assert answer.page.language == "ru"


def test_what_no_page_can_hold_is_refused_at_the_desk(desk: Client, catalogue: Catalogue) -> None:
    form = desk.get("/admin/setup/prices").page.form("paperback-GBP")
    assert desk.submit(form, **{"paperback-GBP": "\x0122"}).status_code == 400
