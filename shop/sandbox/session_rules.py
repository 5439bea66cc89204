"""What Stripe refuses of a checkout beyond names and types ("Create a Checkout Session", stripe.md section 2)."""

import re
from decimal import Decimal
from typing import Any

from shop.sandbox import tax_codes
from shop.sandbox.config import is_web_address
from shop.sandbox.errors import ApiError, absent, exclusive, invalid, missing

Json = dict[str, Any]

EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@[^\s@<>\"(),:;\[\]\\.]+(\.[^\s@<>\"(),:;\[\]\\.]+)+")
# "Supported currencies", in lower case as the API writes them.
_CURRENCIES = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd "
    "cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd "
    "hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad "
    "mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln "
    "pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs "
    "uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
CURRENCIES = frozenset(_CURRENCIES.split())
# "Minimum and maximum charge amounts"; what is not named has no minimum of its own here.
MINIMUM = {"usd": 50, "gbp": 30, "eur": 50, "cad": 50, "aud": 50, "chf": 50, "jpy": 50, "sek": 300, "nok": 300}
MAXIMUM = 99_999_999
SOONEST, LATEST = 30 * 60, 24 * 3600
ELSEWHERE = {
    "setup_intent_data": "setup",
    "subscription_data": "subscription",
    "payment_method_collection": "subscription",
}


def check_new(params: Json, now: float) -> None:
    """Refuse a new session that Stripe would refuse; `now` has fractions."""
    if "mode" not in params:
        raise absent("mode")
    if params["mode"] != "payment":
        raise invalid(f"The sandbox sells once: it has no `{params['mode']}` mode.", "mode")
    for name, mode in ELSEWHERE.items():
        if name in params:
            raise invalid(f"You can not pass `{name}` in `payment` mode, only in `{mode}` mode.", name)
    _page(params)
    _buyer(params)
    currency = _lines(params.get("line_items"))
    _postage(params.get("shipping_options", []), currency)
    if params.get("currency", currency) != currency:
        raise invalid("The `currency` must be that of the line items.", "currency")
    _methods(params)
    _extras(params)
    _payment_data(params.get("payment_intent_data", {}))
    _tax(params)
    _expiry(params.get("expires_at"), now)
    metadata(params.get("metadata"), "metadata")
    _total(params, currency)


def _page(params: Json) -> None:
    """Where the page lives and where it leads."""
    ui_mode = params.get("ui_mode", "hosted_page")
    if ui_mode != "hosted_page":
        raise invalid(f"The sandbox shows hosted pages only, not `{ui_mode}`.", "ui_mode")
    for name in ("return_url", "redirect_on_completion", "permissions"):
        if name in params:
            raise invalid(f"You can not pass `{name}` when `ui_mode` is `hosted_page`.", name)
    if "success_url" not in params:
        raise absent("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params and not is_web_address(params[name]):
            raise invalid("Not a valid URL", name, "url_invalid")


def _buyer(params: Json) -> None:
    """Who buys: guests only, for the sandbox keeps no customers."""
    known = [name for name in ("customer", "customer_account", "customer_email") if name in params]
    if len(known) > 1:
        raise exclusive(*known)
    if "customer_email" in params:
        email(params["customer_email"], "customer_email")
    for name in ("customer", "customer_account"):
        if name in params:
            raise missing(name.replace("_", " "), params[name], name, 400)
    if "customer_update" in params:
        raise invalid("`customer_update` can only be used with `customer`.", "customer_update")


def email(text: str, param: str) -> None:
    """Refuse what is no e-mail address."""
    if len(text) > 512 or EMAIL.fullmatch(text) is None:
        raise invalid(f"Invalid email address: {text[:100]}", param, "email_invalid")


def _lines(items: list[Json] | None) -> str:
    """What is bought; returns the one currency of it all."""
    if not items:
        raise absent("line_items")
    if len(items) > 100:
        raise invalid("You can specify at most 100 line items.", "line_items")
    currencies = set()
    for place, item in enumerate(items):
        path = f"line_items[{place}]"
        if "price" in item and "price_data" in item:
            raise exclusive(f"{path}[price]", f"{path}[price_data]")
        if "price" in item:
            raise missing("price", item["price"], f"{path}[price]", 400)
        if "price_data" not in item:
            raise absent(f"{path}[price_data]")
        if "quantity" not in item:
            raise absent(f"{path}[quantity]")
        _at_least(item["quantity"], 1, f"{path}[quantity]")
        _at_most(item["quantity"], 999_999, f"{path}[quantity]")
        if "tax_rates" in item:
            raise missing("tax rate", str((item["tax_rates"] or [""])[0]), f"{path}[tax_rates][0]", 400)
        metadata(item.get("metadata"), f"{path}[metadata]")
        _adjustable(item.get("adjustable_quantity"), item["quantity"], f"{path}[adjustable_quantity]")
        currencies.add(_price(item["price_data"], f"{path}[price_data]"))
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    return str(currencies.pop())


def _adjustable(wish: Json | None, quantity: int, path: str) -> None:
    if wish is None or not wish["enabled"]:
        return
    low, high = wish.get("minimum", 0), wish.get("maximum", 99)
    _at_least(low, 0, f"{path}[minimum]")
    _at_most(high, 999_999, f"{path}[maximum]")
    if not low <= quantity <= high:
        raise invalid("The `quantity` must lie between the minimum and the maximum.", path)


def _price(data: Json, path: str) -> str:
    """An ad-hoc price and its product."""
    currency(data["currency"], f"{path}[currency]")
    if "recurring" in data:
        raise invalid("You specified `payment` mode but passed a recurring price.", f"{path}[recurring]")
    if "product" in data and "product_data" in data:
        raise exclusive(f"{path}[product]", f"{path}[product_data]")
    if "product" in data:
        raise missing("product", data["product"], f"{path}[product]", 400)
    if "product_data" not in data:
        raise absent(f"{path}[product_data]")
    if "unit_amount" in data and "unit_amount_decimal" in data:
        raise exclusive(f"{path}[unit_amount]", f"{path}[unit_amount_decimal]")
    if "unit_amount" not in data and "unit_amount_decimal" not in data:
        raise absent(f"{path}[unit_amount]")
    name = "unit_amount" if "unit_amount" in data else "unit_amount_decimal"
    amount = Decimal(data[name])
    if amount != amount.quantize(Decimal("1e-12")):
        raise invalid("Invalid decimal: at most 12 decimal places are kept.", f"{path}[{name}]")
    _at_least(amount, 0, f"{path}[{name}]")
    _at_most(amount, MAXIMUM, f"{path}[{name}]")
    product = data["product_data"]
    below = f"{path}[product_data]"
    _not_blank(product["name"], f"{below}[name]")
    if len(product.get("images", [])) > 8:
        raise invalid("A product can have at most 8 images.", f"{below}[images]")
    for place, url in enumerate(product.get("images", [])):
        if not is_web_address(url) or len(url) > 2048:
            raise invalid("Not a valid URL", f"{below}[images][{place}]", "url_invalid")
    if "tax_code" in product:
        tax_code(product["tax_code"], f"{below}[tax_code]")
    if product.get("tax_details", {}).get("tax_code"):
        tax_code(product["tax_details"]["tax_code"], f"{below}[tax_details][tax_code]")
    metadata(product.get("metadata"), f"{below}[metadata]")
    return str(data["currency"])


def _postage(options: list[Json], line_currency: str) -> None:
    """The postage rates that the buyer chooses from."""
    if len(options) > 5:
        raise invalid("You can specify at most 5 shipping options.", "shipping_options")
    for place, option in enumerate(options):
        path = f"shipping_options[{place}]"
        if len(option) > 1:
            raise exclusive(f"{path}[shipping_rate]", f"{path}[shipping_rate_data]")
        if "shipping_rate" in option:
            raise missing("shipping rate", option["shipping_rate"], f"{path}[shipping_rate]", 400)
        if "shipping_rate_data" not in option:
            raise absent(f"{path}[shipping_rate_data]")
        _rate(option["shipping_rate_data"], f"{path}[shipping_rate_data]", line_currency)


def _rate(data: Json, path: str, line_currency: str) -> None:
    _not_blank(data["display_name"], f"{path}[display_name]")
    if "fixed_amount" not in data:
        raise absent(f"{path}[fixed_amount]")
    price = data["fixed_amount"]
    currency(price["currency"], f"{path}[fixed_amount][currency]")
    _at_least(price["amount"], 0, f"{path}[fixed_amount][amount]")
    _at_most(price["amount"], MAXIMUM, f"{path}[fixed_amount][amount]")
    if price["currency"] != line_currency and line_currency not in price.get("currency_options", {}):
        message = (
            f"The shipping rate's currency ({price['currency']}) must be that of the line items ({line_currency})."
        )
        raise invalid(message, f"{path}[fixed_amount][currency]")
    if "tax_code" in data:
        tax_code(data["tax_code"], f"{path}[tax_code]")
    metadata(data.get("metadata"), f"{path}[metadata]")
    estimate = data.get("delivery_estimate", {})
    for bound, value in estimate.items():
        _at_least(value["value"], 1, f"{path}[delivery_estimate][{bound}][value]")
    hours = {"hour": 1, "day": 24, "business_day": 24, "week": 168, "month": 720}
    sizes = {bound: value["value"] * hours[value["unit"]] for bound, value in estimate.items()}
    if sizes.get("minimum", 0) > sizes.get("maximum", float("inf")):
        raise invalid("The delivery estimate's minimum is more than its maximum.", f"{path}[delivery_estimate]")


def _methods(params: Json) -> None:
    """Which ways to pay are offered; what fits nothing is dropped silently, but something must be left."""
    names = [n for n in ("allowed_payment_method_types", "excluded_payment_method_types") if n in params]
    if len(names) > 1:
        raise exclusive(*names)
    if "payment_method_configuration" in params:
        if names:
            raise exclusive("payment_method_configuration", *names)
        name = "payment_method_configuration"
        raise missing("payment method configuration", params[name], name, 400)
    allowed = params.get("allowed_payment_method_types", ["card"])
    if "card" not in allowed or "card" in params.get("excluded_payment_method_types", []):
        raise invalid("No valid payment method types for this Checkout Session.", names[0])


def _extras(params: Json) -> None:
    """Everything that a page can show besides."""
    if "discounts" in params:
        if "allow_promotion_codes" in params:
            raise exclusive("allow_promotion_codes", "discounts")
        if len(params["discounts"]) > 1:
            raise invalid("You can apply at most one discount.", "discounts")
        for name, value in (params["discounts"] or [{}])[0].items():
            raise missing(name.replace("_", " "), value, f"discounts[0][{name}]", 400)
    if params.get("optional_items"):
        raise missing("price", params["optional_items"][0]["price"], "optional_items[0][price]", 400)
    if params.get("managed_payments", {}).get("enabled"):
        raise invalid("Your account has no Managed Payments.", "managed_payments[enabled]")
    if params.get("consent_collection", {}).get("terms_of_service") == "required":
        message = (
            "You cannot collect consent to your terms of service unless a URL is set in the Stripe Dashboard."
        )
        raise invalid(message, "consent_collection[terms_of_service]")
    countries = params.get("shipping_address_collection", {}).get("allowed_countries")
    if countries is not None and not countries:
        raise absent("shipping_address_collection[allowed_countries]")
    _custom_fields(params.get("custom_fields", []))


def _custom_fields(fields: list[Json]) -> None:
    if len(fields) > 3:
        raise invalid("You can specify at most 3 custom fields.", "custom_fields")
    seen: set[str] = set()
    for place, field in enumerate(fields):
        path = f"custom_fields[{place}]"
        if not re.fullmatch(r"[A-Za-z0-9]+", field["key"]):
            raise invalid("The key may only contain letters and digits.", f"{path}[key]")
        if field["key"] in seen:
            raise invalid("The keys of custom fields must differ.", f"{path}[key]")
        seen.add(field["key"])
        _not_blank(field["label"]["custom"], f"{path}[label][custom]")
        for kind in ("dropdown", "numeric", "text"):
            if kind in field and kind != field["type"]:
                raise invalid(f"You can not pass `{kind}` when `type` is `{field['type']}`.", f"{path}[{kind}]")
        if field["type"] == "dropdown" and not 1 <= len(field.get("dropdown", {}).get("options", [])) <= 200:
            raise invalid("A dropdown needs 1 to 200 options.", f"{path}[dropdown][options]")


def _payment_data(data: Json) -> None:
    """What goes to the payment intent."""
    metadata(data.get("metadata"), "payment_intent_data[metadata]")
    if "receipt_email" in data:
        email(data["receipt_email"], "payment_intent_data[receipt_email]")
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        descriptor(data.get(name), f"payment_intent_data[{name}]")
    for name in ("application_fee_amount", "on_behalf_of", "transfer_data"):
        if name in data:
            message = f"You can not pass `{name}`: the sandbox's account has no Connect."
            raise invalid(message, f"payment_intent_data[{name}]")
    if data.get("capture_method") == "manual":
        raise invalid("The sandbox captures at once.", "payment_intent_data[capture_method]")


def descriptor(text: str | None, path: str) -> None:
    """What “Statement descriptor requirements” says: Latin, with a letter, without a few signs."""
    if text is None or text == "":
        return
    if re.search(r"[<>\\'\"*]", text) or not text.isascii() or not text.isprintable():
        message = "The statement descriptor may not contain <, >, \\, ', \", * or characters that are not Latin."
        raise invalid(message, path)
    if not re.search(r"[A-Za-z]", text):
        raise invalid("The statement descriptor must contain at least one letter.", path)


def _tax(params: Json) -> None:
    """With automatic tax every price says whether tax is in it: the account has no default."""
    if not params.get("automatic_tax", {}).get("enabled"):
        return
    for place, item in enumerate(params["line_items"]):
        if item["price_data"].get("tax_behavior", "unspecified") == "unspecified":
            message = "In order to use automatic tax calculation, you need to set a tax behavior on every price."
            raise invalid(message, f"line_items[{place}][price_data][tax_behavior]")


def _expiry(moment: int | None, now: float) -> None:
    if moment is None:
        return
    if moment < now + SOONEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, "expires_at")
    if moment > now + LATEST:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, "expires_at")


def metadata(values: Json | str | None, path: str) -> None:
    """What “Metadata” says: 50 keys of 40 characters with values of 500."""
    if not values or isinstance(values, str):
        return
    if len(values) > 50:
        raise invalid("Metadata can have at most 50 keys.", path)
    for key, value in values.items():
        if len(key) > 40:
            raise invalid(f"Metadata keys can have up to 40 characters; {key[:50]!r} is too long.", path)
        if len(value) > 500:
            message = (
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} "
            )
            raise invalid(message + f"characters. Invalid value: {value[:40]}...", f"{path}[{key}]")


def currency(code: str, path: str) -> None:
    """Refuse what Stripe does not take money in."""
    if code not in CURRENCIES:
        listed = ", ".join(sorted(CURRENCIES))
        raise invalid(f"Invalid currency: {code[:20]}. Stripe currently supports these currencies: {listed}", path)


def tax_code(code: str, path: str) -> None:
    """Refuse a tax code that is not in the list."""
    if tax_codes.find(code) is None:
        raise ApiError(400, f"No such tax code: '{code[:80]}'", code="resource_missing", param=path)


def _total(params: Json, currency_code: str) -> None:
    """The smallest and the largest sum that can be charged."""
    total = Decimal(0)
    for item in params["line_items"]:
        data = item["price_data"]
        total += Decimal(data.get("unit_amount", data.get("unit_amount_decimal"))) * item["quantity"]
    if params.get("shipping_options"):
        total += params["shipping_options"][0]["shipping_rate_data"]["fixed_amount"]["amount"]
    if 0 < total < MINIMUM.get(currency_code, 0):
        raise invalid(
            "The Checkout Session's total amount must convert to at least "
            f"{MINIMUM[currency_code]} in the smallest unit of {currency_code}.",
            "line_items",
            "amount_too_small",
        )
    if total > MAXIMUM:
        raise invalid(f"The total amount must be no more than {MAXIMUM}.", "line_items", "amount_too_large")


def _at_least(value: int | Decimal, least: int, path: str) -> None:
    if value < least:
        raise invalid(f"This value must be greater than or equal to {least}.", path, "parameter_invalid_integer")


def _at_most(value: int | Decimal, most: int, path: str) -> None:
    if value > most:
        raise invalid(f"This value must be less than or equal to {most}.", path, "parameter_invalid_integer")


def _not_blank(text: str, path: str) -> None:
    if not text.strip():
        raise invalid(f"{path} must not be blank.", path, "parameter_invalid_string_blank")
