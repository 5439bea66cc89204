"""What is in one parcel and where it goes: an order's own parcel that is still to be posted, or a free one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from babel.core import get_global

from shop.libraries.models import LibraryOrder
from shop.markets import MARKETS
from shop.orders.models import Order, ParcelKind, Shipment
from shop.trader import Trader

LATIN = "Latn"
IN_THE_FONT = ("LATIN", "CYRILLIC", "GREEK", "HEBREW", "MODIFIER", "FEMININE", "MASCULINE", "MICRO")
"""Libertinus Serif, by the first word of a letter's Unicode name."""


@dataclass(frozen=True, slots=True)
class Item:
    """Copies of one edition in a parcel. ``unit`` is the price of a copy in minor units, ``grams`` its weight."""

    slug: str
    title: str
    language: str
    isbn: str | None
    quantity: int
    unit: int
    grams: int


@dataclass(frozen=True, slots=True)
class Consignment:
    """One parcel on paper. ``address_lines`` are as the buyer typed them, without the country."""

    number: str
    kind: ParcelKind
    locale: str
    address_lines: tuple[str, ...]
    country: str
    phone: str
    purchase_order: str
    note: str
    currency: str
    items: tuple[Item, ...]
    rest_follows: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """Who posts it."""

    name: str
    address_lines: tuple[str, ...]


def of_order(order: Order) -> Consignment:
    """The parcel that an order's remaining copies go in; what was called off or posted is left out."""
    return _made(order, ParcelKind.ORDER, {line.position: line.to_post for line in order.lines})


def of_parcel(order: Order, shipment: Shipment) -> Consignment:
    """A free parcel, or one that was posted."""
    return _made(order, shipment.kind, {line.position: line.quantity for line in shipment.lines})


def _made(order: Order, kind: ParcelKind, copies: Mapping[int, int]) -> Consignment:
    buyer = order.buyer
    items = tuple(
        Item(line.slug, line.title, line.language, line.isbn, number, line.unit_amount, line.grams)
        for line in order.lines
        if (number := copies.get(line.position, 0))
    )
    return Consignment(
        number=order.number,
        kind=kind,
        locale=order.market.locale,
        address_lines=tuple(buyer.address_lines()),
        country=buyer.country or order.country,
        phone=buyer.phone,
        purchase_order=buyer.purchase_order,
        note=buyer.note,
        currency=order.currency.value,
        items=items,
        rest_follows=kind is ParcelKind.ORDER and order.is_partly_posted,
    )


def of_library(order: LibraryOrder, copies: int, unit: int, currency: str) -> Consignment:
    """Copies that go to a library; its purchase order stands on every paper."""
    edition = order.edition
    lines = [order.institution, order.department, order.contact_name, *order.delivery_address.splitlines()]
    item = Item(
        edition.slug, edition.heading, edition.language, edition.isbn, copies, unit, edition.mailing_grams or 0
    )
    return Consignment(
        number=order.ticket,
        kind=ParcelKind.ORDER,
        locale=MARKETS[order.market].locale,
        address_lines=tuple(each for each in lines if each.strip()),
        country=order.country,
        phone=order.phone,
        purchase_order=order.purchase_order,
        note="",
        currency=currency,
        items=(item,),
    )


def sender(trader: Trader) -> Sender:
    return Sender(trader.name, tuple(line.strip() for line in trader.address.splitlines() if line.strip()))


def script_of(country: str) -> str:
    """The script that post in a country is sorted by (ISO 15924), as its commonest language is written (CLDR)."""
    likely: str = get_global("likely_subtags").get(f"und_{country}", "")
    parts = likely.split("_")
    return parts[1] if len(parts) == 3 else LATIN


def is_unreadable_there(order: Order) -> bool:
    """Whether an address in a country of Latin script has letters, but no Latin ones: the postman cannot read it."""
    buyer = order.buyer
    if script_of(buyer.country or order.country) != LATIN:
        return False
    letters = [each for each in f"{buyer.line1} {buyer.line2} {buyer.city}" if each.isalpha()]
    return bool(letters) and not any(_is_latin(each) for each in letters)


def is_unprintable(order: Order) -> bool:
    """Whether something on slip or label is in a script that the papers' font does not hold."""
    typed = "".join((*order.buyer.address_lines(), order.buyer.purchase_order, order.buyer.note))
    return any(unicodedata.name(each, "").split(" ")[0] not in IN_THE_FONT for each in typed if each.isalpha())


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter <= "\u1eff"
