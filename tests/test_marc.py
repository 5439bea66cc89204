"""MARC 21 of both editions: read back by pymarc, and byte by byte by rules that know nothing of the writer."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import date

import pymarc
import pytest
from sqlalchemy.orm import Session

from shop.bibliography import codes
from shop.catalogue.models import Binding, Contributor, Edition, Role, Status, Subject
from shop.database import transact
from shop.markets import day_of
from tests import marc_rules
from tests.client import Client
from tests.conftest import MovedClock
from tests.factories import Catalogue

SLUGS = ("paperback", "russian")


def raw(client: Client, slug: str) -> bytes:
    answer = client.get(f"/books/{slug}.mrc")
    assert answer.status_code == 200
    return answer.data


def read(client: Client, slug: str) -> pymarc.Record:
    """The record as pymarc understands it."""
    found = list(pymarc.MARCReader(io.BytesIO(raw(client, slug)), to_unicode=True, force_utf8=True))
    assert len(found) == 1
    assert found[0] is not None
    return found[0]


def change(session: Session, edition_id: int, work: Callable[[Edition], object]) -> None:
    transact(session, lambda s: work(s.get_one(Edition, edition_id)))


def values(record: pymarc.Record, tag: str) -> list[str]:
    """Each field of a tag as ``$a … $b …``."""
    return [" ".join(f"${each.code} {each.value}" for each in field.subfields) for field in record.get_fields(tag)]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_record_breaks_no_rule_of_the_format(client: Client, catalogue: Catalogue, slug: str) -> None:
    assert marc_rules.faults(raw(client, slug)) == []


@pytest.mark.parametrize("slug", SLUGS)
def test_both_forms_of_a_record_say_the_same(client: Client, catalogue: Catalogue, slug: str) -> None:
    told = read(client, slug)
    [other] = pymarc.parse_xml_to_array(io.BytesIO(client.get(f"/books/{slug}.marcxml").data), strict=True)
    assert other.as_dict()["fields"] == told.as_dict()["fields"]
    assert other.leader[5:12] == told.leader[5:12] == "nam a22"
    assert other.leader[17:] == told.leader[17:]
    assert marc_rules.slim_faults(client.get(f"/books/{slug}.marcxml").data) == []


def test_the_paperback_says_all_that_is_known_of_it(client: Client, catalogue: Catalogue) -> None:
    record = read(client, "paperback")
    assert record.leader[17:19] == " i"
    assert record["008"].data[6:] == "s2009    enka     |||||00| 0|eng d"
    assert values(record, "020") == [
        "$a 9780415546416 $q (paperback)",
        "$z 9780415437035 $q (hardback)",
        "$z 9780203930298 $q (e-book)",
    ]
    assert values(record, "100") == ["$a Pirani, Simon, $e author. $4 aut"]
    assert record["245"].indicators == pymarc.Indicators("1", "4")
    assert values(record, "245") == [
        "$a The Russian Revolution in Retreat, 1920-24 : $b Soviet Workers and the New Communist Elite / "
        "$c Simon Pirani."
    ]
    assert values(record, "246") == ["$a Soviet Workers and the New Communist Elite"]
    assert values(record, "264") == ["$a London : $b Routledge, $c 2009."]
    assert values(record, "300") == ["$a 296 pages : $b 14 illustrations ; $c 24 cm."]
    assert values(record, "490") == ["$a BASEES/Routledge Series on Russian and East European Studies ; $v 45"]
    assert values(record, "651") == ["$a Soviet Union $x History $y Revolution, 1917-1921."]
    assert values(record, "072") == ["$a NHD $2 thema", "$a 1QBDR $2 thema", "$a 3MPBG $2 thema"]
    assert [field["z"] for field in record.get_fields("775", "776")] == ["9780415437035", "9780203930298"]
    assert not record.get_fields("003", "040", "041", "240", "546", "765", "830")


def test_the_translation_says_what_it_was_translated_from_and_claims_nothing_unknown(
    client: Client, catalogue: Catalogue
) -> None:
    record = read(client, "russian")
    assert record.leader[17] == "5"
    assert record["008"].data[6:] == "s2013    ru ||||  |||||00| 0|rus d"
    assert values(record, "041") == ["$a rus $h eng"]
    assert values(record, "066") == ["$c (N"]
    assert values(record, "240") == ["$a Russian Revolution in Retreat, 1920-24. $l Russian"]
    assert values(record, "546") == ["$a In Russian; translated from the English."]
    assert values(record, "765") == [
        "$a Pirani, Simon. $t Russian Revolution in Retreat, 1920-24 $d London : Routledge, 2009 $z 9780415546416"
    ]
    assert not record.get_fields("020", "246", "300", "490", "775", "776")
    assert "450 g" not in record.as_json()


def test_every_romanised_field_has_its_original_beside_it(client: Client, catalogue: Catalogue) -> None:
    record = read(client, "russian")
    assert values(record, "100") == ["$6 880-01 $a Pirani, Simon, $e author. $4 aut"]
    assert values(record, "245") == [
        "$6 880-02 $a Russkai\ufe20a\ufe21 revoli\ufe20u\ufe21t\ufe20s\ufe21ii\ufe20a\ufe21 v otstuplenii / "
        "$c Saĭmon Pirani."
    ]
    assert values(record, "264") == ["$6 880-03 $a Moskva : $b Novyĭ khronograf, $c 2013."]
    assert values(record, "700") == [
        "$6 880-04 $a Gorbach, Denis, $e translator. $4 trl",
        "$6 880-05 $a Polshchikova, Evgenii\ufe20a\ufe21, $e translator. $4 trl",
    ]
    assert values(record, "880") == [
        "$6 100-01/(N $a Пирани, Саймон, $e author. $4 aut",
        "$6 245-02/(N $a Русская революция в отступлении / $c Саймон Пирани.",
        "$6 264-03/(N $a Москва : $b Новый хронограф, $c 2013.",
        "$6 700-04/(N $a Горбач, Денис, $e translator. $4 trl",
        "$6 700-05/(N $a Полщикова, Евгения, $e translator. $4 trl",
    ]
    assert [field["a"] for field in record.get_linked_fields(record["245"])] == [
        "Русская революция в отступлении /"
    ]
    english = read(client, "paperback")
    assert values(english, "880") == [
        "$6 767-01/(N $a Пирани, Саймон. $t Русская революция в отступлении $d Москва : Новый хронограф, 2013"
    ]


def test_yo_and_every_ligature_survive(client: Client, session: Session, catalogue: Catalogue) -> None:
    def rename(edition: Edition) -> None:
        edition.title, edition.subtitle = "Ещё один съезд: Цех, Ёж и Юг", "Объём «всего»"

    change(session, catalogue.russian, rename)
    record = read(client, "russian")
    assert record["245"]["a"] == "Eshchë odin sʺezd: T\ufe20S\ufe21ekh, Ëzh i I\ufe20U\ufe21g :"
    assert record["245"]["b"] == "Obʺëm «vsego» /"
    assert marc_rules.faults(raw(client, "russian")) == []


FACTS: dict[str, dict[str, object]] = {
    "all at once": {
        "isbn": "9785948812345",
        "pages": 400,
        "illustrations": 1,
        "height_mm": 201,
        "series": "Социальная история",
        "series_volume": "7",
        "subtitle": "Советские рабочие и новая элита",
        "binding": Binding.HARDBACK,
        "contents": ["Введение", "Глава первая"],
        "contents_complete": True,
    },
    "nothing but a title": {"publisher": "", "place": "", "published": "2013", "contributors": [], "subjects": []},
    "a year only": {"place": "", "publisher": ""},
    "a month": {"published": "2013-05", "place": "Париж"},
    "no year": {"published": ""},
    "neither year nor place": {"published": "", "place": "", "publisher": ""},
    "no illustrations": {"illustrations": 0, "pages": 12, "height_mm": 200},
    "a question": {"title": "Кто кого?", "subtitle": "А как же мы?!"},
    "a question alone": {"title": "Who Whom?", "subtitle": ""},
    "quotation marks": {"title": "“Retreat”", "subtitle": "A ’90s — history…"},
    "a parenthesis": {"title": "Retreat (1920)", "subtitle": "", "series": "Studies (London)"},
    "letters taken apart": {"title": "Новыи\u0306 е\u0308ж", "subtitle": "с\u00adъезд\u202fдва"},
    "the old letters": {"title": "Съѣздъ побѣдителей: Ѳедоръ, Іоаннъ, мѵро и ЩЁКИ", "publisher": "Изд. «Эхо»"},
    "a series without a number": {"series": "Studies", "series_volume": ""},
    "announced": {"status": Status.ANNOUNCED, "announced_for": date(2027, 3, 1), "published": ""},
}


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
@pytest.mark.parametrize("slug", SLUGS)
def test_whatever_is_known_or_unknown_the_record_keeps_the_rules(
    client: Client, session: Session, catalogue: Catalogue, slug: str, facts: dict[str, object]
) -> None:
    def write(edition: Edition) -> None:
        for name, value in facts.items():
            if name == "isbn" and slug != "russian":
                continue
            setattr(edition, name, value)

    change(session, getattr(catalogue, slug), write)
    for each in SLUGS:
        assert marc_rules.faults(raw(client, each)) == [], each


def test_another_hardback_of_the_same_text_is_named_as_such(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def twin(s: Session) -> None:
        first = s.get_one(Edition, catalogue.paperback)
        second = Edition(
            **{name: getattr(first, name) for name in ("language", "status", "title", "subtitle", "tax_code")},
            slug="cloth",
            position=3,
            binding=Binding.HARDBACK,
            publisher="Routledge",
            published="2008",
            pages=289,
        )
        second.contributors = [
            Contributor(position=1, role=Role.AUTHOR, name="Simon Pirani", sort_name="Pirani, Simon", names={}),
            Contributor(position=2, role=Role.AUTHOR, name="Ann Other", sort_name="Other, Ann", names={}),
        ]
        s.add(second)

    transact(session, twin)
    assert marc_rules.faults(raw(client, "cloth")) == []
    cloth = read(client, "cloth")
    assert [field["i"] for field in cloth.get_fields("775")] == ["Paperback edition:"]
    assert values(cloth, "700") == ["$a Other, Ann, $e author. $4 aut"]
    assert "Hardback edition:" in [field["i"] for field in read(client, "paperback").get_fields("775")]


@pytest.mark.parametrize(
    ("heading", "tag", "coded"),
    [
        (
            "Soviet Union—History—Revolution, 1917-1921",
            "651",
            "$a Soviet Union $x History $y Revolution, 1917-1921.",
        ),
        (
            "Labor movement--Russia (Federation)--Moscow--History--20th century--Sources",
            "650",
            "$a Labor movement $z Russia (Federation) $z Moscow $x History $y 20th century $v Sources.",
        ),
        ("Moscow (Russia)—Politics and government", "651", "$a Moscow (Russia) $x Politics and government."),
        ("Communism—Soviet Union—Congresses", "650", "$a Communism $z Soviet Union $v Congresses."),
    ],
)
def test_subject_headings_are_taken_apart(
    client: Client, session: Session, catalogue: Catalogue, heading: str, tag: str, coded: str
) -> None:
    def write(edition: Edition) -> None:
        edition.subjects = [Subject(position=9, scheme="lcsh", code=heading)]

    change(session, catalogue.paperback, write)
    assert values(read(client, "paperback"), tag) == [coded]


def test_a_long_table_of_contents_goes_on_in_further_fields(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    english = [f"{number} A chapter with a rather long name about {number}" for number in range(200)]
    russian = [f"{number} Глава с довольно длинным названием о чём-то" for number in range(200)]

    def write(s: Session) -> None:
        for id_, chapters in ((catalogue.paperback, english), (catalogue.russian, russian)):
            edition = s.get_one(Edition, id_)
            edition.contents, edition.contents_complete = chapters, True

    transact(session, write)
    for slug, chapters in (("paperback", english), ("russian", russian)):
        assert marc_rules.faults(raw(client, slug)) == []
        told = read(client, slug)
        listed = [each for each in told.get_fields("880") if each["6"].startswith("505")] or told.get_fields("505")
        assert [each.indicator1 for each in listed] == ["0", *"8" * (len(listed) - 1)]
        assert " ".join(each["a"] for each in listed) == " -- ".join(chapters) + "."


def test_initials_and_single_names_are_written_as_catalogues_write_them(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(edition: Edition) -> None:
        edition.contributors = [
            Contributor(position=1, role=Role.AUTHOR, name="S. J. Pirani", sort_name="Pirani, S. J.", names={}),
            Contributor(position=2, role=Role.AUTHOR, name="Voline", sort_name="Voline", names={}),
        ]

    change(session, catalogue.paperback, write)
    for slug in SLUGS:
        assert marc_rules.faults(raw(client, slug)) == [], slug
    record = read(client, "paperback")
    assert values(record, "100") == ["$a Pirani, S. J., $e author. $4 aut"]
    assert record["245"]["c"] == "S.J. Pirani, Voline."
    assert [(each.indicator1, each["a"]) for each in record.get_fields("700")] == [("0", "Voline,")]
    assert {each["a"] for each in record.get_fields("775", "776")} == {"Pirani, S. J."}


def test_a_crowd_of_authors_fits_into_the_record(client: Client, session: Session, catalogue: Catalogue) -> None:
    def write(edition: Edition) -> None:
        name = "Константин Щукин-" + "Ёлкин" * 30
        edition.contributors = [
            Contributor(position=at, role=Role.AUTHOR, name=name, sort_name=f"Щукин{at}, Константин", names={})
            for at in range(90)
        ]

    change(session, catalogue.russian, write)
    assert marc_rules.faults(raw(client, "russian")) == []
    record = read(client, "russian")
    assert record["245"]["c"].endswith(" [and 70 others].")
    assert len(record.get_fields("100", "700")) == 90


def test_subjects_of_the_trade_are_coded_by_their_schemes(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(edition: Edition) -> None:
        codes = (("thema", "NHD"), ("bisac", "HIS032000"), ("lcsh", "Moscow (Russia)"))
        edition.subjects = [
            Subject(position=at, scheme=scheme, code=code) for at, (scheme, code) in enumerate(codes)
        ]

    change(session, catalogue.paperback, write)
    assert marc_rules.faults(raw(client, "paperback")) == []
    record = read(client, "paperback")
    assert values(record, "072") == ["$a NHD $2 thema", "$a HIS $x 032000 $2 bisacsh"]
    assert values(record, "651") == ["$a Moscow (Russia)"]


def test_a_summary_ends_as_a_sentence_does(client: Client, session: Session, catalogue: Catalogue) -> None:
    def write(edition: Edition) -> None:
        for text in edition.texts:
            text.summary = "Workers\nand the party"

    change(session, catalogue.paperback, write)
    assert values(read(client, "paperback"), "520") == ["$a Workers and the party."]


def test_an_announced_edition_is_recorded_before_publication(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(edition: Edition) -> None:
        edition.status, edition.announced_for, edition.published = Status.ANNOUNCED, date(2027, 3, 1), ""

    change(session, catalogue.paperback, write)
    record = read(client, "paperback")
    assert record.leader[17] == "8"
    assert values(record, "263") == ["$a 202703"]


def test_no_letter_of_another_cyrillic_alphabet_stays_in_a_romanised_field(
    client: Client, session: Session, catalogue: Catalogue
) -> None:
    def write(edition: Edition) -> None:
        edition.title = "Її ґанок, Јован, Љубав, ўсё"

    change(session, catalogue.russian, write)
    assert not marc_rules.CYRILLIC.search(read(client, "russian")["245"]["a"])


def test_articles_are_left_out_where_titles_are_filed() -> None:
    for title, skipped in (("The Book", 4), ("A Book", 2), ("An Hour", 3), ("Theory", 0), ("“The Book”", 5)):
        assert len(codes.article(title, "en")) == skipped
    assert codes.article("А что", "ru") == ""


# The rules themselves


def damaged(record: bytes, before: str, after: str) -> bytes:
    """A record with some bytes changed for as many others."""
    old, new = before.encode(), after.encode()
    assert len(old) == len(new)
    assert old in record
    return record.replace(old, new, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nam a22", "nam  22"),
        ("s2013    ru ", "s2013    ru|"),
        ("s2013    ", "s2014    "),
        ("rus d", "eng d"),
        ("10\x1f6880-02", "14\x1f6880-02"),
        ("10\x1f6880-02", "1 \x1f6880-02"),
        ("\x1f6880-02", "\x1f6880-09"),
        ("\x1f6245-02/(N", "\x1f6245-02/(B"),
        ("\x1f6245-02/(N", "\x1f6246-02/(N"),
        ("\x1fc(N", "\x1fc(B"),
        ("\x1f2rdacontent", "\x1f2rdacontend"),
        ("\x1fz9780415546416", "\x1f~9780415546416"),
        ("\x1fyRevolution", "\x1fxRevolution"),
        ("\x1fatext", "\x1faTEXT"),
        ("rus\x1fheng", "rus\x1fgeng"),
        ("Moskva", "Мск"),
        (" 0\x1faSoviet", " 9\x1faSoviet"),
        ("Moskva :", "Moskva ,"),
        ("khronograf,", "khronograf."),
        ("otstuplenii", "otstuplenie"),
        ("Saĭmon", "Saymonn"),
        ("1 \x1f6880-01", "0 \x1f6880-01"),
        ("author.\x1f4aut", "author.\x1f4trl"),
        ("\x1flRussian", "\x1flRussia."),
        ("1920-24", "1920..4"),
        ("rus\x1fheng", "rus\x1fhenk"),
    ],
)
def test_the_rules_find_what_is_wrong(client: Client, catalogue: Catalogue, before: str, after: str) -> None:
    record = raw(client, "russian")
    assert marc_rules.faults(record) == []
    assert marc_rules.faults(damaged(record, before, after))


def test_the_rules_find_lengths_that_lie(client: Client, catalogue: Catalogue) -> None:
    record = raw(client, "paperback")
    assert marc_rules.faults(record[:-1])
    assert marc_rules.faults(record + b" ")
    assert marc_rules.faults(record.replace(b"9780415546416", b"978041554641", 1))
    assert marc_rules.faults(record.replace(b"9780415546416", b"9780415546417", 1))


def test_a_record_says_when_it_was_entered_and_when_this_version_was_made(
    client: Client, session: Session, catalogue: Catalogue, clock: MovedClock
) -> None:
    begun = day_of(clock.now())
    assert read(client, "paperback")["008"].data[:6] == f"{begun:%y%m%d}"
    later = day_of(clock.advance(days=40))
    time.sleep(1)  # so long at most is a page told that the day before has made
    record = read(client, "paperback")
    assert record["008"].data[:6] == f"{begun:%y%m%d}"
    assert record["005"].data == f"{later:%Y%m%d}000000.0"
