"""An order's two lives, held against a small model of what is promised: whatever buyers, the desk, banks and the
provider do, in any order, with any message lost, late or repeated, the shop is as the model says after every step."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue.models import Edition
from shop.database import Base, transact
from shop.errors import GatewayError, GatewayRefused, GatewayUnavailable, OutOfStock, WrongState
from shop.letters.models import Letter
from shop.orders import counting, fulfilment, placing, timeline
from shop.orders.models import Buyer, Concern, Order, OrderLine, Shipment, ShipmentLine, TimelineEntry
from shop.orders.numbers import new_number
from shop.orders.terms import OrderTerm
from shop.payments import (
    checkouts,
    copies,
    inbox,
    orphans,
    reconciliation,
    refund_calls,
    refunds,
    repetition,
    settling,
)
from shop.payments.gateway import Address
from shop.payments.ledger import LedgerEntry
from shop.payments.models import (
    CheckoutAttempt,
    Dispute,
    InboxEvent,
    InboxState,
    Payment,
    Refund,
    RefundLine,
)
from shop.payments.orphans import NotRebuildable
from shop.stock import Movement, Stock, StockMovement
from tests.conftest import engine_of
from tests.factories import abroad, make_admin, make_order, stock_the_shop
from tests.fake_gateway import LONDON
from tests.order_model import (
    GONE,
    LIFE,
    MARGIN,
    OVER,
    PATIENCE,
    SHORTEST,
    WAITING,
    Copies,
    GivenBack,
    Model,
    ModelOrder,
    Page,
)
from tests.order_scenes import SCENES
from tests.order_world import FAULTS, Event, World
from tests.till import differences

SHOP = "http://localhost"
ADMIN = timeline.admin("Vera Keeper")
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATEST = START + timedelta(days=20)
SHELF = {"paperback": 4, "russian": 3}
NO_ANSWER = st.sampled_from(["", "", "", "before", "after"])
MANY = st.integers(0, 11)
BELFAST = {"address": Address("Ada Reader", "1 Long Lane", "", "Belfast", "", "BT1 5GS", "GB")}
PAID = ("paid", "part_refunded", "refunded")
LIVES = (Stock, StockMovement, Order, OrderLine, Buyer, Shipment, Concern, TimelineEntry, CheckoutAttempt, Payment)
LIVES += (Refund, RefundLine, Dispute, InboxEvent, LedgerEntry, Letter, ShipmentLine, OrderTerm)
"""What each example begins without; the catalogue and the people stay."""


class TwoLives(RuleBasedStateMachine):
    """Orders, their copies and their money, in a shop and in the model of it."""

    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.world = World(START)
        self.told: list[Event] = []
        self.session = Session(engine_of(self.app))
        transact(self.session, self.clear)
        self.editions = dict(iter(self.session.execute(select(Edition.slug, Edition.id))))
        for slug, number in SHELF.items():
            transact(self.session, stock.count, self.editions[slug], number, "", "system", START)
        self.steps = 0
        self.model = Model(self.world, SHELF, self.key_of)
        self.ids: dict[str, int] = {}
        self.forms: dict[str, dict[str, object]] = {}

    @property
    def now(self) -> datetime:
        return self.world.now

    @staticmethod
    def clear(session: Session) -> None:
        tables = {model.__table__ for model in LIVES}
        for table in reversed(Base.metadata.sorted_tables):
            if table in tables:
                session.execute(delete(table))

    def teardown(self) -> None:
        try:
            if self.ids:
                self.finish()
        finally:
            self.session.close()

    # What is there to choose from

    def order(self, choice: int, among: list[ModelOrder] | None = None) -> ModelOrder:
        orders = among or list(self.model.orders.values())
        return orders[choice % len(orders)]

    def among(self, *payments: str) -> list[ModelOrder]:
        return [order for order in self.model.orders.values() if order.payment in payments]

    # Buyers

    @initialize(
        paperback=st.integers(0, 2),
        russian=st.integers(0, 1),
        market=st.sampled_from(["en-gb", "ru-us"]),
        scene=st.sampled_from(SCENES),
    )
    def begin(self, paperback: int, russian: int, market: str, scene: Callable[[TwoLives], None]) -> None:
        self.place(paperback, russian or int(not paperback), market)
        scene(self)

    @precondition(lambda self: len(self.ids) < 3)
    @rule(paperback=st.integers(0, 2), russian=st.integers(0, 2), market=st.sampled_from(["en-gb", "ru-us"]))
    def place(self, paperback: int, russian: int, market: str) -> None:
        wanted = {slug: number for slug, number in (("paperback", paperback), ("russian", russian)) if number}
        if not wanted:
            return
        self.world.tick()
        enough = all(self.model.available(slug) >= number for slug, number in wanted.items())
        form = {"market": market, "attempt": secrets.token_hex(8), **wanted}
        try:
            order = make_order(self.session, now=self.now, **form)
        except OutOfStock:
            assert not enough
            return
        assert enough
        self.ids[order.number] = order.id
        self.forms[order.number] = form
        self.model.orders[order.number] = ModelOrder(
            number=order.number,
            lines={line.position: Copies(line.slug, line.quantity, line.unit_amount) for line in order.lines},
            postage=order.postage_amount,
            country=order.country,
            placed_at=self.now,
        )
        assert order.total.amount == self.model.orders[order.number].total

    def click_twice(self, order: ModelOrder) -> None:
        """The same form again is the same order, until that is over."""
        if order.number in self.forms and order.payment not in OVER:
            again = make_order(self.session, now=self.now, **self.forms[order.number])
            assert again.number == order.number

    @rule(choice=MANY, fault=st.sampled_from(["", "", "", *FAULTS]))
    def open_page(self, choice: int, fault: str) -> None:
        order = self.order(choice)
        self.world.tick()
        self.click_twice(order)
        self.world.fail(fault)
        try:
            url = checkouts.pay_page(self.session, self.world, self.ids[order.number], SHOP, self.now)
        except (WrongState, GatewayError) as error:
            url = type(error).__name__
        assert url == self.expected_page(order, self.world.failed())

    def expected_page(self, order: ModelOrder, fault: str) -> str:
        """What the buyer is led to: a page that is open, or why there is none."""
        refused = fault in ("refused", "behind")
        while True:
            if order.payment != "awaiting" or order.attention:
                return "WrongState"
            if not order.pages or order.pages[-1].state == "closed":
                order.pages.append(Page((self.now + LIFE).replace(microsecond=0), self.now))
            page = order.pages[-1]
            if page.state == "open" and page.expires_at > self.now:
                return f"https://pay.example/{page.page_id}"
            if page.state != "new":
                if fault:
                    return "GatewayRefused" if refused else "GatewayUnavailable"
                self.model.look(page.page_id)
                continue
            if refused and page.expires_at - self.now >= SHORTEST:
                page.state = "closed"
                if fault == "behind" and len(order.pages) < PATIENCE:
                    return "GatewayUnavailable"
                self.model.let_go(order, "expired")
                order.worry("checkout_refused", len(order.pages))
                return "GatewayRefused"
            if fault in ("spent", "spent after"):  # the key leads nowhere: the page may be in the list
                for page_id, facts in self.world.checkouts.items():
                    if facts.reference == order.number and facts.created >= page.asked_at - MARGIN:
                        self.model.look(page_id)
                page.state = "closed" if page.state == "new" else page.state
                usable = page.state == "open" and order.payment == "awaiting"
                return f"https://pay.example/{page.page_id}" if usable else "GatewayUnavailable"
            if fault and not refused:
                return "GatewayUnavailable"
            there = self.page_of(page, order)
            if not there or refused:  # the provider has refused a page that would live too short
                page.state, fault, refused = "closed", "", False
                continue
            page.page_id, page.state = there, "open"
            if page.expires_at > self.now:
                return f"https://pay.example/{there}"

    def page_of(self, page: Page, order: ModelOrder) -> str:
        """The provider's page that was opened for this attempt."""
        known = {each.page_id for each in order.pages}
        for page_id, facts in self.world.checkouts.items():
            same = facts.reference == order.number and facts.expires_at == page.expires_at
            if same and page_id not in known and "twin" not in facts.metadata:
                return page_id
        return ""

    @precondition(lambda self: self.world.pages("open") or self.among("awaiting"))
    @rule(
        choice=MANY,
        how=st.sampled_from(["paid", "paid", "paid", "delayed", "failed"]),
        where=st.sampled_from(["home", "home", "home", "abroad", "Belfast"]),
        more=st.sampled_from([0, 0, 0, 0, 1]),
        heard=st.booleans(),
    )
    def pay(self, choice: int, how: str, where: str, more: int, heard: bool) -> None:
        if not self.world.pages("open"):
            self.open_page(choice, "")
        pages = self.world.pages("open")
        if not pages:
            return
        page = self.world.checkouts[pages[choice % len(pages)]]
        country = self.model.order_of(page.checkout_id).country
        home = {"address": LONDON} if country == "GB" else {"address": abroad(country)}
        address = {"home": home, "abroad": {"address": abroad("CH")}, "Belfast": BELFAST}[where]
        sums = {"books": page.books + 100, "total": page.total + 100} if more else {}
        self.world.pay(page.checkout_id, paid=how == "paid", failed=how == "failed", **{**address, **sums})  # type: ignore[arg-type]
        self.tell(heard)

    @precondition(lambda self: self.world.delayed())
    @rule(choice=MANY, comes=st.booleans(), heard=st.booleans())
    def delayed_money(self, choice: int, comes: bool, heard: bool) -> None:
        waiting = self.world.delayed()
        page = self.world.checkouts[waiting[choice % len(waiting)]]
        self.world.pay(page.checkout_id, failed=not comes, address=page.address)
        self.tell(heard)

    @rule(
        choice=MANY,
        lost=st.booleans(),
        then=st.sampled_from(["left", "paid", "paid", "closed"]),
        heard=st.booleans(),
    )
    def open_twin(self, choice: int, lost: bool, then: str, heard: bool) -> None:
        """A page that the shop has forgotten (a restored backup): of an order that it knows, which brings second and
        late money, or of one that is ``lost`` as well."""
        order = self.order(choice)
        same = [parameters for key, (parameters, _) in self.world._by_key.items() if f":{order.number}:" in key]
        if not same or len(self.world.checkouts) >= 7 or (lost and len(self.model.lost) == 2):
            return
        self.world.tick()
        asked = same[0]
        mark = asked["metadata"] | ({"order": new_number()} if lost else {"twin": "yes"})
        asked = asked | {"expires_at": str(self.now + LIFE), "metadata": mark, "number": mark["order"]}
        page = self.world.open_checkout(f"twin {len(self.world.checkouts)}", asked)
        if lost:
            lines = {
                position: Copies(line.slug, line.quantity, line.unit) for position, line in order.lines.items()
            }
            forgotten = ModelOrder(mark["order"], lines, order.postage, order.country, self.now, lost=True)
            self.model.lost[forgotten.number] = forgotten
        if then == "paid":
            address = {} if order.country == "GB" else {"address": abroad(order.country)}
            self.world.pay(page.checkout_id, **address)
        elif then == "closed":
            self.world.close_checkout(page.checkout_id)
        self.tell(heard)

    @precondition(lambda self: any(order.money for order in self.model.lost.values()))
    @rule(choice=MANY, fault=st.sampled_from(["", "", "before", "after"]))
    def rebuild(self, choice: int, fault: str) -> None:
        """The order of money that came without one is written anew."""
        lost = self.order(choice, [each for each in self.model.lost.values() if each.money])
        (intent,) = lost.money
        allowed = self.model.may_rebuild(intent)
        payment = self.payment_of(intent).id
        self.world.tick()
        self.world.fail(fault)
        try:
            order = orphans.rebuild(self.session, self.world, payment, ADMIN, self.now)
        except GatewayUnavailable:
            assert self.world.failed()
            return
        except NotRebuildable:  # some of it has gone back
            self.world.failed()
            assert not allowed
            return
        assert not self.world.failed()
        assert allowed
        self.ids[order.number] = order.id
        self.model.rebuild(lost)

    @precondition(lambda self: self.among("awaiting"))
    @rule(choice=MANY, fault=NO_ANSWER)
    def cancel(self, choice: int, fault: str) -> None:
        order = self.order(choice, self.among("awaiting"))
        self.world.tick()
        self.world.fail(fault)
        try:
            checkouts.cancel(self.session, self.world, self.ids[order.number], timeline.BUYER, self.now)
        except GatewayUnavailable:
            assert self.world.failed()
            return
        assert not self.world.failed()
        if order.pages and (last := order.pages[-1]).state == "new":
            last.page_id = self.page_of(last, order)
            last.state = "open" if last.page_id else "closed"
        self.model.end(order, "cancelled")

    @precondition(lambda self: self.among(*WAITING))
    @rule(choice=MANY, fault=NO_ANSWER)
    def come_back(self, choice: int, fault: str) -> None:
        """The buyer opens the order page."""
        order = self.order(choice, self.among(*WAITING))
        self.world.tick()
        self.world.fail(fault)
        answered = settling.refresh(self.session, self.world, self.ids[order.number], self.now)
        failed = self.world.failed()
        assert answered is not failed
        if not failed and order.payment in WAITING:
            for page_id in [each.page_id for each in order.pages if each.state in ("open", "complete")]:
                self.model.look(page_id)

    # Time, messages, and the worker

    def tell(self, heard: bool) -> None:
        """Something has just happened at the provider; its messages come at once, or lie there."""
        before = len(self.world.pending)
        self.world.overhear()
        if heard:
            for event in self.world.pending[before:]:
                self.hear(event, "")

    @rule(
        by=st.sampled_from([{"minutes": 10}, {"minutes": 20}, {"minutes": 46}, {"hours": 3}, {"days": 1}]),
        swept=st.booleans(),
    )
    def time_goes_by(self, by: dict[str, int], swept: bool) -> None:
        if self.now < LATEST:
            self.world.tick(**by)
        if swept and not self.contended():
            checkouts.sweep(self.session, self.world, self.now)
            self.model.sweep()

    @precondition(lambda self: self.world.pending)
    @rule(choice=MANY, how=st.sampled_from(["", "", "before", "after", "dropped", "all"]))
    def deliver(self, choice: int, how: str) -> None:
        event = self.world.pending[choice % len(self.world.pending)]
        if how == "all":
            for each in list(self.world.pending):
                self.hear(each, "")
        elif how == "dropped":
            self.world.pending.remove(event)
            self.world.undelivered.append(event[0])
        else:
            self.hear(event, how)

    @precondition(lambda self: self.told)
    @rule(choice=MANY, again=st.booleans())
    def repeat(self, choice: int, again: bool) -> None:
        """A message comes twice; or somebody has it worked ``again``: its thing is looked up as it is now."""
        event_id, kind, thing = event = self.told[choice % len(self.told)]
        if again:
            self.world.tick()
            inbox.replay(self.session, self.world, event_id, self.now)
            self.model.hear(kind, thing)
        else:
            self.hear(event, "")

    def hear(self, event: Event, fault: str) -> None:
        self.world.tick()
        event_id, kind, thing = event
        new = event in self.world.pending
        transact(self.session, inbox.keep, self.world.events[event_id], self.now)
        self.world.fail(fault)
        try:
            inbox.work(self.session, self.world, event_id, self.now)
        except GatewayUnavailable:
            assert self.world.failed()
            return
        assert not self.world.failed()
        if new:
            self.world.pending.remove(event)
            self.told.append(event)
            self.model.hear(kind, thing)

    def contended(self) -> bool:
        """Whether the copies do not suffice for all late money, so that it matters which is heard of first."""
        wanted: Counter[str] = Counter()
        for page in self.world.checkouts.values():
            order = self.model.order_of(page.checkout_id)
            if page.paid and not order.lost and not self.model.knows(page.intent_id) and not order.paid_by:
                wanted.update(order.copies)
        return any(self.model.available(slug) < number for slug, number in wanted.items())

    @precondition(lambda self: self.world.pending or self.world.undelivered)
    @rule(breaks=st.one_of(st.none(), st.none(), st.integers(0, 25)))
    def reconcile(self, breaks: int | None = None) -> None:
        """Everything is looked up; if one question is left open, at the next run."""
        self.world.tick()
        if self.contended():
            return
        if breaks is not None:
            self.world.before.extend([None] * breaks + [GatewayUnavailable("no answer")])
        try:
            reconciliation.run(self.session, self.world, self.now)
        except GatewayUnavailable:
            assert breaks is not None
            self.world.before.clear()
            self.world.tick(hours=2)  # whatever waits for another try is due
            reconciliation.run(self.session, self.world, self.now)
        self.world.before.clear()
        self.model.reconcile()
        for event_id in self.world.undelivered:
            event = self.world.events[event_id]
            self.told.append((event_id, event.type, event.object_id))
        self.world.undelivered.clear()

    # The desk

    def id_of(self, row: GivenBack) -> int:
        """The row of a refund: both stand in the same order for each payment."""
        place = [each for each in self.model.given_back if each.intent == row.intent].index(row)
        same = select(Refund.id).join(Payment).where(Payment.intent_id == row.intent).order_by(Refund.id)
        return self.session.scalars(same).all()[place]

    def key_of(self, row: GivenBack) -> str:
        return self.session.get_one(Refund, self.id_of(row)).key

    def payment_of(self, intent: str) -> Payment:
        return self.session.scalars(select(Payment).where(Payment.intent_id == intent)).one()

    def known(self) -> list[str]:
        orders = [*self.model.orders.values(), *self.model.lost.values()]
        return [intent for order in orders for intent in order.money]

    @precondition(lambda self: self.known())
    @rule(
        choice=MANY,
        amount=st.one_of(st.integers(1, 3000), st.just(0)),
        over=st.sampled_from([0, 0, 0, 1]),
        at_once=st.booleans(),
    )
    def ask_refund_of_a_sum(self, choice: int, amount: int, over: int, at_once: bool) -> None:
        """Part of a payment; with nothing, all that is left of it, or a penny more."""
        intent = self.known()[choice % len(self.known())]
        amount = amount or self.model.refundable(intent) + over
        allowed = self.model.may_ask(intent, amount)
        self.world.tick()
        try:
            transact(self.session, refunds.ask, self.payment_of(intent).id, amount, "", ADMIN, self.now)
        except WrongState:
            assert not allowed
            return
        assert allowed
        self.model.ask(intent, amount)
        self.made(at_once)

    @precondition(lambda self: self.among(*PAID))
    @rule(choice=MANY, first=st.integers(0, 2), second=st.integers(0, 2), at_once=st.booleans())
    def ask_refund_of_copies(self, choice: int, first: int, second: int, at_once: bool) -> None:
        order = self.order(choice, self.among(*PAID))
        wanted = {position: (first, second)[position - 1] for position in order.lines}
        price = self.model.price(order, wanted)
        allowed = price is not None and self.model.may_ask(order.paid_by, price)
        payment = self.payment_of(order.paid_by).id
        self.world.tick()
        try:
            asked = transact(self.session, refunds.ask_copies, payment, wanted, "", ADMIN, self.now)
        except WrongState:
            assert not allowed
            return
        assert allowed
        assert asked.amount == price
        self.model.ask(order.paid_by, price or 0, wanted)
        self.made(at_once)

    @precondition(lambda self: any(row.state in GONE for row in self.model.given_back))
    @rule(choice=MANY, at_once=st.booleans())
    def ask_again(self, choice: int, at_once: bool) -> None:
        """A refund that failed is asked for once more."""
        gone = [row for row in self.model.given_back if row.state in GONE]
        row = gone[choice % len(gone)]
        allowed = self.model.may_repeat(row)
        refund_id = self.id_of(row)
        self.world.tick()
        try:
            transact(self.session, repetition.again, refund_id, ADMIN, self.now)
        except WrongState:
            assert not allowed
            return
        assert allowed
        self.model.ask(row.intent, row.amount, repeats=row)
        self.made(at_once)

    def made(self, at_once: bool) -> None:
        """The refund that was decided just now is made, or waits for the worker."""
        if at_once:
            self.perform(self.model.given_back[-1], "", "succeeded")

    @precondition(lambda self: any(row.state == "owed" for row in self.model.given_back))
    @rule(
        choice=MANY,
        fault=st.sampled_from(["", "", "", "before", "after", "unknown"]),
        status=st.sampled_from(["succeeded", "succeeded", "pending"]),
    )
    def perform_refund(self, choice: int, fault: str, status: str) -> None:
        """The provider is told of a refund that is due; one whose payment he does not know waits as well."""
        self.world.tick()
        due = self.model.due()
        assert refund_calls.due(self.session, self.now) == sorted(self.id_of(row) for row in due)
        if not due:
            return
        self.perform(due[choice % len(due)], fault, status)

    def perform(self, row: GivenBack, fault: str, status: str) -> None:
        refund_id = self.id_of(row)
        self.session.rollback()
        if fault == "unknown":
            self.world.before.extend([GatewayRefused("resource_missing", "no such payment")] * 2)
        else:
            self.world.fail(fault)
        self.world.refund_status = status
        try:
            refund_calls.perform(self.session, self.world, refund_id, self.now)
        except GatewayUnavailable:
            assert self.world.failed()
            self.model.unanswered(row)
        except GatewayRefused:
            assert fault == "unknown"
            self.model.unanswered(row)
        else:
            assert fault != "unknown"
            assert not self.world.failed()
            self.model.perform(row)
        finally:
            self.world.refund_status = "succeeded"

    @precondition(lambda self: any(order.attention for order in self.model.orders.values()))
    @rule(choice=MANY, every=st.booleans())
    def settle_worries(self, choice: int, every: bool) -> None:
        """A person has looked at what an order waited for."""
        order = self.order(choice, [each for each in self.model.orders.values() if each.attention])
        settled = list(order.open) if every else [order.open[choice % len(order.open)]]
        written = [self.written(each) for each in settled]
        order.open = [each for each in order.open if each not in settled]
        self.session.rollback()

        def work(s: Session) -> None:
            locked = placing.locked(s, self.ids[order.number])
            for concern in locked.concerns:
                if (concern.worry.value, concern.cause) in written:
                    timeline.settle_worry(s, locked, concern, ADMIN, self.now)

        transact(self.session, work)

    @precondition(lambda self: self.among(*PAID))
    @rule(choice=MANY)
    def post(self, choice: int) -> None:
        order = self.order(choice, self.among(*PAID))
        allowed, there = self.model.may_post(order), self.model.on_shelf(order)
        self.world.tick()
        try:
            transact(self.session, fulfilment.post, self.ids[order.number], "", "", ADMIN, self.now)
        except WrongState:
            assert not allowed
        except OutOfStock:
            assert allowed
            assert not there
        else:
            assert allowed
            assert there
            self.model.post(order)

    @precondition(lambda self: any(row.copies for row in self.model.given_back))
    @rule(choice=MANY)
    def put_copies_back(self, choice: int) -> None:
        about = [row for row in self.model.given_back if row.copies]
        row = about[choice % len(about)]
        refund_id = self.id_of(row)
        allowed = self.model.may_put_back(row)
        self.world.tick()
        try:
            transact(self.session, copies.put_back, refund_id, ADMIN, self.now)
        except WrongState:
            assert not allowed
        else:
            assert allowed
            self.model.put_back(row)

    @rule(slug=st.sampled_from(sorted(SHELF)), change=st.integers(-2, 2))
    def count_the_shelf(self, slug: str, change: int) -> None:
        counted = max(0, self.model.shelf[slug] + change)
        self.world.tick()
        edition = self.editions[slug]
        transact(self.session, counting.count, edition, counted, "counted", ADMIN, self.now)
        self.model.count(slug, counted)

    # Behind the shop's back

    @precondition(lambda self: self.world.paid())
    @rule(
        choice=MANY,
        amount=st.one_of(st.integers(1, 3000), st.just(0)),
        status=st.sampled_from(["succeeded", "pending"]),
        heard=st.booleans(),
    )
    def refund_in_the_dashboard(self, choice: int, amount: int, status: str, heard: bool) -> None:
        intent = self.world.paid()[choice % len(self.world.paid())]
        amount = amount or self.world.left(intent)
        if 0 < amount <= self.world.left(intent) and not self.world.disputed(intent):
            self.world.refund_status = status
            self.world.refund_in_dashboard(intent, amount)
            self.world.refund_status = "succeeded"
            self.tell(heard)

    @precondition(lambda self: self.world.refunds)
    @rule(choice=MANY, status=st.sampled_from(["succeeded", "failed", "failed", "canceled"]), heard=st.booleans())
    def a_refund_goes_on(self, choice: int, status: str, heard: bool) -> None:
        """A pending one succeeds, fails or is called off; one that has succeeded may still fail."""
        refund = list(self.world.refunds.values())[choice % len(self.world.refunds)]
        if refund.status == "pending" or (refund.status, status) == ("succeeded", "failed"):
            self.world.bring_refund(refund.provider_id, status)
            self.tell(heard)

    @precondition(lambda self: self.world.paid())
    @rule(
        choice=MANY,
        status=st.sampled_from(["needs_response", "warning_needs_response", "under_review", "won", "lost"]),
        heard=st.booleans(),
    )
    def dispute(self, choice: int, status: str, heard: bool) -> None:
        """A buyer's bank asks, or decides; even what it has decided may be appealed."""
        intent = self.world.paid()[choice % len(self.world.paid())]
        known = next((each for each in self.world.disputes.values() if each.intent_id == intent), None)
        if known is None:
            asks = status if status == "warning_needs_response" else "needs_response"
            self.world.dispute(self.world.checkouts[self.world.page_of(intent)], asks)
        elif known.status == "warning_needs_response":
            self.world.close_dispute(known.provider_id, "warning_closed")
        elif known.status in ("needs_response", "under_review", "lost") and status != "warning_needs_response":
            self.world.close_dispute(known.provider_id, status)
        self.tell(heard)

    @precondition(lambda self: self.world.paid())
    @rule(choice=MANY, heard=st.booleans())
    def warn_of_fraud(self, choice: int, heard: bool) -> None:
        intent = self.world.paid()[choice % len(self.world.paid())]
        charge = self.world.checkouts[self.world.page_of(intent)].charge_id
        if charge not in self.world.warnings.values():
            self.world.warnings[f"issfr_{charge}"] = charge
            self.tell(heard)

    # What always holds

    @invariant()
    def shop_and_model_agree(self) -> None:
        self.world.overhear()
        if not self.ids:
            return
        self.session.rollback()
        self.session.expire_all()
        counters = select(Stock.edition_id, Stock.on_hand, Stock.held, Stock.allocated)
        assert {edition: each for edition, *each in self.session.execute(counters)} == {
            self.editions[slug]: [
                on_hand,
                self.model.promised(slug, held=True),
                self.model.promised(slug, held=False),
            ]
            for slug, on_hand in self.model.shelf.items()
        }
        self.compare_orders()
        self.compare_what_hangs_on_orders()
        self.compare_refunds()
        self.steps += 1
        if self.steps % 10 == 0:
            assert differences(self.session) == []

    def compare_orders(self) -> None:
        for row in self.session.scalars(select(Order)):
            order = self.model.orders[row.number]
            assert (row.payment_state, row.fulfilment_state) == (order.payment, order.fulfilment)
            assert (row.holding, row.allocated) == (order.held, order.allocated)
            assert (row.needs_attention, row.disputed) == (order.attention, order.disputed)
            assert row.refunding is self.model.refunding(order)
            assert row.may_be_posted is self.model.may_post(order)

    def compare_what_hangs_on_orders(self) -> None:
        """Worries, money and letters; what belongs to no order as well."""
        names = {self.ids[number]: number for number in self.model.orders}
        worries = select(Concern.order_id, Concern.worry, Concern.cause, Concern.settled_at.is_(None))
        assert {(names[each], *rest) for each, *rest in self.session.execute(worries)} == {
            (number, *self.written(each), each in order.open)
            for number, order in self.model.orders.items()
            for each in order.worries
        }
        came = select(Payment.order_id, Payment.intent_id, Payment.role, Payment.amount)
        money = [
            (name, intent, *each)
            for name, order in [*self.model.orders.items(), *((None, lost) for lost in self.model.lost.values())]
            for intent, each in order.money.items()
        ]
        assert Counter((names.get(each), *rest) for each, *rest in self.session.execute(came)) == Counter(money)
        assert all(
            sum(role == "order" for role, _ in each.money.values()) <= 1 for each in self.model.orders.values()
        )
        owed: Counter[tuple[str | None, str]] = Counter()
        for order_id, kind in self.session.execute(select(Letter.order_id, Letter.kind)):
            owed[names.get(order_id), kind.value] += 1
        for number, order in self.model.orders.items():
            for kind, times in (order.letters + order.desk).items():
                owed[number, kind] -= times
        owed[None, "attention"] -= sum(order.desk.total() for order in self.model.lost.values())
        assert not any(owed.values()), owed

    def compare_refunds(self) -> None:
        """The shop's rows are those of the model, and the provider has been told of each once and rightly."""
        columns = (Payment.intent_id, Refund.amount, Refund.state, Refund.next_try_at, Refund.id, Refund.key)
        rows = {key: each for *each, key in self.session.execute(select(*columns).join(Payment))}
        lines: dict[int, list[tuple[int, int, bool, bool]]] = {}
        for line in self.session.scalars(select(RefundLine).order_by(RefundLine.position)):
            about = line.position, line.quantity, line.posted, line.returned_at is not None
            lines.setdefault(line.refund_id, []).append(about)
        given = Counter(
            (
                row.intent,
                row.amount,
                row.state,
                row.due if row.state == "owed" else None,
                tuple((each, number, row.posted, row.returned) for each, number in sorted(row.copies.items())),
            )
            for row in self.model.given_back
        )
        stands = Counter(
            (intent, amount, state.value, due if state.value == "owed" else None, tuple(lines.get(row_id, ())))
            for intent, amount, state, due, row_id in rows.values()
        )
        assert stands == given
        asked = [each for each in self.world.refunds.values() if "refund" in each.metadata]
        assert len(asked) == len({each.metadata["refund"] for each in asked})
        for each in asked:
            assert [each.intent_id, each.amount] == rows[each.metadata["refund"]][:2]
        for intent in self.world.paid():
            assert self.world.left(intent) >= 0

    def written(self, worry: tuple[str, object]) -> tuple[str, str]:
        """A worry of the model as the shop writes it down."""
        kind, cause = worry
        if isinstance(cause, GivenBack):
            cause = f"refund:{self.id_of(cause)}"
        elif kind == "address_refused":
            cause = self.payment_of(str(cause)).id
        elif kind == "copies_missing":
            counts = select(StockMovement.id).where(StockMovement.kind == Movement.COUNT)
            later = self.session.scalars(counts.order_by(StockMovement.id)).all()[len(SHELF) :]
            cause = f"count:{later[int(str(cause)) - 1]}"
        elif kind == "checkout_refused":
            attempts = select(CheckoutAttempt.key).where(CheckoutAttempt.number == cause)
            order = next(each for each in self.model.orders.values() if worry in each.worries)
            cause = self.session.scalars(attempts.where(CheckoutAttempt.order_id == self.ids[order.number])).one()
        return kind, str(cause)

    def finish(self) -> None:
        """In the end everything is looked at, without one more message, and all messages then bring nothing new."""
        if self.contended():
            return
        self.world.tick(hours=2)  # whatever waits for another try is due
        self.reconcile()
        self.shop_and_model_agree()
        self.world.tick()
        left = reconciliation.run(self.session, self.world, self.now).found()
        left.pop("holds")  # an order whose money disagrees keeps its copies until somebody has looked
        assert not any(left.values()), left
        for event in list(self.world.pending):
            self.hear(event, "")
        self.shop_and_model_agree()
        assert differences(self.session) == []
        undone = select(InboxEvent.id).where(InboxEvent.state != InboxState.DONE)
        assert list(self.session.scalars(undone)) == []


SHARES = {"sqlite": 4, "postgresql": 20}
"""Of the profile's examples, one in so many."""


@pytest.fixture
def machine(app: Flask) -> type[TwoLives]:
    with Session(engine_of(app)) as session:
        stock_the_shop(session, START)
        make_admin(session)
    return type("Machine", (TwoLives,), {"app": app})


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_at_each_turn_an_order_is_as_it_is_promised(machine: type[TwoLives], scene: Callable[[TwoLives], None]):
    lives = machine()
    lives.place(2, 1, "en-gb")
    scene(lives)
    lives.shop_and_model_agree()
    lives.teardown()


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_whatever_happens_an_order_is_as_it_is_promised(app: Flask, machine: type[TwoLives]):
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=max(1, hypothesis.settings().max_examples // SHARES[engine_of(app).dialect.name]),
            stateful_step_count=40,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
