"""The rows of some orders, collected by table before they are written."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from shop.database import Base
from shop.demo.writing import reserve
from shop.letters.models import Letter
from shop.orders.models import (
    Buyer,
    Concern,
    Order,
    OrderLine,
    PersonalValue,
    Shipment,
    ShipmentLine,
    TimelineEntry,
)
from shop.orders.terms import OrderTerm
from shop.payments.ledger import LedgerEntry
from shop.payments.models import CheckoutAttempt, Dispute, Payment, Refund, RefundLine
from shop.stock import Movement, StockMovement

COLUMNS: dict[type[Base], str | tuple[str, ...]] = {
    Order: "id number token attempt content market country currency books_amount postage_amount min_days max_days "
    "payment_state fulfilment_state needs_attention disputed refunding holding allocated visitor placed_at paid_at "
    "sync_version timeline_count timeline_head",
    Buyer: "order_id email name phone line1 line2 city state postal_code country purchase_order note search",
    OrderLine: "order_id position edition_id slug title name isbn language quantity unit_amount grams called_off "
    "posted",
    CheckoutAttempt: "id order_id number key parameters expires_at state checkout_id url created_at checked_at",
    Payment: "id order_id attempt_id role intent_id charge_id checkout_id amount currency card received_at facts",
    StockMovement: "edition_id kind on_hand held allocated order_id reason actor at",
    Shipment: "id order_id kind reason carrier tracking asked_by posted_by posted_at undone_by returned_by restocked",
    ShipmentLine: "shipment_id position quantity",
    Refund: "id key payment_id state source amount reason provider_id failure asked_by asked_at finished_at tries",
    LedgerEntry: "provider_id kind payment_id refund_id amount fee net currency at",
    RefundLine: "refund_id position quantity posted returned_at",
    Concern: "id order_id worry cause details raised_at settled_at settled_by",
    Dispute: "payment_id provider_id status reason amount due_by opened_at closed_at",
    TimelineEntry: "order_id seq at actor admin kind details digest",
    PersonalValue: "order_id seq field salt value",
    Letter: "kind cause copy recipient reply_to locale context order_id message_id state owed_at due_at tries "
    "last_error sent_at subject text",
    OrderTerm: "order_id term source placed_at",
}
COLUMNS = {model: tuple(str(names).split()) for model, names in COLUMNS.items()}
NUMBERED = (LedgerEntry, StockMovement, Dispute, Letter)
"""Tables whose ids nothing refers to; the first column of their rows is added when they are written."""
COLUMNS |= {model: ("id", *COLUMNS[model]) for model in NUMBERED}
MANY = 16
"""More rows than one order has in any table."""


class Rows:
    """Rows by table, ids that nobody else takes, and what the copies came to."""

    def __init__(self, session: Session, orders: int) -> None:
        self.of: dict[type[Base], list[tuple[Any, ...]]] = {model: [] for model in COLUMNS}
        numbered: tuple[type[Base], ...] = (Order, CheckoutAttempt, Payment, Shipment, Refund, Concern, *NUMBERED)
        self._ids = {
            model: count(reserve(session, model, MANY * orders if model in NUMBERED else orders))
            for model in numbered
        }
        self.first_order = next(self._ids[Order])
        self._ids[Order] = count(self.first_order)
        self.on_hand: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.allocated: Counter[int] = Counter()

    def id(self, model: type[Base]) -> int:
        return next(self._ids[model])

    def add(self, model: type[Base], *values: Any) -> None:
        self.of[model].append((self.id(model), *values) if model in NUMBERED else values)

    def move(
        self,
        edition_id: int,
        kind: Movement,
        order_id: int | None,
        actor: str,
        at: datetime,
        *,
        on_hand: int = 0,
        held: int = 0,
        allocated: int = 0,
        reason: str = "",
    ) -> None:
        """A movement of copies; one of an order is added up."""
        self.add(StockMovement, edition_id, kind, on_hand, held, allocated, order_id, reason, actor, at)
        if order_id is not None:
            self.on_hand[edition_id] += on_hand
            self.held[edition_id] += held
            self.allocated[edition_id] += allocated
