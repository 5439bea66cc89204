"""What the typography filter does to texts that people type, in both languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.content.rendering import to_html
from shop.content.typography import keep_together, set_html, set_phrase, set_text
from tests.test_words import faults, shipped

N = "\u00a0"


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ('Книга "Так"', "Книга «Так»"),
        ('"Статья о "Правде""', f"«Статья о{N}„Правде“»"),
        ("Книга - подарок", f"Книга{N}— подарок"),
        ("Книга -- подарок", f"Книга{N}— подарок"),
        ("- Да", f"—{N}Да"),
        ("Мы не знаем...", f"Мы не{N}знаем…"),
        ("в бочке и на полке", f"в{N}бочке и{N}на{N}полке"),
        ("так ли это, хотел бы он", f"так{N}ли это, хотел{N}бы он"),
        ("№5 и № 7, § 3", f"№{N}5 и{N}№{N}7, §{N}3"),
        ("450 г, 14 дней, 12 мая 2009 года", f"450{N}г, 14{N}дней, 12{N}мая 2009{N}года"),
        ("А. С. Пушкин и т. д.", f"А.{N}С.{N}Пушкин и{N}т.{N}д."),
        ("1920-24 и 1917-1921", "1920–24 и\u00a01917–1921"),
        ("с. 143-160, ISBN 978-0-415-54641-6", f"с.{N}143-160, ISBN{N}978-0-415-54641-6"),
    ],
)
def test_russian_is_set_as_a_russian_typesetter_would(typed: str, set_: str) -> None:
    assert set_text(typed, "ru") == set_


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ('He said "no"', "He said “no”"),
        ("He said \"it's 'so'\"", "He said “it’s ‘so’”"),
        ("the seller's, the '20s", "the seller’s, the ’20s"),
        ("a book - at last", f"a{N}book{N}– at last"),
        ("a book — at last", f"a{N}book{N}– at last"),
        ("wait...", "wait…"),
        ("p. 5, pp. 5, No. 7", f"p.{N}5, pp.{N}5, No.{N}7"),
        ("450 g on 12 May", f"450{N}g on 12{N}May"),
        ("May 12, 2009, and May 2009", f"May{N}12, 2009, and May 2009"),
        ("1 High Street, London EC1A 1BB", f"1{N}High Street, London EC1A{N}1BB"),
        ("Michael C. Hickey", f"Michael C.{N}Hickey"),
        ("RR-12345678, 020-8690", "RR-12345678, 020-8690"),
        ("1920-24", "1920–24"),
    ],
)
def test_english_is_set_as_an_english_typesetter_would(typed: str, set_: str) -> None:
    assert set_text(typed, "en") == set_


@pytest.mark.parametrize(
    ("translated", "kept"),
    [
        ("Письмо на английском, файлы для скачивания", f"Письмо на{N}английском, файлы для{N}скачивания"),
        ("%(num)d рабочий день - %(name)s", f"%(num)d{N}рабочий день{N}— %(name)s"),
        ('см. <a href="%(to)s">в письме</a> о нём', f'см. <a href="%(to)s">в{N}письме</a> о{N}нём'),
        ("[к нам](от a до b) и {name} - да", f"[к{N}нам](от a до b) и{N}{{name}}{N}— да"),
    ],
)
def test_a_translation_gets_spaces_that_keep_and_its_placeholders_stay(translated: str, kept: str) -> None:
    assert keep_together(translated, "ru") == kept
    assert keep_together(kept, "ru") == kept
    assert keep_together(translated, "en-x") == translated


def test_phrases_in_the_other_alphabet_say_their_language() -> None:
    assert set_phrase("издательство Routledge, 2008 год", "ru") == (
        f'издательство <span lang="en">Routledge</span>, 2008{N}год'
    )
    assert set_phrase("Revolutionary Russia 19:2, декабрь", "ru") == (
        '<span lang="en">Revolutionary Russia 19:2</span>, декабрь'
    )
    assert set_phrase("Кому: Long Lane, 1 High Street, London EC1A 1BB, ann@shop.example", "ru") == (
        f'Кому: <span lang="en">Long Lane, 1{N}High Street, London EC1A{N}1BB</span>, ann@shop.example'
    )
    assert set_phrase("by Новый хронограф (Novyi Khronograf)", "en") == (
        'by <span lang="ru">Новый хронограф</span> (Novyi Khronograf)'
    )
    assert set_phrase("Пишите на ann@shop.example, ISBN", "ru") == f"Пишите на{N}ann@shop.example, ISBN"


def test_what_says_its_language_already_is_set_in_it_and_not_marked_again() -> None:
    html = '<p>"Да" <span lang="en">the "Times" - daily</span> и <em>в Лондоне</em></p>'
    assert set_html(html, "ru") == (
        f'<p>«Да» <span lang="en">the “Times”{N}– daily</span> и{N}<em>в{N}Лондоне</em></p>'
    )
    romanised = '<p><span lang="ru-Latn">Novyĭ "khronograf" - v</span></p>'
    assert set_html(romanised, "en") == romanised


def test_code_addresses_and_entities_stay_as_they_are() -> None:
    html = '<p><code>"a" - b...</code> <a href="x?a=1&amp;b=%22">A &lt; B &amp; "C"</a></p>'
    assert set_html(html, "en") == (
        f'<p><code>"a" - b...</code> <a href="x?a=1&amp;b=%22">A{N}&lt; B &amp; “C”</a></p>'
    )


def test_each_paragraph_opens_its_own_quotation_marks() -> None:
    assert set_html('<p>"Раз</p><p>"Два"</p>', "ru") == "<p>«Раз</p><p>«Два»</p>"


@given(st.text(alphabet="абвия ABCя\"'-–—.№5г<&>«»", max_size=40), st.sampled_from(["en", "ru"]))
def test_setting_what_is_set_changes_nothing_and_loses_no_word(text: str, language: str) -> None:
    once = set_phrase(text, language)
    assert set_html(once, language) == once
    assert re.findall(r"\w", re.sub(r"<[^>]*>|&\w+;", "", once)) == re.findall(r"\w", text)


def test_what_people_type_carelessly_comes_out_without_a_fault() -> None:
    for language, typed in (
        ("ru", 'Он сказал - "в и к", №5...\n\nС 5 г и 12 мая, у Routledge.'),
        ("en", 'He said - "it\'s a book"...\n\nOn 12 May, 5 g.'),
    ):
        html = set_html(to_html(typed), language)
        assert faults(re.sub(r"<span lang=\"\w+\">.*?</span>", "…", html), language) == []


def test_texts_that_the_shop_comes_with_need_nothing_but_spaces_that_keep() -> None:
    for language, text in shipped():
        plain = re.sub(r"<span lang=\"\w+\">.*?</span>|\]\([^)]*\)|^[-#>].*$", "", text, flags=re.MULTILINE)
        assert set_text(plain, language).replace(N, " ") == plain.replace(N, " ")
