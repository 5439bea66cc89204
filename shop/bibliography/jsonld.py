"""What search engines read of a page: a graph in schema.org's words, as JSON-LD.

Sources: schema.org (Book, Product, Offer); Google Search Central, “Merchant listing structured data” and “Book”. A
page has one currency; an offer stands where the page shows a price, though there be no copies just now; who sells is
not who published.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shop.bibliography.description import Description, Person, Title
from shop.catalogue.models import Binding, Role
from shop.catalogue.offers import Availability, Offer

Node = dict[str, Any]
SCHEMA = "https://schema.org"
FORMATS = {
    Binding.PAPERBACK.value: "Paperback",
    Binding.HARDBACK.value: "Hardcover",
    "ebook": "EBook",
    "audiobook": "AudiobookFormat",
}
AVAILABLE = {
    Availability.IN_STOCK: "InStock",
    Availability.LAST_COPIES: "LimitedAvailability",
    Availability.NONE: "OutOfStock",
}
WITHDRAWAL_DAYS = 14
TO_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class Shop:
    """Who sells; ``root`` is the shop's whole address without a slash at the end."""

    root: str
    name: str
    seller: str
    address: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An edition as a page shows it. ``offer`` is one copy delivered in the region, where the shop sells it.

    ``dispatch_days`` is working days, ``None`` with the days on the way where nobody has confirmed these.
    """

    edition: Description
    address: str
    summary: str
    picture: str
    returns: str
    availability: Availability
    offer: Offer | None
    dispatch_days: int | None


def script(nodes: Iterable[Node]) -> str:
    """The graph as text that is safe inside ``<script type="application/ld+json">``."""
    text = json.dumps({"@context": SCHEMA, "@graph": list(nodes)}, ensure_ascii=False, separators=(",", ":"))
    for sign, escaped in TO_JSON.items():
        text = text.replace(sign, escaped)
    return text


def home(title: Title, shown: Iterable[Shown], shop: Shop, language: str) -> list[Node]:
    """The front page: the shop, the book, and every edition of it."""
    site = {
        "@type": "WebSite",
        "@id": f"{shop.root}/#site",
        "url": f"{shop.root}/",
        "name": shop.name,
        "inLanguage": language,
        "publisher": {"@id": _seller(shop)},
    }
    return [site, organization(shop), work(title, shop), *(book(title, each, shop) for each in shown)]


def page(title: Title, shown: Shown, shop: Shop, trail: Iterable[tuple[str, str]]) -> list[Node]:
    """An edition's page; ``trail`` is (name, whole address) from the front page down to this one."""
    others = [each for each in title.editions if each.slug != shown.edition.slug]
    return [
        organization(shop),
        work(title, shop),
        book(title, shown, shop),
        *(_filled(_facts(title, each, shop)) for each in others),
        breadcrumbs(trail),
    ]


def _seller(shop: Shop) -> str:
    return f"{shop.root}/#seller"


def _id(shop: Shop, edition: Description) -> str:
    """An edition's name in the graph, the same in all markets."""
    return f"{shop.root}/#{edition.slug}"


def _filled(node: Node) -> Node:
    return {name: value for name, value in node.items() if value not in (None, "", [], {})}


def organization(shop: Shop) -> Node:
    return _filled(
        {
            "@type": ["Organization", "OnlineStore"],
            "@id": _seller(shop),
            "name": shop.seller or shop.name,
            "url": f"{shop.root}/",
            "address": shop.address,
            "email": shop.email,
            "telephone": shop.phone,
        }
    )


def breadcrumbs(trail: Iterable[tuple[str, str]]) -> Node:
    steps = [
        {"@type": "ListItem", "position": place, "name": name, "item": address}
        for place, (name, address) in enumerate(trail, start=1)
    ]
    return {"@type": "BreadcrumbList", "itemListElement": steps}


def work(title: Title, shop: Shop) -> Node:
    """The book itself, whatever its edition; its name and author are the original's."""
    first = next((each for each in title.editions if not each.translated), None) or title.editions[0]
    return _filled(
        {
            "@type": "Book",
            "@id": f"{shop.root}/#work",
            "name": first.heading,
            "author": _people(first, Role.AUTHOR),
            "inLanguage": first.language,
            "workExample": [{"@id": _id(shop, each)} for each in title.editions],
        }
    )


def _facts(title: Title, edition: Description, shop: Shop) -> Node:
    original = title.original_of(edition)
    translations = [{"@id": _id(shop, each)} for each in title.translations_of(edition)]
    size = (("height", edition.height_mm), ("width", edition.width_mm))
    return {
        "@type": "Book",
        "@id": _id(shop, edition),
        "name": edition.heading,
        "author": _people(edition, Role.AUTHOR),
        "translator": _people(edition, Role.TRANSLATOR),
        "exampleOfWork": {"@id": f"{shop.root}/#work"},
        "translationOfWork": {"@id": _id(shop, original)} if original else None,
        "workTranslation": translations,
        "inLanguage": edition.language,
        "isbn": edition.isbn,
        "numberOfPages": edition.pages,
        "bookFormat": f"{SCHEMA}/{FORMATS[edition.binding]}" if edition.binding in FORMATS else None,
        "datePublished": edition.published,
        "publisher": {"@type": "Organization", "name": edition.publisher} if edition.publisher else None,
        "isPartOf": _filled({"@type": "BookSeries", "name": edition.series}) if edition.series else None,
        "position": edition.series_volume if edition.series else None,
        **{name: _measure(value, "MMT") for name, value in size if value},
        "weight": _measure(edition.weight_grams, "GRM") if edition.weight_grams else None,
    }


def _measure(value: int, unit: str) -> Node:
    """Units are UN/CEFACT's codes."""
    return {"@type": "QuantitativeValue", "value": value, "unitCode": unit}


def _people(edition: Description, role: Role) -> list[Node]:
    return [_person(each) for each in edition.of(role)]


def _person(person: Person) -> Node:
    others = sorted({name for name in person.names.values() if name != person.name})
    return _filled({"@type": "Person", "name": person.name, "alternateName": others})


def book(title: Title, shown: Shown, shop: Shop) -> Node:
    """An edition with all that is known of it, and what one copy costs where one can be bought."""
    edition = shown.edition
    node = _facts(title, edition, shop) | {
        "url": shown.address,
        "description": shown.summary,
        "image": shown.picture,
    }
    if shown.offer is not None:
        node |= {
            "@type": ["Product", "Book"],
            "sku": edition.slug,
            "gtin13": edition.isbn,
            "brand": {"@type": "Brand", "name": edition.publisher} if edition.publisher else None,
            "offers": _offer(shown, shown.offer, shop),
        }
    return _filled(node)


def _offer(shown: Shown, offer: Offer, shop: Shop) -> Node:
    currency = offer.region.currency.value
    return {
        "@type": "Offer",
        "url": shown.address,
        "price": str(offer.books.to_decimal()),
        "priceCurrency": currency,
        "availability": f"{SCHEMA}/{AVAILABLE[shown.availability]}",
        "itemCondition": f"{SCHEMA}/NewCondition",
        "seller": {"@type": "Organization", "@id": _seller(shop), "name": shop.seller or shop.name},
        "shippingDetails": _filled(
            {
                "@type": "OfferShippingDetails",
                "shippingRate": {
                    "@type": "MonetaryAmount",
                    "value": str(offer.postage.to_decimal()),
                    "currency": currency,
                },
                "shippingDestination": {"@type": "DefinedRegion", "addressCountry": offer.country},
                "deliveryTime": _delivery(shown, offer),
            }
        ),
        "hasMerchantReturnPolicy": {
            "@type": "MerchantReturnPolicy",
            "applicableCountry": offer.country,
            "returnPolicyCategory": f"{SCHEMA}/MerchantReturnFiniteReturnWindow",
            "merchantReturnDays": WITHDRAWAL_DAYS,
            "returnMethod": f"{SCHEMA}/ReturnByMail",
            "returnFees": f"{SCHEMA}/ReturnFeesCustomerResponsibility",
            "merchantReturnLink": shown.returns,
        },
    }


def _delivery(shown: Shown, offer: Offer) -> Node | None:
    if shown.dispatch_days is None:
        return None
    return {
        "@type": "ShippingDeliveryTime",
        "handlingTime": _days(0, shown.dispatch_days),
        "transitTime": _days(offer.zone.min_days, offer.zone.max_days),
    }


def _days(least: int, most: int) -> Node:
    return {"@type": "QuantitativeValue", "minValue": least, "maxValue": most, "unitCode": "DAY"}
