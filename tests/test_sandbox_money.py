"""Refunds, disputes, warnings and the ledger of the sandbox."""

from typing import Any

import pytest
import stripe

from shop.sandbox.ledger import processing_fee
from tests.sandbox_process import Sandbox
from tests.sandbox_shop import Shop, sandbox, shop

__all__ = ["sandbox", "shop"]


def test_fees_are_a_share_and_a_fixed_sum_rounded_half_up() -> None:
    assert processing_fee(2249, "gbp") == 34 + 20
    assert processing_fee(2249, "usd") == 65 + 30
    assert processing_fee(100, "gbp") == 2 + 20
    assert processing_fee(99, "gbp") == 1 + 20
    assert processing_fee(1000, "chf") == 29 + 30


def test_a_payment_is_refunded_in_parts_until_nothing_is_left(shop: Shop) -> None:
    intent = shop.paid().payment_intent
    params: Any = {
        "payment_intent": intent.id,
        "amount": 1000,
        "reason": "requested_by_customer",
        "metadata": {"a": "b"},
    }
    first = shop.v1.refunds.create(params)
    assert (first.status, first.amount, first.reason) == ("succeeded", 1000, "requested_by_customer")
    assert first.metadata is not None
    assert first.metadata.to_dict() == {"a": "b"}
    charge = shop.v1.charges.retrieve(intent.latest_charge.id)
    assert (charge.amount_refunded, charge.refunded) == (1000, False)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as caught:
        shop.v1.refunds.create({"charge": charge.id, "amount": 1250})
    assert caught.value.param == "amount"
    rest = shop.v1.refunds.create({"charge": charge.id})
    assert rest.amount == 1249
    assert shop.v1.charges.retrieve(charge.id).refunded is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    assert shop.events()[-4:] == ["refund.created", "charge.refunded"] * 2
    listed = shop.v1.refunds.list({"payment_intent": intent.id}).data
    assert [r.id for r in listed] == [rest.id, first.id]


def test_a_refund_moves_the_balance_and_keeps_the_fee(shop: Shop) -> None:
    intent = shop.paid(currency="usd").payment_intent
    refund: Any = shop.v1.refunds.create({"payment_intent": intent.id, "expand": ["balance_transaction"]})
    movement = refund.balance_transaction
    assert (movement.amount, movement.fee, movement.net, movement.type) == (-2249, 0, -2249, "refund")
    assert movement.source == refund.id
    updated = shop.v1.refunds.update(refund.id, {"metadata": {"row": "7"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"row": "7"}
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.refunds.cancel(refund.id)


def test_an_unpaid_intent_cannot_be_refunded(shop: Shop) -> None:
    session = shop.open()
    shop.sandbox.pay(session.url, card_number="4000000000000002")
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        shop.v1.refunds.create({"payment_intent": shop.look(session.id).payment_intent.id})


def test_a_pending_refund_succeeds_later(shop: Shop) -> None:
    for how in ("clock", "control"):
        intent = shop.paid("4000000000007726").payment_intent
        refund = shop.v1.refunds.create({"payment_intent": intent.id})
        assert (refund.status, refund.pending_reason) == ("pending", "processing")
        if how == "clock":
            shop.sandbox.advance(31)
        else:
            shop.sandbox.control(f"refunds/{refund.id}", {"do": "succeed"})
        found = shop.v1.refunds.retrieve(refund.id)
        assert found.status == "succeeded"
        assert "pending_reason" not in found
        assert shop.events()[-2:] == ["refund.updated", "charge.refund.updated"]


def test_a_refund_that_succeeded_can_still_fail(shop: Shop) -> None:
    for how in ("clock", "control"):
        intent = shop.paid("4000000000005126" if how == "clock" else "4242424242424242").payment_intent
        refund = shop.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
        assert refund.status == "succeeded"
        if how == "clock":
            shop.sandbox.advance(31)
        else:
            shop.sandbox.control(f"refunds/{refund.id}", {"do": "fail"})
        failed: Any = shop.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
        assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
        assert failed.failure_balance_transaction.amount == 500
        charge = shop.v1.charges.retrieve(intent.latest_charge.id)
        assert (charge.amount_refunded, charge.refunded) == (0, False)
        assert shop.events()[-1] == "refund.failed"
        shop.sandbox.control(f"refunds/{refund.id}", {"do": "fail"}, status=409)


def test_a_refund_in_the_dashboard_says_nothing_of_the_order(shop: Shop) -> None:
    intent = shop.paid().payment_intent
    made = shop.sandbox.control("refunds", {"payment_intent": intent.id, "amount": 700})
    refund = shop.v1.refunds.retrieve(made["id"])
    assert refund.metadata is not None
    assert (refund.amount, refund.metadata.to_dict(), refund.reason) == (700, {}, None)
    rest = shop.sandbox.control("refunds", {"payment_intent": intent.id})
    assert rest["amount"] == 2249 - 700
    event = shop.v1.events.list({"type": "refund.created", "limit": 1}).data[0]
    assert event.request is not None
    assert event.request.id is None


@pytest.mark.parametrize(("deed", "status"), [("win", "won"), ("lose", "lost")])
def test_a_dispute_takes_the_money_until_it_is_won(shop: Shop, deed: str, status: str) -> None:
    intent = shop.paid().payment_intent
    before = shop.sandbox.ledger()["totals"]["gbp"]["net"]
    made = shop.sandbox.control("disputes", {"charge": intent.latest_charge.id})
    assert shop.events()[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert before - shop.sandbox.ledger()["totals"]["gbp"]["net"] == 2249 + 2000
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"
    staged = shop.v1.disputes.update(
        made["id"], {"evidence": {"shipping_tracking_number": "RM1"}, "submit": False}
    )
    assert (staged.status, staged.evidence_details.has_evidence) == ("needs_response", True)
    sent = shop.v1.disputes.update(made["id"], {"submit": True})
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.disputes.update(made["id"], {"evidence": {"customer_name": "Ada"}})
    shop.sandbox.control(f"disputes/{made['id']}", {"do": deed})
    dispute = shop.v1.disputes.retrieve(made["id"])
    assert dispute.status == status
    assert len(dispute.balance_transactions) == (2 if deed == "win" else 1)
    gone = before - shop.sandbox.ledger()["totals"]["gbp"]["net"]
    assert gone == (2000 if deed == "win" else 2249 + 2000)
    assert "charge.dispute.closed" in shop.events()
    assert (shop.events()[-1] == "charge.dispute.funds_reinstated") == (deed == "win")
    shop.sandbox.control(f"disputes/{made['id']}", {"do": "win"}, status=400)
    assert shop.v1.charges.retrieve(intent.latest_charge.id).disputed is True


def test_a_dispute_that_nobody_answers_is_lost(shop: Shop) -> None:
    session = shop.paid("4000000000000259")
    shop.sandbox.advance(2)
    dispute = shop.v1.disputes.list({"payment_intent": session.payment_intent.id}).data[0]
    assert (dispute.reason, dispute.status) == ("fraudulent", "needs_response")
    assert dispute.evidence_details.due_by is not None
    shop.sandbox.advance(dispute.evidence_details.due_by - dispute.created + 1)
    assert shop.v1.disputes.retrieve(dispute.id).status == "lost"


def test_test_evidence_decides_a_dispute(shop: Shop) -> None:
    for word, status in (("winning_evidence", "won"), ("losing_evidence", "lost")):
        session = shop.paid("4000000000002685")
        shop.sandbox.advance(2)
        dispute = shop.v1.disputes.list({"payment_intent": session.payment_intent.id}).data[0]
        assert dispute.reason == "product_not_received"
        shop.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": word}})
        shop.sandbox.advance(6)
        assert shop.v1.disputes.retrieve(dispute.id).status == status


def test_a_dispute_can_be_given_up(shop: Shop) -> None:
    made = shop.sandbox.control("disputes", {"charge": shop.paid().payment_intent.latest_charge.id})
    assert shop.v1.disputes.close(made["id"]).status == "lost"


def test_an_inquiry_takes_no_money_and_ends_with_a_refund(shop: Shop) -> None:
    session = shop.paid("4000000000001976")
    shop.sandbox.advance(2)
    dispute = shop.v1.disputes.list({"payment_intent": session.payment_intent.id}).data[0]
    assert (dispute.status, dispute.is_charge_refundable) == ("warning_needs_response", True)
    assert dispute.balance_transactions == []
    shop.v1.refunds.create({"payment_intent": session.payment_intent.id})
    assert shop.v1.disputes.retrieve(dispute.id).status == "warning_closed"


def test_an_early_fraud_warning_comes_with_its_card_and_by_control(shop: Shop) -> None:
    session = shop.paid("4000000000005423")
    shop.sandbox.advance(2)
    charge = session.payment_intent.latest_charge.id
    warning = shop.v1.radar.early_fraud_warnings.list({"charge": charge}).data[0]
    assert warning.actionable
    assert warning.payment_intent == session.payment_intent.id
    made = shop.sandbox.control("warnings", {"charge": charge})
    assert shop.v1.radar.early_fraud_warnings.retrieve(made["id"]).charge == charge
    assert shop.events()[-1] == "radar.early_fraud_warning.created"


def test_the_ledger_adds_up(sandbox: Sandbox, shop: Shop) -> None:
    shop.paid(currency="usd")
    truth = sandbox.ledger()
    for currency, total in truth["totals"].items():
        rows = [row for row in truth["balance_transactions"] if row["currency"] == currency]
        assert total["net"] == sum(row["net"] for row in rows)
        assert total["fees"] == sum(row["fee"] for row in rows)
        taken = total["charged"] + total["reinstated"] + total["refund_failures"]
        assert total["net"] == taken - total["refunded"] - total["disputed"] - total["fees"]
        refunds = [row for row in truth["refunds"] if row["currency"] == currency]
        assert total["refunded"] == sum(row["amount"] for row in refunds)
    balance = shop.v1.balance.retrieve()
    parts = [*balance.available, *balance.pending]
    for currency, total in truth["totals"].items():
        assert sum(part.amount for part in parts if part.currency == currency) == total["net"]


def test_money_becomes_available_after_two_days(shop: Shop) -> None:
    movement = shop.paid().payment_intent.latest_charge.balance_transaction
    assert movement.status == "pending"
    shop.sandbox.advance(2 * 24 * 3600)
    assert shop.v1.balance_transactions.retrieve(movement.id).status == "available"
