"""The desk's forms. Every message is ours, so that each is a whole sentence in the reader's language."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from babel.numbers import format_decimal
from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, Form, IntegerField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice  # type: ignore[attr-defined]  # the stubs are of an older WTForms
from wtforms.validators import AnyOf, EqualTo, InputRequired, Length, NumberRange, StopValidation
from wtforms.widgets import TextInput

from shop.admin.desk import locale
from shop.admin.naming import language_name
from shop.admin.passwords import SHORTEST
from shop.markets import LANGUAGES
from shop.staff import Role

REQUIRED = _l("Please fill this in.")
DIGITS = re.compile(r"[+\-−]?[0-9]{1,9}")
SUM = re.compile(r"([0-9]{1,3}(?:\s[0-9]{3})|[0-9]{1,6})(?:[.,]([0-9]{2}))?")
"""Thousands may be set off by a space; a space elsewhere is a slip, and ``22 50`` not two thousand."""
MOST_COPIES = 100_000

ROLES = {
    Role.OWNER: _l("owner: may do everything"),
    Role.PACKER: _l("packer: sees orders, corrects addresses, packs and posts"),
    Role.READER: _l("reader: sees and changes nothing"),
}


def stripped(value: str | None) -> str:
    return (value or "").strip()


def at_most(characters: int) -> Length:
    return Length(max=characters, message=_l("At most %(max)d characters, please."))


class Required(InputRequired):
    """Something other than blanks has to stand here."""

    def __init__(self) -> None:
        super().__init__(message=REQUIRED)

    def __call__(self, form: Any, field: Any) -> None:
        if not field.raw_data or not str(field.raw_data[0]).strip():
            field.errors = []
            raise StopValidation(str(REQUIRED))


class Mail:
    """An e-mail address that could exist; nobody is asked over the network."""

    def __call__(self, form: Form, field: Field) -> None:
        if not field.data:
            return
        try:
            validate_email(field.data, check_deliverability=False)
        except EmailNotValidError:
            raise StopValidation(_("This is not an e-mail address.")) from None


class WholeNumberField(IntegerField):
    """A whole number, typed by a person."""

    widget = TextInput()

    def process_formdata(self, valuelist: list[Any]) -> None:
        typed = stripped(valuelist[0]) if valuelist else ""
        self.data = None
        if not typed:
            return
        if not DIGITS.fullmatch(typed):
            raise ValueError(_("Please write a whole number in digits."))
        self.data = int(typed.replace("−", "-"))


class SumField(Field):
    """A sum of money such as 22.00 or 22,00; ``data`` is in minor units."""

    widget = TextInput()

    def __init__(self, label: str, currency: str, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.currency = currency

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        if self.data is None:
            return ""
        return format_decimal(Decimal(self.data).scaleb(-2), format="0.00", locale=locale())

    def process_formdata(self, valuelist: list[Any]) -> None:
        typed = str(valuelist[0]).strip() if valuelist else ""
        self.data = minor_units(typed)
        if typed and self.data is None:
            raise ValueError(_("Please write a sum such as 22.00."))


def minor_units(typed: str) -> int | None:
    """A sum such as 22.00, 22,00 or 1 000 in minor units; ``None`` for what is none."""
    found = SUM.fullmatch(typed.strip())
    return int("".join(found[1].split())) * 100 + int(found[2] or 0) if found else None


def language_field() -> SelectField:
    return SelectField(
        _l("Language"),
        choices=lambda: [SelectChoice(code, language_name(code)) for code in LANGUAGES],
        validate_choice=False,
        validators=[AnyOf(list(LANGUAGES), message=_l("Please choose one of the languages."))],
    )


def code_field(label: str) -> StringField:
    """A code of the authenticator app, or one for recovery."""
    return StringField(
        label,
        [at_most(40)],
        filters=[stripped],
        render_kw={"autocomplete": "one-time-code", "spellcheck": "false", "autocapitalize": "off"},
    )


def role_field() -> SelectField:
    return SelectField(
        _l("Role"),
        choices=lambda: [SelectChoice(role.value, str(ROLES[role])) for role in Role],
        validate_choice=False,
        validators=[AnyOf([role.value for role in Role], message=_l("Please choose one of the roles."))],
    )


class SignInForm(Form):
    email = StringField(
        _l("E-mail"),
        [Required(), at_most(254)],
        render_kw={"type": "email", "autocomplete": "username", "required": True},
    )
    password = PasswordField(
        _l("Password"),
        [Required(), at_most(1000)],
        render_kw={"autocomplete": "current-password", "required": True},
    )
    code = code_field(_l("Code from the authenticator app"))


class PresenceForm(Form):
    """Proof of being there: one of the two."""

    password = PasswordField(_l("Password"), [at_most(1000)], render_kw={"autocomplete": "current-password"})
    code = code_field(_l("Code from the authenticator app"))


class CodeForm(Form):
    """The first code of an app that was just set up."""

    code = StringField(
        _l("Code"),
        [Required(), at_most(40)],
        filters=[stripped],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "required": True},
    )


def new_password_field() -> PasswordField:
    long_enough = Length(min=SHORTEST, message=_l("At least %(min)d characters, please."))
    return PasswordField(
        _l("New password"),
        [Required(), at_most(1000), long_enough],
        render_kw={"autocomplete": "new-password", "required": True},
    )


def repeated_field() -> PasswordField:
    return PasswordField(
        _l("New password, once more"),
        [Required(), EqualTo("new", message=_l("This differs from what stands above."))],
        render_kw={"autocomplete": "new-password", "required": True},
    )


class PasswordForm(Form):
    """Another password in place of one's own."""

    old = PasswordField(
        _l("Current password"),
        [Required(), at_most(1000)],
        render_kw={"autocomplete": "current-password", "required": True},
    )
    new = new_password_field()
    again = repeated_field()


class JoinForm(Form):
    """The password that an invited person chooses."""

    new = new_password_field()
    again = repeated_field()


class InviteForm(Form):
    name = StringField(
        _l("Name of the person"), [Required(), at_most(200)], filters=[stripped], render_kw={"required": True}
    )
    email = StringField(
        _l("E-mail"),
        [Required(), at_most(254), Mail()],
        filters=[stripped],
        render_kw={"type": "email", "required": True},
    )
    role = role_field()
    language = language_field()


class PersonForm(Form):
    """What an owner decides about somebody."""

    role = role_field()
    active = BooleanField(_l("Active: may sign in"))
    notified = BooleanField(_l("Gets letters about orders and whatever needs attention"))


class PostForm(Form):
    """The parcel has left the house. Both fields may stay empty: a letter without tracking is common."""

    carrier = StringField(_l("Carrier"), [at_most(100)], filters=[stripped])
    tracking = StringField(_l("Tracking number"), [at_most(100)], filters=[stripped])


class RemarkForm(Form):
    """What the desk wants to remember about an order."""

    remark = TextAreaField(
        _l("Remark"),
        [Required(), at_most(1000)],
        filters=[stripped],
        render_kw={"rows": "2", "maxlength": "1000", "required": True},
    )


class AddressForm(Form):
    """As long as each may be in its row; the country stays."""

    name = StringField(_l("Name"), [Required(), at_most(300)], filters=[stripped])
    line1 = StringField(_l("First line"), [Required(), at_most(500)], filters=[stripped])
    line2 = StringField(_l("Second line"), [at_most(500)], filters=[stripped])
    city = StringField(_l("Town"), [at_most(200)], filters=[stripped])
    state = StringField(_l("State or region"), [at_most(200)], filters=[stripped])
    postal_code = StringField(_l("Postcode"), [at_most(60)], filters=[stripped])
    phone = StringField(_l("Telephone"), [at_most(60)], filters=[stripped], render_kw={"type": "tel"})


class CountForm(Form):
    counted = WholeNumberField(
        _l("Copies on the shelf"),
        [
            Required(),
            NumberRange(0, MOST_COPIES, message=_l("Please write a number from %(min)s to %(max)s.")),
        ],
        render_kw={"inputmode": "numeric", "required": True},
    )
    reason = StringField(
        _l("Reason"), [Required(), at_most(300)], filters=[stripped], render_kw={"required": True}
    )
    seen = WholeNumberField()
    """How many the page said were on hand when the form was opened."""


class TraderForm(Form):
    """Name and address are what the law asks every page of terms to show, so neither may be emptied."""

    name = StringField(
        _l("Name of the seller"), [Required(), at_most(200)], filters=[stripped], render_kw={"required": True}
    )
    address = TextAreaField(
        _l("Geographic address"),
        [Required(), at_most(1000)],
        filters=[stripped],
        render_kw={"rows": "4", "required": True},
    )
    email = StringField(
        _l("E-mail for readers"), [at_most(254), Mail()], filters=[stripped], render_kw={"type": "email"}
    )
    phone = StringField(_l("Telephone"), [at_most(40)], filters=[stripped], render_kw={"type": "tel"})
    vat_number = StringField(_l("VAT number"), [at_most(40)], filters=[stripped])
    dispatch_days = WholeNumberField(
        _l("Posted within (working days)"),
        [Required(), NumberRange(1, 30, message=_l("Please write a number from %(min)s to %(max)s."))],
        render_kw={"inputmode": "numeric"},
    )


class DistributorForm(Form):
    name = StringField(_l("Name"), [Required(), at_most(200)], filters=[stripped])
    email = StringField(
        _l("E-mail"), [Required(), at_most(254), Mail()], filters=[stripped], render_kw={"type": "email"}
    )
    phone = StringField(_l("Telephone"), [at_most(60)], filters=[stripped], render_kw={"type": "tel"})
    language = language_field()


class MoveForm(Form):
    """What has become of a library order."""

    detail = TextAreaField(_l("Note"), [at_most(2000)], filters=[stripped], render_kw={"rows": "2"})
