"""The order form's fields: what was typed, what of it is wrong, and nothing of it lost."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict
from wtforms import Field, Form, StringField, TextAreaField, ValidationError
from wtforms.validators import Length
from wtforms.widgets import TextInput

from shop.catalogue.models import Edition
from shop.markets import COUNTRIES, Market
from shop.money import Currency, Money
from shop.orders.placing import Wish

DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
ATTEMPT = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
PURCHASE_ORDER_LENGTH = 100
NOTE_LENGTH = 500


def one_line(value: str | None) -> str:
    """White space joined, control characters gone."""
    return " ".join(_printable(value or "").split())


def several_lines(value: str | None) -> str:
    return "\n".join(_printable(line).rstrip() for line in (value or "").splitlines()).strip()


def _printable(value: str) -> str:
    return "".join(
        " " if char == "\t" else char for char in value if char == "\t" or unicodedata.category(char)[0:2] != "Cc"
    )


def once(_form: Form, field: Field) -> None:
    """A field that comes twice has no meaning."""
    if field.raw_data and len(field.raw_data) > 1:
        raise ValidationError(gettext("This was sent more than once. Please choose again."))


class QuantityField(Field):
    """Copies of one edition: a whole number in plain digits, up to the edition's limit. Blank is none."""

    widget = TextInput()

    def __init__(self, label: str, *, limit: int, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.limit = limit
        self.data: int = 0
        self.typed = ""

    def _value(self) -> str:
        return self.typed

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        typed = valuelist[0].strip() if valuelist else "0"
        self.data, self.typed = 0, one_line(typed)[:20]
        if len(valuelist) > 1:
            raise ValueError(gettext("This was sent more than once. Please choose again."))
        if not typed:
            typed = self.typed = "0"
        if not DIGITS.fullmatch(typed):
            raise ValueError(
                gettext(
                    "Please write the number of copies as a whole number from 0 to %(limit)d.", limit=self.limit
                )
            )
        if int(self.typed) > self.limit:
            raise ValueError(
                ngettext(
                    "One order may hold %(num)d copy of this edition at most.",
                    "One order may hold %(num)d copies of this edition at most.",
                    self.limit,
                )
            )
        self.data = int(self.typed)


class OrderForm(Form):
    """Everything but the quantities, which ``read`` adds for each edition.

    No token: public posts are guarded by where they come from (``protection``), so that no cookie is needed.
    """

    country = StringField(_l("Deliver to"), [once], filters=[lambda value: (value or "").strip().upper()])
    purchase_order = StringField(
        _l("Purchase order number"),
        [once, Length(max=PURCHASE_ORDER_LENGTH, message=_l("At most %(max)d characters, please."))],
        filters=[one_line],
    )
    note = TextAreaField(
        _l("A note to the packer"),
        [once, Length(max=NOTE_LENGTH, message=_l("At most %(max)d characters, please."))],
        filters=[several_lines],
    )

    def quantities(self) -> dict[str, int]:
        return {field.name: field.data for field in self if isinstance(field, QuantityField)}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field."""

    field: str
    message: str
    label: str = ""
    """What the field is called, where the message alone does not say which it is about."""


@dataclass(slots=True)
class Typed:
    """The form as it came: fields, what the buyer saw, and the form's own random mark."""

    form: OrderForm
    shown: Money | None
    attempt: str

    def address(self) -> dict[str, Any]:
        """What was typed, as a query."""
        form = self.form
        fields: dict[str, Any] = {name: str(number) for name, number in form.quantities().items()}
        fields["country"] = form.country.data or ""
        for field in (form.purchase_order, form.note):
            if field.data:
                fields[field.name] = field.data
        return fields

    def wish(self) -> Wish:
        form = self.form
        return Wish(
            {slug: number for slug, number in form.quantities().items() if number},
            form.country.data or "",
            form.purchase_order.data or "",
            form.note.data or "",
            self.attempt,
        )

    def problems(self) -> list[Problem]:
        """What is wrong with the fields themselves, before the catalogue is asked."""
        self.form.validate()
        fields = sorted(self.form, key=lambda field: not isinstance(field, QuantityField))  # as on the page
        found = [
            Problem(field.name, str(error), str(field.label.text))
            for field in fields
            for error in field.errors[:1]
        ]
        country = self.form.country
        if not country.errors and country.data not in COUNTRIES:
            found.append(Problem("country", gettext("Please choose a country from the list.")))
        return found


def read(editions: Sequence[Edition], given: MultiDict[str, str], market: Market, *, posted: bool) -> Typed:
    """Make the form from a query or a post; what an address leaves out is the market's usual."""
    fields: MultiDict[str, str] = MultiDict(given)
    slugs = [each.slug for each in editions]
    if not posted:
        if not any(slug in fields for slug in slugs):
            priced = [each for each in editions if each.price_in(market.currency)] or list(editions)
            usual = min(priced, key=lambda each: each.language != market.language, default=None)
            fields[usual.slug if usual else ""] = "1"
        fields.setdefault("country", market.region.home)
    names = [(each.text_in(market.language), each) for each in editions]
    form = _form_class(
        tuple((each.slug, text.name if text else each.title, each.order_limit) for text, each in names)
    )(formdata=fields)
    attempt = fields.get("attempt", "") if posted else ""
    if not ATTEMPT.fullmatch(attempt):
        # An address may be passed on; a mark taken from it would make two buyers' orders one.
        attempt = secrets.token_urlsafe(24)
    return Typed(form, _shown(fields, market, posted), attempt)


def bracketed(given: MultiDict[str, str], editions: Sequence[Edition]) -> bool:
    """Whether a field of ours comes under an array's name (``paperback[]``), which nothing of ours sends."""
    ours = {"country", "purchase_order", "note", "shown_total", *(each.slug for each in editions)}
    return any("[" in name and name.partition("[")[0] in ours for name in given)


@lru_cache(64)
def _form_class(quantities: tuple[tuple[str, str, int], ...]) -> type[OrderForm]:
    """The form for editions: (slug, name, limit). WTForms finds a class's fields once, and slowly."""
    fields = {slug: QuantityField(name, limit=limit) for slug, name, limit in quantities}
    return type("EditionsForm", (OrderForm,), fields)


def _shown(fields: MultiDict[str, str], market: Market, posted: bool) -> Money | None:
    """The total that the buyer saw, when it was sent and is a sum; an address may say in which currency."""
    typed = fields.get("shown_total", "")
    if not DIGITS.fullmatch(typed) or len(fields.getlist("shown_total")) > 1:
        return None
    currency: Currency = market.currency
    if not posted and "shown_currency" in fields:
        if fields["shown_currency"] not in Currency.__members__:
            return None
        currency = Currency(fields["shown_currency"])
    return Money(int(typed), currency)
