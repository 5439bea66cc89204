"""An order's two lives, held against a small model of what is promised: whatever buyers, the desk, banks and the
provider do, in any order, with any message lost, late or repeated, the shop is as the model says after every step."""

from __future__ import annotations

import secrets
from collections import Counter
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
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue.models import Edition
from shop.database import Base, transact
from shop.errors import GatewayError, GatewayRefused, GatewayUnavailable, OutOfStock, WrongState
from shop.letters.models import SHOPKEEPER, Letter
from shop.orders import counting, fulfilment, placing, timeline
from shop.orders.models import Buyer, Concern, Order, OrderLine, Shipment, TimelineEntry
from shop.payments import checkouts, copies, inbox, reconciliation, refund_calls, refunds, settling
from shop.payments.gateway import Address
from shop.payments.ledger import LedgerEntry
from shop.payments.models import (
    CheckoutAttempt,
    Dispute,
    InboxEvent,
    InboxState,
    Payment,
    PaymentRole,
    Refund,
    RefundLine,
)
from shop.stock import Stock, StockMovement
from tests.conftest import engine_of
from tests.factories import abroad, make_admin, make_order, stock_the_shop
from tests.fake_gateway import LONDON, FakeGateway
from tests.order_model import OVER, WAITING, Copies, GivenBack, Model, ModelOrder, Page
from tests.till import differences

SHOP = "http://localhost"
ADMIN = timeline.admin("Vera Keeper")
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATEST = START + timedelta(days=20)
SHELF = {"paperback": 4, "russian": 3}
FAULTS = st.sampled_from(["", "", "", "before", "after"])
MANY = st.integers(0, 2**16)
BELFAST = {"address": Address("Ada Reader", "1 Long Lane", "", "Belfast", "", "BT1 5GS", "GB")}
LIVES = (Stock, StockMovement, Order, OrderLine, Buyer, Shipment, Concern, TimelineEntry, CheckoutAttempt, Payment)
LIVES += (Refund, RefundLine, Dispute, InboxEvent, LedgerEntry, Letter)
"""What each example begins without; the catalogue and the people stay."""


class TwoLives(RuleBasedStateMachine):
    """Orders, their copies and their money, in a shop and in the model of it."""

    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.world = FakeGateway()
        self.world.now = START
        self.seen: dict[str, str] = {}
        self.pending: list[tuple[str, str, str]] = []
        """Events not delivered: id, kind, thing."""
        self.told: list[tuple[str, str, str]] = []
        self.dropped: list[str] = []
        self.session = Session(engine_of(self.app))
        transact(self.session, self.clear)
        self.editions = dict(iter(self.session.execute(select(Edition.slug, Edition.id))))
        for slug, number in SHELF.items():
            transact(self.session, stock.count, self.editions[slug], number, "", "system", START)
        self.steps = 0
        self.model = Model(self.world, SHELF)
        self.ids: dict[str, int] = {}
        self.forms: dict[str, dict[str, object]] = {}

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

    def pages(self, *statuses: str) -> list[str]:
        return [key for key, page in self.world.checkouts.items() if page.status in statuses]

    def paid(self) -> list[str]:
        """Intents of money that the provider has."""
        return [page.intent_id for page in self.world.checkouts.values() if page.paid]

    # The world goes on

    def tick(self, **by: float) -> None:
        self.now += timedelta(**(by or {"seconds": 1}))
        self.world.now = self.now
        for page_id in self.pages("open"):
            if self.world.checkouts[page_id].expires_at <= self.now:
                self.world.close_checkout(page_id)

    def overhear(self) -> None:
        """Whatever has changed in the provider's world becomes an event."""
        for page_id, page in self.world.checkouts.items():
            state = "failed" if page.failed else "paid" if page.paid else page.status
            before = self.seen.get(page_id, "open")
            if state != before:
                later = "async_payment_succeeded" if state == "paid" else "async_payment_failed"
                kind = "expired" if state == "expired" else later if before == "complete" else "completed"
                self.event(f"checkout.session.{kind}", page_id)
            self.seen[page_id] = state
        for refund_id, refund in self.world.refunds.items():
            before = self.seen.get(refund_id)
            if before is None:
                self.event("refund.created", refund_id)
                pages = self.world.checkouts.values()
                self.event("charge.refunded", next(p.charge_id for p in pages if p.intent_id == refund.intent_id))
            elif before != refund.status:
                self.event("refund.failed" if refund.status == "failed" else "refund.updated", refund_id)
            self.seen[refund_id] = refund.status
        for dispute_id, dispute in self.world.disputes.items():
            if self.seen.get(dispute_id) != dispute.status:
                kind = "updated" if dispute_id in self.seen else "created"
                self.event(f"charge.dispute.{kind}", dispute_id)
            self.seen[dispute_id] = dispute.status
        for warning_id in self.world.warnings:
            if warning_id not in self.seen:
                self.event("radar.early_fraud_warning.created", warning_id)
            self.seen[warning_id] = "there"

    def event(self, kind: str, thing: str) -> None:
        self.pending.append((self.world.tell(kind, thing).event_id, kind, thing))

    def failing(self, fault: str) -> None:
        """The provider's next answer fails, before or after it took effect."""
        if fault:
            getattr(self.world, fault).append(GatewayUnavailable("no answer"))

    def failed(self, fault: str) -> bool:
        """Whether that happened; whatever the shop did not need is forgotten."""
        happened = bool(fault) and not getattr(self.world, fault)
        self.world.before.clear()
        self.world.after.clear()
        return happened

    # Buyers

    @initialize(
        paperback=st.integers(0, 2),
        russian=st.integers(0, 1),
        market=st.sampled_from(["en-gb", "ru-us"]),
        so_far=st.sampled_from(["lost", "open", "delayed", "paid", "paid", "posted", "posted"]),
    )
    def begin(self, paperback: int, russian: int, market: str, so_far: str) -> None:
        """An order, and how far it has come."""
        self.place(paperback, russian or int(not paperback), market)
        self.open_page(0, "after" if so_far == "lost" else "")
        if so_far in ("paid", "posted", "delayed"):
            self.pay(0, "delayed" if so_far == "delayed" else "paid", "home", 0)
            self.come_back(0, "")
        if so_far == "posted":
            self.post(0)

    @precondition(lambda self: len(self.ids) < 3)
    @rule(paperback=st.integers(0, 2), russian=st.integers(0, 2), market=st.sampled_from(["en-gb", "ru-us"]))
    def place(self, paperback: int, russian: int, market: str) -> None:
        wanted = {slug: number for slug, number in (("paperback", paperback), ("russian", russian)) if number}
        if not wanted:
            return
        self.tick()
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

    @precondition(lambda self: any(order.payment not in OVER for order in self.model.orders.values()))
    @rule(choice=MANY)
    def click_twice(self, choice: int) -> None:
        """The same form again is the same order, until that is over."""
        order = self.order(choice, [each for each in self.model.orders.values() if each.payment not in OVER])
        again = make_order(self.session, now=self.now, **self.forms[order.number])
        assert again.number == order.number

    @rule(choice=MANY, fault=st.sampled_from(["", "", "", "before", "after", "refused"]))
    def open_page(self, choice: int, fault: str) -> None:
        order = self.order(choice)
        self.tick()
        if fault == "refused":
            self.world.before.append(GatewayRefused("parameter_invalid", "no"))
        else:
            self.failing(fault)
        calls = len(self.world.calls)
        try:
            url = checkouts.pay_page(self.session, self.world, self.ids[order.number], SHOP, self.now)
        except (WrongState, GatewayError) as error:
            url = type(error).__name__
        called = self.world.calls[calls:]
        failed = self.failed("before" if fault == "refused" else fault)
        assert url == self.expected_page(order, called, fault if failed else ""), (url, called)

    def expected_page(self, order: ModelOrder, called: list[str], fault: str) -> str:
        """What the buyer is led to: a page that is open, or why there is none."""
        while True:
            if order.payment != "awaiting" or order.attention:
                return "WrongState"
            if not order.pages or order.pages[-1].state == "closed":
                ends = (self.now + checkouts.LIFE).replace(microsecond=0)
                order.pages.append(Page(ends, self.now))
            page = order.pages[-1]
            if page.state == "open" and page.expires_at > self.now:
                return f"https://pay.example/{page.page_id}"
            if page.state != "new":
                if fault:
                    return "GatewayRefused" if fault == "refused" else "GatewayUnavailable"
                self.model.look(page.page_id)
                continue
            late = page.expires_at - self.now < checkouts.SHORTEST
            if fault == "refused" and not late:
                page.state = "closed"
                self.model.let_go(order, "expired")
                order.worry("checkout_refused", "")
                return "GatewayRefused"
            if fault in ("before", "after"):
                return "GatewayUnavailable"
            there = self.page_of(page, order)
            if not there or fault == "refused":  # the provider has refused a page that would live too short
                page.state, fault = "closed", ""
                continue
            page.page_id, page.state = there, "open"
            if page.expires_at <= self.now:
                continue
            return f"https://pay.example/{there}"

    def page_of(self, page: Page, order: ModelOrder) -> str:
        """The provider's page that was opened for this attempt."""
        known = {each.page_id for each in order.pages}
        for page_id, facts in self.world.checkouts.items():
            same = facts.reference == order.number and facts.expires_at == page.expires_at
            if same and page_id not in known and "twin" not in facts.metadata:
                return page_id
        return ""

    @precondition(lambda self: self.pages("open"))
    @rule(
        choice=MANY,
        how=st.sampled_from(["paid", "paid", "paid", "delayed", "failed"]),
        where=st.sampled_from(["home", "home", "home", "abroad", "Belfast"]),
        more=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def pay(self, choice: int, how: str, where: str, more: int) -> None:
        pages = self.pages("open")
        page = self.world.checkouts[pages[choice % len(pages)]]
        country = self.model.orders[page.reference].country
        home = {"address": LONDON} if country == "GB" else {"address": abroad(country)}
        address = {"home": home, "abroad": {"address": abroad("CH")}, "Belfast": BELFAST}[where]
        sums = {"books": page.books + 100, "total": page.total + 100} if more else {}
        self.world.pay(page.checkout_id, paid=how == "paid", failed=how == "failed", **{**address, **sums})  # type: ignore[arg-type]

    def delayed(self) -> list[str]:
        return [
            key
            for key in self.pages("complete")
            if not (page := self.world.checkouts[key]).paid and not page.failed
        ]

    @precondition(lambda self: self.delayed())
    @rule(choice=MANY, comes=st.booleans())
    def delayed_money(self, choice: int, comes: bool) -> None:
        waiting = self.delayed()
        page = self.world.checkouts[waiting[choice % len(waiting)]]
        self.world.pay(page.checkout_id, failed=not comes, address=page.address)

    @rule(choice=MANY)
    def open_twin(self, choice: int) -> None:
        """A page of the same order that the shop has forgotten (a restored backup): second and late money."""
        order = self.order(choice)
        opened = [page for page in order.pages if page.page_id]
        if opened and opened[-1].expires_at - self.now > timedelta(minutes=30) and len(self.world.checkouts) < 7:
            asked = next(iter(self.world._by_key[key][0] for key in self.world._by_key if order.number in key))
            asked = {**asked, "expires_at": str(opened[-1].expires_at)}
            asked["metadata"] = {**asked["metadata"], "twin": "yes"}
            self.world.open_checkout(f"twin {len(self.world.checkouts)}", asked)

    @precondition(lambda self: any(order.payment == "awaiting" for order in self.model.orders.values()))
    @rule(choice=MANY, fault=FAULTS)
    def cancel(self, choice: int, fault: str) -> None:
        order = self.order(choice, [each for each in self.model.orders.values() if each.payment == "awaiting"])
        self.tick()
        self.failing(fault)
        try:
            checkouts.cancel(self.session, self.world, self.ids[order.number], timeline.BUYER, self.now)
        except GatewayUnavailable:
            assert self.failed(fault)
            return
        assert not self.failed(fault)
        if order.pages and (last := order.pages[-1]).state == "new":
            last.page_id = self.page_of(last, order)
            last.state = "open" if last.page_id else "closed"
        self.model.end(order, "cancelled")

    @precondition(lambda self: any(order.payment in WAITING for order in self.model.orders.values()))
    @rule(choice=MANY, fault=FAULTS)
    def come_back(self, choice: int, fault: str) -> None:
        """The buyer opens the order page."""
        order = self.order(choice, [each for each in self.model.orders.values() if each.payment in WAITING])
        self.tick()
        self.failing(fault)
        answered = settling.refresh(self.session, self.world, self.ids[order.number], self.now)
        failed = self.failed(fault)
        assert answered is not failed
        if not failed and order.payment in WAITING:
            for page_id in [each.page_id for each in order.pages if each.state in ("open", "complete")]:
                self.model.look(page_id)

    # Time, messages, and the worker

    @rule(by=st.sampled_from([{"minutes": 10}, {"minutes": 20}, {"minutes": 46}, {"hours": 3}, {"days": 1}]))
    def time_goes_by(self, by: dict[str, int]) -> None:
        if self.now < LATEST:
            self.tick(**by)

    @precondition(lambda self: self.pending)
    @rule(choice=MANY, fault=FAULTS)
    def deliver(self, choice: int, fault: str) -> None:
        self.hear(self.pending[choice % len(self.pending)], fault)

    @precondition(lambda self: self.told)
    @rule(choice=MANY)
    def repeat(self, choice: int) -> None:
        self.hear(self.told[choice % len(self.told)], "")

    @precondition(lambda self: self.pending)
    @rule(choice=MANY)
    def drop(self, choice: int) -> None:
        event = self.pending.pop(choice % len(self.pending))
        self.world.undelivered.append(event[0])

    def hear(self, event: tuple[str, str, str], fault: str) -> None:
        self.tick()
        event_id, kind, thing = event
        new = event in self.pending
        transact(self.session, inbox.keep, self.world.events[event_id], self.now)
        self.failing(fault)
        try:
            inbox.work(self.session, self.world, event_id, self.now)
        except GatewayUnavailable:
            assert self.failed(fault)
            return
        assert not self.failed(fault)
        if new:
            self.pending.remove(event)
            self.told.append(event)
            self.model.hear(kind, thing)

    @precondition(lambda self: any(order.payment == "awaiting" for order in self.model.orders.values()))
    @rule()
    def sweep(self) -> None:
        self.tick()
        if not self.contended():
            checkouts.sweep(self.session, self.world, self.now)
            self.model.sweep(self.now)

    def contended(self) -> bool:
        """Whether the copies do not suffice for all late money, so that it matters which is heard of first."""
        wanted: Counter[str] = Counter()
        for page in self.world.checkouts.values():
            order = self.model.orders[page.reference]
            if page.paid and not self.model.knows(page.intent_id) and not order.paid_by:
                wanted.update(order.copies)
        return any(self.model.available(slug) < number for slug, number in wanted.items())

    @precondition(lambda self: self.pending or self.world.undelivered)
    @rule()
    def reconcile(self) -> None:
        self.tick()
        if self.contended():
            return
        due = refund_calls.due(self.session, self.now)
        owed = [self.row_of(refund_id) for refund_id in due]
        reconciliation.run(self.session, self.world, self.now)
        for row in owed:
            self.model.look_at_refunds(row.intent)
        for row in owed:
            if row.state == "owed":
                self.model.refused(row)
        self.model.reconcile(self.now)
        for event_id in self.world.undelivered:
            kind, thing = self.world.events[event_id].type, self.world.events[event_id].object_id
            self.model.hear(kind, thing)
            self.told.append((event_id, kind, thing))
        self.world.undelivered.clear()
        self.learn_what_was_made()

    def learn_what_was_made(self) -> None:
        """Refunds that a run has found to be owed it makes as well; what has become of them the provider tells."""
        for refund_id in self.session.scalars(select(Refund.id).order_by(Refund.id)).all():
            twin = self.row_of(refund_id)
            if twin.state == "owed":
                self.model.look_at_refunds(twin.intent)
            asked = self.session.get_one(Refund, refund_id).tries > 0
            self.session.rollback()
            if twin.state == "owed" and asked:
                self.model.refused(twin)

    # The desk

    def row_of(self, refund_id: int) -> GivenBack:
        """The model's twin of a refund's row: both are made in the same order for each payment."""
        row = self.session.get_one(Refund, refund_id)
        same = select(func.count()).where(Refund.payment_id == row.payment_id, Refund.id < row.id)
        place = self.session.scalar(same) or 0
        twin = [each for each in self.model.given_back if each.intent == row.payment.intent_id][place]
        twin.key = row.key
        self.session.rollback()
        return twin

    def payment_of(self, intent: str) -> Payment:
        return self.session.scalars(select(Payment).where(Payment.intent_id == intent)).one()

    def known(self) -> list[str]:
        return [intent for order in self.model.orders.values() for intent in order.money]

    @precondition(lambda self: self.known())
    @rule(choice=MANY, amount=st.one_of(st.integers(1, 3000), st.just(0)), over=st.booleans())
    def ask_refund_of_a_sum(self, choice: int, amount: int, over: bool) -> None:
        """Part of a payment; with nothing, all that is left of it, or a penny more."""
        intent = self.known()[choice % len(self.known())]
        amount = amount or self.model.refundable(intent) + over
        allowed = self.model.may_ask(intent, amount)
        self.tick()
        try:
            transact(self.session, refunds.ask, self.payment_of(intent).id, amount, "", ADMIN, self.now)
        except WrongState:
            assert not allowed
            return
        assert allowed
        self.model.ask(intent, amount)

    @precondition(lambda self: self.known())
    @rule(choice=MANY, first=st.integers(0, 2), second=st.integers(0, 2))
    def ask_refund_of_copies(self, choice: int, first: int, second: int) -> None:
        order = self.order(choice, [each for each in self.model.orders.values() if each.money])
        if not order.paid_by:
            return
        wanted = {position: (first, second)[position - 1] for position in order.lines}
        price = self.model.price(order, wanted)
        allowed = price is not None and self.model.may_ask(order.paid_by, price)
        payment = self.payment_of(order.paid_by).id
        self.tick()
        try:
            asked = transact(self.session, refunds.ask_copies, payment, wanted, "", ADMIN, self.now)
        except WrongState:
            assert not allowed
            return
        assert allowed
        assert asked.amount == price
        self.model.ask(order.paid_by, price or 0, wanted)

    @precondition(lambda self: any(row.state == "owed" for row in self.model.given_back))
    @rule(choice=MANY, fault=FAULTS, status=st.sampled_from(["succeeded", "succeeded", "pending"]))
    def perform_refund(self, choice: int, fault: str, status: str) -> None:
        self.tick()
        due = refund_calls.due(self.session, self.now)
        if not due:
            return
        refund_id = due[choice % len(due)]
        row = self.row_of(refund_id)
        self.failing(fault)
        self.world.refund_status = status
        try:
            refund_calls.perform(self.session, self.world, refund_id, self.now)
        except GatewayUnavailable:
            assert self.failed(fault)
            return
        finally:
            self.world.refund_status = "succeeded"
        assert not self.failed(fault)
        self.model.look_at_refunds(row.intent)
        if row.state == "owed":
            self.model.refused(row)

    @precondition(lambda self: any(order.attention for order in self.model.orders.values()))
    @rule(choice=MANY)
    def settle_worry(self, choice: int) -> None:
        order = self.order(choice, [each for each in self.model.orders.values() if each.attention])
        open_here = [each for each in order.worries if each[2]]
        place = order.worries.index(open_here[choice % len(open_here)])
        order.worries[place][2] = False

        def work(s: Session) -> None:
            locked = placing.locked(s, self.ids[order.number])
            timeline.settle_worry(s, locked, locked.concerns[place], ADMIN, self.now)

        transact(self.session, work)

    @precondition(lambda self: self.known())
    @rule(choice=MANY)
    def post(self, choice: int) -> None:
        order = self.order(choice, [each for each in self.model.orders.values() if each.money])
        allowed, there = self.model.may_post(order), self.model.on_shelf(order)
        self.tick()
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
        ids = list(self.session.scalars(select(Refund.id).order_by(Refund.id)))
        about = [each for each in ids if self.row_of(each).copies]
        refund_id = about[choice % len(about)]
        row = self.row_of(refund_id)
        allowed = self.model.may_put_back(row)
        self.tick()
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
        self.tick()
        edition = self.editions[slug]
        transact(self.session, counting.count, edition, counted, "counted", ADMIN, self.now)
        self.model.count(slug, counted)

    # Behind the shop's back

    @precondition(lambda self: self.paid())
    @rule(
        choice=MANY,
        amount=st.one_of(st.integers(1, 3000), st.just(0)),
        status=st.sampled_from(["succeeded", "pending"]),
    )
    def refund_in_the_dashboard(self, choice: int, amount: int, status: str) -> None:
        intent = self.paid()[choice % len(self.paid())]
        amount = amount or self.world.left(intent)
        if 0 < amount <= self.world.left(intent) and not self.world.disputed(intent):
            self.world.refund_status = status
            self.world.refund_in_dashboard(intent, amount)
            self.world.refund_status = "succeeded"

    @precondition(lambda self: self.world.refunds)
    @rule(choice=MANY, status=st.sampled_from(["succeeded", "failed", "canceled"]))
    def a_refund_goes_on(self, choice: int, status: str) -> None:
        """A pending one succeeds, fails or is called off; one that has succeeded may still fail."""
        refund = list(self.world.refunds.values())[choice % len(self.world.refunds)]
        if refund.status == "pending" or (refund.status, status) == ("succeeded", "failed"):
            self.world.bring_refund(refund.provider_id, status)

    @precondition(lambda self: self.paid())
    @rule(choice=MANY, status=st.sampled_from(["needs_response", "warning_needs_response"]))
    def dispute(self, choice: int, status: str) -> None:
        intent = self.paid()[choice % len(self.paid())]
        if not any(each.intent_id == intent for each in self.world.disputes.values()):
            page = next(each for each in self.world.checkouts.values() if each.intent_id == intent)
            self.world.dispute(page, status)

    @precondition(lambda self: self.world.disputes)
    @rule(choice=MANY, status=st.sampled_from(["under_review", "won", "lost"]))
    def a_dispute_goes_on(self, choice: int, status: str) -> None:
        dispute = list(self.world.disputes.values())[choice % len(self.world.disputes)]
        if dispute.status == "warning_needs_response":
            self.world.close_dispute(dispute.provider_id, "warning_closed")
        elif dispute.status in ("needs_response", "under_review"):
            self.world.close_dispute(dispute.provider_id, status)

    @precondition(lambda self: self.paid())
    @rule(choice=MANY)
    def warn_of_fraud(self, choice: int) -> None:
        intent = self.paid()[choice % len(self.paid())]
        charge = next(each.charge_id for each in self.world.checkouts.values() if each.intent_id == intent)
        if charge not in self.world.warnings.values():
            self.world.warnings[f"issfr_{charge}"] = charge

    # What always holds

    @invariant()
    def shop_and_model_agree(self) -> None:
        self.overhear()
        if not self.ids:
            return
        self.session.rollback()
        self.session.expire_all()
        for slug, on_hand in self.model.shelf.items():
            row = self.session.get_one(Stock, self.editions[slug])
            promised = self.model.promised(slug, held=True), self.model.promised(slug, held=False)
            assert (row.on_hand, row.held, row.allocated) == (on_hand, *promised), slug
        for number, order in self.model.orders.items():
            self.compare(self.session.get_one(Order, self.ids[number]), order)
        stands = [
            (row.payment.intent_id, row.amount, row.state.value, sum(line.quantity for line in row.lines))
            for row in self.session.scalars(select(Refund).order_by(Refund.payment_id, Refund.id))
        ]
        given = [(row.intent, row.amount, row.state, sum(row.copies.values())) for row in self.model.given_back]
        assert sorted(stands) == sorted(given)
        for intent in self.paid():
            assert self.world.left(intent) >= 0
        self.steps += 1
        if self.steps % 4 == 0:
            assert differences(self.session) == []

    def compare(self, row: Order, order: ModelOrder) -> None:
        assert (row.payment_state, row.fulfilment_state) == (order.payment, order.fulfilment)
        assert (row.holding, row.allocated) == (order.held, order.allocated)
        assert (row.needs_attention, row.disputed) == (order.attention, order.disputed)
        assert row.refunding is self.model.refunding(order)
        assert row.may_be_posted is self.model.may_post(order)
        concerns = self.session.scalars(select(Concern).where(Concern.order_id == row.id).order_by(Concern.id))
        assert Counter((each.worry, each.settled_at is None) for each in concerns) == Counter(
            (kind, is_open) for kind, _, is_open in order.worries
        )
        money = self.session.scalars(select(Payment).where(Payment.order_id == row.id))
        assert {each.intent_id: (each.role, each.amount) for each in money} == order.money
        assert sum(role == PaymentRole.ORDER for role, _ in order.money.values()) <= 1
        written: Counter[str] = Counter()
        desk: Counter[str] = Counter()
        for letter in self.session.scalars(select(Letter).where(Letter.order_id == row.id)):
            (desk if letter.kind in SHOPKEEPER else written)[letter.kind.value] += 1
        assert written == order.letters
        assert desk == order.desk

    def finish(self) -> None:
        """In the end everything is looked at, without one more message, and all messages then bring nothing new."""
        if self.contended():
            return
        for _ in range(2):
            self.tick(hours=2)  # whatever waits for another try is due
            self.reconcile()
            self.shop_and_model_agree()
        # Refunds of money that came late are made by the second run, and nothing is left for a third.
        self.tick(hours=2)
        assert not reconciliation.run(self.session, self.world, self.now).applied
        self.shop_and_model_agree()
        for event in list(self.pending):
            self.hear(event, "")
            self.shop_and_model_agree()
        assert differences(self.session) == []
        undone = select(InboxEvent.id).where(InboxEvent.state != InboxState.DONE)
        assert list(self.session.scalars(undone)) == []


SHARES = {"sqlite": 4, "postgresql": 20}
"""Of the profile's examples, one in so many."""


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_whatever_happens_an_order_is_as_it_is_promised(app: Flask):
    share = SHARES[engine_of(app).dialect.name]
    with Session(engine_of(app)) as session:
        stock_the_shop(session, START)
        make_admin(session)
    machine = type("Machine", (TwoLives,), {"app": app})
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=max(1, hypothesis.settings().max_examples // share),
            stateful_step_count=40,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
