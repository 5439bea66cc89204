"""What copies and postage cost. A change holds from now on and never touches an order."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import BooleanField, Field, Form
from wtforms.validators import NumberRange, ValidationError

from shop import changes
from shop.admin import revising
from shop.admin.desk import desk, language, person
from shop.admin.forms import Required, SumField, WholeNumberField
from shop.catalogue import editing, offers, postage, version
from shop.catalogue.models import Edition, PostageZone
from shop.changes import Meanwhile, seal
from shop.database import lock, transact
from shop.extensions import db, now
from shop.markets import REGIONS
from shop.money import Currency

HIGHEST = 999_999_99  # minor units
LONGEST = 90  # working days
POSTAGE = "postage"
"""What all postage together is called among the changes."""


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """A zone with its switch and the fields of its sums."""

    zone: PostageZone
    name: str
    switch: Field
    least: Field
    most: Field
    bands: list[tuple[int, Field]]
    further: Field | None


@desk.get("/setup/prices")
def prices_page() -> ResponseReturnValue:
    session = db.session()
    return _prices(_price_form(session), seal(_price_facts(session)))


@desk.post("/setup/prices")
def change_prices() -> ResponseReturnValue:
    session, actor, at = db.session(), str(person().actor), now()
    form, seen = _price_form(session, filled=True), revising.seen()
    if not form.validate():
        return _prices(form, seen), 422

    def work(s: Session) -> None:
        for edition in sorted(offers.editions(s), key=lambda each: each.id):
            lock(s, Edition, edition.id)
        # An edition that came after the page was opened is none of this form's.
        changes.compare(seen, {name: text for name, text in _price_facts(s).items() if name in form._fields})
        for edition in offers.editions(s):
            before = editing.facts(edition)
            for currency in _currencies():
                field = form._fields.get(_price_name(edition, currency))
                if field is not None:
                    editing.set_price(edition, currency, field.data)
            changes.record(s, editing.subject(edition.slug), before, editing.facts(edition), actor, at)
        version.rise(s)

    try:
        transact(session, work)
    except Meanwhile:
        again, clashes = revising.merged(session, "", form, _price_facts(session))
        return _prices(again, seal(_price_facts(session)), clashes), 409
    flash(_("Prices saved. They hold from now on; no order was touched."))
    return redirect(url_for("admin.prices_page"), code=303)


def _price_facts(session: Session) -> dict[str, str]:
    facts = {}
    for edition in offers.editions(session):
        for currency in _currencies():
            known = edition.price_in(currency)
            facts[_price_name(edition, currency)] = editing.sum_text(known.amount if known else None)
    return facts


def _currencies() -> list[Currency]:
    return list(dict.fromkeys(region.currency for region in REGIONS.values()))


def _price_name(edition: Edition, currency: Currency) -> str:
    return f"{edition.slug}-{currency.value}"


def _price_form(session: Session, filled: bool = False) -> Form:
    fields, values = {}, {}
    for edition in offers.editions(session):
        for currency in _currencies():
            name, known = _price_name(edition, currency), edition.price_in(currency)
            fields[name] = SumField(
                f"{edition.title}, {currency.value}",
                currency.value,
                validators=[Required(), _between(1)],
                render_kw={"inputmode": "decimal", "required": True},
            )
            values[name] = known.amount if known else None
    made: Form = type("PricesForm", (Form,), fields)(request.form if filled else None, data=values)
    return made


def _between(least: int) -> NumberRange:
    return NumberRange(least, HIGHEST, message=_l("This sum is too low or too high."))


def _prices(form: Form, seal: str, clashes: list[revising.Clash] | None = None) -> str:
    editions = offers.editions(db.session())
    rows = [(each, [form[_price_name(each, currency)] for currency in _currencies()]) for each in editions]
    return render_template(
        "admin/prices.html", rows=rows, currencies=_currencies(), seal=seal, clashes=clashes or []
    )


@desk.get("/setup/postage")
def postage_page() -> ResponseReturnValue:
    session = db.session()
    return _postage(_postage_form(session), seal(_postage_facts(session)))


@desk.post("/setup/postage")
def change_postage() -> ResponseReturnValue:
    session, actor, at = db.session(), str(person().actor), now()
    form, seen = _postage_form(session, filled=True), revising.seen()
    if not form.validate():
        return _postage(form, seen), 422

    def work(s: Session) -> None:
        for zone in sorted(postage.zones(s), key=lambda each: each.id):
            lock(s, PostageZone, zone.id)
        before = _postage_facts(s)
        # A zone that came after the page was opened is none of this form's.
        changes.compare(seen, {name: text for name, text in before.items() if name in form._fields})
        for zone in postage.zones(s):
            if f"{zone.slug}-on" not in form._fields:
                continue  # came after the page was opened
            zone.enabled = bool(form[f"{zone.slug}-on"].data)
            zone.min_days, zone.max_days = form[f"{zone.slug}-least"].data, form[f"{zone.slug}-most"].data
            for band in zone.bands:
                field = form._fields.get(f"{zone.slug}-{band.up_to_grams}")
                if field is not None:
                    band.amount = field.data
            further = form._fields.get(f"{zone.slug}-further")
            if further is not None and zone.further_grams is not None:
                zone.further_amount = further.data
        changes.record(s, POSTAGE, before, _postage_facts(s), actor, at)
        version.rise(s)

    try:
        transact(session, work)
    except Meanwhile:
        facts = _postage_facts(session)
        again, clashes = revising.merged(session, POSTAGE, form, facts, _postage_labels(session))
        return _postage(again, seal(facts), clashes), 409
    flash(_("Postage saved. It holds from now on; no order was touched."))
    return redirect(url_for("admin.postage_page"), code=303)


def _postage_facts(session: Session) -> dict[str, str]:
    facts: dict[str, str] = {}
    for zone in postage.zones(session):
        facts |= editing.zone_facts(zone)
    return facts


def _postage_labels(session: Session) -> dict[str, str]:
    """What each field is called, with its zone; those of bands that are gone as well."""
    found: dict[str, str] = {}
    noted = {row.field for row in changes.history(session, [POSTAGE])}
    for zone in postage.zones(session):
        name, currency = zone.names.get(language(), zone.slug), REGIONS[zone.region].currency.value
        fields = {
            "on": _("parcels go there"),
            "least": _("least working days"),
            "most": _("most working days"),
            "further": _("each further begun weight, %(currency)s", currency=currency),
        }
        gone = [field.removeprefix(f"{zone.slug}-") for field in noted if field.startswith(f"{zone.slug}-")]
        for grams in {*(str(band.up_to_grams) for band in zone.bands), *filter(str.isdigit, gone)}:
            fields[grams] = _("up to %(grams)s g, %(currency)s", grams=grams, currency=currency)
        found |= {f"{zone.slug}-{field}": f"{name}: {text}" for field, text in fields.items()}
    return found


def _postage_form(session: Session, filled: bool = False) -> Form:
    fields: dict[str, object] = {}
    values: dict[str, object] = {}
    for zone in postage.zones(session):
        currency = REGIONS[zone.region].currency.value
        fields[f"{zone.slug}-on"] = BooleanField(_l("Parcels go there"))
        values[f"{zone.slug}-on"] = zone.enabled
        fields[f"{zone.slug}-least"] = _days(_l("Working days, at least"))
        fields[f"{zone.slug}-most"] = _days(_l("Working days, at most"), f"{zone.slug}-least")
        values[f"{zone.slug}-least"], values[f"{zone.slug}-most"] = zone.min_days, zone.max_days
        sums = {str(band.up_to_grams): band.amount for band in zone.bands}
        if zone.further_amount is not None:
            sums["further"] = zone.further_amount
        for name, amount in sums.items():
            fields[f"{zone.slug}-{name}"] = SumField(
                currency,
                currency,
                validators=[Required(), _between(0)],
                render_kw={"inputmode": "decimal", "required": True},
            )
            values[f"{zone.slug}-{name}"] = amount
    made: Form = type("PostageForm", (Form,), fields)(request.form if filled else None, data=values)
    return made


def _days(label: str, least: str = "") -> WholeNumberField:
    """Working days on the way; not fewer than another field of the form says, if one is named."""
    between = NumberRange(1, LONGEST, message=_l("Please write a number from %(min)s to %(max)s."))

    def not_less(form: Form, field: Field) -> None:
        if least and field.data is not None and (form[least].data or 0) > field.data:
            raise ValidationError(_("This is less than the number before it."))

    return WholeNumberField(
        label, validators=[Required(), between, not_less], render_kw={"inputmode": "numeric", "required": True}
    )


def _postage(form: Form, seal: str, clashes: list[revising.Clash] | None = None) -> str:
    rows = [
        ZoneRow(
            zone,
            zone.names.get(language(), zone.slug),
            form[f"{zone.slug}-on"],
            form[f"{zone.slug}-least"],
            form[f"{zone.slug}-most"],
            [(band.up_to_grams, form[f"{zone.slug}-{band.up_to_grams}"]) for band in zone.bands],
            form[f"{zone.slug}-further"] if zone.further_amount is not None else None,
        )
        for zone in postage.zones(db.session())
    ]
    session = db.session()
    return render_template(
        "admin/postage.html",
        rows=rows,
        currencies={z: r.currency for z, r in REGIONS.items()},
        seal=seal,
        clashes=clashes or [],
        past=revising.past(session, [POSTAGE], _postage_labels(session)),
    )
