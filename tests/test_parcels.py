"""Parcels: in parts, free ones, those that come back, and the way back while nobody has been told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import OutOfStock, WrongState
from shop.letters.models import Kind, Letter
from shop.orders import addresses, fulfilment, parcels, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, ParcelKind, ReturnEnd, Shipment
from shop.payments import copies, refund_calls, refunds
from tests import till
from tests.factories import Catalogue, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.till import at_once, counters, letters, payments, story

ADMIN = timeline.admin("Vera Keeper")
PAPERBACK, RUSSIAN = 1, 2
GRACE = timedelta(seconds=60)
SOON = timedelta(seconds=30)


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """Two paperbacks and one Russian copy to London, paid, not posted; 40 and 25 on the shelf."""
    gateway.now = now
    return make_paid_order(session, gateway, now, paperback=2, russian=1)


def differences(session: Session) -> list[str]:
    """What the audit finds; it lets go of whatever its session has loaded, so it gets one of its own."""
    session.rollback()
    with Session(session.get_bind()) as other:
        return till.differences(other)


def look(session: Session, order: Order) -> Order:
    session.rollback()
    session.expire_all()
    session.refresh(order)
    return order


def post(session: Session, order: Order, now: datetime, grace: timedelta = GRACE, **options: object) -> int:
    made = transact(
        session, lambda s: fulfilment.post(s, order.id, "Royal Mail", "AB1", ADMIN, now, grace=grace, **options).id
    )
    look(session, order)
    return made


def parcel(session: Session, shipment_id: int) -> Shipment:
    session.rollback()
    return session.get_one(Shipment, shipment_id, populate_existing=True)


def test_an_order_is_posted_when_all_that_remains_is(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    first = post(session, order, now, copies={PAPERBACK: 1})
    assert (order.fulfilment_state, order.allocated) == (FulfilmentState.TO_POST, True)
    assert order.copies == {catalogue.paperback: 1, catalogue.russian: 1}
    assert counters(session, catalogue.paperback) == (39, 0, 1)
    assert differences(session) == []
    second = post(session, order, now)
    assert (order.fulfilment_state, order.allocated) == (FulfilmentState.POSTED, False)
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    told = letters(session, Kind.POSTED)
    assert [letter.cause for letter in told] == [f"shipment:{first}", f"shipment:{second}"]
    packed = [[(each["slug"], each["quantity"]) for each in letter.context["packed"]] for letter in told]
    assert packed == [[("paperback", 1)], [("paperback", 1), ("russian", 1)]]
    assert [len(letter.context["rest"]) for letter in told] == [2, 0]
    assert differences(session) == []


@pytest.mark.parametrize("wanted", [{PAPERBACK: 3}, {PAPERBACK: 0}, {3: 1}, {PAPERBACK: -1}])
def test_no_parcel_holds_copies_that_the_order_has_not(
    session: Session, order: Order, now: datetime, wanted: dict[int, int]
):
    with pytest.raises(WrongState):
        post(session, order, now, copies=wanted)
    assert look(session, order).parcels == []


def test_many_posting_the_same_part_at_once_post_it_once(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    whole = {PAPERBACK: 2, RUSSIAN: 1}
    found = at_once(
        app,
        5,
        lambda s, _: transact(
            s, lambda t: fulfilment.post(t, order.id, "", "", ADMIN, now, copies=whole, grace=GRACE).id
        ),
    )
    assert sum(isinstance(each, int) for each in found) == 1
    assert len(look(session, order).parcels) == 1
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert differences(session) == []


def test_the_rest_of_an_order_is_refunded_and_the_order_counts_as_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now, copies={PAPERBACK: 1})
    asked = transact(
        session,
        refunds.ask_copies,
        payments(session, order)[0].id,
        {PAPERBACK: 1, RUSSIAN: 1},
        "other",
        ADMIN,
        now,
    ).id
    assert not look(session, order).may_be_posted
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PART_REFUNDED, FulfilmentState.POSTED)
    assert (counters(session, catalogue.paperback), counters(session, catalogue.russian)) == (
        (39, 0, 0),
        (25, 0, 0),
    )
    assert differences(session) == []


def test_a_refund_takes_copies_that_are_here_before_those_that_left(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now, copies={PAPERBACK: 1})
    asked = transact(
        session, refunds.ask_copies, payments(session, order)[0].id, {PAPERBACK: 2}, "other", ADMIN, now
    )
    assert sorted((line.position, line.quantity, line.posted) for line in asked.lines) == [
        (PAPERBACK, 1, False),
        (PAPERBACK, 1, True),
    ]
    refund_calls.perform(session, gateway, asked.id, now)
    assert letters(session, Kind.REFUNDED)[0].context["copies"][0]["quantity"] == 2
    assert transact(session, copies.put_back, asked.id, ADMIN, now) == 1
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    post(session, order, now)
    assert order.fulfilment_state is FulfilmentState.POSTED
    assert differences(session) == []


def test_a_whole_refund_ends_an_order_of_which_a_part_has_left(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now, copies={PAPERBACK: 1})
    payment = payments(session, order)[0]
    asked = transact(session, refunds.ask, payment.id, payment.amount, "other", ADMIN, now).id
    refund_calls.perform(session, gateway, asked, now)
    look(session, order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.POSTED)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []
    assert transact(session, copies.put_back, asked, ADMIN, now) == 1
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert differences(session) == []


def test_a_whole_refund_in_the_dashboard_ends_an_order_of_which_a_part_has_left(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    post(session, order, now, copies={PAPERBACK: 1})
    payment = payments(session, order)[0]
    gateway.refund_in_dashboard(payment.intent_id, payment.amount)
    refunds.learn(session, gateway, payment.intent_id, now)
    look(session, order)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.POSTED)
    assert counters(session, catalogue.paperback) == (39, 0, 0)
    assert differences(session) == []


@pytest.mark.parametrize("part", [None, {PAPERBACK: 1}])
def test_a_posting_is_taken_back_as_if_it_had_not_been(
    session: Session, catalogue: Catalogue, order: Order, now: datetime, part: dict[int, int] | None
):
    made = post(session, order, now, copies=part)
    transact(session, parcels.undo, made, ADMIN, now + SOON)
    look(session, order)
    assert (order.fulfilment_state, order.allocated, order.may_be_posted) == (FulfilmentState.TO_POST, True, True)
    assert order.copies == {catalogue.paperback: 2, catalogue.russian: 1}
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert letters(session, Kind.POSTED) == []
    assert order.shipments == []
    assert story(session, order)[-2:] == ["posted", "posting_undone"]
    assert differences(session) == []
    post(session, order, now)
    assert len(letters(session, Kind.POSTED)) == 1
    assert differences(session) == []


def test_there_is_no_way_back_once_the_letter_has_left_or_its_time_has_come(
    session: Session, order: Order, now: datetime
):
    made = post(session, order, now)
    with pytest.raises(WrongState):
        transact(session, parcels.undo, made, ADMIN, now + GRACE)
    for values in ({"message_id": "<x@y>"}, {"message_id": "", "claimed_until": now + GRACE}):
        transact(
            session, lambda s, v=values: s.execute(update(Letter).where(Letter.kind == Kind.POSTED).values(v))
        )
        with pytest.raises(WrongState):
            transact(session, parcels.undo, made, ADMIN, now + SOON)
    assert look(session, order).fulfilment_state is FulfilmentState.POSTED
    assert differences(session) == []


def test_without_a_time_to_think_there_is_no_way_back(session: Session, order: Order, now: datetime):
    made = post(session, order, now, grace=timedelta(0))
    assert letters(session, Kind.POSTED)[0].due_at == now
    with pytest.raises(WrongState):
        transact(session, parcels.undo, made, ADMIN, now)


def test_many_taking_a_posting_back_at_once_do_it_once(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    made = post(session, order, now)
    at_once(app, 5, lambda s, _: transact(s, parcels.undo, made, ADMIN, now + SOON))
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert story(session, order).count("posting_undone") == 1
    assert differences(session) == []


def test_a_refund_of_posted_copies_closes_the_way_back(session: Session, order: Order, now: datetime):
    made = post(session, order, now)
    transact(session, refunds.ask_copies, payments(session, order)[0].id, {PAPERBACK: 1}, "other", ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, parcels.undo, made, ADMIN, now + SOON)
    assert differences(session) == []


def test_a_replacement_has_its_own_copies_letter_and_reason(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    lost = post(session, order, now)
    free = transact(session, parcels.replace, lost, {PAPERBACK: 1}, "lost", ADMIN, now).id
    assert counters(session, catalogue.paperback) == (38, 0, 1)
    assert differences(session) == []
    transact(session, lambda s: parcels.post(s, free, "DHL", "D1", ADMIN, now, grace=GRACE).id)
    made = parcel(session, free)
    assert (made.kind, made.reason, made.of_id) == (ParcelKind.REPLACEMENT, "lost", lost)
    assert counters(session, catalogue.paperback) == (37, 0, 0)
    assert letters(session, Kind.POSTED)[-1].context["parcel"] == "replacement"
    look(session, order)
    assert [line.posted for line in order.lines] == [2, 1]
    assert differences(session) == []
    transact(session, parcels.undo, free, ADMIN, now + SOON)
    assert counters(session, catalogue.paperback) == (38, 0, 1)
    [again] = [each for each in look(session, order).parcels if each.is_waiting]
    transact(session, parcels.drop, again.id, ADMIN, now)
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert differences(session) == []


def test_no_copy_is_replaced_twice_or_without_stock(
    app: Flask, session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    lost = post(session, order, now)
    found = at_once(
        app, 4, lambda s, _: transact(s, lambda t: parcels.replace(t, lost, {PAPERBACK: 2}, "lost", ADMIN, now).id)
    )
    assert sum(isinstance(each, int) for each in found) == 1
    with pytest.raises(WrongState):
        transact(session, parcels.replace, lost, {PAPERBACK: 1}, "lost", ADMIN, now)
    set_stock(session, catalogue.russian, 0, now)
    with pytest.raises(OutOfStock):
        transact(session, parcels.replace, lost, {RUSSIAN: 1}, "damaged", ADMIN, now)
    assert counters(session, catalogue.russian) == (0, 0, 0)
    assert differences(session) == []


def test_nothing_free_goes_to_whoever_gets_his_money_back(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    lost = post(session, order, now)
    free = transact(session, parcels.replace, lost, {PAPERBACK: 1}, "lost", ADMIN, now).id
    payment = payments(session, order)[0]
    asked = transact(session, refunds.ask, payment.id, payment.amount, "other", ADMIN, now).id
    with pytest.raises(WrongState):
        transact(session, parcels.post, free, "", "", ADMIN, now)
    refund_calls.perform(session, gateway, asked, now)
    with pytest.raises(WrongState):
        transact(session, parcels.post, free, "", "", ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, parcels.replace, lost, {RUSSIAN: 1}, "lost", ADMIN, now)
    transact(session, parcels.drop, free, ADMIN, now)
    assert differences(session) == []


def test_a_parcel_that_came_back_goes_again_to_a_corrected_address(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    made = post(session, order, now)
    assert not addresses.may_be_corrected(order)
    transact(session, parcels.come_back, made, True, ADMIN, now)
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert addresses.may_be_corrected(look(session, order))
    typed = {name: getattr(order.buyer, name) for name in addresses.FIELDS} | {"line1": "5 Другая улица"}
    transact(session, addresses.correct, order.id, typed, addresses.mark(order.buyer), ADMIN, now)
    free = transact(session, parcels.resend, made, ADMIN, now).id
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    with pytest.raises(WrongState):
        transact(session, parcels.resend, made, ADMIN, now)
    transact(session, parcels.post, free, "DHL", "D1", ADMIN, now)
    letter = letters(session, Kind.POSTED)[-1]
    assert letter.context["parcel"] == "resent"
    assert "5 Другая улица" in letter.context["address_lines"]
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert parcel(session, made).settled_as is ReturnEnd.RESENT
    assert differences(session) == []


def test_copies_come_back_once_with_their_parcel_or_with_their_refund(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime
):
    made = post(session, order, now)
    transact(session, parcels.come_back, made, True, ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, parcels.come_back, made, True, ADMIN, now)
    transact(session, parcels.settle, made, ReturnEnd.REFUNDED, ADMIN, now)
    asked = transact(
        session, refunds.ask_copies, payments(session, order)[0].id, {PAPERBACK: 2}, "other", ADMIN, now
    )
    assert copies.can_come_back(session, order, asked) == 0
    with pytest.raises(WrongState):
        transact(session, copies.put_back, asked.id, ADMIN, now)
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert differences(session) == []


def test_damaged_copies_that_come_back_are_not_for_sale(
    session: Session, catalogue: Catalogue, order: Order, now: datetime
):
    made = post(session, order, now)
    transact(session, parcels.come_back, made, False, ADMIN, now)
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert parcel(session, made).awaits_decision
    with pytest.raises(WrongState):
        transact(session, parcels.come_back, made, False, ADMIN, now)
    transact(session, parcels.settle, made, ReturnEnd.NOTHING, ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, parcels.resend, made, ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, parcels.settle, made, ReturnEnd.REFUNDED, ADMIN, now)
    assert differences(session) == []


def test_an_address_is_changed_once_and_the_timeline_says_how(session: Session, order: Order, now: datetime):
    seen, before = addresses.mark(order.buyer), order.buyer.line1
    typed = {name: getattr(order.buyer, name) for name in addresses.FIELDS}
    transact(session, addresses.correct, order.id, typed | {"line1": "7 Gower Street"}, seen, ADMIN, now)
    with pytest.raises(addresses.ChangedMeanwhile):
        transact(session, addresses.correct, order.id, typed | {"line1": "9 Gower Street"}, seen, ADMIN, now)
    entry = look(session, order).timeline[-1]
    assert order.buyer.line1 == "7 Gower Street"
    assert (entry.kind, entry.told["line1_before"], entry.told["line1"]) == (
        "address_corrected",
        before,
        "7 Gower Street",
    )
    assert "Gower" not in str(entry.details)
    assert differences(session) == []
    post(session, order, now)
    with pytest.raises(WrongState):
        transact(session, addresses.correct, order.id, typed, addresses.mark(order.buyer), ADMIN, now)
