"""An order's two lives: what is in the tables may happen, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.errors import WrongState
from shop.orders.lifecycle import (
    FULFILMENT,
    PAYMENT,
    Action,
    FulfilmentState,
    PaymentState,
    Step,
    after_payment,
    after_step,
)

OUTSIDE = [pair for pair in product(PaymentState, Action) if pair not in PAYMENT]
BEYOND = [pair for pair in product(FulfilmentState, Step) if pair not in FULFILMENT]


@pytest.mark.parametrize(("state", "action"), OUTSIDE, ids=lambda each: each.value)
def test_a_payment_does_nothing_that_is_not_in_its_table(state: PaymentState, action: Action):
    with pytest.raises(WrongState, match=state.value):
        after_payment(state, action)


@pytest.mark.parametrize(("state", "step"), BEYOND, ids=lambda each: each.value)
def test_copies_go_nowhere_that_is_not_in_their_table(state: FulfilmentState, step: Step):
    with pytest.raises(WrongState, match=state.value):
        after_step(state, step)


def test_what_is_in_the_tables_happens():
    assert {pair: after_payment(*pair) for pair in PAYMENT} == PAYMENT
    assert {pair: after_step(*pair) for pair in FULFILMENT} == FULFILMENT


def test_money_that_has_come_is_never_forgotten():
    """From paid there is no way back to a state in which nothing was paid, but refunds."""
    paid = {PaymentState.PAID, PaymentState.PART_REFUNDED, PaymentState.REFUNDED}
    for (state, action), after in PAYMENT.items():
        if state in paid:
            assert after in paid, (state, action)


def test_late_money_pays_whatever_has_ended_without_it():
    for state in (PaymentState.EXPIRED, PaymentState.CANCELLED, PaymentState.FAILED, PaymentState.PROCESSING):
        assert after_payment(state, Action.PAY) is PaymentState.PAID


def test_what_was_posted_stays_posted_unless_the_posting_is_taken_back():
    assert [pair for pair in FULFILMENT if pair[0] is FulfilmentState.POSTED] == [
        (FulfilmentState.POSTED, Step.UNPOST)
    ]
    assert FULFILMENT[FulfilmentState.POSTED, Step.UNPOST] is FulfilmentState.TO_POST


def test_only_what_is_to_be_posted_can_be_posted():
    assert [state for (state, step) in FULFILMENT if step is Step.POST] == [FulfilmentState.TO_POST]


@given(st.lists(st.sampled_from(Action), max_size=30))
def test_whatever_is_tried_an_unpaid_order_has_had_no_refund(actions: list[Action]):
    state, was_paid = PaymentState.AWAITING, False
    for action in actions:
        try:
            state = after_payment(state, action)
        except WrongState:
            continue
        was_paid |= action is Action.PAY
        if state in (PaymentState.PART_REFUNDED, PaymentState.REFUNDED, PaymentState.PAID):
            assert was_paid
