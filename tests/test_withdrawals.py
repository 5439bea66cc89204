"""Withdrawing from a purchase: two steps, one statement, acknowledged; a task with a deadline at the desk."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import erasure
from shop.database import transact
from shop.errors import WrongState
from shop.letters.models import Kind
from shop.markets import MARKETS, SHOP_ZONE, day_of, write_date
from shop.orders import fulfilment, placing, timeline
from shop.orders.models import Order, Worry
from shop.withdrawals import statements
from shop.withdrawals.models import Withdrawal
from shop.withdrawals.statements import Statement
from tests.client import Answer, Client
from tests.conftest import MovedClock
from tests.factories import Catalogue, make_admin, make_order, make_paid_order
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import desk, form_to
from tests.test_erasure import everything, send_all
from tests.till import at_once, differences, letters, story

__all__ = ["desk"]
SAME = {"Sec-Fetch-Site": "same-origin"}
ADMIN = timeline.admin("Vera Keeper")
UNKNOWN = {"name": "Ada Reader", "number": "RR-00000000", "email": "ada@reader.example", "details": ""}


def told(order: Order) -> dict[str, str]:
    return {"name": "Ada Reader", "number": order.number, "email": order.buyer.email, "details": ""}


def state(client: Client, typed: dict[str, str], market: str = "en-gb") -> Answer:
    """Both steps; the answer to the second."""
    first = client.submit(form_to(client.get(f"/{market}/withdraw"), "/withdraw"), **typed)
    assert first.status_code == 200, first.page.text
    return client.submit(form_to(first, "/withdraw"), step="confirm")


def rows(session: Session) -> list[Withdrawal]:
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Withdrawal).order_by(Withdrawal.id)))


def keep(session: Session, statement: Statement, now: datetime) -> Withdrawal:
    return transact(session, statements.keep, statement, MARKETS["en-gb"], now)


def test_nothing_is_stated_before_the_second_step(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    first = client.submit(form_to(client.get("/en-gb/withdraw"), "/withdraw"), **told(order))
    assert [name for _, _, name in form_to(first, "/withdraw").buttons] == [
        "Confirm withdrawal",
        "Change something",
    ]
    assert order.number in first.page.text
    back = client.submit(form_to(first, "/withdraw"), step="change")
    assert form_to(back, "/withdraw").fields["number"] == order.number
    assert rows(session) == []


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_a_statement_is_kept_with_its_moment_acknowledged_and_a_task_with_its_deadline(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway, market: str
) -> None:
    make_admin(session)
    order = make_paid_order(session, gateway, market=market, country=MARKETS[market].region.home)
    answer = state(client, told(order), market)
    assert answer.status_code == 303
    [kept] = rows(session)
    assert kept.order_id == order.id
    assert kept.due_on == day_of(kept.stated_at) + timedelta(days=14)
    page = client.get(answer.location).page
    assert order.number in page.text
    assert kept.stated_at.astimezone(SHOP_ZONE).strftime("%H:%M") in page.text
    [acknowledged] = letters(session, Kind.WITHDRAWAL_ACKNOWLEDGED)
    assert acknowledged.recipient == order.buyer.email
    assert acknowledged.locale == MARKETS[market].locale
    assert acknowledged.context["stated_at"] == kept.stated_at.isoformat()
    [warned] = letters(session, Kind.ATTENTION)
    assert warned.context["worry"] == Worry.WITHDRAWN.value
    assert letters(session, Kind.WITHDRAWAL_STATED) == []
    assert "withdrawal_stated" in story(session, order)
    session.refresh(order)
    assert order.needs_attention
    assert differences(session) == []


def test_a_statement_about_no_known_order_is_kept_and_answered_in_the_same_way(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    make_admin(session)
    order = make_paid_order(session, gateway)
    told_right, told_wrong = told(order), told(order) | {"email": "somebody@else.example"}
    pages = []
    for typed in (told_right, told_wrong, UNKNOWN):
        answer = state(client, typed)
        assert answer.status_code == 303
        page = client.get(answer.location).page.text
        for value in typed.values():
            page = page.replace(value, "…") if value else page
        pages.append(re.sub(r"\d\d:\d\d", "", page))
    assert len(set(pages)) == 1
    assert [each.order_id for each in rows(session)] == [order.id, None, None]
    stated = letters(session, Kind.WITHDRAWAL_STATED)
    assert [each.context["number"] for each in stated] == [order.number, "RR-00000000"]
    assert len(letters(session, Kind.WITHDRAWAL_ACKNOWLEDGED)) == 3


def test_the_same_stated_twice_is_one_statement(
    client: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    typed = told(order)
    first = state(client, typed)
    again = state(client, typed | {"email": typed["email"].upper(), "name": " ada  reader "})
    assert first.location == again.location
    assert len(rows(session)) == 1
    assert len(letters(session, Kind.WITHDRAWAL_ACKNOWLEDGED)) == 1


def test_two_posts_in_the_same_moment_make_one_statement(
    app: Flask, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    typed, at = Statement(**told(order)), datetime.now(UTC)

    def post(s: Session, _number: int) -> str:
        return transact(s, statements.keep, typed, MARKETS["en-gb"], at).token

    assert len(set(at_once(app, 4, post))) == 1
    assert len(rows(session)) == 1
    assert len(letters(session, Kind.WITHDRAWAL_ACKNOWLEDGED)) == 1
    assert story(session, order).count("withdrawal_stated") == 1


def test_what_is_missing_is_told_at_its_field_and_at_the_head(client: Client, catalogue: Catalogue) -> None:
    form = form_to(client.get("/ru-gb/withdraw"), "/withdraw")
    answer = client.submit(form, name="", number="", email="нет")
    assert answer.status_code == 400
    [summary] = answer.page.all(".//div[@role='alert']")
    assert [each.get("href") for each in summary.iter("a")] == ["#name", "#number", "#email"]
    for name in ("name", "number", "email"):
        [field] = answer.page.all(f".//input[@id='{name}']")
        assert field.get("aria-invalid") == "true"
        assert f"{name}-error" in field.get("aria-describedby", "")


def test_many_statements_from_one_address_are_slowed_and_never_shut_out(
    client: Client, session: Session, catalogue: Catalogue, clock: MovedClock
) -> None:
    numbers = iter(range(100))

    def post() -> Answer:
        typed = UNKNOWN | {"number": f"no {next(numbers)}", "email": f"r{next(numbers)}@reader.example"}
        return client.post("/en-gb/withdraw", data=typed | {"step": "confirm"}, headers=SAME)

    assert {post().status_code for _ in range(10)} == {303}
    refused = post()
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) <= 60
    assert "Nothing is stated yet" in refused.page.text
    clock.advance(seconds=61)
    assert post().status_code == 303


def test_no_one_can_have_a_stranger_written_to_without_end(
    client: Client, session: Session, catalogue: Catalogue, clock: MovedClock
) -> None:
    codes = []
    for turn in range(11):
        typed = UNKNOWN | {"number": f"no {turn}", "step": "confirm"}
        codes.append(client.post("/en-gb/withdraw", data=typed, headers=SAME).status_code)
        clock.advance(seconds=30)
    assert codes == [303] * 10 + [429]
    assert len(letters(session, Kind.WITHDRAWAL_ACKNOWLEDGED)) == 10


def test_the_desk_sees_the_task_on_today_on_the_order_and_in_the_list_and_marks_it_as_done(
    desk: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    state(desk, told(order) | {"details": "Only the Russian one"})
    for page in ("/admin/", f"/admin/orders/{order.number}", "/admin/withdrawals"):
        text = desk.get(page).page.text
        assert order.number in text
        assert write_date(rows(session)[0].due_on, "en_GB") in text
    whole = desk.get(f"/admin/orders/{order.number}")
    assert "Only the Russian one" in whole.page.text
    assert "The buyer stated that he withdraws." in whole.page.text
    done = form_to(whole, "/done")
    assert desk.submit(done).status_code == 303
    assert desk.submit(done).status_code == 409
    [kept] = rows(session)
    assert kept.done_by == "Vera Keeper"
    session.refresh(order)
    assert not order.needs_attention
    assert story(session, order)[-2:] == ["withdrawal_done", "attention_settled"]
    assert "Withdrawals to deal with" not in [
        "".join(each.itertext()) for each in desk.get("/admin/").page.all(".//h2")
    ]
    assert order.number in desk.get("/admin/withdrawals?state=done").page.text


def test_a_withdrawn_order_cannot_be_posted_until_a_person_has_looked(
    desk: Client, session: Session, catalogue: Catalogue, gateway: FakeGateway
) -> None:
    order = make_paid_order(session, gateway)
    state(desk, told(order))
    order_id, at = order.id, datetime.now(UTC)
    with pytest.raises(WrongState):
        transact(session, fulfilment.post, order_id, "", "", ADMIN, at)
    [kept] = rows(session)
    transact(session, statements.finish, kept.id, ADMIN, at)
    transact(session, fulfilment.post, order_id, "", "", ADMIN, at)


def test_an_unpaid_order_stays_payable_when_somebody_withdraws_from_it(
    client: Client, session: Session, catalogue: Catalogue, now: datetime
) -> None:
    order = make_order(session)
    order.buyer.email = "ada@reader.example"
    session.commit()
    keep(session, Statement("Ada", order.number, "ada@reader.example"), now)
    session.refresh(order)
    assert not order.needs_attention
    assert "withdrawal_stated" in story(session, order)


def test_nobody_finishes_a_statement_twice(session: Session, catalogue: Catalogue, now: datetime) -> None:
    kept = keep(session, Statement("Ada", "?", "ada@reader.example"), now)
    transact(session, statements.finish, kept.id, ADMIN, now)
    with pytest.raises(WrongState):
        transact(session, statements.finish, kept.id, ADMIN, now)


def test_erasing_empties_statements_with_their_order_and_alone_and_waits_for_open_ones(
    session: Session, catalogue: Catalogue, gateway: FakeGateway, now: datetime
) -> None:
    make_admin(session)
    order = make_paid_order(session, gateway, now)
    order_id, said = order.id, told(order)
    mine = keep(session, Statement(**said | {"name": "Zora Quill", "details": "the torn one"}), now).id
    keep(session, Statement("Zora Quill", "no idea", "zora@quill.example", "the wet one"), now)
    later = now + timedelta(days=8 * 366)

    def look(s: Session) -> None:
        held = placing.locked(s, order_id)
        timeline.settle_worry(s, held, held.concerns[0], ADMIN, now)

    transact(session, look)
    transact(session, fulfilment.post, order_id, "", "", ADMIN, now)
    with pytest.raises(erasure.NotErasable, match="withdrawn"):
        transact(session, erasure.erase_order, order_id, timeline.SYSTEM, later)
    transact(session, statements.finish, mine, ADMIN, now)
    send_all(session, now + timedelta(hours=1))
    done = erasure.run(session, later, years=7, months=24)
    assert done.orders == [order.number]
    assert done.statements == 1
    left = everything(session)
    for secret in ("Zora Quill", "zora@quill.example", "the torn one", "the wet one", "no idea"):
        assert secret not in left
    assert differences(session) == []
