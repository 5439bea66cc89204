"""Settling: the buyer's money is recorded once, whoever tells of it, however often, in whatever order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.catalogue import postage
from shop.database import transact
from shop.errors import GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.money import Currency
from shop.orders import fulfilment, placing, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Concern, Order, Worry
from shop.orders.timeline import BUYER
from shop.payments import checkouts, refund_calls, refunds, settling
from shop.payments.gateway import Address
from shop.payments.models import AttemptState, InboxEvent, Payment, PaymentRole, RefundState
from shop.payments.settling import Outcome
from tests.client import Client
from tests.factories import Catalogue, make_admin, make_order, make_paid_order, pay, set_stock
from tests.fake_gateway import LONDON, FakeGateway
from tests.till import (
    at_once,
    attempts,
    counters,
    deliver,
    differences,
    letters,
    payments,
    story,
)
from tests.till import refunds as refund_rows

MINUTE = timedelta(minutes=1)
COMPLETED = "checkout.session.completed"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"
ADMIN = timeline.admin("Vera Keeper")


def order_page(order: Order) -> str:
    return f"/{order.market_slug}/orders/{order.token}"


def worries(session: Session) -> list[Worry]:
    return list(session.scalars(select(Concern.worry).where(Concern.settled_at.is_(None))))


def is_paid_once(session: Session, order: Order) -> None:
    """One payment, one allocation, one confirmation, and an audit that finds nothing."""
    session.refresh(order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PAID, FulfilmentState.TO_POST)
    [payment] = payments(session, order)
    assert (payment.role, payment.money) == (PaymentRole.ORDER, order.total)
    assert (order.holding, order.allocated) == (False, True)
    [letter] = letters(session, Kind.ORDER_PAID)
    assert (letter.cause, letter.recipient) == (f"payment:{payment.id}", order.buyer.email)
    assert story(session, order).count("paid") == 1
    assert differences(session) == []


# One payment, told in many ways


@pytest.mark.parametrize("first", ["webhook", "return page"])
def test_webhook_and_return_page_settle_a_payment_once(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, first: str
):
    make_admin(session)
    order = make_order(session)
    page = pay(session, gateway, order)
    turns = [
        lambda: deliver(client, gateway, COMPLETED, page, times=2),
        lambda: client.get(order_page(order), query_string={"session_id": page}),
    ]
    for turn in turns if first == "webhook" else reversed(turns):
        assert turn().status_code == 200
    is_paid_once(session, order)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert len(letters(session, Kind.NEW_ORDER)) == 1


def test_two_events_about_one_payment_settle_it_once(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = pay(session, gateway, order)
    for kind in (COMPLETED, SUCCEEDED, COMPLETED):
        assert deliver(client, gateway, kind, page).status_code == 200
    is_paid_once(session, order)


def test_many_settlers_at_once_record_one_payment_and_none_of_them_fails(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now)
    session.rollback()
    found = at_once(app, 12, lambda s, _: settling.learn(s, gateway, page, now))
    assert sorted(found) == [Outcome.APPLIED] + [Outcome.NOTHING_NEW] * 11
    is_paid_once(session, order)
    assert counters(session, catalogue.paperback) == (40, 0, 1)


def test_the_return_page_alone_settles(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    pay(session, gateway, order)
    assert client.get(order_page(order)).status_code == 200
    is_paid_once(session, order)


def test_the_return_page_says_not_that_it_failed_when_the_provider_is_away(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = pay(session, gateway, order)
    gateway.before.append(GatewayUnavailable("no answer"))
    answer = client.get(order_page(order), query_string={"session_id": page})
    assert answer.status_code == 200
    assert not [form for form in answer.page.forms() if form.action.endswith("/pay")]
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING


def test_an_unpaid_open_page_is_no_payment(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """Whoever opens the way back without paying has not paid."""
    order = make_order(session)
    page = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    client.get(order_page(order), query_string={"session_id": page})
    deliver(client, gateway, COMPLETED, page)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert payments(session) == letters(session) == []


def test_the_confirmation_is_frozen_in_the_orders_language(
    session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    make_admin(session, "boris@longlane.example", language="ru")
    order = make_paid_order(session, gateway, market="ru-us", paperback=1, russian=2)
    [confirmation] = letters(session, Kind.ORDER_PAID)
    assert confirmation.locale == "ru"
    assert confirmation.context["total"] == {"amount": order.total.amount, "currency": "USD"}
    assert confirmation.context["path"] == order_page(order)
    [told] = letters(session, Kind.NEW_ORDER)
    assert (told.recipient, told.locale) == ("boris@longlane.example", "ru")


def test_effect_and_confirmation_are_one_commit(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """When the work breaks after settling, nothing of it is left: no payment, no letter, no allocation."""
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now)

    def broken(_session: Session, _outcome: Outcome) -> None:
        raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        settling.learn(session, gateway, page, now, also=broken)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert payments(session) == letters(session) == []
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    settling.learn(session, gateway, page, now)
    is_paid_once(session, order)


def test_what_was_fetched_before_somebody_elses_change_is_fetched_again(
    session: Session, catalogue: Catalogue, now: datetime
):
    """The page is looked up while unpaid; before that is applied, it is paid and settled by somebody else."""

    class Overtaken(FakeGateway):
        def look_up(self, checkout_id):  # type: ignore[no-untyped-def]
            facts = super().look_up(checkout_id)
            if self.calls.count("look_up") == 1:
                self.pay(checkout_id, paid=False)
                with Session(session.get_bind()) as other:
                    settling.learn(other, self, checkout_id, now)
                return self.pay(checkout_id, failed=True)
            return facts

    gateway = Overtaken()
    order = make_order(session, now=now)
    page = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    settling.learn(session, gateway, page, now)
    # own look (failed), rival's look, and one more look since the rival had changed the order
    assert gateway.calls.count("look_up") == 3
    session.refresh(order)
    assert order.payment_state is PaymentState.FAILED
    assert order.sync_version == 2


# Money that comes later


def test_complete_but_unpaid_keeps_its_copies_and_is_not_posted(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now, paid=False)
    deliver(client, gateway, COMPLETED, page, times=2)
    session.refresh(order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PROCESSING, FulfilmentState.PENDING)
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    assert [letter.kind for letter in letters(session)] == [Kind.PAYMENT_DELAYED]
    checkouts.sweep(session, gateway, now + timedelta(days=3))
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "Royal Mail", "", ADMIN, now)
    with pytest.raises(WrongState):
        checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    assert differences(session) == []


@pytest.mark.parametrize("kinds", [(COMPLETED, SUCCEEDED), (SUCCEEDED, COMPLETED), (SUCCEEDED,)], ids=len)
def test_a_delayed_payment_that_arrives_pays_the_order(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, kinds: tuple[str, ...]
):
    order = make_order(session)
    page = pay(session, gateway, order, paid=False)
    if kinds[0] == COMPLETED:
        deliver(client, gateway, COMPLETED, page)
    gateway.pay(page)
    for kind in kinds:
        assert deliver(client, gateway, kind, page).status_code == 200
    is_paid_once(session, order)
    assert counters(session, catalogue.paperback) == (40, 0, 1)


@pytest.mark.parametrize("told_first", [True, False])
def test_a_delayed_payment_that_fails_gives_the_copies_back(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, told_first: bool
):
    order = make_order(session)
    page = pay(session, gateway, order, paid=False)
    if told_first:
        deliver(client, gateway, COMPLETED, page)
    gateway.pay(page, failed=True)
    for kind in (FAILED, COMPLETED, FAILED):
        assert deliver(client, gateway, kind, page).status_code == 200
    session.refresh(order)
    assert order.payment_state is PaymentState.FAILED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    kinds = [letter.kind for letter in letters(session)]
    assert kinds == [Kind.PAYMENT_DELAYED, Kind.PAYMENT_FAILED] if told_first else [Kind.PAYMENT_FAILED]
    assert differences(session) == []


def test_a_delayed_payment_that_failed_and_then_arrives_all_the_same_revives_the_order(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = pay(session, gateway, order, paid=False)
    gateway.pay(page, failed=True)
    deliver(client, gateway, FAILED, page)
    gateway.pay(page)
    deliver(client, gateway, SUCCEEDED, page)
    is_paid_once(session, order)
    assert "revived" in story(session, order)


@pytest.mark.parametrize("waits", ["for its own page", "for its own page's money"])
def test_a_delayed_payment_that_fails_frees_no_copies_while_another_page_may_be_paid(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, waits: str
):
    """As after a restored backup, when a page is open that is not known here."""
    order = make_order(session, now=now)
    own = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    other = gateway.open_checkout("another", attempts(session, order)[0].parameters).checkout_id
    if waits == "for its own page's money":
        gateway.pay(own, paid=False)
        deliver(client, gateway, COMPLETED, own)
    gateway.pay(other, failed=True)
    deliver(client, gateway, FAILED, other)
    session.refresh(order)
    assert order.payment_state in (PaymentState.AWAITING, PaymentState.PROCESSING)
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    assert letters(session, Kind.PAYMENT_FAILED) == []
    gateway.pay(own)
    deliver(client, gateway, SUCCEEDED, own)
    is_paid_once(session, order)


def test_news_of_an_end_does_not_undo_a_payment(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = pay(session, gateway, order)
    for kind in (COMPLETED, EXPIRED, FAILED):
        deliver(client, gateway, kind, page)
    is_paid_once(session, order)


def test_a_page_that_expired_frees_the_copies(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    gateway.close_checkout(page)
    deliver(client, gateway, EXPIRED, page, times=2)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert story(session, order).count("expired") == 1
    assert differences(session) == []


def test_an_expired_message_about_a_page_that_is_open_changes_nothing(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    """A webhook is a trigger, never a source of facts."""
    order = make_order(session, now=now)
    page = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    deliver(client, gateway, EXPIRED, page)
    session.refresh(order)
    assert (order.payment_state, order.holding) == (PaymentState.AWAITING, True)


# Late and double money


def over(session: Session, gateway: FakeGateway, order: Order, now: datetime, state: PaymentState) -> str:
    """End an unpaid order; answers its page."""
    page = checkouts.pay_page(session, gateway, order.id, "http://localhost", now).rpartition("/")[2]
    if state is PaymentState.CANCELLED:
        checkouts.cancel(session, gateway, order.id, BUYER, now)
    else:
        checkouts.sweep(session, gateway, now + 46 * MINUTE)
    session.refresh(order)
    assert order.payment_state is state
    return page


@pytest.mark.parametrize("state", [PaymentState.EXPIRED, PaymentState.CANCELLED])
def test_late_money_revives_an_order_whose_copies_are_there(
    client: Client,
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    now: datetime,
    state: PaymentState,
):
    order = make_order(session, paperback=1, russian=1, now=now)
    page = over(session, gateway, order, now, state)
    gateway.pay(page)
    deliver(client, gateway, COMPLETED, page, times=2)
    is_paid_once(session, order)
    assert "revived" in story(session, order)
    assert counters(session, catalogue.russian) == (25, 0, 1)


def test_late_money_whose_copies_are_gone_goes_back_with_a_letter_to_both(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    order = make_order(session, "ru-gb", paperback=1, russian=1, now=now)
    page = over(session, gateway, order, now, PaymentState.EXPIRED)
    set_stock(session, catalogue.russian, 0)
    gateway.pay(page)
    deliver(client, gateway, COMPLETED, page, times=2)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    [payment] = payments(session, order)
    [owed] = refund_rows(session)
    assert (payment.role, owed.state, owed.amount) == (PaymentRole.SURPLUS, RefundState.OWED, order.total.amount)
    told = {letter.kind: letter for letter in letters(session)}
    assert set(told) == {Kind.LATE_PAYMENT_REFUNDED, Kind.ATTENTION}
    assert told[Kind.LATE_PAYMENT_REFUNDED].locale == "ru"
    refund_calls.perform(session, gateway, owed.id, now)
    assert gateway.left(payment.intent_id) == 0
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert differences(session) == []


def test_a_second_payment_goes_back_and_leaves_the_order_as_it_is(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    order = make_order(session, now=now)
    early = over(session, gateway, order, now, PaymentState.EXPIRED)
    gateway.pay(early)
    deliver(client, gateway, COMPLETED, early)
    first = payments(session, order)[0]
    # the same order's mark on another page, as after a restored backup
    other = gateway.open_checkout("another", attempts(session, order)[0].parameters)
    gateway.pay(other.checkout_id, email="someone@else.example")
    deliver(client, gateway, COMPLETED, other.checkout_id, times=2)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert order.buyer.email == "ada@reader.example"
    assert order.may_be_posted
    _, second = payments(session, order)
    assert second.role is PaymentRole.SURPLUS
    [owed] = refund_rows(session)
    assert (owed.payment_id, owed.amount) == (second.id, order.total.amount)
    assert len(letters(session, Kind.SECOND_PAYMENT_REFUNDED)) == 1
    assert len(letters(session, Kind.ATTENTION)) == 1
    refund_calls.perform(session, gateway, owed.id, now)
    assert gateway.left(second.intent_id) == 0
    assert gateway.left(first.intent_id) == order.total.amount
    session.refresh(order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PAID, FulfilmentState.TO_POST)
    assert counters(session, catalogue.paperback) == (40, 0, 1)
    assert differences(session) == []


# Money that disagrees


@pytest.mark.parametrize(
    "changes",
    [
        {"total": 2549},
        {"total": 2551},
        {"currency": Currency.USD},
        {"books": 2250, "postage": 300},
        {"postage": 300},
        {"currency": None},
    ],
    ids=["too little", "too much", "currency", "books", "postage", "unknown currency"],
)
def test_money_that_disagrees_is_kept_for_a_person_and_pays_nothing(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, changes: dict[str, object]
):
    make_admin(session)
    order = make_order(session)
    page = pay(session, gateway, order, **changes)
    deliver(client, gateway, COMPLETED, page, times=2)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert order.needs_attention
    assert worries(session) == [Worry.AMOUNT_DIFFERS]
    assert counters(session, catalogue.paperback) == (40, 1, 0)
    [payment] = payments(session, order)
    assert payment.role is PaymentRole.SURPLUS
    assert [letter.kind for letter in letters(session)] == [Kind.ATTENTION]
    assert differences(session) == []


def test_money_that_disagrees_keeps_its_copies_until_a_person_has_looked(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = make_order(session, now=now)
    page = pay(session, gateway, order, now, total=1)
    settling.learn(session, gateway, page, now)
    checkouts.sweep(session, gateway, now + timedelta(days=2))
    assert counters(session, catalogue.paperback) == (40, 1, 0)

    def looked(s: Session) -> None:
        locked = placing.locked(s, order.id)
        refunds.ask(s, payments(s)[0].id, 1, "requested_by_customer", ADMIN, now)
        timeline.settle_worry(s, locked, locked.concerns[0], ADMIN, now)

    transact(session, looked)
    checkouts.sweep(session, gateway, now + timedelta(days=2))
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)


# Whose money it is


def test_another_shops_money_is_ignored_without_alarm(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    make_admin(session)
    order = make_order(session)
    page = pay(session, gateway, order)
    stranger = gateway.open_checkout(
        "stranger",
        {**attempts(session, order)[0].parameters, "metadata": {"shop": "shop_other", "order": order.number}},
    )
    gateway.pay(stranger.checkout_id)
    for checkout in (stranger.checkout_id, stranger.checkout_id):
        assert deliver(client, gateway, COMPLETED, checkout).status_code == 200
    assert payments(session) == letters(session) == []
    outcomes = set(session.scalars(select(InboxEvent.outcome)))
    assert outcomes == {Outcome.STRANGER}
    deliver(client, gateway, COMPLETED, page)
    is_paid_once(session, order)


def test_money_without_any_mark_is_a_strangers(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    pay(session, gateway, order)
    bare = gateway.open_checkout("bare", {**attempts(session, order)[0].parameters, "metadata": {}})
    gateway.pay(bare.checkout_id)
    assert deliver(client, gateway, COMPLETED, bare.checkout_id).status_code == 200
    assert payments(session) == []


@pytest.mark.parametrize("where", ["event", "checkout"])
def test_the_other_mode_is_acknowledged_and_ignored(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, where: str
):
    order = make_order(session)
    page = pay(session, gateway, order, livemode=where == "checkout")
    answer = deliver(client, gateway, COMPLETED, page, livemode=where == "event")
    assert answer.status_code == 200
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert payments(session) == []
    assert session.scalars(select(InboxEvent.outcome)).all() == [Outcome.OTHER_MODE]


def orphan(session: Session, gateway: FakeGateway, **changes: object) -> str:
    """A paid page with our mark and an order nobody knows; answers its id."""
    order = make_order(session)
    pay(session, gateway, order)
    parameters = attempts(session, order)[0].parameters
    metadata = {**parameters["metadata"], "order": "RR-00000000"}
    lost = gateway.open_checkout("orphan", {**parameters, "metadata": metadata})
    gateway.pay(lost.checkout_id, **changes)  # type: ignore[arg-type]
    return lost.checkout_id


def test_money_with_our_mark_and_no_order_is_kept_as_an_orphan(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    make_admin(session)
    page = orphan(session, gateway)
    assert deliver(client, gateway, COMPLETED, page, times=2).status_code == 200
    [payment] = payments(session)
    assert (payment.role, payment.order_id, payment.amount) == (PaymentRole.ORPHAN, None, 2550)
    assert payment.facts["copies"] == "paperback:1"
    assert [letter.context["worry"] for letter in letters(session)] == ["orphan"]
    assert differences(session) == []


def test_an_unpaid_page_with_our_mark_and_no_order_is_nothing(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    page = orphan(session, gateway, paid=False)
    deliver(client, gateway, COMPLETED, page)
    assert payments(session) == []


def test_an_orphan_told_by_many_at_once_is_kept_once_and_nobody_fails(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    page = orphan(session, gateway)
    session.rollback()
    found = at_once(app, 8, lambda s, _: settling.learn(s, gateway, page, now))
    assert sorted(found) == [Outcome.NOTHING_NEW] * 7 + [Outcome.ORPHAN], found
    assert len(payments(session)) == len(letters(session)) == 1


# Where it is to go


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (Address("Ada", "1 Falls Road", "", "Belfast", "", "BT12 4PD", "GB"), "northern_ireland"),
        (Address("Ada", "1 Falls Road", "", "Belfast", "", " b t12 4pd", "GB"), "northern_ireland"),
        (Address("Ada", "Rue 1", "", "Genève", "", "1201", "CH"), "other_country"),
        (Address(), "other_country"),
    ],
    ids=["belfast", "belfast in other letters", "another country", "no address"],
)
def test_an_address_that_may_not_be_served_blocks_posting(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, address: Address, why: str
):
    make_admin(session)
    order = make_order(session)
    page = pay(session, gateway, order, address=address)
    deliver(client, gateway, COMPLETED, page, times=2)
    is_paid_once(session, order)
    assert not order.may_be_posted
    [concern] = order.concerns
    assert (concern.worry, concern.details) == (Worry.ADDRESS_REFUSED, {"why": why})
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "", "", ADMIN, order.placed_at)
    assert len(letters(session, Kind.ATTENTION)) == 1
    [confirmation] = letters(session, Kind.ORDER_PAID)
    assert confirmation.context["held_back"]


def test_a_country_that_was_closed_after_the_order_blocks_posting(
    session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session, country="CH")
    page = pay(session, gateway, order)
    zone = postage.zone_of(session, "CH")
    zone.enabled = False
    session.commit()
    settling.learn(session, gateway, page, order.placed_at)
    session.refresh(order)
    assert [concern.details for concern in order.concerns] == [{"why": "not_served"}]


def test_an_ordinary_address_blocks_nothing(session: Session, catalogue: Catalogue, gateway: FakeGateway):
    order = make_paid_order(session, gateway)
    assert order.may_be_posted
    assert "held_back" not in letters(session, Kind.ORDER_PAID)[0].context
    assert order.buyer.address_lines() == [LONDON.name, LONDON.line1, "London EC1A 9HF"]
    assert order.buyer.search == "ada ada@reader.example example london reader reader.example"


def test_a_payment_without_an_e_mail_address_is_a_payment(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_order(session)
    page = pay(session, gateway, order, email="")
    assert deliver(client, gateway, COMPLETED, page).status_code == 200
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert letters(session) == []
    transact(session, fulfilment.post, order.id, "Royal Mail", "", ADMIN, order.placed_at)
    assert letters(session) == []
    assert differences(session) == []


# What the database itself refuses


def test_one_payment_intent_is_one_row(session: Session, catalogue: Catalogue, gateway: FakeGateway):
    order = make_paid_order(session, gateway)
    first = payments(session)[0]
    session.add(
        Payment(
            role=PaymentRole.SURPLUS,
            intent_id=first.intent_id,
            amount=1,
            currency=first.currency,
            received_at=order.placed_at,
        )
    )
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_one_payment_alone_pays_an_order(session: Session, catalogue: Catalogue, gateway: FakeGateway):
    order = make_paid_order(session, gateway)
    again = {"order_id": order.id, "amount": 1, "currency": order.currency, "received_at": order.placed_at}
    session.add(Payment(role=PaymentRole.SURPLUS, intent_id="pi_surplus", **again))
    session.flush()
    session.add(Payment(role=PaymentRole.ORDER, intent_id="pi_again", **again))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_money_for_a_waiting_order_that_other_money_has_paid_goes_back(
    session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    """It cannot be, and if it is all the same (a half restored backup, say), no money is lost sight of."""
    order = make_order(session)
    sums = {"order_id": order.id, "amount": 1, "currency": order.currency, "received_at": order.placed_at}
    session.add(Payment(role=PaymentRole.ORDER, intent_id="pi_other", **sums))
    session.commit()
    settling.learn(session, gateway, pay(session, gateway, order), order.placed_at)
    assert [each.role for each in payments(session)] == [PaymentRole.ORDER, PaymentRole.SURPLUS]
    assert [each.amount for each in refund_rows(session)] == [order.total.amount]


def test_one_page_belongs_to_one_attempt(session: Session, catalogue: Catalogue, gateway: FakeGateway):
    first, second = make_order(session), make_order(session)
    pay(session, gateway, first)
    pay(session, gateway, second)
    attempt = attempts(session, second)[0]
    attempt.checkout_id = attempts(session, first)[0].checkout_id
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_the_attempt_is_final_once_it_is_paid(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway
):
    order = make_paid_order(session, gateway)
    assert [attempt.state for attempt in attempts(session, order)] == [AttemptState.CLOSED]
