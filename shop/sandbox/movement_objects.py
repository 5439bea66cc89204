"""How Stripe shows what follows a payment: refunds, disputes, warnings and movements of the balance.

Fields that the API description lets be absent (`failure_reason` of a refund that did not fail) are absent.
"""

from typing import Any

from shop.sandbox.store import Json


def refund(
    refund_id: str, charge_body: Json, amount: int, reason: str | None, metadata: Json, created: int
) -> Json:
    """Money on its way back ("The Refund object")."""
    kind = charge_body["payment_method_details"]["type"]
    where: Json = {"type": kind}
    if kind == "card":
        where["card"] = {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        }
    elif kind == "us_bank_account":
        # The API description has this name for a refund to such an account.
        where = {
            "type": "us_bank_transfer",
            "us_bank_transfer": {"reference": None, "reference_status": "pending"},
        }
    else:
        where = {
            "type": "gb_bank_transfer",
            "gb_bank_transfer": {"reference": None, "reference_status": "pending"},
        }
    return {
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge_body["id"],
        "created": created,
        "currency": charge_body["currency"],
        "customer": None,
        "customer_account": None,
        "destination_details": where,
        "metadata": metadata,
        "payment_intent": charge_body["payment_intent"],
        "payment_method": charge_body["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}


def dispute(
    dispute_id: str, charge_body: Json, amount: int, reason: str, inquiry: bool, created: int, due: int
) -> Json:
    """A buyer's bank asks the money back ("The Dispute object")."""
    code = REASON_CODES.get(reason, "13.7")
    details: Json | None = None
    if charge_body["payment_method_details"]["type"] == "card":
        brand = charge_body["payment_method_details"]["card"]["brand"]
        details = {
            "type": "card",
            "card": {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": code,
            },
        }
    body: Json = {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge_body["id"],
        "created": created,
        "currency": charge_body["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": "prefer_manual",
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": code,
        "payment_intent": charge_body["payment_intent"],
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    if details is not None:
        body["payment_method_details"] = details
    return body


def balance_transaction(
    transaction_id: str,
    *,
    amount: int,
    fee: int,
    fee_text: str,
    kind: str,
    category: str,
    source: str,
    currency: str,
    description: str | None,
    created: int,
    available_on: int,
) -> Json:
    """One movement of our balance ("The Balance Transaction object")."""
    details: list[dict[str, Any]] = []
    if fee:
        details = [
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": fee_text,
                "type": "stripe_fee",
            }
        ]
    return {
        "id": transaction_id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": available_on,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details,
        "net": amount - fee,
        "reporting_category": category,
        "source": source,
        "status": "pending",
        "type": kind,
    }


def early_fraud_warning(warning_id: str, charge_body: Json, created: int) -> Json:
    """The card's network fears fraud ("The Early Fraud Warning object")."""
    return {
        "id": warning_id,
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": charge_body["id"],
        "created": created,
        "fraud_type": "made_with_stolen_card",
        "livemode": False,
        "payment_intent": charge_body["payment_intent"],
    }
