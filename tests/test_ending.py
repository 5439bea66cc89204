"""How an unpaid order ends: the same, whether Stripe's message, the sweep or the buyer comes first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from shop.database import transact
from shop.orders import counting, placing, timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.payments import checkouts, settling
from tests.factories import Catalogue, make_order
from tests.fake_gateway import FakeGateway
from tests.till import attempts, counters, differences

SHOP = "http://localhost"
ADMIN = timeline.admin("Vera Keeper")
LATER = timedelta(minutes=46)
Ending = Callable[[Session, FakeGateway, Order, datetime], object]


def message(session: Session, gateway: FakeGateway, order: Order, now: datetime) -> None:
    page = str(attempts(session, order)[0].checkout_id)
    gateway.close_checkout(page)
    settling.learn(session, gateway, page, now)


def sweep(session: Session, gateway: FakeGateway, order: Order, now: datetime) -> None:
    checkouts.sweep(session, gateway, now)


def cancel(session: Session, gateway: FakeGateway, order: Order, now: datetime) -> None:
    checkouts.cancel(session, gateway, order.id, timeline.BUYER, now)


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime) -> Order:
    """An order whose page is open."""
    order = make_order(session, now=now)
    checkouts.pay_page(session, gateway, order.id, SHOP, now)
    session.refresh(order)
    return order


@pytest.mark.parametrize(
    ("end", "state"),
    [(message, PaymentState.EXPIRED), (sweep, PaymentState.EXPIRED), (cancel, PaymentState.CANCELLED)],
)
def test_an_order_whose_copies_are_missing_ends_like_any_other(
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    order: Order,
    now: datetime,
    end: Ending,
    state: PaymentState,
):
    """Fewer copies were counted than are promised; whoever gives his up must not keep them from the others."""
    transact(session, counting.count, catalogue.paperback, 0, "gone", ADMIN, now)
    session.refresh(order)
    assert order.needs_attention
    end(session, gateway, order, now + LATER)
    session.refresh(order)
    assert order.payment_state is state
    assert counters(session, catalogue.paperback) == (0, 0, 0)
    assert differences(session) == []


@pytest.mark.parametrize("end", [message, sweep, cancel])
def test_an_order_whose_money_disagrees_keeps_its_copies_until_somebody_has_looked(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, order: Order, now: datetime, end: Ending
):
    """The money came by another page of the order than the one that ends now."""
    twin = gateway.open_checkout("twin", attempts(session, order)[0].parameters)
    gateway.pay(twin.checkout_id, total=1)
    settling.learn(session, gateway, twin.checkout_id, now)
    end(session, gateway, order, now + LATER)
    session.refresh(order)
    assert order.payment_state is PaymentState.AWAITING
    assert counters(session, catalogue.paperback) == (40, 1, 0)

    order_id = order.id

    def look(s: Session) -> None:
        locked = placing.locked(s, order_id)
        for concern in locked.concerns:
            timeline.settle_worry(s, locked, concern, ADMIN, now)

    transact(session, look)
    checkouts.sweep(session, gateway, now + 2 * LATER)
    session.refresh(order)
    assert order.payment_state is PaymentState.EXPIRED
    assert counters(session, catalogue.paperback) == (40, 0, 0)
