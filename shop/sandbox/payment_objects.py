"""How Stripe shows a payment: the intent, the method and the charge, every field of them.

Fields that the API description lets be absent (`presentment_details`, say) are absent.
"""

import hashlib

from shop.sandbox.cards import Card
from shop.sandbox.store import Json

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(values: Json | None) -> Json:
    """An address with all its six fields."""
    values = values or {}
    return {name: values.get(name) or None for name in ADDRESS}


def shipping(details: Json | None, phone: str | None) -> Json | None:
    """Where the parcel goes, as intents and charges show it."""
    if details is None:
        return None
    return {
        "address": address(details["address"]),
        "carrier": None,
        "name": details["name"],
        "phone": phone,
        "tracking_number": None,
    }


def payment_intent(intent_id: str, session: Json, data: Json, created: int, secret: str) -> Json:
    """A payment that was begun on the payment page ("The PaymentIntent object")."""
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": session["allowed_payment_method_types"],
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": data.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{secret}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": session.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": session["managed_payments"],
        "metadata": data.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": session["payment_method_configuration_details"],
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": session["payment_method_types"],
        "payment_record": None,
        "processing": None,
        "receipt_email": data.get("receipt_email"),
        "review": None,
        "setup_future_usage": data.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": data.get("transfer_group"),
    }


def fingerprint(number: str) -> str:
    """The same for the same card, and saying nothing about it."""
    return hashlib.sha256(f"card {number}".encode()).hexdigest()[:16]


def payment_method(method_id: str, card: Card, details: Json, created: int, currency: str) -> Json:
    """What the buyer paid with ("The PaymentMethod object"), apart from the number itself."""
    method: Json = {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": details,
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
    if card.delayed:
        kind, bank = bank_debit(card, currency)
        if kind == "us_bank_account":
            return method | {
                "type": kind,
                kind: {
                    "account_holder_type": "individual",
                    "account_type": "checking",
                    "bank_name": bank["bank_name"],
                    "financial_connections_account": None,
                    "fingerprint": bank["fingerprint"],
                    "last4": bank["last4"],
                    "networks": {"preferred": "ach", "supported": ["ach"]},
                    "routing_number": bank["routing_number"],
                    "status_details": None,
                },
            }
        return method | {
            "type": kind,
            kind: {"fingerprint": bank["fingerprint"], "last4": bank["last4"], "sort_code": bank["sort_code"]},
        }
    return method | {
        "card": {
            "brand": card.brand,
            "checks": checks(card),
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint(card.number),
            "funding": "credit",
            "generated_from": None,
            "last4": card.number[-4:],
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    }


def checks(card: Card) -> Json:
    """What the bank said about address and CVC."""
    return {
        "address_line1_check": "pass",
        "address_postal_code_check": "pass",
        "cvc_check": "fail" if card.code == "incorrect_cvc" else "pass",
    }


def bank_debit(card: Card, currency: str) -> tuple[str, Json]:
    """A payment that takes days, shown as the bank debit of the currency's country."""
    print_ = fingerprint(card.number)
    if currency == "usd":
        return "us_bank_account", {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": print_,
            "last4": card.number[-4:],
            "payment_reference": None,
            "routing_number": "110000000",
        }
    return "bacs_debit", {
        "fingerprint": print_,
        "last4": card.number[-4:],
        "mandate": None,
        "sort_code": "108800",
    }


def payment_method_details(card: Card, amount: int, currency: str, authenticated: bool) -> Json:
    """What a charge says about how it was paid."""
    if card.delayed:
        kind, bank = bank_debit(card, currency)
        return {"type": kind, kind: bank}
    secure = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }
    return {
        "type": "card",
        "card": {
            "amount_authorized": None if card.declined else amount,
            "authorization_code": None if card.declined else "123456",
            "brand": card.brand,
            "checks": checks(card),
            "country": "US",
            "electronic_commerce_indicator": "05" if authenticated else None,
            "exp_month": 12,
            "exp_year": 2034,
            "extended_authorization": {"status": "disabled"},
            "fingerprint": fingerprint(card.number),
            "funding": "credit",
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "last4": card.number[-4:],
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": card.brand,
            "network_token": {"used": False},
            "network_transaction_id": fingerprint(card.number + "n")[:15],
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": secure if authenticated else None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


def charge(charge_id: str, intent: Json, card: Card, billing: Json, created: int, authenticated: bool) -> Json:
    """One try to take the money ("The Charge object")."""
    failed = card.declined
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed or card.delayed else intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing,
        "calculated_statement_descriptor": statement(intent),
        "captured": not failed,
        "created": created,
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": card.code if failed else None,
        "failure_message": card.message if failed else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": outcome(card),
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": payment_method_details(
            card, intent["amount"], intent["currency"], authenticated
        ),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed" if failed else "pending" if card.delayed else "succeeded",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def statement(intent: Json) -> str:
    """What the buyer's statement says: the account's prefix and the suffix."""
    suffix = intent["statement_descriptor_suffix"] or intent["statement_descriptor"]
    return f"BOOKSTALL* {suffix}"[:22] if suffix else "BOOKSTALL"


def outcome(card: Card) -> Json:
    """Why a charge went as it did."""
    base: Json = {"advice_code": None, "network_advice_code": None, "network_decline_code": None}
    if card.declined:
        return base | {
            "advice_code": "try_again_later" if card.decline_code == "generic_decline" else None,
            "network_decline_code": "01",
            "network_status": "declined_by_network",
            "reason": card.decline_code or card.code,
            "risk_level": "normal",
            "risk_score": 30,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }
    return base | {
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
