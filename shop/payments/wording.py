"""The few words of ours on the provider's page, in the order's language."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from babel.support import NullTranslations, Translations

from shop.markets import country_name
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
