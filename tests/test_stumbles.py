"""What somebody who works at the desk by hand stumbled over: mistaken files, doubtful sums, sentences that mislead."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from shop import erasure
from shop.database import transact
from shop.orders import timeline
from shop.orders.models import Order
from shop.payments.models import Payment
from shop.worker import Worker
from tests.client import Client, make_client
from tests.conftest import MovedClock
from tests.test_admin_orders import form_to, has_form, url
from tests.test_packing import Make, desk, paid, patient
from tests.till import differences

__all__ = ["desk", "paid", "patient"]


def said(answer) -> str:
    """The text of a page, with ordinary blanks."""
    return str(answer.page.text.replace("\u00a0", " "))


def take_in(desk: Client, text: str):
    return desk.submit(form_to(desk.get("/admin/packing/carrier"), "/carrier"), list=text)


def test_two_orders_never_get_one_tracking_number_from_a_list(desk: Client, session: Session, paid: Make):
    first, second, third = paid(), paid(), paid()
    answer = take_in(
        desk,
        f"Order,Tracking\n{first.number},RM1111GB\n{second.number},RM 1111 GB\n{third.number},RM3333GB\n",
    )
    assert said(answer).count("stands beside several orders") == 2
    session.expire_all()
    assert [len(each.shipments) for each in (first, second, third)] == [0, 0, 1]


def test_a_tracking_number_is_the_same_however_it_is_spaced(desk: Client, session: Session, paid: Make):
    order = paid(paperback=2)
    desk.submit(form_to(desk.get(url(order)), "/post"), tracking="RM 1111 2222 GB", **{"copies-1": "1"})
    assert "Known already" in said(take_in(desk, f"Order,Tracking\n{order.number},RM11112222GB\n"))
    session.expire_all()
    assert len(order.shipments) == 1


@pytest.mark.parametrize("beginning", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_workbook_instead_of_a_list_is_told_apart(desk: Client, beginning: bytes):
    form = form_to(desk.get("/admin/packing/carrier"), "/carrier")
    data = {**form.fields, "file": (io.BytesIO(beginning + bytes(1000)), "list.xlsx")}
    answer = desk.post(form.action, data=data, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 422
    assert "a spreadsheet’s own file" in said(answer)


def test_a_list_of_headings_alone_is_not_passed_over_in_silence(desk: Client):
    answer = take_in(desk, "Order,Tracking\n")
    assert answer.status_code == 422
    assert "no parcels" in said(answer)


def refund_page(desk: Client, order: Order, **asked: str):
    """The page that asks once more before a refund."""
    return desk.get(f"/admin/payments/{payment_of(order)}/refund", query_string=asked)


def payment_of(order: Order) -> int:
    session = object_session(order)
    assert session is not None
    return session.scalars(select(Payment.id).where(Payment.order_id == order.id)).one()


def test_a_parcel_of_no_copies_or_too_many_is_refused_with_the_reason(desk: Client, session: Session, paid: Make):
    order = paid(paperback=2)
    form = form_to(desk.get(url(order)), "/post")
    for copies in ("0", "3"):
        answer = desk.submit(form, **{"copies-1": copies})
        assert answer.status_code == 409
        assert "no more than are left to post" in said(answer)


def test_who_posts_while_a_refund_is_under_way_is_told_so(desk: Client, session: Session, paid: Make):
    order = paid()
    form = form_to(desk.get(url(order)), "/post")
    desk.submit(form_to(refund_page(desk, order), "/refund"))
    answer = desk.submit(form)
    assert answer.status_code == 409
    assert "A refund of this order is under way" in said(answer)


def test_a_refund_tells_copies_that_were_posted_from_those_that_were_not(
    desk: Client, session: Session, paid: Make
):
    order = paid(paperback=3)
    desk.submit(form_to(desk.get(url(order)), "/post"), **{"copies-1": "1"})
    for asked in ({}, {"way": "copies", "copies-1": "3"}):
        page = refund_page(desk, order, **asked)
        assert "2 copies will not be posted" in said(page)
        assert "1 copy has been posted already" in said(page)
        assert "will not be posted, and its copies go back" not in said(page)


def test_copies_that_came_back_with_their_parcel_are_not_asked_about_by_its_refund(
    desk: Client, session: Session, paid: Make
):
    order = paid(paperback=2)
    desk.submit(form_to(desk.get(url(order)), "/post"))
    asked = form_to(refund_page(desk, order), "/refund")
    session.expire_all()
    came = desk.get(f"/admin/parcels/{order.shipments[0].id}/back")
    desk.submit(form_to(came, "/back"), restock="yes")
    page = refund_page(desk, order)
    assert "are back on the shelf already" in said(page)
    assert "back" not in form_to(page, "/refund").fields
    # The box of a page that was open before is ticked in good faith: it is true, and counts nothing twice.
    assert desk.submit(asked, back="on").status_code == 303
    assert differences(session) == []


def test_a_refund_that_was_taken_back_waits_for_no_copies(desk: Client, session: Session, paid: Make):
    order = paid()
    desk.submit(form_to(desk.get(url(order)), "/post"))
    desk.submit(form_to(refund_page(desk, order), "/refund"))
    page = desk.get(url(order))
    assert "is back on the shelf" in said(page)
    desk.submit(form_to(page, "/undo"))
    assert "is back on the shelf" not in said(desk.get(url(order)))


def test_a_free_parcel_of_a_refunded_order_is_not_forgotten_on_the_packing_table(
    desk: Client, session: Session, paid: Make
):
    order = paid()
    desk.submit(form_to(desk.get(url(order)), "/post"))
    session.expire_all()
    page = desk.get(f"/admin/parcels/{order.shipments[0].id}/replace")
    desk.submit(form_to(page, "/replace"), **{"copies-1": "1"}, reason="lost")
    assert "cannot be posted now" not in said(desk.get("/admin/packing"))
    desk.submit(form_to(refund_page(desk, order), "/refund"))
    table = said(desk.get("/admin/packing"))
    assert "Free parcels that cannot be posted now" in table
    assert order.number in table
    assert "A refund of this order is under way" in table


def test_a_postcode_that_is_not_served_keeps_an_order_from_being_posted_when_it_is_corrected_to_it(
    desk: Client, session: Session, paid: Make
):
    order = paid()
    page = desk.get(url(order, "/address"))
    assert desk.submit(form_to(page, "/address"), postal_code="bt1 5gs").status_code == 303
    session.expire_all()
    assert order.needs_attention
    assert "The address may not be served" in said(desk.get(url(order)))


def count(desk: Client, slug: str, counted: int) -> str:
    desk.submit(form_to(desk.get("/admin/stock"), f"/stock/{slug}"), counted=str(counted), reason="counted")
    return said(desk.get("/admin/stock"))


def test_a_count_that_finds_enough_takes_the_worries_of_an_earlier_one_away(
    desk: Client, session: Session, paid: Make
):
    first, second = paid(paperback=2), paid(paperback=1, russian=1)
    assert "2 orders now need attention" in count(desk, "paperback", 0)
    assert "1 order now needs attention" in count(desk, "russian", 0)
    told = count(desk, "paperback", 40)
    session.expire_all()
    assert (first.needs_attention, second.needs_attention) == (False, True)
    assert "1 order that had waited for that can be posted" in told
    count(desk, "russian", 40)
    session.expire_all()
    assert not second.needs_attention
    assert [concern.settled_by for concern in second.concerns] == ["Vera Keeper"]
    assert list(timeline.breaks(second)) == []


def test_a_count_that_finds_enough_leaves_other_worries_to_a_person(desk: Client, session: Session, paid: Make):
    order = paid()
    desk.submit(form_to(desk.get(url(order, "/address")), "/address"), postal_code="BT1 5GS")
    count(desk, "paperback", 0)
    count(desk, "paperback", 40)
    session.expire_all()
    assert order.needs_attention
    assert [concern.settled_at is None for concern in order.concerns] == [True, False]


def test_a_remark_is_kept_once_for_the_desk_and_goes_with_the_buyer(
    desk: Client, patient: Flask, session: Session, paid: Make
):
    order = paid()
    form = form_to(desk.get(url(order)), "/remarks")
    for _ in range(2):  # a double click
        assert desk.submit(form, remark="Rang: away until May <b>").status_code == 303
    page = said(desk.get(url(order)))
    assert page.count("Remark: Rang: away until May <b>") == 1
    assert desk.submit(form, remark=" ").status_code == 422
    assert desk.submit(form, remark="x" * 1001).status_code == 422
    assert "Rang" not in desk.get(f"{url(order)}/evidence.txt").get_data(as_text=True)
    buyer = make_client(patient, after=session.rollback).get(f"/en-gb/orders/{order.token}")
    assert "Rang" not in said(buyer)
    assert list(timeline.breaks(session.get_one(Order, order.id))) == []


def test_a_remark_is_erased_with_its_order(
    desk: Client, patient: Flask, session: Session, paid: Make, clock: MovedClock
):
    order = paid()
    form = form_to(desk.get(url(order)), "/remarks")
    desk.submit(form, remark="Rang the buyer")
    desk.submit(form_to(desk.get(url(order)), "/post"))
    clock.advance(hours=1)
    Worker(patient).round(everything=True)
    assert transact(session, erasure.erase_order, order.id, timeline.SYSTEM, clock.now())
    page = desk.get(url(order))
    assert "Rang the buyer" not in said(page)
    assert not has_form(page, "/remarks")
    assert desk.submit(form, remark="Rang once more").status_code == 409
    session.expire_all()
    assert list(timeline.breaks(session.get_one(Order, order.id))) == []
