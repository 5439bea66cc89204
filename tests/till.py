"""What tests of money and stock look at: counters, letters owed, the audit; and doing things at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import audit
from shop.letters.models import Kind, Letter
from shop.orders.models import Order, TimelineEntry
from shop.payments.models import CheckoutAttempt, Payment, Refund
from shop.stock import Stock
from tests.client import Answer, Client
from tests.conftest import engine_of
from tests.fake_gateway import FakeGateway

T = TypeVar("T")


def counters(session: Session, edition_id: int) -> tuple[int, int, int]:
    """On hand, held, allocated."""
    session.rollback()
    row = session.get_one(Stock, edition_id)
    found = row.on_hand, row.held, row.allocated
    session.rollback()
    return found


def letters(session: Session, *kinds: Kind) -> list[Letter]:
    """Letters owed or sent, oldest first; of these kinds, or all."""
    wanted = select(Letter).order_by(Letter.id)
    return list(session.scalars(wanted.where(Letter.kind.in_(kinds)) if kinds else wanted))


def story(session: Session, order: Order) -> list[str]:
    """What an order's timeline tells."""
    wanted = select(TimelineEntry.kind).where(TimelineEntry.order_id == order.id).order_by(TimelineEntry.seq)
    return list(session.scalars(wanted))


def payments(session: Session, order: Order | None = None) -> list[Payment]:
    wanted = select(Payment).order_by(Payment.id)
    return list(session.scalars(wanted.where(Payment.order_id == order.id) if order else wanted))


def refunds(session: Session) -> list[Refund]:
    return list(session.scalars(select(Refund).order_by(Refund.id)))


def attempts(session: Session, order: Order) -> list[CheckoutAttempt]:
    wanted = select(CheckoutAttempt).where(CheckoutAttempt.order_id == order.id).order_by(CheckoutAttempt.number)
    return list(session.scalars(wanted))


def differences(session: Session) -> list[str]:
    """What the audit finds."""
    session.rollback()
    session.expire_all()
    found = [str(each) for each in audit.run(session)]
    session.rollback()
    return found


def deliver(
    client: Client, gateway: FakeGateway, kind: str, object_id: str, *, times: int = 1, livemode: bool = False
) -> Answer:
    """An event happens, and its webhook is delivered so many times."""
    body, signature = gateway.webhook(gateway.tell(kind, object_id, livemode=livemode))
    for _ in range(times):
        answer = client.post("/stripe/webhook", data=body, headers={"Stripe-Signature": signature})
    return answer


def is_strict(app: Flask) -> bool:
    """Whether the database gives its transactions the strictest level by default."""
    return "serializable" in str(engine_of(app).url.query.get("options", ""))


def at_once(app: Flask, times: int, work: Callable[[Session, int], T]) -> list[T | Exception]:
    """Do something in so many threads at once, each with its own session; answers what came back or was raised."""
    engine, gate = engine_of(app), threading.Barrier(times)
    found: list[T | Exception] = []

    def run(number: int) -> None:
        with Session(engine) as session:
            gate.wait(20)
            try:
                result: T | Exception = work(session, number)
            except Exception as error:
                result = error
        found.append(result)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == times, "some thread hangs"
    return found
