"""A shop with as many orders as wanted: one is made by the shop itself, the others are copies of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import flask_migrate
from sqlalchemy import Engine, Table, func, select, text, update
from sqlalchemy.orm import Session

from benchmarks.apps import PLACE
from shop.app import create_app
from shop.database import Base
from shop.extensions import db
from shop.letters.models import Letter
from shop.orders.models import Buyer, Order, OrderLine, TimelineEntry
from shop.orders.terms import OrderTerm
from shop.payments import checkouts, settling
from shop.payments.models import CheckoutAttempt, InboxEvent, InboxState, Payment
from shop.payments.stripe_gateway import StripeGateway
from shop.settings import Settings
from shop.stock import Stock, StockMovement
from tests import factories
from tests.sandbox_process import KEY, Sandbox, fetch

# What a copy of each table's row has of its own; ``{id}`` is its order's number, ``{n}`` that of the row in its order.
OWN: Mapping[type[Base], Mapping[str, str]] = {
    Order: {
        "id": "{id}",
        "number": "'B' || lpad({id}::text, 10, '0')",
        "token": "'token-' || {id}",
        "attempt": "'attempt-' || {id}",
        "content": "'content-' || {id}",
    },
    Buyer: {"order_id": "{id}", "email": "'reader' || {id} || '@example.com'"},
    OrderLine: {"order_id": "{id}"},
    CheckoutAttempt: {
        "id": "{id}",
        "order_id": "{id}",
        "key": "'checkout:' || {id}",
        "checkout_id": "'cs_test_' || {id}",
    },
    TimelineEntry: {"order_id": "{id}"},
    OrderTerm: {"order_id": "{id}", "term": "t.term || {id}"},
    StockMovement: {"id": "{id} * 10 + {n}", "order_id": "{id}"},
    Payment: {
        "id": "{id}",
        "order_id": "{id}",
        "attempt_id": "{id}",
        "intent_id": "'pi_' || {id}",
        "charge_id": "'ch_' || {id}",
        "checkout_id": "'cs_test_' || {id}",
    },
    Letter: {
        "id": "{id} * 10 + {n}",
        "order_id": "{id}",
        "cause": "'payment:' || {id} || ':' || {n}",
        "message_id": "'<letter-' || {id} || '-' || {n} || '@example.com>'",
    },
    InboxEvent: {"id": "'evt_' || {id}", "object_id": "'cs_test_' || {id}"},
}
# The order that every other one is a copy of, as a condition on each table.
OF: Mapping[type[Base], str] = {Order: "id = {of}", InboxEvent: "object_id = '{page}'"}


BEYOND = 1_000_000_000


class Shop:
    """A shop on an empty PostgreSQL database, with one unpaid and one paid order made by its own code."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        app = create_app(settings)
        with app.app_context():
            flask_migrate.upgrade()
            self.engine: Engine = db.engine
        self.orders = 0
        self._next = 1000

    def found(self, sandbox: Sandbox) -> str:
        """Make both orders; answers what Stripe said of the paid one, with ``PLACE`` in place of its number."""
        gateway = StripeGateway(KEY, sandbox.url, ())
        with Session(self.engine) as session:
            factories.stock_the_shop(session)
            factories.make_admin(session)
            self.unpaid, _ = self._order(session, gateway)
            self.paid, url = self._order(session, gateway)
            assert sandbox.pay(url).status == 303
            assert settling.refresh(session, gateway, self.paid, datetime.now(UTC))
            payment = session.scalars(select(Payment)).one()
            self.page = payment.checkout_id
            session.add(_event(payment))
            session.commit()
            ids = payment.checkout_id, payment.intent_id, payment.charge_id
            for model in (Payment, StockMovement, Letter):  # what the shop writes itself lies beyond all copies
                sequence = f"pg_get_serial_sequence('{model.__tablename__}', 'id')"
                session.execute(text(f"SELECT setval({sequence}, {BEYOND})"))
            session.commit()
        address = f"{sandbox.url}/v1/checkout/sessions/{ids[0]}?expand[0]=payment_intent.latest_charge"
        answer = fetch(address, headers={"Authorization": f"Bearer {KEY}"}).text
        for known, prefix in zip(ids, ("cs_test_", "pi_", "ch_"), strict=True):
            answer = answer.replace(known, prefix + PLACE)
        return answer

    def _order(self, session: Session, gateway: StripeGateway) -> tuple[int, str]:
        order = factories.make_order(session)
        url = checkouts.pay_page(session, gateway, order.id, self.settings.shop_url, datetime.now(UTC))
        return order.id, url

    def grow(self, orders: int) -> None:
        """Have so many paid orders, each with all its rows."""
        self._copy(self.paid, orders - self.orders)
        self.orders = max(self.orders, orders)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))

    def unpaid_orders(self, count: int) -> range:
        """So many further orders whose buyers are on Stripe's page; answers their numbers."""
        numbers = self._copy(self.unpaid, count)
        with Session(self.engine) as session:
            line = session.scalars(select(OrderLine).where(OrderLine.order_id == self.unpaid)).one()
            more = {"on_hand": Stock.on_hand + count * line.quantity, "held": Stock.held + count * line.quantity}
            session.execute(update(Stock).where(Stock.edition_id == line.edition_id).values(more))
            session.commit()
        return numbers

    def settled(self, numbers: range) -> int:
        """How many of these orders have their payment."""
        wanted = select(func.count()).select_from(Payment).where(Payment.order_id.between(numbers[0], numbers[-1]))
        with Session(self.engine) as session:
            return session.scalar(wanted) or 0

    def _copy(self, of: int, count: int) -> range:
        numbers = range(self._next, self._next + max(count, 0))
        self._next = numbers.stop
        if numbers:
            with self.engine.begin() as connection:
                for model, own in OWN.items():
                    table: Table = model.__table__  # type: ignore[assignment]
                    condition = OF.get(model, "order_id = {of}").format(of=of, page=self.page)
                    n = f"(row_number() OVER (PARTITION BY g.id ORDER BY t.{list(table.primary_key)[-1].name}))"
                    values = [
                        own[column.name].format(id="g.id", n=n) if column.name in own else f't."{column.name}"'
                        for column in table.columns
                    ]
                    names = ", ".join(f'"{column.name}"' for column in table.columns)
                    if model is InboxEvent and of == self.unpaid:
                        continue
                    connection.execute(
                        text(
                            f'INSERT INTO "{table.name}" ({names}) SELECT {", ".join(values)} '  # noqa: S608
                            f'FROM "{table.name}" t, generate_series({numbers[0]}, {numbers[-1]}) g(id) '
                            f"WHERE t.{condition}"
                        )
                    )
        return numbers


def _event(payment: Payment) -> InboxEvent:
    return InboxEvent(
        id="evt_template",
        type="checkout.session.completed",
        object_id=payment.checkout_id,
        state=InboxState.DONE,
        outcome="applied",
        tries=0,
        last_error="",
        received_at=payment.received_at,
        due_at=payment.received_at,
        done_at=payment.received_at,
    )
