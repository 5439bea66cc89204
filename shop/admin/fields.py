"""What the journal calls the fields that somebody has changed, and how it writes their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from shop.admin.forms import ROLES
from shop.admin.naming import edition_name, language_name
from shop.staff import Role

TABLES = {
    "admin": _l("person"),
    "contributor": _l("contributor"),
    "country_distributor": _l("distributor for a country"),
    "desk_rules": _l("rules of the desk"),
    "distributor": _l("distributor"),
    "edition": _l("edition"),
    "edition_text": _l("texts of an edition"),
    "library_rules": _l("rules of library orders"),
    "not_sent": _l("where an edition is not sent"),
    "page_text": _l("page"),
    "postage_band": _l("postage by weight"),
    "postage_zone": _l("postage zone"),
    "price": _l("price"),
    "refused_country": _l("country not served"),
    "subject": _l("subject"),
    "trader": _l("seller"),
    "vendor": _l("vendor papers"),
    "unconfirmed": _l("fact to be confirmed"),
    "zone_country": _l("country of a zone"),
}

FIELDS = {
    "active": _l("active"),
    "address": _l("address"),
    "amount": _l("sum in pence or cents"),
    "body": _l("text"),
    "confirmed_at": _l("confirmed at"),
    "confirmed_by": _l("confirmed by"),
    "currency": _l("currency"),
    "dispatch_days": _l("working days until posting"),
    "email": _l("e-mail"),
    "enabled": _l("served"),
    "further_amount": _l("sum for further weight"),
    "language": _l("language"),
    "max_days": _l("longest time on the way"),
    "min_days": _l("shortest time on the way"),
    "name": _l("name"),
    "valid_days": _l("days that a quotation holds"),
    "terms_days": _l("days until an invoice is due"),
    "before_due_days": _l("days before the due date"),
    "after_due_days": _l("days after the due date"),
    "remind_days": _l("working days until the distributor is reminded"),
    "tell_days": _l("working days until you are told"),
    "notified": _l("gets letters"),
    "phone": _l("telephone"),
    "role": _l("role"),
    "second_factor_required": _l("second factor required"),
    "summary": _l("summary"),
    "title": _l("title"),
    "vat_number": _l("VAT number"),
}


def table(name: str) -> str:
    return str(TABLES.get(name, name))


def field(name: str) -> str:
    return str(FIELDS.get(name, name))


def row(change: Sequence[Any]) -> str:
    """Which row: an edition and whatever else has a name by that, the rest by its key."""
    name, key = change[0], str(change[1])
    return edition_name(key) if name == "edition" else key


def value(name: str, value: Any) -> str:
    """A value as a person reads it."""
    if value is None or value == "":
        return str(_("nothing"))
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if name == "role" and value in list(Role):
        return str(ROLES[Role(value)]).partition(":")[0]
    if name == "language":
        return language_name(str(value))
    return str(value)
