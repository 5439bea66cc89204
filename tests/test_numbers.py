"""Order numbers survive being read out over the telephone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shop.orders.numbers import ALPHABET, PREFIX, check_character, new_number, read_number

BODIES = st.text(ALPHABET, min_size=7, max_size=7)


def number_of(body: str) -> str:
    return PREFIX + body + check_character(body)


@given(BODIES)
def test_a_number_is_read_as_it_was_written(body: str):
    assert read_number(number_of(body)) == number_of(body)


@given(BODIES, st.sampled_from(["lower", "spaces", "no prefix", "no hyphen", "dash", "look-alikes"]))
def test_a_number_is_understood_however_it_was_typed(body: str, manner: str):
    number = number_of(body)
    typed = {
        "lower": number.lower(),
        "spaces": f" {number[:5]} {number[5:]} ",
        "no prefix": number.removeprefix(PREFIX),
        "no hyphen": number.replace("-", ""),
        "dash": number.replace("-", "–"),
        "look-alikes": PREFIX + number.removeprefix(PREFIX).replace("0", "o").replace("1", "l"),
    }[manner]
    assert read_number(typed) == number


@given(BODIES, st.integers(0, 7), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(body: str, place: int, other: str):
    number = number_of(body)
    at = len(PREFIX) + place
    changed = number[:at] + other + number[at + 1 :]
    assert read_number(changed) == (number if changed == number else None)


@given(st.text(max_size=20))
def test_nothing_typed_is_ever_an_error(typed: str):
    found = read_number(typed)
    assert found is None or found.startswith(PREFIX)


def test_new_numbers_are_good_and_differ():
    numbers = {new_number() for _ in range(500)}
    assert len(numbers) == 500
    assert all(read_number(number) == number for number in numbers)
