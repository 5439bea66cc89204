"""How letters leave the outbox: once each, later when the server is away, never for what was rolled back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as Conversation
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from shop.bibliography.romanisation import ala_lc
from shop.database import transact
from shop.errors import MailRefused, MailServerAway, MailUnavailable
from shop.letters import outbox
from shop.letters.delivery import JOINED_AT_MOST, LEASE, deliver_due
from shop.letters.mailer import SmtpMailer
from shop.letters.models import Kind, Letter, LetterState
from shop.letters.outbox import JOINED_WITHIN
from shop.letters.rendering import Renderer
from shop.orders import fulfilment
from shop.orders.timeline import admin
from shop.payments import refund_calls, refunds
from shop.payments.models import Payment
from tests.conftest import engine_of
from tests.factories import Catalogue, make_admin, make_paid_order
from tests.fake_gateway import FakeGateway
from tests.fake_mailer import FakeMailer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WRITER = Renderer("http://shop.example", "Bookstall <shop@bookstall.example>", ala_lc)


class Postmaster:
    """A real SMTP server's answers: to MAIL, to each recipient, to the data; keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.sender = "250 OK"
        self.recipients: dict[str, str] = {}
        self.data = "250 OK"
        self.hang_up_after_data = False

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name for it
        self, server: SMTP, conversation: Conversation, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.sender

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, conversation: Conversation, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, conversation: Conversation, envelope: Envelope) -> str:  # noqa: N802
        if self.data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        if self.hang_up_after_data:
            assert server.transport is not None
            server.transport.close()
        return self.data


@pytest.fixture
def postmaster() -> Postmaster:
    return Postmaster()


@pytest.fixture
def smtp(postmaster: Postmaster) -> Iterator[SmtpMailer]:
    """The shop's mailer, talking to the postmaster over loopback."""
    loop = asyncio.new_event_loop()
    listening = loop.create_server(lambda: SMTP(postmaster, hostname="mx.mail.example", loop=loop), "127.0.0.1", 0)
    server = loop.run_until_complete(listening)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield SmtpMailer(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def owe(session: Session, *recipients: str, now: datetime = NOW, **changes: Any) -> None:
    """Owe each reader the link to an order."""

    def work(s: Session) -> None:
        for each in recipients:
            facts = {"number": "RR-12345678", "url": "http://shop.example/en-gb/orders/secret"}
            values = {"kind": Kind.ORDER_LINK, "cause": "link:1", "locale": "en_GB", "context": facts, **changes}
            outbox.owe(s, recipient=each, now=now, **values)

    transact(session, work)


def tell(session: Session, *numbers: str, now: datetime = NOW) -> None:
    """Owe the shopkeeper a letter about each of these orders."""

    def work(s: Session) -> None:
        for number in numbers:
            facts = {"number": number, "worry": "dispute", "details": {}}
            outbox.owe_shopkeepers(s, Kind.ATTENTION, f"concern:{number}", facts, now)

    transact(session, work)


def letters(session: Session) -> list[Letter]:
    session.rollback()
    return list(session.scalars(select(Letter).order_by(Letter.id).execution_options(populate_existing=True)))


def states(session: Session) -> dict[str, LetterState]:
    return {letter.recipient: letter.state for letter in letters(session)}


def test_a_letter_goes_to_a_real_mail_server_as_text_and_html(
    session: Session, postmaster: Postmaster, smtp: SmtpMailer
) -> None:
    owe(session, "reader@mail.example", locale="ru")
    assert deliver_due(session, smtp, WRITER, NOW) == 1
    (message,) = postmaster.taken
    assert message["To"] == "reader@mail.example"
    assert message["Subject"].replace("\u00a0", " ") == "Ссылка на ваш заказ RR-12345678"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Вот она:" in text.get_content()
    (letter,) = letters(session)
    assert letter.state is LetterState.SENT
    assert letter.sent_at == NOW
    assert letter.message_id == message["Message-ID"]
    assert letter.subject == message["Subject"]
    assert letter.text.split() == text.get_content().split()
    assert letter.claimed_until is None
    assert deliver_due(session, smtp, WRITER, NOW) == 0


def test_nothing_is_sent_for_what_was_rolled_back(session: Session) -> None:
    outbox.owe(session, Kind.ORDER_LINK, "link:1", "reader@mail.example", "en_GB", {}, NOW)
    session.rollback()
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 0
    assert mailer.sent == []


def test_the_same_letter_owed_twice_is_one_and_asked_for_again_is_another(session: Session) -> None:
    owe(session, "reader@mail.example")
    owe(session, "reader@mail.example")
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 1
    transact(session, lambda s: outbox.again(s, s.scalars(select(Letter)).one(), NOW))
    assert deliver_due(session, mailer, WRITER, NOW) == 1
    assert len({message["Message-ID"] for message in mailer.sent}) == 2


def test_a_server_that_is_away_is_asked_once_in_a_round_and_everything_arrives_later(session: Session) -> None:
    owe(session, *(f"reader{number}@mail.example" for number in range(60)))
    away = FakeMailer()
    away.troubles.extend([MailServerAway("connection refused")] * 60)
    assert deliver_due(session, away, WRITER, NOW) == 0
    assert len(away.troubles) == 59
    assert all(letter.due_at == NOW + MINUTE for letter in letters(session))
    assert deliver_due(session, away, WRITER, NOW + MINUTE / 2) == 0
    assert len(away.troubles) == 59
    mailer, sent = FakeMailer(), 0
    while more := deliver_due(session, mailer, WRITER, NOW + MINUTE):
        sent += more
    assert sent == 60
    assert len({message["Message-ID"] for message in mailer.sent}) == 60


def test_the_pauses_grow_to_an_hour_and_end_after_three_days(session: Session) -> None:
    owe(session, "reader@mail.example")
    moment, pauses = NOW, []
    mailer = FakeMailer()
    for tries in range(1, 9):
        mailer.troubles.append(MailUnavailable("451 try again"))
        deliver_due(session, mailer, WRITER, moment)
        (letter,) = letters(session)
        assert letter.tries == tries
        assert "451" in letter.last_error
        pauses.append((letter.due_at - moment) // MINUTE)
        moment = letter.due_at
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    for later, state in ((timedelta(days=3) - MINUTE, LetterState.OWED), (timedelta(days=4), LetterState.FAILED)):
        mailer.troubles.append(MailUnavailable("451 try again"))
        deliver_due(session, mailer, WRITER, NOW + later)
        (letter,) = letters(session)
        assert letter.state is state
    assert mailer.sent == []


def test_a_letter_that_no_worker_has_tried_for_days_is_not_given_up_at_its_first_failure(session: Session) -> None:
    owe(session, "reader@mail.example")
    mailer, moment = FakeMailer(), NOW + timedelta(days=4)
    mailer.troubles.append(MailServerAway("connection refused"))
    assert deliver_due(session, mailer, WRITER, moment) == 0
    (letter,) = letters(session)
    assert letter.state is LetterState.OWED
    assert deliver_due(session, mailer, WRITER, letter.due_at) == 1


def test_a_letter_that_must_wait_does_not_keep_the_others(
    session: Session, postmaster: Postmaster, smtp: SmtpMailer
) -> None:
    postmaster.recipients = {"later@mail.example": "450 4.2.1 try later", "never@mail.example": "550 5.1.1 nobody"}
    owe(session, "later@mail.example", "never@mail.example", "reader@mail.example")
    assert deliver_due(session, smtp, WRITER, NOW) == 1
    assert states(session) == {
        "later@mail.example": LetterState.OWED,
        "never@mail.example": LetterState.FAILED,
        "reader@mail.example": LetterState.SENT,
    }
    postmaster.recipients = {}
    assert deliver_due(session, smtp, WRITER, NOW + MINUTE) == 1


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"data": "554 5.7.1 no"}, MailRefused),
        ({"data": "451 4.3.0 later"}, MailUnavailable),
        ({"sender": "550 5.7.1 not you"}, MailServerAway),
        ({"sender": "451 4.7.1 later"}, MailServerAway),
        ({"recipients": {"reader@mail.example": "553 5.1.3 no such name"}}, MailRefused),
        ({"recipients": {"reader@mail.example": "452 4.2.2 full"}}, MailUnavailable),
        ({"recipients": {"reader@mail.example": "421 4.3.2 closing"}}, MailServerAway),
    ],
)
def test_what_a_server_answers_is_told_apart(
    answers: dict[str, Any], expected: type[Exception], postmaster: Postmaster, smtp: SmtpMailer
) -> None:
    vars(postmaster).update(answers)
    message = EmailMessage()
    message["From"], message["To"] = "shop@bookstall.example", "reader@mail.example"
    message.set_content("Hello")
    with pytest.raises(MailUnavailable if expected is MailUnavailable else expected) as caught:
        smtp.send(message)
    assert type(caught.value) is expected


def test_a_server_that_hangs_up_leaves_the_letter_owed_under_the_same_message_id(
    session: Session, postmaster: Postmaster, smtp: SmtpMailer
) -> None:
    owe(session, "reader@mail.example")
    postmaster.hang_up_after_data = True
    assert deliver_due(session, smtp, WRITER, NOW) == 0
    postmaster.hang_up_after_data = False
    assert deliver_due(session, smtp, WRITER, NOW + MINUTE) == 1
    first, second = postmaster.taken
    assert first["Message-ID"] == second["Message-ID"]


def test_nobody_listening_is_a_server_away() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "shop@bookstall.example", "reader@mail.example"
    with pytest.raises(MailServerAway):
        SmtpMailer("smtp://127.0.0.1:9").send(message)


class Killed(BaseException):
    """The process ends here."""


class DyingMailer(FakeMailer):
    """Hands the letter over and dies before anybody hears of it."""

    def send(self, message: EmailMessage) -> None:
        super().send(message)
        raise Killed


def test_a_worker_that_dies_after_sending_repeats_the_same_message(session: Session) -> None:
    owe(session, "reader@mail.example")
    dying, mailer = DyingMailer(), FakeMailer()
    with pytest.raises(Killed):
        deliver_due(session, dying, WRITER, NOW)
    assert deliver_due(session, mailer, WRITER, NOW + LEASE - MINUTE) == 0
    assert deliver_due(session, mailer, WRITER, NOW + LEASE) == 1
    assert dying.sent[0]["Message-ID"] == mailer.sent[0]["Message-ID"]


def test_no_transaction_is_open_while_a_letter_is_handed_over(session: Session) -> None:
    owe(session, "reader@mail.example")
    open_then: list[bool] = []

    class Watching(FakeMailer):
        def send(self, message: EmailMessage) -> None:
            open_then.append(session.in_transaction())
            super().send(message)

    assert deliver_due(session, Watching(), WRITER, NOW) == 1
    assert open_then == [False]


def test_workers_racing_send_each_letter_once(app: Flask, session: Session) -> None:
    make_admin(session)
    owe(session, *(f"reader{number}@mail.example" for number in range(40)))
    tell(session, "RR-1", "RR-2", "RR-3")
    mailer, together, counts = FakeMailer(), threading.Barrier(4), []

    def work() -> None:
        with Session(engine_of(app)) as own:
            together.wait()
            counts.append(deliver_due(own, mailer, WRITER, NOW))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    readers = [str(message["To"]) for message in mailer.sent if "reader" in str(message["To"])]
    assert len(readers) == len(set(readers)) == 40
    to_the_shopkeeper = mailer.to("vera@longlane.example")
    assert len(to_the_shopkeeper) == 1
    sent = [letter for letter in letters(session) if letter.state is LetterState.SENT]
    assert len(sent) == sum(counts)


def test_a_letter_that_goes_out_while_the_next_is_weighed_counts(app: Flask, session: Session) -> None:
    """However late the first one is marked as sent, the second waits (PostgreSQL; SQLite's writers queue)."""
    if engine_of(app).dialect.name == "sqlite":
        return
    make_admin(session)
    tell(session, "RR-1")
    handed_over, may_end = threading.Event(), threading.Event()

    class Slow(FakeMailer):
        def send(self, message: EmailMessage) -> None:
            super().send(message)
            handed_over.set()
            may_end.wait(10)

    def first() -> None:
        with Session(engine_of(app)) as own:
            deliver_due(own, Slow(), WRITER, NOW)

    other = threading.Thread(target=first)
    other.start()
    assert handed_over.wait(10)
    tell(session, "RR-2")

    def ends_just_then(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "max(letter.sent_at)" in statement and not may_end.is_set():
            may_end.set()
            other.join(10)

    mailer = FakeMailer()
    event.listen(engine_of(app), "after_cursor_execute", ends_just_then)
    try:
        assert deliver_due(session, mailer, WRITER, NOW) == 0
    finally:
        event.remove(engine_of(app), "after_cursor_execute", ends_just_then)
        may_end.set()
        other.join(10)
    assert mailer.sent == []


def test_a_letter_that_cannot_be_written_fails_alone(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    owe(session, "broken@mail.example", context={"number": "RR-12345678"})
    owe(session, "reader@mail.example")
    owe(session, "no address\r\nBcc: a@b.example")
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 1
    assert [str(message["To"]) for message in mailer.sent] == ["reader@mail.example"]
    broken, _sent, addressless = letters(session)
    assert broken.state is addressless.state is LetterState.FAILED
    assert "url" in broken.last_error
    assert "could not be written" in caplog.text


def test_the_shopkeepers_letters_of_ten_minutes_are_joined(session: Session) -> None:
    make_admin(session, language="ru")
    tell(session, "RR-1")
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 1
    tell(session, "RR-2", now=NOW + 2 * MINUTE)
    tell(session, "RR-3", now=NOW + 5 * MINUTE)
    assert deliver_due(session, mailer, WRITER, NOW + 9 * MINUTE) == 0
    assert deliver_due(session, mailer, WRITER, NOW + 10 * MINUTE) == 2
    first, second = mailer.sent
    assert first["Subject"] == "Заказ RR-1 требует внимания"
    assert second["Subject"].replace("\u00a0", " ") == "2 сообщения из магазина"
    rows = letters(session)
    assert rows[1].message_id == rows[2].message_id == second["Message-ID"] != rows[0].message_id


def test_more_letters_to_the_shopkeeper_than_one_message_holds_go_at_once(session: Session) -> None:
    """Else a busy day would be told for days: forty letters in ten minutes."""
    make_admin(session)
    for number in range(2 * JOINED_AT_MOST + 5):
        tell(session, f"RR-{number}")
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 2 * JOINED_AT_MOST
    assert deliver_due(session, mailer, WRITER, NOW + JOINED_WITHIN) == 5
    assert len(mailer.sent) == 3


def test_what_was_joined_once_stays_joined_when_it_is_repeated(session: Session) -> None:
    make_admin(session)
    tell(session, "RR-1", "RR-2")
    dying, mailer = DyingMailer(), FakeMailer()
    with pytest.raises(Killed):
        deliver_due(session, dying, WRITER, NOW)
    tell(session, "RR-3", now=NOW + MINUTE)
    later = NOW + LEASE
    assert deliver_due(session, mailer, WRITER, later) == 2
    (again,) = mailer.sent
    assert again["Message-ID"] == dying.sent[0]["Message-ID"]
    assert again.as_bytes().count(b"RR-3") == 0
    assert deliver_due(session, mailer, WRITER, later + 10 * MINUTE) == 1
    assert "RR-3" in mailer.sent[-1]["Subject"]


def test_one_unwritable_letter_does_not_take_those_joined_with_it_along(session: Session) -> None:
    make_admin(session)
    tell(session, "RR-1", "RR-2")

    def broken(s: Session) -> None:
        outbox.owe_shopkeepers(s, Kind.NEW_ORDER, "order:3:paid", {"number": "RR-3"}, NOW)

    transact(session, broken)
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 2
    assert [message["Subject"] for message in mailer.sent] == ["2 messages from the shop"]
    assert [letter.state for letter in letters(session)] == [
        LetterState.SENT,
        LetterState.SENT,
        LetterState.FAILED,
    ]


def test_two_shopkeepers_each_get_their_own_letter_in_their_language(session: Session) -> None:
    make_admin(session, "vera@longlane.example", language="en")
    make_admin(session, "anna@longlane.example", language="ru")
    make_admin(session, "quiet@longlane.example", notified=False)
    tell(session, "RR-1")
    mailer = FakeMailer()
    assert deliver_due(session, mailer, WRITER, NOW) == 2
    subjects = {str(message["To"]): str(message["Subject"]) for message in mailer.sent}
    assert subjects == {
        "vera@longlane.example": "Order RR-1 needs your attention",
        "anna@longlane.example": "Заказ RR-1 требует внимания",
    }


def test_a_frame_that_cannot_be_written_ends_instead_of_going_round(session: Session) -> None:
    make_admin(session)
    tell(session, "RR-1", "RR-2")

    class Frameless(Renderer):
        def write(self, letters: Sequence[Letter]) -> EmailMessage:
            if len(letters) > 1:
                raise LookupError("no frame")
            return super().write(letters)

    writer = Frameless("http://shop.example", "shop@bookstall.example", ala_lc)
    assert deliver_due(session, FakeMailer(), writer, NOW) == 0
    assert {letter.state for letter in letters(session)} == {LetterState.FAILED}


@pytest.mark.parametrize("market", ["en-us", "ru-gb"])
def test_an_order_that_is_paid_posted_and_refunded_is_written_about_each_time(
    session: Session, gateway: FakeGateway, catalogue: Catalogue, market: str
) -> None:
    make_admin(session, language=market[:2])
    mailer = FakeMailer()
    order = make_paid_order(session, gateway, NOW, market=market, paperback=1, russian=1)
    order_id = order.id
    transact(session, lambda s: fulfilment.post(s, order_id, "Royal Mail", "AB 123", admin("Vera"), NOW))
    payment = session.scalars(select(Payment.id).where(Payment.order_id == order_id)).one()
    for amount in (500, None):
        left = transact(session, lambda s: refunds.refundable(s, s.get_one(Payment, payment)))
        part = amount or left
        row = transact(session, lambda s, part=part: refunds.ask(s, payment, part, "", admin("Vera"), NOW).id)
        refund_calls.perform(session, gateway, row, NOW)
    while deliver_due(session, mailer, WRITER, NOW + 20 * MINUTE):
        pass
    assert {letter.state for letter in letters(session)} == {LetterState.SENT}
    kinds = [letter.kind for letter in letters(session)]
    assert sorted(kinds) == ["new_order", "order_paid", "posted", "refunded", "refunded"]
    assert len(mailer.sent) == 5
