"""The few words of ours on the provider's page, in the language of the order or the invoice."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from babel.support import NullTranslations, Translations

from shop.libraries.models import LibraryOrder
from shop.libraries.paper_models import Paper
from shop.markets import MARKETS, country_name
from shop.orders.models import Order
from shop.settings import ROOT


class PageWords(NamedTuple):
    """``postage`` stands behind the page's own word for it."""

    postage: str
    description: str


@cache
def _translations(locale: str) -> NullTranslations:
    return Translations.load(str(ROOT / "translations"), [locale])


def page_words(order: Order) -> PageWords:
    """What the postage and the payment are called on the payment page."""
    _ = _translations(order.market.locale).gettext
    return PageWords(
        postage=country_name(order.country, order.market.locale),
        description=_("Order %(number)s") % {"number": order.number},
    )


class InvoiceWords(NamedTuple):
    """``purchase_order`` is empty when the library gave none."""

    title: str
    purchase_order: str


def invoice_words(paper: Paper, order: LibraryOrder) -> InvoiceWords:
    """What an invoice is called on its payment page, and the number that the library knows it by."""
    _ = _translations(MARKETS[order.market].locale).gettext
    theirs = order.purchase_order
    return InvoiceWords(
        title=_("Invoice %(number)s") % {"number": paper.number},
        purchase_order=_("Purchase order: %(number)s") % {"number": theirs} if theirs else "",
    )
