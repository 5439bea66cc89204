"""What the desk calls what happens to parcels and addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from shop.orders.models import ParcelKind, ReturnEnd

REPLACED = {
    "lost": _l("The parcel was lost"),
    "damaged": _l("Copies arrived damaged"),
    "wrong": _l("The wrong copies were in it"),
}
"""Why something goes in place of what was posted."""

PARCEL = {
    ParcelKind.ORDER: _l("ordered copies"),
    ParcelKind.REPLACEMENT: _l("free replacement"),
    ParcelKind.RESENT: _l("posted again, free"),
}

RETURN_END = {
    ReturnEnd.RESENT: _l("to be posted again"),
    ReturnEnd.REFUNDED: _l("to be refunded"),
    ReturnEnd.NOTHING: _l("nothing follows"),
}

ADDRESS = {
    "name": _l("Name"),
    "line1": _l("First line"),
    "line2": _l("Second line"),
    "city": _l("Town"),
    "state": _l("State or region"),
    "postal_code": _l("Postcode"),
    "phone": _l("Telephone"),
}


def _address(details: Mapping[str, Any]) -> str:
    """From what to what, as long as the values are there."""
    changes = [
        _(
            "%(field)s: “%(before)s” became “%(after)s”",
            field=ADDRESS.get(name, name),
            before=details.get(f"{name}_before", ""),
            after=details.get(name, ""),
        )
        for name in details.get("fields", ())
        if not {name, f"{name}_before"} & set(details.get("erased", ()))
    ]
    return str(_("The address was corrected.")) + (" " + "; ".join(changes) + "." if changes else "")


def _decided(details: Mapping[str, Any]) -> str:
    if details.get("why") == "came_back":
        return str(_("What came back is to be posted again, free of charge."))
    why = REPLACED.get(str(details.get("why")), "")
    return str(_("A free replacement is to be posted: %(why)s.", why=str(why).lower()))


def _came_back(details: Mapping[str, Any]) -> str:
    if details.get("restocked"):
        return str(_("A parcel came back; its copies stand on the shelf."))
    return str(_("A parcel came back; its copies cannot be sold again."))


EVENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "posting_undone": lambda d: _("It was taken back that a parcel was posted: it is still here."),
    "tracked": lambda d: _("The tracking number was noted: %(tracking)s.", tracking=d.get("tracking", "…")),
    "address_corrected": _address,
    "remark": lambda d: _("Remark: %(text)s", text=d.get("remark", "…")),
    "parcel_decided": _decided,
    "parcel_dropped": lambda d: _("A free parcel was called off; its copies went back to sale."),
    "parcel_back": _came_back,
    "return_settled": lambda d: _(
        "What follows from the parcel that came back: %(end)s.",
        end=RETURN_END[ReturnEnd(d["end"])] if d.get("end") in set(ReturnEnd) else d.get("end", ""),
    ),
}
"""Entries of the timeline, by kind."""
