"""What machines read of an edition: records, citations, the bar code, and the data in its page's own head.

The addresses of the files are the same in every language and region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, url_for
from flask_babel import gettext
from markupsafe import Markup
from stdnum import isbn as isbn_numbers

from shop import barcodes
from shop.bibliography import exchange, jsonld, marc, meta, onix
from shop.bibliography.citations import Citation, Style, citation
from shop.bibliography.description import Description, Title, describe, entered
from shop.bibliography.supply import supply
from shop.catalogue import offers
from shop.extensions import db, now, settings
from shop.markets import DEFAULT, GENERIC, MARKETS, day_of
from shop.storefront import claims
from shop.storefront.caching import Answer, public
from shop.storefront.filters import cover, seller
from shop.storefront.pages import Shown

STYLES = {Style.CHICAGO: "Chicago", Style.MLA: "MLA", Style.APA: "APA"}
RECORDS = (("mrc", "MARC\u00a021"), ("marcxml", "MARCXML"), ("onix", "ONIX\u00a03.1"))
Writer = Callable[[Title, Description], bytes | str]


def init_app(app: Flask) -> None:
    for extension in FORMS:
        app.add_url_rule(
            f"/books/<slug>.{extension}", f"record_{extension}", public(file), defaults={"extension": extension}
        )
    app.add_url_rule("/books/<slug>.ean13.svg", "bar_code", public(bar_code))
    app.add_url_rule("/onix.xml", "onix_feed", public(onix_feed))
    app.jinja_env.globals.update(
        record_of=record_of, home_graph=home_graph, record_address=record_address, STYLES=STYLES, RECORDS=RECORDS
    )


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: what it is called to a browser, and who writes it."""

    content_type: str
    write: Writer


def described() -> Title:
    """The title as it may be described; what nobody has confirmed only where it is a demonstration."""
    if "described" not in g:
        g.described = describe(db.session(), claim_doubted=not settings().production)
    title: Title = g.described
    return title


def _agency() -> marc.Agency:
    return marc.Agency(host(), settings().marc_organization)


def _days(edition: Description) -> marc.Days:
    today = day_of(now())
    return marc.Days(entered(db.session(), edition.slug) or today, today)


def host() -> str:
    return urlsplit(settings().shop_url).hostname or "bookstall"


def _sender() -> onix.Sender:
    trader = seller()
    return onix.Sender(
        name=(trader and trader.name) or host(),
        prefix=host(),
        email=trader.email if trader else "",
        phone=trader.phone if trader else "",
        website=f"{settings().shop_url}/",
    )


def page_address(edition: Description) -> str:
    """The edition's page for readers of its own language."""
    market = MARKETS[GENERIC.get(edition.language, DEFAULT.slug)]
    return settings().shop_url + url_for("storefront.edition", slug=edition.slug, market=market)


def _onix(title: Title, editions: Iterable[Description]) -> bytes:
    session = db.session()
    withheld, selling = claims.withheld(session), not claims.sales_closed(session)
    rows = {each.slug: each for each in offers.editions(session)}
    products = [
        onix.Product(each, supply(session, rows[each.slug], withheld, selling=selling)) for each in editions
    ]
    return onix.message(title, products, _sender(), day_of(now()))


FORMS = {
    "mrc": Form("application/marc", lambda title, each: marc.iso_2709(title, each, _agency(), _days(each))),
    "marcxml": Form(
        "application/marcxml+xml", lambda title, each: marc.marcxml(title, each, _agency(), _days(each))
    ),
    "onix": Form("application/xml", lambda title, each: _onix(title, [each])),
    "bib": Form("application/x-bibtex; charset=utf-8", exchange.bibtex),
    "ris": Form("application/x-research-info-systems; charset=utf-8", lambda _title, each: exchange.ris(each)),
    "csl.json": Form("application/vnd.citationstyles.csl+json", exchange.csl),
}


def found(slug: str) -> Description:
    edition = described().edition(slug)
    if edition is None:
        abort(404)
    return edition


def file(slug: str, extension: str) -> Answer:
    """An edition as a file to keep."""
    edition, form = found(slug), FORMS[extension]
    response = Response(form.write(described(), edition), content_type=form.content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{slug}.{extension}"'
    return response


def onix_feed() -> Answer:
    """Every edition in one message."""
    title = described()
    if not title.editions:
        abort(404)
    response = Response(_onix(title, title.editions), content_type="application/xml")
    response.headers["Content-Disposition"] = 'inline; filename="onix.xml"'
    return response


def bar_code(slug: str) -> Answer:
    """EAN-13 of an edition whose ISBN is known."""
    isbn = found(slug).isbn
    if isbn is None:
        abort(404)
    response = Response(barcodes.svg(isbn, f"ISBN {isbn_numbers.format(isbn)}"), content_type="image/svg+xml")
    response.headers["Content-Disposition"] = f'inline; filename="{isbn}.svg"'
    return response


# In pages


@dataclass(frozen=True, slots=True)
class Record:
    """What an edition's page tells of it to machines, and to readers who cite it."""

    edition: Description
    tags: list[tuple[str, str]]
    coins: str
    graph: Markup
    citations: dict[Style, Citation]


def record_of(shown: Shown) -> Record:
    """Once for each page, however often its template asks."""
    made: dict[str, Record] = g.setdefault("records", {})
    if shown.edition.slug not in made:
        made[shown.edition.slug] = _record(shown)
    return made[shown.edition.slug]


def _record(shown: Shown) -> Record:
    title, edition = described(), found(shown.edition.slug)
    # What the reader's own country writes by comes first.
    styles = sorted(Style, key=lambda style: (style is Style.GOST) != (g.market.language == "ru"))
    trail = [
        (_site_name(), settings().shop_url + url_for("storefront.home")),
        (shown.name, _address(shown)),
    ]
    return Record(
        edition,
        meta.tags(title, edition, _address(shown)),
        meta.coins(edition),
        _script(jsonld.page(title, _shown(shown), _shop(), trail)),
        {style: citation(title, edition, style) for style in styles},
    )


def home_graph(shown: Iterable[Shown]) -> Markup:
    """The front page's graph; empty before there is a book."""
    each = [_shown(one) for one in shown]
    return _script(jsonld.home(described(), each, _shop(), g.market.language)) if each else Markup()


def record_address(slug: str, extension: str) -> str:
    """Where a file of an edition lies, from the root of the shop."""
    return (
        url_for("bar_code", slug=slug) if extension == "ean13.svg" else url_for(f"record_{extension}", slug=slug)
    )


def _script(nodes: Iterable[jsonld.Node]) -> Markup:
    return Markup(jsonld.script(nodes))  # noqa: S704 - every sign of HTML in it is escaped


def _site_name() -> str:
    name: str = gettext("The Russian Revolution in Retreat")
    return name


def _address(shown: Shown) -> str:
    return settings().shop_url + url_for("storefront.edition", slug=shown.edition.slug)


def _shop() -> jsonld.Shop:
    trader = seller()
    return jsonld.Shop(
        root=settings().shop_url,
        name=_site_name(),
        seller=(trader and trader.name) or "",
        address=", ".join(trader.address.splitlines()) if trader else "",
        email=trader.email if trader else "",
        phone=trader.phone if trader else "",
    )


def _shown(shown: Shown) -> jsonld.Shown:
    session, trader, home = db.session(), seller(), shown.home
    sold = home is not None and shown.availability in jsonld.AVAILABLE and not claims.sales_closed(session)
    days_told = home is not None and (home.zone.slug, claims.DAYS) not in claims.withheld(session)
    picture = cover(shown.edition.cover, shown.edition.slug)
    return jsonld.Shown(
        edition=found(shown.edition.slug),
        address=_address(shown),
        summary=shown.text.summary if shown.text else "",
        picture=settings().shop_url + picture if picture else "",
        returns=settings().shop_url + url_for("storefront.page", slug="returns"),
        availability=shown.availability,
        offer=home if sold else None,
        dispatch_days=trader.dispatch_days if trader and days_told else None,
    )
