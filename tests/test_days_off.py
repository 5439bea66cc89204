"""Days off are no working days for reminders."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from shop.database import transact
from shop.libraries import reminding
from shop.libraries.models import LibraryRules
from shop.markets import after_working_days, days_off
from shop.staff import Role
from tests.client import Client, make_client
from tests.factories import make_admin
from tests.test_admin_signing import sign_in

CHRISTMAS = "2026-12-25\n2026-12-28 – 2026-12-29\n\n2027-01-01"


def test_days_off_and_weekends_are_not_counted() -> None:
    holidays = days_off(CHRISTMAS)
    assert len(holidays) == 4
    assert after_working_days(date(2026, 12, 24), 1) == date(2026, 12, 25)
    assert after_working_days(date(2026, 12, 24), 1, holidays) == date(2026, 12, 30)
    assert after_working_days(date(2026, 12, 24), 3, holidays) == date(2027, 1, 4)


EASTER = "2027-03-26\n2027-03-29"


@pytest.mark.parametrize(
    ("asked", "days", "due"),
    [
        # The clocks go forward on Easter Day, 28 March 2027: nine in London is eight in UTC from then on.
        (datetime(2027, 3, 25, 23, 30, tzinfo=UTC), 1, datetime(2027, 3, 30, 8, 0, tzinfo=UTC)),
        (datetime(2027, 3, 24, 12, 0, tzinfo=UTC), 1, datetime(2027, 3, 25, 9, 0, tzinfo=UTC)),
        (datetime(2027, 3, 24, 12, 0, tzinfo=UTC), 3, datetime(2027, 3, 31, 8, 0, tzinfo=UTC)),
        # Asked on a holiday, and on the Saturday within.
        (datetime(2027, 3, 26, 12, 0, tzinfo=UTC), 2, datetime(2027, 3, 31, 8, 0, tzinfo=UTC)),
        (datetime(2027, 3, 27, 12, 0, tzinfo=UTC), 2, datetime(2027, 3, 31, 8, 0, tzinfo=UTC)),
    ],
)
def test_reminders_pass_over_easter_and_the_change_of_the_clocks(
    session: Session, asked: datetime, days: int, due: datetime
) -> None:
    decided = reminding.DEFAULTS | {"holidays": EASTER}
    transact(session, lambda s: s.add(LibraryRules(id=reminding.ONLY, **decided)))
    assert reminding.after(session, asked, days) == due


@pytest.mark.parametrize("line", ["2026-12-24..2027-01-02", "2026-12-24 / 2027-01-02", "2026-12-24 - 2027-01-02"])
def test_a_range_may_be_written_in_several_ways(line: str) -> None:
    assert len(days_off(line)) == 10


@pytest.mark.parametrize(
    "line",
    ["Christmas", "2026-02-30", "2027-01-02 – 2026-12-24", "2026-01-01 – 2099-01-01", "2026-12-2", "٢٠٢٦-١٢-٢٥"],
)
def test_what_is_no_day_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        days_off(f"2026-12-25\n{line}")
    assert str(refused.value) == line


def test_the_owner_writes_them_at_the_desk_and_reminders_heed_them(app: Flask, session: Session) -> None:
    make_admin(session, "vera@longlane.example", role=Role.OWNER)
    vera: Client = make_client(app, after=session.rollback)
    assert sign_in(vera, "vera@longlane.example").status_code == 303
    form = vera.get("/admin/libraries/rules").page.form("holidays")
    refused = vera.submit(form, holidays="Christmas")
    assert refused.status_code == 422
    assert refused.page.form("holidays").fields["holidays"] == "Christmas"
    assert vera.submit(form, holidays=CHRISTMAS).status_code == 303
    noon = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
    due = transact(session, reminding.after, noon, 3)
    assert due == datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
