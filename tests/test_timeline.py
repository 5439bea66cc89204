"""The timeline: a chain that shows whatever was changed, taken out or cut off, and names nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import erasure
from shop.database import transact
from shop.letters.models import Letter
from shop.orders import fulfilment, placing, timeline
from shop.orders.models import Buyer, Concern, Order, PersonalValue, TimelineEntry, Worry
from tests.factories import Catalogue, make_admin, make_order, make_paid_order
from tests.fake_gateway import FakeGateway
from tests.till import at_once, differences, letters, story


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway) -> Order:
    return make_paid_order(session, gateway, note="Für Ада 🙂", purchase_order="PO 1921")


def breaks(session: Session, order: Order) -> list[str]:
    session.rollback()
    session.expire_all()
    return list(timeline.breaks(order))


def entry(seq: int):  # type: ignore[no-untyped-def]
    return TimelineEntry.seq == seq


def test_each_entry_is_chained_to_the_one_before(session: Session, order: Order):
    assert story(session, order) == ["placed", "checkout_opened", "paid"]
    assert breaks(session, order) == []
    assert (order.timeline_count, len(order.timeline_head)) == (3, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "cancelled"},
        {"actor": "buyer"},
        {"admin": "somebody"},
        {"details": {"attempt": 2}},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"digest": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_entry_is_named(session: Session, order: Order, change: dict[str, object]):
    session.execute(update(TimelineEntry).where(entry(2)).values(change))
    session.commit()
    [broken] = breaks(session, order)
    assert "entry 2" in broken
    assert "was changed" in broken
    assert any("timeline" in each for each in differences(session))


@pytest.mark.parametrize(("seq", "says"), [(1, "entry 1 is missing"), (2, "entry 2 is missing")])
def test_a_missing_entry_is_named(session: Session, order: Order, seq: int, says: str):
    session.execute(delete(TimelineEntry).where(entry(seq)))
    session.commit()
    assert breaks(session, order) == [says]


def test_a_cut_off_end_is_named(session: Session, order: Order):
    session.execute(delete(TimelineEntry).where(entry(3)))
    session.commit()
    assert breaks(session, order) == ["the timeline ends at entry 2, not 3"]


def test_an_entry_put_in_later_is_named(session: Session, order: Order):
    with Session(session.get_bind()) as other:
        forged = other.get_one(Order, order.id)
        added = TimelineEntry(
            order_id=forged.id, seq=4, at=forged.placed_at, actor="system", kind="refunded", digest=""
        )
        added.admin, added.details = "", {}
        added.digest = timeline.digest(forged, added, forged.timeline_head)
        other.add(added)
        other.commit()
    assert breaks(session, order) == ["the timeline ends at entry 4, not 3"]


def test_entries_of_another_order_do_not_fit(session: Session, catalogue: Catalogue):
    first, second = make_order(session), make_order(session)
    values = {each.id: (each.timeline_head, each.timeline[0].digest) for each in (first, second)}
    assert len(set(values.values())) == 2


def test_two_entries_cannot_have_the_same_place(session: Session, order: Order):
    twin = TimelineEntry(order_id=order.id, seq=3, at=order.placed_at, actor="system", kind="x", digest="")
    session.expunge_all()
    session.add(twin)
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_many_writers_at_once_make_one_unbroken_chain(app: Flask, session: Session, order: Order, now: datetime):
    order_id = order.id
    session.rollback()

    def work(s: Session, number: int) -> None:
        def write(inner: Session) -> None:
            timeline.note(inner, placing.locked(inner, order_id), "looked_at", timeline.SYSTEM, now, by=number)

        for _ in range(3):
            transact(s, write)

    assert at_once(app, 8, work) == [None] * 8
    session.refresh(order)
    assert order.timeline_count == 3 + 24
    assert breaks(session, order) == []


def test_the_chain_does_not_hang_on_zone_or_order_of_keys(session: Session, order: Order, now: datetime):
    """Databases give back other zones and other orders of keys than were put in."""
    row = TimelineEntry(order_id=order.id, seq=9, actor="system", admin="", kind="x", digest="")
    row.at, row.details = now + timedelta(microseconds=1), {"a": 1, "б": "ё"}
    there = TimelineEntry(order_id=order.id, seq=9, actor="system", admin="", kind="x", digest="")
    there.at = row.at.astimezone(timezone(timedelta(hours=3)))
    there.details = json.loads(json.dumps({"б": "ё", "a": 1}))
    assert timeline.digest(order, row, "") == timeline.digest(order, there, "")
    assert timeline.digest(order, row, "") != timeline.digest(order, row, "0")


def test_no_entry_names_the_buyer(session: Session, order: Order):
    told = json.dumps(
        [[each.kind, each.admin, each.details] for each in session.scalars(select(TimelineEntry)).unique()],
        ensure_ascii=False,
    )
    buyer = order.buyer
    for secret in (buyer.email, buyer.name, buyer.line1, buyer.postal_code, buyer.note, buyer.purchase_order):
        assert secret
        assert secret not in told


def test_erasing_the_buyer_breaks_no_chain(session: Session, posted: Order, now: datetime):
    session.execute(update(Letter).values(state="sent"))
    session.commit()
    transact(session, erasure.erase_order, posted.id, timeline.SYSTEM, now)
    assert breaks(session, posted) == []
    assert differences(session) == []


def test_a_worry_is_raised_once_for_each_cause(session: Session, order: Order, now: datetime):
    make_admin(session)

    def work(s: Session, cause: str) -> None:
        timeline.worry(s, placing.locked(s, order.id), Worry.FRAUD_WARNING, now, cause=cause)

    for cause in ("one", "one", "other"):
        transact(session, work, cause)
    assert [concern.cause for concern in session.scalars(select(Concern))] == ["one", "other"]
    assert len([letter for letter in letters(session) if letter.kind == "attention"]) == 2
    session.refresh(order)
    assert (order.needs_attention, order.may_be_posted) == (True, False)


def test_attention_ends_with_the_last_worry(session: Session, order: Order, now: datetime):
    def work(s: Session) -> None:
        locked = placing.locked(s, order.id)
        for cause in ("one", "other"):
            timeline.worry(s, locked, Worry.FRAUD_WARNING, now, cause=cause)

    def settle(s: Session, place: int) -> bool:
        locked = placing.locked(s, order.id)
        timeline.settle_worry(s, locked, locked.concerns[place], timeline.admin("Vera Keeper"), now)
        return locked.needs_attention

    transact(session, work)
    assert [transact(session, settle, place) for place in (1, 1, 0)] == [True, True, False]
    assert story(session, order).count("attention_settled") == 2
    assert differences(session) == []


def test_details_that_are_not_json_are_refused(session: Session, order: Order, now: datetime):
    locked = placing.locked(session, order.id)
    with pytest.raises(TypeError):
        timeline.note(session, locked, "x", timeline.SYSTEM, now, sum=Decimal(1))
    session.rollback()


def test_an_order_that_is_not_locked_takes_no_entry(session: Session, order: Order, now: datetime):
    """Two writers could otherwise take the same place, and the one who lost would have done his work for nothing."""
    with pytest.raises(RuntimeError, match="is not locked"):
        timeline.note(session, order, "looked_at", timeline.SYSTEM, now)
    placing.locked(session, order.id)
    session.rollback()  # and with the transaction its locks are gone
    with pytest.raises(RuntimeError, match="is not locked"):
        timeline.note(session, order, "looked_at", timeline.SYSTEM, now)
    session.rollback()


@pytest.fixture
def posted(session: Session, order: Order, now: datetime) -> Order:
    """An order whose timeline speaks of a tracking number."""
    transact(session, fulfilment.post, order.id, "Royal Mail", "RN123456789GB", timeline.admin("Vera Keeper"), now)
    session.refresh(order)
    return order


def test_a_personal_value_lies_beside_the_entry_that_holds_only_its_salted_digest(session: Session, posted: Order):
    last = posted.timeline[-1]
    [value] = last.personal
    assert (value.field, value.value, len(value.salt)) == ("tracking", "RN123456789GB", 32)
    assert "RN123456789GB" not in json.dumps(last.details)
    assert last.told == {"carrier": "Royal Mail", "tracking": "RN123456789GB"}
    assert breaks(session, posted) == []
    assert differences(session) == []


def test_the_same_value_never_has_the_same_digest(session: Session, posted: Order, now: datetime):
    def twice(s: Session) -> None:
        locked = placing.locked(s, posted.id)
        for _ in range(2):
            timeline.note(s, locked, "x", timeline.SYSTEM, now, personal={"tracking": "RN123456789GB"})

    transact(session, twice)
    session.refresh(posted)
    assert len({each.details["personal"]["tracking"] for each in posted.timeline[-3:]}) == 3


def test_an_empty_personal_value_leaves_nothing(session: Session, order: Order, now: datetime):
    def write(s: Session) -> None:
        timeline.note(s, placing.locked(s, order.id), "x", timeline.SYSTEM, now, personal={"tracking": ""})

    transact(session, write)
    session.refresh(order)
    assert (order.timeline[-1].details, order.timeline[-1].personal) == ({}, [])


@pytest.mark.parametrize("change", [{"value": "RN000000000GB"}, {"salt": "0" * 32}], ids=["value", "salt"])
def test_a_changed_personal_value_is_named(session: Session, posted: Order, change: dict[str, str]):
    session.execute(update(PersonalValue).values(change))
    session.commit()
    assert breaks(session, posted) == ["the tracking of entry 4 (posted) was changed"]
    assert any("tracking of entry 4" in each for each in differences(session))


def test_a_personal_value_that_was_taken_away_by_itself_is_named(session: Session, posted: Order):
    session.execute(delete(PersonalValue))
    session.commit()
    assert breaks(session, posted) == ["the tracking of entry 4 (posted) is missing"]


def test_a_personal_value_left_over_by_an_erasure_is_named(session: Session, posted: Order, now: datetime):
    session.execute(update(Buyer).values(erased_at=now))
    session.commit()
    assert breaks(session, posted) == ["the tracking of entry 4 (posted) was not erased"]


def test_a_personal_value_put_in_later_is_named(session: Session, posted: Order):
    session.add(PersonalValue(order_id=posted.id, seq=1, field="note", salt="0" * 32, value="Ada"))
    session.commit()
    assert breaks(session, posted) == ["the note of entry 1 (placed) was changed"]


def test_a_digest_that_was_changed_with_its_value_is_named(session: Session, posted: Order):
    """Whoever makes a digest fit a false value has changed the entry."""
    last = posted.timeline[-1]
    last.personal[0].value = "RN000000000GB"
    last.details = {**last.details, "personal": {"tracking": timeline.value_digest(posted, last.personal[0])}}
    session.commit()
    assert breaks(session, posted) == ["entry 4 (posted) was changed"]
