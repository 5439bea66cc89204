"""What reference managers read of a page: Highwire Press and Dublin Core tags, and COinS.

Sources: Google Scholar's inclusion guidelines (``citation_`` tags); DCMI Metadata Terms in HTML; OpenURL
ContextObjects in SPAN (Z39.88-2004, the book format). Names stand in the language of the edition.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from shop.bibliography.description import Description, Title
from shop.catalogue.models import Role

Tag = tuple[str, str]


def tags(title: Title, edition: Description, address: str) -> list[Tag]:
    """(name, content) of ``meta`` elements; what is not known is left out."""
    return [tag for tag in (*_highwire(edition, address), *_dublin_core(title, edition, address)) if tag[1]]


def _highwire(edition: Description, address: str) -> Iterator[Tag]:
    yield "citation_title", edition.heading
    for person in edition.of(Role.AUTHOR):
        yield "citation_author", person.sort_name
    yield "citation_publication_date", edition.published.replace("-", "/")
    yield "citation_publisher", edition.publisher
    yield "citation_series_title", edition.series
    yield "citation_isbn", edition.isbn or ""
    yield "citation_language", edition.language
    yield "citation_abstract_html_url", address


def _dublin_core(title: Title, edition: Description, address: str) -> Iterator[Tag]:
    yield "DC.title", edition.heading
    for person in edition.people:
        yield "DC.creator" if person.role is Role.AUTHOR else "DC.contributor", person.sort_name
    yield "DC.publisher", edition.publisher
    yield "DC.date", edition.published
    yield "DC.type", "Text"
    yield "DC.format", f"{edition.pages} pages" if edition.pages else ""
    yield "DC.language", edition.language
    yield "DC.identifier", f"urn:isbn:{edition.isbn}" if edition.isbn else address
    original = title.original_of(edition)
    if original:
        yield "DC.source", f"urn:isbn:{original.isbn}" if original.isbn else original.heading
    for scheme, heading in edition.subjects:
        yield "DC.subject", heading.replace("—", "--") if scheme == "lcsh" else ""


def coins(edition: Description) -> str:
    """The ``title`` of a ``span`` of class ``Z3988``: a context object as keys and values, percent-encoded."""
    authors = edition.of(Role.AUTHOR)
    pairs = [
        ("ctx_ver", "Z39.88-2004"),
        ("rft_val_fmt", "info:ofi/fmt:kev:mtx:book"),
        ("rft.genre", "book"),
        ("rft.btitle", edition.heading),
        ("rft.aulast", authors[0].family if authors else ""),
        ("rft.aufirst", authors[0].given if authors else ""),
        *(("rft.au", each.name) for each in authors),
        ("rft.pub", edition.publisher),
        ("rft.place", edition.place),
        ("rft.date", edition.published),
        ("rft.series", edition.series),
        ("rft.tpages", str(edition.pages or "")),
        ("rft.isbn", edition.isbn or ""),
        ("rft_id", f"urn:ISBN:{edition.isbn}" if edition.isbn else ""),
        ("rft.language", edition.language),
    ]
    return urlencode([(name, value) for name, value in pairs if value])
