"""ONIX for Books 3.1 with reference tags: what the book trade's systems read of an edition.

Source: ONIX for Books 3.1 Specification (EDItEUR); the numbers of code lists are named beside the codes. The schemas
look at no ISBN's check digit: ``description.verified`` does.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from shop.bibliography import codes
from shop.bibliography.description import Description, Format, Person, Title
from shop.bibliography.supply import RegionalPrice, Supply
from shop.catalogue.models import Binding, Role, Status
from shop.catalogue.offers import Availability
from shop.content.rendering import to_html
from shop.money import Currency

NAMESPACE = "http://ns.editeur.org/onix/3.1/reference"
FORMS = {Binding.PAPERBACK: "BC", Binding.HARDBACK: "BB", Binding.UNKNOWN: "BA"}  # list 150
ROLES = {Role.AUTHOR: "A01", Role.TRANSLATOR: "B06"}  # list 17
SUBJECTS = {"thema": "93", "thema_place": "94", "thema_time": "96", "bisac": "10", "lcsh": "04"}  # list 27
THEMA_VERSION = "1.5"
PUBLISHING = {Status.AVAILABLE: "04", Status.ANNOUNCED: "02", Status.OUT_OF_PRINT: "07"}  # list 64
AVAILABLE = {  # list 65
    Availability.IN_STOCK: "21",
    Availability.LAST_COPIES: "21",
    Availability.NONE: "30",
    Availability.ANNOUNCED: "10",
    Availability.OUT_OF_PRINT: "40",
}
NOT_SOLD = "40"
SHORT = 350  # characters of a short description (list 153)
DATE_FORMS = {4: "05", 7: "01", 10: "00"}  # list 55, by the length of the ISO date
TAXED = {Currency.GBP: True, Currency.USD: False}
"""Whether prices of a currency include tax. Printed books are zero-rated in the United Kingdom."""

UNLISTED = {"AC", "TA", "XK"}
"""Codes that list 91 does not have: islands of Saint Helena, and Kosovo."""

Child = Element | str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends the message and sells the books. ``prefix`` begins the records' references and never changes."""

    name: str
    prefix: str
    email: str = ""
    phone: str = ""
    website: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    edition: Description
    supply: Supply


def message(title: Title, products: Iterable[Product], sender: Sender, sent: date) -> bytes:
    """One message about some editions of the title."""
    root = _all(
        "ONIXMessage",
        _all(
            "Header",
            _all(
                "Sender",
                _one("SenderName", sender.name),
                _one("EmailAddress", sender.email),
            ),
            _one("SentDateTime", f"{sent:%Y%m%d}"),
        ),
        *(_product(title, each, sender) for each in products),
        release="3.1",
        xmlns=NAMESPACE,
    )
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _one(name: str, text: str | int | None, **attributes: str) -> Element | None:
    """An element with a text; none for what is not known."""
    if text is None or text == "":
        return None
    element = Element(name, attributes)
    element.text = str(text)
    return element


def _all(name: str, *children: Child, **attributes: str) -> Element:
    element = Element(name, attributes)
    element.extend(child for child in children if isinstance(child, Element))
    return element


def _product(title: Title, product: Product, sender: Sender) -> Element:
    edition = product.edition
    return _all(
        "Product",
        _one("RecordReference", f"{sender.prefix}.{edition.slug}"),
        _one("NotificationType", "02" if edition.status is Status.ANNOUNCED else "03"),  # list 1
        _one("RecordSourceType", "11"),  # list 3: retail bookseller
        _one("RecordSourceName", sender.name),
        *_identifiers(edition, sender),
        _descriptive(title, edition),
        _collateral(edition),
        _publishing(edition, _listed(product.supply.countries)),
        _related(title, edition, sender),
        _supplied(product, sender),
    )


def _identifiers(edition: Description, sender: Sender) -> list[Element]:
    """GTIN-13 and ISBN-13; the shop's own number where there is no ISBN (list 5)."""
    if edition.isbn:
        return [_identifier("03", edition.isbn), _identifier("15", edition.isbn)]
    own = _identifier("01", f"{sender.prefix}.{edition.slug}")
    own.insert(1, _all("IDTypeName"))
    own[1].text = sender.name
    return [own]


def _identifier(kind: str, value: str) -> Element:
    return _all("ProductIdentifier", _one("ProductIDType", kind), _one("IDValue", value))


def _descriptive(title: Title, edition: Description) -> Element:
    original = title.original_of(edition)
    language = codes.language(edition.language)
    measures = (
        ("01", edition.height_mm, "mm"),
        ("02", edition.width_mm, "mm"),
        ("08", edition.weight_grams, "gr"),
    )
    return _all(
        "DescriptiveDetail",
        _one("ProductComposition", "00"),  # list 2: one item
        _one("ProductForm", FORMS[edition.binding]),
        _one("PrimaryContentType", "10"),  # list 81: text to read
        *(
            _all(
                "Measure",
                _one("MeasureType", kind),  # list 48
                _one("Measurement", number),
                _one("MeasureUnitCode", unit),  # list 50
            )
            for kind, number, unit in measures
            if number
        ),
        _all(
            "ProductClassification",
            _one("ProductClassificationType", "01"),  # list 9: Harmonized System
            _one("ProductClassificationCode", "490199"),
        ),
        _collection(edition, language),
        _title("01", edition),
        _title("03", original) if original else None,  # list 15: title in the original language
        *(_contributor(n, each, edition, original) for n, each in enumerate(edition.people, start=1)),
        _language("01", edition.language),
        _language("02", original.language) if original else None,  # list 22: original language of a translation
        _all(
            "Extent",
            _one("ExtentType", "06"),  # list 23: pages in all
            _one("ExtentValue", edition.pages),
            _one("ExtentUnit", "03"),  # list 24: pages
        )
        if edition.pages
        else None,
        _all(
            "AncillaryContent",
            _one("AncillaryContentType", "01"),  # list 25: illustrations, black and white
            _one("Number", edition.illustrations),
        )
        if edition.illustrations
        else None,
        *_subjects(edition),
    )


def _collection(edition: Description, language: str) -> Element | None:
    if not edition.series:
        return None
    return _all(
        "Collection",
        _one("CollectionType", "10"),  # list 148: the publisher's
        _all(
            "TitleDetail",
            _one("TitleType", "01"),
            _all(
                "TitleElement",
                _one("SequenceNumber", 1),
                _one("TitleElementLevel", "02"),  # list 149: collection
                _one("PartNumber", edition.series_volume),
                _one("TitleText", edition.series, language=language),
            ),
        ),
    )


def _title(kind: str, edition: Description) -> Element:
    language = codes.language(edition.language)
    article = codes.article(edition.title, edition.language)
    return _all(
        "TitleDetail",
        _one("TitleType", kind),
        _all(
            "TitleElement",
            _one("TitleElementLevel", "01"),  # list 149: product
            _one("TitlePrefix", article.strip(), language=language) if article else _all("NoPrefix"),
            _one("TitleWithoutPrefix", edition.title[len(article) :], language=language),
            _one("Subtitle", edition.subtitle, language=language),
        ),
    )


def _contributor(number: int, person: Person, edition: Description, original: Description | None) -> Element:
    between = person.role is Role.TRANSLATOR and original
    return _all(
        "Contributor",
        _one("SequenceNumber", number),
        _one("ContributorRole", ROLES[person.role]),
        _one("FromLanguage", codes.language(original.language)) if between and original else None,
        _one("ToLanguage", codes.language(edition.language)) if between else None,
        _one("PersonName", person.name),
        _one("PersonNameInverted", person.sort_name),
        _one("NamesBeforeKey", person.given),
        _one("KeyNames", person.family),
        *(
            _all(
                "AlternativeName", _one("NameType", "05"), _one("PersonName", name, language=codes.language(code))
            )
            for code, name in sorted(person.names.items())  # list 18: transliterated form
            if name != person.name
        ),
    )


def _language(role: str, code: str) -> Element:
    return _all("Language", _one("LanguageRole", role), _one("LanguageCode", codes.language(code)))


def _subjects(edition: Description) -> Iterator[Element]:
    known = [(SUBJECTS[scheme], written) for scheme, written in edition.subjects if scheme in SUBJECTS]
    for scheme, written in known:
        heading = " -- ".join(words for _, words in codes.headings(written)) if scheme == "04" else None
        yield _all(
            "Subject",
            _all("MainSubject") if scheme == "93" and (scheme, written) == known[0] else None,
            _one("SubjectSchemeIdentifier", scheme),
            _one("SubjectSchemeVersion", THEMA_VERSION if scheme in ("93", "94", "96") else None),
            _one("SubjectCode", None if heading else written),
            _one("SubjectHeadingText", heading),
        )


def _collateral(edition: Description) -> Element | None:
    said = [(language, words) for language, words in sorted(edition.words.items())]
    short = [(language, _plain(words.summary)) for language, words in said]
    kinds = (
        ("02", [(language, text) for language, text in short if len(text) <= SHORT]),
        ("03", [(language, _plain(words.description)) for language, words in said]),
        ("04", [(edition.language, "\n".join(edition.contents))]),
    )
    # One of each kind, that recipients who keep one of a kind lose no language.
    texts = [_content(kind, written) for kind, each in kinds if (written := [told for told in each if told[1]])]
    return _all("CollateralDetail", *texts) if texts else None


def _content(kind: str, texts: Iterable[tuple[str, str]]) -> Element:
    """A text of a kind (list 153) in each language."""
    return _all(
        "TextContent",
        _one("TextType", kind),
        _one("ContentAudience", "00"),  # list 154: nobody in particular
        *(_one("Text", text, language=codes.language(language)) for language, text in texts),
    )


def _plain(markdown: str) -> str:
    """A text of the shop without any markup; a blank line between paragraphs."""
    return html.unescape(re.sub(r"<[^>]*>", "", to_html(markdown).replace("</p>", "</p>\n"))).strip()


def _publishing(edition: Description, countries: list[str]) -> Element | None:
    """Who published it, where and when; without a name there is no such block (3.1, P.19)."""
    if not edition.publisher:
        return None
    place = codes.PLACES.get(edition.place)
    published = edition.published or (edition.announced_for.isoformat() if edition.announced_for else "")
    return _all(
        "PublishingDetail",
        _all("Imprint", _one("ImprintName", edition.publisher)),
        _all("Publisher", _one("PublishingRole", "01"), _one("PublisherName", edition.publisher)),  # list 45
        _one("CityOfPublication", edition.place, language=codes.language(edition.language)),
        _one("CountryOfPublication", place.country if place else None),
        _one("PublishingStatus", PUBLISHING[edition.status]),
        _all(
            "PublishingDate",
            _one("PublishingDateRole", "01"),  # list 163: publication date
            _one("Date", published.replace("-", ""), dateformat=DATE_FORMS[len(published)]),
        )
        if published
        else None,
        # List 46: a shop that is no publisher sells without exclusive rights where it sells; elsewhere it knows none.
        _all("SalesRights", _one("SalesRightsType", "02"), _territory(countries)) if countries else None,
        _one("ROWSalesRightsType", "00" if countries else None),
    )


def _related(title: Title, edition: Description, sender: Sender) -> Element | None:
    original = title.original_of(edition)
    others = [*([original] if original else []), *title.translations_of(edition)]
    related = [("11", _identifiers(each, sender)[-1]) for each in others]  # list 51: other language
    related += [("06", _identifiers(each, sender)[-1]) for each in title.siblings_of(edition)]  # other format
    related += [("06", _identifier("15", each.isbn)) for each in _numbered(edition.formats)]
    products = [_all("RelatedProduct", _one("ProductRelationCode", code), named) for code, named in related]
    return _all("RelatedMaterial", *products) if products else None


def _numbered(formats: Iterable[Format]) -> list[Format]:
    return [each for each in formats if each.isbn]


def _supplied(product: Product, sender: Sender) -> Element:
    supply, announced = product.supply, product.edition.announced_for
    countries = _listed(supply.countries)
    prices = [_price(each) for each in supply.prices if _listed(each.countries)]
    told = AVAILABLE[supply.availability] if supply.selling else NOT_SOLD
    return _all(
        "ProductSupply",
        _all("Market", _territory(countries)) if countries else None,
        _all(
            "SupplyDetail",
            _all(
                "Supplier",
                _one("SupplierRole", "08"),  # list 93: retailer
                _one("SupplierName", sender.name),
                _one("TelephoneNumber", sender.phone),
                _one("EmailAddress", sender.email),
                _all("Website", _one("WebsiteRole", "33"), _one("WebsiteLink", sender.website))  # list 73
                if sender.website
                else None,
            ),
            _one("ProductAvailability", told),
            _all(
                "SupplyDate",
                _one("SupplyDateRole", "08"),  # list 166: expected
                _one("Date", f"{announced:%Y%m%d}", dateformat="00"),
            )
            if announced and supply.availability is Availability.ANNOUNCED
            else None,
            *prices,
            None if prices else _one("UnpricedItemType", "02"),  # list 57: price to be announced
        ),
    )


def _price(regional: RegionalPrice) -> Element:
    amount, currency = str(regional.price.to_decimal()), regional.price.currency
    taxed = TAXED.get(currency, False)
    return _all(
        "Price",
        _one("PriceType", "02" if taxed else "01"),  # list 58: with tax, without
        _one("PriceAmount", amount),
        _all(
            "Tax",
            _one("TaxType", "01"),  # list 171: VAT
            _one("TaxRateCode", "Z"),  # list 62: zero-rated
            _one("TaxRatePercent", "0"),
            _one("TaxableAmount", amount),
            _one("TaxAmount", "0.00"),
        )
        if taxed
        else None,
        _one("CurrencyCode", currency.value),
        _territory(_listed(regional.countries)),
    )


def _listed(countries: Iterable[str]) -> list[str]:
    return [code for code in countries if code not in UNLISTED]


def _territory(countries: Iterable[str]) -> Element:
    return _all("Territory", _one("CountriesIncluded", " ".join(countries)))
