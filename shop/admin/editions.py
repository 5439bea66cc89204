"""Editions: everything about them that the owner may change, on one page each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from babel import Locale
from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from stdnum import isbn
from wtforms import BooleanField, Field, Form, SelectField, StringField
from wtforms.fields import SelectChoice  # type: ignore[attr-defined]  # the stubs are of an older WTForms
from wtforms.validators import AnyOf, NumberRange, Regexp, ValidationError

from shop.admin import revising
from shop.admin.desk import desk, person
from shop.admin.forms import Required, SumField, WholeNumberField
from shop.admin.revising import day_check, line_field, text_field
from shop.catalogue import editing, offers
from shop.catalogue.editing import CURRENCIES, BadLine, IsbnTaken
from shop.catalogue.models import Binding, Edition, Status
from shop.catalogue.sheet import TAX_CODE
from shop.catalogue.values import published as published_check
from shop.changes import Meanwhile, seal
from shop.database import transact
from shop.errors import CatalogueError
from shop.extensions import db, now
from shop.markets import LANGUAGES, REGIONS

HIGHEST = 999_999_99  # minor units
MOST = 100_000

BINDINGS = {
    Binding.PAPERBACK: _l("paperback"),
    Binding.HARDBACK: _l("hardback"),
    Binding.UNKNOWN: _l("not known"),
}
STATUSES = {
    Status.AVAILABLE: _l("on sale while there are copies"),
    Status.ANNOUNCED: _l("announced"),
    Status.OUT_OF_PRINT: _l("out of print"),
}
LABELS = {
    "name": _l("Short name"),
    "summary": _l("Summary in one or two sentences"),
    "description": _l("Description (Markdown)"),
}


@desk.get("/editions")
def edition_list() -> ResponseReturnValue:
    rows = [(edition, revising.missing(editing.facts(edition), editing.TEXTS)) for edition in _all()]
    return render_template("admin/editions.html", rows=rows, statuses=STATUSES, currencies=CURRENCIES)


@desk.get("/editions/<slug>")
def edition_page(slug: str) -> ResponseReturnValue:
    edition = _edition(slug)
    facts = editing.facts(edition)
    return _page(edition, revising.filled(_form(), facts), seal(facts))


@desk.post("/editions/<slug>")
def change_edition(slug: str) -> ResponseReturnValue:
    """Save what was typed, or only show how the texts will look."""
    session, actor, at = db.session(), person().actor, now()
    edition = _edition(slug)
    form = _form()(request.form)
    if revising.PREVIEW in request.form:
        return _page(edition, form, revising.seen(), preview=True), 200
    if not form.validate():
        return _page(edition, form, revising.seen()), 422
    typed, seen = revising.typed(form), revising.seen()
    try:
        changed = transact(session, lambda s: editing.revise(s, slug, typed, seen, str(actor), at))
    except Meanwhile:
        facts = editing.facts(_edition(slug))
        again, clashes = revising.merged(session, editing.subject(slug), form, facts)
        return _page(_edition(slug), again, seal(facts), clashes=clashes), 409
    except IsbnTaken:
        form["isbn"].errors = [_("Another edition or format has this ISBN.")]
        return _page(_edition(slug), form, seen), 422
    flash(_("The edition was saved. No order was touched.") if changed else _("Nothing was changed."))
    return redirect(url_for("admin.edition_page", slug=slug), code=303)


def _all() -> list[Edition]:
    return list(offers.editions(db.session()))


def _edition(slug: str) -> Edition:
    found = offers.edition(db.session(), slug)
    if found is None:
        abort(404)
    return found


def _page(
    edition: Edition,
    form: Form,
    seal: str,
    *,
    preview: bool = False,
    clashes: list[revising.Clash] | None = None,
) -> str:
    named = revising.labels(form)
    values = {name: str(field.data or "") for name, field in form._fields.items()}
    return render_template(
        "admin/edition.html",
        edition=edition,
        form=form,
        seal=seal,
        preview=preview,
        clashes=clashes or [],
        order=revising.in_order(),
        currencies=CURRENCIES,
        missing=revising.missing(values, editing.TEXTS),
        past=revising.past(db.session(), [editing.subject(edition.slug)], named),
    )


# The form


def _check_isbn(_form: Form, field: Field) -> None:
    if not field.data:
        return
    if not (len(field.data) == 13 and field.data.isascii() and field.data.isdigit()):
        raise ValidationError(_("An ISBN has thirteen digits."))
    if not isbn.is_valid(field.data) or not field.data.startswith(("978", "979")):
        raise ValidationError(_("The last digit does not fit the others: a digit of this ISBN is mistyped."))


def _check_published(_form: Form, field: Field) -> None:
    try:
        if field.data:
            published_check("", field.data)
    except CatalogueError:
        raise ValidationError(_("Please write a year, a month (2009-05) or a day (2009-05-12).")) from None


def _check_language(_form: Form, field: Field) -> None:
    if field.data not in Locale("en").languages or len(field.data) > 3:
        raise ValidationError(_("Please write the code of a language, such as en or ru."))


def _check_announced(form: Form, field: Field) -> None:
    if (form["status"].data == Status.ANNOUNCED.value) != bool(field.data):
        raise ValidationError(_("An announced edition has a day, and no other has one."))
    day_check(form, field)


def _check_price(form: Form, field: Field) -> None:
    if field.data is None and form["status"].data == Status.AVAILABLE.value:
        raise ValidationError(_("An edition on sale has a price in each region."))
    if field.data is not None and not 0 < field.data <= HIGHEST:
        raise ValidationError(_("This sum is too low or too high."))


def _lines(read: Callable[[str], Any]) -> Callable[[Form, Field], None]:
    """Refuse a list by the first of its lines that cannot be read."""

    def check(_form: Form, field: Field) -> None:
        try:
            read(field.data or "")
        except BadLine as bad:
            raise ValidationError(
                _("Line %(number)d cannot be read: “%(line)s”.", number=bad.number, line=bad.line[:80])
            ) from None

    return check


def _country_check(_form: Form, field: Field) -> None:
    try:
        editing.countries(field.data or "")
    except BadLine as bad:
        raise ValidationError(_("“%(code)s” is not the code of a country.", code=bad.line[:20])) from None


def _digits(value: str | None) -> str:
    return "".join((value or "").replace("-", "").split())


def _codes(value: str | None) -> str:
    return " ".join(sorted(set((value or "").replace(",", " ").upper().split())))


def _number(label: str, least: int, *, required: bool = False) -> WholeNumberField:
    between = NumberRange(least, MOST, message=_l("Please write a number from %(min)s to %(max)s."))

    def fits(form: Form, field: Field) -> None:
        if field.data is not None:
            between(form, field)

    checks = [Required(), fits] if required else [fits]
    kw = {"inputmode": "numeric"} | ({"required": True} if required else {})
    return WholeNumberField(label, checks, render_kw=kw)


def _choice(label: str, known: dict[Any, Any]) -> SelectField:
    return SelectField(
        label,
        choices=lambda: [SelectChoice(key.value, str(text)) for key, text in known.items()],
        validate_choice=False,
        validators=[AnyOf([key.value for key in known], message=_l("Please choose one of these."))],
    )


def _form() -> type[Form]:
    fields: dict[str, Field] = {
        "title": line_field(_l("Title"), 300, required=True),
        "subtitle": line_field(_l("Subtitle"), 300),
        "language": line_field(_l("Language of the book (code)"), 3, required=True, checks=[_check_language]),
        "status": _choice(_l("Availability"), STATUSES),
        "announced_for": StringField(
            _l("Announced for (day)"), [_check_announced], filters=[revising.one_line], render_kw={"type": "date"}
        ),
        "isbn": StringField(_l("ISBN"), [_check_isbn], filters=[_digits], render_kw={"inputmode": "numeric"}),
        "binding": _choice(_l("Binding"), BINDINGS),
        "publisher": line_field(_l("Publisher"), 200),
        "place": line_field(_l("Place of publication"), 100),
        "published": line_field(_l("Published (year, month or day)"), 10, checks=[_check_published]),
        "series": line_field(_l("Series"), 300),
        "series_volume": line_field(_l("Volume of the series"), 20),
        "pages": _number(_l("Pages"), 1),
        "illustrations": _number(_l("Illustrations"), 0),
        "height_mm": _number(_l("Height, mm"), 1),
        "width_mm": _number(_l("Width, mm"), 1),
        "weight_grams": _number(_l("Weight, g"), 1),
        "postage_weight_grams": _number(_l("Weight for postage alone, g"), 1),
        "order_limit": _number(_l("Most copies in one order"), 1, required=True),
        "last_copies": _number(_l("Say “the last copies” at this number or fewer"), 0, required=True),
        "tax_code": line_field(
            _l("Tax code for Stripe"),
            20,
            required=True,
            checks=[Regexp(rf"^{TAX_CODE.pattern}$", message=_l("A tax code looks like txcd_35010000."))],
        ),
        "contributors": text_field(_l("Contributors"), 3, _lines(editing.people), required=True),
        "subjects": text_field(_l("Subjects"), 4, _lines(editing.subjects)),
        "contents": text_field(_l("Table of contents"), 8, _lines(editing.contents)),
        "contents_complete": BooleanField(_l("The table of contents is complete")),
        "other_formats": text_field(_l("Other formats"), 3, _lines(editing.formats)),
        "where_else": text_field(_l("Where else to buy"), 3, _lines(editing.sellers)),
        "not_sent": StringField(
            _l("Countries this edition is not sent to (codes)"), [_country_check], filters=[_codes]
        ),
    }
    for currency in CURRENCIES:
        regions = ", ".join(code.upper() for code, region in REGIONS.items() if region.currency is currency)
        label = _("Price in %(currency)s (%(regions)s)", currency=currency.value, regions=regions)
        fields[f"price-{currency.value}"] = SumField(
            label, currency.value, validators=[_check_price], render_kw={"inputmode": "decimal"}
        )
    for code in LANGUAGES:
        fields[f"name-{code}"] = line_field(LABELS["name"], 100, required=True, render_kw={"lang": code})
        fields[f"summary-{code}"] = text_field(
            LABELS["summary"], 3, lang=code, required=True, longest=2000, read=revising.one_line
        )
        fields[f"description-{code}"] = text_field(LABELS["description"], 14, lang=code, required=True)
    made: type[Form] = type("EditionForm", (Form,), fields)
    return made
