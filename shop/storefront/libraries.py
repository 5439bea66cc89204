"""Library orders: the form, and the library's own page behind its secret address."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import LazyString, ngettext
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from shop import throttle
from shop.catalogue import offers
from shop.catalogue.models import Edition
from shop.database import transact
from shop.errors import TooMany
from shop.extensions import LONGEST_FILE, ROOM, db, now, settings
from shop.libraries import files, papers, routing
from shop.libraries.files import NotTaken
from shop.libraries.models import LibraryFile, LibraryState
from shop.markets import COUNTRIES, SHOP_ZONE, by_name
from shop.money import Currency
from shop.payments import invoice_checkouts
from shop.storefront import form_marks
from shop.storefront.errors import TOO_LARGE
from shop.storefront.filters import locale
from shop.storefront.library_form import REQUESTS, LibraryForm, attempt_of
from shop.storefront.library_papers import has_vendor_paper
from shop.storefront.order_pages import hidden
from shop.trader import of_countries

WINDOW = timedelta(minutes=10)
POSTS_AT_ONCE = 10
POST_EVERY = timedelta(minutes=1)
"""A university has one address: whoever posts much is slowed, and the next reader need not wait for long."""
POSTS_OF_A_FORM = 4
"""So often somebody mends one form within the window before it waits with the others: fewer than ``POSTS_AT_ONCE``, or
one form sent again and again would use up the queue of all who have opened one."""
ORDERS_TOGETHER = 200
"""Within the window, of all addresses: of forms that were opened here, and of others."""
FILES_TOGETHER = 200
FILE, KEPT = "purchase_order_file", "purchase_order_kept"
LETTERS_TO_ONE = 10
TRAP = "website"
"""A field that no person sees: whoever fills it in is a machine."""
NOWHERE = "received"
"""Where machines are thanked; no token is that short."""

Answer = Response | str


@dataclass(frozen=True, slots=True)
class Words:
    title: LazyString
    meaning: LazyString


STATES: dict[LibraryState, Words] = {
    LibraryState.RECEIVED: Words(_l("Received"), _l("We have your request and will answer it by e-mail.")),
    LibraryState.SENT: Words(
        _l("Passed on to the distributor"), _l("Your request goes to the distributor, who answers you by e-mail.")
    ),
    LibraryState.ANSWERED: Words(_l("Answered"), _l("Your request has been answered by e-mail.")),
    LibraryState.SUPPLIED: Words(_l("Supplied"), _l("The copies have been sent to you.")),
    LibraryState.CANNOT_SUPPLY: Words(
        _l("Cannot be supplied"), _l("We are sorry: we cannot supply these copies at present.")
    ),
    LibraryState.CLOSED: Words(_l("Closed"), _l("Nothing more will be done about this request.")),
}


REFUSED_FILES: dict[str, LazyString] = {
    "kind": _l("Please send the purchase order as PDF, PNG or JPEG."),
    "size": _l("This file is too large: at most 4 MB, please."),
    "empty": _l("This file is empty."),
    "gone": _l("The file that you sent before is not here any more. Please choose it once more."),
    "room": _l("Files cannot be taken just now. Please send the request without it, and the file by e-mail."),
}


def register(blueprint: Blueprint) -> None:
    """Put the library pages on the market's blueprint."""
    ROOM["storefront.ask_library"], LONGEST_FILE["storefront.ask_library"] = files.MOST_SENT, files.MOST_BYTES
    TOO_LARGE["storefront.ask_library"] = _l(
        "The file is far too large: a purchase order may have 4 MB. Please go back, where most browsers still have "
        "what you typed, and choose a smaller file; or send the request without it, and the file by e-mail."
    )
    blueprint.add_url_rule("/libraries", "libraries", show_form, methods=["GET"])
    blueprint.add_url_rule("/libraries", "ask_library", take_enquiry, methods=["POST"])
    blueprint.add_url_rule("/libraries/<token>", "library_page", show_enquiry, methods=["GET"])


def show_form() -> Answer:
    """The empty form; ``?edition=…`` chooses one beforehand."""
    editions = offers.editions(db.session())
    chosen = request.args.get("edition", "")
    form = make_form(editions, None)
    form.edition.data = chosen if chosen in form.editions else ""
    form.country.data, form.quantity.data = g.market.region.home, "1"
    return render(form, editions, attempt_of("", settings().secret_key, now()), 200)


def take_enquiry() -> Answer:
    """Keep what a library asks for, owe its letters, and lead to its own page."""
    session, at = db.session(), now()
    visitor, typed = throttle.prefix(request.remote_addr), request.form
    editions = offers.editions(session)
    secret = settings().secret_key
    form, attempt = make_form(editions, typed), attempt_of(typed.get("attempt", ""), secret, at)
    ours = form_marks.was_opened(attempt, secret, at)
    try:
        was_opened = transact(session, take_turn, visitor, attempt if ours else "", at)
        if typed.get(TRAP):
            return redirect(url_for("storefront.library_page", token=NOWHERE), 303)
        file, refused = take_file(session)
        if not form.validate() or refused:
            return render(form, offers.editions(session), attempt, 400, file=waiting(file), refused=refused)
        enquiry, market, confirmed_only = form.enquiry(attempt), g.market, settings().production
        key = found.key if (found := waiting(file)) else ""
        # A file that is a ticket's already came with this very form, sent twice, or is no business of this one.
        tries = [replace(enquiry, file_digest=file.digest)] if file is not None else []
        tries += [] if key else [enquiry]
        reader = hashlib.sha256(enquiry.email.casefold().encode()).hexdigest()

        def work(s: Session) -> str:
            known = next((order for each in tries if (order := routing.known(s, each))), None)
            if known is None:
                throttle.spend(s, f"library:all:{'opened' if was_opened else ''}", ORDERS_TOGETHER, WINDOW, at)
                throttle.spend(s, f"library:to:{reader}", LETTERS_TO_ONE, WINDOW, at)
                new = tries[-1]
                known = routing.place(s, new, market, at, confirmed_only=confirmed_only, file_key=key)
            return known.token

        token = transact(session, work)
    except TooMany as error:
        answer = render(form, offers.editions(session), attempt, 429, too_many=True, file=kept_file(session))
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    return redirect(url_for("storefront.library_page", token=token), 303)


def take_turn(session: Session, visitor: str, opened: str, at: datetime) -> bool:
    """Let a post through in its queue: one for forms that were opened here, another for whatever else an address sends.

    ``opened`` is the mark of such a form, which stands for so many posts and no more. Raises ``TooMany``; answers
    whether it was the queue of opened forms.
    """
    queue = f"library:{visitor}"
    if opened:
        try:
            throttle.spend(session, f"library:form:{opened}", POSTS_OF_A_FORM, WINDOW, at)
            queue = f"library:opened:{visitor}"
        except TooMany:
            pass  # it waits with the others
    throttle.pace(session, queue, POSTS_AT_ONCE, POST_EVERY, at)
    return queue != f"library:{visitor}"


def take_file(session: Session) -> tuple[LibraryFile | None, str]:
    """The purchase order that was sent now, or with this form before; and why one was not taken.

    One that came before may have become a ticket's: that of this form, where it is sent twice.
    """
    sent, at = request.files.get(FILE), now()
    if sent is None or not sent.filename:
        before = request.form.get(KEPT, "")
        known = files.kept(session, before)
        return known, "gone" if before and known is None else ""
    name, body = sent.filename, sent.read(files.MOST_BYTES + 1)
    sent.close()  # what is large lies in a file of the system's
    try:
        transact(session, lambda s: throttle.spend(s, "library:files", FILES_TOGETHER, WINDOW, at))
        key = files.store(settings().instance_path, body)
        transact(session, files.note, key, name, body, at)
    except NotTaken as error:
        return None, error.reason
    return files.unattached(session, key), ""


def waiting(file: LibraryFile | None) -> LibraryFile | None:
    """The file, unless it is a ticket's already."""
    return file if file is not None and file.library_order_id is None else None


def kept_file(session: Session) -> LibraryFile | None:
    """The file that came with an earlier try of this form."""
    return files.unattached(session, request.form.get(KEPT, ""))


def show_enquiry(token: str) -> Answer:
    """How a library's request stands, for whoever knows its address."""
    g.no_twin = token == NOWHERE
    if token == NOWHERE:
        return hidden(render_template("storefront/library_thanks.html", noindex=True))
    session = db.session()
    order = routing.by_token(session, token)
    if order is None:
        abort(404)
    written = [each for each in papers.of_order(session, order.id) if each.data]
    return hidden(
        render_template(
            "storefront/library_page.html",
            order=order,
            words=STATES[order.state],
            request_words=REQUESTS[order.request],
            edition_text=order.edition.text_in(g.market.language),
            papers=written,
            to_pay={each.id for each in written if invoice_checkouts.payable(session, each)},
            vendor=has_vendor_paper(session, order),
            supplier=order.supplier_name or order.routed_to,
            noindex=True,
        )
    )


def make_form(editions: list[Edition], typed: MultiDict[str, str] | None) -> LibraryForm:
    slugs = tuple(each.slug for each in editions)
    return LibraryForm(typed, editions=slugs, today=now().astimezone(SHOP_ZONE).date())


def render(
    form: LibraryForm,
    editions: list[Edition],
    attempt: str,
    status: int,
    *,
    too_many: bool = False,
    file: LibraryFile | None = None,
    refused: str = "",
) -> Response:
    """The form with everything that was typed, and what is wrong beside each field."""
    session, production = db.session(), settings().production
    bad = {}
    for field in form:
        if field.errors:
            bad[field.name] = str(field.errors[0])
        if field.name == "purchase_order" and refused:
            bad[FILE] = str(REFUSED_FILES[refused])
    suppliers = {
        each.slug: found.name
        for each in editions
        if (found := routing.supplier_of(session, each, confirmed_only=production))
    }
    locally = {each.slug: of_countries(session, each.id) for each in editions}
    if too_many:
        bad = {}
    page = render_template(
        "storefront/libraries.html",
        form=form,
        bad=bad,
        too_many=too_many,
        attempt=attempt,
        trap=TRAP,
        editions=editions,
        suppliers=suppliers,
        locally=locally,
        file=file,
        requests=REQUESTS,
        countries=by_name(COUNTRIES, locale()),
        currencies=list(Currency),
        consent_words=consent_words(
            {*suppliers.values(), *(each.name for found in locally.values() for each in found if each.email)}
        ),
    )
    response = hidden(page, status)
    del response.headers["X-Robots-Tag"]
    return response


def consent_words(suppliers: set[str]) -> str:
    """Who gets the data, by name."""
    names = sorted(suppliers)
    months = settings().library_months
    alone: str = ngettext(
        "I agree that the shop keeps these details for %(num)d month in order to answer this request.",
        "I agree that the shop keeps these details for %(num)d months in order to answer this request.",
        months,
    )
    passed_on: str = ngettext(
        "I agree that the shop keeps these details for %(num)d month in order to answer this request, and passes "
        "them on to the distributor who supplies the edition I have chosen, where it has one (%(names)s).",
        "I agree that the shop keeps these details for %(num)d months in order to answer this request, and passes "
        "them on to the distributor who supplies the edition I have chosen, where it has one (%(names)s).",
        months,
        names=", ".join(names),
    )
    return passed_on if names else alone
