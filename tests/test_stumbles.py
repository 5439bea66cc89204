"""What somebody who works at the desk by hand stumbled over: mistaken files, doubtful sums, sentences that mislead."""

from __future__ import annotations

import io

import pytest
from sqlalchemy.orm import Session

from tests.client import Client
from tests.test_admin_orders import form_to, url
from tests.test_packing import Make, desk, paid, patient

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
