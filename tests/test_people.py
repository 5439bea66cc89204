"""The people of the desk: invited by a letter, a second factor, sessions to revoke, and an owner who always remains."""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime

import pyotp
import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop import throttle
from shop.admin import guessing
from shop.database import transact
from shop.letters.delivery import deliver_due
from shop.letters.models import Kind, Letter
from shop.letters.rendering import Renderer
from shop.staff import Admin, AdminSession, RecoveryCode, Role, people, second_factor
from tests import factories
from tests.client import Answer, Client, make_client
from tests.conftest import MovedClock, engine_of
from tests.factories import PASSWORD
from tests.fake_mailer import FakeMailer
from tests.test_admin_orders import form_to, has_form
from tests.test_admin_signing import sign_in

VERA, ANNA = "vera@longlane.example", "anna@longlane.example"
NEW = "another long sentence"
CODE = re.compile(r"(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}")


@pytest.fixture
def desk(client: Client, session: Session) -> Client:
    """Vera, the owner, at the desk; her password is hashed cheaply again, for tests try passwords by the dozen."""
    vera = factories.make_admin(session).id
    assert sign_in(client).status_code == 303
    transact(session, lambda s: setattr(s.get_one(Admin, vera), "password_hash", factories.HASH))
    return client


@pytest.fixture
def anna(session: Session) -> Admin:
    """A packer."""
    return factories.make_admin(session, ANNA, "Anna", role=Role.PACKER)


def browser(app: Flask, session: Session, address: str = "198.51.100.7") -> Client:
    client = make_client(app, after=session.rollback)
    client.environ_base["REMOTE_ADDR"] = address
    return client


def enter(client: Client, email: str = VERA, password: str = PASSWORD, code: str = "") -> Answer:
    """Sign in as a person would, and first out if somebody is in."""
    if client.get("/admin/sign-in").status_code == 302:
        client.submit(form_to(client.get("/admin/account"), "/sign-out"))
    form = client.get("/admin/sign-in").page.form("email")
    return client.submit(form, email=email, password=password, code=code)


# The second factor


def code_at(secret: str, moment: datetime, step: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(moment.timestamp()) + 30 * step)


def set_up(client: Client, clock: MovedClock) -> tuple[str, list[str]]:
    """Set up an authenticator app as a person does; its secret and the recovery codes."""
    client.submit(form_to(client.get("/admin/account/second-factor"), "/offer"))
    page = client.get("/admin/account/second-factor")
    assert page.page.all(".//{http://www.w3.org/2000/svg}svg")
    secret = "".join(page.page.all(".//p/code")[0].text.split())
    answer = client.submit(page.page.form("code"), code=code_at(secret, clock.now()))
    assert answer.status_code == 200
    return secret, CODE.findall(answer.page.text)


def test_with_an_authenticator_app_the_password_alone_lets_nobody_in(
    desk: Client, session: Session, clock: MovedClock
) -> None:
    secret, codes = set_up(desk, clock)
    assert len(codes) == 10
    clock.advance(minutes=1)
    other = make_client(desk.application, after=session.rollback)
    for code in ("", "000000", "not a code", codes[0][:-1]):
        refused = enter(other, code=code)
        assert refused.status_code == 403
        assert "do not match" in refused.page.text
    assert enter(other, code=code_at(secret, clock.now())).status_code == 303
    assert other.get("/admin/").status_code == 200


def test_a_code_that_was_used_cannot_be_used_again_nor_can_an_earlier_one(
    desk: Client, session: Session, clock: MovedClock
) -> None:
    secret, _codes = set_up(desk, clock)
    set_up_with = code_at(secret, clock.now())
    other = make_client(desk.application, after=session.rollback)
    assert enter(other, code=set_up_with).status_code == 403
    now = clock.advance(minutes=2)
    code = code_at(secret, now)
    assert enter(other, code=f"{code[:3]} {code[3:]}").status_code == 303
    third = make_client(desk.application, after=session.rollback)
    assert enter(third, code=code).status_code == 403
    assert enter(third, code=code_at(secret, now, -1)).status_code == 403
    assert enter(third, code=code_at(secret, now, 1)).status_code == 303  # the telephone's clock may be fast


def test_a_code_of_long_ago_or_long_after_is_refused(desk: Client, session: Session, clock: MovedClock) -> None:
    secret, _codes = set_up(desk, clock)
    now = clock.advance(minutes=10)
    other = make_client(desk.application, after=session.rollback)
    for step in (-2, 2, -10):
        assert enter(other, code=code_at(secret, now, step)).status_code == 403


def test_a_recovery_code_works_once_and_is_kept_as_a_digest_alone(
    desk: Client, session: Session, clock: MovedClock
) -> None:
    _secret, codes = set_up(desk, clock)
    kept = session.scalars(select(RecoveryCode.code_hash)).all()
    assert len(kept) == 10
    assert not any(code.replace("-", "") in digest for code in codes for digest in kept)
    other = make_client(desk.application, after=session.rollback)
    assert enter(other, code=codes[3].lower().replace("-", " ")).status_code == 303
    assert "9 recovery codes are left" in other.get("/admin/account").page.text
    assert enter(make_client(desk.application), code=codes[3]).status_code == 403
    assert enter(make_client(desk.application), code=codes[4]).status_code == 303
    assert not CODE.search(desk.get("/admin/account/second-factor").page.text)  # shown once


def test_a_recovery_code_used_by_two_at_once_lets_one_in(
    app: Flask, session: Session, desk: Client, clock: MovedClock
) -> None:
    _secret, codes = set_up(desk, clock)
    vera_id, barrier, let_in = session.scalars(select(Admin.id)).one(), threading.Barrier(6), []

    def use() -> None:
        with Session(engine_of(app)) as own:
            barrier.wait()
            let_in.append(
                transact(own, lambda s: second_factor.check(s, s.get_one(Admin, vera_id), codes[0], clock.now()))
            )

    threads = [threading.Thread(target=use) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(let_in) == [False] * 5 + [True]


def test_new_recovery_codes_void_the_old_ones(desk: Client, session: Session, clock: MovedClock) -> None:
    _secret, old = set_up(desk, clock)
    answer = desk.submit(form_to(desk.get("/admin/account/second-factor"), "/codes"))
    new = CODE.findall(answer.page.text)
    assert len(new) == 10
    assert not set(new) & set(old)
    assert enter(make_client(desk.application), code=old[0]).status_code == 403
    assert enter(make_client(desk.application), code=new[0]).status_code == 303


def test_an_offered_secret_counts_for_nothing_until_a_code_confirms_it(
    desk: Client, session: Session, clock: MovedClock
) -> None:
    secret, _codes = set_up(desk, clock)
    desk.submit(form_to(desk.get("/admin/account/second-factor"), "/offer"))
    form = desk.get("/admin/account/second-factor").page.form("code")
    assert desk.submit(form, code="123456").status_code == 403
    now = clock.advance(minutes=1)
    assert enter(make_client(desk.application), code=code_at(secret, now)).status_code == 303


def test_a_code_proves_that_one_is_there(desk: Client, session: Session, clock: MovedClock) -> None:
    secret, codes = set_up(desk, clock)
    now = clock.advance(minutes=11)
    form = desk.get("/admin/confirm").page.form("password")
    assert desk.submit(form, code=code_at(secret, now)).status_code == 303
    assert desk.submit(form, code=code_at(secret, now)).status_code == 403
    assert desk.submit(form, code=codes[0]).status_code == 303


def test_an_owner_asks_everybody_for_a_second_factor(
    app: Flask, desk: Client, session: Session, anna: Admin, clock: MovedClock
) -> None:
    set_up(desk, clock)
    packer = browser(app, session)
    assert enter(packer, ANNA).status_code == 303
    desk.submit(form_to(desk.get("/admin/people"), "/rules"), ("required", "yes"))
    stopped = packer.get("/admin/orders")
    assert stopped.location == "/admin/account/second-factor"
    assert packer.post("/admin/orders/RR-00000000/post", data={"csrf_token": token_of(packer)}).status_code == 303
    set_up(packer, clock)
    assert packer.get("/admin/orders").status_code == 200
    assert not has_form(packer.get("/admin/account/second-factor"), "/remove")
    token = {"csrf_token": token_of(packer)}
    assert packer.post("/admin/account/second-factor/remove", data=token).status_code == 409


def token_of(client: Client) -> str:
    return client.get("/admin/account").page.forms()[0].fields["csrf_token"]


def test_whoever_lost_the_telephone_gets_in_when_an_owner_has_reset_it(
    app: Flask, desk: Client, session: Session, anna: Admin, clock: MovedClock
) -> None:
    packer = browser(app, session)
    enter(packer, ANNA)
    set_up(packer, clock)
    assert enter(browser(app, session), ANNA).status_code == 403
    assert desk.submit(form_to(desk.get(f"/admin/people/{anna.id}"), "/second-factor")).status_code == 303
    assert packer.get("/admin/").status_code == 302
    assert enter(packer, ANNA).status_code == 303
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 0


def test_one_may_do_without_again(desk: Client, session: Session, clock: MovedClock) -> None:
    set_up(desk, clock)
    assert desk.submit(form_to(desk.get("/admin/account/second-factor"), "/remove")).status_code == 303
    assert enter(make_client(desk.application)).status_code == 303


def test_a_second_factor_is_reset_by_a_command(
    app: Flask, desk: Client, session: Session, clock: MovedClock
) -> None:
    set_up(desk, clock)
    run = app.test_cli_runner().invoke
    assert run(args=["shop", "admin", "reset-second-factor", "--email", VERA]).exit_code == 0
    assert desk.get("/admin/").status_code == 302
    assert enter(desk).status_code == 303
    assert run(args=["shop", "admin", "reset-second-factor", "--email", "no@longlane.example"]).exit_code == 1


# Guessing


def test_twenty_wrong_passwords_lock_out_the_guesser_and_not_the_owner(
    app: Flask, session: Session, desk: Client
) -> None:
    guesser = browser(app, session, "203.0.113.9")
    statuses = [enter(guesser, password=f"guess {number}").status_code for number in range(20)]
    assert statuses == [403] * 10 + [429] * 10
    assert enter(guesser).status_code == 429  # even with the right password
    assert enter(browser(app, session)).status_code == 303  # from another address, in a new browser
    assert enter(desk).status_code == 303


def test_a_guesser_behind_the_owners_own_address_does_not_lock_her_out(
    app: Flask, session: Session, desk: Client
) -> None:
    guesser = make_client(app, after=session.rollback)
    for number in range(1, 6):  # beside a sixth whom nobody knows
        factories.make_admin(session, f"somebody{number}@longlane.example")
    for number in range(60):
        enter(guesser, f"somebody{number % 6}@longlane.example" if number % 5 else VERA, f"guess {number}")
    assert enter(guesser, password=PASSWORD).status_code == 429
    assert enter(make_client(app)).status_code == 429  # a browser nobody knows, from the same address
    assert enter(desk).status_code == 303


def test_guessers_everywhere_close_an_account_only_to_browsers_that_were_never_signed_in(
    app: Flask, session: Session, desk: Client, anna: Admin, clock: MovedClock
) -> None:
    for number in range(guessing.TRIES_PER_ACCOUNT):
        assert enter(browser(app, session, f"203.0.113.{number}"), password="guess").status_code == 403
    assert enter(browser(app, session, "192.0.2.1")).status_code == 429
    desk.environ_base["REMOTE_ADDR"] = "192.0.2.2"
    assert enter(desk).status_code == 303
    assert enter(browser(app, session, "192.0.2.3"), ANNA).status_code == 303  # others are not touched
    clock.advance(hours=1, minutes=1)
    assert enter(browser(app, session, "192.0.2.1")).status_code == 303


def test_a_known_browser_is_known_for_its_own_accounts_alone_and_cannot_be_forged(
    app: Flask, session: Session, desk: Client, anna: Admin
) -> None:
    for number in range(guessing.TRIES_PER_ACCOUNT):
        enter(browser(app, session, f"203.0.113.{number}"), ANNA, "guess")
    assert enter(desk, ANNA).status_code == 429
    forger = browser(app, session)
    cookie = desk.get_cookie(guessing.COOKIE, path="/admin")
    assert cookie is not None
    assert cookie.http_only
    forger.set_cookie(guessing.COOKIE, cookie.value[:-2] + "xx", path="/admin")
    assert enter(forger, ANNA).status_code == 429


def test_a_known_browser_may_not_guess_without_end_either(desk: Client) -> None:
    assert [enter(desk, password="guess").status_code for _ in range(11)] == [403] * 10 + [429]


def test_whoever_signs_in_often_is_not_taken_for_a_guesser(app: Flask, session: Session, desk: Client) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": "127.0.0.1"}):
        counted = guessing.keys(VERA, None)

    def nearly(s: Session) -> None:
        for key, (limit, window) in counted.items():
            for _ in range(limit - 2):
                throttle.spend(s, key, limit, window, datetime.now(UTC))

    transact(session, nearly)
    for _ in range(5):
        assert enter(make_client(app)).status_code == 303


# Sessions


def test_sessions_say_device_and_address_and_each_can_be_ended(app: Flask, session: Session, desk: Client) -> None:
    other = browser(app, session)
    other.environ_base["HTTP_USER_AGENT"] = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    enter(other)
    page = desk.get("/admin/account")
    assert "Firefox, Linux" in page.page.text
    assert "198.51.100.7" in page.page.text
    assert desk.submit(next(each for each in page.page.forms() if "/sessions/" in each.action)).status_code == 303
    assert other.get("/admin/").status_code == 302
    assert desk.get("/admin/").status_code == 200


def test_all_other_sessions_end_at_one_click(app: Flask, session: Session, desk: Client) -> None:
    others = [browser(app, session) for _ in range(3)]
    for each in others:
        enter(each)
    assert desk.submit(form_to(desk.get("/admin/account"), "/account/sessions")).status_code == 303
    assert [each.get("/admin/").status_code for each in others] == [302] * 3
    assert desk.get("/admin/").status_code == 200


def test_nobody_ends_a_session_of_somebody_else(app: Flask, session: Session, desk: Client, anna: Admin) -> None:
    packer = browser(app, session)
    enter(packer, ANNA)
    vera = session.scalars(select(AdminSession).join(Admin).where(Admin.email == VERA)).one()
    token = {"csrf_token": token_of(packer)}
    packer.post(f"/admin/account/sessions/{vera.token_hash}", data=token)
    assert desk.get("/admin/").status_code == 200
    assert packer.post("/admin/account/sessions/x", data=token).status_code == 404


def test_an_owner_ends_the_sessions_of_somebody(app: Flask, session: Session, desk: Client, anna: Admin) -> None:
    packer = browser(app, session)
    enter(packer, ANNA)
    desk.submit(form_to(desk.get(f"/admin/people/{anna.id}"), f"/{anna.id}/sessions"))
    assert packer.get("/admin/").status_code == 302


def test_another_password_ends_the_other_sessions_and_asks_for_the_old_one(
    app: Flask, session: Session, desk: Client
) -> None:
    other = browser(app, session)
    enter(other)
    form = desk.get("/admin/account").page.form("old")
    assert desk.submit(form, old="wrong", new=NEW, again=NEW).status_code == 403
    assert desk.submit(form, old=PASSWORD, new=NEW, again="something else").status_code == 422
    assert desk.submit(form, old=PASSWORD, new="short", again="short").status_code == 422
    assert other.get("/admin/").status_code == 200
    assert desk.submit(form, old=PASSWORD, new=NEW, again=NEW).status_code == 303
    assert other.get("/admin/").status_code == 302
    assert desk.get("/admin/").status_code == 200
    assert enter(other).status_code == 403
    assert enter(other, password=NEW).status_code == 303


# Inviting


def invite(desk: Client, email: str = "boris@longlane.example", **changes: str) -> Answer:
    form = desk.get("/admin/people").page.form("email")
    return desk.submit(form, **{"name": "Борис", "email": email, "role": "packer", "language": "ru"} | changes)


def link(session: Session) -> str:
    letter = session.scalars(
        select(Letter).where(Letter.kind == Kind.INVITATION).order_by(Letter.id.desc())
    ).first()
    assert letter is not None
    return str(letter.context["path"])


def test_an_invited_person_sets_his_own_password_by_a_link_that_works_once(
    app: Flask, session: Session, desk: Client
) -> None:
    assert invite(desk).status_code == 303
    address, guest = link(session), browser(app, session)
    assert enter(guest, "boris@longlane.example", "").status_code == 422
    for _ in range(2):  # looking uses nothing up
        assert guest.get(address).page.language == "ru"
    form = guest.get(address).page.form("new")
    assert guest.submit(form, new="short", again="short").status_code == 422
    assert guest.submit(form, new=NEW, again=NEW).status_code == 303
    assert guest.get(address).status_code == 404
    assert guest.submit(form, new=PASSWORD, again=PASSWORD).status_code == 404
    assert enter(guest, "boris@longlane.example", NEW).status_code == 303
    assert guest.get("/admin/people").status_code == 403


def test_the_link_holds_for_three_days_and_another_one_voids_it(
    app: Flask, session: Session, desk: Client, clock: MovedClock
) -> None:
    invite(desk)
    first, guest = link(session), browser(app, session)
    boris = people.by_email(session, "boris@longlane.example")
    assert boris is not None
    assert desk.submit(form_to(desk.get(f"/admin/people/{boris.id}"), "/invite")).status_code == 303
    second = link(session)
    assert guest.get(first).status_code == 404
    assert guest.get(second).status_code == 200
    clock.advance(days=3, seconds=1)
    assert guest.get(second).status_code == 404


def test_a_link_that_was_mailed_stands_nowhere_in_the_database(
    app: Flask, session: Session, desk: Client, clock: MovedClock
) -> None:
    invite(desk)
    address = link(session)
    writer = Renderer("http://localhost", "Shop <shop@longlane.example>", str)
    assert deliver_due(session, FakeMailer(), writer, clock.now()) == 1
    session.expire_all()
    sent = session.scalars(select(Letter)).one()
    assert "/admin/invitation/" in sent.text
    tables = (Letter.__table__, Admin.__table__)
    kept = [str(value) for table in tables for row in session.execute(select(table)) for value in row]
    assert not any(address.rpartition("/")[2] in value for value in kept)
    assert browser(app, session).get(address).status_code == 200


def test_nobody_but_its_reader_sees_the_link_of_an_invitation(app: Flask, session: Session, desk: Client) -> None:
    factories.make_admin(session, ANNA, "Anna", role=Role.READER)
    invite(desk)
    letter = session.scalars(select(Letter)).one()
    sent = Renderer("http://localhost", "Shop <shop@longlane.example>", str).write([letter])
    for part in sent.walk():
        if part.get_content_maintype() == "text":
            assert link(session) in "".join(part.get_content().split())

    def deliver(s: Session) -> None:
        row = s.get_one(Letter, letter.id)
        row.state, row.text, row.sent_at = "sent", link(s), row.owed_at

    transact(session, deliver)
    reader = browser(app, session)
    enter(reader, ANNA)
    for client in (reader, desk):
        page = client.get("/admin/letters")
        assert link(session).rpartition("/")[2] not in page.get_data(as_text=True)
    token = {"csrf_token": token_of(desk)}
    assert desk.post(f"/admin/letters/{letter.id}", data=token).status_code == 404
    row = people.by_email(session, "boris@longlane.example")
    assert row is not None
    assert link(session).rpartition("/")[2] not in row.invite_hash


def test_somebody_who_is_known_is_not_invited_again(desk: Client, session: Session, anna: Admin) -> None:
    answer = invite(desk, ANNA.upper())
    assert answer.status_code == 409
    assert "already" in answer.page.text
    assert session.scalar(select(func.count()).select_from(Letter)) == 0
    for wrong in ({"email": "nonsense"}, {"role": "emperor"}, {"name": ""}):
        assert invite(desk, **wrong).status_code == 422


def test_an_invited_person_gets_no_letters_before_he_has_joined(desk: Client, session: Session) -> None:
    invite(desk, role="owner")
    told = session.scalars(select(Admin.email).where(people.Admin.active, Admin.password_hash != "")).all()
    assert told == [VERA]


# An owner remains


def test_the_last_owner_can_neither_be_demoted_nor_put_out_of_service(
    desk: Client, session: Session, anna: Admin
) -> None:
    vera = people.by_email(session, VERA)
    assert vera is not None
    form = form_to(desk.get(f"/admin/people/{vera.id}"), f"/people/{vera.id}")
    invite(desk, role="owner")  # who has not joined yet does not count
    for role, active in (("packer", True), ("owner", False)):
        fields = {**form.fields, "role": role}
        if not active:
            del fields["active"]
        answer = desk.post(f"/admin/people/{vera.id}", data=fields)
        assert answer.status_code == 409
        assert "last owner" in answer.page.text
    session.refresh(vera)
    assert (vera.role, vera.active) == (Role.OWNER, True)


def test_two_owners_who_demote_each_other_at_once_leave_one(app: Flask, session: Session) -> None:
    pair = [factories.make_admin(session, f"{n}@longlane.example", n).id for n in ("one", "two")]
    barrier, refused = threading.Barrier(2), []

    def demote(s: Session, victim: int) -> None:
        people.change(s, victim, role=Role.READER, active=True, notified=False)
        time.sleep(0.3)  # the other is in the middle of it as well

    def act(victim: int) -> None:
        with Session(engine_of(app)) as own:
            barrier.wait()
            try:
                transact(own, demote, victim)
            except people.LastOwner:
                refused.append(victim)

    threads = [threading.Thread(target=act, args=(each,)) for each in pair]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(refused) == 1
    session.rollback()
    assert session.scalars(select(Admin.id).where(Admin.role == Role.OWNER)).all() == refused


def test_the_command_makes_owners_and_does_not_demote_the_last(app: Flask, session: Session) -> None:
    def run(*options: str) -> tuple[int, str]:
        made = app.test_cli_runner().invoke(
            args=["shop", "admin", "create", "--password-stdin", "--email", VERA, *options], input=f"{NEW}\n"
        )
        return made.exit_code, made.output

    assert run()[0] == 0
    assert session.scalars(select(Admin.role)).one() is Role.OWNER
    code, said = run("--role", "packer")
    assert code == 1
    assert "last owner" in said
    session.rollback()
    assert session.scalars(select(Admin.role)).one() is Role.OWNER
