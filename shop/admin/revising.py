"""Editing at the desk: forms filled from facts, what was changed meanwhile, and the history beneath a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Field, Form, StringField, TextAreaField
from wtforms.validators import ValidationError

from shop import changes
from shop.admin import words
from shop.admin.desk import language
from shop.admin.forms import Required, SumField, at_most
from shop.catalogue.editing import sum_text
from shop.changes import Change
from shop.markets import LANGUAGES

SEEN = "seen"
PREVIEW = "preview"
BREAKS = re.compile(r"[\t\r\n]+")
LONGEST_TEXT = 20_000  # characters; two languages of it fit into what the shop accepts at once


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that somebody else changed meanwhile. ``is_kept``: what was typed here stands in the form."""

    label: str
    value: str
    who: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Past:
    """A change in words."""

    row: Change
    label: str
    before: str
    after: str
    who: str


def clean(value: str | None) -> str:
    """A text without blanks around it, its lines ending in one way."""
    return (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()


def one_line(value: str | None) -> str:
    """A text in one line; its no-break spaces stay."""
    return BREAKS.sub(" ", value or "").strip()


def line_field(label: str, longest: int, *, required: bool = False, **more: Any) -> StringField:
    marks = {"required": True} if required else {}
    checks = [*([Required()] if required else []), at_most(longest)]
    kw = marks | more.pop("render_kw", {})
    return StringField(label, [*checks, *more.pop("checks", [])], filters=[one_line], render_kw=kw)


def text_field(
    label: str,
    rows: int = 4,
    *checks: Any,
    lang: str = "",
    required: bool = False,
    longest: int = LONGEST_TEXT,
    read: Callable[[str | None], str] = clean,
) -> TextAreaField:
    kw = {"rows": str(rows)} | ({"lang": lang} if lang else {}) | ({"required": True} if required else {})
    before = [Required()] if required else []
    return TextAreaField(label, [*before, at_most(longest), *checks], filters=[read], render_kw=kw)


def day_check(_form: Form, field: Field) -> None:
    """A whole date; empty is allowed."""
    if not field.data:
        return
    try:
        fits = date.fromisoformat(field.data).isoformat() == field.data
    except ValueError:
        fits = False
    if not fits:
        raise ValidationError(_("Please write a date such as 2027-03-31."))


def filled(kind: type[Form], facts: Mapping[str, str]) -> Form:
    """A form that shows facts."""
    return kind(MultiDict({name: value for name, value in facts.items() if value}))


def typed(form: Form) -> dict[str, str]:
    """What stands in a form that was found valid, as facts."""
    return {name: _text(field) for name, field in form._fields.items()}


def _text(field: Field) -> str:
    if isinstance(field, BooleanField):
        return "1" if field.data else ""
    if isinstance(field, SumField):
        return sum_text(field.data)
    return "" if field.data is None else str(field.data)


def seen() -> str:
    """How the fields were when the form was opened."""
    return request.form.get(SEEN, "")


def labels(form: Form) -> dict[str, str]:
    """What each field is called, with its language where it is there in several."""
    found = {}
    for name, field in form._fields.items():
        code = name.rpartition("-")[2]
        found[name] = f"{field.label.text} ({code})" if code in LANGUAGES else str(field.label.text)
    return found


def merged(
    session: Session, subject: str, form: Form, facts: Mapping[str, str], named: Mapping[str, str] | None = None
) -> tuple[Form, list[Clash]]:
    """The form once more after somebody else was first, and what he changed.

    What was typed stays; a field that was left alone takes the new value.
    """
    mine, known = typed(form), named or labels(form)
    changed = [name for name in changes.differing(seen(), facts) if name in mine]
    alone = set(changes.untouched(seen(), mine))
    by = changes.latest(session, subject, changed)
    values = {name: facts[name] if name in changed and name in alone else value for name, value in mine.items()}
    clashes = [
        Clash(
            known[name],
            facts[name],
            words.written_actor(by[name].actor) if name in by else "",
            name not in alone and mine[name] != facts[name],
        )
        for name in changed
    ]
    return filled(type(form), values), clashes


def past(session: Session, subjects: Iterable[str], named: Mapping[str, str]) -> Sequence[Past]:
    """The latest changes of some objects in words."""
    return [
        Past(
            row,
            named.get(row.field) or _other(row.field),
            _shown(row.field, row.before),
            _shown(row.field, row.after),
            words.written_actor(row.actor),
        )
        for row in changes.history(session, subjects)
    ]


OTHER = {
    "published": _l("Shown to readers"),
    "position": _l("Place in the list"),
    "cover": _l("Cover"),
    "file": _l("File"),
    "alt": _l("What the picture shows"),
    "made_by": _l("Credit"),
}


def _other(field: str) -> str:
    """What is called a field that stands in no form, with its language where it has one."""
    name, _dash, code = field.partition("-")
    label = str(OTHER.get(name, field))
    return f"{label} ({code})" if name in OTHER and code in LANGUAGES else label


FLAGS = ("published", "contents_complete")


def _shown(field: str, value: str) -> str:
    if field.partition("-")[0] in FLAGS or field.endswith("-on"):
        return str(_("yes") if value else _("no"))
    return value


def in_order() -> list[str]:
    """The languages, that of the reader first."""
    return sorted(LANGUAGES, key=lambda code: code != language())


def missing(facts: Mapping[str, str], parts: Iterable[str]) -> list[str]:
    """The languages in which one of these parts is empty."""
    wanted = list(parts)
    return [code for code in LANGUAGES if not all(facts.get(f"{part}-{code}") for part in wanted)]
