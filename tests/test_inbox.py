"""The webhook's door: what is forged stays outside, what is real is kept before it is worked and never lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Insert, delete, func, insert, select, text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import ForgedEvent, GatewayRefused, GatewayUnavailable
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order, TimelineEntry
from shop.payments import inbox
from shop.payments.gateway import CheckoutFacts
from shop.payments.models import InboxEvent, InboxState
from shop.payments.stripe_gateway import StripeGateway
from tests.client import Answer, Client
from tests.conftest import WEBHOOK_SECRET, engine_of
from tests.factories import Catalogue, make_order, pay
from tests.fake_gateway import FakeGateway
from tests.till import at_once, counters, deliver, differences, payments

COMPLETED = "checkout.session.completed"
AWAY = GatewayUnavailable("no answer")
MINUTE = timedelta(minutes=1)
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": COMPLETED,
    "livemode": False,
    "created": 1_790_000_000,
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session"}},
}


@pytest.fixture
def order(session: Session, catalogue: Catalogue, gateway: FakeGateway) -> Order:
    """An order whose buyer has paid; nobody has told the shop."""
    order = make_order(session)
    pay(session, gateway, order)
    return order


def page(gateway: FakeGateway) -> str:
    return next(iter(gateway.checkouts))


def events(session: Session) -> list[InboxEvent]:
    session.rollback()
    return list(session.scalars(select(InboxEvent).order_by(InboxEvent.received_at)))


# Kept, worked, marked


def test_an_event_is_kept_before_it_is_worked(
    app: Flask, client: Client, session: Session, gateway: FakeGateway, order: Order
):
    seen: list[tuple[str, str, PaymentState]] = []
    original = gateway.look_up

    def look_up(checkout_id: str) -> CheckoutFacts:
        with Session(engine_of(app)) as other:
            kept = other.scalars(select(InboxEvent)).one()
            seen.append((kept.state.value, kept.object_id, other.get_one(Order, order.id).payment_state))
        return original(checkout_id)

    gateway.look_up = look_up  # type: ignore[method-assign]
    try:
        deliver(client, gateway, COMPLETED, page(gateway))
    finally:
        del gateway.look_up
    assert seen == [("new", page(gateway), PaymentState.AWAITING)]
    assert [(event.state, event.outcome) for event in events(session)] == [(InboxState.DONE, "applied")]


def test_an_event_that_could_not_be_worked_waits_with_its_error(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.before.append(AWAY)
    before = datetime.now(UTC)
    assert deliver(client, gateway, COMPLETED, page(gateway)).status_code == 503
    [event] = events(session)
    assert (event.state, event.tries) == (InboxState.FAILED, 1)
    assert "no answer" in event.last_error
    assert event.due_at > before
    assert payments(session) == []


def test_an_event_about_what_stripe_does_not_know_is_refused_and_kept(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.before.append(GatewayRefused("resource_missing", "No such checkout.session"))
    assert deliver(client, gateway, COMPLETED, "cs_unknown").status_code == 400
    [event] = events(session)
    assert event.state is InboxState.FAILED
    assert "resource_missing" in event.last_error


def test_an_event_that_waits_takes_one_line_of_the_log_at_each_try(
    client: Client, session: Session, gateway: FakeGateway, order: Order, caplog: pytest.LogCaptureFixture
):
    gateway.before += [GatewayRefused("resource_missing", "No such checkout.session")] * 2
    deliver(client, gateway, COMPLETED, "cs_unknown")
    caplog.clear()
    [event] = events(session)
    assert inbox.work_due(session, gateway, event.due_at) == 1
    [line] = [record for record in caplog.records if record.name == inbox.__name__]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "resource_missing" in line.getMessage()


def test_an_event_that_names_no_object_is_refused(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    assert deliver(client, gateway, COMPLETED, "").status_code == 400
    assert events(session) == []


def test_a_mistake_of_ours_answers_500_and_keeps_the_event(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.before.append(ZeroDivisionError("a mistake of ours"))  # type: ignore[arg-type]
    assert deliver(client, gateway, COMPLETED, page(gateway)).status_code == 500
    [event] = events(session)
    assert event.state is InboxState.FAILED
    assert "ZeroDivisionError" in event.last_error


def test_a_delivery_after_a_failed_one_does_the_work(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.before.append(AWAY)
    body, signature = gateway.webhook(gateway.tell(COMPLETED, page(gateway)))
    answers = [
        client.post("/stripe/webhook", data=body, headers={"Stripe-Signature": signature}).status_code
        for _ in range(3)
    ]
    assert answers == [503, 200, 200]
    [event] = events(session)
    assert (event.state, event.last_error) == (InboxState.DONE, "")
    assert gateway.calls.count("look_up") == 2
    assert len(payments(session)) == 1


def test_the_mark_is_set_only_with_its_effect(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    """The order cannot be written: the event must not be done, or nobody would ever work it again."""
    copies = counters(session, order.lines[0].edition_id)
    session.execute(inbox_blocker(order))
    session.commit()
    answer = deliver(client, gateway, COMPLETED, page(gateway))
    assert answer.status_code == 500
    [event] = events(session)
    assert event.state is InboxState.FAILED
    assert payments(session) == []
    assert counters(session, order.lines[0].edition_id) == copies


def inbox_blocker(order: Order) -> Insert:
    """A timeline entry in the way of the next one: settling breaks at its end."""
    return insert(TimelineEntry).values(
        order_id=order.id,
        seq=order.timeline_count + 1,
        at=order.placed_at,
        actor="system",
        admin="",
        kind="in the way",
        details={},
        digest="",
    )


def test_an_effect_without_its_mark_is_no_effect(
    app: Flask, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """Both are one commit: where the mark cannot be set, nothing has happened."""
    event = gateway.tell(COMPLETED, page(gateway))
    transact(session, inbox.keep, event, now)
    original = gateway.look_up

    def taken_away(checkout_id: str) -> CheckoutFacts:
        with Session(engine_of(app)) as other:
            other.execute(delete(InboxEvent))
            other.commit()
        return original(checkout_id)

    gateway.look_up = taken_away  # type: ignore[method-assign]
    try:
        with pytest.raises(NoResultFound):
            inbox.work(session, gateway, event.event_id, now)
    finally:
        del gateway.look_up
    session.rollback()
    assert payments(session) == []


def test_an_unknown_kind_of_event_is_acknowledged(client: Client, session: Session, gateway: FakeGateway):
    assert deliver(client, gateway, "payment_intent.payment_failed", "pi_1").status_code == 200
    assert [(event.state, event.outcome) for event in events(session)] == [(InboxState.DONE, "ignored")]
    assert gateway.calls == []


# Left over: the worker


def fail_once(client: Client, gateway: FakeGateway, count: int = 1) -> None:
    for _ in range(count):
        gateway.before.append(AWAY)
        assert deliver(client, gateway, COMPLETED, page(gateway)).status_code == 503


def test_the_worker_takes_up_what_failed_when_it_is_due(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    fail_once(client, gateway)
    now = datetime.now(UTC)
    assert inbox.work_due(session, gateway, now) == 0
    assert inbox.work_due(session, gateway, now + MINUTE) == 1
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert events(session)[0].state is InboxState.DONE
    assert inbox.work_due(session, gateway, now + 90 * MINUTE) == 0
    assert differences(session) == []


def test_the_worker_takes_up_what_was_kept_and_never_worked(
    session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    """The web server died between keeping and working."""
    transact(session, inbox.keep, gateway.tell(COMPLETED, page(gateway)), now)
    assert inbox.work_due(session, gateway, now + timedelta(seconds=30)) == 0  # whoever kept it may be at work
    assert inbox.work_due(session, gateway, now + 3 * MINUTE) == 1
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID


def test_the_few_that_wait_are_found_by_an_index_among_all_that_are_done(session: Session, now: datetime):
    done = {"type": COMPLETED, "object_id": "cs_1", "state": InboxState.DONE, "received_at": now, "due_at": now}
    rows = [{"id": f"evt_{number}"} | done for number in range(2000)]
    transact(session, lambda s: s.execute(insert(InboxEvent), rows))
    transact(session, lambda s: s.execute(text("ANALYZE inbox_event")))
    asked = inbox.left_over(now).compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if session.get_bind().dialect.name == "sqlite" else "EXPLAIN"
    plan = "\n".join(str(row[-1]) for row in session.execute(text(f"{explain} {asked}")))
    assert "ix_inbox_event_state_due_at" in plan, plan


def test_each_failure_waits_longer(client: Client, session: Session, gateway: FakeGateway, order: Order):
    fail_once(client, gateway)
    moment, waits = datetime.now(UTC) + MINUTE, []
    for _ in range(9):
        gateway.before.append(AWAY)
        assert inbox.work_due(session, gateway, moment) == 1
        event = events(session)[0]
        waits.append(event.due_at - moment)
        moment = event.due_at
    assert waits == sorted(waits)
    assert timedelta(minutes=30) < waits[-1] <= timedelta(hours=1)


def test_one_event_that_fails_does_not_keep_the_others_waiting(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    gateway.before.append(AWAY)
    assert deliver(client, gateway, COMPLETED, "cs_that_is_not_there").status_code == 503
    fail_once(client, gateway)
    assert inbox.work_due(session, gateway, datetime.now(UTC) + MINUTE) == 2
    assert sorted(event.state.value for event in events(session)) == ["done", "failed"]


def test_several_workers_share_the_events_and_none_is_worked_twice(
    app: Flask, client: Client, session: Session, gateway: FakeGateway, order: Order
):
    fail_once(client, gateway, 12)
    session.rollback()
    moment = datetime.now(UTC) + MINUTE
    found = at_once(app, 4, lambda s, _: inbox.claim_due(s, moment, limit=3))
    claimed = [event_id for each in found for event_id in each]  # type: ignore[union-attr]
    assert len(claimed) == len(set(claimed)) > 0
    while more := inbox.claim_due(session, moment):
        claimed += more
    assert len(claimed) == len(set(claimed)) == 12


def test_a_worker_that_died_leaves_its_events_to_the_next(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    fail_once(client, gateway)
    moment = datetime.now(UTC) + MINUTE
    assert len(inbox.claim_due(session, moment)) == 1
    assert inbox.claim_due(session, moment + MINUTE) == []
    assert len(inbox.claim_due(session, moment + 3 * MINUTE)) == 1


def test_workers_do_not_wait_for_each_other(
    app: Flask, client: Client, session: Session, gateway: FakeGateway, order: Order
):
    """A row that another worker is claiming is passed by (PostgreSQL; SQLite has one writer at a time anyway)."""
    if engine_of(app).dialect.name == "sqlite":
        return
    fail_once(client, gateway, 2)
    moment = datetime.now(UTC) + MINUTE
    first, second = [event.id for event in events(session)]
    with Session(engine_of(app)) as rival:
        rival.get(InboxEvent, first, with_for_update=True)
        session.rollback()
        session.connection().exec_driver_sql("SET lock_timeout = '3s'")
        assert inbox.claim_due(session, moment) == [second]


# Replay


def test_an_event_can_be_worked_again_by_hand(session: Session, gateway: FakeGateway, order: Order, now: datetime):
    event = gateway.tell(COMPLETED, page(gateway))
    inbox.replay(session, gateway, event.event_id, now)
    inbox.replay(session, gateway, event.event_id, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID
    assert len(payments(session)) == 1
    assert [each.outcome for each in events(session)] == ["nothing_new"]


def test_an_event_the_provider_has_forgotten_can_still_be_worked_again(
    client: Client, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    fail_once(client, gateway)
    [event] = events(session)
    gateway.events.clear()
    inbox.replay(session, gateway, event.id, now)
    session.refresh(order)
    assert order.payment_state is PaymentState.PAID


def test_the_same_event_at_once_is_worked_to_one_effect(
    app: Flask, session: Session, gateway: FakeGateway, order: Order, now: datetime
):
    event = gateway.tell(COMPLETED, page(gateway))
    session.rollback()

    def work(s: Session, _: int) -> None:
        transact(s, inbox.keep, event, now)
        inbox.work(s, gateway, event.event_id, now)

    assert at_once(app, 8, work) == [None] * 8
    assert len(payments(session)) == len(events(session)) == 1
    assert differences(session) == []


# What is forged, through the real package


@pytest.fixture
def stripe_client(app: Flask, client: Client):  # type: ignore[no-untyped-def]
    """The shop with the real Stripe gateway, which has nobody to call."""
    kept = app.extensions["shop.gateway"]
    app.extensions["shop.gateway"] = StripeGateway(
        "sk_test_suite", "http://127.0.0.1:9", (WEBHOOK_SECRET, "whsec_that_is_being_rolled_in")
    )
    yield client
    app.extensions["shop.gateway"] = kept


def sign(body: bytes, secret: str = WEBHOOK_SECRET, age: int = 0) -> str:
    """Stripe's header, made without Stripe's package."""
    moment = int(time.time()) - age
    mark = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={mark}"


def send(client: Client, body: bytes, signature: str | bytes | None) -> Answer:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return client.post("/stripe/webhook", data=body, headers=headers)  # type: ignore[arg-type]


def is_refused(session: Session, answer: Answer, status: int = 400) -> None:
    assert answer.status_code == status, answer.get_data(as_text=True)
    session.rollback()
    assert session.scalar(select(func.count()).select_from(InboxEvent)) == 0


WHOLE = json.dumps(EVENT).encode()
SPACED = json.dumps(EVENT, indent=2).encode()


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "nonsense",
        "t=,v1=",
        f"t={int(time.time())}",
        "v1=00",
        sign(WHOLE, "whsec_of_somebody_else"),
        sign(SPACED),
        sign(WHOLE, age=301),
        sign(WHOLE).replace("v1=", "v0="),
        f"t={int(time.time())},v1=\xe9\xff",
        f"t=\u0661,v1={'0' * 64}".encode().decode("latin-1"),
        "t=99999999999999999999,v1=00",
    ],
    ids=[
        "missing",
        "empty",
        "nonsense",
        "blank",
        "no mark",
        "no time",
        "another secret",
        "another spacing",
        "301 seconds old",
        "old scheme",
        "not ASCII",
        "a foreign digit",
        "a far time",
    ],
)
def test_a_signature_that_does_not_hold_is_refused(stripe_client: Client, session: Session, signature: str | None):
    is_refused(session, send(stripe_client, WHOLE, signature))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"not JSON",
        b"[]",
        b"[1]",
        b"null",
        b"1",
        b'"text"',
        b"{}",
        json.dumps({**EVENT, "object": "v2.core.event", "data": {}}).encode(),
        json.dumps({**EVENT, "data": {}}).encode(),
        json.dumps({**EVENT, "data": None}).encode(),
        json.dumps({**EVENT, "created": "yesterday"}).encode(),
        json.dumps({**EVENT, "created": 10**18}).encode(),
        json.dumps({**EVENT, "id": ["evt_1"]}).encode(),
        json.dumps({**EVENT, "id": "evt_" + "1" * 500}).encode(),
        json.dumps({**EVENT, "id": "evt_\0"}).encode(),
        json.dumps({**EVENT, "type": None}).encode(),
        b"[" * 100_000,
    ],
    ids=[
        "empty",
        "not UTF-8",
        "not JSON",
        "a list",
        "a list of one",
        "null",
        "a number",
        "a text",
        "nothing",
        "thin",
        "no object",
        "no data",
        "no time",
        "a time too far",
        "a list for an id",
        "an endless id",
        "a null byte",
        "no type",
        "a deep nest",
    ],
)
def test_what_is_no_event_is_refused_however_well_it_is_signed(
    stripe_client: Client, session: Session, body: bytes
):
    is_refused(session, send(stripe_client, body, sign(body)))


def test_either_secret_fits_while_one_is_rolled(app: Flask, stripe_client: Client):
    gateway = app.extensions["shop.gateway"]
    for secret in (WEBHOOK_SECRET, "whsec_that_is_being_rolled_in"):
        assert gateway.verify(WHOLE, sign(WHOLE, secret)).event_id == "evt_1"
    assert gateway.verify(WHOLE, sign(WHOLE, age=290)).object_id == "cs_test_1"
    with pytest.raises(ForgedEvent):
        gateway.verify(WHOLE + b" ", sign(WHOLE))


def test_a_real_signature_on_a_real_event_is_kept_although_stripe_is_away(
    stripe_client: Client, session: Session, gateway: FakeGateway
):
    assert send(stripe_client, WHOLE, sign(WHOLE)).status_code == 503
    assert [(event.id, event.state) for event in events(session)] == [("evt_1", InboxState.FAILED)]


def test_an_event_of_the_other_mode_is_not_worked(stripe_client: Client, session: Session):
    body = json.dumps({**EVENT, "livemode": True}).encode()
    assert send(stripe_client, body, sign(body)).status_code == 200
    assert [(event.state, event.outcome) for event in events(session)] == [(InboxState.DONE, "other_mode")]


def test_a_webhook_may_be_larger_than_any_form(stripe_client: Client, session: Session):
    """Stripe's events are some kilobytes, but nobody has promised that."""
    body = json.dumps({**EVENT, "type": "payment_intent.created", "padding": "x" * 500_000}).encode()
    assert send(stripe_client, body, sign(body)).status_code == 200
    assert len(events(session)) == 1


@pytest.mark.parametrize("size", [512 * 1024 + 1, 3_000_000])
def test_a_huge_body_is_refused(stripe_client: Client, session: Session, size: int):
    body = b" " * size
    is_refused(session, send(stripe_client, body, sign(body)), 413)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_the_door_takes_posts_alone(client: Client, session: Session, method: str):
    is_refused(session, client.open("/stripe/webhook", method=method), 405)


def test_the_door_asks_for_no_cookie_and_no_origin(
    client: Client, session: Session, gateway: FakeGateway, order: Order
):
    """Stripe comes from elsewhere and without a browser; what guards forms must not stand in its way."""
    body, signature = gateway.webhook(gateway.tell(COMPLETED, page(gateway)))
    headers = {"Stripe-Signature": signature, "Origin": "https://stripe.com", "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/stripe/webhook", data=body, headers=headers, content_type="application/json")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


def test_the_address_answers_without_a_redirect(client: Client):
    assert client.post("/stripe/webhook", data=b"{}").status_code == 400
