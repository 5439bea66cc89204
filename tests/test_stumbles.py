"""What somebody who works at the desk by hand stumbled over: mistaken files, doubtful sums, sentences that mislead."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from shop.orders.models import Order
from shop.payments.models import Payment
from tests.client import Client
from tests.test_admin_orders import form_to, url
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
