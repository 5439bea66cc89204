"""The order desk: what the shopkeeper sees after signing in.

``desk`` is the blueprint with what every page of it shares (language, sign-in, token, errors); each other module is
one kind of page. Views translate; what they change is done by the rooms below.
"""

from __future__ import annotations

from flask import Flask
from flask_babel import gettext as _

from shop.admin import (
    account,
    addresses,
    bands,
    bulk,
    carriers,
    editions,
    entries,
    evidence,
    export,
    inbox,
    joining,
    journal,
    letters,
    libraries,
    library_desk,
    library_export,
    money,
    order_list,
    orders,
    packing,
    parcels,
    people,
    presence,
    quoted,
    refunding,
    remarks,
    reports,
    returns,
    second_factor,
    setup,
    signing,
    statements,
    stock,
    tariffs,
    texts,
    today,
    trials,
    uploading,
    withdrawals,
    words,
)
from shop.admin.desk import desk, person
from shop.admin.naming import copies_of, edition_name, language_name
from shop.admin.order_words import order_marks

PAGES = (
    account,
    bulk,
    addresses,
    carriers,
    bands,
    editions,
    entries,
    evidence,
    export,
    inbox,
    joining,
    journal,
    letters,
    libraries,
    library_desk,
    library_export,
    money,
    order_list,
    orders,
    packing,
    parcels,
    people,
    presence,
    refunding,
    remarks,
    second_factor,
    reports,
    returns,
    setup,
    signing,
    statements,
    stock,
    tariffs,
    texts,
    today,
    trials,
    uploading,
    withdrawals,
)
"""Every module that adds pages to the desk."""


def init_app(app: Flask) -> None:
    """Add the order desk under ``/admin``."""
    app.register_blueprint(desk)


@desk.context_processor
def vocabulary() -> dict[str, object]:
    """What templates call things by."""
    return {
        "words": words,
        "quoted": quoted,
        "navigation": navigation,
        "copies_of": copies_of,
        "order_marks": order_marks,
        "edition_name": edition_name,
        "language_name": language_name,
    }


def navigation() -> list[tuple[str, str]]:
    """The desk's main pages, as endpoint and name, as far as the person's role goes."""
    pages = [
        ("admin.today", _("Today")),
        ("admin.packing_table", _("Packing")),
        ("admin.order_list", _("Orders")),
        ("admin.report_page", _("Reports")),
        ("admin.stock_page", _("Stock")),
        ("admin.edition_list", _("Editions")),
        ("admin.content_page", _("Content")),
        ("admin.library_list", _("Libraries")),
        ("admin.withdrawal_list", _("Withdrawals")),
        ("admin.money_page", _("Money")),
        ("admin.letter_list", _("Letters")),
        ("admin.inbox_list", "Stripe"),
        ("admin.setup_page", _("Set-up")),
        ("admin.people_list", _("People")),
    ]
    return [(endpoint, name) for endpoint, name in pages if person().may(endpoint)]
