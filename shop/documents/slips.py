"""Packing slips: for whoever packs and for whoever unpacks, with headings in the language of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from babel.support import NullTranslations, Translations
from stdnum import isbn

from shop.barcodes import ean13, is_ean13
from shop.documents.consignments import Consignment, Item, Sender
from shop.documents.typesetting import pdf
from shop.markets import country_name
from shop.orders.models import ParcelKind
from shop.settings import ROOT

Names = Callable[[str, str], str]
"""(edition's slug, language) → what it is called."""


@cache
def words(locale: str) -> NullTranslations:
    return Translations.load(ROOT / "translations", [locale])


def packing_slips(parcels: Sequence[Consignment], packer: str, sender: Sender, names: Names) -> bytes:
    """One page or more a parcel, in order, as PDF. ``packer`` is the locale of whoever packs."""
    pages = [_slip(parcel, packer, names) for parcel in parcels]
    title = _headings(packer)["slip"] + ": " + ", ".join(parcel.number for parcel in parcels[:3])
    return pdf(
        "slip",
        {
            "title": title + (" …" if len(parcels) > 3 else ""),
            "lang": _language(packer),
            "sender": [sender.name, *sender.address_lines],
            "pages": pages,
        },
    )


def _slip(parcel: Consignment, packer: str, names: Names) -> dict[str, Any]:
    locales = [parcel.locale] if _language(parcel.locale) == _language(packer) else [parcel.locale, packer]
    headings = [_headings(locale) for locale in locales]
    return {
        "lang": _language(parcel.locale),
        "number": parcel.number,
        "headings": {name: _both(each[name] for each in headings) for name in headings[0]},
        "remarks": [_both(each) for each in zip(*(_remarks(parcel, locale) for locale in locales), strict=True)],
        "address": [*parcel.address_lines, country_name(parcel.country, parcel.locale)],
        "purchase_order": parcel.purchase_order,
        "note": parcel.note.splitlines(),
        "items": [_item(item, locales, names) for item in parcel.items],
        "copies": sum(item.quantity for item in parcel.items),
    }


def _item(item: Item, locales: list[str], names: Names) -> dict[str, Any]:
    right = item.isbn is not None and is_ean13(item.isbn)
    return {
        "quantity": str(item.quantity),
        "title": item.title,
        "lang": item.language,
        "name": _both(names(item.slug, _language(locale)) for locale in locales),
        "isbn": isbn.format(item.isbn) if item.isbn and right else item.isbn or "",
        "bars": ean13(item.isbn) if item.isbn and right else "",
        "wrong": item.isbn is not None and not right,
    }


def _headings(locale: str) -> dict[str, str]:
    gettext = words(locale).gettext
    return {
        "slip": gettext("Packing slip"),
        "order": gettext("Order"),
        "to": gettext("To"),
        "from": gettext("From"),
        "purchase_order": gettext("Purchase order"),
        "note": gettext("Note and dedication"),
        "copies": gettext("Copies"),
        "book": gettext("Book"),
        "wrong": gettext("The check digit of this ISBN is wrong."),
    }


def _remarks(parcel: Consignment, locale: str) -> list[str]:
    """Sentences about the parcel as a whole."""
    gettext = words(locale).gettext
    said = []
    if parcel.kind is ParcelKind.REPLACEMENT:
        said.append(gettext("In place of copies that were lost or damaged; free of charge."))
    elif parcel.kind is ParcelKind.RESENT:
        said.append(gettext("Posted again, because the parcel had come back; free of charge."))
    if parcel.rest_follows:
        said.append(gettext("The other copies of the order were posted before."))
    return said


def _both(texts: Iterable[str]) -> list[str]:
    """The buyer's words, and the packer's where they differ."""
    return list(dict.fromkeys(texts))


def _language(locale: str) -> str:
    return locale.partition("_")[0]
