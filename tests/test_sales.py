"""Sales by day and month: closed days are rows, the others are counted live, and both say the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from shop import audit, sales
from shop.database import transact
from shop.demo import making
from shop.money import Currency
from shop.payments.models import Payment, Refund, RefundSource, RefundState
from shop.sales import ClosedDay, DayTotal, Sum, What
from tests import factories
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway

SUMMER = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)  # half past midnight of 1 July in London
WINTER = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)  # still 30 November there


@pytest.mark.parametrize(("moment", "month"), [(SUMMER, "2026-07"), (WINTER, "2026-11")])
def test_a_sale_counts_in_the_month_that_the_shop_has(
    session: Session, gateway: FakeGateway, catalogue: Catalogue, moment: datetime, month: str
):
    factories.make_paid_order(session, gateway, now=moment, paperback=2)
    factories.make_order(session, now=moment)  # never paid
    later = moment + timedelta(days=3)
    live = sales.totals(session, date(2026, 6, 1), later)
    assert live.number[Sum(month, Currency.GBP, What.COUNTRY, "")] == 1
    assert live.number[Sum(month, Currency.GBP, What.EDITION, "paperback")] == 2
    assert {each.month for each in live.number} == {month}
    assert live.countries == {(Currency.GBP, "GB"): 1}
    assert sales.close_days(session, later) >= 2
    assert sales.totals(session, date(2026, 6, 1), later) == live


def test_the_hour_that_comes_twice_and_the_one_that_is_missing_belong_to_their_day(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    for moment in (
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 22, 59, tzinfo=UTC),  # the day has 23 hours
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 23, 59, tzinfo=UTC),  # and this one 25
    ):
        factories.make_paid_order(session, gateway, now=moment)
    sales.close_days(session, datetime(2026, 10, 27, 12, tzinfo=UTC))
    orders = select(DayTotal.day, DayTotal.number).where(DayTotal.what == What.COUNTRY).order_by(DayTotal.day)
    assert [tuple(row) for row in session.execute(orders)] == [(date(2026, 3, 29), 2), (date(2026, 10, 25), 2)]
    assert list(audit.run(session)) == []


def test_currencies_are_never_added_up(session: Session, gateway: FakeGateway, catalogue: Catalogue):
    factories.make_paid_order(session, gateway, now=SUMMER)
    factories.make_paid_order(session, gateway, now=SUMMER, market="en-us")
    found = sales.totals(session, date(2026, 6, 1), SUMMER)
    assert {each.currency for each in found.number} == {Currency.GBP, Currency.USD}
    assert {number for each, number in found.number.items() if each.what is What.COUNTRY} == {1}


def test_a_day_is_closed_when_nothing_of_it_can_be_under_way(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    factories.make_paid_order(session, gateway, now=datetime(2026, 7, 1, 12, tzinfo=UTC))
    midnight = datetime(2026, 7, 1, 23, tzinfo=UTC)
    assert sales.close_days(session, midnight + timedelta(minutes=59)) == 0
    assert sales.close_days(session, midnight + timedelta(minutes=61)) == 1
    assert sales.close_days(session, midnight + timedelta(minutes=62)) == 0


def test_a_refund_that_fails_later_opens_its_day_again(session: Session, catalogue: Catalogue):
    now = datetime(2026, 7, 15, 12, tzinfo=UTC)
    making.make(session, 200, "sales", now)
    before = sales.totals(session, date(2026, 1, 1), now)
    refund = session.scalars(
        select(Refund).where(Refund.finished_at < now - timedelta(days=3)).order_by(Refund.id)
    ).first()
    assert refund is not None
    assert refund.finished_at is not None
    refund_id, day = refund.id, sales.day_of(refund.finished_at)
    assert session.get(ClosedDay, day) is not None

    def fail(s: Session) -> None:
        row = s.get_one(Refund, refund_id)
        row.state, row.finished_at = RefundState.FAILED, now

    transact(session, fail)
    assert session.get(ClosedDay, day) is None
    assert [each for each in audit.run(session) if each.kind == "day"] == []
    session.rollback()
    live = sales.totals(session, date(2023, 1, 1), now)
    sales.close_days(session, now)
    assert sales.totals(session, date(2023, 1, 1), now) == live
    assert before != sales.totals(session, date(2026, 1, 1), now) or day.year < 2026


def test_a_day_on_which_money_only_went_back_is_closed_with_it(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    order = factories.make_paid_order(session, gateway, now=SUMMER)
    back = SUMMER + timedelta(days=3)
    payment = session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    refund = {
        "key": "r",
        "payment_id": payment.id,
        "state": RefundState.SUCCEEDED,
        "source": RefundSource.DASHBOARD,
    }
    transact(session, lambda s: s.add(Refund(**refund, amount=500, asked_at=back, finished_at=back)))
    later = SUMMER + timedelta(days=6)
    live = sales.totals(session, date(2026, 6, 1), later)
    assert live.amount[Sum("2026-07", Currency.GBP, What.REFUND, "")] == 500
    sales.close_days(session, later)
    assert sales.totals(session, date(2026, 6, 1), later) == live
    transact(session, lambda s: s.execute(delete(DayTotal).where(DayTotal.what == What.REFUND)))
    assert [each.what for each in audit.run(session) if each.kind == "day"] == ["2026-07-04, refund GBP"]


def test_the_audit_recomputes_closed_days(session: Session, gateway: FakeGateway, catalogue: Catalogue):
    factories.make_paid_order(session, gateway, now=SUMMER)
    sales.close_days(session, SUMMER + timedelta(days=2))
    assert list(audit.run(session)) == []
    session.rollback()
    transact(session, lambda s: s.execute(update(DayTotal).where(DayTotal.what == What.EDITION).values(number=7)))
    assert [(each.kind, each.what) for each in audit.run(session)] == [
        ("day", "2026-07-01, edition paperback GBP")
    ]
    session.rollback()
    transact(session, lambda s: s.delete(s.scalars(select(ClosedDay).order_by(ClosedDay.day)).first()))
    assert [each.what for each in audit.run(session)] == ["2026-07-01, totals"]
