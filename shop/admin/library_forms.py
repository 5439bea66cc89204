"""The desk's forms about libraries: suppliers by country, rules, papers, parcels and what institutions ask for."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from stdnum import bic, iban
from wtforms import DateField, Field, Form, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice  # type: ignore[attr-defined]  # the stubs are of an older WTForms
from wtforms.validators import AnyOf, NumberRange, StopValidation

from shop.admin.desk import locale
from shop.admin.forms import (
    REQUIRED,
    DistributorForm,
    Mail,
    Required,
    SumField,
    WholeNumberField,
    at_most,
    stripped,
)
from shop.markets import COUNTRIES, by_name, days_off
from shop.money import Currency

HIGHEST = 9_999_99  # minor units
MOST_COPIES = 500


class CountryDistributorForm(DistributorForm):
    """Who supplies one country's libraries; without an address it is the shop itself."""

    country = SelectField(
        _l("Country"),
        choices=lambda: [SelectChoice(code, name) for code, name in by_name(COUNTRIES, locale())],
        validate_choice=False,
        validators=[AnyOf(list(COUNTRIES), message=_l("Please choose a country from the list."))],
    )
    name = StringField(_l("Name"), [at_most(200)], filters=[stripped])
    email = StringField(_l("E-mail"), [at_most(254), Mail()], filters=[stripped], render_kw={"type": "email"})

    def validate_name(self, field: Field) -> None:
        if self.email.data and not field.data:
            raise StopValidation(str(REQUIRED))


def days_field(label: str, least: int = 1, most: int = 90) -> WholeNumberField:
    return WholeNumberField(
        label,
        [Required(), NumberRange(least, most, message=_l("Please write a number from %(min)s to %(max)s."))],
        render_kw={"inputmode": "numeric", "required": True},
    )


class LibraryRulesForm(Form):
    """What the owner decides about library orders."""

    remind_days = days_field(_l("Remind the distributor after (working days)"))
    tell_days = days_field(_l("Tell you after another (working days)"))
    valid_days = days_field(_l("A quotation is valid for (days)"), most=365)
    terms_days = days_field(_l("An invoice is due after (days)"), most=365)
    before_due_days = days_field(_l("Remind before the due date (days)"))
    after_due_days = days_field(_l("Remind after the due date (days)"))
    holidays = TextAreaField(
        _l("Public holidays and days off"), [at_most(4000)], filters=[stripped], render_kw={"rows": "6"}
    )

    def validate_holidays(self, field: Field) -> None:
        try:
            days_off(field.data or "")
        except ValueError as error:
            raise StopValidation(_("This is no day and no range of days: %(line)s", line=str(error))) from None


def copies_field(label: str, least: int = 1) -> WholeNumberField:
    between = NumberRange(least, MOST_COPIES, message=_l("Please write a number from %(min)s to %(max)s."))
    return WholeNumberField(label, [Required(), between], render_kw={"inputmode": "numeric", "required": True})


def sum_field(label: str, least: int = 0) -> SumField:
    between = NumberRange(least, HIGHEST, message=_l("This sum is too low or too high."))
    return SumField(
        label, "", validators=[Required(), between], render_kw={"inputmode": "decimal", "required": True}
    )


class PaperForm(Form):
    """What a paper asks to be paid."""

    copies = copies_field(_l("Copies"))
    unit = sum_field(_l("Price of a copy"), least=1)
    postage = sum_field(_l("Postage"))
    currency = SelectField(
        _l("Currency"),
        choices=lambda: [SelectChoice(each.value, each.value) for each in Currency],
        validate_choice=False,
        validators=[AnyOf([each.value for each in Currency], message=_l("Please choose a currency."))],
    )


class AcceptForm(Form):
    """A purchase order has come."""

    purchase_order = StringField(
        _l("Purchase order number"), [Required(), at_most(60)], filters=[stripped], render_kw={"required": True}
    )
    copies = copies_field(_l("Copies"))


class LibraryPostForm(Form):
    copies = copies_field(_l("Copies in the parcel"))
    carrier = StringField(_l("Carrier"), [at_most(100)], filters=[stripped])
    tracking = StringField(_l("Tracking number"), [at_most(100)], filters=[stripped])


class PaidForm(Form):
    day = DateField(_l("Arrived on"), [Required()], render_kw={"type": "date", "required": True})
    note = StringField(_l("Reference of the transfer"), [at_most(150)], filters=[stripped])


class CreditForm(Form):
    copies = copies_field(_l("Copies credited"), least=0)
    back = copies_field(_l("of which stand on the shelf again"), least=0)
    postage = sum_field(_l("Postage credited"))


class RecordForm(Form):
    """Who gets what and pays it; papers that were issued stay as they are."""

    institution = StringField(_l("Institution"), [Required(), at_most(200)], filters=[stripped])
    department = StringField(_l("Department"), [at_most(200)], filters=[stripped])
    contact_name = StringField(_l("Contact person"), [Required(), at_most(200)], filters=[stripped])
    email = StringField(_l("E-mail"), [Required(), at_most(254), Mail()], filters=[stripped])
    delivery_address = TextAreaField(
        _l("Delivery address"), [Required(), at_most(600)], filters=[stripped], render_kw={"rows": "4"}
    )
    invoice_address = TextAreaField(
        _l("Invoice address"), [at_most(600)], filters=[stripped], render_kw={"rows": "4"}
    )
    invoice_email = StringField(_l("E-mail for the invoice"), [at_most(254), Mail()], filters=[stripped])
    purchase_order = StringField(_l("Purchase order number"), [at_most(60)], filters=[stripped])
    own_reference = StringField(_l("Their own reference"), [at_most(60)], filters=[stripped])
    vat_number = StringField(_l("VAT number"), [at_most(40)], filters=[stripped])
    informed = TextAreaField(
        _l("Also informed, one e-mail address a line"),
        [at_most(1000)],
        filters=[stripped],
        render_kw={"rows": "3"},
    )

    def validate_informed(self, field: Field) -> None:
        lines = [line.strip() for line in (field.data or "").splitlines() if line.strip()]
        for line in lines:
            Mail()(self, type("Line", (), {"data": line}))  # type: ignore[arg-type]
        field.data = "\n".join(lines)


def _line(label: str, longest: int = 200) -> StringField:
    return StringField(label, [at_most(longest)], filters=[stripped])


class VendorForm(Form):
    """What institutions ask of a new supplier."""

    legal_form = _line(_l("Legal form"))
    company_number = _line(_l("Company number"), 60)
    contact_name = _line(_l("Contact person"))
    account_name = _line(_l("Account holder"))
    bank_name = _line(_l("Bank"))
    iban = _line("IBAN", 40)
    bic = _line("BIC", 20)
    sort_code = _line(_l("Sort code"), 20)
    account_number = _line(_l("Account number"), 40)
    tax_note = TextAreaField(_l("About tax"), [at_most(2000)], filters=[stripped], render_kw={"rows": "5"})

    def validate_iban(self, field: Field) -> None:
        if field.data and not iban.is_valid(field.data):
            raise StopValidation(_("This is not an IBAN: its check digits do not fit."))
        field.data = iban.compact(field.data) if field.data else ""

    def validate_bic(self, field: Field) -> None:
        if field.data and not bic.is_valid(field.data):
            raise StopValidation(_("This is not a BIC."))
        field.data = bic.compact(field.data) if field.data else ""
