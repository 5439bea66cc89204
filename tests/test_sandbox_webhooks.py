"""The sandbox's webhooks: signed, repeated until answered, and unlucky on demand."""

import json
import time
from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox_process import SECRET, Sandbox
from tests.sandbox_shop import Receiver, Shop, receiver_at_work, wait_until

ROLLED = "whsec_old_one"


@pytest.fixture(scope="module")
def post() -> Iterator[tuple[Shop, Receiver]]:
    with receiver_at_work() as receiver, Sandbox(webhook_url=receiver.url, secret=f"{ROLLED},{SECRET}") as sandbox:
        yield Shop(sandbox), receiver


@pytest.fixture
def both(post: tuple[Shop, Receiver]) -> tuple[Shop, Receiver]:
    post[0].sandbox.control("webhooks", {})
    wait_until(lambda: not waiting(post[0]))
    post[1].forget()
    return post


def waiting(shop: Shop) -> list[object]:
    return [d for d in shop.sandbox.control("deliveries")["deliveries"] if d["state"] in ("waiting", "sending")]


def test_a_webhook_carries_a_true_signature_for_each_secret(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    session = shop.paid()
    wait_until(lambda: receiver.got)
    headers, body = receiver.got[0]
    for secret in (ROLLED, SECRET):
        event = shop.client.construct_event(body, headers["stripe-signature"], secret, tolerance=300)
        assert event.type == "checkout.session.completed"
    with pytest.raises(stripe.SignatureVerificationError):
        shop.client.construct_event(body, headers["stripe-signature"], "whsec_other", tolerance=300)
    assert json.loads(body)["api_version"] == "2026-10-28.endive"
    assert json.loads(body)["data"]["object"]["id"] == session.id
    assert json.loads(body)["livemode"] is False
    assert headers["content-type"].startswith("application/json")


def test_the_shop_hears_of_what_it_subscribed_to_and_of_nothing_else(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    shop.v1.refunds.create({"payment_intent": shop.paid().payment_intent.id})
    wait_until(lambda: len(receiver.got) == 3)
    time.sleep(0.2)
    assert sorted(receiver.types()) == ["charge.refunded", "checkout.session.completed", "refund.created"]
    refunded = next(event for event in receiver.events() if event["type"] == "charge.refunded")
    assert refunded["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}
    assert refunded["request"]["id"].startswith("req_")
    assert refunded["request"]["idempotency_key"]


def test_what_is_not_answered_with_2xx_comes_again(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    answers = iter([500, 302, 404, 200])
    receiver.answer = lambda event: next(answers)
    session = shop.open()
    shop.v1.checkout.sessions.expire(session.id)
    wait_until(lambda: len(receiver.got) == 4)
    wait_until(lambda: not waiting(shop))
    assert len({event["id"] for event in receiver.events()}) == 1
    times = [headers["stripe-signature"] for headers, _ in receiver.got]
    assert len(set(times)) >= 2
    event = shop.v1.events.retrieve(receiver.events()[0]["id"])
    assert event.pending_webhooks == 0
    log = shop.sandbox.control("deliveries")["deliveries"][0]
    assert (log["tries"], log["status"], log["state"]) == (4, 200, "delivered")


def test_a_moved_clock_brings_the_next_try_at_once(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    receiver.answer = lambda event: 500
    shop.v1.checkout.sessions.expire(shop.open().id)
    for tries in range(1, 7):
        wait_until(lambda tries=tries: len(receiver.got) >= tries)  # type: ignore[misc]
        time.sleep(0.05)
        shop.sandbox.advance(3600)
    receiver.answer = lambda event: 200
    shop.sandbox.advance(3600)
    wait_until(lambda: not waiting(shop))


def test_dropped_webhooks_never_come_and_are_found_in_the_list(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    shop.sandbox.control("webhooks", {"drop": 1})
    session = shop.paid()
    shop.sandbox.control("webhooks", {"drop": 0})
    shop.sandbox.advance(7200)
    time.sleep(0.3)
    assert receiver.got == []
    missed = shop.v1.events.list({"delivery_success": False, "types": ["checkout.session.completed"]})
    assert missed.data[0].data.object["id"] == session.id
    assert missed.data[0].pending_webhooks == 1
    shop.sandbox.control("resend", {"event": missed.data[0].id})
    wait_until(lambda: receiver.types() == ["checkout.session.completed"])
    wait_until(lambda: not shop.v1.events.list({"delivery_success": False}).data)
    assert session.id in [
        e.data.object["id"] for e in shop.v1.events.list({"delivery_success": True, "limit": 100}).data
    ]


def test_repeated_webhooks_come_twice(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    shop.sandbox.control("webhooks", {"repeat": 1})
    shop.paid()
    wait_until(lambda: len(receiver.got) == 2)
    assert len({event["id"] for event in receiver.events()}) == 1


def test_delayed_webhooks_come_after_the_buyer(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    shop.sandbox.control("webhooks", {"delay": 1})
    started = time.monotonic()
    shop.paid()
    assert receiver.got == []
    assert time.monotonic() - started < 1.5
    wait_until(lambda: receiver.got)
    assert time.monotonic() - started > 1.8


def test_shuffled_webhooks_come_out_of_turn(both: tuple[Shop, Receiver]) -> None:
    shop, receiver = both
    shop.sandbox.control("webhooks", {"shuffle": 1})
    sessions = [shop.paid().id for _ in range(12)]
    wait_until(lambda: len(receiver.got) == 12)
    came = [event["data"]["object"]["id"] for event in receiver.events()]
    assert sorted(came) == sorted(sessions)
    assert came != sessions


def test_registered_endpoints_hear_what_they_want_with_their_own_secret(both: tuple[Shop, Receiver]) -> None:
    shop, _ = both
    with receiver_at_work() as other:
        endpoint = shop.v1.webhook_endpoints.create(
            {"url": other.url, "enabled_events": ["charge.succeeded"], "api_version": "2026-10-28.endive"}
        )
        assert endpoint.secret is not None
        shop.paid()
        wait_until(lambda: other.got)
        headers, body = other.got[0]
        assert (
            shop.client.construct_event(body, headers["stripe-signature"], endpoint.secret).type
            == "charge.succeeded"
        )
        assert "secret" not in shop.v1.webhook_endpoints.retrieve(endpoint.id)
        shop.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
        shop.paid()
        shop.v1.webhook_endpoints.update(endpoint.id, {"disabled": False, "enabled_events": ["*"]})
        shop.open()
        shop.paid()
        wait_until(lambda: "checkout.session.completed" in other.types())
        assert other.types().count("charge.succeeded") == 2
        assert shop.v1.webhook_endpoints.delete(endpoint.id).deleted


def test_events_can_be_asked_for_by_type_and_time(both: tuple[Shop, Receiver]) -> None:
    shop, _ = both
    shop.sandbox.advance(5)
    paid = shop.paid()
    shop.v1.refunds.create({"payment_intent": paid.payment_intent.id})
    events = shop.v1.events
    assert set(shop.events(created={"gte": paid.created})) >= {"checkout.session.completed", "charge.succeeded"}
    assert set(shop.events(type="charge.*")) == {"charge.succeeded", "charge.refunded"}
    assert {e.type for e in events.list({"types": ["charge.succeeded"]}).data} == {"charge.succeeded"}
    for params in (
        {"type": "a", "types": ["charge.succeeded"]},
        {"types": ["book.sold"]},
        {"types": ["refund.failed"] * 21},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            events.list(params)  # type: ignore[arg-type]
    old = events.list({"limit": 1}).data[0]
    shop.sandbox.advance(31 * 24 * 3600)
    assert old.id not in [e.id for e in events.list({"limit": 100}).data]
    with pytest.raises(stripe.InvalidRequestError):
        events.retrieve(old.id)


def test_what_was_not_delivered_is_delivered_after_a_restart() -> None:
    with receiver_at_work() as receiver, Sandbox(webhook_url=receiver.url) as sandbox:
        shop = Shop(sandbox)
        receiver.answer = lambda event: 503
        session = shop.open()
        sandbox.pay(session.url)
        wait_until(lambda: receiver.got)
        sandbox.kill()
        receiver.forget()
        sandbox.start()
        wait_until(lambda: receiver.types() == ["checkout.session.completed"])
        assert receiver.events()[0]["data"]["object"]["id"] == session.id


def test_nobody_listening_hurts_nobody() -> None:
    with Sandbox(webhook_url="http://127.0.0.1:9/none") as sandbox:
        shop = Shop(sandbox)
        started = time.monotonic()
        shop.paid()
        assert time.monotonic() - started < 3
        assert shop.v1.events.list({"delivery_success": False}).data
