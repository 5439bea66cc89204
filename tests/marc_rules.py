"""A strict reader of MARC 21: takes a record of ISO 2709 apart byte by byte and names whatever breaks a rule.

It knows the fields that a shop of books may write and nothing of how they are written there. Sources: MARC 21 Format
for Bibliographic Data; MARC 21 Specifications for Record Structure; ISO 2709.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

FIELD_END, RECORD_END, SUBFIELD = b"\x1e", b"\x1d", b"\x1f"
REPEATED = {
    "020",
    "072",
    "246",
    "264",
    "336",
    "337",
    "338",
    "490",
    "505",
    "520",
    "546",
    "650",
    "651",
    "700",
    "765",
}
REPEATED |= {"767", "775", "776", "880"}
RULES = {
    # tag: first indicator, second indicator, subfields, which of them may come again
    "020": (" ", " ", "aczq68", "zq8"),
    "040": (" ", " ", "abcde68", "d"),
    "041": ("01 ", " 7", "abdefghjkmn268", "abdefghjkmn"),
    "066": (" ", " ", "abc", "c"),
    "072": (" ", "07", "ax268", "x"),
    "100": ("013", " ", "abcdefgjklnpqtu0468", "cegjknp04"),
    "240": ("01", "0123456789", "adfghklmnoprs068", "dgkmnps"),
    "245": ("01", "0123456789", "abcfghknps68", "gknp"),
    "246": ("0123", " 012345678", "abfghinp568", "gnp"),
    "263": (" ", " ", "a68", ""),
    "264": (" 23", "01234", "abc368", "abc"),
    "300": (" ", " ", "abcefg368", "acfg"),
    "336": (" ", " ", "ab02368", "ab0"),
    "337": (" ", " ", "ab02368", "ab0"),
    "338": (" ", " ", "ab02368", "ab0"),
    "490": ("01", " ", "alvxyz368", "avxyz"),
    "505": ("0128", " 0", "agrtu68", "grtu"),
    "520": (" 012348", " ", "abcu2368", "u"),
    "546": (" ", " ", "ab368", "b"),
    "650": (" 012", "01234567", "abcdegvxyz0234 68", "evxyz04"),
    "651": (" ", "01234567", "aegvxyz0234 68", "evxyz04"),
    "700": ("013", " 2", "abcdefghijklmnopqrstux0345678", "cegijkmnp045"),
    "765": ("01", " 8", "abcdghikmnorstuwxyz4678", "gikmnorwz48"),
    "767": ("01", " 8", "abcdghikmnorstuwxyz4678", "gikmnorwz48"),
    "775": ("01", " 8", "abcdefghikmnorstuwxyz4678", "gikmnorwz48"),
    "776": ("01", " 8", "abcdghikmnorstuwxyz4678", "gikmnorwz48"),
}
CONTROL = {"001", "003", "005", "008"}
SOURCED = {"336": "rdacontent", "337": "rdamedia", "338": "rdacarrier"}
TERMS = {"336": ("text", "txt"), "337": ("unmediated", "n"), "338": ("volume", "nc")}
ROMANISED = re.compile("[\ufe20\ufe21\u0361ĭĖėʹʺ]")
CYRILLIC = re.compile("[\u0400-\u04ff]")
LANGUAGES = {"eng", "fre", "ger", "ita", "pol", "por", "rus", "spa", "ukr"}
RELATORS = {"aut": "author.", "trl": "translator."}
BEFORE = {
    # tag and subfield: the signs that ISBD puts before it
    ("240", "l"): (".", "?", "!"),
    ("245", "b"): (" :", " =", " ;"),
    ("245", "c"): (" /",),
    ("264", "b"): (" :",),
    ("264", "c"): (",",),
    ("300", "b"): (" :",),
    ("300", "c"): (" ;",),
    ("490", "v"): (" ;",),
    ("100", "e"): (",", "-"),
    ("700", "e"): (",", "-"),
}
DOUBLED = re.compile(r"(?<!\.)\.\.(?!\.)|,,|[?!]\.|\. \.")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xa0\xad\u200b-\u200f\u2028\u2029\ufeff\ue000-\uf8ff]")
PRINTED = re.compile("[\u2013\u2014\u2018\u2019\u201c\u201d\u2026]")
ALPHABET = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіѣѳѵ"
ROMANISED_AS = (
    "a b v g d e ë zh z i ĭ k l m n o p r s t u f kh t\ufe20s\ufe21 ch sh shch ʺ y ʹ ė i\ufe20u\ufe21 "
    "i\ufe20a\ufe21 ī i\ufe20e\ufe21 ḟ ẏ"
)
ALA_LC = dict(zip(ALPHABET, ROMANISED_AS.split(" "), strict=True))
"""The Library of Congress's table for Russian, set down here a second time."""
ESTABLISHED = {("100", "a"), ("700", "a"), ("765", "a"), ("767", "a"), ("775", "a")}
"""Names, which stand as libraries know them, not letter for letter."""
SLIM_LEADER = r"[\d ]{5}[\dA-Za-z ][\dA-Za-z][\dA-Za-z ]{3}(2| )(2| )[\d ]{5}[\dA-Za-z ]{3}(4500|    )"
SLIM = "{http://www.loc.gov/MARC21/slim}"


@dataclass(frozen=True, slots=True)
class Field:
    tag: str
    indicators: str
    parts: list[tuple[str, str]]
    data: str = ""

    def get(self, code: str) -> str:
        return next((value for each, value in self.parts if each == code), "")


def fields(record: bytes) -> tuple[str, list[Field]]:
    """Leader and fields as the directory says they lie; raises ``ValueError`` where it lies itself."""
    leader = record[:24].decode("ascii")
    if int(leader[:5]) != len(record) or not record.endswith(FIELD_END + RECORD_END):
        raise ValueError("the length in the leader is not the record's")
    base = int(leader[12:17])
    directory = record[24 : base - 1]
    if record[base - 1 : base] != FIELD_END or len(directory) % 12:
        raise ValueError("the directory does not end where the data begin")
    found, at = [], 0
    for start in range(0, len(directory), 12):
        entry = directory[start : start + 12].decode("ascii")
        tag, length, offset = entry[:3], int(entry[3:7]), int(entry[7:])
        if offset != at:
            raise ValueError(f"{tag} does not begin where the field before it ends")
        body, at = record[base + offset : base + offset + length], offset + length
        if not body.endswith(FIELD_END) or body.count(FIELD_END) != 1:
            raise ValueError(f"{tag} does not end with its terminator")
        found.append(_field(tag, body[:-1]))
    if base + at + 1 != len(record):
        raise ValueError("something lies behind the last field")
    return leader, found


def _field(tag: str, body: bytes) -> Field:
    if tag < "010":
        return Field(tag, "", [], body.decode("utf-8"))
    head, *pieces = body.split(SUBFIELD)
    if len(head) != 2:
        raise ValueError(f"{tag} has no two indicators")
    texts = [piece.decode("utf-8") for piece in pieces]
    return Field(tag, head.decode("ascii"), [(text[:1], text[1:]) for text in texts])


def faults(record: bytes) -> list[str]:
    """Whatever breaks a rule, each as a sentence; empty for a record that keeps them all."""
    try:
        leader, found = fields(record)
    except (ValueError, UnicodeDecodeError) as error:
        return [str(error)]
    return [
        *_leader(leader, found),
        *_order(found),
        *(fault for each in found for fault in _one(each)),
        *_fixed(found),
        *_twins(found),
        *_together(found),
    ]


def _leader(leader: str, found: list[Field]) -> Iterator[str]:
    if not re.fullmatch(r"\d{5}[acdnp]a[m] a22\d{5}[ 1234578uz][ acinu][ abc]4500", leader):
        yield f"leader {leader!r}"
    if leader[17] == " " and "300" not in {each.tag for each in found}:
        yield "full level without an extent"


def _order(found: list[Field]) -> Iterator[str]:
    tags = [each.tag for each in found]
    if tags != sorted(tags):
        yield "fields are not in the order of their tags"
    for needed in ("001", "005", "008", "245", "264", "336", "337", "338"):
        undated = needed == "264" and any(each.tag == "008" and each.data[6:7] == "n" for each in found)
        if needed not in tags and not undated:
            yield f"{needed} is missing"
    for tag in set(tags):
        if tags.count(tag) > 1 and tag not in REPEATED:
            yield f"{tag} comes twice"


def _one(each: Field) -> Iterator[str]:
    if each.tag in CONTROL:
        if each.tag == "005" and not re.fullmatch(r"\d{14}\.\d", each.data):
            yield f"005 {each.data!r}"
        return
    tag = real(each)
    if tag not in RULES:
        yield f"{each.tag} ({tag}) is not known here"
        return
    first, second, allowed, again = RULES[tag]
    if each.indicators[0] not in first or each.indicators[1] not in second:
        yield f"{each.tag} has indicators {each.indicators!r}"
    codes = [code for code, _ in each.parts]
    for code in set(codes):
        if code not in allowed or code == " ":
            yield f"{each.tag} has ${code}"
        elif codes.count(code) > 1 and code not in again:
            yield f"{each.tag} has ${code} twice"
    for code, value in each.parts:
        if not value or value != value.strip() or "  " in value:
            yield f"{each.tag} ${code} is {value!r}"
        if each.tag != "880" and CYRILLIC.search(value):
            yield f"{each.tag} ${code} is Cyrillic"
        if UNSEEN.search(value) or PRINTED.search(value) or value != unicodedata.normalize("NFC", value):
            yield f"{each.tag} ${code} has signs that a catalogue does not write: {value!r}"
        if DOUBLED.search(value):
            yield f"{each.tag} ${code} has a sign twice: {value!r}"
        if code == "4" and RELATORS.get(value) != each.get("e"):
            yield f"{each.tag} $4 {value!r} is not $e {each.get('e')!r}"
    if "6" in codes and codes[0] != "6":
        yield f"{each.tag}: $6 is not the first"
    yield from _signs(each)
    yield from _special(each)


def real(each: Field) -> str:
    """The tag by whose rules a field is written: an 880 follows the field that it says again."""
    return each.get("6")[:3] if each.tag == "880" else each.tag


def _signs(each: Field) -> Iterator[str]:
    """ISBD's signs between the subfields and at the end, and which kind of name it is."""
    tag, last = real(each), each.parts[-1][1]
    for (_, before), (code, _) in pairwise(each.parts):
        wanted = BEFORE.get((tag, code))
        if wanted and not before.endswith(wanted):
            yield f"{each.tag} {tag} has {before!r} before ${code}"
    if tag in ("245", "264", "520", "546") and not last.endswith((".", "?", "!", "]", ")", "-")):
        yield f"{each.tag} {tag} ends with {last[-9:]!r}"
    if tag == "505" and not last.endswith((".", "?", "!", " --")):
        yield f"{each.tag} 505 ends with {last[-9:]!r}"
    if tag in ("240", "490") and last.endswith((".", ";", ",")):
        yield f"{each.tag} {tag} ends with {last[-9:]!r}"
    if tag in ("650", "651") and last.endswith(")."):
        yield f"{each.tag} has a full stop behind a parenthesis"
    if tag in ("100", "700") and (each.indicators[0] == "1") != ("," in each.get("a").rstrip(",")):
        yield f"{each.tag} has {each.indicators!r} for {each.get('a')!r}"
    if tag == "245" and re.search(r"\b\w\. \w\.", each.get("c")):
        yield "245 $c has a space between initials (RDA 1.7.6)"
    if tag == "072" and each.get("2") == "bisacsh" and not re.fullmatch(r"\d{6}", each.get("x")):
        yield f"072 {each.parts} is not taken apart"
    if tag == "263" and not re.fullmatch(r"\d{4}(0[1-9]|1[0-2])", each.get("a")):
        yield f"263 {each.get('a')}"


def _special(each: Field) -> Iterator[str]:
    if each.tag == "020":
        for number in (each.get("a"), each.get("z")):
            if number and not _isbn(number):
                yield f"020 {number} is no ISBN"
    if each.tag in SOURCED and (each.get("2") != SOURCED[each.tag] or each.parts[0][1] != TERMS[each.tag][0]):
        yield f"{each.tag} {each.parts}"
    if each.tag in TERMS and each.get("b") != TERMS[each.tag][1]:
        yield f"{each.tag} $b {each.get('b')!r}"
    if each.tag == "245":
        article = re.match(r"(The|An|A) ", each.get("a"))
        if each.indicators[1] != str(len(article[0]) if article else 0):
            yield f"245 skips {each.indicators[1]} characters of {each.get('a')!r}"
    if each.tag == "240" and re.match(r"(The|An|A) ", each.get("a")) and each.indicators[1] == "0":
        yield "240 begins with an article that is not skipped"
    if each.tag in ("650", "651"):
        if not each.parts[-1][1].endswith((".", ")", "-")):
            yield f"{each.tag} does not end with a full stop"
        for code, value in each.parts:
            if "--" in value or "—" in value:
                yield f"{each.tag} ${code}: {value} is not taken apart"
            if (code == "y") != bool(re.search(r"\d{4}|century", value)):
                yield f"{each.tag} ${code}: {value}"
    if each.tag == "041" and not {value for code, value in each.parts if code in "abdefghjkmn"} <= LANGUAGES:
        yield f"041 {each.parts}"
    if each.tag in ("041",) and (each.indicators[0] == "1") != bool(each.get("h")):
        yield "041 does not say what it was translated from"
    if each.tag in ("765", "767", "775", "776") and not (each.get("t") or each.get("w")):
        yield f"{each.tag} names no title"
    if each.tag in ("765", "767", "775", "776") and (each.indicators[1] == "8") != bool(each.get("i")):
        yield f"{each.tag} says neither by itself nor in $i what it is"


def _isbn(number: str) -> bool:
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(number))
    return bool(re.fullmatch(r"97[89]\d{10}", number)) and weighted % 10 == 0


POSITIONS = (
    # first, behind the last, what may stand there (books)
    (0, 6, r"\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])"),
    (6, 15, r"s\d{4} {4}|nuuuuuuuu|e\d{4}(0[1-9]|1[0-2])(\d\d|  )"),
    (15, 18, r"[a-z]{3}|[a-z]{2} |xx "),
    (18, 22, r"\|{4}|[a-mop ]{4}"),
    (22, 23, r"[ a-gj|]"),
    (23, 24, r"[ abcdfoqrs|]"),
    (24, 28, r"\|{4}|[a-z256 ]{4}"),
    (28, 29, r"[ acfilmosuz|]"),
    (29, 30, r"[01|]"),
    (30, 31, r"[01|]"),
    (31, 32, r"[01|]"),
    (32, 33, r"[ |]"),
    (33, 34, r"[01defhijmpsu|]"),
    (34, 35, r"[ abcd|]"),
    (35, 38, r"[a-z]{3}"),
    (38, 39, r"[ dorsx|]"),
    (39, 40, r"[ cdu|]"),
)


def _fixed(found: list[Field]) -> Iterator[str]:
    for each in found:
        if each.tag == "008":
            if len(each.data) != 40:
                yield f"008 has {len(each.data)} characters"
            for start, end, allowed in POSITIONS:
                if not re.fullmatch(allowed, each.data[start:end]):
                    yield f"008/{start:02}-{end - 1:02} is {each.data[start:end]!r}"


def _twins(found: list[Field]) -> Iterator[str]:
    """Each $6 has its counterpart, once, with the same indicators and subfields, in the other script."""
    linked = {
        (each.tag, each.get("6").partition("-")[2]): each for each in found if each.tag != "880" and each.get("6")
    }
    numbers = [number for _, number in linked]
    if len(numbers) != len(set(numbers)) or numbers != sorted(numbers):
        yield f"880 are numbered {numbers}"
    seen = set()
    for each in found:
        if each.tag != "880":
            continue
        link = re.fullmatch(r"(\d{3})-(\d\d)/\(N", each.get("6"))
        if not link or link.groups() in seen:
            yield f"880 {each.get('6')!r}"
            continue
        seen.add(link.groups())
        twin = linked.get((link[1], link[2]))
        if twin is None or twin.get("6") != f"880-{link[2]}":
            yield f"880 {each.get('6')} has no counterpart"
        elif twin.indicators != each.indicators or [c for c, _ in twin.parts] != [c for c, _ in each.parts]:
            yield f"880 {each.get('6')} is not like its counterpart"
        if not any(CYRILLIC.search(value) for _, value in each.parts):
            yield f"880 {each.get('6')} has no Cyrillic"
        if twin is not None:
            yield from _letters(twin, each)
    yield from (f"{tag} $6 {number} leads nowhere" for tag, number in linked.keys() - seen)
    for each in found:
        if each.tag != "880" and not each.get("6") and any(ROMANISED.search(value) for _, value in each.parts):
            yield f"{each.tag} is romanised and has no 880"
    if bool(seen) != any(each.tag == "066" and each.get("c") == "(N" for each in found):
        yield "066 and 880 do not agree"


def _letters(latin: Field, cyrillic: Field) -> Iterator[str]:
    """Whether a field is romanised letter by letter as the table has it; capitals are not looked at."""
    for (code, written), (_, original) in list(zip(latin.parts, cyrillic.parts, strict=False))[1:]:
        wanted = "".join(ALA_LC.get(letter, letter) for letter in original.lower())
        if (latin.tag, code) not in ESTABLISHED and written.lower() != unicodedata.normalize("NFC", wanted):
            yield f"{latin.tag} ${code}: {original!r} is romanised {written!r}"


def _together(found: list[Field]) -> Iterator[str]:
    """Fields that must say the same."""
    by_tag = {each.tag: each for each in found}
    fixed, title = by_tag.get("008"), by_tag.get("245")
    if title and (title.indicators[0] == "1") != ("100" in by_tag):
        yield "245 and 100 do not agree about the entry"
    if fixed and "041" in by_tag and by_tag["041"].get("a") != fixed.data[35:38]:
        yield "041 and 008 name two languages"
    if fixed and "264" in by_tag and fixed.data[7:11] not in by_tag["264"].get("c") and fixed.data[6] == "s":
        yield "264 and 008 name two years"
    extent = by_tag.get("300")
    if extent and ("490" in by_tag) != extent.parts[-1][1].endswith("."):
        yield "300 ends with a full stop before a series alone"
    if fixed and extent and ("illustration" in extent.get("b")) != (fixed.data[18] == "a"):
        yield "008 and 300 do not agree about illustrations"
    if "041" in by_tag and not {"240", "765"} <= by_tag.keys():
        yield "a translation without the title of the original"


def slim_faults(text: bytes) -> list[str]:
    """What the schema of MARCXML (slim, version 1.2) would refuse."""
    root = ElementTree.fromstring(text)
    [record] = root.findall(f"{SLIM}record")
    wrong = [] if root.tag == f"{SLIM}collection" else [root.tag]
    names = [each.tag.removeprefix(SLIM) for each in record]
    order = ["leader", "controlfield", "datafield"]
    if names != sorted(names, key=order.index) or names.count("leader") != 1:
        wrong.append(f"elements {names}")
    leader = record.findtext(f"{SLIM}leader") or ""
    if not re.fullmatch(
        r"[\d ]{5}[\dA-Za-z ][\dA-Za-z][\dA-Za-z ]{3}(2| )(2| )[\d ]{5}[\dA-Za-z ]{3}(4500|    )", leader
    ):
        wrong.append(f"leader {leader!r}")
    for each in record:
        tag = each.get("tag", "")
        if each.tag == f"{SLIM}controlfield" and not re.fullmatch("00[1-9A-Za-z]", tag):
            wrong.append(f"controlfield {tag}")
        if each.tag == f"{SLIM}datafield":
            marks = each.get("ind1", "") + each.get("ind2", "")
            if not re.fullmatch(r"(0[1-9]\d|[1-9]\d\d)", tag) or not re.fullmatch(r"[\da-z ]{2}", marks):
                wrong.append(f"datafield {tag} {marks!r}")
            codes = [part.get("code", "") for part in each if part.tag == f"{SLIM}subfield"]
            if not codes or len(codes) != len(each) or not all(re.fullmatch(r"[\da-z]", code) for code in codes):
                wrong.append(f"{tag} {codes}")
    return wrong
