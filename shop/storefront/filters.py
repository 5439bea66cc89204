"""How values are written in templates: filters and what every page may ask for."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path

from babel import Locale
from babel.dates import format_skeleton
from babel.lists import format_list
from babel.numbers import get_currency_name, get_currency_symbol
from flask import Flask, current_app, g
from flask_babel import get_locale, gettext, ngettext
from flask_babel import lazy_gettext as _l
from markupsafe import Markup, escape
from stdnum import isbn as isbn_numbers

from shop import markets
from shop.bibliography.romanisation import ala_lc
from shop.catalogue import postage, shelf
from shop.catalogue.models import Edition, PostageZone, Role
from shop.content.rendering import inline, to_html
from shop.content.typography import set_html, set_phrase, set_text
from shop.extensions import babel, db, settings
from shop.markets import LANGUAGES, MARKETS
from shop.money import Currency, Money
from shop.storefront.assets import asset
from shop.storefront.fragments import Once
from shop.trader import SHOP, Trader

PRICE = Markup('<data class="price" value="{}">{}</data>')
PLACES = {"London": _l("London"), "Москва": _l("Moscow")}


def init_app(app: Flask) -> None:
    quick_translations(app)
    app.jinja_env.add_extension(Once)
    app.jinja_env.filters.update(
        money=money,
        price=price,
        day=day,
        moment=moment,
        clock_time=clock_time,
        country=country,
        number=number,
        isbn=isbn,
        published=published,
        capital=capital,
        currency_name=currency_name,
        currency_symbol=currency_symbol,
        markdown=markdown,
        language_name=language_name,
        sections=sections,
        typeset=typeset,
        phrase=phrase,
        line=line,
        legible=legible,
        place_name=place_name,
        unbroken=unbroken,
        address=address,
    )
    app.jinja_env.globals.update(
        cover=cover,
        share_picture=share_picture,
        seller=seller,
        names_of=names_of,
        on_the_way=on_the_way,
        served_country=served_country,
        MARKETS=MARKETS,
        LANGUAGES=LANGUAGES,
    )


def quick_translations(app: Flask) -> None:
    """Templates look up a hundred texts a page: they ask the translations themselves."""
    words = babel.domain_instance.get_translations
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: words().gettext(text),
        lambda one, many, n: words().ngettext(one, many, n),
        newstyle=True,
        pgettext=lambda context, text: words().pgettext(context, text),
        npgettext=lambda context, one, many, n: words().npgettext(context, one, many, n),
    )


def locale() -> str:
    """The locale texts are written in now; inside ``force_locale`` the forced one."""
    return _name(get_locale())


@cache
def _name(of: Locale | None) -> str:
    return str(of or "en_GB")


def money(value: Money) -> str:
    return markets.write_money(value, locale())


def price(value: Money) -> Markup:
    """A sum as HTML that machines can read too."""
    return _price(value, locale())


@lru_cache(1024)
def _price(value: Money, locale: str) -> Markup:
    return PRICE.format(value.to_decimal(), markets.write_money(value, locale))


def day(value: date | datetime) -> str:
    return markets.write_date(value, locale())


def clock_time(value: datetime) -> str:
    return markets.write_time(value, locale())


def moment(value: datetime, form: str = "medium") -> str:
    return markets.write_moment(value, locale(), form)


def country(code: str) -> str:
    return markets.country_name(code, locale())


def number(value: int) -> str:
    return markets.write_number(value, locale())


def currency_name(currency: Currency | str) -> str:
    return _currency_name(str(currency), locale())


@cache
def _currency_name(currency: str, locale: str) -> str:
    name: str = get_currency_name(currency, locale=locale)
    return name


def capital(words: str) -> str:
    """Words that stand alone: the first letter large, the others as they are (``Доллар США``)."""
    return words[:1].upper() + words[1:]


@cache
def currency_symbol(currency: Currency) -> str:
    symbol: str = get_currency_symbol(currency.value, locale="en")
    return symbol


def isbn(digits: str) -> str:
    """An ISBN with its hyphens."""
    written: str = isbn_numbers.format(digits)
    return written


def published(value: str) -> str:
    """A date of publication, as exact as it is known: a year, a month, or a day."""
    parts = [int(part) for part in value.split("-")]
    if len(parts) == 3:
        return day(date(*parts))
    if len(parts) == 2:
        month: str = format_skeleton("yMMMM", date(parts[0], parts[1], 1), locale=locale())
        return month
    year: str = gettext("%(year)s", year=value)
    return year


def on_the_way(zone: PostageZone) -> Markup:
    """How long parcels to a zone take: ``2–4 working days``."""
    least, most = zone.min_days, zone.max_days
    if least == most:
        words: str = ngettext("%(num)d working day", "%(num)d working days", most)
    else:
        words = ngettext(
            "%(least)s–%(num)d working day", "%(least)s–%(num)d working days", most, least=number(least)
        )
    return unbroken(typeset(words))


def unbroken(text: object, *, years: bool = False) -> Markup:
    """A text, lazy or not, where no line ends within a range of numbers (of years if wanted) or within “e-mail”."""
    return Markup(markets.unbroken(str(escape(str(text))), years=years))  # noqa: S704 - escaped


def address(url: str) -> Markup:
    """A web address to be read, where a line may end after each stroke of its path."""
    scheme, between, path = url.partition("://")
    return escape(scheme + between) + Markup("/<wbr>").join(path.split("/"))


def language_name(code: str) -> str:
    """What a language is called in the reader's own."""
    name: str = Locale.parse(locale()).languages.get(code, code)
    return capital(name)


def typeset(text: str, language: str = "") -> str:
    """A line of plain text as its language is printed; the page's language unless another is named."""
    return set_text(text, language or locale()[:2])


def phrase(text: str, language: str = "") -> Markup:
    """A line of text as HTML: set, with what is in the other alphabet marked as the other language."""
    return Markup(set_phrase(text, language or locale()[:2]))  # noqa: S704 - escaped there


def line(text: str, language: str = "") -> Markup:
    """One line of Markdown, such as where an article appeared."""
    return Markup(set_html(inline(text), language or locale()[:2]))  # noqa: S704 - cleaned there


def legible(name: str) -> str:
    """A proper name in letters that the page's readers can read: Russian ones in Latin letters, as libraries do."""
    return name if g.market.language == "ru" else ala_lc(name)


def place_name(place: str) -> str:
    """Where a book came out, as the reader's language calls it."""
    return str(PLACES[place]) if place in PLACES else legible(place)


def names_of(edition: Edition, role: str) -> str:
    """Who has this role, as the names are written and listed in the reader's language: “A, B and C”."""
    names = [each.name_in(g.market.language) for each in edition.people(Role(role))]
    return typeset(format_list(names, locale=locale()))


def markdown(text: str, language: str = "") -> Markup:
    """Markdown as HTML, set as the page's language is printed unless another is named."""
    html = set_html(to_html(text), language or locale()[:2])
    return Markup(markets.unbroken(html))  # noqa: S704 - cleaned by to_html


def sections(html: Markup) -> Markup:
    """HTML with each second heading and what follows it in a section of its own."""
    lead, *parts = html.split("<h2")
    opened, closed = Markup("<section><h2"), Markup("</section>")
    # Parts of safe HTML are safe.
    return Markup(lead) + Markup("").join(opened + Markup(part) + closed for part in parts)  # noqa: S704


def seller() -> Trader | None:
    """The trader's row; ``None`` before there is one, and on pages that must not touch the database."""
    if g.get("bare"):
        return None
    known = shelf.of(db.session())
    return known.trader if known else db.session().get(Trader, SHOP)


def served_country(code: str) -> str:
    """A country's name where a parcel is chosen to go, saying what part of it is left out."""
    if code == "GB" and not postage.northern_ireland_served(db.session()):
        name: str = gettext("United Kingdom (not Northern Ireland)")
        return name
    return country(code)


def cover(name: str, slug: str) -> str | None:
    """The address of an edition's cover drawn for this shop; ``None`` when there is none."""
    folder = Path(str(current_app.static_folder))
    for candidate in (f"covers/{name}", name, f"covers/{slug}.svg"):
        if name or candidate.endswith(f"{slug}.svg"):
            path = (folder / candidate).resolve()
            if path.is_file() and path.is_relative_to(folder):
                return asset(candidate)
    return None


def share_picture() -> str:
    """The whole address of the picture that networks show beside a link."""
    return settings().shop_url + asset(f"share/share.{g.market.language}.png")
