"""The desk's journal: whatever is done is in it, from what to what, and no secret is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.database import transact
from shop.orders.models import Buyer
from shop.orders.placing import locked
from shop.payments.models import Payment
from shop.staff import Admin, JournalEntry, journal
from tests import factories
from tests.client import Client
from tests.factories import PASSWORD, Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import desk, form_to, url
from tests.test_admin_signing import sign_in

__all__ = ["desk"]
NOTHING = update(Buyer).where(Buyer.order_id == 0).values(note="")


def entries(session: Session, kind: str) -> list[JournalEntry]:
    return list(session.scalars(select(JournalEntry).where(JournalEntry.kind == kind).order_by(JournalEntry.id)))


def test_whatever_changes_something_is_written_down_with_it_from_what_to_what(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    form = desk.get("/admin/setup/prices").page.form("paperback-GBP")
    before = form.fields["paperback-GBP"]
    assert desk.submit(form, **{"paperback-GBP": "23.45"}).status_code == 303
    (entry,) = entries(session, "change_prices")
    assert entry.name == "Vera Keeper"
    assert [each[2:] for each in entry.changes] == [["amount", int(before.replace(".", "")), 2345]]
    page = desk.get("/admin/journal?q=2345").page.text
    assert "changed prices" in page
    assert "2345" in page


def test_one_deed_is_one_entry_about_its_order(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    desk.submit(form_to(desk.get(url(order)), "/post"), carrier="Royal Mail", tracking="AB1")
    (entry,) = entries(session, "post")
    assert (entry.about, entry.subject) == ("number", order.number)
    assert f"/admin/orders/{order.number}" in desk.get("/admin/journal?kind=post").page.links()


def test_what_is_done_to_many_orders_at_once_has_an_entry_for_each(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    vera = factories.make_admin(session)
    orders = [factories.make_paid_order(session, gateway) for _ in range(3)]
    journal.undertake(session, journal.Deed(vera.id, vera.name, "post_ticked", datetime.now(UTC)))

    def touch(s: Session, order_id: int) -> None:
        locked(s, order_id)
        s.execute(NOTHING)

    for order_id in [each.id for each in orders]:
        for _ in range(2):
            transact(session, touch, order_id)
    assert [each.subject for each in entries(session, "post_ticked")] == [each.number for each in orders]


def test_a_refund_is_found_by_the_number_of_its_order(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    payment_id = session.scalars(select(Payment.id)).one()
    form = desk.get(f"/admin/payments/{payment_id}/refund").page.form("reason")
    assert desk.submit(form, reason="requested_by_customer").status_code == 303
    (entry,) = entries(session, "refund")
    assert (entry.about, entry.subject) == ("number", order.number)
    assert order.number in desk.get(f"/admin/journal?q={order.number}&kind=refund").page.text


def test_what_was_refused_is_not_written_down(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    form = form_to(desk.get(url(order)), "/post")
    desk.submit(form)
    assert desk.submit(form).status_code == 409
    assert desk.submit(form_to(desk.get("/admin/stock"), "/stock/paperback"), counted="x").status_code == 422
    assert (
        desk.submit(form_to(desk.get("/admin/stock"), "/stock/paperback"), counted="1", seen="7").status_code
        != 303
    )
    desk.submit(desk.get("/admin/confirm").page.form("password"), password="not the password")
    token = {"csrf_token": form.fields["csrf_token"]}
    assert desk.post("/admin/setup/facts/999", data=token).status_code == 404
    assert len(entries(session, "post")) == 1
    for kind in ("count", "confirm_presence", "confirm"):
        assert entries(session, kind) == []


def test_an_export_is_written_down_though_it_changes_nothing(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    assert desk.get(url(order, "/evidence.txt")).status_code == 200
    assert [each.subject for each in entries(session, "evidence")] == [order.number]


def test_no_password_code_or_secret_is_in_the_journal(desk: Client, session: Session) -> None:
    desk.submit(form_to(desk.get("/admin/account/second-factor"), "/offer"))
    form = desk.get("/admin/account").page.form("old")
    desk.submit(form, old=PASSWORD, new="another long sentence", again="another long sentence")
    vera = session.scalars(select(Admin)).one()
    told = " ".join(
        f"{each.search} {each.changes} {each.subject}" for each in session.scalars(select(JournalEntry))
    )
    for secret in (PASSWORD, "another long sentence", vera.password_hash, vera.totp_offered):
        assert secret.casefold() not in told.casefold()
    assert entries(session, "change_password")[0].changes == []


def test_signing_in_and_out_is_written_down_and_a_wrong_password_is_not(client: Client, session: Session) -> None:
    factories.make_admin(session)
    sign_in(client, password="wrong")
    assert entries(session, "sign_in_try") == []
    sign_in(client)
    client.submit(form_to(client.get("/admin/"), "/sign-out"))
    assert len(entries(session, "sign_in_try")) == len(entries(session, "sign_out")) == 1


def test_a_deed_whose_transaction_begins_again_is_written_down_once(app: Flask, session: Session) -> None:
    vera, tries = factories.make_admin(session), []
    journal.undertake(session, journal.Deed(vera.id, vera.name, "change_language", datetime.now(UTC)))

    def work(s: Session) -> None:
        s.get_one(Admin, vera.id).language = "ru"
        s.flush()
        tries.append(1)
        if len(tries) < 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        transact(session, work)
    transact(session, work)
    transact(session, lambda s: setattr(s.get_one(Admin, vera.id), "language", "en"))
    (entry,) = entries(session, "change_language")
    assert entry.changes == [["admin", vera.email, "language", "en", "ru"]]


def fill(session: Session, people: list[Admin], count: int) -> None:
    def work(s: Session) -> None:
        for number in range(count):
            at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number)
            who = people[number % len(people)]
            kind = "post" if number % 3 else "count"
            journal.note(
                s, kind, who, at, about="number", subject=f"RR-{number:04}", changes=[["price", "ё", "x", 1, 2]]
            )

    transact(session, work)


def test_the_journal_is_searched_by_person_kind_day_and_text_and_read_to_its_end(
    desk: Client, session: Session
) -> None:
    vera, anna = (
        session.scalars(select(Admin)).one(),
        factories.make_admin(session, "a@longlane.example", "Анна Ёлкина"),
    )
    fill(session, [vera, anna], 130)

    def count(query: str) -> int:
        found, address = 0, f"/admin/journal?{query}"
        while address:
            page = desk.get(address).page
            found += len(page.all(".//ol[@class='timeline']/li"))
            address = next((link for link, text in page.links().items() if text == "Older"), "")
        return found

    assert count("") >= 131
    assert count(f"person={anna.id}") == 65
    assert count("kind=count") == 44
    assert count("from=2026-03-02&to=2026-03-02") == 24
    assert count("q=rr-0007") == 1
    assert count("q=елкина") == 65
    assert count(f"person={anna.id}&kind=count&to=2026-03-02") == 8
    assert count("q=%25") == 0
    for strange in ("person=x", "kind=nonsense", "from=yesterday", f"person={10**12}", f"q={'x' * 201}"):
        assert desk.get(f"/admin/journal?{strange}").status_code == 404
