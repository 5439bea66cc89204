"""What letters say and how they are written: every kind in every language, as text and as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shop.bibliography.romanisation import ala_lc
from shop.database import transact
from shop.errors import MailRefused
from shop.letters.models import SHOPKEEPER, Kind, Letter
from shop.letters.rendering import POLICY, Renderer, foldable, wrapped
from shop.orders.models import Worry
from shop.orders.snapshot import order_facts
from shop.settings import ROOT
from tests.client import Page
from tests.factories import Catalogue, make_order

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LOCALES = ("en_GB", "en_US", "ru")
ENGLISH_TITLE = "The Russian Revolution in Retreat, 1920–24: Soviet Workers and the New Communist Elite"
RUSSIAN_TITLE = "Русская революция в отступлении"
LATIN_IN_RUSSIAN = {
    "INV",
    "ISBN",
    "PO",
    "pdf",
    "ABCDEFGH",
    "GBP",
    "USD",
    "Stripe",
    "SAN",
    "GLN",
    "MARC",
    "RR",
    "LB",
}


def sum_of(amount: int, currency: str = "GBP") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def context(locale: str, **changes: Any) -> dict[str, Any]:
    """Sample facts of an order, of a library's request and of a worry, personal words in the reader's letters."""
    russian = locale == "ru"
    trader = {
        "name": "Лавка на Долгой" if russian else "Long Lane Books",
        "address": "Долгая улица, 1\nЛондон" if russian else "1 Long Lane\nLondon",
        "email": "help@longlane.example",
        "phone": "+44 20 7946 0000",
        "vat_number": "123 4567 89",
    }
    lines = [
        {
            "slug": "paperback",
            "title": ENGLISH_TITLE,
            "name": "Мягкая обложка" if russian else "Paperback",
            "names": {"en": "Paperback", "ru": "Мягкая обложка"},
            "language": "en",
            "isbn": "9780415546416",
            "quantity": 2,
            "unit": sum_of(2200),
            "amount": sum_of(4400),
        },
        {
            "slug": "russian",
            "title": RUSSIAN_TITLE,
            "name": "Русское издание" if russian else "Russian edition",
            "names": {"en": "Russian edition", "ru": "Русское издание"},
            "language": "ru",
            "isbn": None,
            "quantity": 1,
            "unit": sum_of(1800),
            "amount": sum_of(1800),
        },
    ]
    return {
        "number": "RR-12345678",
        "ticket": "LB-12345678",
        "path": "/en-gb/orders/secret",
        "url": "http://shop.example/en-gb/orders/secret",
        "market": "ru-gb" if russian else "en-gb",
        "placed_at": "2026-11-22T12:00:00+00:00",
        "paid_at": "2026-11-22T12:05:00+00:00",
        "posted_at": "2026-11-23T09:00:00+00:00",
        "lines": lines,
        "books": sum_of(6200),
        "postage": sum_of(350),
        "total": sum_of(6550),
        "refund": sum_of(1800),
        "full": False,
        "email": "reader@mail.example",
        "address_lines": ["Анна Ильина", "Садовая, 5"] if russian else ["Anne Reader", "5 Garden Road"],
        "country": "GB",
        "purchase_order": "4711",
        "note": "Подпишите,\nпожалуйста" if russian else "Please\nsign it",
        "min_days": 2,
        "max_days": 4,
        "dispatch_days": 2,
        "carrier": "Почта" if russian else "Royal Mail",
        "tracking": "123456789",
        "worry": "dispute",
        "details": sum_of(6550) | {"due_by": "2026-12-01T00:00:00+00:00"},
        "trader": trader,
        "request": "order",
        "edition": {
            "slug": "russian",
            "title": RUSSIAN_TITLE,
            "language": "ru",
            "isbn": None,
            "publisher": "Новый хронограф",
            "published": "2013",
        },
        "quantity": 3,
        "institution": "Университет" if russian else "University",
        "department": "Отдел" if russian else "Library",
        "contact_name": "Иван Ильин" if russian else "Ivan Reader",
        "phone": "123",
        "delivery_address": "Улица, 1\nГород" if russian else "1 Road\nTown",
        "invoice_address": "Улица, 2" if russian else "2 Road",
        "invoice_email": "invoices@uni.example",
        "own_reference": "17",
        "payment_route": "по счёту" if russian else "by invoice",
        "currency": "GBP",
        "vat_number": "123",
        "tax_exempt": True,
        "vendor_forms": "анкета" if russian else "W-8BEN-E",
        "san": "12345",
        "deadline": "2026-12-24",
        "marc_wanted": True,
        "notes": "Спасибо\nзаранее" if russian else "Thank\nyou",
        "supplier": {
            "name": "Распространитель" if russian else "Index Books",
            "email": "sales@index.example",
            "phone": "",
        },
        "paper": {
            "kind": "invoice",
            "number": "INV-00001",
            "total": sum_of(5750),
            "valid_until": "2026-12-22",
            "due_on": "2026-12-22",
            "paid_on": None,
            "about": "INV-00002",
            "pay_path": "/en-gb/libraries/secret/invoices/INV-00001",
        },
        "sum": sum_of(5750),
        "arrived_on": "2026-12-01",
        "overdue": False,
        "posted_copies": 2,
        "to_follow": 1,
        "joined_to": "LB-ABCDEFGH",
        "files": ["PO-17.pdf"],
        "answer_path": "/distributor/secret",
        "seen": False,
        "reason": "silent",
        "line": "Нет в наличии" if russian else "Sold out",
        "inviter": "Вера" if russian else "Vera",
        "until": "2026-12-01T12:00:00+00:00",
        "new": True,
        "code": "72649835",
        "name": "Анна Ильина" if russian else "Anne Reader",
        "which": "Только одна\nиз двух" if russian else "Only one\nof the two",
        "stated_at": "2026-11-28T12:00:00+00:00",
        "due_on": "2026-12-12",
        **changes,
    }


def letter(kind: Kind, locale: str = "en_GB", **changes: Any) -> Letter:
    values = {
        "id": 7,
        "kind": kind,
        "cause": "payment:1",
        "copy": 0,
        "recipient": "reader@mail.example",
        "reply_to": "",
        "locale": locale,
        "context": context(locale),
        "owed_at": NOW,
        "message_id": "",
    }
    return Letter(**{**values, **changes})


@pytest.fixture
def renderer() -> Renderer:
    return Renderer("http://shop.example", "Bookstall <shop@bookstall.example>", ala_lc)


def bodies(message: EmailMessage) -> tuple[str, str]:
    """Text and HTML, as a mail program reads them from the wire."""
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    text, html = read.get_body(("plain",)), read.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def bare(text: str) -> str:
    """White space joined, so that line breaks do not matter."""
    return " ".join(text.split())


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_letter_can_be_written_in_every_language(kind: Kind, locale: str, renderer: Renderer) -> None:
    message = renderer.write([letter(kind, locale)])
    text, html = bodies(message)
    page = Page(html)
    subject = str(message["Subject"])
    assert subject
    assert page.title == subject
    assert page.language == locale.replace("_", "-")
    assert message["Content-Language"] == locale.replace("_", "-")
    assert "{{" not in text + html
    assert "None" not in text + html
    said, shown = bare(text), bare(page.text)
    for sentence in re.findall(r"[^.!?:]{25,}[.!?]", said)[:3]:
        assert sentence.strip() in shown


def test_carrier_and_tracking_number_stand_on_lines_of_their_own_in_both_bodies(renderer: Renderer) -> None:
    text, html = bodies(renderer.write([letter(Kind.LIBRARY_POSTED)]))
    assert re.search(r"^Carrier: .+\nTracking number: 123456789$", text.replace("\r\n", "\n"), re.MULTILINE)
    assert re.search(r"Carrier: [^<]+<br\s*/>\s*Tracking number: 123456789", html)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_address_in_a_letter_is_a_link(kind: Kind, renderer: Renderer) -> None:
    _text, html = bodies(renderer.write([letter(kind)]))
    assert len(re.findall(r">\s*http://", html)) == len(re.findall(r"http://", re.sub(r"<[^>]*>", "", html)))
    assert all(each.text == each.get("href") for each in Page(html).all(".//a") if each.get("href", "")[0] == "h")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_russian_letter_holds_no_english_word(kind: Kind, renderer: Renderer) -> None:
    for worry in [*Worry, "orphan", "unheard_of"] if kind is Kind.ATTENTION else [Worry.DISPUTE]:
        for changes in ({}, {"supplier": None, "request": "quote"}, {"request": "pro_forma"}, {"full": True}):
            facts = context("ru", worry=str(worry), **changes)
            message = renderer.write([letter(kind, "ru", context=facts)])
            text, html = bodies(message)
            for said in (str(message["Subject"]), text, Page(html).text):
                said = bare(said).replace(ENGLISH_TITLE, "").replace(ala_lc(RUSSIAN_TITLE), "")
                said = re.sub(r"https?://\S+|\S+@\S+", "", said)
                words = set(re.findall(r"[A-Za-z]{2,}", said))
                assert words <= LATIN_IN_RUSSIAN


@pytest.mark.parametrize("kind", list(Kind))
def test_an_english_letter_holds_no_russian_word(kind: Kind, renderer: Renderer) -> None:
    facts = context("en_GB")
    message = renderer.write([letter(kind, context=facts)])
    for said in (str(message["Subject"]), *bodies(message)):
        said = bare(said).replace(RUSSIAN_TITLE, "").replace("Новый хронограф", "")
        assert not re.findall(r"[А-Яа-яЁё]+", said)


def test_the_confirmation_is_a_durable_one(renderer: Renderer) -> None:
    text, _html = bodies(renderer.write([letter(Kind.ORDER_PAID)]))
    said = bare(text)
    for fact in (
        ENGLISH_TITLE,
        RUSSIAN_TITLE,
        "ISBN 978-0-415-54641-6",
        "£22.00 a copy, £44.00 in all",
        "Postage: £3.50",
        "Total: £65.50",
        "within 2 working days",
        "2–4 working days to arrive",
        "Anne Reader 5 Garden Road United Kingdom",
        "http://shop.example/en-gb/orders/secret",
        "withdraw from this contract within 14 days",
        "the direct cost of sending them back",
        "Model withdrawal form",
        "I/we hereby give notice",
        "Send a complaint",
        "Long Lane Books 1 Long Lane London E-mail: help@longlane.example",
        "VAT number: 123 4567 89",
    ):
        assert fact in said


@pytest.mark.parametrize("locale", LOCALES)
def test_a_parcel_that_may_not_go_where_it_should_is_promised_for_no_day(locale: str, renderer: Renderer) -> None:
    held = letter(Kind.ORDER_PAID, locale)
    ordinary = [bare(each) for each in bodies(renderer.write([held]))]
    held.context = held.context | {"held_back": True}
    days, asked = {
        "ru": ("в течение 2 рабочих дней", "можно ли отправить её по указанному"),
    }.get(locale, ("within 2 working days", "whether we may send it to the address"))
    for before, after in zip(ordinary, [bare(each) for each in bodies(renderer.write([held]))], strict=True):
        assert (days in before.replace("\u00a0", " "), asked in before.replace("\u00a0", " ")) == (True, False)
        assert (days in after.replace("\u00a0", " "), asked in after.replace("\u00a0", " ")) == (False, True)


def test_sums_and_days_are_written_as_the_reader_writes_them(renderer: Renderer) -> None:
    said = {locale: bare(bodies(renderer.write([letter(Kind.ORDER_PAID, locale)]))[0]) for locale in LOCALES}
    assert "of 22 November 2026" in said["en_GB"]
    assert "of November 22, 2026" in said["en_US"]
    assert "22 ноября 2026 года" in said["ru"]
    assert "Итого: 65,50 £" in said["ru"]
    text = bodies(renderer.write([letter(Kind.ORDER_PAID, "ru")]))[0]
    assert "65,50\u00a0£" in text
    for days, words in (
        (1, "2–1 рабочий день"),
        (4, "2–4 рабочих дня"),
        (21, "2–21 рабочий день"),
        (10, "2–10 рабочих дней"),
    ):
        facts = context("ru", max_days=days)
        assert words in bare(bodies(renderer.write([letter(Kind.POSTED, "ru", context=facts)]))[0])


def test_headers_say_who_writes_to_whom(renderer: Renderer) -> None:
    message = renderer.write([letter(Kind.ORDER_PAID)])
    assert message["From"] == "Bookstall <shop@bookstall.example>"
    assert message["To"] == "reader@mail.example"
    assert message["Reply-To"] == "help@longlane.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert re.fullmatch(r"<order_paid\.7\.[0-9a-f]{12}@bookstall\.example>", message["Message-ID"])
    librarian = renderer.write([letter(Kind.LIBRARY_ORDER, reply_to="lib@uni.example")])
    assert librarian["Reply-To"] == "lib@uni.example"


def test_without_a_name_in_the_setting_the_seller_signs() -> None:
    plain = Renderer("http://shop.example", "shop@bookstall.example", ala_lc)
    assert plain.write([letter(Kind.ORDER_PAID)])["From"] == "Long Lane Books <shop@bookstall.example>"
    facts = {"number": "RR-12345678", "url": "http://shop.example/x"}
    named = plain.write([letter(Kind.ORDER_LINK, "ru", context=facts)])
    assert named["From"].addresses[0].display_name == "Книжный магазин"


def test_a_repetition_is_the_same_letter_to_the_last_byte_but_its_boundary(renderer: Renderer) -> None:
    def wire() -> bytes:
        return re.sub(rb"=+\d+==", b"", renderer.write([letter(Kind.ORDER_PAID, "ru")]).as_bytes())

    assert wire() == wire()
    first = letter(Kind.ORDER_PAID)
    others = [
        letter(Kind.ORDER_PAID, id=8),
        letter(Kind.ORDER_PAID, copy=1),
        letter(Kind.ORDER_PAID, cause="payment:2"),
        letter(Kind.ORDER_PAID, recipient="other@mail.example"),
    ]
    assert len({renderer.message_id(each) for each in (first, *others)}) == 5


@pytest.mark.parametrize("locale", LOCALES)
def test_what_goes_over_the_wire_is_seven_bit_and_in_short_lines(locale: str, renderer: Renderer) -> None:
    facts = context(locale, note="д" * 3000, address_lines=["Ы" * 900])
    for kind in Kind:
        wire = renderer.write([letter(kind, locale, context=facts)]).as_bytes()
        assert max(len(line) for line in wire.split(b"\r\n")) <= 998
        assert all(byte < 128 for byte in wire)


INJECTION = "Anne\r\nBcc: victim@mail.example\r\n\r\nHello\u2028X-Evil: 1\x00\x1b"


@pytest.mark.parametrize("kind", list(Kind))
def test_no_header_can_be_smuggled_in(kind: Kind, renderer: Renderer) -> None:
    facts = context("en_GB")
    facts["trader"] = facts["trader"] | {"name": INJECTION}
    facts["edition"] = facts["edition"] | {"title": INJECTION}
    facts["supplier"] = facts["supplier"] | {"name": INJECTION}
    facts |= {"number": INJECTION, "ticket": INJECTION, "institution": INJECTION, "notes": INJECTION}
    plain = Renderer("http://shop.example", "shop@bookstall.example", ala_lc)
    for each in (renderer, plain):
        wire = each.write([letter(kind, context=facts)]).as_bytes()
        read = message_from_bytes(wire, policy=policy.default)
        assert read["Bcc"] is None
        assert read["X-Evil"] is None
        assert {name.lower() for name in read} <= {
            *("from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted"),
            *("mime-version", "content-type", "content-language"),
        }
        assert all(ord(char) >= 32 for char in str(read["Subject"]))


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "a b@c.example",
        "nobody",
        "",
        "<a@b.example>",
    ],
)
def test_what_is_no_address_is_refused(address: str, renderer: Renderer) -> None:
    with pytest.raises(MailRefused):
        renderer.write([letter(Kind.ORDER_PAID, recipient=address)])
    if address:
        with pytest.raises(MailRefused):
            renderer.write([letter(Kind.ORDER_PAID, reply_to=address)])


@pytest.mark.parametrize(
    "subject",
    [
        "LB-VT676ZAX: library enquiry, The Russian Revolution in Retreat, 1920–24: Soviet Workers",
        "Order RR-12345678: £22.00 is refunded",
        "Заказ RR-12345678: возврат 22,00 £",
    ],
)
def test_a_subject_arrives_without_a_second_space(subject: str) -> None:
    sent = EmailMessage(policy=POLICY)
    sent["Subject"] = foldable(subject)
    arrived = message_from_bytes(sent.as_bytes(), policy=POLICY)["Subject"]
    assert arrived.replace("\xa0", " ") == subject


def test_a_cyrillic_domain_goes_out_in_its_ascii_form(renderer: Renderer) -> None:
    assert renderer.write([letter(Kind.ORDER_PAID, recipient="lib@почта.рф")])["To"] == "lib@xn--80a1acny.xn--p1ai"


def test_html_in_what_people_type_stays_text(renderer: Renderer) -> None:
    evil = '<script>alert(1)</script><img src="x">'
    facts = context("en_GB", note=evil, notes=evil, institution=evil, address_lines=[evil], carrier=evil)
    for kind in Kind:
        _text, html = bodies(renderer.write([letter(kind, context=facts)]))
        assert "<script" not in html
        assert "<img" not in html


def joined(renderer: Renderer, locale: str, count: int) -> EmailMessage:
    kinds: Sequence[Kind] = [SHOPKEEPER[each % 2] for each in range(count)]
    return renderer.write([letter(kind, locale, id=each) for each, kind in enumerate(kinds)])


@pytest.mark.parametrize(
    ("locale", "count", "subject"),
    [
        ("en_GB", 1, "Order RR-12345678 paid: £65.50"),
        ("en_GB", 3, "3 messages from the shop"),
        ("ru", 2, "2 сообщения из магазина"),
        ("ru", 5, "5 сообщений из магазина"),
        ("ru", 21, "21 сообщение из магазина"),
    ],
)
def test_letters_to_the_shopkeeper_are_joined(locale: str, count: int, subject: str, renderer: Renderer) -> None:
    message = joined(renderer, locale, count)
    assert str(message["Subject"]).replace("\u00a0", " ") == subject
    text, html = bodies(message)
    assert text.count("http://shop.example/admin/orders/RR-12345678") == count
    assert len(Page(html).all(".//h1")) == count


def test_the_paragraphs_of_plain_text_are_wrapped_and_addresses_are_not() -> None:
    long = "word " * 40 + "http://shop.example/" + "x" * 100 + "\n\n\n\n    indented " + "word " * 30
    lines = wrapped(long).splitlines()
    assert max(len(line) for line in lines if "http" not in line) <= 76
    assert any(line == "http://shop.example/" + "x" * 100 for line in lines)
    assert all(line.startswith("    ") for line in lines[lines.index("") + 1 :])
    assert lines.count("") == 1


def test_an_order_tells_all_that_its_letters_need(
    session: Session, catalogue: Catalogue, renderer: Renderer
) -> None:
    order = make_order(session, "ru-us", paperback=1, russian=2, note="Маше")
    facts = transact(session, lambda s: order_facts(s, s.merge(order)))
    text, _html = bodies(renderer.write([letter(Kind.ORDER_PAID, "ru", context=facts)]))
    said = bare(text)
    assert order.number in said
    assert f"http://shop.example/ru-us/orders/{order.token}" in said
    assert "Long Lane Books" in said
    assert "Соединённые Штаты" in said or "Соединенные Штаты" in said
    assert f"Итого: {order.total.to_decimal()} $".replace(".", ",") in said


def test_each_letter_has_its_two_templates_and_no_template_is_left_over() -> None:
    folder = ROOT / "templates" / "letters"
    found = {path.name for path in folder.iterdir() if not path.name.startswith("_")}
    assert found == {f"{kind}.{form}" for kind in Kind for form in ("txt", "html")}


@pytest.mark.parametrize(
    ("cyrillic", "latin"),
    [
        ("Русская революция в отступлении", "Russkai͡a revoli͡ut͡sii͡a v otstuplenii"),
        ("Ёж, щука, объём, эхо, день", "Ëzh, shchuka, obʺëm, ėkho, denʹ"),
        ("Щедрин, ЩИТ, Юлия, Яков, Цена", "Shchedrin, SHCHIT, I͡Ulii͡a, I͡Akov, T͡Sena"),
        ("Новый хронограф", "Novyĭ khronograf"),
        ("Я и Ж", "I͡A i Zh"),
        ("Retreat, 1920–24", "Retreat, 1920–24"),
    ],
)
def test_titles_are_romanised_as_libraries_do_it(cyrillic: str, latin: str) -> None:
    assert ala_lc(cyrillic) == latin


def test_money_whose_order_is_unknown_is_told_without_one(renderer: Renderer) -> None:
    facts = {"number": "", "worry": "orphan", "details": {"amount": 2550}}
    message = renderer.write([letter(Kind.ATTENTION, context=facts)])
    assert message["Subject"] == "A payment needs your attention"
    assert "http://shop.example/admin/money" in bodies(message)[0]


def test_a_dispute_says_until_when_it_can_be_answered(renderer: Renderer) -> None:
    for details, told in (({"due_by": "2026-12-01T12:00:00+00:00"}, True), ({"due_by": ""}, False), ({}, False)):
        facts = {"number": "RR-12345678", "worry": "dispute", "details": details}
        text, _html = bodies(renderer.write([letter(Kind.ATTENTION, context=facts)]))
        assert ("The time runs out on 1\u00a0December 2026." in text) is told


@pytest.mark.parametrize("locale", LOCALES)
def test_no_sentence_of_a_letter_ends_twice(locale: str, renderer: Renderer) -> None:
    for kind in Kind:
        message = renderer.write([letter(kind, locale)])
        for said in (str(message["Subject"]), *bodies(message)):
            assert ".." not in said, kind
