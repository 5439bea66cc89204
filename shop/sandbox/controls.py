"""What a person or a test can make happen in the sandbox's world; shared by the JSON controls and the desk."""

import json

from shop.sandbox import disputes, payments, refunds, sessions, timers
from shop.sandbox.clock import ClockError
from shop.sandbox.errors import ApiError
from shop.sandbox.faults import STATUSES
from shop.sandbox.pay_form import read
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

RATES = ("drop", "repeat", "delay", "shuffle")


class Refused(Exception):
    """An order that makes no sense, with the sentence that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def only(wish: Json, *names: str) -> None:
    """Refuse names that mean nothing here, so that a typing mistake is seen."""
    unknown = sorted(set(wish) - set(names))
    if unknown:
        raise Refused(f"unknown: {', '.join(map(str, unknown))[:200]}; known: {', '.join(names)}")


def whole(wish: Json, name: str, *, least: int = 0, default: int | None = None) -> int:
    """A whole number of a wish."""
    value = wish.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10**9:
        raise Refused(f"{name} must be a whole number of at least {least}")
    return value


def share(wish: Json, name: str) -> float:
    """A rate from 0 to 1."""
    value = wish.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise Refused(f"{name} must be a number from 0 to 1")
    return float(value)


def text(wish: Json, name: str) -> str:
    """A text of a wish, an id mostly."""
    value = wish.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"{name} must be a text")
    return value


def advance_clock(world: World, wish: Json) -> Json:
    """Move the time forward; everything that falls due on the way happens before the answer."""
    only(wish, "advance")
    try:
        offset = world.clock.advance(whole(wish, "advance"))
    except ClockError as problem:
        raise Refused(str(problem)) from None
    timers.sweep(world)
    if wish["advance"]:
        world.deliveries.hurry()
    return {"offset": offset, "now": world.clock.now()}


def set_webhooks(world: World, wish: Json) -> Json:
    """Bad luck for webhooks from now on; what is not named stays as it is, {} is no luck at all."""
    only(wish, *RATES)
    values = {name: share(wish, name) for name in wish}
    for name in RATES:
        if name in values or not wish:
            setattr(world.deliveries.rates, name, values.get(name, 0.0))
    return dict(world.deliveries.rates.as_json())


def set_faults(world: World, wish: Json) -> Json:
    """Bad luck for API calls."""
    only(wish, "before", "after", "status", "rate", "slow", "truncated", "locked")
    order: Json = {"before": whole(wish, "before", default=0), "after": whole(wish, "after", default=0)}
    if wish.get("status") is not None:
        order["status"] = whole(wish, "status")
        if order["status"] not in STATUSES:
            raise Refused(f"status must be one of {', '.join(map(str, STATUSES))} (0 cuts the connection)")
    order["rate"] = share(wish, "rate")
    slow = wish.get("slow", 0)
    if isinstance(slow, bool) or not isinstance(slow, (int, float)) or not 0 <= slow <= 120:
        raise Refused("slow must be a number of seconds up to 120")
    order["slow"] = float(slow)
    for name in ("truncated", "locked"):
        order[name] = wish.get(name, False)
        if not isinstance(order[name], bool):
            raise Refused(f"{name} must be true or false")
    if order["locked"]:
        order["status"] = 429
    world.faults.set(order)
    return world.faults.as_json()


def _known(world: World, kind: str, object_id: str) -> Record:
    record = world.store.find(kind, object_id)
    if record is None:
        raise Refused(f"no such {kind}: {object_id[:100]}", 404)
    return record


def steer_session(world: World, session_id: str, wish: Json) -> Json:
    """Expire a session, or let a delayed payment arrive or fail."""
    only(wish, "do")
    deed = text(wish, "do")
    with world.store.transaction():
        record = _known(world, "checkout.session", session_id)
        if deed == "expire":
            if record.body["status"] != "open":
                raise Refused(f"the session is {record.body['status']}, not open", 409)
            return sessions.close(world, record)
        if deed not in ("complete_delayed", "fail_delayed"):
            raise Refused("do must be expire, complete_delayed or fail_delayed")
        if not payments.settle_delayed(world, session_id, deed == "complete_delayed"):
            raise Refused("the session has no delayed payment under way", 409)
        return world.get_body("checkout.session", session_id)


def refund(world: World, wish: Json) -> Json:
    """A refund "in the dashboard": without metadata."""
    only(wish, "payment_intent", "amount", "reason")
    amount = None if wish.get("amount") is None else whole(wish, "amount", least=1)
    reason = wish.get("reason")
    if reason not in (None, "duplicate", "fraudulent", "requested_by_customer"):
        raise Refused("reason must be duplicate, fraudulent or requested_by_customer")
    with world.store.transaction():
        return refunds.in_dashboard(world, text(wish, "payment_intent"), amount, reason)


def steer_refund(world: World, refund_id: str, wish: Json) -> Json:
    """Let a refund fail, or a pending one arrive."""
    only(wish, "do")
    deed = text(wish, "do")
    if deed not in ("fail", "succeed"):
        raise Refused("do must be fail or succeed")
    with world.store.transaction():
        record = _known(world, "refund", refund_id)
        done = refunds.fail(world, refund_id) if deed == "fail" else refunds.succeed(world, refund_id)
        if not done:
            raise Refused(f"the refund is {record.body['status']}", 409)
        return world.get_body("refund", refund_id)


REASONS = (
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
)


def dispute(world: World, wish: Json) -> Json:
    """Open a dispute, or with `inquiry` the softer kind that takes no money yet."""
    only(wish, "charge", "reason", "inquiry")
    reason, inquiry = wish.get("reason", "fraudulent"), wish.get("inquiry", False)
    if reason not in REASONS:
        raise Refused(f"reason must be one of {', '.join(REASONS)}")
    if not isinstance(inquiry, bool):
        raise Refused("inquiry must be true or false")
    with world.store.transaction():
        record = _known(world, "charge", text(wish, "charge"))
        return disputes.open_dispute(world, record.body, reason, inquiry)


def steer_dispute(world: World, dispute_id: str, wish: Json) -> Json:
    """Decide a dispute."""
    only(wish, "do")
    deed = text(wish, "do")
    if deed not in ("win", "lose"):
        raise Refused("do must be win or lose")
    with world.store.transaction():
        _known(world, "dispute", dispute_id)
        return disputes.close(world, dispute_id, won=deed == "win")


def warning(world: World, wish: Json) -> Json:
    """Let the card's network warn of fraud."""
    only(wish, "charge")
    with world.store.transaction():
        record = _known(world, "charge", text(wish, "charge"))
        return disputes.warn(world, record.body)


def pay(world: World, wish: Json) -> Json:
    """Pay a session without its page, for tests that have no browser; 3-D Secure is passed unless `secure` is false."""
    session_id = text(wish, "session")
    record = _known(world, "checkout.session", session_id)
    form = {name: str(value) for name, value in wish.items() if name not in ("session", "secure")}
    typed = read(record.body, form)
    if typed.details is None or typed.errors:
        raise Refused(f"the page would say: {typed.errors}", 422)
    try:
        outcome = payments.submit(world, session_id, typed.details, typed.card)
        if outcome.state == "challenge":
            outcome = payments.answer_challenge(world, session_id, bool(wish.get("secure", True)))
    except payments.NotOpen:
        raise Refused("the session is not open", 409) from None
    return {"state": outcome.state, "session": world.get_body("checkout.session", session_id)}


def resend(world: World, wish: Json) -> Json:
    """Send an event again to everybody who wants it."""
    only(wish, "event")
    return {"deliveries": world.deliveries.resend(_known(world, "event", text(wish, "event")).id)}


def calls(world: World, after: int, path: str, limit: int) -> Json:
    """The log of API calls, oldest first, with their parameters as they came."""
    rows = world.store.rows(
        "SELECT * FROM (SELECT * FROM call WHERE seq>? AND path LIKE ? ORDER BY seq DESC LIMIT ?) ORDER BY seq",
        (after, path.replace("%", "") + "%", limit),
    )
    return {"requests": [dict(row) | {"params": json.loads(row["params"])} for row in rows]}


def as_refusal(error: ApiError) -> Refused:
    """The same refusal in the controls' words."""
    return Refused(error.message, error.status)
