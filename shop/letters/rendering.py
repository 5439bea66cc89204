"""From rows of the outbox to a message that a mail server takes: words, languages, headers."""

from __future__ import annotations

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from email import message_from_string
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from stdnum import isbn

from shop.errors import MailRefused
from shop.letters.models import SHOPKEEPER, Letter
from shop.markets import country_name, unbroken, write_date, write_moment, write_money, write_number
from shop.money import Currency, Money
from shop.settings import ROOT

WIDTH = 76  # columns of the plain text; addresses of pages are never broken
SUBJECT_LENGTH = 200
# Seven-bit transfer encodings only: a relay need not know 8BITMIME.
POLICY = SMTP.clone(cte_type="7bit")


class Renderer:
    """Writes letters. ``romanise`` brings a Cyrillic title into Latin letters for catalogues, ``attached`` answers
    the bytes of a fact of a context's ``attachments`` (each with a ``name`` and a media ``type``).

    Each kind has ``letters/{kind}.txt`` with the blocks ``subject`` and ``body``, and ``letters/{kind}.html``
    with the block ``body``; ``letters/_frame.*`` is around them. Templates see the row's context and the
    functions ``address_of`` (path → address), ``link_to`` (path → link) and ``romanised``, and the filters of the
    pages.
    """

    def __init__(
        self,
        shop_url: str,
        mail_from: str,
        romanise: Callable[[str], str],
        templates: Path = ROOT / "templates",
        translations: Path = ROOT / "translations",
        attached: Callable[[Mapping[str, Any]], bytes] | None = None,
    ) -> None:
        self._shop_url = shop_url.rstrip("/")
        self._name, address = parseaddr(mail_from)
        self._address = _ascii_domain(address)
        self._romanise = romanise
        self._templates = templates
        self._translations = translations
        self._attached = attached
        self._environments: dict[str, Environment] = {}

    def message_id(self, letter: Letter) -> str:
        """The same for every repetition of this row, and for no other row of any shop."""
        marks = (letter.kind, letter.id, letter.cause, letter.recipient, letter.copy, letter.owed_at.isoformat())
        digest = hashlib.sha256("|".join(map(str, marks)).encode()).hexdigest()[:12]
        return f"<{letter.kind}.{letter.id}.{digest}@{self._address.rpartition('@')[2]}>"

    def write(self, letters: Sequence[Letter]) -> EmailMessage:
        """One message of one letter, or of several to the same person; raises ``MailRefused`` for no address."""
        first = letters[0]
        environment = self._environment(first.locale)
        parts = [self._part(environment, letter) for letter in letters]
        subject = parts[0]["subject"]
        if len(parts) > 1:
            subject = _one_line(self._block(environment, "letters/_joined.txt", "subject", {"count": len(parts)}))
        subject = foldable(subject)
        frame = {"subject": subject, "parts": parts, "lang": first.locale.replace("_", "-")}
        text = environment.get_template("letters/_frame.txt").render(frame)
        html = environment.get_template("letters/_frame.html").render(frame)

        message = EmailMessage(policy=POLICY)
        message["From"] = Address(self._display_name(environment, first.context), addr_spec=self._address)
        message["To"] = address(first.recipient)
        if answer_to := first.reply_to or (
            "" if first.kind in SHOPKEEPER else _trader(first.context).get("email")
        ):
            message["Reply-To"] = address(answer_to)
        message["Subject"] = subject
        message["Date"] = format_datetime(first.owed_at.astimezone(UTC))
        message["Message-ID"] = first.message_id or self.message_id(first)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(wrapped(text), subtype="plain", charset="utf-8")
        message.add_alternative(html, subtype="html", charset="utf-8")
        for fact in (each for letter in letters for each in letter.context.get("attachments", ())):
            self._attach(message, fact)
        # Last, since attachments put what describes the content so far into a part.
        message["Content-Language"] = frame["lang"]
        return message

    def _attach(self, message: EmailMessage, fact: Mapping[str, Any]) -> None:
        if self._attached is None:
            raise LookupError("there is nothing to attach files from")
        main, _slash, sub = str(fact["type"]).partition("/")
        message.add_attachment(self._attached(fact), maintype=main, subtype=sub, filename=_one_line(fact["name"]))

    def _part(self, environment: Environment, letter: Letter) -> dict[str, str]:
        name, context = f"letters/{letter.kind}", dict(letter.context)
        return {
            "subject": _one_line(self._block(environment, f"{name}.txt", "subject", context)),
            "text": self._block(environment, f"{name}.txt", "body", context).strip("\n"),
            "html": unbroken(self._block(environment, f"{name}.html", "body", context)),
        }

    @staticmethod
    def _block(environment: Environment, name: str, block: str, context: Mapping[str, Any]) -> str:
        template = environment.get_template(name)
        return "".join(template.blocks[block](template.new_context(dict(context))))

    def _display_name(self, environment: Environment, context: Mapping[str, Any]) -> str:
        default = self._block(environment, "letters/_joined.txt", "sender", {})
        return _one_line(self._name or _trader(context).get("name") or default)[:78]

    def _environment(self, locale: str) -> Environment:
        if locale not in self._environments:
            self._environments[locale] = self._prepare(locale)
        return self._environments[locale]

    def _prepare(self, locale: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self._templates),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        words: NullTranslations = Translations.load(self._translations, [locale])
        environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]
        environment.filters.update(
            money=lambda fact: write_money(Money(fact["amount"], Currency(fact["currency"])), locale),
            number=lambda number: write_number(number, locale),
            day=lambda told: write_date(_day(told), locale),
            moment=lambda instant, form="medium": write_moment(datetime.fromisoformat(instant), locale, form),
            country=lambda code: country_name(code, locale),
            isbn=isbn.format,
            unbroken=lambda told: Markup(unbroken(str(escape(told)))),  # noqa: S704 - escaped
        )
        environment.globals.update(
            address_of=lambda path: self._shop_url + path,
            link_to=lambda path: Markup('<a href="{0}">{0}</a>').format(self._shop_url + path),
            romanised=self._romanise,
            language=locale.partition("_")[0],
        )
        return environment


def address(typed: str) -> Address:
    """A header's address; raises ``MailRefused`` for what is none, such as one with a line break in it."""
    if not re.fullmatch(r"[^\s<>,;:\"()\[\]\\@\x00-\x1f\x7f]+@[^\s<>,;:\"()\[\]\\@\x00-\x1f\x7f]+", typed):
        raise MailRefused(f"not an e-mail address: {typed[:100]!r}")
    return Address(addr_spec=_ascii_domain(typed))


def _ascii_domain(typed: str) -> str:
    """Mail servers want a domain such as ``почта.рф`` in its ASCII form (RFC 5890)."""
    local, _at, domain = typed.rpartition("@")
    if domain.isascii():
        return typed
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise MailRefused(f"not an e-mail address: {typed[:100]!r}") from error


def foldable(subject: str) -> str:
    """A subject that arrives as it was sent.

    Where a header's line is broken before a word that has to be encoded, Python leaves a second space (RFC 2047,
    section 6.2, says which spaces count): there the space becomes a non-breaking one and belongs to the word.
    """
    folded = POLICY.header_factory("Subject", subject).fold(policy=POLICY)
    if message_from_string(folded, policy=POLICY)["Subject"] == subject:
        return subject
    return re.sub(r"(?<=[!-~]) (?=\S*[^\x00-\x7f])", "\u00a0", subject)


def _one_line(text: str) -> str:
    """Fit for a header: no line breaks, no control characters, not endless."""
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    # Non-breaking spaces stay: they are part of how sums and dates are written.
    line = re.sub(r"[ ]+", " ", visible).strip()
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1] + "…"


def wrapped(text: str) -> str:
    """Plain text in lines of a readable length, each as far indented as it began, at most one blank in a row."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip(" ")
        if not bare:
            if lines and lines[-1]:
                lines.append("")
            continue
        indent = " " * (len(line) - len(line.lstrip(" ")))
        lines += textwrap.wrap(
            bare,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines).strip("\n") + "\n"


def _day(told: str) -> date:
    """A day (``2026-12-01``) or an instant, as contexts hold them."""
    return date.fromisoformat(told) if len(told) == len("2026-12-01") else datetime.fromisoformat(told)


def _trader(context: Mapping[str, Any]) -> Mapping[str, str]:
    facts = context.get("trader")
    return facts if isinstance(facts, dict) else {}
