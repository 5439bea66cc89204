"""Finding orders: words and beginnings of words, filters, and pages by key; the same on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import flask_migrate
import pytest
from sqlalchemy import delete, select, text, true, update
from sqlalchemy.orm import Session

from shop import audit, erasure
from shop.database import transact
from shop.demo import making
from shop.orders import finding, fulfilment, paging, terms, timeline
from shop.orders.finding import Wanted
from shop.orders.folding import words
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Buyer, Order, Shipment
from shop.orders.placing import locked
from shop.orders.terms import OrderTerm
from tests import factories
from tests.conftest import DATABASES, engine_of, migrated, settings_for
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)


def found(session: Session, **wanted: object) -> list[str]:
    page = finding.orders(session, Wanted(**wanted))  # type: ignore[arg-type]
    assert page is not None
    return [order.number for order in page.rows]


def rename(session: Session, order: Order, **changes: str) -> None:
    def work(s: Session) -> None:
        buyer = locked(s, order.id).buyer
        for name, value in changes.items():
            setattr(buyer, name, value)

    transact(session, work)


@pytest.mark.parametrize(
    "typed",
    [
        *("Ёлкина", "елкин", "ЁЛК", "анна елкина", "елк анн", "a.elkina@example.org", "a.elkina@ex", "elkina"),
        *("PO-2024/117", "po 2024 117", "po2024117", "117", "RB123456785GB", "rb 123 456", "rb1234", "saint-et"),
        *("étienne", "ETIENNE", "o'br", "O’Brien", "brien", "NUMBER", "BARE", "BEGINNING", "number apart"),
    ],
)
def test_an_order_is_found_by_words_and_their_beginnings(
    session: Session, gateway: FakeGateway, catalogue: Catalogue, typed: str
):
    order = factories.make_paid_order(session, gateway, purchase_order="PO 2024/117")
    factories.make_paid_order(session, gateway, purchase_order="XX 9")
    rename(session, order, name="Анна Ёлкина O’Brien", email="A.Elkina@example.org", city="Saint-Étienne")
    transact(session, fulfilment.post, order.id, "Royal Mail", "RB 123 456 785 GB", timeline.admin("Vera"), NOW)
    number = order.number
    typed = {
        "NUMBER": number.lower(),
        "BARE": number[3:],
        "BEGINNING": number[:6],  # whatever its letters: not every number has a digit so early
        "number apart": f"rr {number[3:7]} {number[7:]}",
    }.get(typed, typed)
    assert found(session, typed=typed) == [number]


def test_a_tracking_number_is_found_in_the_pieces_that_a_receipt_writes_it_in(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    order = factories.make_paid_order(session, gateway)
    transact(session, fulfilment.post, order.id, "Royal Mail", "RB123456785GB", timeline.admin("Vera"), NOW)
    for typed in ("rb 1234 5678 5gb", "RB 123 456", "rb123456785gb"):
        assert found(session, typed=typed) == [order.number], typed
    assert found(session, typed="rb 1234 9") == []


def test_the_beginning_of_a_number_need_not_have_a_digit():
    assert finding._code("rr-gkx") == "rrgkx"


@pytest.mark.parametrize("typed", ["lkina", "анна петрова", "%", "_", "example.or ю", "\U0010ffff"])
def test_what_is_no_beginning_of_every_word_finds_nothing(session: Session, catalogue: Catalogue, typed: str):
    rename(session, factories.make_order(session), name="Анна Ёлкина", email="elkina@example.org")
    assert found(session, typed=typed) == []


def test_a_changed_address_is_found_anew_and_no_longer_as_before(session: Session, catalogue: Catalogue):
    order = factories.make_order(session)
    rename(session, order, name="Ada Reader", city="London")
    rename(session, order, name="Ada Writer", city="Leeds")
    assert found(session, typed="ada leeds") == [order.number]
    assert found(session, typed="london") == found(session, typed="reader") == []
    assert list(audit.run(session)) == []


def test_a_parcel_that_is_taken_back_is_no_longer_found(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    order = factories.make_paid_order(session, gateway)
    transact(session, fulfilment.post, order.id, "DHL", "JD0001", timeline.admin("Vera"), NOW)
    assert found(session, typed="jd0001") == [order.number]
    shipment_id = session.scalars(select(Shipment.id)).one()
    transact(session, lambda s: setattr(s.get_one(Shipment, shipment_id), "undone_at", NOW))
    assert found(session, typed="jd0001") == []


def test_erasing_takes_the_words_away(session: Session, gateway: FakeGateway, catalogue: Catalogue):
    order = factories.make_order(session, purchase_order="PO 7")
    rename(session, order, name="Ada Reader", email="ada@example.org", city="London")
    transact(session, lambda s: _cancel(s, order.id))
    assert transact(session, erasure.erase_order, order.id, timeline.SYSTEM, NOW)
    kept = set(session.scalars(select(OrderTerm.term).where(OrderTerm.order_id == order.id)))
    assert kept == terms.number_terms(order.number)
    transact(
        session,
        lambda s: s.add(OrderTerm(order_id=order.id, term="reader", source="buyer", placed_at=order.placed_at)),
    )
    assert {each.kind for each in audit.run(session)} == {"erasure", "search terms"}


def _cancel(session: Session, order_id: int) -> None:
    from shop.orders import placing
    from shop.orders.lifecycle import PaymentState

    order = locked(session, order_id)
    order.payment_state = PaymentState.EXPIRED
    placing.expire(session, order, NOW)


def test_the_audit_names_an_order_that_cannot_be_found_and_the_command_mends_it(
    session: Session, catalogue: Catalogue
):
    order = factories.make_order(session)
    rename(session, order, name="Ada Reader")
    transact(session, lambda s: s.execute(delete(OrderTerm).where(OrderTerm.term == "reader")))
    assert [(each.kind, each.what) for each in audit.run(session)] == [("search terms", order.number)]
    transact(session, lambda s: s.execute(text("UPDATE buyer SET search = 'stale'")))
    assert [each.kind for each in audit.run(session)] == ["search terms", "search terms"]
    session.rollback()
    assert terms.rebuild_all(session) == 1
    assert list(audit.run(session)) == []


QUERIES = ("london", "a", "ан", "example", "smith john", "мария mail", "r", "муэ", "po", "gb")


def test_a_large_set_is_walked_and_a_small_one_fetched_with_the_same_answer(
    session: Session, catalogue: Catalogue
):
    making.make(session, 400, "finding", NOW)
    everybody = {
        order.number: words(f"{order.buyer.search} " + " ".join(sorted(terms.number_terms(order.number))))
        + [word for each in order.shipments for word in sorted(terms.code_terms(each.tracking))]
        for order in session.scalars(select(Order).order_by(Order.placed_at.desc(), Order.id.desc()))
    }
    sizes = set()
    for typed in QUERIES:
        expected = [
            number
            for number, known in everybody.items()
            if all(any(term.startswith(word) for term in known) for word in words(typed))
        ]
        sizes.add(len(expected) > 150)
        assert found(session, typed=typed) == expected[: paging.PER_PAGE], typed
        assert by_every_way(session, typed) == [expected[: paging.PER_PAGE]], typed
        for wanted in ({"note": True}, {"edition": catalogue.russian}, {"country": "GB"}):
            ids = {each.number for each in session.scalars(select(Order)) if _is(each, wanted)}
            both = [number for number in expected if number in ids]
            assert found(session, typed=typed, **wanted) == both[: paging.PER_PAGE], (typed, wanted)
    assert sizes == {True, False}  # both ways were gone


def by_every_way(session: Session, typed: str) -> list[list[str]]:
    """The different pages that one finds: fetched, walked to the end, and by walks that are given up on the way."""
    ways = finding._ways(session, Wanted(typed=typed))
    several = [ways._replace(walk=None)]
    several += [ways._replace(window=window) for window in (0, 7, 90, 10_000) if ways.walk]
    pages: list[list[str]] = []
    for each in several:
        rows, _more = finding._page(session, each, None, None)
        numbers = [row.number for row in rows]
        pages += [numbers] if numbers not in pages else []
    return pages


def _is(order: Order, wanted: dict[str, object]) -> bool:
    if "note" in wanted:
        return bool(order.buyer.note)
    if "edition" in wanted:
        return any(line.edition_id == wanted["edition"] for line in order.lines)
    return order.country == wanted["country"]


def test_filters_combine_and_days_are_those_of_the_shop(session: Session, catalogue: Catalogue):
    # In summer London's day begins at 23:00 UTC.
    before = factories.make_order(session, now=datetime(2026, 6, 30, 22, 59, tzinfo=UTC))
    within = factories.make_order(session, now=datetime(2026, 6, 30, 23, 1, tzinfo=UTC), note="Happy birthday")
    abroad = factories.make_order(session, "en-us", now=datetime(2026, 7, 1, 10, tzinfo=UTC), note="A gift")
    first = datetime(2026, 7, 1, tzinfo=UTC).date()
    assert found(session, since=first) == [abroad.number, within.number]
    assert found(session, until=first - timedelta(days=1)) == [before.number]
    assert found(session, since=first, until=first, region="gb") == [within.number]
    assert found(session, region="us", note=True) == [abroad.number]
    assert found(session, region="us", country="GB") == []
    assert found(session, edition=catalogue.russian) == []
    assert finding.countries(session) == ["GB", "US"]


def test_every_two_filters_leave_what_both_of_them_leave(session: Session, catalogue: Catalogue):
    making.make(session, 150, "pairs", NOW)
    alone: dict[str, object] = {
        "payment": PaymentState.PAID,
        "parcel": FulfilmentState.POSTED,
        "edition": catalogue.paperback,
        "region": "gb",
        "country": "GB",
        "since": (NOW - timedelta(days=700)).date(),
        "until": (NOW - timedelta(days=200)).date(),
        "attention": True,
        "note": True,
        "typed": "london",
    }

    def ids(*names: str) -> set[int]:
        listing = finding.listing(session, Wanted(**{name: alone[name] for name in names}))
        return {row.id for row in paging.page(session, select(Order.id), listing, size=1000)[0]}

    each = {name: ids(name) for name in alone}
    every = ids()
    assert {name for name, found_ids in each.items() if found_ids == every} == set()
    assert [name for name, found_ids in each.items() if not found_ids] in ([], ["attention"])
    for one, other in combinations(alone, 2):
        assert ids(one, other) == each[one] & each[other], (one, other)


def test_filters_that_contradict_each_other_are_decided_without_looking_at_an_order(
    session: Session, catalogue: Catalogue
):
    if session.get_bind().dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a table as small as this one from end to end")
    making.make(session, 60, "plans", NOW)
    wanted = Wanted(payment=PaymentState.EXPIRED, parcel=FulfilmentState.POSTED, country="GB")
    found_by = finding.listing(session, wanted).ids.order_by(Order.placed_at.desc(), Order.id.desc()).limit(51)
    plain = str(found_by.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
    plan = [row[-1] for row in session.execute(text(f"EXPLAIN QUERY PLAN {plain}"))]
    assert [step for step in plan if "COVERING INDEX ix_order_" in step] == plan


@pytest.mark.parametrize("word", ["london", "lon", "a", "rr-", "rr1", "example", "вера", "zzz", "lond0n", "gb"])
def test_an_order_asked_for_a_word_says_the_same_as_the_words_index(
    session: Session, catalogue: Catalogue, word: str
):
    making.make(session, 150, "asked", NOW)
    begins = finding._begins(word)
    listed = set(session.scalars(begins.ids))
    assert set(session.scalars(select(Order.id).where(begins.belongs(Order.id)))) == listed
    assert len(listed) < 150 or word in ("a", "rr-", "example")


def test_an_order_is_asked_for_a_word_by_its_own_terms_whatever_the_database_guesses(
    session: Session, catalogue: Catalogue
):
    making.make(session, 150, "guesses", NOW)
    session.rollback()
    walk = select(Order.id).where(finding._begins("zzz").belongs(Order.id))
    plain = str(walk.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
    if session.get_bind().dialect.name == "sqlite":
        plan = [row[-1] for row in session.execute(text(f"EXPLAIN QUERY PLAN {plain}"))]
        assert any("order_term" in step and "PRIMARY KEY (order_id=? AND term>?" in step for step in plan), plan
        return
    for way in ("seqscan", "bitmapscan"):  # what is quickest for a table as small as this one
        session.execute(text(f"SET LOCAL enable_{way} = off"))
    steps = "\n".join(session.scalars(text(f"EXPLAIN {plain}")))
    assert "using pk_order_term" in steps, steps


def test_pages_go_there_and_back_while_orders_come_in(session: Session, catalogue: Catalogue):
    making.make(session, 120, "pages", NOW)
    numbers = list(session.scalars(select(Order.number).order_by(Order.placed_at.desc(), Order.id.desc())))
    first = finding.orders(session, Wanted())
    assert first is not None
    assert first.newer is None
    factories.make_order(session, now=NOW)
    second = finding.orders(session, Wanted(), before=first.older)
    assert second is not None
    third = finding.orders(session, Wanted(), before=second.older)
    assert third is not None
    assert third.older is None
    assert [each.number for page in (first, second, third) for each in page.rows] == numbers
    for window in (0, 10, 10_000):  # a walk that is given up leads to the same neighbours
        walk = paging.listed(finding._begins("rr").belongs(Order.id))
        ways = finding._ways(session, Wanted(typed="rr"))._replace(walk=walk, window=window)
        key = paging.key_of(session, third.newer)
        rows, more = finding._page(session, ways, None, key)
        assert ([row.number for row in rows], more) == (numbers[50:100], True)
    back = finding.orders(session, Wanted(), after=third.newer)
    assert back is not None
    assert [each.number for each in back.rows] == numbers[50:100]
    assert finding.orders(session, Wanted(), before=10**9) is None


def test_what_several_words_and_a_filter_find_is_paged_there_and_back(session: Session, catalogue: Catalogue):
    making.make(session, 600, "several", NOW)
    wanted = Wanted(typed="london example", payment=PaymentState.PAID)
    of_london = select(OrderTerm.order_id).where(OrderTerm.term == "london")
    listed = select(Order.id).where(Order.id.in_(of_london), Order.payment_state == PaymentState.PAID)
    ids = list(session.scalars(listed.order_by(Order.placed_at.desc(), Order.id.desc())))
    fetched = finding._ways(session, wanted).fetch
    assert fetched.asked is not None
    pages, key, more = [], None, True
    while more:
        rows, more = paging.page(session, select(Order.id, Order.placed_at), fetched, before=key, size=7)
        pages.append([row.id for row in rows])
        key = (rows[-1].placed_at, rows[-1].id)
    assert [each for page in pages for each in page] == ids
    assert len(pages) > 2
    middle = paging.key_of(session, pages[2][0])
    rows, more = paging.page(session, select(Order.id), fetched, after=middle, size=7)
    assert ([row.id for row in rows], more) == (pages[1], True)


def test_the_moment_beside_a_term_is_its_orders_whoever_writes_it(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    order = factories.make_paid_order(session, gateway)
    transact(session, fulfilment.post, order.id, "DHL", "JD0001", timeline.admin("Vera"), NOW)
    number, order_id = order.number, order.id
    making.make(session, 20, "moments", NOW)
    astray = select(OrderTerm).join(Order).where(OrderTerm.placed_at != Order.placed_at)
    assert session.scalars(astray).all() == []
    assert list(audit.run(session)) == []
    later = NOW + timedelta(days=1)
    transact(
        session, lambda s: s.execute(update(OrderTerm).where(OrderTerm.term == "jd0001").values(placed_at=later))
    )
    assert [(each.kind, each.what) for each in audit.run(session)] == [("search terms", number)]
    terms.rebuild(session, [order_id])
    assert session.scalars(astray).all() == []


def test_orders_of_one_instant_are_each_seen_once_whatever_the_page_ends_with(
    session: Session, catalogue: Catalogue
) -> None:
    ids = [factories.make_order(session, now=NOW).id for _ in range(5)]
    seen: list[int] = []
    key, more = None, True
    while more:
        rows, more = paging.page(session, select(Order), paging.listed(true()), before=key, size=2)
        seen += [row[0].id for row in rows]
        key = (rows[-1][0].placed_at, rows[-1][0].id)
    assert seen == ids[::-1]
    newer, _more = paging.page(session, select(Order), paging.listed(true()), after=(NOW, ids[1]), size=2)
    assert [row[0].id for row in newer] == [ids[3], ids[2]]


@pytest.mark.parametrize("kind", DATABASES)
def test_buyers_of_before_are_found_after_the_migration(
    kind: str, new_database: Callable[[str, str], str], tmp_path: Path
) -> None:
    """In a database of its own: a migration that breaks off leaves the others' tables alone."""
    with migrated(settings_for(new_database(kind, "finding"), tmp_path)) as app:
        with Session(engine_of(app)) as session:
            factories.stock_the_shop(session)
            order = factories.make_order(session, purchase_order="PO 2024/117")
            rename(session, order, name="Анна Ёлкина", email="a.elkina@example.org", city="Saint-Étienne")
            number = order.number
        flask_migrate.downgrade(revision="0006")
        flask_migrate.upgrade()
        with Session(engine_of(app)) as session:
            assert found(session, typed="saint-et po2024117 елк") == [number]
            assert list(audit.run(session)) == []
            assert session.scalars(select(Buyer.search)).one()
