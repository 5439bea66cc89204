"""Weight bands of postage: one more, one less."""

from __future__ import annotations

from collections.abc import Callable

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import Form
from wtforms.validators import NumberRange

from shop import changes
from shop.admin.desk import desk, person, problem
from shop.admin.forms import Required, SumField, WholeNumberField
from shop.admin.tariffs import HIGHEST, POSTAGE
from shop.catalogue import editing, version
from shop.catalogue.models import PostageZone
from shop.database import lock, transact
from shop.errors import WrongState
from shop.extensions import db, now

HEAVIEST = 30_000  # grams


class BandForm(Form):
    grams = WholeNumberField(_l("Up to, in grams"), [Required(), NumberRange(1, HEAVIEST)])
    amount = SumField(_l("Sum"), "", validators=[Required(), NumberRange(0, HIGHEST)])


@desk.post("/setup/postage/<slug>/bands")
def add_band(slug: str) -> ResponseReturnValue:
    """Say what parcels of this zone cost up to one more weight."""
    form = BandForm(request.form)
    if not form.validate():
        told = _("Please write a weight from 1 to %(most)d g and a sum such as 22.00.", most=HEAVIEST)
        return _refused(422, told)
    grams, amount = form.grams.data or 0, form.amount.data
    return _change(
        slug, lambda zone: editing.add_band(zone, grams, amount), _("This zone has such a band already.")
    )


@desk.post("/setup/postage/<slug>/bands/<int:grams>/remove")
def remove_band(slug: str, grams: int) -> ResponseReturnValue:
    told = _("This band is not there any more, or it is the only one of its zone.")
    return _change(slug, lambda zone: editing.remove_band(zone, grams), told)


def _change(slug: str, how: Callable[[PostageZone], None], refusal: str) -> ResponseReturnValue:
    actor, at = str(person().actor), now()

    def work(s: Session) -> bool:
        zone = lock(s, PostageZone, s.scalar(select(PostageZone.id).where(PostageZone.slug == slug)) or 0)
        if zone is None:
            return False
        before = editing.zone_facts(zone)
        how(zone)
        s.flush()
        changes.record(s, POSTAGE, before, editing.zone_facts(zone), actor, at)
        version.rise(s)
        return True

    try:
        found = transact(db.session(), work)
    except WrongState:
        return _refused(409, refusal)
    if not found:
        abort(404)
    flash(_("Postage saved. It holds from now on; no order was touched."))
    return redirect(url_for("admin.postage_page"), code=303)


def _refused(status: int, told: str) -> ResponseReturnValue:
    return problem(status, _("Nothing was changed."), told, back=url_for("admin.postage_page"))
