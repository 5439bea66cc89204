"""Lists that carriers give: whatever their columns are called and separated by, orders and numbers are found."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.errors import ShopError
from shop.orders import carrier_list

ONE, TWO = "RR-M7K1TJ9F", "RR-WQMXQYT8"


@pytest.mark.parametrize(
    "text",
    [
        f"Order,Tracking number,Carrier\n{ONE},RM123456789GB,Royal Mail\n{TWO},RM2222GB,Royal Mail\n",
        f"Carrier;Tracking;Your reference\nRoyal Mail;RM123456789GB;{ONE}\nRoyal Mail;RM2222GB;{TWO}",
        f"\ufeffНомер заказа\tТрек-номер\tПеревозчик\r\n"
        f"{ONE}\tRM123456789GB\tRoyal Mail\r\n{TWO}\tRM2222GB\tRoyal Mail\r\n",
        f'"{ONE}","RM123456789GB","Royal Mail"\n\n"{TWO}","RM2222GB","Royal Mail"\n',
        f"RM123456789GB;Royal Mail;{ONE.lower()}\nRM2222GB;Royal Mail;{TWO[3:]}",
        f"sep=;\r\nOrder;Tracking;Carrier\r\n{ONE};RM123456789GB;Royal Mail\r\n{TWO};RM2222GB;Royal Mail",
    ],
)
def test_columns_are_found_by_their_names_or_by_what_stands_in_them(text: str):
    found = [(line.number, line.tracking, line.carrier) for line in carrier_list.read(text)]
    assert found == [(ONE, "RM123456789GB", "Royal Mail"), (TWO, "RM2222GB", "Royal Mail")]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("Order date,Order reference,Tracking number", f"2026-11-28,{ONE},RM123456789GB"),
        ("Tracking status;Tracking number;Ref", f"Delivered;RM123456789GB;{ONE}"),
        ("Tracking date;Ref;Tracking", f"2026-11-28 10:30;{ONE};RM123456789GB"),
        (
            "Order total\tOrder no\tTracking URL\tTracking no",
            f"33.00\t{ONE}\thttps://x.example/1234\tRM123456789GB",
        ),
        ("Заказ;Трек;Электронная почта", f"{ONE};RM123456789GB;reader@example.org"),
    ],
)
def test_of_columns_with_like_names_the_one_is_taken_that_holds_what_is_looked_for(header: str, line: str):
    found = [(line.number, line.tracking, line.carrier) for line in carrier_list.read(f"{header}\n{line}\n")]
    assert found == [(ONE, "RM123456789GB", "")]


@pytest.mark.parametrize(
    "cell", ['="9400111899223197428490"', '"=""9400111899223197428490"""', "'9400111899223197428490"]
)
def test_a_number_that_is_kept_as_text_for_a_spreadsheet_is_read(cell: str):
    assert carrier_list.read(f"order,tracking\n{ONE},{cell}\n")[0].tracking == "9400111899223197428490"


def test_a_line_without_an_order_is_kept_and_said():
    lines = carrier_list.read(f"order,tracking\nnonsense,RM1234\n{ONE},RM5678\n")
    assert [(line.place, line.number) for line in lines] == [(2, ""), (3, ONE)]
    assert "nonsense" in lines[0].typed


@pytest.mark.parametrize("text", ["", "\n\n", "hello", "a,b\nc,d", f"{ONE}\n", "order,weight\n1,2\n"])
def test_what_is_no_list_is_refused(text: str):
    with pytest.raises(carrier_list.Unreadable):
        carrier_list.read(text)


@pytest.mark.parametrize(
    "typed", ["RM123456789GB", "RM 1234 5678 9GB", "1Z-999/AA.10", "12345", "JD0146000123456789"]
)
def test_a_tracking_number_is_taken_as_carriers_write_them(typed: str):
    assert carrier_list.may_be_tracking(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "9.40011E+21",
        "9,4e+21",
        "1E+12",
        "=1+1",
        "<b>1</b>",
        "RM1\0",
        "R" * 101,
        "-",
        "@SUM(1)",
        "не, нет",
        "Delivered",
    ],
)
def test_what_a_spreadsheet_has_spoilt_is_no_tracking_number(typed: str):
    assert not carrier_list.may_be_tracking(typed)


def test_a_list_that_is_too_long_is_refused():
    with pytest.raises(carrier_list.TooLong):
        carrier_list.read("order,tracking\n" + f"{ONE},RM1\n" * 1001)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=200))
def test_whatever_is_pasted_is_read_or_refused(text: str):
    with contextlib.suppress(ShopError):
        carrier_list.read(text)
