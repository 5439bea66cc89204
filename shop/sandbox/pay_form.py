"""What the buyer types into the payment page, checked as Stripe's page checks it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shop.sandbox.cards import CARDS, Card, luhn
from shop.sandbox.payments import Details
from shop.sandbox.session_rules import EMAIL
from shop.sandbox.store import Json
from shop.sandbox.words import gettext as _

# "Countries without postal codes": there the field may stay empty.
_WITHOUT_CODE = (
    "AE AG AI AO AW BF BI BJ BO BS BW BZ CD CF CG CI CK CM CV CW DJ DM ER FJ GA GD GH GM GN GQ GY HK IE "
    "JM KI KM KN LC LY ML MO MR MS MW NA NR NU PA QA RW SB SC SL SR SS ST SX SY TD TF TG TK TL TO TT TV "
    "UG VC VU WS YE ZA ZM ZW AC BQ ZZ"
)
WITHOUT_CODE = frozenset(_WITHOUT_CODE.split())
CODE_SHAPES = {
    "GB": re.compile(r"(?i)(GIR ?0AA|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})"),
    "US": re.compile(r"\d{5}([ -]?\d{4})?"),
    "CA": re.compile(r"(?i)[A-Z]\d[A-Z] ?\d[A-Z]\d"),
    "RU": re.compile(r"\d{6}"),
    "DE": re.compile(r"\d{5}"),
    "FR": re.compile(r"\d{2} ?\d{3}"),
}
LONGEST = 255
ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")
FIELDS = ("email", "name", *ADDRESS, "phone", "card_number", "shipping_rate")


@dataclass(slots=True)
class Typed:
    """The form as it came, what is wrong with it, and what it means when nothing is."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    card: Card | None = None
    details: Details | None = None


def read(session: Json, form: Mapping[str, str]) -> Typed:
    """Check a submitted page against its session."""
    names = (*FIELDS, *(f"custom_{question['key']}" for question in session["custom_fields"]))
    typed = Typed({name: " ".join(form.get(name, "").split()) for name in names})
    values, errors = typed.values, typed.errors
    if session["customer_email"]:
        values["email"] = session["customer_email"]
    for name, value in values.items():
        if len(value) > LONGEST:
            errors[name] = _("This is too long.")
        elif not value.isprintable():
            errors[name] = _("This contains characters that cannot be printed.")
    if not EMAIL.fullmatch(values["email"]):
        errors.setdefault("email", _("Enter an e-mail address, such as name@example.com."))
    if not values["name"]:
        errors.setdefault("name", _("Enter the full name."))
    shipped = session["shipping_address_collection"] is not None
    if shipped:
        _address(session, values, errors)
    if session["phone_number_collection"]["enabled"] and not re.fullmatch(r"\+?[\d ().-]{6,20}", values["phone"]):
        errors.setdefault("phone", _("Enter a phone number."))
    rates = [option["shipping_rate"] for option in session["shipping_options"]]
    if rates and not values["shipping_rate"]:
        values["shipping_rate"] = session["shipping_cost"]["shipping_rate"]
    if rates and values["shipping_rate"] not in rates:
        errors.setdefault("shipping_rate", _("Choose how the parcel is sent."))
    _questions(session, values, errors)
    if session["amount_total"] > 0:
        typed.card = _card(values["card_number"], errors)
    if not errors:
        typed.details = Details(
            email=values["email"],
            name=values["name"],
            phone=values["phone"] or None,
            address={name: values[name] or None for name in ADDRESS},
            shipped=shipped,
            rate=values["shipping_rate"] or None,
            answers={q["key"]: values[f"custom_{q['key']}"] for q in session["custom_fields"]},
        )
    return typed


def _address(session: Json, values: dict[str, str], errors: dict[str, str]) -> None:
    allowed = session["shipping_address_collection"]["allowed_countries"]
    if values["country"] not in allowed:
        errors.setdefault("country", _("The seller does not send to this country."))
    if not values["line1"]:
        errors.setdefault("line1", _("Enter street and house."))
    if not values["city"]:
        errors.setdefault("city", _("Enter town or city."))
    if not values["postal_code"]:
        if values["country"] not in WITHOUT_CODE:
            errors.setdefault("postal_code", _("Enter the postcode."))
        return
    shape = CODE_SHAPES.get(values["country"])
    if shape is not None and not shape.fullmatch(values["postal_code"]):
        errors.setdefault("postal_code", _("This postcode is not one of the chosen country."))


def _questions(session: Json, values: dict[str, str], errors: dict[str, str]) -> None:
    """The seller's own questions (`custom_fields`)."""
    for question in session["custom_fields"]:
        name = f"custom_{question['key']}"
        value, rule = values[name], question[question["type"]]
        if not value:
            if not question["optional"]:
                errors.setdefault(name, _("Please answer this."))
        elif question["type"] == "dropdown":
            if value not in [option["value"] for option in rule["options"]]:
                errors.setdefault(name, _("Please choose one of the answers."))
        elif (
            (question["type"] == "numeric" and not value.isdecimal())
            or len(value) < (rule["minimum_length"] or 0)
            or len(value) > (rule["maximum_length"] or LONGEST)
        ):
            errors.setdefault(name, _("This answer does not have the right form."))


def _card(text: str, errors: dict[str, str]) -> Card | None:
    number = re.sub(r"[ -]", "", text)
    if not number:
        errors.setdefault("card_number", _("Enter a card number."))
    elif not re.fullmatch(r"[0-9]{12,19}", number) or not luhn(number):
        errors.setdefault("card_number", _("Your card number is not valid."))
    elif number not in CARDS:
        errors.setdefault("card_number", _("This is a test page: it takes test cards only, never a real one."))
    return CARDS.get(number)


def refusal(card: Card | None) -> str:
    """Why the bank said no, in the buyer's language."""
    code = card.decline_code if card is not None else None
    if code == "insufficient_funds":
        return _("Your card has insufficient funds. Try a different card.")
    if code == "expired_card":
        return _("Your card has expired. Try a different card.")
    if code == "incorrect_cvc":
        return _("Your card’s security code is incorrect.")
    if code == "processing_error":
        return _("An error occurred while processing your card. Try again in a little bit.")
    return _("Your card was declined. Try a different card.")
