"""What is promised of an order's two lives, its copies, its money and its letters, as a small model.

It is written from the promises, not from the shop's tables, and knows nothing of rows, locks, keys or retries. It
looks at the provider in memory as the shop does, only when something makes it look.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shop.payments.gateway import CheckoutFacts, DisputeFacts, RefundFacts
from tests.fake_gateway import FakeGateway

OVER = ("expired", "cancelled", "failed")
WAITING = ("awaiting", "processing")
COMING = ("pending", "succeeded")
GONE = ("failed", "cancelled")
HARMLESS = ("won", "warning_closed", "prevented")
STATES = {"requires_action": "pending", "canceled": "cancelled"}
SEARCHED_AFTER = timedelta(minutes=5)
PAGELESS_AFTER = timedelta(minutes=45)


@dataclass
class Page:
    """A page that the shop has asked for; without an id while it has had no answer."""

    expires_at: datetime
    asked_at: datetime
    page_id: str = ""
    state: str = "new"


@dataclass
class GivenBack:
    """A refund: of which payment, how much, in which state, about which copies."""

    intent: str
    amount: int
    state: str = "owed"
    source: str = "ours"
    provider_id: str = ""
    key: str = ""
    reason: str = ""
    copies: dict[int, int] = field(default_factory=dict)
    posted: bool = False
    returned: bool = False
    told: bool = False


@dataclass
class Copies:
    """An order's line."""

    slug: str
    quantity: int
    unit: int
    called_off: int = 0

    @property
    def left(self) -> int:
        return self.quantity - self.called_off


@dataclass
class ModelOrder:
    number: str
    lines: dict[int, Copies]
    postage: int
    country: str
    placed_at: datetime
    payment: str = "awaiting"
    fulfilment: str = "pending"
    held: bool = True
    allocated: bool = False
    pages: list[Page] = field(default_factory=list)
    money: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Payment intent → its role and sum."""
    worries: list[list[object]] = field(default_factory=list)
    """Kind, cause, whether it is open."""
    disputes: dict[str, str] = field(default_factory=dict)
    letters: Counter[str] = field(default_factory=Counter)
    desk: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(line.quantity * line.unit for line in self.lines.values()) + self.postage

    @property
    def copies(self) -> dict[str, int]:
        return {line.slug: line.left for line in self.lines.values() if line.left}

    @property
    def paid_by(self) -> str:
        """The payment that pays it."""
        return next((intent for intent, (role, _) in self.money.items() if role == "order"), "")

    @property
    def attention(self) -> bool:
        return any(is_open for _, _, is_open in self.worries)

    @property
    def disagrees(self) -> bool:
        """Money has come that is not what was asked for, and nobody has looked at it."""
        return any(kind == "amount_differs" and is_open for kind, _, is_open in self.worries)

    @property
    def disputed(self) -> bool:
        return any(status not in HARMLESS for status in self.disputes.values())

    @property
    def lives(self) -> bool:
        """A page of it may still be paid, as far as is known."""
        return any(page.state in ("new", "open") for page in self.pages)

    def worry(self, kind: str, cause: str) -> None:
        if not any(each[:2] == [kind, cause] for each in self.worries):
            self.worries.append([kind, cause, True])
            self.desk["attention"] += 1


class Model:
    """A shop as it should be."""

    def __init__(self, world: FakeGateway, shelf: dict[str, int]) -> None:
        self.world = world
        self.shelf = dict(shelf)
        self.orders: dict[str, ModelOrder] = {}
        self.given_back: list[GivenBack] = []
        self.counts = 0

    # Copies

    def promised(self, slug: str, *, held: bool) -> int:
        return sum(
            order.copies.get(slug, 0)
            for order in self.orders.values()
            if (order.held if held else order.allocated)
        )

    def available(self, slug: str) -> int:
        return self.shelf[slug] - self.promised(slug, held=True) - self.promised(slug, held=False)

    def take(self, order: ModelOrder) -> bool:
        """Allocate held copies, or, where the hold has lapsed, copies that are still there."""
        if not order.held and any(self.available(slug) < number for slug, number in order.copies.items()):
            return False
        order.held, order.allocated = False, True
        return True

    def count(self, slug: str, counted: int) -> None:
        self.counts += 1
        self.shelf[slug] = counted
        missing = -self.available(slug)
        newest = list(reversed(self.orders.values()))
        for order in [each for each in newest if each.allocated] + [each for each in newest if each.held]:
            if missing > 0 and order.copies.get(slug):
                missing -= order.copies[slug]
                if not any(kind == "copies_missing" and is_open for kind, _, is_open in order.worries):
                    order.worry("copies_missing", f"count {self.counts}")

    # Pages and money

    def order_of(self, page_id: str) -> ModelOrder:
        return self.orders[self.world.checkouts[page_id].reference]

    def look(self, page_id: str, *, lapsing: bool = True) -> None:
        """Ask what a page has become, and do what follows."""
        facts, order = self.world.checkouts[page_id], self.order_of(page_id)
        page = next((each for each in order.pages if each.page_id == page_id), None)
        if page is None:
            lost = (each for each in order.pages if not each.page_id and each.expires_at == facts.expires_at)
            page = next(lost, None)
            if page is not None:
                page.page_id = page_id
                page.state = "open" if page.state == "new" else page.state
        if page is not None and facts.status == "expired":
            page.state = "closed"
        elif page is not None and facts.status == "complete":
            page.state = "closed" if facts.paid or facts.failed else "complete"
        if facts.paid:
            self.receive(order, facts)
        elif facts.status == "expired":
            all_over = all(each.state == "closed" for each in order.pages)
            if lapsing and order.payment == "awaiting" and all_over and not order.disagrees:
                self.let_go(order, "expired")
        elif facts.failed and order.payment in WAITING:
            self.let_go(order, "failed")
            order.letters["payment_failed"] += 1
        elif facts.status == "complete" and not facts.failed and order.payment == "awaiting":
            order.payment = "processing"
            order.letters["payment_delayed"] += 1

    def let_go(self, order: ModelOrder, state: str) -> None:
        order.payment, order.held = state, False

    def receive(self, order: ModelOrder, facts: CheckoutFacts) -> None:
        intent = facts.intent_id
        if intent in order.money:
            return
        if order.paid_by:
            order.money[intent] = ("surplus", facts.total)
            self.owe_back(order, intent, "second_payment_refunded", "paid_twice")
        elif facts.total != order.total:
            order.money[intent] = ("surplus", facts.total)
            order.worry("amount_differs", intent)
        elif self.take(order):
            order.money[intent] = ("order", facts.total)
            order.payment, order.fulfilment = "paid", "to_post"
            order.letters["order_paid"] += 1
            order.desk["new_order"] += 1
            northern = facts.address.postal_code.startswith("BT")
            if facts.address.country != order.country or northern:
                order.worry("address_refused", intent)
        else:
            order.money[intent] = ("surplus", facts.total)
            self.owe_back(order, intent, "late_payment_refunded", "paid_late")

    def owe_back(self, order: ModelOrder, intent: str, letter: str, reason: str) -> None:
        self.given_back.append(GivenBack(intent, order.money[intent][1], reason=reason))
        order.letters[letter] += 1
        order.desk["attention"] += 1

    def knows(self, intent: str) -> bool:
        return any(intent in order.money for order in self.orders.values())

    def end(self, order: ModelOrder, state: str = "expired") -> None:
        """The known pages are closed at the provider, who decides; then the copies go."""
        for page in [each for each in order.pages if each.state == "open"]:
            self.world.close_checkout(page.page_id)
            self.look(page.page_id, lapsing=False)
        if order.payment == "awaiting" and not order.disagrees and not order.lives:
            self.let_go(order, state)

    def sweep(self, now: datetime) -> None:
        waiting = [order for order in self.orders.values() if order.payment == "awaiting"]
        for order in waiting:
            if any(page.state == "open" and page.expires_at <= now for page in order.pages):
                self.end(order)
        lost = [
            (order, page)
            for order in self.orders.values()
            for page in order.pages
            if page.state == "new" and page.expires_at <= now - SEARCHED_AFTER
        ]
        if lost:
            for page_id in list(self.world.checkouts):
                self.look(page_id)
        for order, page in lost:
            page.state = "closed" if page.state == "new" else page.state
            self.end(order)
        for order in self.orders.values():
            old = order.placed_at <= now - PAGELESS_AFTER
            if order.payment == "awaiting" and old and all(page.state == "closed" for page in order.pages):
                self.end(order)

    # Money that goes back

    def of(self, intent: str) -> ModelOrder:
        return next(order for order in self.orders.values() if intent in order.money)

    def refundable(self, intent: str) -> int:
        gone = sum(each.amount for each in self.given_back if each.intent == intent and each.state not in GONE)
        return self.of(intent).money[intent][1] - gone

    def copies_left(self, order: ModelOrder) -> dict[int, int]:
        taken: Counter[int] = Counter()
        for each in self.given_back:
            if each.intent in order.money and (each.state not in GONE or each.returned):
                taken.update(each.copies)
        return {position: line.quantity - taken[position] for position, line in order.lines.items()}

    def price(self, order: ModelOrder, wanted: dict[int, int]) -> int | None:
        """What copies cost, postage with the last of them; nothing for copies that cannot be given back."""
        left = self.copies_left(order)
        wanted = {position: number for position, number in wanted.items() if number}
        if order.fulfilment not in ("to_post", "posted") or not wanted:
            return None
        if any(number > left[position] for position, number in wanted.items()):
            return None
        rest = {position: number for position, number in left.items() if number} == wanted
        books = sum(order.lines[position].unit * number for position, number in wanted.items())
        return books + (order.postage if rest else 0)

    def may_ask(self, intent: str, amount: int) -> bool:
        return not self.of(intent).disputed and 0 < amount <= self.refundable(intent)

    def ask(self, intent: str, amount: int, copies: dict[int, int] | None = None) -> None:
        order = self.of(intent)
        rest = amount == self.refundable(intent)
        asked = GivenBack(intent, amount, copies={k: n for k, n in (copies or {}).items() if n})
        asked.posted = order.fulfilment == "posted"
        if order.paid_by == intent and not copies and rest and asked.posted:
            asked.copies = {k: n for k, n in self.copies_left(order).items() if n}
        self.given_back.append(asked)

    def refunding(self, order: ModelOrder) -> bool:
        """All that is left, or copies that wait to be posted, are about to be given back."""
        owed = [each for each in self.given_back if each.intent == order.paid_by and each.state == "owed"]
        whole = bool(owed) and self.refundable(order.paid_by) <= 0
        return whole or any(each.copies and not each.posted for each in owed)

    def look_at_refunds(self, intent: str) -> None:
        order = self.of(intent)
        pays = order.paid_by == intent
        listed = [each for each in self.world.refunds.values() if each.intent_id == intent]
        for facts in sorted(listed, key=lambda each: (each.created, each.provider_id)):
            known = [each for each in self.given_back if each.intent == intent]
            row = next((each for each in known if each.provider_id == facts.provider_id), None)
            key = facts.metadata.get("refund")
            row = row or next((each for each in known if not each.provider_id and each.key == key), None)
            if row is None:
                row = GivenBack(intent, facts.amount, source="dashboard")
                self.given_back.append(row)
            self.bring(order, row, facts, pays)
        if pays:
            self.reckon(order, intent)

    def bring(self, order: ModelOrder, row: GivenBack, facts: RefundFacts, pays: bool) -> None:
        before, row.provider_id = row.state, facts.provider_id
        row.state = STATES.get(facts.status, facts.status)
        if row.state in COMING and before not in COMING:
            if pays and not row.told:
                row.told = True
                order.letters["refunded"] += 1
            if pays and row.copies and not row.posted and not row.returned and order.fulfilment == "to_post":
                row.returned = True
                for position, number in row.copies.items():
                    order.lines[position].called_off += number
                if not order.copies:
                    order.fulfilment, order.allocated = "cancelled", False
        elif row.state in GONE and before not in GONE:
            order.worry("refund_failed", row.provider_id)
            if before in COMING:
                order.letters["refund_failed"] += 1

    def reckon(self, order: ModelOrder, intent: str) -> None:
        rows = [each for each in self.given_back if each.intent == intent]
        back = sum(each.amount for each in rows if each.state in COMING)
        was, whole = order.payment, back >= order.money[intent][1]
        order.payment = "refunded" if whole else "part_refunded" if back else "paid"
        if whole and was != "refunded":
            if order.fulfilment == "to_post":
                order.fulfilment, order.allocated = "cancelled", False
            elif order.fulfilment == "posted" and rows[-1].source == "dashboard" and not rows[-1].copies:
                rows[-1].copies = {k: n for k, n in self.copies_left(order).items() if n}
                rows[-1].posted = True

    def refused(self, row: GivenBack) -> None:
        """The provider will not make a refund: unless it is done already, somebody must look."""
        self.look_at_refunds(row.intent)
        if row.state == "owed":
            row.state = "failed"
            if self.refundable(row.intent) > 0:
                self.of(row.intent).worry("refund_failed", row.key)

    def may_put_back(self, row: GivenBack) -> bool:
        order = self.of(row.intent)
        left = self.copies_left(order)
        free = row.state not in GONE or all(number <= left[position] for position, number in row.copies.items())
        return bool(row.copies) and row.posted and not row.returned and free

    def put_back(self, row: GivenBack) -> None:
        row.returned = True
        for position, number in row.copies.items():
            self.shelf[self.of(row.intent).lines[position].slug] += number

    # Banks

    def look_at_dispute(self, facts: DisputeFacts) -> None:
        order = self.of(facts.intent_id)
        if facts.provider_id not in order.disputes:
            order.worry("dispute", facts.provider_id)
        order.disputes[facts.provider_id] = facts.status

    # Parcels

    def may_post(self, order: ModelOrder) -> bool:
        paid = order.payment in ("paid", "part_refunded")
        stopped = order.attention or order.disputed or self.refunding(order)
        return order.fulfilment == "to_post" and paid and not stopped

    def on_shelf(self, order: ModelOrder) -> bool:
        return all(self.shelf[slug] >= number for slug, number in order.copies.items())

    def post(self, order: ModelOrder) -> None:
        for slug, number in order.copies.items():
            self.shelf[slug] -= number
        order.fulfilment, order.allocated = "posted", False
        order.letters["posted"] += 1

    # What is heard, and what is asked without having heard anything

    def hear(self, kind: str, thing: str) -> None:
        """An event says that something happened to a thing; what it has become is looked up."""
        if kind.startswith("checkout."):
            self.look(thing)
            return
        if kind.startswith("charge.dispute"):
            intent = self.world.disputes[thing].intent_id
        elif kind == "charge.refunded":
            intent = self.intent_of_charge(thing)
        elif kind.startswith("refund."):
            intent = self.world.refunds[thing].intent_id
        else:
            intent = self.intent_of_charge(self.world.warnings[thing])
        if not self.knows(intent):
            self.look(next(each.checkout_id for each in self.world.checkouts.values() if each.intent_id == intent))
        if kind.startswith("charge.dispute"):
            self.look_at_dispute(self.world.disputes[thing])
        elif kind.startswith("radar"):
            self.of(intent).worry("fraud_warning", thing)
        else:
            self.look_at_refunds(intent)

    def intent_of_charge(self, charge: str) -> str:
        return next(each.intent_id for each in self.world.checkouts.values() if each.charge_id == charge)

    def reconcile(self, now: datetime) -> None:
        """All pages, refunds and disputes are looked at, with no event at all."""
        for order in list(self.orders.values()):
            for page in list(order.pages):
                if page.state in ("open", "complete"):
                    self.look(page.page_id)
        for page_id, facts in list(self.world.checkouts.items()):
            page = next((each for each in self.order_of(page_id).pages if each.page_id == page_id), None)
            if not (facts.paid and self.knows(facts.intent_id)) and not (page and page.state == "closed"):
                self.look(page_id)
        for intent in dict.fromkeys(each.intent_id for each in self.world.refunds.values()):
            self.look_at_refunds(intent)
        for dispute in self.world.disputes.values():
            self.look_at_dispute(dispute)
        self.sweep(now)
