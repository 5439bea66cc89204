"""Correcting an order's address before its parcel leaves."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from shop.admin.desk import desk, person
from shop.admin.forms import AddressForm
from shop.admin.orders import find
from shop.database import transact
from shop.documents import consignments
from shop.errors import WrongState
from shop.extensions import db, now
from shop.orders import addresses
from shop.orders.models import Order


@desk.get("/orders/<number>/address")
def address_page(number: str) -> ResponseReturnValue:
    order = find(db.session(), number)
    return _page(order, AddressForm(obj=order.buyer))


@desk.post("/orders/<number>/address")
def correct_address(number: str) -> ResponseReturnValue:
    """Write the corrected address, unless somebody else has changed it meanwhile."""
    session, actor, at = db.session(), person().actor, now()
    order, form = find(session, number), AddressForm(request.form)
    if not form.validate():
        return _page(order, form, 422)
    typed = {name: getattr(form, name).data or "" for name in addresses.FIELDS}
    try:
        changed = transact(session, addresses.correct, order.id, typed, request.form.get("seen", ""), actor, at)
    except addresses.ChangedMeanwhile:
        order = find(session, number)
        problem = _("Somebody else has changed the address meanwhile. This is how it stands now.")
        return _page(order, AddressForm(obj=order.buyer), 409, problem)
    except WrongState:
        order = find(session, number)
        return _page(order, AddressForm(obj=order.buyer), 409, _nothing_to_post())
    flash(_("The address was corrected.") if changed else _("Nothing was changed."))
    if consignments.is_unreadable_there(find(session, number)):
        flash(
            _("This address has no Latin letters, but goes to a country that writes in them. Ask the buyer."),
            "warning",
        )
    return redirect(url_for("admin.order_page", number=number), code=303)


def _nothing_to_post() -> str:
    return str(_("Nothing of this order is to be posted any more, so its address stays as it is."))


def _page(order: Order, form: AddressForm, status: int = 200, problem: str = "") -> tuple[str, int]:
    open_ = addresses.may_be_corrected(order)
    if not open_ and not problem:
        status, problem = 409, _nothing_to_post()
    page = render_template(
        "admin/address.html", order=order, form=form, open=open_, seen=addresses.mark(order.buyer), problem=problem
    )
    return page, status
