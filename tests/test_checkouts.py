"""Payment pages: written down before they are asked for, closed before copies go back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.orders import counting
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Concern, Order, Worry
from shop.orders.timeline import BUYER
from shop.payments import checkouts, settling
from shop.payments.gateway import CheckoutFacts
from shop.payments.models import AttemptState, CheckoutAttempt
from tests.conftest import engine_of
from tests.factories import Catalogue, make_admin, make_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import at_once, attempts, counters, differences, letters, payments, story

SHOP = "http://localhost"
MINUTE = timedelta(minutes=1)
AWAY = GatewayUnavailable("no answer")
REFUSED = GatewayRefused("parameter_unknown", "no")
TOO_SHORT = GatewayRefused("", "at least 30 minutes", "expires_at")


class Onlooker(FakeGateway):
    """Remembers what it was asked for, and what the database said at that moment."""

    def __init__(self, app: Flask, now: datetime) -> None:
        super().__init__()
        self.engine, self.now = engine_of(app), now
        self.asked: list[tuple[str, str]] = []
        self.stored: list[tuple[str, str, datetime, int]] = []

    def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
        self.asked.append((key, json.dumps(parameters)))
        with Session(self.engine) as session:
            for row in session.scalars(select(CheckoutAttempt)):
                self.stored.append((row.key, json.dumps(row.parameters), row.expires_at, row.order.holding))
        return super().open_checkout(key, parameters)


@pytest.fixture
def onlooker(app: Flask, now: datetime) -> Onlooker:
    return Onlooker(app, now)


def page_of(session: Session, gateway: FakeGateway, order: Order, now: datetime) -> str:
    """Open an order's page; answers its id at the provider."""
    url = checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    return url.rpartition("/")[2]


def test_the_attempt_is_stored_whole_before_the_provider_is_asked(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    order = make_order(session, now=now)
    checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    [(key, parameters)] = onlooker.asked
    [(stored_key, stored_parameters, expires_at, holding)] = onlooker.stored
    assert (stored_key, stored_parameters, holding) == (key, parameters, True)
    assert datetime.fromisoformat(json.loads(parameters)["expires_at"]) == expires_at
    assert timedelta(minutes=31) < expires_at - now <= timedelta(hours=24)


def test_nothing_is_called_while_a_transaction_is_open(
    app: Flask, session: Session, catalogue: Catalogue, now: datetime
):
    class Writer(FakeGateway):
        """Would wait in vain for a lock that its caller holds."""

        def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
            assert not session.in_transaction()
            return super().open_checkout(key, parameters)

        def look_up(self, checkout_id: str) -> CheckoutFacts:
            assert not session.in_transaction()
            return super().look_up(checkout_id)

        def close_checkout(self, checkout_id: str) -> CheckoutFacts:
            assert not session.in_transaction()
            return super().close_checkout(checkout_id)

    gateway = Writer()
    order = make_order(session, now=now)
    page_of(session, gateway, order, now)
    settling.refresh(session, gateway, order.id, now)
    checkouts.cancel(session, gateway, order.id, BUYER, now)
    assert gateway.calls == ["open_checkout", "look_up", "close_checkout"]


@pytest.mark.parametrize("queue", ["before", "after"])
def test_a_call_that_failed_is_made_again_byte_for_byte(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime, queue: str
):
    order = make_order(session, paperback=2, russian=1, now=now)
    getattr(onlooker, queue).append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    assert counters(session, catalogue.paperback) == (40, 2, 0)
    url = checkouts.pay_page(session, onlooker, order.id, "http://elsewhere", now + 7 * MINUTE)
    assert url.endswith(next(iter(onlooker.checkouts)))
    assert len(onlooker.checkouts) == 1
    assert onlooker.asked[0] == onlooker.asked[1]
    session.refresh(order)
    assert story(session, order) == ["placed", "checkout_unanswered", "checkout_opened"]
    assert differences(session) == []


def test_an_open_page_is_used_again(session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime):
    order = make_order(session, now=now)
    first = page_of(session, onlooker, order, now)
    assert page_of(session, onlooker, order, now + 20 * MINUTE) == first
    assert onlooker.calls == ["open_checkout"]


def test_two_tabs_at_once_get_the_same_page(app: Flask, session: Session, catalogue: Catalogue, now: datetime):
    gateway, order = FakeGateway(), make_order(session, now=now)
    order_id = order.id
    session.rollback()
    urls = at_once(app, 6, lambda s, _: checkouts.pay_page(s, gateway, order_id, SHOP, now))
    assert len(set(urls)) == 1, urls
    assert len(gateway.checkouts) == 1
    assert len(attempts(session, order)) == 1


def test_a_refusal_frees_the_copies_and_alerts_the_shopkeeper(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    order = make_order(session, now=now)
    gateway.before.append(REFUSED)
    with pytest.raises(GatewayRefused):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.EXPIRED, True)
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert [letter.context["worry"] for letter in letters(session)] == [Worry.CHECKOUT_REFUSED]
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    assert differences(session) == []


def test_a_new_attempt_that_grew_too_old_gives_place_to_a_fresh_one(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    """Nobody knows whether the first call took effect, so it is made again before there is a second page."""
    order = make_order(session, now=now)
    onlooker.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    onlooker.before.append(GatewayRefused("parameter_invalid_integer", "expires_at"))
    page_of(session, onlooker, order, now + 20 * MINUTE)
    first, second = attempts(session, order)
    assert (first.state, second.state) == (AttemptState.CLOSED, AttemptState.OPEN)
    assert first.key != second.key
    assert second.expires_at > first.expires_at
    assert [key for key, _ in onlooker.asked] == [first.key, first.key, second.key]
    assert order.payment_state is PaymentState.AWAITING
    assert counters(session, catalogue.paperback) == (40, 1, 0)


def test_a_page_too_short_lived_by_stripes_clock_gives_no_order_up(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    """A request may have waited long, or the clocks differ: the next try asks for another page."""
    make_admin(session)
    order = make_order(session, now=now)
    onlooker.before.append(TOO_SHORT)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    session.refresh(order)
    assert (order.payment_state, order.holding, order.needs_attention) == (PaymentState.AWAITING, True, False)
    assert page_of(session, onlooker, order, now + MINUTE)
    assert [each.state for each in attempts(session, order)] == [AttemptState.CLOSED, AttemptState.OPEN]


def test_a_key_that_keeps_a_failure_for_a_page_that_never_was_gives_place_to_another(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    order = make_order(session, now=now)
    onlooker.before.append(GatewayUnavailable("500", spent=True))
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    assert page_of(session, onlooker, order, now)
    first, second = attempts(session, order)
    assert (first.state, second.state) == (AttemptState.CLOSED, AttemptState.OPEN)
    assert first.key != second.key
    session.refresh(order)
    assert (order.payment_state, order.holding) == (PaymentState.AWAITING, True)


def test_a_page_that_is_not_answered_for_keeps_no_other_order_waiting(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    orders = [make_order(session, now=now) for _ in range(3)]
    for order in orders:
        page_of(session, gateway, order, now)
    late = now + timedelta(hours=1)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.sweep(session, gateway, late)
    session.expire_all()
    assert sorted(order.holding for order in orders) == [False, False, True]
    checkouts.sweep(session, gateway, late)
    session.expire_all()
    assert not any(order.holding for order in orders)


def test_clocks_that_go_on_differing_are_a_mistake_in_the_set_up(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    make_admin(session)
    order = make_order(session, now=now)
    onlooker.before += [TOO_SHORT] * 3
    for raised in (GatewayUnavailable, GatewayUnavailable, GatewayRefused):
        with pytest.raises(raised):
            checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.EXPIRED, True)
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_an_old_attempt_that_had_taken_effect_is_the_page(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    order = make_order(session, now=now)
    onlooker.after.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    page_of(session, onlooker, order, now + 20 * MINUTE)
    assert len(onlooker.checkouts) == len(attempts(session, order)) == 1


def test_nobody_is_led_to_a_page_that_ran_out_while_its_answer_was_lost(
    session: Session, catalogue: Catalogue, onlooker: Onlooker, now: datetime
):
    """The provider answers a key as he did at first, whatever has become of the page since."""
    order = make_order(session, now=now)
    onlooker.after.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now)
    onlooker.close_checkout(next(iter(onlooker.checkouts)))
    with pytest.raises(WrongState):
        checkouts.pay_page(session, onlooker, order.id, SHOP, now + 46 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_a_page_that_has_run_out_ends_the_order(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    gateway.close_checkout(page_of(session, gateway, order, now))
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, SHOP, now + 46 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_cancelling_closes_the_page_first(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = page_of(session, gateway, order, now)
    done = checkouts.cancel(session, gateway, order.id, BUYER, now)
    assert done.payment_state is PaymentState.CANCELLED
    assert gateway.checkouts[page].status == "expired"
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert checkouts.cancel(session, gateway, order.id, BUYER, now).payment_state is PaymentState.CANCELLED
    assert story(session, done).count("cancelled") == 1
    assert differences(session) == []


class Hasty(FakeGateway):
    """Its message that a page is closed is worked before the answer to whoever closed it."""

    def __init__(self, app: Flask, now: datetime) -> None:
        super().__init__()
        self.engine, self.now = engine_of(app), now

    def close_checkout(self, checkout_id: str) -> CheckoutFacts:
        facts = super().close_checkout(checkout_id)
        with Session(self.engine) as session:
            settling.learn(session, self, checkout_id, self.now)
        return facts


def test_an_order_is_cancelled_even_when_the_providers_message_is_quicker(
    app: Flask, session: Session, catalogue: Catalogue, now: datetime
):
    hasty = Hasty(app, now)
    order = make_order(session, now=now)
    page_of(session, hasty, order, now)
    checkouts.cancel(session, hasty, order.id, BUYER, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.CANCELLED
    assert story(session, order)[-2:] == ["expired", "cancelled"]
    assert counters(session, catalogue.paperback)[1:] == (0, 0)
    assert differences(session) == []


def test_cancelling_without_an_answer_keeps_the_copies(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page_of(session, gateway, order, now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.cancel(session, gateway, order.id, BUYER, now)
    session.refresh(order)
    assert (order.payment_state, order.holding) == (PaymentState.AWAITING, True)
    assert counters(session, catalogue.paperback) == (40, 1, 0)


def test_whoever_cancels_while_he_pays_has_paid(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    pay(session, gateway, order, now)
    done = checkouts.cancel(session, gateway, order.id, BUYER, now)
    assert done.payment_state is PaymentState.PAID
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert [letter.kind for letter in letters(session)] == [Kind.ORDER_PAID]
    assert differences(session) == []


def test_cancelling_an_attempt_whose_answer_was_lost_closes_its_page(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    gateway.after.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    checkouts.cancel(session, gateway, order.id, BUYER, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.CANCELLED
    assert [page.status for page in gateway.checkouts.values()] == ["expired"]
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_cancelling_an_order_without_a_page_frees_its_copies(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    assert checkouts.cancel(session, gateway, order.id, BUYER, now).payment_state is PaymentState.CANCELLED
    assert gateway.calls == []
    assert differences(session) == []


def test_the_sweep_leaves_pages_alone_that_may_still_be_paid(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page_of(session, gateway, order, now)
    assert checkouts.sweep(session, gateway, now + 44 * MINUTE) == 0
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    assert gateway.calls == ["open_checkout"]


def test_the_sweep_frees_copies_only_after_the_page_is_closed(
    app: Flask, session: Session, catalogue: Catalogue, now: datetime
):
    class Closer(FakeGateway):
        def close_checkout(self, checkout_id: str) -> CheckoutFacts:
            with Session(engine_of(app)) as other:
                assert counters(other, catalogue.paperback) == (40, 1, 0)
            return super().close_checkout(checkout_id)

    gateway = Closer()
    order = make_order(session, now=now)
    page = page_of(session, gateway, order, now)
    checkouts.sweep(session, gateway, now + 45 * MINUTE)
    session.refresh(order)
    assert gateway.checkouts[page].status == "expired"
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert story(session, order)[-1] == "expired"
    assert differences(session) == []


def test_the_sweep_keeps_copies_while_the_provider_is_away(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page_of(session, gateway, order, now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.sweep(session, gateway, now + 60 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    checkouts.sweep(session, gateway, now + 61 * MINUTE)
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_a_page_that_the_provider_does_not_close_keeps_its_copies(
    session: Session, catalogue: Catalogue, now: datetime
):
    class Stubborn(FakeGateway):
        def close_checkout(self, checkout_id: str) -> CheckoutFacts:
            return self.look_up(checkout_id)

    gateway = Stubborn()
    order = make_order(session, now=now)
    page_of(session, gateway, order, now)
    checkouts.sweep(session, gateway, now + 60 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert counters(session, catalogue.paperback) == (40, 1, 0)


def test_one_page_the_provider_has_lost_does_not_keep_the_others_from_ending(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    lost, other = make_order(session, now=now), make_order(session, now=now)
    del gateway.checkouts[page_of(session, gateway, lost, now)]
    page_of(session, gateway, other, now)
    checkouts.sweep(session, gateway, now + 60 * MINUTE)
    session.refresh(lost)
    session.refresh(other)
    assert (lost.payment_state, other.payment_state) == (PaymentState.AWAITING, PaymentState.EXPIRED)
    assert counters(session, catalogue.paperback) == (40, 1, 0)


def test_the_sweep_finds_a_payment_nobody_told_of(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    pay(session, gateway, order, now)
    checkouts.sweep(session, gateway, now + 60 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert counters(session, catalogue.paperback) == (40, 0, 1)


@pytest.mark.parametrize("paid", [True, False], ids=["paid", "unpaid"])
def test_an_attempt_that_was_never_answered_is_found_in_the_providers_list(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, paid: bool
):
    gateway.now = now
    order = make_order(session, now=now)
    gateway.after.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    [page] = gateway.checkouts
    if paid:
        gateway.pay(page)
    checkouts.sweep(session, gateway, now + 49 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING  # too early to say that it never was
    checkouts.sweep(session, gateway, now + 51 * MINUTE)
    session.refresh(order)
    [attempt] = attempts(session, order)
    assert attempt.checkout_id == page
    assert attempt.state is AttemptState.CLOSED
    assert order.payment_state is (PaymentState.PAID if paid else PaymentState.EXPIRED)
    assert gateway.checkouts[page].status == ("complete" if paid else "expired")
    assert counters(session, catalogue.paperback) == ((40, 0, 1) if paid else (40, 0, 0))
    assert differences(session) == []


def test_an_attempt_that_never_was_frees_its_copies(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    gateway.before.append(AWAY)
    with pytest.raises(GatewayUnavailable):
        checkouts.sweep(session, gateway, now + 51 * MINUTE)
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    checkouts.sweep(session, gateway, now + 52 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert differences(session) == []


def test_an_order_that_never_came_to_a_page_is_freed(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """The process died between placing the order and asking for its page."""
    order = make_order(session, now=now)
    checkouts.sweep(session, gateway, now + 44 * MINUTE)
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    checkouts.sweep(session, gateway, now + 46 * MINUTE)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_a_webhook_that_outruns_the_answer_finds_its_attempt(
    session: Session, catalogue: Catalogue, now: datetime
):
    """Paid and told before the shop has written down the page's id."""

    class Fast(FakeGateway):
        def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
            page = super().open_checkout(key, parameters)
            self.pay(page.checkout_id)
            with Session(session.get_bind()) as other:
                settling.learn(other, self, page.checkout_id, now)
            return page

    gateway = Fast()
    order = make_order(session, now=now)
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    [payment] = payments(session, order)
    [attempt] = attempts(session, order)
    assert (order.payment_state, payment.attempt_id) == (PaymentState.PAID, attempt.id)
    assert differences(session) == []


def test_a_page_opened_while_its_order_was_cancelled_is_closed(
    session: Session, catalogue: Catalogue, now: datetime
):
    class Slow(FakeGateway):
        def open_checkout(self, key: str, parameters: Mapping[str, Any]) -> CheckoutFacts:
            page = super().open_checkout(key, parameters)
            if len(self.calls) == 1:
                with Session(session.get_bind()) as other:
                    checkouts.cancel(other, self, order.id, BUYER, now)
            return page

    gateway = Slow()
    order = make_order(session, now=now)
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.CANCELLED
    assert {page.status for page in gateway.checkouts.values()} == {"expired"}
    assert counters(session, catalogue.paperback) == (40, 0, 0)


def test_nothing_more_is_asked_of_a_buyer_whose_money_came_but_disagrees(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """He has paid something: another page would let him pay twice."""
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now, total=1)
    settling.learn(session, gateway, page, now)
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, SHOP, now)
    assert len(gateway.checkouts) == 1
    assert session.scalars(select(Concern.worry)).all() == [Worry.AMOUNT_DIFFERS]


def test_an_unpaid_order_whose_copies_are_missing_ends_with_its_page(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """Its hold is for copies that are not there: nobody is helped by keeping it until a person has looked."""
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, SHOP, now)
    transact(session, counting.count, catalogue.paperback, 0, "fire", BUYER, now)
    session.refresh(order)
    assert order.needs_attention
    checkouts.sweep(session, gateway, now + 10 * MINUTE)
    session.refresh(order)
    assert order.holding  # the page is still open: Stripe has not closed it
    checkouts.sweep(session, gateway, now + 50 * MINUTE)
    session.refresh(order)
    assert next(iter(gateway.checkouts.values())).status == "expired"
    assert (order.payment_state, order.holding, order.needs_attention) == (PaymentState.EXPIRED, False, False)
    assert counters(session, catalogue.paperback) == (0, 0, 0)
    assert differences(session) == []


def test_an_order_without_a_page_whose_copies_are_missing_ends_as_well(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    transact(session, counting.count, catalogue.paperback, 0, "fire", BUYER, now)
    checkouts.sweep(session, gateway, now + 50 * MINUTE)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.EXPIRED, False)
    assert differences(session) == []


def test_stripes_own_word_that_the_page_is_dead_ends_the_worry_too(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, SHOP, now)
    transact(session, counting.count, catalogue.paperback, 0, "fire", BUYER, now)
    [page] = gateway.checkouts
    gateway.close_checkout(page)
    settling.learn(session, gateway, page, now)
    session.refresh(order)
    assert (order.payment_state, order.needs_attention) == (PaymentState.EXPIRED, False)
    assert differences(session) == []
