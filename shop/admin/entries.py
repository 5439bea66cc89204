"""News, reviews, articles, downloads and photos: written in both languages, put in order, published, taken back."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, Form, SelectField, StringField
from wtforms.fields import SelectChoice  # type: ignore[attr-defined]  # the stubs are of an older WTForms
from wtforms.validators import Regexp

from shop.admin import revising
from shop.admin.desk import desk, language, person, problem
from shop.admin.forms import Required, at_most
from shop.admin.revising import day_check, line_field, text_field
from shop.changes import Meanwhile, seal
from shop.content import entries
from shop.content.entries import SlugTaken
from shop.content.models import ArticleGroup, Entry, EntryKind
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.markets import LANGUAGES

KINDS = {
    EntryKind.NEWS: _l("News"),
    EntryKind.REVIEW: _l("Reviews"),
    EntryKind.ARTICLE: _l("Articles"),
    EntryKind.DOWNLOAD: _l("Downloads"),
    EntryKind.PHOTO: _l("Photos"),
}
GROUPS = {
    ArticleGroup.DEBATE: _l("Debate"),
    ArticleGroup.PAPERS: _l("Articles and papers"),
    ArticleGroup.PUBLICATIONS: _l("Other publications"),
    ArticleGroup.FURTHER: _l("Further reading, by other hands"),
}
LABELS = {
    EntryKind.REVIEW: {
        "title": _l("Reviewer"),
        "caption": _l("Affiliation"),
        "source": _l("Journal and date (*italic* between stars)"),
        "text": _l("What the review says, in your own words (Markdown)"),
    },
}
"""What the parts of a kind are called where it is not the usual."""
KIND = f"<any({', '.join(EntryKind)}):kind>"


@desk.get(f"/content/{KIND}")
def entry_list(kind: str) -> ResponseReturnValue:
    rows = [
        (entry, _title(entry), revising.missing(entries.facts(entry), ("title",)))
        for entry in entries.all_of(db.session(), EntryKind(kind))
    ]
    return render_template("admin/entries.html", kind=EntryKind(kind), kinds=KINDS, rows=rows)


@desk.get(f"/content/{KIND}/new")
def new_entry(kind: str) -> ResponseReturnValue:
    return _page(EntryKind(kind), None, _form(EntryKind(kind))(), "")


@desk.post(f"/content/{KIND}/new")
def add_entry(kind: str) -> ResponseReturnValue:
    session, actor, at, form = db.session(), str(person().actor), now(), _form(EntryKind(kind))(request.form)
    if revising.PREVIEW in request.form:
        return _page(EntryKind(kind), None, form, "", preview=True)
    if not _valid(form):
        return _page(EntryKind(kind), None, form, ""), 422
    typed = revising.typed(form)
    try:
        made = transact(session, lambda s: entries.create(s, EntryKind(kind), typed, actor, at))
    except SlugTaken:
        form["slug"].errors = [_("Another entry has this short name.")]
        return _page(EntryKind(kind), None, form, ""), 422
    flash(_("Saved. Readers see it when it is published."))
    return redirect(url_for("admin.entry_page", entry_id=made), code=303)


@desk.get("/content/entries/<int:entry_id>")
def entry_page(entry_id: int) -> ResponseReturnValue:
    entry = _entry(entry_id)
    facts = entries.facts(entry)
    return _page(entry.kind, entry, revising.filled(_form(entry.kind), facts), seal(facts))


@desk.post("/content/entries/<int:entry_id>")
def change_entry(entry_id: int) -> ResponseReturnValue:
    """Save what was typed, or only show how it will look."""
    session, actor, at, seen = db.session(), str(person().actor), now(), revising.seen()
    entry = _entry(entry_id)
    form = _form(entry.kind)(request.form)
    if revising.PREVIEW in request.form:
        return _page(entry.kind, entry, form, seen, preview=True)
    if not _valid(form):
        return _page(entry.kind, entry, form, seen), 422
    typed = revising.typed(form)
    try:
        changed = transact(session, lambda s: entries.revise(s, entry_id, typed, seen, actor, at))
    except Meanwhile:
        facts = entries.facts(_entry(entry_id))
        again, clashes = revising.merged(session, entries.subject(entry_id), form, facts)
        return _page(entry.kind, _entry(entry_id), again, seal(facts), clashes=clashes), 409
    except SlugTaken:
        form["slug"].errors = [_("Another entry has this short name.")]
        return _page(entry.kind, _entry(entry_id), form, seen), 422
    flash(_("Saved.") if changed else _("Nothing was changed."))
    return redirect(url_for("admin.entry_page", entry_id=entry_id), code=303)


@desk.post("/content/entries/<int:entry_id>/<any(publish, take_back, up, down, delete):what>")
def act_on_entry(entry_id: int, what: str) -> ResponseReturnValue:
    """Publish an entry, take it back, move it by one place, or delete what was never published."""
    session, actor, at, kind = db.session(), str(person().actor), now(), _entry(entry_id).kind
    here = url_for("admin.entry_page", entry_id=entry_id)
    there = url_for("admin.entry_list", kind=kind.value)
    refusals = {
        "publish": _("It is published already."),
        "take_back": _("It is not published."),
        "up": _("It stands first already."),
        "down": _("It stands last already."),
        "delete": _("It was published once, so it is kept. Take it back instead."),
    }
    works = {
        "publish": lambda s: entries.publish(s, entry_id, actor, at),
        "take_back": lambda s: entries.take_back(s, entry_id, actor, at),
        "up": lambda s: entries.move(s, entry_id, -1, actor, at),
        "down": lambda s: entries.move(s, entry_id, 1, actor, at),
        "delete": lambda s: entries.delete(s, entry_id, actor, at),
    }
    done = {
        "publish": _("Published."),
        "take_back": _("Taken back: readers no longer see it."),
        "delete": _("Deleted."),
    }
    try:
        transact(session, works[what])
    except WrongState:
        return problem(409, sentence=refusals[what], back=there if what in ("up", "down") else here)
    if what in done:
        flash(done[what])
    return redirect(here if what in ("publish", "take_back") else there, code=303)


def _entry(entry_id: int) -> Entry:
    found = db.session.get(Entry, entry_id) if entry_id < 2**31 else None
    if found is None:
        abort(404)
    return found


def _title(entry: Entry) -> tuple[str, str]:
    """Its title in the reader's language, else in any, with the code of that language."""
    for code in (language(), *LANGUAGES):
        text = entry.text_in(code)
        if text is not None and text.title:
            return text.title, code
    return entry.slug, ""


def _parts(kind: EntryKind) -> tuple[str, ...]:
    """What is asked for: a quotation of reviews alone."""
    return tuple(part for part in entries.PARTS if part != "quotation" or kind is EntryKind.REVIEW)


def _form(kind: EntryKind) -> type[Form]:
    slug = Regexp(f"^{entries.SLUG.pattern}$", message=_l("Small letters a to z, digits and hyphens, please."))
    address = Regexp(r"^(https?://[^\s\"<>]+)?$", message=_l("Please write an address that begins with https://."))
    fields: dict[str, Field] = {
        "slug": StringField(
            _l("Short name for the address"),
            [Required(), at_most(60), slug],
            filters=[revising.one_line],
            render_kw={"required": True, "autocapitalize": "none"},
        ),
        "day": StringField(_l("Day"), [day_check], filters=[revising.one_line], render_kw={"type": "date"}),
        "credit": line_field(_l("Author or photographer"), 200),
    }
    if kind is EntryKind.ARTICLE:
        choices = [SelectChoice(group.value, words) for group, words in GROUPS.items()]
        fields["group"] = SelectField(_l("Under which heading"), choices=choices)
    known = LABELS.get(kind, {})
    for code in LANGUAGES:
        there = {"lang": code}
        fields[f"title-{code}"] = line_field(known.get("title", _l("Title")), 300, render_kw=there)
        fields[f"caption-{code}"] = line_field(
            known.get("caption", _l("Caption in one line")), 500, render_kw=there
        )
        fields[f"source-{code}"] = line_field(
            known.get("source", _l("Where it first appeared")), 300, render_kw=there
        )
        fields[f"link-{code}"] = line_field(_l("Link"), 500, checks=[address])
        if kind is EntryKind.REVIEW:
            fields[f"quotation-{code}"] = text_field(_l("Quotation, word for word"), 4, lang=code, longest=2000)
        fields[f"text-{code}"] = text_field(known.get("text", _l("Text (Markdown)")), 12, lang=code)
    made: type[Form] = type("EntryForm", (Form,), fields)
    return made


def _valid(form: Form) -> bool:
    """A language with anything in it has a title; there is one language at least."""
    fits = form.validate()
    used = [
        code for code in LANGUAGES if any(form[name].data for name in form._fields if name.endswith(f"-{code}"))
    ]
    for code in used or [language()]:
        if not form[f"title-{code}"].data:
            form[f"title-{code}"].errors = [_("Please write a title.")]
            fits = False
    return fits


def _page(
    kind: EntryKind,
    entry: Entry | None,
    form: Form,
    seal: str,
    *,
    preview: bool = False,
    clashes: list[revising.Clash] | None = None,
) -> str:
    values = {name: str(field.data or "") for name, field in form._fields.items()}
    subjects = [entries.subject(entry.id)] if entry else []
    return render_template(
        "admin/entry.html",
        kind=kind,
        kinds=KINDS,
        entry=entry,
        heading=_title(entry) if entry else ("", ""),
        form=form,
        seal=seal,
        preview=preview,
        clashes=clashes or [],
        order=revising.in_order(),
        parts=_parts(kind),
        missing=revising.missing(values, ("title",)),
        past=revising.past(db.session(), subjects, revising.labels(form)) if entry else [],
    )
