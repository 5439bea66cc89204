"""What is promised of an order's two lives, its copies, its money and its letters, as a small model.

It is written from the promises, not from the shop's tables, and knows nothing of rows, locks or transactions. It looks
at the provider in memory as the shop does, only when something makes it look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shop.payments.gateway import CheckoutFacts, DisputeFacts, RefundFacts
from tests.order_world import World

OVER = ("expired", "cancelled", "failed")
WAITING = ("awaiting", "processing")
COMING = ("pending", "succeeded")
GONE = ("failed", "cancelled")
HARMLESS = ("won", "warning_closed", "prevented")
STATES = {"requires_action": "pending", "canceled": "cancelled"}
LIFE = timedelta(minutes=45)
"""So long a page may be paid; an order without one waits as long."""
SHORTEST = timedelta(minutes=31)
MARGIN = timedelta(minutes=5)
"""So long after its end a page that nobody has heard of is looked for."""
PATIENCE = 3
"""So many pages may be too short-lived for the provider before that is a mistake of the set-up."""
LONGEST_WAIT = timedelta(hours=1)


@dataclass
class Page:
    """A page that the shop has asked for; without an id while it has had no answer."""

    expires_at: datetime
    asked_at: datetime
    page_id: str = ""
    state: str = "new"


@dataclass(eq=False)
class GivenBack:
    """A refund: of which payment, how much, in which state, about which copies; when the provider is told."""

    intent: str
    amount: int
    due: datetime
    state: str = "owed"
    source: str = "ours"
    provider_id: str = ""
    tries: int = 0
    copies: dict[int, int] = field(default_factory=dict)
    posted: bool = False
    returned: bool = False
    told: bool = False
    repeated: bool = False


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
    """An order, or (``lost``) one of which only money is known, since the shop has forgotten it."""

    number: str
    lines: dict[int, Copies]
    postage: int
    country: str
    placed_at: datetime
    lost: bool = False
    payment: str = "awaiting"
    fulfilment: str = "pending"
    held: bool = True
    allocated: bool = False
    pages: list[Page] = field(default_factory=list)
    money: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Payment intent → its role and sum."""
    worries: list[tuple[str, object]] = field(default_factory=list)
    """Kind and cause."""
    open: list[tuple[str, object]] = field(default_factory=list)
    """Those that nobody has settled."""
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
        return bool(self.open)

    @property
    def disagrees(self) -> bool:
        """Money has come that is not what was asked for, and nobody has looked at it."""
        return any(kind == "amount_differs" for kind, _ in self.open)

    @property
    def disputed(self) -> bool:
        return any(status not in HARMLESS for status in self.disputes.values())

    @property
    def lives(self) -> bool:
        """A page of it may still be paid, as far as is known."""
        return any(page.state in ("new", "open") for page in self.pages)

    def worry(self, kind: str, cause: object) -> None:
        """Somebody must look, once for each cause. What is lost cannot be posted, so it is only told."""
        if (kind, cause) not in self.worries:
            self.worries.append((kind, cause))
            self.desk["attention"] += 1
            if not self.lost:
                self.open.append((kind, cause))

    def call_off(self) -> None:
        self.fulfilment, self.allocated = "cancelled", False


class Model:
    """A shop as it should be. ``key_of`` tells under which random key the shop speaks of a refund to the provider."""

    def __init__(self, world: World, shelf: dict[str, int], key_of: Callable[[GivenBack], str]) -> None:
        self.world = world
        self.shelf = dict(shelf)
        self.key_of = key_of
        self.orders: dict[str, ModelOrder] = {}
        self.lost: dict[str, ModelOrder] = {}
        """Orders that the shop has forgotten, by number; one that is rebuilt stands in ``orders`` as well."""
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
                if not any(kind == "copies_missing" for kind, _ in order.open):
                    order.worry("copies_missing", self.counts)

    # Pages and money

    def order_of(self, page_id: str) -> ModelOrder:
        number = self.world.checkouts[page_id].reference
        return self.orders.get(number) or self.lost[number]

    def look(self, page_id: str, *, lapsing: bool = True) -> None:
        """Ask what a page has become, and do what follows."""
        facts, order = self.world.checkouts[page_id], self.order_of(page_id)
        if order.lost:
            if facts.paid and not self.knows(facts.intent_id):
                order.money[facts.intent_id] = ("orphan", facts.total)
                order.desk["attention"] += 1
            return
        page = next((each for each in order.pages if each.page_id == page_id), None)
        if page is None:
            unanswered = (each for each in order.pages if not each.page_id and each.expires_at == facts.expires_at)
            page = next(unanswered, None)
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
            hopeful = ("complete",) if order.payment == "processing" else ("new", "open", "complete")
            if not any(each.state in hopeful for each in order.pages):
                self.let_go(order, "failed")
                order.letters["payment_failed"] += 1
        elif facts.status == "complete" and not facts.failed and order.payment == "awaiting":
            order.payment = "processing"
            order.letters["payment_delayed"] += 1

    def let_go(self, order: ModelOrder, state: str) -> None:
        """The copies are free; those that it lacked are missed by nobody any more."""
        order.payment, order.held = state, False
        order.open = [each for each in order.open if each[0] != "copies_missing"]

    def receive(self, order: ModelOrder, facts: CheckoutFacts) -> None:
        intent = facts.intent_id
        if intent in order.money:
            return
        order.money[intent] = ("surplus", facts.total)
        if any(role == "order" for role, _ in order.money.values()):
            self.owe_back(order, intent, "second_payment_refunded")
        elif facts.total != order.total:
            order.worry("amount_differs", intent)
        else:
            self.buy(order, facts)

    def buy(self, order: ModelOrder, facts: CheckoutFacts) -> None:
        """The right sum has come: for copies that are there, or it goes back."""
        intent = facts.intent_id
        if not self.take(order):
            order.money[intent] = ("surplus", facts.total)
            self.owe_back(order, intent, "late_payment_refunded")
            return
        order.money[intent] = ("order", facts.total)
        order.payment, order.fulfilment = "paid", "to_post"
        order.letters["order_paid"] += 1
        order.desk["new_order"] += 1
        northern = facts.address.postal_code.startswith("BT")
        if facts.address.country != order.country or northern:
            order.worry("address_refused", intent)

    def owe_back(self, order: ModelOrder, intent: str, letter: str) -> None:
        self.given_back.append(GivenBack(intent, order.money[intent][1], self.world.now))
        order.letters[letter] += 1
        order.desk["attention"] += 1

    def knows(self, intent: str) -> bool:
        return any(intent in order.money for order in [*self.orders.values(), *self.lost.values()])

    def may_rebuild(self, intent: str) -> bool:
        return all(each.state in GONE for each in self.given_back if each.intent == intent)

    def rebuild(self, lost: ModelOrder) -> None:
        """An order is written anew from the mark of its money, which pays it if the copies are there."""
        lines = {position: replace(line) for position, line in lost.lines.items()}
        order = ModelOrder(lost.number, lines, lost.postage, lost.country, lost.placed_at, held=False)
        self.orders[order.number] = order
        (intent,) = lost.money
        del lost.money[intent]
        order.payment = "expired"
        self.buy(order, self.world.checkouts[self.world.page_of(intent)])
        for dispute_id, status in lost.disputes.items():
            order.disputes[dispute_id] = status
            order.worry("dispute", dispute_id)
        for kind, cause in sorted(lost.worries, key=str):
            if kind == "fraud_warning":
                order.worry(kind, cause)

    def end(self, order: ModelOrder, state: str = "expired") -> None:
        """The known pages are closed at the provider, who decides; then the copies go."""
        for page in [each for each in order.pages if each.state == "open"]:
            assert self.world.checkouts[page.page_id].status != "open", "the provider has not closed the page"
            self.look(page.page_id, lapsing=False)
        if order.payment == "awaiting" and not order.disagrees and not order.lives:
            self.let_go(order, state)

    def sweep(self) -> None:
        now = self.world.now
        waiting = [order for order in self.orders.values() if order.payment == "awaiting"]
        for order in waiting:
            if any(page.state == "open" and page.expires_at <= now for page in order.pages):
                self.end(order)
        unanswered = [
            (order, page)
            for order in self.orders.values()
            for page in order.pages
            if page.state == "new" and page.expires_at <= now - MARGIN
        ]
        since = min((page.asked_at for _, page in unanswered), default=now) - MARGIN
        if unanswered:
            for page_id, facts in list(self.world.checkouts.items()):
                if facts.created >= since:
                    self.look(page_id)
        for order, page in unanswered:
            page.state = "closed" if page.state == "new" else page.state
            self.end(order)
        for order in self.orders.values():
            old = order.placed_at <= now - LIFE
            if order.payment == "awaiting" and old and all(page.state == "closed" for page in order.pages):
                self.end(order)

    # Money that goes back

    def of(self, intent: str) -> ModelOrder:
        return next(each for each in [*self.orders.values(), *self.lost.values()] if intent in each.money)

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

    def ask(
        self,
        intent: str,
        amount: int,
        copies: dict[int, int] | None = None,
        repeats: GivenBack | None = None,
    ) -> None:
        """A refund is decided. One of all that is left of a posted order is about every copy that was posted."""
        order = self.of(intent)
        rest = amount == self.refundable(intent)
        asked = GivenBack(intent, amount, self.world.now)
        asked.copies = {position: number for position, number in (copies or {}).items() if number}
        asked.posted = order.fulfilment == "posted"
        if repeats is not None:
            repeats.repeated = True
            asked.copies, repeats.copies = repeats.copies, {}
            asked.returned = repeats.returned
            asked.posted = repeats.posted or (asked.posted and not repeats.returned)
        if order.paid_by == intent and not asked.copies and rest and order.fulfilment == "posted":
            asked.copies, asked.posted, asked.returned = self.posted_copies_left(order), True, False
        self.given_back.append(asked)

    def posted_copies_left(self, order: ModelOrder) -> dict[int, int]:
        return {position: number for position, number in self.copies_left(order).items() if number}

    def may_repeat(self, row: GivenBack) -> bool:
        """Once, when it failed, and when nobody else was given back its copies meanwhile."""
        left = self.copies_left(self.of(row.intent))
        free = row.returned or all(number <= left[position] for position, number in row.copies.items())
        return row.state == "failed" and not row.repeated and free and self.may_ask(row.intent, row.amount)

    def refunding(self, order: ModelOrder) -> bool:
        """All that is left, or copies that wait to be posted, are about to be given back."""
        owed = [each for each in self.given_back if each.intent == order.paid_by and each.state == "owed"]
        whole = bool(owed) and self.refundable(order.paid_by) <= 0
        return whole or any(each.copies and not each.posted and not each.returned for each in owed)

    def due(self) -> list[GivenBack]:
        return [each for each in self.given_back if each.state == "owed" and each.due <= self.world.now]

    def unanswered(self, row: GivenBack) -> None:
        """The provider gave no usable answer: he is told again after a minute, then each time after twice as long."""
        row.tries += 1
        row.due = self.world.now + min(timedelta(seconds=30) * 2 ** min(row.tries, 10), LONGEST_WAIT)

    def perform(self, row: GivenBack) -> None:
        """The provider was told of a refund, and his list says what has become of it."""
        row.tries += 1
        self.look_at_refunds(row.intent)
        if row.state != "owed":
            return
        assert self.key_of(row) in self.world.refused, "a refund was decided, and the provider does not know of it"
        row.state = "failed"
        if self.refundable(row.intent) > 0 and not self.of(row.intent).lost:
            self.of(row.intent).worry("refund_failed", row)

    def perform_due(self) -> None:
        for row in self.due():
            if row.state == "owed":
                self.perform(row)

    def look_at_refunds(self, intent: str) -> None:
        order = self.of(intent)
        pays = order.paid_by == intent
        listed = [each for each in self.world.refunds.values() if each.intent_id == intent]
        for facts in sorted(listed, key=lambda each: (each.created, each.provider_id)):
            known = [each for each in self.given_back if each.intent == intent]
            row = next((each for each in known if each.provider_id == facts.provider_id), None)
            key = facts.metadata.get("refund")
            row = row or next((each for each in known if not each.provider_id and self.key_of(each) == key), None)
            if row is None:
                row = GivenBack(intent, facts.amount, self.world.now, source="dashboard")
                self.given_back.append(row)
            self.bring(order, row, facts, pays)
        if pays:
            self.reckon(order, intent)

    def bring(self, order: ModelOrder, row: GivenBack, facts: RefundFacts, pays: bool) -> None:
        before, row.provider_id = row.state, facts.provider_id
        row.state = STATES.get(facts.status, facts.status)
        if row.state in COMING and before not in COMING and pays:
            if not row.told:
                row.told = True
                order.letters["refunded"] += 1
            self.call_off(order, row)
        elif row.state in GONE and before not in GONE and not order.lost:
            if pays and before not in COMING:  # it ends as if its money had been seen under way
                self.call_off(order, row)
                if order.fulfilment == "to_post" and row.amount == self.refundable(row.intent):
                    order.call_off()
            order.worry("refund_failed", row)
            if before in COMING:
                order.letters["refund_failed"] += 1

    def call_off(self, order: ModelOrder, row: GivenBack) -> None:
        """Copies that wait to be posted go back to sale with their money, once."""
        if row.copies and not row.posted and not row.returned and order.fulfilment == "to_post":
            row.returned = True
            for position, number in row.copies.items():
                order.lines[position].called_off += number
            if not order.copies:
                order.call_off()

    def reckon(self, order: ModelOrder, intent: str) -> None:
        rows = [each for each in self.given_back if each.intent == intent]
        back = sum(each.amount for each in rows if each.state in COMING)
        was, whole = order.payment, back >= order.money[intent][1]
        order.payment = "refunded" if whole else "part_refunded" if back else "paid"
        if whole and was != "refunded":
            if order.fulfilment == "to_post":
                order.call_off()
            elif order.fulfilment == "posted" and rows[-1].source == "dashboard" and not rows[-1].copies:
                rows[-1].copies, rows[-1].posted = self.posted_copies_left(order), True

    def may_put_back(self, row: GivenBack) -> bool:
        left = self.copies_left(self.of(row.intent))
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
            intent = self.world.intent_of(thing)
        elif kind.startswith("refund."):
            intent = self.world.refunds[thing].intent_id
        else:
            intent = self.world.intent_of(self.world.warnings[thing])
        if not self.knows(intent):
            self.look(self.world.page_of(intent))
        if kind.startswith("charge.dispute"):
            self.look_at_dispute(self.world.disputes[thing])
        elif kind.startswith("radar"):
            self.of(intent).worry("fraud_warning", thing)
        else:
            self.look_at_refunds(intent)

    def reconcile(self) -> None:
        """Everything is looked at, with no event at all, and what is owed goes back; then what was not delivered."""
        for order in list(self.orders.values()):
            for page in list(order.pages):
                if page.state in ("open", "complete"):
                    self.look(page.page_id)
        for page_id, facts in list(self.world.checkouts.items()):
            page = next((each for each in self.order_of(page_id).pages if each.page_id == page_id), None)
            if not (facts.paid and self.knows(facts.intent_id)) and not (page and page.state == "closed"):
                self.look(page_id)
        self.perform_due()
        for intent in dict.fromkeys(each.intent_id for each in self.world.refunds.values()):
            self.look_at_refunds(intent)
        for dispute in self.world.disputes.values():
            self.look_at_dispute(dispute)
        for warning_id, charge_id in self.world.warnings.items():
            if self.knows(intent := self.world.intent_of(charge_id)):
                self.of(intent).worry("fraud_warning", warning_id)
        self.sweep()
        for event_id in self.world.undelivered:
            event = self.world.events[event_id]
            self.hear(event.type, event.object_id)
        self.perform_due()
