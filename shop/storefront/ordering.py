"""Ordering: the form that is its own basket, and the post that places the order and leads to the payment page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from shop import throttle
from shop.catalogue import offers, postage, shelf
from shop.catalogue.models import Edition
from shop.catalogue.offers import Availability, Offer, Refusal
from shop.database import transact
from shop.errors import GatewayError, GatewayRefused, NotOrderable, OutOfStock, TooMany, WrongState
from shop.extensions import db, gateway, now, settings
from shop.markets import COUNTRIES, REGIONS, Market, by_name, market
from shop.money import Money
from shop.orders import caps, placing
from shop.orders.models import Order
from shop.orders.timeline import BUYER
from shop.payments import checkouts
from shop.storefront import addresses, claims, framing, order_form
from shop.storefront.caching import from_the_shelf
from shop.storefront.claims import sales_closed
from shop.storefront.filters import locale, served_country
from shop.storefront.order_form import Problem, Typed
from shop.storefront.pages import dispatch_words

log = logging.getLogger(__name__)

Answer = Response | str | tuple[str, int]
FORM = "storefront/order.html"
OPTION = Markup('<option value="{}">{}</option>')


class TotalChanged(Exception):
    """The books cost something else now than the buyer was shown."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(str(offer.total))
        self.offer = offer


@dataclass(slots=True)
class View:
    """What the form says beside what was typed."""

    typed: Typed
    offer: Offer | None = None
    problems: list[Problem] = field(default_factory=list)
    old_total: Money | None = None
    asks_consent: bool = False
    """The order came in and was not placed, since the total is not what was shown."""
    sorry: bool = False
    too_many: bool = False
    closed: bool = False
    elsewhere: bool = False
    """The shop does not post there; others may."""


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/order", "order", show_form, methods=["GET"])
    blueprint.add_url_rule("/order", "place", take_order, methods=["POST"])


def show_form() -> Answer:
    """The order form for what its address says."""
    session = db.session()
    from_the_shelf(session)
    editions = offers.editions(session)
    if order_form.bracketed(request.args, editions):
        abort(400)
    typed = order_form.read(editions, request.args, g.market, posted=False, usual=usual_edition(session, editions))
    view = View(typed, closed=sales_closed(session) or not editions)
    view.problems = typed.problems() if editions else []
    if editions and not view.problems:
        there = market_of(session, g.market, view)
        if there and there is not g.market:
            return redirect(
                url_for("storefront.order", market=there, **typed.address(), **old_total(session, view))
            )
        if not view.problems:
            weigh(session, view)
    if typed.shown and typed.shown.currency is not g.market.currency:
        view.old_total = typed.shown
    return render(session, editions, view, 400 if view.problems else 200)


def usual_edition(session: Session, editions: Sequence[Edition]) -> str:
    """What a reader who has named no edition is offered: one that has a price here and can be ordered, if there is
    one, and his own language's rather than another's."""
    kept_back = claims.withheld(session)

    def rank(edition: Edition) -> tuple[bool, bool, bool]:
        priced = edition.price_in(g.market.currency) is not None
        orderable = claims.availability(session, edition, kept_back).orderable
        return not priced, not orderable, edition.language != g.market.language

    return min(editions, key=rank).slug if editions else ""


def take_order() -> Answer:
    """Place the order and lead to Stripe's page; whatever keeps it from being placed comes back as the form."""
    session, at = db.session(), now()
    editions = offers.editions(session)
    typed = order_form.read(editions, request.form, g.market, posted=True)
    view = View(typed, closed=sales_closed(session) or not editions)
    view.problems = typed.problems()
    if view.problems and not view.closed:
        return render(session, editions, view, 400)
    there = market_of(session, g.market, view)
    if there is None:
        return render(session, editions, view, 400)
    if there is not g.market:
        view.old_total, view.asks_consent = typed.shown, True
        addresses.enter(there)
        view.typed = order_form.read(editions, request.form, there, posted=True)
        weigh(session, view)
        return render(session, editions, view, 400 if view.problems else 409)
    weigh(session, view)
    if view.closed or view.offer is None:
        return render(session, editions, view, 503 if view.closed else 400)
    if typed.shown is None:
        view.asks_consent = True
        return render(session, editions, view, 409)
    shown, wish, here = typed.shown, typed.wish(), g.market
    visitor = throttle.mark(request.remote_addr, settings().secret_key)

    def work(s: Session) -> tuple[int, str]:
        known = placing.find(s, here, wish)
        if known is None:
            offer = offers.offer(s, wish.quantities, wish.country)
            if offer.total != shown:
                raise TotalChanged(offer)
            caps.check(s, offer, visitor, at)
            known = placing.place(s, here, wish, offer, at, visitor)
            if not checkouts.prepared(s, known):
                checkouts.prepare(s, gateway(), known, settings().shop_url, at)
        return known.id, known.token

    try:
        for earlier in [each.id for each in placing.superseded(session, here, wish)]:
            give_way(session, earlier, at)
        order_id, token = transact(session, work)
    except TotalChanged as changed:
        view.offer, view.old_total, view.asks_consent = changed.offer, shown, True
        return render(session, editions, view, 409)
    except OutOfStock as missing:
        view.sorry = True
        view.problems.append(sorry_words(session, missing))
        return render(session, editions, view, 409)
    except TooMany as error:
        view.too_many = True
        page, status = render(session, editions, view, 429)
        response = make_response(page, status)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    return lead_to_payment(session, order_id, token)


def give_way(session: Session, order_id: int, at: datetime) -> None:
    """End the unpaid order that the buyer has just changed; when Stripe is away it lapses by itself later."""
    try:
        checkouts.cancel(session, gateway(), order_id, BUYER, at)
    except GatewayError as error:
        log.warning("order %s could not be given up: %s", order_id, error)
        session.rollback()


def lead_to_payment(session: Session, order_id: int, token: str) -> Answer:
    """303 to Stripe's page, or a page saying that it could not be opened and where the order is kept."""
    try:
        url = checkouts.pay_page(session, gateway(), order_id, settings().shop_url, now())
    except WrongState:  # paid already, or over: the order page says which
        return redirect(url_for("storefront.order_page", token=token), 303)
    except GatewayError as error:
        session.rollback()
        refused = isinstance(error, GatewayRefused)
        order = session.get_one(Order, order_id, populate_existing=True)
        g.no_twin = True
        page = render_template("storefront/payment_away.html", order=order, kept=not refused)
        return page, 502 if refused else 503
    return redirect(url, 303)


def market_of(session: Session, here: Market, view: View) -> Market | None:
    """The market that serves the chosen country in this language; ``None``, with a problem, for none."""
    country = view.typed.form.country.data or ""
    try:
        zone = offers.deliverable(session, country)
    except NotOrderable as error:
        refuse(session, view, error, country)
        return None
    if zone.region == here.region.code:
        return here
    return market(here.language, zone.region)


def weigh(session: Session, view: View) -> None:
    """Put the offer into the view, or the reason why there is none."""
    country = view.typed.form.country.data or ""
    try:
        found = offers.offer(session, view.typed.form.quantities(), country)
    except NotOrderable as error:
        refuse(session, view, error, country)
    else:
        view.offer = found if claims.settled(found, claims.withheld(session)) else None


def refuse(session: Session, view: View, error: NotOrderable, country: str) -> None:
    view.problems.append(refusal_words(session, error, country))
    view.elsewhere = error.reason in (Refusal.REFUSED_COUNTRY, Refusal.ZONE_OFF, Refusal.NOT_SENT_THERE)


def old_total(session: Session, view: View) -> dict[str, Any]:
    """What the buyer saw in this market, for the address of the other one."""
    shown = view.typed.shown
    if shown is None or shown.currency is not g.market.currency:
        try:
            shown = offers.offer(session, view.typed.form.quantities(), g.market.region.home).total
        except NotOrderable:
            return {}
    return {"shown_total": str(shown.amount), "shown_currency": shown.currency.value}


def refusal_words(session: Session, error: NotOrderable, country: str) -> Problem:
    """Why this cannot be ordered, beside the field it hangs on."""
    first = next((each.slug for each in offers.editions(session)), "country")
    place = served_country(country)
    words = {
        Refusal.NO_COPIES: (first, gettext("Please choose at least one copy.")),
        Refusal.TOO_MANY: (
            error.edition or first,
            ngettext(
                "One order may hold %(num)d copy of this edition at most.",
                "One order may hold %(num)d copies of this edition at most.",
                error.limit or 0,
            ),
        ),
        Refusal.UNKNOWN_COUNTRY: ("country", gettext("Please choose a country from the list.")),
        Refusal.REFUSED_COUNTRY: (
            "country",
            gettext("Sorry, we cannot post there: %(country)s. Please choose another country.", country=place),
        ),
        Refusal.ZONE_OFF: (
            "country",
            gettext(
                "We do not post to this country yet: %(country)s. Bookshops do: the publisher and the booksellers "
                "named on the page about delivery.",
                country=place,
            ),
        ),
        Refusal.NOT_SENT_THERE: (
            error.edition or first,
            gettext(
                "Sorry, we cannot post this edition to the country chosen: %(country)s. Please leave it out or choose "
                "another country.",
                country=place,
            ),
        ),
        Refusal.NOT_AVAILABLE: (error.edition or first, gettext("This edition cannot be ordered at present.")),
        Refusal.TOO_HEAVY: (first, gettext("That is too heavy for one parcel. Please order fewer copies.")),
    }
    return Problem(*words[Refusal(error.reason)])


def sorry_words(session: Session, missing: OutOfStock) -> Problem:
    edition = session.get_one(Edition, missing.edition_id)
    text = edition.text_in(g.market.language)
    return Problem(
        edition.slug,
        ngettext(
            "Sorry, there is no longer %(num)d copy of this edition left: %(edition)s.",
            "Sorry, there are no longer %(num)d copies of this edition left: %(edition)s.",
            missing.quantity,
            edition=text.name if text else edition.title,
        ),
    )


def country_options(session: Session, chosen: str) -> Markup:
    """Every country served as options, the regions' home countries first, then by name.

    One that was named in the address and is not served stays in the list, so that nothing typed is lost.
    """
    stray = chosen if chosen in COUNTRIES and not served(session, chosen) else ""
    known, key = shelf.of(session), (country_options, locale(), g.market.region.code)
    options = known.made.get(key) if known and not stray else None
    if options is None:
        choices = country_choices(session, stray)
        options = Markup("").join(OPTION.format(code, name) for code, name in choices)
        if known and not stray:
            known.made[key] = options
    mark = f'value="{chosen}"'
    # The code is one of the list, so it is safe, and stands there once.
    return Markup(str(options).replace(mark, f"{mark} selected")) if chosen in COUNTRIES else options  # noqa: S704


def served(session: Session, country: str) -> bool:
    zone = postage.zone_of(session, country)
    return zone is not None and zone.enabled and not postage.is_refused(session, country)


def country_choices(session: Session, stray: str) -> list[tuple[str, str]]:
    """(code, name) of every country served, and of one that is not."""
    codes = {each.country for zone in postage.zones(session) if zone.enabled for each in zone.countries}
    codes -= postage.refused(session)
    if stray:
        codes.add(stray)
    here = g.market.region
    homes = [here.home, *(region.home for region in REGIONS.values() if region is not here)]
    first = [(code, served_country(code)) for code in homes if code in codes]
    return first + by_name(codes.difference(homes), locale())


def render(session: Session, editions: list[Edition], view: View, status: int) -> tuple[str, int]:
    """The form with everything that was typed; the total it shows is the one its button agrees to."""
    typed = view.typed
    g.typed = typed.address()
    kept_back = claims.withheld(session)
    available = {each.slug: claims.availability(session, each, kept_back) for each in editions}
    wanted = [slug for slug, number in typed.form.quantities().items() if number]
    lacking = [slug for slug in wanted if not available[slug].orderable]
    # A closed shop says so once; nothing is wrong with what was chosen.
    bad = {slug: gettext("This edition cannot be ordered at present.") for slug in lacking if not view.closed}
    bad |= {problem.field: problem.message for problem in reversed(view.problems)}
    shown = {
        "view": view,
        "form": typed.form,
        "editions": editions,
        "available": available,
        "Availability": Availability,
        "countries": country_options(session, typed.form.country.data or ""),
        "dispatch_words": dispatch_words,
        "kept_back": kept_back,
        "may_order": view.offer is not None and not lacking and not view.closed,
        "bad": bad,
    }
    known = shelf.of(session)
    if known and status == 200 and not bad:
        return framing.fill(known, FORM, shown), status
    return render_template(FORM, **shown), status
