"""What a typesetter does without being asked: quotation marks, dashes, spaces that keep, phrases in another language.

Only what follows from the letters alone is done here, in English and in Russian (Мильчин, «Справочник издателя и
автора», ch. 3 and 6; Hart’s Rules, ch. 4 and 9); the rest is up to whoever writes. Setting what is set already changes
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape, unescape

NBSP = "\u00a0"
OPENING = {"en": {"", *" \t\n([{“‘—–-/", NBSP}, "ru": {"", *" \t\n([{«„—–-/", NBSP}}
QUOTES = {"en": ("“”", "‘’"), "ru": ("«»", "„“")}
CYRILLIC = "А-Яа-яЁё"
SHORT = "(?i:[авикосуюя]|во|да|до|за|из|ко|на|не|ни|но|об|от|по|со|без|для|над|под|при)"
"""Words that do not end a line: prepositions, conjunctions, «не» and «ни»."""
MONTHS = {
    "en": "January|February|March|April|May|June|July|August|September|October|November|December",
    "ru": "января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря",
}
UNITS = {
    "en": r"(?:g|kg|mm|cm|m|km|pp?|pages?|copies|(?:working )?days?|months?|years?|per cent|million|thousand)\b",
    "ru": (
        r"(?:(?:г|гг|кг|мм|см|км|с|стр|руб|коп|тыс|млн|млрд)\b|[%£$€₽]|год|лет\b|век|месяц|недел|дн|день|час|минут|"
        r"рабоч|тысяч|миллион|страниц|экземпляр|процент)"
    ),
}
Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _rules(*pairs: tuple[str, str]) -> list[Rule]:
    return [(re.compile(pattern), with_) for pattern, with_ in pairs]


BOTH = _rules(
    (r"\.\.\.", "…"),
    # Years alone: other hyphens between figures may be numbers of books or telephones.
    (r"(?<![\d\-–])((?:1[5-9]|20)\d\d)-(\d{4}|\d\d)(?![\d\-–])", "\\1–\\2"),
    (r"№ ?(?=\d)", f"№{NBSP}"),
    (r"§ ?(?=\d)", f"§{NBSP}"),
    (r"(?<!\w)([A-ZА-ЯЁ]\.) ?(?=[A-ZА-ЯЁ]\. ?[A-ZА-ЯЁ])", f"\\1{NBSP}"),
    (r"(?<!\w)([A-ZА-ЯЁ]\.) (?=[A-ZА-ЯЁ])", f"\\1{NBSP}"),
    (r"\bISBN (?=\d)", f"ISBN{NBSP}"),
    # The two halves of a British postcode.
    (r"\b([A-Z]{1,2}\d[A-Z\d]?) (?=\d[A-Z]{2}\b)", f"\\1{NBSP}"),
    # The number of a house, a volume, a page keeps to the name after it.
    (r"(?<![\w.,:–-])(\d{1,3}) (?=[A-ZА-ЯЁ][a-zа-яё])", f"\\1{NBSP}"),
)
SET: dict[str, list[Rule]] = {
    "en": [
        *BOTH,
        *_rules(
            (rf"(?<=\S)[ {NBSP}](?:--?|–|—) ", f"{NBSP}– "),
            (r"(?<=\w)—(?=\w)", f"{NBSP}– "),
            (r"(?<![\w’'])(a|A|I) ", f"\\1{NBSP}"),
            (r"(?<!\w)([Pp]p?|[Nn]o|[Vv]ols?|[Cc]h|Prof|Dr|Mrs?|Ms|St)\. (?=[\dA-Z])", f"\\1.{NBSP}"),
            (rf"(?<=\d) (?={UNITS['en']})", NBSP),
            (rf"(?<!\d)(\d\d?) (?=(?:{MONTHS['en']})\b)", f"\\1{NBSP}"),
            (rf"\b({MONTHS['en']}) (?=\d\d?(?!\d))", f"\\1{NBSP}"),
        ),
    ],
    "ru": [
        *BOTH,
        *_rules(
            (rf"(?<=\S)[ {NBSP}](?:--?|–|—) ", f"{NBSP}— "),
            (r"^(?:-|–|—) ", f"—{NBSP}"),
            (rf"(?<![\w-])({SHORT}) ", f"\\1{NBSP}"),
            (r" (?=(?:ли|ль|же|ж|бы|б)(?!\w))", NBSP),
            (r"(?<!\w)(т)\. ?(?=[депкн]\.)", f"\\1.{NBSP}"),
            (r"(?<!\w)(с|стр|т|вып|гл|рис|им|ул|г)\. ?(?=[\dА-ЯЁ])", f"\\1.{NBSP}"),
            (rf"(?<=\d) (?={UNITS['ru']})", NBSP),
            (rf"(?<!\d)(\d\d?) (?=(?:{MONTHS['ru']})\b)", f"\\1{NBSP}"),
        ),
    ],
}

ADDRESS = r"[^\s<>]+@[^\s<>]+|https?://[^\s<>]+"
WORD = r"(?![^\s<>]*@)[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ\d’'.\-]*"
FOREIGN = {
    # What is foreign to a language: words of the other alphabet with what stands between them.
    "en": re.compile(rf"{ADDRESS}|(«?[{CYRILLIC}][{CYRILLIC}\d-]*(?:[\s,:—–]+[{CYRILLIC}][{CYRILLIC}\d-]*)*»?)"),
    "ru": re.compile(
        rf"{ADDRESS}|({WORD}(?:[\s{NBSP}]*[,:;&–/][\s{NBSP}]*(?:\d{{1,3}}[\s{NBSP}]+)?{WORD}|"
        rf"[\s{NBSP}]+(?:{WORD}|\d[\dA-Z:–]*))*)"
    ),
}
OTHER = {"en": "ru", "ru": "en"}
OURS = frozenset({"ISBN", "RR", "PDF", "EPUB", "MARC"})
"""Letters that both languages read in their own way."""
LETTERS = re.compile(r"[^\W\d_]+")
TOKEN = re.compile(r"(<[^>]*>)")
HELD = re.compile(r"(<[^>]*>|\]\([^)]*\)|%\(\w+\)[sd]|\{\w*\})")
"""What is not a text's own words: tags, where a link leads, placeholders."""
ANYTHING, WHOLE = 0xE000, 0xE800  # private letters that stand for what is held; the second kind for whole numbers
NAME = re.compile(r"</?([a-z0-9]+)")
LANG = re.compile(r'\slang="([^"]*)"')
INLINE = frozenset({"a", "abbr", "cite", "em", "i", "span", "strong", "time", "code"})
VOID = frozenset({"br", "hr"})
AS_TYPED = frozenset({"code", "pre"})


class _Quotes:
    """Which quotation marks are open, and what stands before the next letter."""

    def __init__(self) -> None:
        self.open = 0
        self.before = ""

    def curl(self, text: str, language: str) -> str:
        told = []
        for place, letter in enumerate(text):
            after = text[place + 1 : place + 2]
            mark = self._mark(letter, after, language)
            self.before = mark
            told.append(mark)
        return "".join(told)

    def _mark(self, letter: str, after: str, language: str) -> str:
        opens = self.before in OPENING[language]
        if letter == '"':
            if opens:
                self.open += 1
                return QUOTES[language][min(self.open, 2) - 1][0]
            self.open = max(0, self.open - 1)
            return QUOTES[language][min(self.open, 1)][1]
        if letter == "'" and language == "en":
            return "‘" if opens and after.isalpha() else "’"
        return letter


def set_text(text: str, language: str) -> str:
    """A line of plain text as its language is printed; other languages than ours stay as they are."""
    return _set(text, language, _Quotes()) if language in SET else text


def keep_together(text: str, language: str) -> str:
    """A translated text, placeholders and all, with its dashes and the spaces that keep; other languages than ours
    stay as they are. Quotation marks are up to the translator."""
    if language not in SET:
        return text
    parts = HELD.split(text)
    marks = [chr((WHOLE if part.endswith(")d") else ANYTHING) + place) for place, part in enumerate(parts[1::2])]
    marked = "".join(part + mark for part, mark in zip(parts[::2], [*marks, ""], strict=True))
    for pattern, with_ in SET[language]:
        marked = pattern.sub(with_, marked)
    marked = re.sub(f"(?<=[{chr(WHOLE)}-\uf8ff]) (?={UNITS[language]})", NBSP, marked)
    held = dict(zip(marks, parts[1::2], strict=True))
    return "".join(held.get(letter, letter) for letter in marked)


def set_phrase(text: str, language: str) -> str:
    """A line of plain text as HTML, with phrases in the other alphabet marked as such."""
    return set_html(escape(text, quote=False), language)


def set_html(html: str, language: str) -> str:
    """Well-formed HTML with its text set; what says its own ``lang`` is set as that, code not at all."""
    return "".join(_setting(html, language))


def _setting(html: str, language: str) -> Iterator[str]:
    spoken, quotes = [language], _Quotes()
    as_typed = 0
    for token in TOKEN.split(html):
        if not token.startswith("<"):
            plain = as_typed or spoken[-1] not in SET
            yield token if plain else "".join(_set_run(unescape(token), spoken[-1], quotes))
            continue
        yield token
        named = NAME.match(token)
        if named is None:
            continue
        name, closing = named[1], token.startswith("</")
        if name not in INLINE:
            quotes = _Quotes()
        if name in VOID:
            continue
        if name in AS_TYPED:
            as_typed += -1 if closing else 1
        if closing:
            if len(spoken) > 1:
                spoken.pop()
        else:
            told = LANG.search(token)
            spoken.append(told[1] if told else spoken[-1])


def _set_run(text: str, language: str, quotes: _Quotes) -> Iterator[str]:
    """One run of text between tags as HTML; phrases in the other alphabet get a ``span`` that says so."""
    other, done = OTHER[language], 0
    for found in FOREIGN[language].finditer(text):
        phrase = found[1]
        if phrase is None or OURS.issuperset(LETTERS.findall(phrase)):
            continue
        yield escape(_set(text[done : found.start()], language, quotes), quote=False)
        yield f'<span lang="{other}">{escape(_set(phrase, other, _Quotes()), quote=False)}</span>'
        quotes.before, done = phrase[-1], found.end()
    yield escape(_set(text[done:], language, quotes), quote=False)


def _set(text: str, language: str, quotes: _Quotes) -> str:
    for pattern, with_ in SET[language]:
        text = pattern.sub(with_, text)
    return quotes.curl(text, language)
