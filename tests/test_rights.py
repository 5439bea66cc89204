"""Who may do what at the desk, and when somebody has to show that it is still he."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin.rights import ACTS, EVERYBODY, FRESH, ROLES, Right
from shop.database import transact
from shop.orders.lifecycle import FulfilmentState
from shop.orders.models import Buyer, Order, TimelineEntry
from shop.payments.models import Payment, Refund
from shop.staff import Admin, Role
from tests import factories
from tests.client import Client, let_in, make_client
from tests.conftest import MovedClock, engine_of
from tests.factories import PASSWORD, Catalogue
from tests.fake_gateway import FakeGateway
from tests.test_admin_orders import form_to, has_form, url
from tests.test_admin_signing import sign_in
from tests.test_house import address_of

PEOPLE = ("/admin/people", "/admin/people/1", "/admin/journal")


def at_desk(app: Flask, session: Session, role: Role) -> Client:
    """Somebody in this role, signed in."""
    factories.make_admin(session, f"{role}@longlane.example", f"A {role}", role=role)
    client = make_client(app, after=session.rollback)
    let_in(client, f"{role}@longlane.example")
    return client


def payment_of(session: Session, order: Order) -> int:
    return session.scalars(select(Payment.id).where(Payment.order_id == order.id)).one()


def test_every_page_of_the_desk_says_who_may_use_it(app: Flask) -> None:
    pages = {
        rule.endpoint.removeprefix("admin.") for rule in app.url_map.iter_rules() if rule.endpoint[:6] == "admin."
    }
    assert pages - set(ACTS) == set(), "nobody may use these: give each a line in shop/admin/rights.py"
    assert set(ACTS) - pages == set(), "these are gone: take away their lines in shop/admin/rights.py"


def test_whatever_is_done_or_taken_away_has_words_in_the_journal(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin.") and rule.endpoint != "admin.unknown":
            act = ACTS[rule.endpoint.removeprefix("admin.")]
            done = "POST" in (rule.methods or ()) or act.right is Right.EXPORT
            assert (act.told is not None) == done, rule


def test_what_the_table_does_not_name_is_not_even_the_owners(app: Flask, session: Session) -> None:
    owner = at_desk(app, session, Role.OWNER)
    assert owner.get("/admin/stock").status_code == 200
    act = ACTS.pop("stock_page")
    try:
        assert owner.get("/admin/stock").status_code == 403
    finally:
        ACTS["stock_page"] = act


@pytest.mark.parametrize("role", Role)
def test_each_role_may_use_what_is_its_own_and_nothing_else(app: Flask, session: Session, role: Role) -> None:
    client = at_desk(app, session, role)
    for rule in app.url_map.iter_rules():
        right = ACTS[rule.endpoint.removeprefix("admin.")].right if rule.endpoint[:6] == "admin." else Right.ENTER
        if right in (Right.ENTER, *EVERYBODY) or rule.endpoint == "admin.unknown":
            continue
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        answer = client.open(address_of(app, rule), method=method)
        if right in ROLES[role]:
            assert answer.status_code != 403, rule
        else:
            assert answer.status_code == 403, rule
            assert "not for your role" in answer.page.text


def test_a_packer_posts_and_can_neither_refund_nor_export_nor_see_people(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order, packer = factories.make_paid_order(session, gateway), at_desk(app, session, Role.PACKER)
    page = packer.get(url(order))
    assert "Refund …" not in page.page.text
    assert not [link for link in packer.get("/admin/").page.links() if "people" in link or "journal" in link]
    for forbidden in (f"/admin/payments/{payment_of(session, order)}/refund", *PEOPLE, "/admin/money"):
        assert packer.get(forbidden).status_code == 403, forbidden
    token = {"csrf_token": page.page.forms()[0].fields["csrf_token"], "reason": "requested_by_customer"}
    assert packer.post(f"/admin/payments/{payment_of(session, order)}/refund", data=token).status_code == 403
    assert session.query(Refund).count() == 0
    assert packer.submit(form_to(page, "/post")).status_code == 303
    assert session.get_one(Order, order.id).fulfilment_state is FulfilmentState.POSTED


def test_a_packer_corrects_an_address_before_posting_under_his_own_name_and_a_reader_does_not(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_paid_order(session, gateway)
    reader, packer = at_desk(app, session, Role.READER), at_desk(app, session, Role.PACKER)
    way = f"{url(order)}/address"
    assert way not in reader.get(url(order)).page.links()
    assert reader.get(way).status_code == 403
    assert way in packer.get(url(order)).page.links()
    done = packer.submit(form_to(packer.get(way), "/address"), city="Cambridge")
    assert (done.status_code, done.location) == (303, url(order))
    assert session.get_one(Buyer, order.id).city == "Cambridge"
    entry = session.scalars(select(TimelineEntry).where(TimelineEntry.kind == "address_corrected")).unique().one()
    assert entry.admin == "A packer"


def test_a_reader_sees_and_is_offered_nothing_to_do(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order, reader = factories.make_paid_order(session, gateway), at_desk(app, session, Role.READER)
    page = reader.get(url(order))
    assert page.status_code == 200
    assert not has_form(page, "/post")
    assert not [each for each in page.page.forms() if "/letters/" in each.action]
    for address in ("/admin/stock", "/admin/money", "/admin/letters", "/admin/setup", "/admin/inbox"):
        offered = [each.action for each in reader.get(address).page.forms() if each.method == "POST"]
        assert {urlsplit(each).path for each in offered} == {"/admin/language", "/admin/sign-out"}, address


def test_a_new_role_holds_from_the_next_click(app: Flask, session: Session) -> None:
    owner, packer = at_desk(app, session, Role.OWNER), at_desk(app, session, Role.PACKER)
    assert packer.get("/admin/money").status_code == 403
    who = session.query(Admin).filter_by(role=Role.PACKER).one()
    form = form_to(owner.get(f"/admin/people/{who.id}"), f"/people/{who.id}")
    assert owner.submit(form, role="reader").status_code == 303
    assert packer.get("/admin/money").status_code == 200
    assert owner.submit(form, role="emperor").status_code == 422


# Still there?


def test_before_money_goes_back_one_shows_again_that_one_is_there(
    app: Flask, session: Session, gateway: FakeGateway, catalogue: Catalogue, clock: MovedClock
) -> None:
    order, owner = factories.make_paid_order(session, gateway), at_desk(app, session, Role.OWNER)
    address = f"/admin/payments/{payment_of(session, order)}/refund"
    assert owner.get(address).status_code == 200  # the sign-in is fresh
    clock.advance(minutes=10, seconds=1)
    stopped = owner.get(address)
    assert stopped.status_code == 303
    asked = owner.get(stopped.location).page.form("password")
    assert owner.submit(asked, password="").status_code == 422
    assert owner.submit(asked, password="not the password").status_code == 403
    assert owner.get(address).status_code == 303
    went_on = owner.submit(asked, password=PASSWORD)
    assert (went_on.status_code, went_on.location) == (303, address)
    assert owner.get(address).status_code == 200


def test_a_form_that_was_opened_in_time_may_be_sent_a_little_later_and_not_much(
    app: Flask, session: Session, clock: MovedClock
) -> None:
    owner = at_desk(app, session, Role.OWNER)
    form = form_to(owner.get("/admin/people"), "/rules")
    clock.advance(minutes=15)
    assert owner.get("/admin/people").status_code == 303
    assert owner.submit(form, ("required", "no")).location == "/admin/people"
    clock.advance(minutes=6)
    stopped = owner.post(
        "/admin/people/rules", data=form.fields, headers={"Referer": "http://localhost/admin/people"}
    )
    assert stopped.location == "/admin/confirm?next=/admin/people"


@pytest.mark.parametrize("right", sorted(FRESH, key=lambda each: each.name))
def test_what_needs_a_fresh_proof_is_never_open_to_a_stale_session(
    app: Flask, session: Session, clock: MovedClock, right: Right
) -> None:
    owner = at_desk(app, session, Role.OWNER)
    token = owner.get("/admin/").page.forms()[0].fields["csrf_token"]
    clock.advance(minutes=21)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin.") and ACTS[rule.endpoint[6:]].right is right:
            method = "POST" if "POST" in (rule.methods or ()) else "GET"
            answer = owner.open(address_of(app, rule), method=method, data={"csrf_token": token})
            assert answer.location.startswith("/admin/confirm"), rule


def test_a_guesser_at_somebodys_open_desk_is_stopped(app: Flask, session: Session, clock: MovedClock) -> None:
    owner = at_desk(app, session, Role.OWNER)
    clock.advance(minutes=11)
    form = owner.get("/admin/confirm").page.form("password")
    assert [owner.submit(form, password="guess").status_code for _ in range(11)] == [403] * 10 + [429]
    assert owner.submit(form, password=PASSWORD).status_code == 429
    clock.advance(minutes=16)
    assert owner.submit(form, password=PASSWORD).status_code == 303


def test_a_person_who_was_put_out_of_service_is_out_at_the_next_click(app: Flask, session: Session) -> None:
    owner, packer = at_desk(app, session, Role.OWNER), at_desk(app, session, Role.PACKER)
    who = session.query(Admin).filter_by(role=Role.PACKER).one()
    form = form_to(owner.get(f"/admin/people/{who.id}"), f"/people/{who.id}")
    del form.fields["active"]
    assert owner.submit(form).status_code == 303
    assert packer.get("/admin/").status_code == 302
    assert sign_in(packer, who.email).status_code == 403
    with Session(engine_of(app)) as other:
        transact(other, lambda s: setattr(s.get_one(Admin, who.id), "active", True))
    assert packer.get("/admin/").status_code == 302  # the old session does not come alive again
    assert datetime.now(UTC) > who.created_at
