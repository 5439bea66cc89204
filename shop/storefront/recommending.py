"""“Recommend to your library”: a letter in each language, to print or to send by one's own mail program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, g, render_template, url_for
from flask_babel import force_locale, gettext
from stdnum import isbn as isbn_numbers

from shop import markets
from shop.bibliography.citations import Part, Style, citation
from shop.extensions import settings
from shop.markets import LANGUAGES, MARKETS
from shop.storefront.caching import Answer, public
from shop.storefront.records import described, page_address, record_address

Line = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """What a reader sends to his library; paragraphs are lists of lines."""

    language: str
    subject: Line
    paragraphs: list[list[Line]]

    @property
    def mailto(self) -> str:
        """An address that opens the letter in a mail program (RFC 6068)."""
        body = "\r\n\r\n".join("\r\n".join(map(_text, lines)) for lines in self.paragraphs)
        return f"mailto:?subject={quote(_text(self.subject), safe='')}&body={quote(body, safe='')}"


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/recommend", "recommend", public(recommend))


def recommend() -> Answer:
    """The letters, the reader's own language first."""
    editions = described().editions
    languages = sorted(LANGUAGES, key=lambda code: code != g.market.language)
    return render_template(
        "storefront/recommend.html",
        letters=[letter(code) for code in languages] if editions else [],
        editions=editions,
    )


def letter(language: str) -> Letter:
    here = f"{language}-{g.market.region.code}"
    market = MARKETS.get(here) or MARKETS[markets.GENERIC[language]]
    with force_locale(market.locale):
        own, title = _in(language), described().editions[0]
        ordering = settings().shop_url + url_for("storefront.libraries", market=market)
        return Letter(
            language,
            (own(gettext("A suggestion for the library:") + " "), Part(title.title, False, title.language)),
            [
                [(own(gettext("Dear Librarian,")),)],
                [(own(gettext("May I suggest this book for our library?")),)],
                *(list(_about(each.slug, language)) for each in described().editions),
                [
                    (own(gettext("Libraries order with a purchase order and pay by invoice:")),),
                    (_machine(ordering),),
                ],
                [(own(gettext("With kind regards")),)],
            ],
        )


def _about(slug: str, language: str) -> Iterator[Line]:
    """An edition: how it is cited in that language, its ISBN, its page and its record."""
    title, own = described(), _in(language)
    edition = title.edition(slug)
    if edition is None:
        raise LookupError(slug)
    style = Style.GOST if language == "ru" else Style.CHICAGO
    yield tuple(citation(title, edition, style))
    if edition.isbn and style is not Style.GOST:  # which has it
        yield (_machine(f"ISBN {isbn_numbers.format(edition.isbn)}"),)
    yield (own(gettext("Its page:") + " "), _machine(page_address(edition)))
    record = settings().shop_url + record_address(slug, "mrc")
    yield (own(gettext("Its catalogue record:") + " "), _machine(record))


def _in(language: str) -> Callable[[str], Part]:
    return lambda text: Part(text, False, language)


def _machine(text: str) -> Part:
    """An address or a number, which is in no language but Latin letters."""
    return Part(text, False, "en")


def _text(line: Line) -> str:
    return "".join(part.text for part in line)
