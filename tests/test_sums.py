"""Sums add up whatever is ordered, at whatever price, however it is given back."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tomli_w
from babel.numbers import get_currency_symbol, parse_decimal
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue import interchange, offers
from shop.database import transact
from shop.errors import NotOrderable, WrongState
from shop.markets import MARKETS, SHOP_ZONE, write_money
from shop.money import Currency, Money
from shop.orders import fulfilment, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.numbers import ALPHABET, PREFIX, check_character, read_number
from shop.payments import arrivals, checkouts, copies, ledger, refund_calls, refunds
from shop.payments.gateway import BalanceFacts
from shop.payments.models import Payment
from shop.payments.stripe_gateway import StripeGateway
from tests.factories import Catalogue, make_order, make_paid_order, set_stock
from tests.fake_gateway import FakeGateway
from tests.shipped import CATALOGUE
from tests.till import attempts, counters, letters

SHOP = "http://localhost"
ADMIN = timeline.admin("Vera Keeper")
SHIPPED = tomllib.loads(CATALOGUE.read_text())
STRIPE = StripeGateway("sk_test_x", "http://127.0.0.1:9", ("whsec_x",))
COUNTRIES = ["GB", "JE", "CH", "US", "CA", "AU", "UA", "DE"]

ROWS_STAY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
"""The tables are filled once for all examples of a test: each makes what it needs beside the others."""


def some(share: int) -> settings:
    """One in so many of the profile's examples, where each takes its time."""
    return settings(suppress_health_check=ROWS_STAY, max_examples=max(5, settings().max_examples // share))


@st.composite
def zones(draw: st.DrawFn) -> dict[str, Any]:
    limits = sorted(draw(st.sets(st.integers(200, 3000), min_size=1, max_size=4)))
    amounts = sorted(draw(st.lists(st.integers(0, 4000), min_size=len(limits), max_size=len(limits))))
    bands = [{"up_to_grams": limit, "amount": cost} for limit, cost in zip(limits, amounts, strict=True)]
    first = draw(st.integers(1, 9))
    zone: dict[str, Any] = {"bands": bands, "days": [first, first + draw(st.integers(0, 9))]}
    if draw(st.integers(0, 3)):
        zone["further"] = {"grams": draw(st.integers(100, 2000)), "amount": draw(st.integers(0, 4000))}
    return zone


@st.composite
def catalogues(draw: st.DrawFn) -> dict[str, Any]:
    """The shipped catalogue with other prices, weights, limits, postage and countries."""
    editions = {}
    for slug, edition in SHIPPED["editions"].items():
        prices = {code: draw(st.integers(50, 100_000)) for code in ("GBP", "USD")}
        weight = "weight_grams" if "weight_grams" in edition else "postage_weight_grams"
        changed = {"prices": prices, weight: draw(st.integers(1, 1500)), "order_limit": draw(st.integers(3, 9))}
        editions[slug] = {
            **edition,
            **changed,
            "title": draw(st.sampled_from(["Title", "Название", "1920–24 “x”"])),
        }
    every = {}
    for slug, zone in SHIPPED["zones"].items():
        every[slug] = {key: value for key, value in zone.items() if key != "further"} | draw(zones())
        moved = draw(st.sampled_from([[], ["CH"], ["AU"], ["CH", "AU"]])) if slug == "europe" else None
        if moved is not None:
            others = [code for code in zone["countries"] if code not in ("CH", "AU")]
            every[slug]["countries"] = sorted(others + moved)
    every["eu"]["enabled"] = draw(st.booleans())
    return {**SHIPPED, "editions": editions, "zones": every}


WISHES = st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any)


def take_in(session: Session, catalogue: dict[str, Any], now: datetime) -> str:
    written = tomli_w.dumps(catalogue)
    transact(session, lambda s: interchange.import_catalogue(s, written.encode(), now))
    return written


def asked_of_stripe(parameters: dict[str, Any]) -> tuple[int, int, set[str]]:
    """Books, postage and currencies in what Stripe is asked for."""
    books = [(line["quantity"], line["price_data"]) for line in parameters["line_items"]]
    [rate] = [option["shipping_rate_data"]["fixed_amount"] for option in parameters["shipping_options"]]
    currencies = {price["currency"] for _, price in books} | {rate["currency"]}
    return sum(number * price["unit_amount"] for number, price in books), rate["amount"], currencies


@some(4)
@given(sheet=catalogues(), wish=WISHES, country=st.sampled_from(COUNTRIES), language=st.sampled_from(["en", "ru"]))
def test_lines_and_postage_are_the_total_and_that_is_what_stripe_is_asked_for(
    session: Session,
    catalogue: Catalogue,
    now: datetime,
    sheet: dict[str, Any],
    wish: tuple[int, int],
    country: str,
    language: str,
):
    take_in(session, sheet, now)
    quantities = dict(zip(("paperback", "russian"), wish, strict=True))
    for edition in (catalogue.paperback, catalogue.russian):
        set_stock(session, edition, 9)
    try:
        offer = offers.offer(session, quantities, country)
    except NotOrderable:
        session.rollback()
        return
    market = next(each for each in MARKETS.values() if (each.language, each.region) == (language, offer.region))
    order = make_order(session, market.slug, country, now, **quantities)
    transact(session, checkouts.prepare, STRIPE, order, SHOP, now)
    books, postage, currencies = asked_of_stripe(attempts(session, order)[0].parameters)
    prices = {slug: edition["prices"] for slug, edition in sheet["editions"].items()}
    code = offer.region.currency.value
    should = sum(number * prices[slug][code] for slug, number in quantities.items())
    assert (order.books_amount, books, sum(line.amount.amount for line in order.lines)) == (should,) * 3
    assert offer.total == order.total == Money(books + postage, Currency(code))
    assert currencies == {code.lower()}


@some(10)
@given(sheet=catalogues(), wish=WISHES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_provider_adds_up_is_the_orders_total(
    app: Flask, session: Session, catalogue: Catalogue, sandbox: Any, clock: Any, sheet: dict[str, Any], wish: Any
):
    """Through the provider's own arithmetic, in a process of its own."""
    at = clock.now()
    take_in(session, sheet, at)
    for edition in (catalogue.paperback, catalogue.russian):
        set_stock(session, edition, 9, at)
    gateway = app.extensions["shop.gateway"]
    try:
        order = make_order(session, "en-us", now=at, **dict(zip(("paperback", "russian"), wish, strict=True)))
    except NotOrderable:
        session.rollback()
        return
    checkouts.pay_page(session, gateway, order.id, SHOP, at)
    facts = gateway.look_up(attempts(session, order)[0].checkout_id)
    assert (facts.books, facts.postage, facts.total) == (
        order.books_amount,
        order.postage_amount,
        order.total.amount,
    )
    assert arrivals.disagreement(order, facts) == {}


@some(4)
@given(
    sheet=catalogues(),
    wish=WISHES,
    country=st.sampled_from(COUNTRIES),
    slug=st.sampled_from(["paperback", "russian"]),
)
def test_one_copy_more_never_costs_less(
    session: Session,
    catalogue: Catalogue,
    now: datetime,
    sheet: dict[str, Any],
    wish: Any,
    country: str,
    slug: str,
):
    """Postage is monotone in weight, where bands and what comes after them rise."""
    take_in(session, sheet, now)
    fewer = dict(zip(("paperback", "russian"), wish, strict=True))
    try:
        one, other = (offers.offer(session, each, country) for each in (fewer, {**fewer, slug: fewer[slug] + 1}))
    except NotOrderable:
        session.rollback()
        return
    assert other.postage.amount >= one.postage.amount
    assert other.total.amount > one.total.amount


@some(5)
@given(sheet=catalogues())
def test_any_catalogue_comes_out_as_it_went_in(session: Session, now: datetime, sheet: dict[str, Any]):
    written = take_in(session, sheet, now)
    exported = interchange.export_catalogue(session)
    assert tomllib.loads(exported) == tomllib.loads(written)
    again = transact(session, lambda s: interchange.import_catalogue(s, exported.encode(), now))
    assert not again.changed
    assert interchange.export_catalogue(session) == exported


PORTIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any), min_size=1, max_size=6)


@some(4)
@given(first=st.integers(0, 3), second=st.integers(0, 3), portions=PORTIONS, posted_after=st.integers(0, 7))
def test_copies_given_back_in_any_portions_come_to_what_was_paid(
    session: Session,
    catalogue: Catalogue,
    gateway: FakeGateway,
    now: datetime,
    first: int,
    second: int,
    portions: list[tuple[int, int]],
    posted_after: int,
):
    """Postage goes back with the last copy; posted or not makes no difference to the sum."""
    assume(first or second)
    for edition in (catalogue.paperback, catalogue.russian):
        set_stock(session, edition, 9)
    wanted = {slug: number for slug, number in (("paperback", first), ("russian", second)) if number}
    order = make_paid_order(session, gateway, now, **wanted)
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    payment_id, paid, back = payment.id, order.total.amount, 0
    rest = [(*wanted.values(), 0)]
    for turn, portion in enumerate([*portions, *rest * 9]):
        if turn == posted_after and order.may_be_posted:
            transact(session, fulfilment.post, order.id, "", "", ADMIN, now)
        left = copies.refundable(session, order)
        take = {place: min(number, left[place]) for place, number in zip(left, portion, strict=False)}
        session.rollback()
        if not any(take.values()):
            continue
        asked = transact(session, refunds.ask_copies, payment_id, take, "", ADMIN, now)
        back += asked.amount
        last = all(take.get(place, 0) == number for place, number in left.items())
        books = sum(line.unit_amount * take.get(line.position, 0) for line in order.lines)
        assert asked.amount == books + (order.postage_amount if last else 0)
        assert back <= paid
        refund_calls.perform(session, gateway, asked.id, now)
        session.refresh(order)
        if last:
            break
    assert back == paid
    assert order.payment_state is PaymentState.REFUNDED
    posted = order.fulfilment_state is FulfilmentState.POSTED
    assert posted or order.fulfilment_state is FulfilmentState.CANCELLED
    with pytest.raises(WrongState):
        transact(session, refunds.ask, payment_id, 1, "", ADMIN, now)
    told = [letter for letter in letters(session) if letter.order_id == order.id and letter.kind == "refunded"]
    assert sum(letter.context["refund"]["amount"] for letter in told) == paid
    assert counters(session, catalogue.paperback)[1:] == counters(session, catalogue.russian)[1:] == (0, 0)


@some(4)
@given(sums=st.lists(st.integers(1, 4000), min_size=1, max_size=8), fails=st.sets(st.integers(0, 7)))
def test_never_more_goes_back_than_came(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, sums: list[int], fails: set[int]
):
    """By sums, some of which the bank sends back, so that they can be given back once more."""
    set_stock(session, catalogue.paperback, 9)
    order = make_paid_order(session, gateway, now)
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    payment_id, intent = payment.id, payment.intent_id
    left = payment.amount
    for turn, amount in enumerate(sums):
        try:
            asked = transact(session, refunds.ask, payment_id, amount, "", ADMIN, now)
        except WrongState:
            assert amount > left
            continue
        assert amount <= left
        refund_calls.perform(session, gateway, asked.id, now)
        if turn in fails:
            gateway.fail_refund(str(session.get_one(type(asked), asked.id, populate_existing=True).provider_id))
            refunds.learn(session, gateway, intent, now)
        else:
            left -= amount
        assert gateway.left(intent) == left == refunds.refundable(session, session.get_one(Payment, payment_id))
        session.rollback()
    session.refresh(order)
    should = PaymentState.REFUNDED if not left else PaymentState.PART_REFUNDED
    assert order.payment_state is (PaymentState.PAID if left == payment.amount else should)


MOVES = st.lists(
    st.tuples(st.sampled_from(["charge", "refund", "dispute"]), st.integers(-9000, 9000), st.integers(0, 300),
              st.sampled_from(list(Currency)), st.integers(0, 90 * 24)),
    max_size=12,
)  # fmt: skip


@some(4)
@given(moves=MOVES)
def test_statements_are_the_movements_of_one_currency_and_month(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime, moves: list[Any]
):
    """Whatever was listed, and however often: nothing is counted twice, and no two currencies are added up."""
    transact(session, lambda s: s.query(ledger.LedgerEntry).delete())
    charge = session.scalar(select(Payment.charge_id).limit(1))
    if charge is None:
        make_paid_order(session, gateway, now)
        charge = session.scalar(select(Payment.charge_id).limit(1))
    start = datetime(2026, 1, 20, tzinfo=UTC)
    listed = [
        BalanceFacts(
            f"txn_{place}", kind, str(charge), amount, fee, amount - fee, code, start + timedelta(hours=late)
        )
        for place, (kind, amount, fee, code, late) in enumerate(moves)
    ]
    assert transact(session, ledger.record, listed + listed[:3]) == len(listed)
    assert transact(session, ledger.record, listed) == 0
    told = ledger.statements(session)
    for one in told:
        same = [
            each
            for each in listed
            if (each.currency, each.created.astimezone(SHOP_ZONE).strftime("%Y-%m")) == (one.currency, one.month)
        ]
        assert sum(one.by_kind.values()) - one.fees == one.net == sum(each.net for each in same)
        assert {entry.provider_id for entry, _ in ledger.of_month(session, one.month, one.currency)} == {
            each.provider_id for each in same
        }
    months = {(each.created.astimezone(SHOP_ZONE).strftime("%Y-%m"), each.currency) for each in listed}
    assert len(told) == len({(one.month, one.currency) for one in told}) == len(months)
    session.rollback()


# Without a database


@given(st.integers(-(10**9), 10**9), st.sampled_from(Currency), st.sampled_from(["en_GB", "en_US", "ru"]))
def test_a_sum_that_was_written_can_be_read_again(amount: int, currency: Currency, locale: str):
    written = write_money(Money(amount, currency), locale)
    symbol = get_currency_symbol(currency.value, locale)
    assert symbol in written
    number = written.replace(symbol, "").replace("\u2212", "-").strip("\u00a0 ")
    assert parse_decimal(number.replace("\u00a0\u00a0", ""), locale=locale) * 100 == amount


@given(st.text(ALPHABET, min_size=7, max_size=7), st.integers(0, 6))
def test_two_neighbours_of_a_number_that_were_swapped_are_found(body: str, place: int):
    """All but 0 and Z, which no check character of one place can tell apart together with every single mistake."""
    whole = body + check_character(body)
    one, other = whole[place : place + 2]
    assume(one != other and {one, other} != {"0", "Z"})
    assert read_number(PREFIX + whole[:place] + other + one + whole[place + 2 :]) is None
