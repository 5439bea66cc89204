"""The set-up: who sells, who supplies libraries, what nobody has confirmed, and what was found by looking."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.admin.desk import desk, person
from shop.admin.facts import described
from shop.admin.forms import DistributorForm, TraderForm
from shop.admin.library_forms import CountryDistributorForm, VendorForm
from shop.admin.readiness import readiness
from shop.admin.soundings import soundings
from shop.catalogue import offers, version
from shop.catalogue.models import Edition, Unconfirmed
from shop.catalogue.offers import missing_for_sale
from shop.database import transact
from shop.extensions import db, now, settings
from shop.trader import SHOP, CountryDistributor, Distributor, Trader, distributor, of_countries, trader, vendor

LOCAL = "local-"


@desk.get("/setup")
def setup_page() -> ResponseReturnValue:
    session = db.session()
    rows = session.execute(
        select(Edition, Distributor)
        .outerjoin(Distributor, Distributor.edition_id == Edition.id)
        .order_by(Edition.position)
    )
    confirmed = session.scalars(
        select(Unconfirmed).where(Unconfirmed.confirmed_at.is_not(None)).order_by(Unconfirmed.confirmed_at.desc())
    )
    return render_template(
        "admin/setup.html",
        seller=session.get(Trader, SHOP),
        suppliers=rows.all(),
        facts=described(session, offers.unconfirmed(session)),
        confirmed=described(session, confirmed.all()),
        needs=readiness(session),
        soundings=soundings(session, settings(), now()),
        code=request.args.get("letter", "")[:20],
        closed=settings().production and bool(missing_for_sale(session)),
    )


@desk.post("/setup/facts/<int:fact_id>")
def confirm(fact_id: int) -> ResponseReturnValue:
    """Tick a fact off: somebody has checked it."""
    session, name, at = db.session(), person().name, now()

    def work(s: Session) -> bool:
        fact = s.get(Unconfirmed, fact_id) if fact_id < 2**31 else None
        if fact is None:
            return False
        if fact.confirmed_at is None:
            fact.confirmed_at, fact.confirmed_by = at, name
            version.rise(s)
        return True

    if not transact(session, work):
        abort(404)
    flash(_("Confirmed."))
    return redirect(url_for("admin.setup_page") + "#facts", code=303)


@desk.get("/setup/trader")
def trader_page() -> ResponseReturnValue:
    return render_template("admin/trader.html", form=TraderForm(obj=db.session().get(Trader, SHOP)))


@desk.post("/setup/trader")
def change_trader() -> ResponseReturnValue:
    form = TraderForm(request.form)
    if not form.validate():
        return render_template("admin/trader.html", form=form), 422

    def work(s: Session) -> None:
        form.populate_obj(trader(s))
        version.rise(s)

    transact(db.session(), work)
    flash(_("Saved."))
    return redirect(url_for("admin.setup_page"), code=303)


@desk.get("/setup/vendor")
def vendor_page() -> ResponseReturnValue:
    """What institutions ask of a new supplier."""
    return render_template("admin/vendor.html", form=VendorForm(obj=vendor(db.session())))


@desk.post("/setup/vendor")
def change_vendor() -> ResponseReturnValue:
    form = VendorForm(request.form)
    if not form.validate():
        return render_template("admin/vendor.html", form=form), 422

    def work(s: Session) -> None:
        form.populate_obj(s.merge(vendor(s)))

    transact(db.session(), work)
    flash(_("Saved."))
    return redirect(url_for("admin.setup_page"), code=303)


@desk.get("/setup/distributors/<slug>")
def distributor_page(slug: str) -> ResponseReturnValue:
    return _distributor_page(_edition(slug))


def _distributor_page(
    edition: Edition, form: DistributorForm | None = None, local: CountryDistributorForm | None = None
) -> str:
    known = distributor(db.session(), edition.id)
    return render_template(
        "admin/distributor.html",
        edition=edition,
        known=known,
        form=form or DistributorForm(obj=known),
        locally=of_countries(db.session(), edition.id),
        local=local or CountryDistributorForm(prefix=LOCAL),
    )


@desk.post("/setup/distributors/<slug>")
def change_distributor(slug: str) -> ResponseReturnValue:
    session, edition, form = db.session(), _edition(slug), DistributorForm(request.form)
    edition_id = edition.id
    if not form.validate():
        return _distributor_page(edition, form), 422

    def work(s: Session) -> None:
        row = s.get(Distributor, edition_id)
        if row is None:
            row = Distributor(edition_id=edition_id)
            s.add(row)
        form.populate_obj(row)

    transact(session, work)
    flash(_("Saved. Library orders of this edition now go there."))
    return redirect(url_for("admin.setup_page"), code=303)


@desk.post("/setup/distributors/<slug>/remove")
def remove_distributor(slug: str) -> ResponseReturnValue:
    """From now on the edition's library orders come to the shopkeeper."""
    edition_id = _edition(slug).id

    def work(s: Session) -> None:
        row = s.get(Distributor, edition_id)
        if row is not None:
            s.delete(row)

    transact(db.session(), work)
    flash(_("Removed. Library orders of this edition now come to you."))
    return redirect(url_for("admin.setup_page"), code=303)


@desk.post("/setup/distributors/<slug>/countries")
def change_country_distributor(slug: str) -> ResponseReturnValue:
    """Enter who supplies the libraries of one country, or that the shop itself does."""
    session, edition, form = db.session(), _edition(slug), CountryDistributorForm(request.form, prefix=LOCAL)
    edition_id = edition.id
    if not form.validate():
        return _distributor_page(edition, local=form), 422

    def work(s: Session) -> None:
        row = s.get(CountryDistributor, (edition_id, form.country.data))
        if row is None:
            row = CountryDistributor(edition_id=edition_id)
            s.add(row)
        form.populate_obj(row)

    transact(session, work)
    flash(_("Saved. It holds for what comes from now on."))
    return redirect(url_for("admin.distributor_page", slug=slug), code=303)


@desk.post("/setup/distributors/<slug>/countries/<country>/remove")
def remove_country_distributor(slug: str, country: str) -> ResponseReturnValue:
    """From now on the same holds there as everywhere."""
    edition_id = _edition(slug).id

    def work(s: Session) -> None:
        row = s.get(CountryDistributor, (edition_id, country))
        if row is not None:
            s.delete(row)

    transact(db.session(), work)
    flash(_("Removed. The same holds there as everywhere else."))
    return redirect(url_for("admin.distributor_page", slug=slug), code=303)


def _edition(slug: str) -> Edition:
    found = offers.edition(db.session(), slug)
    if found is None:
        abort(404)
    return found
