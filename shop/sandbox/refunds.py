"""Refunds: in whole or in part, at once, later, or failing after all ("Refunds" of the API reference)."""

from shop.sandbox import disputes, events, ledger, session_rules
from shop.sandbox import movement_objects as shapes
from shop.sandbox.cards import CARDS
from shop.sandbox.errors import absent, exclusive, invalid, missing, refused
from shop.sandbox.sessions import merged, without_blanks
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

SOON = 30  # seconds until a pending refund succeeds or a failing one fails, by the sandbox's clock
COUNTED = ("succeeded", "pending", "requires_action")


def check_new(world: World, params: Json) -> None:
    """Refuse bad parameters before anything is executed."""
    named = [name for name in ("charge", "payment_intent") if name in params]
    if len(named) > 1:
        raise exclusive(*named)
    if not named:
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    for name in ("customer", "origin", "instructions_email", "refund_application_fee", "reverse_transfer"):
        if name in params and params[name] is not False:
            raise invalid(f"You can not pass `{name}` for a payment by card.", name)
    if "currency" in params:
        session_rules.currency(params["currency"], "currency")
    if "amount" in params and params["amount"] < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    session_rules.metadata(params.get("metadata"), "metadata")


def create(world: World, params: Json) -> Json:
    """The call “Create a refund”."""
    if "charge" in params:
        charge = world.store.find("charge", params["charge"])
        if charge is None:
            raise missing("charge", params["charge"], "charge")
    else:
        intent = world.store.find("payment_intent", params["payment_intent"])
        if intent is None:
            raise missing("payment_intent", params["payment_intent"], "payment_intent")
        found = intent.body["latest_charge"] and world.store.find("charge", intent.body["latest_charge"])
        if not found or intent.body["status"] != "succeeded":
            raise refused(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
        charge = found
    metadata = params.get("metadata") or {}
    reason = params.get("reason")
    return give(world, charge, params.get("amount"), reason, without_blanks({"metadata": metadata})["metadata"])


def give(world: World, charge_record: Record, amount: int | None, reason: str | None, metadata: Json) -> Json:
    """Send money back for a charge, as much as is left unless an amount is named."""
    charge = charge_record.body
    if charge["status"] != "succeeded":
        raise refused(
            f"Charge {charge['id']} has not succeeded; it cannot be refunded.", code="charge_not_refundable"
        )
    if charge["disputed"] and not disputes.refundable(world, charge["id"]):
        raise refused(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = charge["amount"] - charge["amount_refunded"]
    if left <= 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if amount is None else amount
    if amount > left:
        shown, rest = (_shown(value, charge["currency"]) for value in (amount, left))
        raise refused(f"Refund amount ({shown}) is greater than unrefunded amount on charge ({rest})", "amount")
    card = CARDS[charge_record.hidden["card"]]
    refund = shapes.refund(world.new_id("re_"), charge, amount, reason, metadata, world.clock.now())
    if card.refund == "pending":
        refund |= {"status": "pending", "pending_reason": "processing"}
    refund["balance_transaction"] = ledger.give_back(world, refund, charge)
    world.store.save(refund)
    if card.refund is not None:
        world.store.remind("settle_refund", refund["id"], world.clock.now() + SOON)
    before = dict(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    if reason == "fraudulent":
        charge["fraud_details"] = {"user_report": "fraudulent"}
    world.store.save(charge)
    events.record(world, "refund.created", refund)
    events.changed(world, "charge.refunded", charge, before)
    if charge["refunded"]:
        disputes.refund_resolves(world, charge["id"])
    return refund


def _shown(amount: int, currency: str) -> str:
    sign = {"gbp": "£", "usd": "$", "eur": "€"}.get(currency, currency.upper() + " ")
    return f"{sign}{amount // 100}.{amount % 100:02}"


def find(world: World, refund_id: str) -> Record:
    """A refund by its id, or Stripe's 404."""
    record = world.store.find("refund", refund_id)
    if record is None:
        raise missing("refund", refund_id, "refund")
    return record


def update(world: World, refund_id: str, params: Json) -> Json:
    """The call “Update a refund”: only its metadata."""
    session_rules.metadata(params.get("metadata"), "metadata")
    body = find(world, refund_id).body
    if "metadata" not in params:
        return body
    before = dict(body)
    body["metadata"] = merged(body["metadata"] or {}, params["metadata"])
    world.store.save(body)
    events.changed(world, "refund.updated", body, before)
    events.changed(world, "charge.refund.updated", body, before)
    return body


def cancel(world: World, refund_id: str, params: Json) -> Json:
    """The call “Cancel a refund”: possible only while it waits for the buyer, which card refunds never do."""
    body = find(world, refund_id).body
    message = f"Refund {refund_id} cannot be canceled: its status is {body['status']}, not requires_action."
    raise refused(message)


def settle(world: World, refund_id: str) -> None:
    """What the clock does to the refunds of the two cards that ask for it."""
    refund = world.get_body("refund", refund_id)
    card = CARDS[world.get("charge", refund["charge"]).hidden["card"]]
    if card.refund == "pending":
        succeed(world, refund_id)
    elif card.refund == "failing":
        fail(world, refund_id)


def succeed(world: World, refund_id: str) -> bool:
    """A pending refund arrives."""
    body = find(world, refund_id).body
    if body["status"] != "pending":
        return False
    before = dict(body)
    world.store.unwind("settle_refund", refund_id)
    body["status"] = "succeeded"
    body.pop("pending_reason", None)
    _tell(world, body, before)
    return True


def fail(world: World, refund_id: str) -> bool:
    """A refund comes back from the buyer's bank: the money is ours again and the buyer still waits for it."""
    body = find(world, refund_id).body
    if body["status"] not in COUNTED:
        return False
    before = dict(body)
    charge = world.get_body("charge", body["charge"])
    world.store.unwind("settle_refund", refund_id)
    body["status"] = "failed"
    body.pop("pending_reason", None)
    body["failure_reason"] = "expired_or_canceled_card"
    body["failure_balance_transaction"] = ledger.refund_came_back(world, body, charge)
    charge["amount_refunded"] -= body["amount"]
    charge["refunded"] = False
    world.store.save(charge)
    _tell(world, body, before)
    events.record(world, "refund.failed", body)
    return True


def _tell(world: World, body: Json, before: Json) -> None:
    world.store.save(body)
    events.changed(world, "refund.updated", body, before)
    events.changed(world, "charge.refund.updated", body, before)


def in_dashboard(world: World, intent_id: str, amount: int | None, reason: str | None) -> Json:
    """A refund made by a person at Stripe: nothing in it says which order it is for."""
    intent = world.store.find("payment_intent", intent_id)
    if intent is None:
        raise missing("payment_intent", intent_id, "payment_intent")
    if amount is not None and amount < 1:
        raise absent("amount")
    charge = intent.body["latest_charge"] and world.store.find("charge", intent.body["latest_charge"])
    if not charge or intent.body["status"] != "succeeded":
        raise refused(f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.")
    return give(world, charge, amount, reason, {})
