"""The order desk at work: finding orders, posting them, giving money back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop import stock
from shop.admin.today import post_by
from shop.database import transact
from shop.errors import GatewayUnavailable
from shop.letters.models import Kind, Letter, LetterState
from shop.orders import timeline
from shop.orders.folding import fold
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, Worry
from shop.orders.placing import locked
from shop.payments.models import Payment, PaymentRole, Refund, RefundState
from shop.stock import Stock
from tests import factories
from tests.client import Answer, Client, Form, let_in, make_client
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway


@pytest.fixture
def desk(client: Client, session: Session) -> Client:
    """Vera at the order desk, in English."""
    factories.make_admin(session)
    let_in(client)
    return client


@pytest.fixture
def colleague(app: Flask, session: Session, desk: Client) -> Client:
    """Her colleague at the same desk, in Russian."""
    factories.make_admin(session, "anna@longlane.example", "Анна", "ru")
    other = make_client(app, after=session.rollback)
    let_in(other, "anna@longlane.example")
    return other


def url(order: Order, rest: str = "") -> str:
    return f"/admin/orders/{order.number}{rest}"


def form_to(answer: Answer, ending: str) -> Form:
    """The form of a page that leads to an address with this ending."""
    return next(each for each in answer.page.forms() if each.action.endswith(ending))


def has_form(answer: Answer, ending: str) -> bool:
    return any(each.action.endswith(ending) for each in answer.page.forms())


def worried(session: Session, order: Order, worry: Worry = Worry.FRAUD_WARNING) -> None:
    at = datetime.now(UTC)
    transact(session, lambda s: timeline.worry(s, locked(s, order.id), worry, at, cause="x"))


def rename(session: Session, order: Order, **fields: str) -> None:
    def work(s: Session) -> None:
        buyer = s.get_one(Order, order.id).buyer
        for name, value in fields.items():
            setattr(buyer, name, value)

    transact(session, work)


def numbers(answer: Answer) -> list[str]:
    return [text for link, text in answer.page.links().items() if link.startswith("/admin/orders/RR-")]


def test_today_counts_what_must_be_done_and_marks_what_is_late(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    now = datetime.now(UTC)
    new = factories.make_paid_order(session, gateway, now=now)
    old = factories.make_paid_order(session, gateway, now=now - timedelta(days=8))
    worry = factories.make_paid_order(session, gateway)
    worried(session, worry)
    page = desk.get("/admin/")
    assert numbers(page) == [old.number, new.number]
    assert page.page.text.count("overdue") == 1
    tasks = {link: text for link, text in page.page.links().items() if "state=" in link}
    assert tasks["/admin/orders?state=to_post"].split()[0] == "2"
    assert tasks["/admin/orders?state=attention"].split()[0] == "1"
    assert numbers(desk.get("/admin/orders?state=attention")) == [worry.number]


def test_days_to_post_are_working_days_of_the_shops_own_zone() -> None:
    friday_noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert post_by(friday_noon, 2).isoformat() == "2026-11-24"
    summer_midnight = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)  # already Thursday in London
    assert post_by(summer_midnight, 1).isoformat() == "2026-07-03"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", ["posted", "paid", "refunded", "awaiting"]),
        ("to_post", ["paid"]),
        ("awaiting", ["awaiting"]),
        ("posted", ["posted"]),
        ("refunded", ["refunded"]),
        ("attention", []),
    ],
)
def test_filters_are_links_and_show_what_they_say(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue, state: str, expected: list[str]
) -> None:
    orders = {"awaiting": factories.make_order(session)}
    for name in ("refunded", "paid", "posted"):
        orders[name] = factories.make_paid_order(session, gateway)
    desk.submit(form_to(desk.get(url(orders["posted"])), "/post"))
    refund(desk, orders["refunded"], session)
    found = numbers(desk.get(f"/admin/orders?state={state}"))
    assert found == [orders[name].number for name in expected]
    assert "/admin/orders?state=posted" in desk.get("/admin/orders").page.links()


@pytest.mark.parametrize(
    "typed",
    ["ёлкина", "ЕЛКИНА", "анна елк", "Anna.Elkina@Example", "example.org", "NUMBER", "number without dashes"],
)
def test_orders_are_found_by_number_name_and_email_however_typed(
    desk: Client, session: Session, catalogue: Catalogue, typed: str
) -> None:
    wanted, other = factories.make_order(session), factories.make_order(session)
    rename(session, wanted, name="Анна Ёлкина", email="anna.elkina@example.org")
    rename(session, other, name="Ada 100% Reader_", email="ada@example.com")
    typed = typed.replace("NUMBER", wanted.number.lower()).replace(
        "number without dashes", wanted.number.replace("-", " ")
    )
    assert numbers(desk.get("/admin/orders", query_string={"q": typed})) == [wanted.number]


@pytest.mark.parametrize(("typed", "found"), [("100%", 1), ("%", 0), ("_", 0), ("1_0", 0), ("'", 0), ("\\", 0)])
def test_signs_of_the_search_language_are_only_letters(
    desk: Client, session: Session, catalogue: Catalogue, typed: str, found: int
) -> None:
    rename(session, factories.make_order(session), name="Ada 100% Reader_")
    factories.make_order(session)
    assert len(numbers(desk.get("/admin/orders", query_string={"q": typed}))) == found


def test_folding_keeps_short_i_and_drops_case_and_accents() -> None:
    assert fold("  Éva   ЙЁЛКИН ") == "eva йелкин"


def test_letters_that_are_no_others_with_accents_are_found_by_those_without_their_keyboard() -> None:
    assert fold("Łoś Ørsted Đorđević Æsir İstanbul Kırıkkale") == "los orsted dordevic aesir istanbul kirikkale"


def test_the_list_goes_on_by_pages(desk: Client, session: Session, catalogue: Catalogue) -> None:
    factories.set_stock(session, catalogue.paperback, 100)
    placed = [factories.make_order(session).number for _ in range(53)]
    first = desk.get("/admin/orders")
    assert numbers(first) == placed[:2:-1]
    older = next(link for link, text in first.page.links().items() if text == "Older")
    second = desk.get(older)
    assert numbers(second) == placed[2::-1]
    assert "Older" not in second.page.links().values()


@pytest.mark.parametrize(
    "address",
    [
        "orders?before=x",
        "orders?before=0",
        "orders?before=99999999999999999999",
        "orders?state=none",
        f"orders?q={'x' * 201}",
        "orders/RR-00000001",
        "orders/nonsense",
        "orders/%D0%AF",
        "payments/99999999999999999999/refund",
        "payments/5/refund",
        "libraries?state=none",
        "libraries/LB-NOTHING0",
        "setup/distributors/none",
        "inbox?before=none",
        "letters?before=-1",
        "stock?before=%F0%9F%98%80",
        "nothing",
    ],
)
def test_what_does_not_exist_is_said_so(desk: Client, catalogue: Catalogue, address: str) -> None:
    answer = desk.get(f"/admin/{address}")
    assert answer.status_code == 404
    assert "There is no such page" in answer.page.text


@pytest.mark.parametrize("address", ["orders?q=%00", "orders/%00", "orders?q=%FF"])
def test_broken_text_is_a_bad_request_in_the_desks_words(desk: Client, address: str) -> None:
    answer = desk.get(f"/admin/{address}")
    assert answer.status_code == 400
    assert answer.page.links()


def test_an_order_is_shown_whole(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(
        session,
        gateway,
        market="ru-us",
        country="US",
        paperback=1,
        russian=2,
        purchase_order="PO-77",
        note="Анне\nна память",
    )
    text = desk.get(url(order)).page.text
    for part in ("Russian edition", "US$", "PO-77", "Анне\nна память", "Springfield", "United States", "pi_"):
        assert part in text
    assert "The order was paid." in text
    assert "Order confirmed" in text


def test_posting_writes_everything_that_follows(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    form = form_to(desk.get(url(order)), "/post")
    answer = desk.submit(form, carrier=" Royal Mail ", tracking="RM 1")
    assert (answer.status_code, answer.location) == (303, url(order))
    session.refresh(order)
    assert order.fulfilment_state is FulfilmentState.POSTED
    assert (order.shipments[0].carrier, order.shipments[0].tracking) == ("Royal Mail", "RM 1")
    assert order.shipments[0].posted_by == "Vera Keeper"
    letters = session.scalars(select(Letter.kind).where(Letter.order_id == order.id, Letter.kind == Kind.POSTED))
    assert len(letters.all()) == 1
    shown = desk.get(url(order))
    assert "Marked as posted." in shown.page.text
    assert "posted with Royal Mail, tracking number RM 1" in shown.page.text
    assert not has_form(shown, "/post")


def test_two_people_cannot_post_one_order_twice(
    desk: Client, colleague: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    hers, his = form_to(desk.get(url(order)), "/post"), form_to(colleague.get(url(order)), "/post")
    assert desk.submit(hers, tracking="A1").status_code == 303
    second = colleague.submit(his, tracking="B2")
    assert second.status_code == 409
    assert "Отправку уже отметили: Vera Keeper" in second.page.text
    assert "Vera Keeper" in second.page.text
    assert "A1" in second.page.text
    session.refresh(order)
    assert len(order.shipments) == 1


@pytest.mark.parametrize("why", ["unpaid", "worry", "disputed", "refunding"])
def test_an_order_that_may_not_be_posted_has_no_button_and_is_refused(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue, why: str
) -> None:
    spare = factories.make_paid_order(session, gateway)
    order = factories.make_order(session) if why == "unpaid" else factories.make_paid_order(session, gateway)
    if why == "worry":
        worried(session, order)
    elif why in ("disputed", "refunding"):
        transact(session, lambda s: s.execute(update(Order).where(Order.id == order.id).values({why: True})))
    page = desk.get(url(order))
    assert not has_form(page, "/post")
    form = form_to(desk.get(url(spare)), "/post")
    form.action = form.action.replace(spare.number, order.number)
    assert desk.submit(form).status_code == 409


def test_a_parcel_cannot_hold_copies_that_are_not_on_the_shelf(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    form = form_to(desk.get(url(order)), "/post")
    at = datetime.now(UTC)
    transact(session, lambda s: stock.count(s, catalogue.paperback, 0, "burnt", "system", at))
    answer = desk.submit(form)
    assert answer.status_code == 409
    assert "fewer copies on the shelf" in answer.page.text
    assert session.get_one(Stock, catalogue.paperback).on_hand == 0


def test_too_long_a_tracking_number_is_said_beside_it(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    answer = desk.submit(form_to(desk.get(url(order)), "/post"), tracking="1" * 101)
    assert answer.status_code == 422
    assert "At most 100 characters" in answer.page.text
    assert form_to(answer, "/post").fields["tracking"] == "1" * 101


def test_a_worry_keeps_an_order_until_somebody_has_looked(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    worried(session, order)
    page = desk.get(url(order))
    assert "suspects that the payment was not made by its owner" in page.page.text
    concern = order.concerns[0].id
    assert desk.submit(form_to(page, f"/concerns/{concern}")).status_code == 303
    session.expire_all()
    assert order.may_be_posted
    assert order.concerns[0].settled_by == "Vera Keeper"
    assert "Was looked at: A warning of fraud." in desk.get(url(order)).page.text
    token = form_to(page, f"/concerns/{concern}").fields["csrf_token"]
    assert desk.post(url(order, "/concerns/999999"), data={"csrf_token": token}).status_code == 404


def refund(desk: Client, order: Order, session: Session, reason: str = "requested_by_customer") -> Answer:
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).first()
    assert payment is not None
    return desk.submit(desk.get(f"/admin/payments/{payment.id}/refund").page.form("reason"), reason=reason)


def test_a_full_refund_before_posting_cancels_it_and_frees_the_copies(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    before = stock.available(session, catalogue.paperback)
    link = next(link for link, text in desk.get(url(order)).page.links().items() if text.startswith("Refund"))
    asked = desk.get(link)
    assert "£25.50 will go back to the buyer’s card" in asked.page.text
    answer = desk.submit(asked.page.form("reason"))
    assert (answer.status_code, answer.location) == (303, url(order))
    session.expire_all()
    assert order.payment_state is PaymentState.REFUNDED
    assert order.fulfilment_state is FulfilmentState.CANCELLED
    assert stock.available(session, catalogue.paperback) == before + 1
    shown = desk.get(url(order)).page.text
    assert "£25.50 went back" in shown
    assert "The buyer asked for it" in shown
    assert session.scalar(select(Letter).where(Letter.order_id == order.id, Letter.kind == Kind.REFUNDED))


def test_a_refund_asked_for_twice_is_made_once(
    desk: Client, colleague: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    page = f"/admin/payments/{payment.id}/refund"
    hers, his = desk.get(page).page.form("reason"), colleague.get(page).page.form("reason")
    assert desk.submit(hers).status_code == 303
    assert colleague.submit(his).status_code == 409
    assert desk.submit(hers).status_code == 409
    assert len(session.scalars(select(Refund)).all()) == 1
    assert sum(each.amount for each in gateway.refunds.values()) == payment.amount


def test_a_refund_that_stripe_does_not_answer_stays_owed_and_is_said_so(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    gateway.before.append(GatewayUnavailable("no answer"))
    assert refund(desk, order, session).status_code == 303
    text = desk.get(url(order)).page.text
    assert "Stripe does not answer" in text
    assert "It is tried again by itself until Stripe answers." in text
    assert session.scalars(select(Refund)).one().state is RefundState.OWED
    assert order.number in desk.get("/admin/money").page.text
    assert not has_form(desk.get(url(order)), "/post")


def test_a_refund_needs_a_reason_that_is_known(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    assert refund(desk, order, session, reason="because").status_code == 422
    assert session.scalars(select(Refund)).all() == []


def test_a_disputed_payment_is_not_refunded_here(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    form = desk.get(f"/admin/payments/{payment.id}/refund").page.form("reason")
    transact(session, lambda s: s.execute(update(Order).values(disputed=True)))
    answer = desk.submit(form)
    assert answer.status_code == 409
    assert "disputes this payment" in answer.page.text


def test_a_surplus_payment_has_a_refund_of_its_own(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)

    def surplus(s: Session) -> int:
        second = Payment(
            order_id=order.id,
            role=PaymentRole.SURPLUS,
            intent_id="pi_second",
            amount=900,
            currency=order.currency,
            received_at=datetime.now(UTC),
        )
        s.add(second)
        s.flush()
        return second.id

    second = transact(session, surplus)
    page = desk.get(url(order)).page
    assert f"/admin/payments/{second}/refund" in page.links()
    assert "surplus, late or wrong" in page.text
    asked = desk.get(f"/admin/payments/{second}/refund").page
    assert "£9.00" in asked.text
    assert "copies go back to sale" not in asked.text


def test_a_letter_is_sent_again_as_another_row(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    first = session.scalars(
        select(Letter).where(Letter.order_id == order.id, Letter.kind == Kind.ORDER_PAID)
    ).one()

    def fail(s: Session) -> None:
        row = s.get_one(Letter, first.id)
        row.state, row.last_error = LetterState.FAILED, "550 no such mailbox"

    transact(session, fail)
    assert "550 no such mailbox" in desk.get("/admin/letters").page.text
    page = desk.get(url(order))
    assert desk.submit(form_to(page, f"/letters/{first.id}")).status_code == 303
    copies = session.scalars(select(Letter.copy).where(Letter.cause == first.cause, Letter.kind == first.kind))
    assert sorted(copies) == [0, 1]
    assert "The letter “Order confirmed” was sent again." in desk.get(url(order)).page.text
    assert "550 no such mailbox" not in desk.get("/admin/letters").page.text
    other = factories.make_paid_order(session, gateway)
    token = form_to(page, f"/letters/{first.id}").fields["csrf_token"]
    assert desk.post(url(other, f"/letters/{first.id}"), data={"csrf_token": token}).status_code == 404
