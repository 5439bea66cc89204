"""What happens when a buyer presses the button: intents, charges, delayed results, and what each card brings on."""

from dataclasses import dataclass, field

from shop.sandbox import disputes, events, ledger
from shop.sandbox import payment_objects as shapes
from shop.sandbox.cards import CARDS, Card
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

DELAY = 3 * 24 * 3600  # a bank debit takes days; by the sandbox's clock


@dataclass(slots=True)
class Details:
    """What the buyer typed, apart from the card."""

    email: str
    name: str
    phone: str | None
    address: Json
    shipped: bool
    rate: str | None = None
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try to pay went: done, refused by the bank, or waiting for 3-D Secure."""

    state: str
    card: Card | None = None
    event: str | None = None


class NotOpen(Exception):
    """The session was ended before this try."""


def open_session(world: World, session_id: str) -> Record:
    """A session that can be paid now; time is looked at again, whoever else wants to end it."""
    record = world.store.find("checkout.session", session_id)
    if record is None or record.body["status"] != "open" or record.body["expires_at"] <= world.clock.time():
        raise NotOpen
    return record


def submit(world: World, session_id: str, details: Details, card: Card | None) -> Outcome:
    """One try to pay, decided at once against expiry and other tries; `card` is None for nothing to pay."""
    with world.store.transaction():
        record = open_session(world, session_id)
        body = choose_rate(world, record.body, details.rate)
        hidden = record.hidden | {"details": _remembered(details), "challenge": None}
        if card is None:
            world.store.save(body, hidden)
            return Outcome("done", event=_complete(world, body, details, "no_payment_required"))
        intent = _intent(world, body, hidden, details, card)
        body["payment_intent"] = intent["id"]
        world.store.save(body, hidden)
        if card.secure:
            return _challenge(world, body, hidden, intent, card)
        return _charge(world, body, intent, details, card, authenticated=False)


def choose_rate(world: World, body: Json, rate_id: str | None) -> Json:
    """Take the buyer's choice of postage into the totals."""
    for option in body["shipping_options"]:
        if option["shipping_rate"] == rate_id and body["shipping_cost"]["shipping_rate"] != rate_id:
            amount = option["shipping_amount"]
            body["shipping_cost"] |= {"amount_subtotal": amount, "amount_total": amount, "shipping_rate": rate_id}
            body["total_details"]["amount_shipping"] = amount
            body["amount_total"] = body["amount_subtotal"] + amount
    return body


def _remembered(details: Details) -> Json:
    return {
        "email": details.email,
        "name": details.name,
        "phone": details.phone,
        "address": details.address,
        "shipped": details.shipped,
        "rate": details.rate,
        "answers": details.answers,
    }


def _billing(details: Details) -> Json:
    return {
        "address": shapes.address(details.address),
        "email": details.email,
        "name": details.name,
        "phone": details.phone,
        "tax_id": None,
    }


def _intent(world: World, body: Json, hidden: Json, details: Details, card: Card) -> Json:
    """The session's payment intent: made by the first try, used again by the next."""
    created = world.clock.now()
    method = shapes.payment_method(world.new_id("pm_"), card, _billing(details), created, body["currency"])
    world.store.save(method)
    if body["payment_intent"] is None:
        data = hidden["intent_data"]
        intent = shapes.payment_intent(world.new_id("pi_"), body, data, created, world.new_id(""))
        fresh = True
    else:
        intent = world.get_body("payment_intent", body["payment_intent"])
        fresh = False
    where = {"address": details.address, "name": details.name}
    intent |= {
        "amount": body["amount_total"],
        "shipping": shapes.shipping(where, details.phone) if details.shipped else None,
        "next_action": None,
    }
    if fresh:
        events.record(world, "payment_intent.created", intent)
    intent["payment_method"] = method["id"]
    return world.store.save(intent)


def _challenge(world: World, body: Json, hidden: Json, intent: Json, card: Card) -> Outcome:
    """The bank wants to see its customer first."""
    url = f"{world.base_url}/c/pay/{body['id']}/challenge"
    intent |= {
        "status": "requires_action",
        "next_action": {"redirect_to_url": {"return_url": None, "url": url}, "type": "redirect_to_url"},
    }
    world.store.save(intent)
    world.store.save(body, hidden | {"challenge": card.number})
    events.record(world, "payment_intent.requires_action", intent)
    return Outcome("challenge", card)


def answer_challenge(world: World, session_id: str, accepted: bool) -> Outcome:
    """The buyer passed 3-D Secure, or did not."""
    with world.store.transaction():
        record = open_session(world, session_id)
        number = record.hidden.get("challenge")
        if number is None:
            return Outcome("nothing")
        card = CARDS[number]
        body = record.body
        world.store.save(body, record.hidden | {"challenge": None})
        intent = world.get_body("payment_intent", body["payment_intent"])
        if not accepted:
            _failed(world, intent, None, "payment_intent_authentication_failure", None, UNAUTHENTICATED)
            return Outcome("unauthenticated", card)
        return _charge(world, body, intent, Details(**record.hidden["details"]), card, authenticated=True)


UNAUTHENTICATED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)


def _failed(
    world: World, intent: Json, charge: str | None, code: str, decline_code: str | None, message: str | None
) -> None:
    """Note on the intent why the last try failed; the buyer may try again."""
    error: Json = {"code": code, "doc_url": f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"}
    if charge is not None:
        error["charge"] = charge
    if decline_code is not None:
        error["decline_code"] = decline_code
    error["message"] = message
    error["payment_method"] = world.get_body("payment_method", intent["payment_method"])
    error["type"] = "card_error" if charge is not None else "invalid_request_error"
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": error,
        "next_action": None,
        "payment_method": None,
        "processing": None,
    }
    world.store.save(intent)
    events.record(world, "payment_intent.payment_failed", intent)


def _charge(world: World, body: Json, intent: Json, details: Details, card: Card, authenticated: bool) -> Outcome:
    """Ask the bank for the money."""
    created = world.clock.now()
    charge = shapes.charge(world.new_id("ch_"), intent, card, _billing(details), created, authenticated)
    intent["latest_charge"] = charge["id"]
    hidden = {"card": card.number}
    if card.declined:
        world.store.save(charge, hidden)
        events.record(world, "charge.failed", charge)
        _failed(world, intent, charge["id"], card.code or "card_declined", card.decline_code, card.message)
        return Outcome("declined", card)
    intent |= {"last_payment_error": None, "next_action": None}
    if card.delayed:
        intent |= {"status": "processing"}
        world.store.save(charge, hidden)
        world.store.save(intent)
        events.record(world, "charge.pending", charge)
        events.record(world, "payment_intent.processing", intent)
        world.store.remind("settle_delayed", body["id"], created + DELAY)
        return Outcome("done", card, _complete(world, body, details, "unpaid"))
    charge["balance_transaction"] = ledger.take_payment(world, charge)
    world.store.save(charge, hidden)
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    world.store.save(intent)
    events.record(world, "charge.succeeded", charge)
    events.record(world, "payment_intent.succeeded", intent)
    event = _complete(world, body, details, "paid")
    _brings_on(world, charge, card)
    return Outcome("done", card, event)


def _complete(world: World, body: Json, details: Details, payment_status: str) -> str:
    """The buyer is done: the page closes, the session keeps what it collected; returns the event's id."""
    world.store.unwind("expire_session", body["id"])
    where = {"address": shapes.address(details.address), "name": details.name}
    body |= {
        "status": "complete",
        "payment_status": payment_status,
        "url": None,
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": where if details.shipped else None,
        },
        "customer_details": {
            "address": shapes.address(details.address),
            "business_name": None,
            "email": details.email,
            "individual_name": None,
            "name": details.name,
            "phone": details.phone,
            "tax_exempt": "none",
            "tax_ids": [],
        },
    }
    if body["automatic_tax"]["enabled"]:
        body["automatic_tax"]["status"] = "complete"
    for question in body["custom_fields"]:
        question[question["type"]]["value"] = details.answers.get(question["key"]) or None
    world.store.save(body)
    return str(events.record(world, "checkout.session.completed", body)["id"])


def _brings_on(world: World, charge: Json, card: Card) -> None:
    """Some cards are followed by trouble, a moment later."""
    soon = world.clock.now() + 1
    if card.dispute is not None:
        world.store.remind("open_dispute", charge["id"], soon)
    if card.warning:
        world.store.remind("warn", charge["id"], soon)


def trouble(world: World, charge_id: str) -> None:
    """Open the dispute that the card of a charge stands for."""
    record = world.get("charge", charge_id)
    card = CARDS[record.hidden["card"]]
    if not record.body["disputed"]:
        disputes.open_dispute(world, record.body, card.dispute or "general", card.inquiry)


def settle_delayed(world: World, session_id: str, succeeds: bool | None = None) -> bool:
    """Days later the bank says yes or no; false when there was nothing to say."""
    record = world.store.find("checkout.session", session_id)
    if record is None or record.body["status"] != "complete" or record.body["payment_status"] != "unpaid":
        return False
    body = record.body
    intent = world.get_body("payment_intent", body["payment_intent"])
    if intent["status"] != "processing":
        return False
    found = world.get("charge", intent["latest_charge"])
    charge, card = found.body, CARDS[found.hidden["card"]]
    world.store.unwind("settle_delayed", session_id)
    if succeeds is None:
        succeeds = card.delayed == "succeeds"
    if succeeds:
        charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
        charge["balance_transaction"] = ledger.take_payment(world, charge)
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "processing": None}
        body |= {"payment_status": "paid"}
        world.store.save(charge)
        world.store.save(intent)
        world.store.save(body)
        events.record(world, "charge.succeeded", charge)
        events.record(world, "payment_intent.succeeded", intent)
        events.record(world, "checkout.session.async_payment_succeeded", body)
        return True
    message = "The customer's account has insufficient funds to cover this payment."
    charge |= {
        "status": "failed",
        "paid": False,
        "captured": False,
        "failure_code": "insufficient_funds",
        "failure_message": message,
    }
    world.store.save(charge)
    events.record(world, "charge.failed", charge)
    _failed(world, intent, charge["id"], "payment_intent_payment_attempt_failed", "insufficient_funds", message)
    events.record(world, "checkout.session.async_payment_failed", body)
    return True
