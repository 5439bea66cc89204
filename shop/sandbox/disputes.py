"""Disputes and early fraud warnings: opened by the world, answered by the seller, closed by the bank."""

from shop.sandbox import events, ledger, session_rules
from shop.sandbox import movement_objects as shapes
from shop.sandbox.errors import missing, refused
from shop.sandbox.store import Json, Record
from shop.sandbox.world import World

DAY = 24 * 3600
ANSWER_WITHIN = 9 * DAY
INQUIRY_LIFE = 120 * DAY
VERDICT_AFTER = 5  # seconds, for the two words that Stripe's test mode knows as evidence
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
VERDICTS = {"winning_evidence": "win", "losing_evidence": "lose"}


def open_dispute(world: World, charge: Json, reason: str, inquiry: bool) -> Json:
    """The buyer's bank asks; an inquiry takes no money yet."""
    if charge["status"] != "succeeded":
        raise refused(f"Charge {charge['id']} has not succeeded; it cannot be disputed.")
    if charge["disputed"]:
        raise refused(f"Charge {charge['id']} is disputed already.")
    now = world.clock.now()
    amount = charge["amount"] - charge["amount_refunded"] or charge["amount"]
    due = now + ANSWER_WITHIN
    dispute = shapes.dispute(world.new_id("du_"), charge, amount, reason, inquiry, now, due)
    charge["disputed"] = True
    world.store.save(charge)
    world.store.save(dispute)
    world.store.remind("dispute_due", dispute["id"], now + INQUIRY_LIFE if inquiry else due)
    events.record(world, "charge.dispute.created", dispute)
    if not inquiry:
        _withdraw(world, dispute)
    return dispute


def _withdraw(world: World, dispute: Json) -> None:
    transaction = ledger.withdraw(world, dispute)
    dispute["balance_transactions"].append(world.get_body("balance_transaction", transaction))
    dispute["is_charge_refundable"] = False
    world.store.save(dispute)
    events.record(world, "charge.dispute.funds_withdrawn", dispute)


def find(world: World, dispute_id: str) -> Record:
    """A dispute by its id, or Stripe's 404."""
    record = world.store.find("dispute", dispute_id)
    if record is None:
        raise missing("dispute", dispute_id, "dispute")
    return record


def refundable(world: World, charge_id: str) -> bool:
    """Whether every dispute of a charge leaves its money where it is, or gave it back."""
    found = world.store.records("dispute", "charge=?", (charge_id,))
    return all(r.body["status"].startswith("warning") or r.body["status"] == "won" for r in found)


def refund_resolves(world: World, charge_id: str) -> None:
    """An inquiry is over once the buyer has all the money."""
    for record in world.store.records("dispute", "charge=? AND status LIKE 'warning_%'", (charge_id,)):
        if record.body["status"] in OPEN:
            close(world, record.id, won=True)


def update(world: World, dispute_id: str, params: Json) -> Json:
    """The call “Update a dispute”: evidence is staged, and with `submit` sent, once."""
    session_rules.metadata(params.get("metadata"), "metadata")
    body = find(world, dispute_id).body
    before = dict(body, evidence=dict(body["evidence"]), evidence_details=dict(body["evidence_details"]))
    if "metadata" in params:
        given = params["metadata"]
        both = {} if isinstance(given, str) else body["metadata"] | given
        body["metadata"] = {key: value for key, value in both.items() if value != ""}
    if "intended_submission_method" in params:
        body["intended_submission_method"] = params["intended_submission_method"]
    evidence = params.get("evidence", {})
    if evidence or params.get("submit"):
        if body["status"] not in ("needs_response", "warning_needs_response"):
            raise refused("This dispute is already closed or under review: its evidence cannot be changed.")
        for name, value in evidence.items():
            if name == "enhanced_evidence":
                body["evidence"][name] = value or {}
            else:
                body["evidence"][name] = value or None
        details = body["evidence_details"]
        details["has_evidence"] = any(v for n, v in body["evidence"].items() if n != "enhanced_evidence")
        # "submit: … Defaults to true if `evidence` is given".
        if params.get("submit", bool(evidence)):
            _submit(world, body)
    world.store.save(body)
    if body != before:
        events.changed(world, "charge.dispute.updated", body, before)
    return body


def _submit(world: World, body: Json) -> None:
    inquiry = body["status"].startswith("warning")
    body["status"] = "warning_under_review" if inquiry else "under_review"
    body["evidence_details"] |= {"submission_count": 1, "submission_method": "manual"}
    world.store.unwind("dispute_due", body["id"])
    if body["evidence"]["uncategorized_text"] in VERDICTS:
        world.store.remind("dispute_verdict", body["id"], world.clock.now() + VERDICT_AFTER)


def accept(world: World, dispute_id: str, params: Json) -> Json:
    """The call “Close a dispute”: give in."""
    body = find(world, dispute_id).body
    if body["status"] not in ("needs_response", "warning_needs_response"):
        raise refused("This dispute is already closed or under review.")
    return close(world, dispute_id, won=False)


def close(world: World, dispute_id: str, *, won: bool) -> Json:
    """The bank decides; money that was withdrawn comes back to the winner."""
    body = find(world, dispute_id).body
    if body["status"] not in OPEN:
        raise refused(f"This dispute is closed: {body['status']}.")
    inquiry = body["status"].startswith("warning")
    for alarm in ("dispute_due", "dispute_verdict"):
        world.store.unwind(alarm, dispute_id)
    if inquiry and not won:
        _withdraw(world, body)
    body["status"] = ("warning_closed" if inquiry else "won") if won else "lost"
    body["is_charge_refundable"] = won
    if won and not inquiry:
        transaction = ledger.reinstate(world, body)
        body["balance_transactions"].append(world.get_body("balance_transaction", transaction))
    world.store.save(body)
    events.record(world, "charge.dispute.closed", body)
    if won and not inquiry:
        events.record(world, "charge.dispute.funds_reinstated", body)
    return body


def due(world: World, dispute_id: str) -> None:
    """Nobody answered in time: an inquiry is dropped, a chargeback is lost."""
    body = find(world, dispute_id).body
    body["evidence_details"]["past_due"] = True
    world.store.save(body)
    if body["status"] in ("needs_response", "warning_needs_response"):
        close(world, dispute_id, won=body["status"].startswith("warning"))


def verdict(world: World, dispute_id: str) -> None:
    """The evidence “winning_evidence” wins and “losing_evidence” loses, as in Stripe's test mode."""
    body = find(world, dispute_id).body
    if body["status"] in OPEN:
        close(world, dispute_id, won=body["evidence"]["uncategorized_text"] == "winning_evidence")


def warn(world: World, charge: Json) -> Json:
    """An early fraud warning for a charge."""
    warning = shapes.early_fraud_warning(world.new_id("issfr_"), charge, world.clock.now())
    warning["actionable"] = not charge["refunded"] and not charge["disputed"]
    world.store.save(warning)
    events.record(world, "radar.early_fraud_warning.created", warning)
    return warning
