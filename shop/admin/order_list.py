"""The list of orders: filters and search that combine and live in the address."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from shop.admin.deadlines import overdue_since
from shop.admin.desk import desk, locale
from shop.admin.listing import HIGHEST
from shop.admin.naming import copies_of, edition_name
from shop.admin.order_words import FULFILMENT, PAYMENT, Mark, order_marks
from shop.catalogue.models import Edition
from shop.extensions import db, now
from shop.markets import REGIONS, by_name, country_name, day_of, write_moment, write_money
from shop.money import Money
from shop.orders import finding
from shop.orders.finding import ATTENTION, TO_POST, Wanted
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Order
from shop.payments import refunds

STATES: dict[str, tuple[str | LazyString, Callable[[], ColumnElement[bool]]]] = {
    "": (_l("All"), true),
    "to_post": (_l("To post"), lambda: TO_POST),
    "overdue": (_l("Overdue"), lambda: TO_POST & overdue()),
    "attention": (_l("Need attention"), lambda: ATTENTION),
    "awaiting": (
        _l("Not paid yet"),
        lambda: Order.payment_state.in_((PaymentState.AWAITING, PaymentState.PROCESSING)),
    ),
    "posted": (_l("Already posted"), lambda: Order.fulfilment_state == FulfilmentState.POSTED),
    "refunded": (
        _l("Refunded"),
        lambda: Order.payment_state.in_((PaymentState.REFUNDED, PaymentState.PART_REFUNDED)),
    ),
}
SLUGS = select(Edition.slug).order_by(Edition.id)
LONGEST_SEARCH = 200
FILTERS = (
    "q",
    "state",
    "payment",
    "parcel",
    "edition",
    "region",
    "country",
    "since",
    "until",
    "attention",
    "note",
)
"""Everything in the address that says which orders are shown."""
YES = "yes"


class Row(NamedTuple):
    """An order as the list shows it, in words; there are fifty on a page, so what all share is looked up once."""

    number: str
    may_be_posted: bool
    placed: str
    marks: Sequence[Mark]
    copies: Sequence[str]
    buyer: str
    country: str
    total: str


class Choice(NamedTuple):
    """One link of a filter."""

    words: str
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One filter, as links that keep all the others."""

    name: str
    choices: Sequence[Choice]

    @property
    def chosen(self) -> Choice | None:
        return next((each for each in self.choices[1:] if each.chosen), None)


def overdue() -> ColumnElement[bool]:
    """Paid so long ago that the days promised for posting are over."""
    return Order.paid_at < overdue_since(db.session(), now())


@desk.get("/orders")
def order_list() -> ResponseReturnValue:
    """Orders, newest first; everything about what is shown is in the address."""
    asked = _asked()
    session = db.session()
    g.list_path = url_for("admin.order_list")
    found = finding.orders(session, wanted_from(asked), _id("before"), _id("after"))
    if found is None:
        abort(404)
    chosen = {name: value for name, value in asked.items() if value}
    return render_template(
        "admin/orders.html",
        page=found,
        rows=_rows(session, found.rows),
        chosen=chosen,
        typed=asked["q"],
        since=asked["since"],
        until=asked["until"],
        states=_choices(chosen, "state", ((code, str(each[0])) for code, each in STATES.items())),
        groups=_groups(chosen),
        tick=request.args.get("tick") == "all",
        here=request.full_path.rstrip("?"),
        link=lambda **changed: url_for("admin.order_list", **(chosen | changed)),
        export=url_for("admin.export_orders", **chosen),  # type: ignore[arg-type]
    )


def _rows(session: Session, orders: Sequence[Any]) -> list[Row]:
    reader, erased = locale(), _("erased")
    lines, under_way = finding.lines(session, orders), refunds.under_way(session, orders)
    return [
        Row(
            order.number,
            order.may_be_posted,
            write_moment(order.placed_at, reader),
            order_marks(order, under_way),
            copies_of(lines[order.id], to_post=order.fulfilment_state is FulfilmentState.TO_POST),
            erased if order.erased_at else order.name or order.email,
            country_name(order.country, reader),
            write_money(Money(order.amount, order.currency), reader),
        )
        for order in orders
    ]


def _asked() -> dict[str, str]:
    return {name: request.args.get(name, "").strip() for name in FILTERS}


def _id(name: str) -> int | None:
    """The id of an order from the address; anything else is a 404."""
    typed = request.args.get(name, "")
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()) or len(typed) > 10 or not 0 < int(typed) <= HIGHEST:
        abort(404)
    return int(typed)


def wanted() -> Wanted:
    """Which orders the address asks for; 404 for what no link leads to."""
    return wanted_from(_asked())


def wanted_from(asked: dict[str, str]) -> Wanted:
    known = (
        asked["state"] in STATES
        and len(asked["q"]) <= LONGEST_SEARCH
        and asked["payment"] in ("", *PaymentState)
        and asked["parcel"] in ("", *FulfilmentState)
        and asked["region"] in ("", *REGIONS)
        and asked["attention"] in ("", YES)
        and asked["note"] in ("", YES)
        and (not asked["country"] or (len(asked["country"]) == 2 and asked["country"].isascii()))
    )
    if not known:
        abort(404)
    edition = None
    if asked["edition"]:
        edition = db.session().scalar(select(Edition.id).where(Edition.slug == asked["edition"]))
        if edition is None:
            abort(404)
    return Wanted(
        where=(STATES[asked["state"]][1](),) if asked["state"] else (),
        payment=PaymentState(asked["payment"]) if asked["payment"] else None,
        parcel=FulfilmentState(asked["parcel"]) if asked["parcel"] else None,
        edition=edition,
        region=asked["region"],
        country=asked["country"],
        since=_day(asked["since"]),
        until=_day(asked["until"]),
        attention=bool(asked["attention"]),
        note=bool(asked["note"]),
        typed=asked["q"],
    )


def _day(typed: str) -> date | None:
    if not typed:
        return None
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        abort(404)
    if not 1990 <= day.year <= 9000:
        abort(404)
    return day


def _link(asked: dict[str, str]) -> str:
    """The list with these filters."""
    return f"{g.list_path}?{urlencode(asked)}" if asked else g.list_path


def _choices(chosen: dict[str, str], name: str, options: Iterable[tuple[str, str]]) -> list[Choice]:
    """A link for each value of a filter, which an address may hold as it is; there are hundreds on a page, so what they
    begin with is written once."""
    others = {key: value for key, value in chosen.items() if key != name}
    current, without, beginning = chosen.get(name, ""), _link(others), _link(others | {name: ""})
    return [Choice(text, beginning + code if code else without, code == current) for code, text in options]


def _groups(chosen: dict[str, str]) -> list[Group]:
    session = db.session()
    slugs, countries = session.scalars(SLUGS), finding.countries(session)
    options = _options(locale(), tuple((slug, edition_name(slug)) for slug in slugs), tuple(countries))
    groups = [Group(label, _choices(chosen, name, each)) for label, name, each in options]
    return [*groups[:5], Group(_("Placed"), _periods(chosen)), *groups[5:]]


@lru_cache(64)
def _options(
    reader: str, editions: tuple[tuple[str, str], ...], countries: tuple[str, ...]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Every filter but the days, as its name, its name in the address and its values, in the reader's words."""
    regions = ((code, country_name(each.home, reader)) for code, each in REGIONS.items())
    of_each: list[tuple[str, str, Iterable[tuple[str, Any]]]] = [
        (_("Payment"), "payment", ((each.value, PAYMENT[each]) for each in PaymentState)),
        (_("Parcel"), "parcel", ((each.value, FULFILMENT[each]) for each in FulfilmentState)),
        (_("Edition"), "edition", editions),
        (_("Region"), "region", regions),
        (_("Country"), "country", by_name(countries, reader)),
        (_("Attention"), "attention", [(YES, _("Needs attention"))]),
        (_("Note"), "note", [(YES, _("Has a note"))]),
    ]
    return [
        (label, name, [("", _("Any")), *((code, str(text)) for code, text in values)])
        for label, name, values in of_each
    ]


def _periods(chosen: dict[str, str]) -> list[Choice]:
    today = day_of(now())
    month = today.replace(day=1)
    last = month - timedelta(days=1)
    spans = [
        (_("Any day"), None, None),
        (_("Today"), today, today),
        (_("Last seven days"), today - timedelta(days=6), today),
        (_("This month"), month, month.replace(day=calendar.monthrange(month.year, month.month)[1])),
        (_("Last month"), last.replace(day=1), last),
        (_("This year"), today.replace(month=1, day=1), today.replace(month=12, day=31)),
    ]
    others = {key: value for key, value in chosen.items() if key not in ("since", "until")}
    found = []
    for text, since, until in spans:
        span = {"since": since.isoformat(), "until": until.isoformat()} if since and until else {}
        current = all(chosen.get(name, "") == span.get(name, "") for name in ("since", "until"))
        found.append(Choice(text, _link(others | span), current))
    return found
