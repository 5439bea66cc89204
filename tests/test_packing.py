"""The packing table, and what else the desk does with parcels."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdf
import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.letters.models import Kind, Letter
from shop.orders import fulfilment, parcels, timeline
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Order
from shop.payments.models import Payment, Refund, RefundState
from shop.stock import Stock
from shop.worker import Worker
from tests import factories
from tests.client import Client, let_in, make_client
from tests.conftest import MovedClock, engine_of, opened, settings_for
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.test_admin_orders import form_to, has_form, url
from tests.till import differences

ADMIN = timeline.admin("Vera Keeper")
Make = Callable[..., Order]


@pytest.fixture
def patient(app: Flask, database_url: str, instance: Path) -> Flask:
    """The same shop, whose refunds and letters wait for a minute."""
    settings = settings_for(database_url, instance, UNDO_SECONDS="60")
    adapters = {"gateway": app.extensions["shop.gateway"], "mailer": app.extensions["shop.mailer"]}
    with opened(settings, **adapters) as made:
        yield made


@pytest.fixture
def desk(patient: Flask, session: Session) -> Client:
    """Vera at the order desk, in English."""
    factories.make_admin(session)
    client = make_client(patient, after=session.rollback)
    let_in(client)
    return client


@pytest.fixture
def paid(session: Session, gateway: FakeGateway, catalogue: Catalogue) -> Make:
    return lambda **asked: factories.make_paid_order(session, gateway, **asked)


def pack(desk: Client, do: str, *keys: str, **fields: str):
    form = form_to(desk.get("/admin/packing"), "/packing")
    data = {**form.fields, **fields, "do": do, "parcel": list(keys)}
    return desk.post("/admin/packing", data=data, headers={"Sec-Fetch-Site": "same-origin"})


def ticked(answer) -> list[str]:
    boxes = answer.page.all(".//input[@name='parcel']")
    return [each.get("value") for each in boxes if each.get("checked") is not None]


def text_of(answer) -> list[str]:
    assert answer.mimetype == "application/pdf"
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.get_data())).pages]


def test_ten_orders_are_posted_in_four_clicks_and_no_javascript(desk: Client, session: Session, paid: Make):
    orders = [paid(paperback=1) for _ in range(10)]
    desk.get("/admin/")
    table = desk.get("/admin/packing")  # the first click
    assert "/admin/packing?ticked=all" in table.page.links()
    everything = desk.get("/admin/packing?ticked=all")  # the second
    assert ticked(everything) == [order.number for order in orders]
    first = {f"tracking-{orders[0].number}": " RM1 "}
    answer = pack(desk, "post", *ticked(everything), carrier="Royal Mail", **first)  # the third
    assert answer.status_code == 303
    assert "10 parcels were marked as posted" in desk.get("/admin/packing").page.text
    session.expire_all()
    assert all(order.fulfilment_state is FulfilmentState.POSTED for order in orders)
    assert [order.shipments[0].carrier for order in orders] == ["Royal Mail"] * 10
    assert [order.shipments[0].tracking for order in orders] == ["RM1", *[""] * 9]
    assert differences(session) == []


def test_the_table_is_oldest_first_and_lists_free_parcels_too(desk: Client, session: Session, paid: Make):
    at = datetime.now(UTC)
    young, old = paid(now=at), paid(now=at - timedelta(days=9))
    posted = paid(now=at - timedelta(days=20))
    made = transact(session, lambda s: fulfilment.post(s, posted.id, "", "", ADMIN, at).id)
    free = transact(session, lambda s: parcels.replace(s, made, {1: 1}, "lost", ADMIN, at - timedelta(days=1)).id)
    table = desk.get("/admin/packing?ticked=all")
    assert ticked(table) == [old.number, f"free-{free}", young.number]
    assert "overdue" in table.page.text
    assert "free replacement" in table.page.text
    assert pack(desk, "post", f"free-{free}").status_code == 303
    session.expire_all()
    assert ticked(desk.get("/admin/packing?ticked=all")) == [old.number, young.number]
    assert differences(session) == []


def test_papers_come_in_the_order_of_the_table(desk: Client, session: Session, paid: Make):
    orders = [paid(market="ru-us", country="US", note="Анне\nна память", purchase_order="PO-7") for _ in range(3)]
    numbers = [order.number for order in orders]
    for kind in ("slips", "labels", "customs"):
        found = text_of(pack(desk, kind, *numbers))
        assert [number in text for number, text in zip(numbers, found, strict=True)] == [True] * 3
    slip = text_of(pack(desk, "slips", numbers[0]))[0]
    assert "на память" in slip
    assert "PO-7" in slip
    label = text_of(desk.get(f"/admin/orders/{numbers[0]}/papers/labels.pdf"))[0]
    assert "UNITED STATES" in label
    assert "PO-7" in label


def test_what_was_called_off_is_on_no_slip(desk: Client, session: Session, paid: Make, catalogue: Catalogue):
    order = paid(paperback=2, russian=1)

    def work(s: Session) -> None:
        from shop.orders.placing import locked

        fulfilment.call_off_copies(s, locked(s, order.id), {2: 1}, ADMIN, datetime.now(UTC))

    transact(session, work)
    [slip] = text_of(pack(desk, "slips", order.number))
    assert "Русская революция" not in slip


def test_nothing_ticked_and_nothing_known_are_said(desk: Client, paid: Make):
    order = paid()
    assert pack(desk, "post").status_code == 422
    assert pack(desk, "customs", order.number).status_code == 422
    assert pack(desk, "labels", "RR-NONSENSE").status_code == 409
    assert pack(desk, "post", order.number, **{f"tracking-{order.number}": "1" * 101}).status_code == 422
    assert pack(desk, "dance", order.number).status_code == 400
    assert desk.get(f"/admin/orders/{order.number}/papers/customs.pdf").status_code == 404
    assert desk.get(f"/admin/orders/{order.number}/papers/novels.pdf").status_code == 404
    assert desk.get("/admin/parcels/99/papers/slips.pdf").status_code == 404


def test_whoever_posts_what_another_has_posted_sees_who_it_was(
    patient: Flask, desk: Client, session: Session, paid: Make
):
    factories.make_admin(session, "anna@longlane.example", "Анна", "ru")
    anna = make_client(patient, after=session.rollback)
    let_in(anna, "anna@longlane.example")
    order, other = paid(), paid()
    assert pack(desk, "post", order.number).status_code == 303
    assert pack(anna, "post", order.number, other.number).status_code == 303
    told = anna.get("/admin/packing").page.text
    assert "Отправку уже отметили: Vera Keeper" in told
    assert "1 посылка отмечена" in told.replace("\u00a0", " ")
    session.expire_all()
    assert len(order.shipments) == len(other.shipments) == 1


def test_posting_is_undone_from_the_table_until_the_letter_leaves(
    patient: Flask, desk: Client, session: Session, paid: Make, clock: MovedClock, mailer: FakeMailer
):
    order, other = paid(), paid()
    pack(desk, "post", order.number, other.number)
    table = desk.get("/admin/packing")
    undo = [each for each in table.page.forms() if each.action.endswith("/packing/undo")]
    assert len(undo) == 3  # each, and both
    assert desk.submit(undo[0], ("shipment", str(other.shipments[0].id))).status_code == 303
    session.expire_all()
    assert other.fulfilment_state is FulfilmentState.TO_POST
    clock.advance(seconds=61)
    Worker(patient).round()
    assert not has_form(desk.get("/admin/packing"), "/packing/undo")
    answer = desk.submit(undo[0], ("shipment", str(order.shipments[0].id)))
    assert answer.status_code == 303
    assert "could not be taken back" in desk.get("/admin/packing").page.text
    sent = session.scalars(select(Letter).where(Letter.kind == Kind.POSTED)).all()
    assert [letter.order_id for letter in sent] == [order.id]
    assert differences(session) == []


def test_a_refund_can_be_undone_at_the_desk_until_stripe_is_told(
    patient: Flask, desk: Client, session: Session, paid: Make, clock: MovedClock, gateway: FakeGateway
):
    order = paid()
    payment = session.scalars(select(Payment)).one()
    page = desk.get(f"/admin/payments/{payment.id}/refund")
    assert "60 seconds it can be undone" in page.page.text
    desk.submit(form_to(page, "/refund"), reason="other")
    assert session.scalars(select(Refund.state)).one() is RefundState.OWED
    assert gateway.refunds_of(payment.intent_id) == []
    shown = desk.get(url(order))
    assert "until then it can be undone" in shown.page.text
    assert desk.submit(form_to(shown, "/undo")).status_code == 303
    assert "taken back" in desk.get(url(order)).page.text
    assert session.scalars(select(Refund.state)).one() is RefundState.CANCELLED
    desk.submit(form_to(desk.get(f"/admin/payments/{payment.id}/refund"), "/refund"), reason="other")
    late = form_to(desk.get("/admin/money"), "/undo")
    clock.advance(seconds=61)
    Worker(patient).round(everything=True)
    assert desk.submit(late).status_code == 303
    assert "too late" in desk.get(url(order)).page.text
    assert [each.amount for each in gateway.refunds_of(payment.intent_id)] == [payment.amount]
    assert not has_form(desk.get(url(order)), "/undo")
    assert differences(session) == []


def test_an_order_is_posted_in_parts(desk: Client, session: Session, paid: Make):
    order = paid(paperback=2, russian=1)
    form = form_to(desk.get(url(order)), "/post")
    assert desk.submit(form, **{"copies-1": "1", "copies-2": "x"}).status_code == 422
    assert desk.submit(form, **{"copies-1": "3"}).status_code == 409
    assert desk.submit(form, **{"copies-1": "1", "copies-2": "0"}).status_code == 303
    shown = desk.get(url(order))
    assert "A part of the order" in shown.page.text
    assert form_to(shown, "/post").fields["copies-1"] == "1"
    assert desk.submit(form_to(shown, "/post")).status_code == 303
    session.refresh(order)
    assert order.fulfilment_state is FulfilmentState.POSTED
    assert len(order.shipments) == 2
    assert differences(session) == []


def test_a_carriers_list_taken_in_twice_changes_nothing_the_second_time(
    desk: Client, session: Session, paid: Make
):
    first, second, dull, unpaid = paid(), paid(), paid(), factories.make_order(session)
    pack(desk, "post", dull.number)
    text = (
        f"Order;Tracking;Carrier\n{first.number};RM1111;Royal Mail\n{second.number};RM2222;Royal Mail\n"
        f"{dull.number};RM3333;Royal Mail\n{unpaid.number};RM4444;Royal Mail\nnobody;RM5555;Royal Mail\n"
    )
    form = form_to(desk.get("/admin/packing/carrier"), "/carrier")
    once = desk.submit(form, list=text)
    assert once.status_code == 200
    assert once.page.text.count("Marked as posted") == 2
    assert "the tracking number was noted" in once.page.text
    assert "cannot be posted now" in once.page.text
    assert "no number of an order" in once.page.text
    session.expire_all()
    assert (first.shipments[0].tracking, dull.shipments[0].tracking) == ("RM1111", "RM3333")
    told = len(first.timeline), len(dull.timeline)
    again = desk.submit(form, list=text)
    assert again.page.text.count("Known already") == 3
    session.expire_all()
    assert (len(first.timeline), len(dull.timeline)) == told
    assert len(first.shipments) == 1
    assert differences(session) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1251", "utf-16"])
def test_a_carriers_file_is_read_in_the_encodings_that_are_about(
    desk: Client, session: Session, paid: Make, encoding: str
):
    order = paid()
    body = f"Заказ;Трек;Перевозчик\n{order.number};RM1111;Почта\n".encode(encoding)
    form = form_to(desk.get("/admin/packing/carrier"), "/carrier")
    data = {**form.fields, "file": (io.BytesIO(body), "list.csv")}
    assert desk.post(form.action, data=data, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    session.expire_all()
    assert (order.shipments[0].carrier, order.shipments[0].tracking) == ("Почта", "RM1111")


def test_a_number_that_a_spreadsheet_has_rounded_goes_to_no_buyer(desk: Client, session: Session, paid: Make):
    order, doubtful = paid(), paid()
    doubtful.needs_attention = True
    session.commit()
    form = form_to(desk.get("/admin/packing/carrier"), "/carrier")
    answer = desk.submit(form, list=f"Order,Tracking\n{order.number},9.40011E+21\n{doubtful.number},RM1111\n")
    assert "no tracking number" in answer.page.text.replace("\u00a0", " ")
    assert "it needs attention" in answer.page.text.replace("\u00a0", " ")
    session.expire_all()
    assert not order.shipments
    assert not doubtful.shipments


@pytest.mark.parametrize("text", ["", "nonsense", "a,b\n1,2"])
def test_a_list_that_cannot_be_read_is_said_to_be_so(desk: Client, text: str):
    form = form_to(desk.get("/admin/packing/carrier"), "/carrier")
    assert desk.submit(form, list=text).status_code == 422


def test_a_lost_parcel_is_replaced_free_of_charge(
    desk: Client, session: Session, paid: Make, catalogue: Catalogue
):
    order = paid(paperback=2)
    desk.submit(form_to(desk.get(url(order)), "/post"))
    shipment = session.get_one(Order, order.id).shipments[0]
    page = desk.get(f"/admin/parcels/{shipment.id}/replace")
    assert desk.submit(form_to(page, "/replace"), **{"copies-1": "3"}).status_code == 409
    assert desk.submit(form_to(page, "/replace"), **{"copies-1": "0"}).status_code == 422
    assert desk.submit(form_to(page, "/replace"), **{"copies-1": "1"}, reason="boredom").status_code == 422
    assert desk.submit(form_to(page, "/replace"), **{"copies-1": "1"}, reason="damaged").status_code == 303
    shown = desk.get(url(order))
    assert "free replacement" in shown.page.text
    free = next(
        each for each in shown.page.forms() if "/parcels/" in each.action and each.action.endswith("/post")
    )
    assert desk.submit(free, tracking="T2").status_code == 303
    assert desk.submit(free, tracking="T3").status_code == 409
    assert session.get_one(Stock, catalogue.paperback).on_hand == 37
    assert differences(session) == []


def test_a_parcel_that_came_back_is_decided_about_once(
    desk: Client, session: Session, paid: Make, catalogue: Catalogue
):
    order = paid()
    desk.submit(form_to(desk.get(url(order)), "/post"))
    shipment = session.get_one(Order, order.id).shipments[0]
    page = desk.get(f"/admin/parcels/{shipment.id}/back")
    assert desk.submit(form_to(page, "/back")).status_code == 422
    assert desk.submit(form_to(page, "/back"), restock="yes").status_code == 303
    assert desk.submit(form_to(page, "/back"), restock="yes").status_code == 409
    following = form_to(desk.get(url(order)), "/next")
    assert desk.submit(following, ("next", "resent")).status_code == 303
    assert desk.submit(following, ("next", "resent")).status_code == 409
    assert desk.submit(following, ("next", "dance")).status_code == 400
    dropping = form_to(desk.get(url(order)), "/drop")
    assert desk.submit(dropping).status_code == 303
    assert desk.submit(dropping).status_code == 409
    answer = desk.submit(form_to(desk.get(url(order)), "/next"), ("next", "refunded"))
    assert "/payments/" in answer.location
    assert session.get_one(Stock, catalogue.paperback).on_hand == 40
    assert differences(session) == []


def test_an_address_is_corrected_and_only_before_its_parcel_leaves(desk: Client, session: Session, paid: Make):
    order = paid(market="en-us", country="US")
    page = desk.get(url(order, "/address"))
    assert desk.submit(form_to(page, "/address"), name=" ").status_code == 422
    answer = desk.submit(form_to(page, "/address"), line1="Садовая, 5", city="Москва", state="")
    assert answer.status_code == 303
    shown = desk.get(url(order)).page.text
    assert "no Latin letters" in shown
    assert "First line: “5 Station Road” became “Садовая, 5”" in shown
    assert desk.submit(form_to(page, "/address"), line1="Late").status_code == 409
    assert "no Latin letters" in desk.get("/admin/packing").page.text
    desk.submit(form_to(desk.get(url(order)), "/post"))
    assert desk.get(url(order, "/address")).status_code == 409


def test_the_table_asks_as_many_questions_for_many_as_for_few(
    patient: Flask, desk: Client, session: Session, paid: Make
):
    def questions() -> int:
        asked = []
        with patient.app_context():
            engine = engine_of(patient)
        listen = lambda *_: asked.append(1)  # noqa: E731
        event.listen(engine, "before_cursor_execute", listen)
        desk.get("/admin/packing")
        event.remove(engine, "before_cursor_execute", listen)
        return len(asked)

    at, minute = datetime.now(UTC), timedelta(seconds=60)

    def grow(number: int) -> None:
        for _ in range(number):
            paid(paperback=1, russian=1)
            posted = paid()
            made = transact(session, lambda s, o=posted: fulfilment.post(s, o.id, "", "", ADMIN, at).id)
            transact(session, parcels.replace, made, {1: 1}, "lost", ADMIN, at)
            hot = paid()
            transact(session, lambda s, o=hot: fulfilment.post(s, o.id, "", "", ADMIN, at, grace=minute).id)

    grow(1)
    few = questions()
    grow(4)
    assert questions() == few
