"""Who gets into the order desk, for how long, and what a form there must carry."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop import throttle
from shop.admin import guessing
from shop.admin.desk import local_page
from shop.database import transact
from shop.staff import Admin, AdminSession
from tests.client import Answer, Client, make_client
from tests.conftest import MovedClock
from tests.factories import PASSWORD, make_admin

NOBODY = "nobody@longlane.example"


def sign_in(
    client: Client, email: str = "vera@longlane.example", password: str = PASSWORD, **where: str
) -> Answer:
    """Fill in the sign-in as a person would."""
    page = client.get("/admin/sign-in", query_string=where).page
    return client.submit(page.form("email"), email=email, password=password)


def sessions(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AdminSession)) or 0


@pytest.fixture
def vera(session: Session) -> Admin:
    return make_admin(session)


@pytest.mark.parametrize("page", ["", "orders", "orders/RR-00000000", "stock", "setup", "no/such/page"])
def test_nobody_sees_the_desk_without_signing_in(client: Client, page: str) -> None:
    answer = client.get(f"/admin/{page}")
    assert answer.status_code == 302
    assert answer.location.startswith("/admin/sign-in")


def test_after_the_sign_in_one_comes_to_the_page_one_wanted(client: Client, vera: Admin) -> None:
    wanted = client.get("/admin/orders?state=posted").location
    form = client.get(wanted).page.form("email")
    answer = client.submit(form, email="Vera@LongLane.example ", password=PASSWORD)
    assert (answer.status_code, answer.location) == (303, "/admin/orders?state=posted")
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/admin/",
        "//evil.example/admin/",
        "/admin//evil.example",
        "/admin/../en-gb/",
        "/\\evil.example/admin/",
        "/en-gb/",
        "javascript:alert(1)",
        "/admin/sign-out",
        "/admin/\nx",
        "",
    ],
)
def test_the_sign_in_leads_to_pages_of_the_desk_alone(client: Client, vera: Admin, address: str) -> None:
    assert local_page(address) is None
    assert sign_in(client, next=address).location == "/admin/"


def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(client: Client, vera: Admin) -> None:
    wrong, unknown = sign_in(client, password="not the password"), sign_in(client, email=NOBODY)
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.page.text == unknown.page.text
    assert "do not match" in wrong.page.text


def test_somebody_put_out_of_service_cannot_sign_in(client: Client, session: Session, vera: Admin) -> None:
    def retire(s: Session) -> None:
        s.get_one(Admin, vera.id).active = False

    transact(session, retire)
    assert sign_in(client).status_code == 403


def test_a_password_is_hashed_anew_when_the_parameters_have_changed(
    client: Client, session: Session, vera: Admin
) -> None:
    before = vera.password_hash
    assert sign_in(client).status_code == 303
    session.refresh(vera)
    assert vera.password_hash != before
    assert not PasswordHasher().check_needs_rehash(vera.password_hash)
    assert vera.password_hash.startswith("$argon2id$")


def test_the_guesser_is_locked_out_and_not_the_owner(app: Flask, client: Client, vera: Admin) -> None:
    guesser = make_client(app)
    guesser.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    answers = [sign_in(guesser, password="guess") for _ in range(guessing.TRIES_PER_PAIR + 1)]
    assert [each.status_code for each in answers] == [403] * guessing.TRIES_PER_PAIR + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60
    assert "Too many attempts" in answers[-1].page.text
    assert sign_in(guesser).status_code == 429  # even with the right password
    assert sign_in(client).status_code == 303


def test_an_address_that_tries_many_accounts_is_locked_out_for_a_while(
    client: Client, session: Session, clock: MovedClock, vera: Admin
) -> None:
    def spend(s: Session) -> None:
        for _ in range(guessing.TRIES_PER_ADDRESS - 1):
            throttle.spend(s, "sign-in:127.0.0.1", guessing.TRIES_PER_ADDRESS, guessing.WINDOW, clock.now())

    transact(session, spend)
    assert sign_in(client, email=NOBODY).status_code == 403
    assert sign_in(client).status_code == 429
    clock.advance(minutes=16)
    assert sign_in(client).status_code == 303


def test_the_sign_in_begins_a_session_that_nobody_knew_before(
    client: Client, session: Session, vera: Admin
) -> None:
    sign_in(client)
    cookie = client.get_cookie("desk", path="/admin")
    assert cookie is not None
    assert cookie.http_only
    shared = make_client(client.application)
    shared.set_cookie("desk", cookie.value, path="/admin")
    assert shared.get("/admin/").status_code == 200

    assert client.get("/admin/sign-in").location == "/admin/"  # signed in already
    form = {"csrf_token": token_of(client), "email": vera.email, "password": PASSWORD}
    with client.session_transaction("/admin/sign-in") as kept:
        before = dict(kept)
    client.post("/admin/sign-in", data=form)
    with client.session_transaction("/admin/sign-in") as kept:
        assert kept["token"] != before["token"]
        assert kept.get("csrf_token") != before["csrf_token"]
    assert sessions(session) == 1
    assert shared.get("/admin/").status_code == 302  # whoever shared the old one is out


def token_of(client: Client) -> str:
    """A token as any form of the desk carries it."""
    return client.get("/admin/").page.forms()[0].fields["csrf_token"]


def test_the_cookie_names_no_row_of_the_database(client: Client, session: Session, vera: Admin) -> None:
    sign_in(client)
    row = session.scalars(select(AdminSession)).one()
    cookie = client.get_cookie("desk", path="/admin")
    assert cookie is not None
    assert row.token_hash not in cookie.value


def test_a_revoked_session_is_out_at_the_next_click(client: Client, session: Session, vera: Admin) -> None:
    sign_in(client)
    assert client.get("/admin/").status_code == 200
    transact(session, lambda s: s.delete(s.scalars(select(AdminSession)).one()))
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_after_twelve_idle_hours(client: Client, clock: MovedClock, vera: Admin) -> None:
    sign_in(client)
    for _ in range(3):
        clock.advance(hours=11)
        assert client.get("/admin/").status_code == 200
    clock.advance(hours=12, seconds=1)
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_after_seven_days_however_busy(client: Client, clock: MovedClock, vera: Admin) -> None:
    sign_in(client)
    for _ in range(15):
        clock.advance(hours=11)
        assert client.get("/admin/").status_code == 200
    clock.advance(hours=4)
    assert client.get("/admin/").status_code == 302


def test_signing_out_ends_the_session_for_good(client: Client, session: Session, vera: Admin) -> None:
    sign_in(client)
    form = next(each for each in client.get("/admin/").page.forms() if each.action.endswith("sign-out"))
    assert client.submit(form).status_code == 303
    assert sessions(session) == 0
    assert client.get("/admin/").status_code == 302


def test_pages_of_the_desk_are_neither_kept_nor_found(client: Client, vera: Admin) -> None:
    for answer in (
        client.get("/admin/"),
        client.get("/admin/sign-in"),
        sign_in(client),
        client.get("/admin/none"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize("page", ["/admin/sign-in", "/admin/sign-out", "/admin/stock/paperback"])
def test_a_form_without_its_token_changes_nothing(client: Client, vera: Admin, page: str, token: str) -> None:
    if page != "/admin/sign-in":
        sign_in(client)
    answer = client.post(page, data={"csrf_token": token, "email": vera.email, "password": PASSWORD})
    assert answer.status_code == 400
    assert "This form has expired" in answer.page.text
    assert any(link.startswith("/admin/") for link in answer.page.links())


def test_another_sites_form_is_refused(client: Client, vera: Admin) -> None:
    sign_in(client)
    data = {"csrf_token": token_of(client)}
    answer = client.post("/admin/sign-out", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("accepted", "language", "heading"), [("ru,en;q=0.5", "ru", "Войти"), ("en-US", "en", "Sign in")]
)
def test_the_sign_in_speaks_the_browsers_language(
    client: Client, accepted: str, language: str, heading: str
) -> None:
    page = client.get("/admin/sign-in", headers={"Accept-Language": accepted}).page
    assert page.language == language
    assert heading in page.text
    other = {"ru": "en", "en": "ru"}[language]
    switch = next(link for link in page.links() if f"language={other}" in link)
    assert client.get(switch, headers={"Accept-Language": accepted}).page.language == other


def test_each_person_has_a_language_of_his_own(client: Client, session: Session, vera: Admin) -> None:
    sign_in(client)
    page = client.get("/admin/orders").page
    assert page.language == "en"
    form = next(each for each in page.forms() if each.action.endswith("/admin/language"))
    answer = client.submit(form, ("language", "ru"))
    assert answer.location == "/admin/orders"
    assert client.get("/admin/orders", headers={"Accept-Language": "en"}).page.language == "ru"
    session.refresh(vera)
    assert vera.language == "ru"


def test_too_long_and_missing_fields_are_said_beside_the_field(client: Client, vera: Admin) -> None:
    assert "Please fill this in." in sign_in(client, password="").page.text
    answer = sign_in(client, email="x" * 300)
    assert answer.status_code == 422
    assert "At most 254 characters" in answer.page.text


def run(app: Flask, password: str, *options: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(
        args=["shop", "admin", "create", "--password-stdin", *options], input=f"{password}\n"
    )
    return result.exit_code, result.output


def test_a_person_is_made_by_a_command(app: Flask, client: Client, session: Session) -> None:
    code, said = run(app, "a long enough password", "--email", "Ivan@Longlane.example", "--language", "ru")
    assert (code, said.strip()) == (0, "ivan@longlane.example can sign in.")
    assert sign_in(client, "ivan@longlane.example", "a long enough password").status_code == 303
    assert client.get("/admin/").page.language == "ru"


def test_the_command_for_a_known_person_sets_the_password_and_ends_sessions(
    app: Flask, client: Client, session: Session, vera: Admin
) -> None:
    sign_in(client)
    code, said = run(app, "quite another password", "--email", vera.email)
    assert code == 0
    assert "new password" in said
    assert client.get("/admin/").status_code == 302
    assert sign_in(client).status_code == 403
    assert sign_in(client, password="quite another password").status_code == 303
    session.refresh(vera)
    assert vera.name == "Vera Keeper"


def test_a_short_password_or_a_strange_address_is_refused_with_a_sentence(app: Flask, session: Session) -> None:
    code, said = run(app, "too short", "--email", "ivan@longlane.example")
    assert code != 0
    assert "shorter than 12 characters" in said
    code, said = run(app, "a long enough password", "--email", "nonsense")
    assert code != 0
    assert "is not an e-mail address" in said
    assert session.scalar(select(func.count()).select_from(Admin)) == 0
