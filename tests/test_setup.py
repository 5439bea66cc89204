"""The set-up page: what a new shop needs, found by looking; whether Stripe answers; whether letters arrive."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.admin.soundings import way_of_letters
from shop.catalogue.models import Edition, Unconfirmed
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, MailServerAway
from shop.letters import proof
from shop.letters.models import Kind, Letter
from shop.payments import inbox
from shop.payments.models import InboxEvent
from shop.settings import Settings
from shop.staff import Role
from shop.trader import trader
from shop.worker import Worker
from tests import factories
from tests.client import Client
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer
from tests.test_admin_orders import desk, form_to, has_form

__all__ = ["desk"]
PAGE = "/admin/setup"
WELL, BAD = "in order", "look at it"


def found(desk: Client) -> dict[str, str]:
    """What the set-up page says of each thing."""
    told = {}
    for each in desk.get(PAGE).page.all(".//dl[@class='facts']/div"):
        name, said = (" ".join("".join(part.itertext()).split()) for part in each)
        told[name] = said
    return told


def undo(session: Session, fact: str) -> None:
    """Somebody takes back that a fact is right."""
    statement = update(Unconfirmed).where(Unconfirmed.fact == fact).values(confirmed_at=None, confirmed_by="")
    transact(session, lambda s: s.execute(statement.execution_options(synchronize_session=False)))


def test_what_a_sale_needs_is_well_once_it_is_entered_and_confirmed(desk: Client, catalogue: Catalogue) -> None:
    told = found(desk)
    for name in ("The seller", "Prices", "Weights", "Postage", "Stock", "Who supplies libraries"):
        assert told[name].startswith(WELL), (name, told[name])


def test_each_thing_that_a_sale_needs_is_named_when_it_is_missing(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    for fact in ("prices", "weight", "postage", "stock", "distributor"):
        undo(session, fact)

    def forget(s: Session) -> None:
        trader(s).address = ""
        edition = s.get_one(Edition, catalogue.paperback)
        edition.prices = [price for price in edition.prices if price.currency.value == "GBP"]

    transact(session, forget)
    told = found(desk)
    assert told["The seller"].startswith(f"{BAD} Missing: address.")
    assert told["Prices"].startswith(f"{BAD} Missing: Paperback, USD. 2 values are not confirmed by anybody.")
    for name in ("Weights", "Postage", "Stock", "Who supplies libraries"):
        assert told[name].startswith(BAD), (name, told[name])
        assert "confirmed by anybody" in told[name]


def test_a_webhook_counts_as_seen_only_when_stripe_has_delivered_it(
    desk: Client, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    order = factories.make_order(session)
    page = factories.pay(session, gateway, order)
    event = gateway.tell("checkout.session.completed", page)
    at = datetime.now(UTC)
    transact(session, inbox.keep, event, at)
    assert found(desk)["Last message from Stripe"].startswith(f"{BAD} None yet.")
    body, signature = gateway.webhook(event)
    answer = desk.post("/stripe/webhook", data=body, headers={"Stripe-Signature": signature})
    assert answer.status_code == 200
    assert session.get_one(InboxEvent, event.event_id).delivered
    assert found(desk)["Last message from Stripe"].startswith(WELL)


def test_stripe_is_asked_at_once_and_what_it_says_is_told(
    desk: Client, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    def ask() -> str:
        assert desk.submit(form_to(desk.get(PAGE), "/setup/stripe")).status_code == 303
        return desk.get(PAGE).page.text

    assert "Stripe answers to the shop’s key." in ask()
    gateway.before.append(GatewayRefused("api_key_expired"))
    assert "Stripe refused the key: api_key_expired." in ask()
    gateway.before.append(GatewayUnavailable("nobody"))
    assert "Stripe did not answer." in ask()


def test_stripe_counts_as_answering_while_the_worker_has_lately_been_answered(
    desk: Client, app, session: Session, gateway: FakeGateway, clock, catalogue: Catalogue
) -> None:
    assert found(desk)["Stripe last answered"].startswith(BAD)
    Worker(app).round(everything=True)
    assert found(desk)["Stripe last answered"].startswith(WELL)
    clock.advance(hours=2)
    gateway.before.extend([GatewayUnavailable("nobody")] * 20)
    Worker(app).round(everything=True)
    assert found(desk)["Stripe last answered"].startswith(BAD)


def test_letters_count_as_arriving_once_the_code_of_a_test_letter_came_back(
    desk: Client, app, session: Session, mailer: FakeMailer, catalogue: Catalogue
) -> None:
    assert found(desk)["Letters arrive"].startswith(f"{BAD} Not tried yet")
    assert desk.submit(form_to(desk.get(PAGE), "/setup/letters")).status_code == 303
    Worker(app).round(everything=True)
    assert found(desk)["Letters arrive"].startswith(f"{BAD} A test letter was asked for")
    letter = next(each for each in mailer.sent if "A test letter from your shop" in each["Subject"])
    assert letter["To"] == "vera@longlane.example"
    text = letter.get_body(("plain",)).get_content()
    link = re.search(r"http://localhost(/admin/setup\?letter=([0-9A-Z]{8}))\s", text)
    assert link is not None
    wrong = form_to(desk.get(PAGE), "/letters/arrived")
    desk.submit(wrong, code="22222222")
    assert "No test letter had this code." in desk.get(PAGE).page.text
    assert found(desk)["Letters arrive"].startswith(BAD)
    right = form_to(desk.get(link[1]), "/letters/arrived")
    assert right.fields["code"] == link[2]
    assert desk.submit(right).status_code == 303
    assert found(desk)["Letters arrive"].startswith(f"{WELL} A test letter has arrived")


def test_the_desk_does_not_show_the_code_of_a_test_letter(
    desk: Client, app, session: Session, catalogue: Catalogue
) -> None:
    desk.submit(form_to(desk.get(PAGE), "/setup/letters"))
    Worker(app).round(everything=True)
    row = session.scalars(select(Letter).where(Letter.kind == Kind.MAIL_TEST)).one()
    page = desk.get("/admin/letters")
    assert row.context["code"] not in page.get_data(as_text=True)
    token = {"csrf_token": form_to(desk.get(PAGE), "/setup/letters").fields["csrf_token"]}
    assert desk.post(f"/admin/letters/{row.id}", data=token).status_code == 404


def test_another_mail_server_or_sender_is_to_be_proved_anew(
    desk: Client, session: Session, settings: Settings, catalogue: Catalogue
) -> None:
    def other(s: Session) -> None:
        proof.ask(s, "vera@longlane.example", "en_GB", "/x?", "elsewhere:25 shop@example.org", datetime.now(UTC))
        s.flush()
        s.scalars(select(proof.MailProof)).one().arrived_at = datetime.now(UTC)

    transact(session, other)
    assert "secret" not in way_of_letters(settings)
    assert found(desk)["Letters arrive"].startswith(f"{BAD} Not tried yet")


def test_who_signs_in_by_the_password_alone_is_named(desk: Client, session: Session, catalogue: Catalogue) -> None:
    factories.make_admin(session, "pavel@longlane.example", "Pavel Packer", role=Role.PACKER)
    factories.make_admin(session, "rita@longlane.example", "Rita Reader", role=Role.READER)
    assert found(desk)["Second factor"].startswith(
        f"{BAD} By the password alone sign in: Vera Keeper, Pavel Packer."
    )


def test_the_database_is_named(desk: Client, session: Session, catalogue: Catalogue) -> None:
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[session.get_bind().dialect.name]
    assert found(desk)["Database"].startswith(f"{WELL} {name}")


def test_a_reader_sees_how_it_stands_and_tries_nothing_out(client: Client, session: Session, catalogue: Catalogue):
    factories.make_admin(session, "rita@longlane.example", "Rita Reader", role=Role.READER)
    form = client.get("/admin/sign-in").page.form("password")
    client.submit(form, email="rita@longlane.example", password=factories.PASSWORD)
    page = client.get(PAGE)
    assert "Do letters arrive?" not in page.page.text
    assert not has_form(page, "/setup/stripe")


def test_a_worker_that_stands_still_is_seen_by_its_age(
    desk: Client, app, clock, session: Session, catalogue: Catalogue
) -> None:
    Worker(app).round(everything=True)
    assert found(desk)["Worker last seen at work"].startswith(WELL)
    clock.advance(minutes=11)
    assert found(desk)["Worker last seen at work"].startswith(BAD)


def test_a_mail_server_that_is_away_is_told_long_before_letters_are_given_up(
    desk: Client, app, clock, session: Session, mailer: FakeMailer, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    def undelivered() -> str:
        return desk.get("/admin/").page.links()["/admin/letters"].split()[0]

    factories.make_paid_order(session, gateway)
    Worker(app).round(everything=True)
    assert found(desk)["Last letter that the mail server took"].startswith(WELL)
    clock.advance(minutes=10)
    factories.make_paid_order(session, gateway)
    mailer.troubles.extend([MailServerAway("connection refused")] * 20)
    for _ in range(8):
        Worker(app).round(everything=True)
        clock.advance(minutes=10)
    told = found(desk)["Last letter that the mail server took"]
    assert told.startswith(BAD)
    assert "2 letters have been waiting for more than an hour." in told
    assert undelivered() == "2"
    mailer.troubles.clear()
    clock.advance(minutes=20)
    Worker(app).round(everything=True)
    assert found(desk)["Last letter that the mail server took"].startswith(WELL)
    assert undelivered() == "0"


def test_the_first_page_says_that_work_is_left_undone(
    desk: Client, app, clock, session: Session, gateway: FakeGateway, catalogue: Catalogue
) -> None:
    def undone() -> str:
        links = desk.get("/admin/").page.all(".//ul[@class='tasks']//a")
        return next(
            "".join(each.itertext()) for each in links if "left undone" in "".join(each.itertext())
        ).split()[0]

    assert undone() == "0"
    factories.make_paid_order(session, gateway)
    clock.advance(minutes=11)
    assert undone() == "2"
    Worker(app).round(everything=True)
    assert undone() == "0"
