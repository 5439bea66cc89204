"""The library form's fields: what was typed, what of it is wrong, and nothing of it lost."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import email_validator
from flask_babel import LazyString, gettext
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, Form, StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Length

from shop.libraries.models import Request
from shop.libraries.routing import Enquiry
from shop.markets import COUNTRIES
from shop.money import Currency
from shop.storefront import form_marks
from shop.storefront.order_form import ATTEMPT, TOO_LONG, once, one_line, several_lines

MOST_COPIES = 500
NEEDED = _l("Please fill this in.")
NO_EDITION = _l("Please choose an edition.")
NO_REQUEST = _l("Please choose what you would like.")

REQUESTS: dict[Request, LazyString] = {
    Request.QUOTE: _l("A quotation"),
    Request.PRO_FORMA: _l("A pro-forma invoice, to pay in advance"),
    Request.ORDER: _l("Delivery with an invoice: this is a firm order"),
    Request.AVAILABILITY: _l("Only whether it is available"),
}


def is_email(_form: Form, field: Field) -> None:
    """An address that mail can be sent to as far as its form goes; empty is somebody else's business."""
    if not field.data:
        return
    try:
        # Whether the domain exists is found out by the mail server.
        email_validator.validate_email(
            field.data, check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except email_validator.EmailNotValidError as error:
        raise ValidationError(gettext("That is not an e-mail address we can write to.")) from error


def line(label: LazyString, longest: int, *checks: Any, needed: LazyString | None = None) -> StringField:
    """A field of one line; ``needed`` is what is said where it is left empty, if it may not be."""
    first = [DataRequired(needed)] if needed else []
    return StringField(label, [once, *first, Length(max=longest, message=TOO_LONG), *checks], filters=[one_line])


def text(label: LazyString, longest: int, *, needed: LazyString | None = None) -> TextAreaField:
    """A field of several lines; ``needed`` is what is said where it is left empty, if it may not be."""
    first = [DataRequired(needed)] if needed else []
    return TextAreaField(label, [once, *first, Length(max=longest, message=TOO_LONG)], filters=[several_lines])


class LibraryForm(Form):
    """What a library order carries, in the order of the page.

    ``editions`` are the slugs that may be chosen, ``today`` the shop's day.
    """

    edition = line(_l("Edition"), 40, needed=NO_EDITION)
    quantity = line(_l("Number of copies"), 9, needed=NEEDED)
    request = line(_l("Request"), 40, needed=NO_REQUEST)
    deadline = line(_l("Needed by"), 10)
    marc_wanted = BooleanField(_l("Please send a MARC record as well"))
    institution = line(_l("Institution"), 200, needed=NEEDED)
    department = line(_l("Library or department"), 200)
    contact_name = line(_l("Your name"), 200, needed=NEEDED)
    email = line(_l("Work e-mail"), 254, is_email, needed=NEEDED)
    phone = line(_l("Telephone"), 60)
    delivery_address = text(_l("Delivery address"), 600, needed=NEEDED)
    country = line(_l("Country"), 2, needed=NEEDED)
    invoice_address = text(_l("Invoice address"), 600)
    invoice_email = line(_l("E-mail for the invoice"), 254, is_email)
    purchase_order = line(_l("Purchase order number"), 60)
    own_reference = line(_l("Your own reference"), 60)
    payment_route = line(_l("How you pay"), 40)
    currency = line(_l("Currency"), 3)
    vat_number = line(_l("VAT number"), 40)
    tax_exempt = BooleanField(_l("We are exempt from tax"))
    vendor_forms = line(_l("Forms you need from a new supplier"), 300)
    san = line(_l("SAN or GLN"), 40)
    notes = text(_l("Anything else"), 2000)
    consent = BooleanField(
        _l("I agree"), [DataRequired(_l("Without your consent we cannot deal with your request."))]
    )

    def __init__(self, *args: Any, editions: tuple[str, ...], today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editions = editions
        self.today = today
        self.due: date | None = None

    def validate_edition(self, field: Field) -> None:
        if field.data not in self.editions:
            raise ValidationError(str(NO_EDITION))

    def validate_quantity(self, field: Field) -> None:
        typed = field.data or ""
        if not re.fullmatch(r"[0-9]{1,9}", typed, re.ASCII) or not 1 <= int(typed) <= MOST_COPIES:
            raise ValidationError(
                gettext(
                    "Please write the number of copies as a whole number from 1 to %(most)d.", most=MOST_COPIES
                )
            )

    def validate_request(self, field: Field) -> None:
        if field.data not in list(Request):
            raise ValidationError(str(NO_REQUEST))

    def validate_country(self, field: Field) -> None:
        if field.data not in COUNTRIES:
            raise ValidationError(gettext("Please choose a country from the list."))

    def validate_currency(self, field: Field) -> None:
        if field.data and field.data not in list(Currency):
            raise ValidationError(gettext("Please choose a currency from the list."))

    def validate_deadline(self, field: Field) -> None:
        if not field.data:
            return
        try:
            self.due = date.fromisoformat(field.data)
        except ValueError as error:
            raise ValidationError(
                gettext("Please write the day as year-month-day, such as 2027-01-31.")
            ) from error
        if self.due < self.today:
            raise ValidationError(gettext("This day has passed."))

    def enquiry(self, attempt: str) -> Enquiry:
        """What was entered, once it has been found right."""
        plain = {
            field.name: field.data
            for field in self
            if field.name not in ("quantity", "request", "deadline", "consent")
        }
        return Enquiry(
            **plain,
            quantity=int(self.quantity.data or 0),
            request=Request(self.request.data or ""),
            deadline=self.due,
            attempt=attempt,
        )


def attempt_of(typed: str, secret: str, now: datetime) -> str:
    """The form's random mark, or a fresh one for a form that came without."""
    return typed if ATTEMPT.fullmatch(typed) else form_marks.fresh(secret, now)
