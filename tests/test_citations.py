"""Citations: to be read in four styles, and for programs, which other people's readers must understand."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable

import pybtex.database
import pytest
import rispy
from pybtex.richtext import Text
from sqlalchemy.orm import Session

from shop.bibliography import citations, codes, exchange
from shop.bibliography.citations import Style
from shop.bibliography.description import Title, describe
from shop.catalogue.models import Contributor, Edition, Role
from shop.database import transact
from tests.client import Client
from tests.factories import Catalogue

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package's own, while it is imported
    import citeproc
    from citeproc.source.json import CiteProcJSON

ENGLISH = "The Russian Revolution in Retreat, 1920–24: Soviet Workers and the New Communist Elite"
RUSSIAN = "Русская революция в отступлении"
HARD = "Ещё & «100 %» of {braces}, a_b #1 $5 ~ ^ \\x – «ёж» — “quoted”"


@pytest.fixture
def cited(session: Session, catalogue: Catalogue) -> Callable[[str, Style], citations.Citation]:
    def cite(slug: str, style: Style) -> citations.Citation:
        session.rollback()
        title = described(session)
        edition = title.edition(slug)
        assert edition is not None
        return citations.citation(title, edition, style)

    return cite


def described(session: Session) -> Title:
    return describe(session, claim_doubted=True)


STYLES = {
    ("paperback", Style.CHICAGO): f"Pirani, Simon. *{ENGLISH}*. London: Routledge, 2009.",
    ("paperback", Style.MLA): f"Pirani, Simon. *{ENGLISH}*. Routledge, 2009.",
    ("paperback", Style.APA): (
        "Pirani, S. (2009). *The Russian revolution in retreat, 1920–24: Soviet workers and the new communist "
        "elite*. Routledge."
    ),
    ("paperback", Style.GOST): (
        "Pirani, S. The Russian Revolution in Retreat, 1920–24 : Soviet Workers and the New Communist Elite / Simon "
        "Pirani. — London : Routledge, 2009. — 296 p. : ill. — (BASEES/Routledge Series on Russian and East "
        "European Studies ; vol. 45). — ISBN 978-0-415-54641-6. — Текст : непосредственный."
    ),
    ("russian", Style.CHICAGO): (
        "Pirani, Simon. *Russkaia revoliutsiia v otstuplenii*. Translated by Denis Gorbach and Evgeniya "
        "Polshchikova. Moscow: Novyĭ khronograf, 2013."
    ),
    ("russian", Style.MLA): (
        "Pirani, Simon. *Russkaia revoliutsiia v otstuplenii*. Translated by Denis Gorbach and Evgeniya "
        "Polshchikova, Novyĭ khronograf, 2013."
    ),
    ("russian", Style.APA): (
        "Pirani, S. (2013). *Russkaia revoliutsiia v otstuplenii* [The Russian revolution in retreat, 1920–24] "
        "(D. Gorbach & E. Polshchikova, Trans.). Novyĭ khronograf. (Original work published 2008)"
    ),
    ("russian", Style.GOST): (
        "Пирани, С. Русская революция в отступлении / Саймон Пирани ; перевод с английского: Денис Горбач, Евгения "
        "Полщикова. — Москва : Новый хронограф, 2013. — Текст : непосредственный."
    ),
}


@pytest.mark.parametrize(("slug", "style"), STYLES, ids=lambda each: str(each))
def test_each_style_is_written_as_its_manual_has_it(
    cited: Callable[[str, Style], citations.Citation], slug: str, style: Style
) -> None:
    parts = cited(slug, style)
    marked = "".join(f"*{part.text}*" if part.italic else part.text for part in parts)
    assert marked.replace("\u00a0", " ") == STYLES[slug, style]
    for part in parts:
        if any(letter.isalpha() for letter in part.text):
            assert (part.language == "ru") == any("а" <= letter <= "ё" for letter in part.text.lower()), part


def test_what_is_not_known_leaves_no_signs_behind(session: Session, catalogue: Catalogue) -> None:
    def forget(s: Session) -> None:
        for id_ in (catalogue.paperback, catalogue.russian):
            edition = s.get_one(Edition, id_)
            edition.publisher = edition.place = edition.published = edition.series = edition.subtitle = ""
            edition.isbn = edition.pages = edition.illustrations = None
            edition.other_formats, edition.contributors = [], []

    transact(session, forget)
    session.expire_all()
    title = described(session)
    for edition in title.editions:
        for style in Style:
            text = str(citations.citation(title, edition, style))
            for wrong in (": .", ", ,", "..", "()", " ,", "/ .", "None", "; .", "  ", ". . "):
                assert wrong not in text, (style, text)
            assert text.endswith(".")


AUTHORS = ("Pirani, Simon", "Other, Ann B.", "Third, Clare", "Fourth, Dan", "Fifth, Eve")
LISTED = {
    2: (
        "Pirani, Simon, and Ann B. Other. ",
        "Pirani, Simon, and Ann B. Other. ",
        "Pirani, S., & Other, A. B. (2009). ",
        "Pirani, S. The Russian Revolution in Retreat, 1920–24 : Soviet Workers and the New Communist Elite / Simon "
        "Pirani, Ann B. Other. — London",
    ),
    3: (
        "Pirani, Simon, Ann B. Other, and Clare Third. ",
        "Pirani, Simon, et al. ",
        "Pirani, S., Other, A. B., & Third, C. (2009). ",
        "Pirani, S. The Russian",
    ),
    4: (
        "Pirani, Simon, Ann B. Other, Clare Third, and Dan Fourth. ",
        "Pirani, Simon, et al. ",
        "Pirani, S., Other, A. B., Third, C., & Fourth, D. (2009). ",
        "The Russian Revolution in Retreat, 1920–24 : Soviet Workers and the New Communist Elite / Simon Pirani, Ann "
        "B. Other, Clare Third, Dan Fourth. — London",
    ),
    5: (
        "Pirani, Simon, Ann B. Other, Clare Third, Dan Fourth, and Eve Fifth. ",
        "Pirani, Simon, et al. ",
        "Pirani, S., Other, A. B., Third, C., Fourth, D., & Fifth, E. (2009). ",
        "The Russian Revolution in Retreat, 1920–24 : Soviet Workers and the New Communist Elite / Simon Pirani, Ann "
        "B. Other, Clare Third [et al.]. — London",
    ),
}


@pytest.mark.parametrize("number", LISTED)
def test_several_authors_are_listed_as_each_manual_has_it(
    session: Session, catalogue: Catalogue, number: int
) -> None:
    def write(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        edition.contributors = [
            Contributor(
                position=at,
                role=Role.AUTHOR,
                name=" ".join(reversed(name.split(", "))),
                sort_name=name,
                names={},
            )
            for at, name in enumerate(AUTHORS[:number])
        ]

    transact(session, write)
    session.expire_all()
    title = described(session)
    edition = title.edition("paperback")
    assert edition is not None
    for style, begins in zip(Style, LISTED[number], strict=True):
        told = str(citations.citation(title, edition, style)).replace("\u00a0", " ")
        assert told.startswith(begins), (style, told)


def test_a_book_without_an_author_begins_with_its_title(session: Session, catalogue: Catalogue) -> None:
    def write(s: Session) -> None:
        s.get_one(Edition, catalogue.paperback).contributors = []

    transact(session, write)
    session.expire_all()
    title = described(session)
    edition = title.edition("paperback")
    assert edition is not None
    assert str(citations.citation(title, edition, Style.APA)) == (
        "The Russian revolution in retreat, 1920–24: Soviet workers and the new communist elite. (2009). Routledge."
    )


def test_no_shop_s_address_stands_in_a_citation(client: Client, catalogue: Catalogue) -> None:
    for slug in ("paperback", "russian"):
        for extension in ("bib", "ris", "csl.json"):
            assert "http" not in client.get(f"/books/{slug}.{extension}").get_data(as_text=True)


def test_two_authors_and_one_without_a_given_name(session: Session, catalogue: Catalogue) -> None:
    def add(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        for position, (name, sort_name) in enumerate((("Ann B. Other", "Other, Ann B."), ("Voline", "Voline")), 2):
            edition.contributors.append(
                Contributor(position=position, role=Role.AUTHOR, name=name, sort_name=sort_name, names={})
            )

    transact(session, add)
    session.expire_all()
    title = described(session)
    edition = title.edition("paperback")
    assert edition is not None
    told = {style: str(citations.citation(title, edition, style)) for style in Style}
    assert told[Style.CHICAGO].startswith("Pirani, Simon, Ann B. Other, and Voline. The Russian")
    assert told[Style.APA].startswith("Pirani, S., Other, A. B., & Voline. (2009). The Russian")
    assert "{Voline}" in exchange.bibtex(title, edition)
    assert {"literal": "Voline"} in json.loads(exchange.csl(title, edition))[0]["author"]


@pytest.mark.parametrize(
    ("title", "lowered"),
    [
        ("The Russian Revolution in Retreat, 1920–24", "The Russian revolution in retreat, 1920–24"),
        ("Soviet Workers and the New Communist Elite", "Soviet workers and the new communist elite"),
        ("The NEP and Britain’s Trade: A History", "The NEP and Britain’s trade: A history"),
    ],
)
def test_apa_keeps_the_capitals_of_names_alone(title: str, lowered: str) -> None:
    assert codes.sentence_case(title) == lowered


def bibtex(client: Client, slug: str) -> pybtex.database.Entry:
    text = client.get(f"/books/{slug}.bib").get_data(as_text=True)
    [entry] = pybtex.database.parse_string(text, "bibtex").entries.values()
    return entry


def plain(latex: str) -> str:
    """What TeX would print, as pybtex knows it."""
    return str(Text.from_latex(latex))


def printed(latex: str) -> str:
    """What TeX would print of the commands that pybtex does not know as well: braces, accents and the backslash."""
    named = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^"}
    command = re.compile(r"\\(?:(text[a-z]+)\{\}|([#$%&_{}]))|[{}]")
    return command.sub(lambda found: named.get(found[1] or "", found[2] or ""), latex)


def test_bibtex_is_read_back_to_the_same_facts(client: Client, catalogue: Catalogue) -> None:
    entry = bibtex(client, "paperback")
    assert entry.type == "book"
    assert entry.key == "pirani2009paperback"
    assert {name: plain(value) for name, value in entry.fields.items()} == {
        "title": ENGLISH,
        "publisher": "Routledge",
        "address": "London",
        "year": "2009",
        "date": "2009-05-12",
        "series": "BASEES/Routledge Series on Russian and East European Studies",
        "number": "45",
        "pagetotal": "296",
        "isbn": "9780415546416",
        "language": "english",
    }
    [author] = entry.persons["author"]
    assert (author.last_names, author.first_names) == (["Pirani"], ["Simon"])
    russian = bibtex(client, "russian")
    assert plain(russian.fields["title"]) == RUSSIAN
    assert russian.fields["translator"] == "Горбач, Денис and Полщикова, Евгения"
    assert {"isbn", "pagetotal", "series", "number"}.isdisjoint(russian.fields)


def test_ris_is_read_back_to_the_same_facts(client: Client, catalogue: Catalogue) -> None:
    text = client.get("/books/paperback.ris").data.decode()
    assert text.count("\r\n") == text.count("\n")
    [entry] = rispy.loads(text)
    assert entry == {
        "type_of_reference": "BOOK",
        "authors": ["Pirani, Simon"],
        "title": ENGLISH,
        "secondary_title": "BASEES/Routledge Series on Russian and East European Studies",
        "note": "45",  # M1, whatever the reader calls it
        "place_published": "London",
        "publisher": "Routledge",
        "year": "2009",
        "date": "2009/05/12",
        "start_page": "296",
        "issn": "9780415546416",
        "language": "en",
    }
    [russian] = rispy.loads(client.get("/books/russian.ris").data.decode())
    assert russian["subsidiary_authors"] == ["Горбач, Денис", "Полщикова, Евгения"]
    assert {"issn", "start_page"}.isdisjoint(russian)


def bibliography(client: Client, slug: str) -> str:
    """The item as a citation processor prints it."""
    items = json.loads(client.get(f"/books/{slug}.csl.json").data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        style = citeproc.CitationStylesStyle("harvard-cite-them-right", validate=False)
        made = citeproc.CitationStylesBibliography(style, CiteProcJSON(items), citeproc.formatter.plain)
        made.register(citeproc.Citation([citeproc.CitationItem(items[0]["id"])]))
        [printed] = made.bibliography()
    return str(printed)


def test_csl_is_read_back_to_the_same_facts(client: Client, catalogue: Catalogue) -> None:
    [item] = json.loads(client.get("/books/paperback.csl.json").data)
    assert (item["type"], item["number-of-pages"], item["ISBN"]) == ("book", "296", "9780415546416")
    assert item["issued"] == {"date-parts": [[2009, 5, 12]]}
    printed = bibliography(client, "paperback")
    assert printed.startswith(f"Pirani, S. (2009) {ENGLISH}. London: Routledge (BASEES/Routledge Series")
    [russian] = json.loads(client.get("/books/russian.csl.json").data)
    assert russian["original-title"] == ENGLISH
    assert {"ISBN", "number-of-pages", "collection-title"}.isdisjoint(russian)
    assert f"Пирани, С. (2013) {RUSSIAN}." in bibliography(client, "russian")
    assert "Москва: Новый хронограф" in bibliography(client, "russian")


def test_signs_that_mean_something_to_programs_are_read_back_as_they_stand(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(s: Session) -> None:
        edition = s.get_one(Edition, catalogue.paperback)
        edition.title, edition.subtitle = HARD, ""
        edition.publisher = "Mills & Boon_{x}"

    transact(session, write)
    entry = bibtex(client, "paperback")
    assert printed(entry.fields["title"]) == HARD
    assert printed(entry.fields["publisher"]) == "Mills & Boon_{x}"
    [ris] = rispy.loads(client.get("/books/paperback.ris").data.decode())
    assert ris["title"] == HARD
    [item] = json.loads(client.get("/books/paperback.csl.json").data)
    assert item["title"] == HARD


def test_no_line_of_a_value_begins_a_field_of_its_own(session: Session, catalogue: Catalogue) -> None:
    def write(s: Session) -> None:
        s.get_one(Edition, catalogue.paperback).title = "One\nAU  - Nobody"

    transact(session, write)
    session.expire_all()
    edition = described(session).edition("paperback")
    assert edition is not None
    [entry] = rispy.loads(exchange.ris(edition))
    assert entry["authors"] == ["Pirani, Simon"]
