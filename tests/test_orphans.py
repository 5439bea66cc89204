"""Money without an order: the order is rebuilt from the mark, once, or the money is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayUnavailable, WrongState
from shop.letters.models import Kind
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order, Worry
from shop.payments import checkouts, disputes, ledger, orphans, reconciliation, refund_calls, refunds, settling
from shop.payments.gateway import BalanceFacts
from shop.payments.models import Dispute, Payment, PaymentRole
from shop.payments.orphans import NotRebuildable, Obstacle
from tests.factories import Catalogue, make_admin, make_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.till import at_once, attempts, counters, differences, letters, payments, story
from tests.till import refunds as rows

ADMIN = timeline.admin("Vera Keeper")
NUMBER = "RR-00000000"


def lost(
    session: Session,
    gateway: FakeGateway,
    now: datetime,
    mark: Mapping[str, str] | None = None,
    market: str = "en-gb",
    country: str = "GB",
    **quantities: int,
) -> Payment:
    """Money for an order that nobody knows, as after a database was restored."""
    gateway.now = now
    order = make_order(session, market, country, now, **(quantities or {"paperback": 2, "russian": 1}))
    checkouts.pay_page(session, gateway, order.id, "http://localhost", now)
    parameters = attempts(session, order)[0].parameters
    metadata = {**parameters["metadata"], "order": NUMBER, **(mark or {})}
    page = gateway.open_checkout(f"lost:{len(gateway.checkouts)}", {**parameters, "metadata": metadata})
    gateway.pay(page.checkout_id)
    checkouts.cancel(session, gateway, order.id, timeline.BUYER, now)
    settling.learn(session, gateway, page.checkout_id, now)
    return payments(session)[-1]


def rebuild(session: Session, gateway: FakeGateway, payment: Payment, now: datetime) -> Order:
    payment_id = payment.id
    order = orphans.rebuild(session, gateway, payment_id, ADMIN, now)
    session.expire_all()
    return order


def test_an_order_is_rebuilt_from_its_mark_and_can_be_posted(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    payment = lost(session, gateway, now)
    order = rebuild(session, gateway, payment, now)
    assert (order.number, order.market_slug, order.country) == (NUMBER, "en-gb", "GB")
    assert [(line.slug, line.quantity) for line in order.lines] == [("paperback", 2), ("russian", 1)]
    assert order.total.amount == payment.amount
    assert order.buyer.email == "ada@reader.example"
    assert order.buyer.city == "London"
    assert payment.role is PaymentRole.ORDER
    assert payment.order_id == order.id
    assert story(session, order) == ["rebuilt", "paid"]
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert len(letters(session, Kind.ORDER_PAID)) == len(letters(session, Kind.NEW_ORDER)) == 1
    transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    assert counters(session, catalogue.paperback) == (38, 0, 0)
    assert differences(session) == []


def test_a_second_time_answers_the_same_order(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    first = rebuild(session, gateway, payment, now).id
    assert rebuild(session, gateway, payment, now).id == first
    assert counters(session, catalogue.russian) == (25, 0, 1)
    assert len(letters(session, Kind.ORDER_PAID)) == 1


def test_many_rebuilding_one_order_at_once_rebuild_it_once(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment_id = lost(session, gateway, now).id
    session.rollback()
    found = at_once(app, 6, lambda s, _: orphans.rebuild(s, gateway, payment_id, ADMIN, now).id)
    assert len(set(found)) == 1, found
    assert counters(session, catalogue.paperback) == (40, 0, 2)
    assert differences(session) == []


def test_reconciliation_afterwards_changes_nothing(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    order = rebuild(session, gateway, lost(session, gateway, now), now)
    reconciliation.run(session, gateway, now)
    assert story(session, order) == ["rebuilt", "paid"]
    assert differences(session) == []


def test_an_order_whose_copies_are_gone_is_given_its_money_back(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    set_stock(session, catalogue.paperback, 1, now)
    order = rebuild(session, gateway, payment, now)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.EXPIRED, FulfilmentState.PENDING)
    assert payment.role is PaymentRole.SURPLUS
    [owed] = rows(session)
    assert owed.amount == payment.amount
    assert len(letters(session, Kind.LATE_PAYMENT_REFUNDED)) == 1
    assert letters(session, Kind.ORDER_PAID) == []
    assert counters(session, catalogue.russian) == (25, 0, 0)
    refund_calls.perform(session, gateway, owed.id, now)
    assert gateway.left(payment.intent_id) == 0
    assert differences(session) == []


@pytest.mark.parametrize(
    ("mark", "obstacle"),
    [
        ({"order": "nonsense"}, Obstacle.MARK),
        ({"market": "fr-fr"}, Obstacle.MARK),
        ({"country": "XX"}, Obstacle.MARK),
        ({"copies": ""}, Obstacle.MARK),
        ({"copies": "paperback:0"}, Obstacle.MARK),
        ({"copies": "paperback:-1"}, Obstacle.MARK),
        ({"copies": "paperback:²"}, Obstacle.MARK),
        ({"copies": "paperback:1,paperback:1"}, Obstacle.MARK),
        ({"copies": "hardback:1"}, Obstacle.MARK),
        ({"copies": "paperback:1,russian:1"}, Obstacle.SUMS),
    ],
)
def test_a_mark_that_does_not_say_enough_rebuilds_nothing(
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    now: datetime,
    mark: dict[str, str],
    obstacle: Obstacle,
):
    payment = lost(session, gateway, now, mark)
    with pytest.raises(NotRebuildable) as refused:
        rebuild(session, gateway, payment, now)
    assert refused.value.obstacle is obstacle
    session.expire_all()
    assert payment.role is PaymentRole.ORPHAN
    assert session.scalars(select(Order).where(Order.number == NUMBER)).all() == []
    assert counters(session, catalogue.paperback) == (40, 0, 0)
    assert differences(session) == []


def test_a_price_that_has_changed_since_is_read_from_what_was_paid(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now, paperback=2)
    page = gateway.checkouts[payment.checkout_id]
    gateway.checkouts[payment.checkout_id] = replace(page, books=page.books - 200, postage=page.postage + 200)
    order = rebuild(session, gateway, payment, now)
    assert order.lines[0].unit_amount * 2 == page.books - 200
    assert differences(session) == []


def test_an_order_that_is_known_after_all_is_not_rebuilt_over(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    rebuild(session, gateway, lost(session, gateway, now), now)
    known = session.scalars(select(Order).where(Order.number == NUMBER)).one()
    second = lost(session, gateway, now, {"order": "RR-00000000"})
    assert second.order_id == known.id, "settling finds it by its number"
    third = lost(session, gateway, now, {"order": "nonsense"})
    transact(session, lambda s: s.get_one(Payment, third.id).facts.update(order=NUMBER))
    with pytest.raises(NotRebuildable):
        rebuild(session, gateway, third, now)


def test_money_that_goes_back_is_not_made_an_order_of_and_the_other_way_round(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    asked = transact(session, refunds.ask, payment.id, payment.amount, "other", ADMIN, now).id
    with pytest.raises(NotRebuildable) as refused:
        rebuild(session, gateway, payment, now)
    assert refused.value.obstacle is Obstacle.REFUNDED
    refund_calls.perform(session, gateway, asked, now)
    assert gateway.left(payment.intent_id) == 0
    assert differences(session) == []


def test_refunding_and_rebuilding_at_once_one_of_them_wins(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    payment_id, amount = payment.id, payment.amount
    session.rollback()

    def work(s: Session, number: int) -> str:
        if number % 2:
            orphans.rebuild(s, gateway, payment_id, ADMIN, now)
            return "rebuilt"
        transact(s, refunds.ask, payment_id, amount, "other", ADMIN, now)
        return "refunded"

    found = at_once(app, 4, work)
    assert all(isinstance(each, (str, WrongState)) for each in found), found
    assert differences(session) == []
    if not rows(session):
        assert payments(session)[-1].role is PaymentRole.ORDER


def test_nothing_happens_while_stripe_does_not_answer(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    gateway.before.append(GatewayUnavailable("no answer"))
    with pytest.raises(GatewayUnavailable):
        rebuild(session, gateway, payment, now)
    assert payments(session)[-1].role is PaymentRole.ORPHAN


def test_a_dispute_about_money_without_an_order_is_known_told_and_in_the_ledger(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    make_admin(session)
    payment = lost(session, gateway, now)
    opened = gateway.dispute(gateway.checkouts[payment.checkout_id])
    gateway.balance["txn_1"] = BalanceFacts(
        "txn_1", "dispute", opened.provider_id, -opened.amount, 2000, -opened.amount - 2000, payment.currency, now
    )
    reconciliation.run(session, gateway, now)
    [row] = session.scalars(select(Dispute))
    assert (row.payment_id, row.status, row.closed_at) == (payment.id, "needs_response", None)
    told = letters(session, Kind.ATTENTION)
    assert [each.context["worry"] for each in told] == ["orphan", "dispute"]
    assert [each.net for each in ledger.of_payment(session, payment.id)] == [-opened.amount - 2000]
    gateway.close_dispute(row.provider_id, "lost")
    reconciliation.run(session, gateway, now)
    session.refresh(row)
    assert (row.status, row.closed_at) == ("lost", now)
    assert len(letters(session, Kind.ATTENTION)) == 2


def test_an_order_rebuilt_for_disputed_money_is_stopped(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    gateway.dispute(gateway.checkouts[payment.checkout_id])
    reconciliation.run(session, gateway, now)
    order = rebuild(session, gateway, payment, now)
    assert (order.disputed, order.needs_attention) == (True, True)
    assert story(session, order) == ["rebuilt", "paid", "dispute_opened", "attention"]
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    assert differences(session) == []


def test_an_order_rebuilt_for_money_that_was_warned_of_is_stopped(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment = lost(session, gateway, now)
    gateway.warnings["issfr_1"] = payment.charge_id
    for _ in range(2):
        assert disputes.warn(session, gateway, "issfr_1", now)
    order = rebuild(session, gateway, payment, now)
    assert [(each.worry, each.cause) for each in order.concerns] == [(Worry.FRAUD_WARNING, "issfr_1")]
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
    assert differences(session) == []


def test_a_warning_that_meets_the_rebuilding_leaves_the_order_stopped(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
):
    payment, engine = lost(session, gateway, now), session.get_bind()
    payment_id, gateway.warnings["issfr_1"] = payment.id, payment.charge_id
    session.rollback()

    def rebuild_meanwhile(*_about: object) -> None:
        with Session(engine) as other:
            orphans.rebuild(other, gateway, payment_id, ADMIN, now)

    if engine.dialect.name == "sqlite":  # its writers queue
        rebuild_meanwhile()
    else:
        event.listen(engine, "after_cursor_execute", rebuild_meanwhile, once=True)
    assert disputes.warn(session, gateway, "issfr_1", now)
    order = session.scalars(select(Order).where(Order.number == NUMBER)).one()
    assert [each.worry for each in order.concerns] == [Worry.FRAUD_WARNING]
    assert differences(session) == []
