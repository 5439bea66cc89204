"""How Stripe shows a checkout: the session, its line items, ad-hoc prices and postage, every field of them."""

import uuid
from decimal import Decimal
from typing import Any

from shop.sandbox.store import Json

DELAYED_TYPE = {"gbp": "bacs_debit", "usd": "us_bank_account"}


def new_product(product_id: str, data: Json, created: int) -> Json:
    """The product that `product_data` makes ("The Product object")."""
    tax_code = data.get("tax_code") or data.get("tax_details", {}).get("tax_code") or None
    details = data.get("tax_details")
    return {
        "id": product_id,
        "object": "product",
        "active": False,
        "created": created,
        "default_price": None,
        "description": data.get("description"),
        "images": data.get("images", []),
        "livemode": False,
        "marketing_features": [],
        "metadata": data.get("metadata", {}),
        "name": data["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": tax_code,
        "tax_details": None
        if details is None and tax_code is None
        else {"performance_location": (details or {}).get("performance_location"), "tax_code": tax_code},
        "type": "service",
        "unit_label": data.get("unit_label"),
        "updated": created,
        "url": None,
    }


def new_price(price_id: str, data: Json, product_id: str, created: int) -> Json:
    """The price that `price_data` makes ("The Price object")."""
    exact = Decimal(data["unit_amount_decimal"]) if "unit_amount_decimal" in data else Decimal(data["unit_amount"])
    whole = int(exact) if exact == exact.to_integral_value() else None
    return {
        "id": price_id,
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": data["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": None,
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": whole,
        "unit_amount_decimal": format(exact.normalize(), "f") if exact else "0",
    }


def line_amount(price: Json, quantity: int) -> int:
    """Unit price times quantity, fractions of a penny rounded half up once a line."""
    return int((Decimal(price["unit_amount_decimal"]) * quantity + Decimal("0.5")) // 1)


def line_item(item_id: str, price: Json, product: Json, given: Json) -> Json:
    """One line of the bill ("The Line Item object")."""
    amount = line_amount(price, given["quantity"])
    adjustable = given.get("adjustable_quantity")
    if adjustable is not None:
        adjustable = {
            "enabled": adjustable["enabled"],
            "maximum": adjustable.get("maximum", 99 if adjustable["enabled"] else None),
            "minimum": adjustable.get("minimum", 0 if adjustable["enabled"] else None),
        }
    return {
        "id": item_id,
        "object": "item",
        "adjustable_quantity": adjustable,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": given.get("metadata", {}),
        "price": price,
        "quantity": given["quantity"],
    }


def shipping_rate(rate_id: str, data: Json, created: int) -> Json:
    """The postage that `shipping_rate_data` makes ("The Shipping Rate object")."""
    estimate = data.get("delivery_estimate")
    return {
        "id": rate_id,
        "object": "shipping_rate",
        "active": True,
        "created": created,
        "delivery_estimate": None
        if estimate is None
        else {"maximum": estimate.get("maximum"), "minimum": estimate.get("minimum")},
        "display_name": data["display_name"],
        "fixed_amount": {"amount": data["fixed_amount"]["amount"], "currency": data["fixed_amount"]["currency"]},
        "livemode": False,
        "metadata": data.get("metadata", {}),
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "tax_code": data.get("tax_code"),
        "type": "fixed_amount",
    }


def payment_types(params: Json, currency: str) -> list[str]:
    """What the page offers: cards, and the slow method of the currency, unless the caller filters them."""
    offered = ["card"] + ([DELAYED_TYPE[currency]] if currency in DELAYED_TYPE else [])
    if "allowed_payment_method_types" in params:
        offered = [kind for kind in offered if kind in params["allowed_payment_method_types"]]
    return [kind for kind in offered if kind not in params.get("excluded_payment_method_types", [])]


def new_session(
    session_id: str, params: Json, items: list[Json], rates: list[Json], created: int, expires_at: int, url: str
) -> Json:
    """A checkout that waits for its buyer ("The Checkout Session object")."""
    currency = items[0]["currency"]
    subtotal = sum(item["amount_subtotal"] for item in items)
    chosen = rates[0] if rates else None
    postage = chosen["fixed_amount"]["amount"] if chosen else 0
    body: Json = {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", True)},
        "after_expiration": _after_expiration(params.get("after_expiration")),
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "allowed_payment_method_types": params.get("allowed_payment_method_types"),
        "amount_subtotal": subtotal,
        "amount_total": subtotal + postage,
        "automatic_tax": _automatic_tax(params.get("automatic_tax", {})),
        "billing_address_collection": params.get("billing_address_collection"),
        "branding_settings": _branding(params.get("branding_settings", {})),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": _consent(params.get("consent_collection")),
        "created": created,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [_custom_field(field) for field in params.get("custom_fields", [])],
        "custom_text": {
            name: params.get("custom_text", {}).get(name) or None
            for name in ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": expires_at,
        "integration_identifier": params.get("integration_identifier"),
        "invoice": None,
        "invoice_creation": _invoice_creation(params.get("invoice_creation", {})),
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "optional_items": [],
        "origin_context": params.get("origin_context"),
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": {
            "id": "pmc_" + uuid.uuid5(uuid.NAMESPACE_URL, "sandbox").hex[:24],
            "parent": None,
        },
        "payment_method_options": _method_options(params.get("payment_method_options", {})),
        "payment_method_types": payment_types(params, currency),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": params.get("phone_number_collection", {}).get("enabled", False)},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": params.get("shipping_address_collection"),
        "shipping_cost": None
        if chosen is None
        else {"amount_subtotal": postage, "amount_tax": 0, "amount_total": postage, "shipping_rate": chosen["id"]},
        "shipping_options": [
            {"shipping_amount": rate["fixed_amount"]["amount"], "shipping_rate": rate["id"]} for rate in rates
        ],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "tax_id_collection": {
            "enabled": params.get("tax_id_collection", {}).get("enabled", False),
            "required": params.get("tax_id_collection", {}).get("required", "never"),
        },
        "total_details": {"amount_discount": 0, "amount_shipping": postage, "amount_tax": 0},
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": url,
        "wallet_options": params.get("wallet_options"),
    }
    if "excluded_payment_method_types" in params:
        body["excluded_payment_method_types"] = params["excluded_payment_method_types"]
    if "name_collection" in params:
        body["name_collection"] = {
            who: {"enabled": wish["enabled"], "optional": wish.get("optional", False)}
            for who, wish in params["name_collection"].items()
        }
    return body


def _after_expiration(given: Json | None) -> Json | None:
    if given is None:
        return None
    wish = given.get("recovery")
    return {
        "recovery": None
        if wish is None
        else {
            "allow_promotion_codes": wish.get("allow_promotion_codes", False),
            "enabled": wish["enabled"],
            "expires_at": None,
            "url": None,
        }
    }


def _automatic_tax(given: Json) -> Json:
    """Tax is never computed here: the sandbox's seller is registered nowhere."""
    if not given.get("enabled"):
        return {"enabled": False, "liability": None, "provider": None, "status": None}
    liability = {"type": "self"}
    return {"enabled": True, "liability": liability, "provider": "stripe", "status": "requires_location_inputs"}


def _branding(given: Json) -> Json:
    picture = {name: given.get(name) for name in ("icon", "logo")}
    return {
        "background_color": given.get("background_color") or "#ffffff",
        "border_style": given.get("border_style") or "rounded",
        "button_color": given.get("button_color") or "#0074d4",
        "display_name": given.get("display_name") or "Bookstall",
        "font_family": given.get("font_family") or "default",
    } | picture


def _consent(given: Json | None) -> Json | None:
    if given is None:
        return None
    names = ("payment_method_reuse_agreement", "promotions", "terms_of_service")
    return {name: given.get(name) for name in names}


def _custom_field(given: Json) -> Json:
    """A question of the seller's, with its answer still open."""
    kind = given["type"]
    own = given.get(kind, {})
    body: Json = {
        "key": given["key"],
        "label": {"custom": given["label"]["custom"], "type": "custom"},
        "optional": given.get("optional", False),
        "type": kind,
    }
    if kind == "dropdown":
        body["dropdown"] = {"default_value": own.get("default_value"), "options": own["options"], "value": None}
    else:
        names = ("default_value", "maximum_length", "minimum_length")
        body[kind] = {name: own.get(name) for name in names} | {"value": None}
    return body


def _invoice_creation(given: Json) -> Json:
    data: dict[str, Any] = given.get("invoice_data", {})
    names = (
        "account_tax_ids",
        "custom_fields",
        "description",
        "footer",
        "issuer",
        "metadata",
        "rendering_options",
    )
    return {
        "enabled": given.get("enabled", False),
        "invoice_data": {name: data.get(name) or None for name in names},
    }


def _method_options(given: Json) -> Json:
    card = {"request_three_d_secure": "automatic"} | given.get("card", {})
    return {kind: wish for kind, wish in given.items() if kind != "card"} | {"card": card}
