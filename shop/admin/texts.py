"""The shop's pages of text: both languages side by side, with what is missing in one; shown, taken back."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Form

from shop.admin import revising
from shop.admin.desk import desk, language, person, problem
from shop.admin.entries import KINDS
from shop.admin.revising import line_field, text_field
from shop.changes import Meanwhile, seal
from shop.content import revising as pages
from shop.database import transact
from shop.errors import WrongState
from shop.extensions import db, now
from shop.markets import LANGUAGES


@desk.get("/content")
def content_page() -> ResponseReturnValue:
    """Everything the shop says beside the catalogue."""
    rows = [
        (slug, page, revising.missing(pages.told(page), ("title", "body")))
        for slug, page in pages.everything(db.session()).items()
    ]
    return render_template("admin/content.html", rows=rows, kinds=KINDS)


@desk.get("/content/pages/<slug>")
def text_page(slug: str) -> ResponseReturnValue:
    facts = pages.facts(db.session(), _known(slug))
    return _page(slug, revising.filled(_form(), facts), seal(facts))


@desk.post("/content/pages/<slug>")
def change_text(slug: str) -> ResponseReturnValue:
    """Save what was typed, or only show how it will look."""
    session, actor, at, form = db.session(), str(person().actor), now(), _form()(request.form)
    _known(slug)
    if revising.PREVIEW in request.form:
        return _page(slug, form, revising.seen(), preview=True)
    if not _valid(form):
        return _page(slug, form, revising.seen()), 422
    typed, seen = revising.typed(form), revising.seen()
    try:
        changed = transact(session, lambda s: pages.revise(s, slug, typed, seen, actor, at))
    except Meanwhile:
        facts = pages.facts(session, slug)
        again, clashes = revising.merged(session, pages.subject(slug), form, facts)
        return _page(slug, again, seal(facts), clashes=clashes), 409
    flash(_("The page was saved.") if changed else _("Nothing was changed."))
    return redirect(url_for("admin.text_page", slug=slug), code=303)


@desk.post("/content/pages/<slug>/<code>/<any(show, hide):what>")
def show_text(slug: str, code: str, what: str) -> ResponseReturnValue:
    """Publish a page in one language, or take it back."""
    session, actor, at = db.session(), str(person().actor), now()
    if _known(slug) and code not in LANGUAGES:
        abort(404)
    try:
        transact(session, lambda s: pages.set_published(s, slug, code, what == "show", actor, at))
    except WrongState:
        told = (
            _("The page is shown to readers already, or has no text.")
            if what == "show"
            else _("It was taken back already.")
        )
        return problem(409, sentence=told, back=url_for("admin.text_page", slug=slug))
    flash(
        _("Readers see this text now.")
        if what == "show"
        else _("Taken back: readers see the text that the shop comes with.")
    )
    return redirect(url_for("admin.text_page", slug=slug), code=303)


def _known(slug: str) -> str:
    if slug not in pages.SLUGS:
        abort(404)
    return slug


def _form() -> type[Form]:
    fields = {}
    for code in LANGUAGES:
        fields[f"title-{code}"] = line_field(_l("Title"), 200, render_kw={"lang": code})
        fields[f"summary-{code}"] = text_field(
            _l("Summary for search engines"), 3, lang=code, longest=500, read=revising.one_line
        )
        fields[f"body-{code}"] = text_field(_l("Text (Markdown)"), 20, lang=code)
    made: type[Form] = type("TextForm", (Form,), fields)
    return made


def _valid(form: Form) -> bool:
    """A language has both title and text, or neither; a page has one language at least."""
    fits = form.validate()
    for code in LANGUAGES:
        title, body = form[f"title-{code}"], form[f"body-{code}"]
        if bool(title.data) != bool(body.data):
            lacking = body if title.data else title
            lacking.errors = [_("Please fill in both title and text, or leave both empty.")]
            fits = False
    return fits


def _page(
    slug: str, form: Form, seal: str, *, preview: bool = False, clashes: list[revising.Clash] | None = None
) -> str:
    session = db.session()
    rows = pages.rows(session, slug)
    named = revising.labels(form) | {
        f"published-{code}": f"{revising.OTHER['published']} ({code})" for code in LANGUAGES
    }
    values = {name: str(field.data or "") for name, field in form._fields.items()}
    return render_template(
        "admin/text.html",
        slug=slug,
        name=rows[language()].title or slug,
        rows=rows,
        form=form,
        seal=seal,
        preview=preview,
        clashes=clashes or [],
        order=revising.in_order(),
        missing=revising.missing(values, ("title", "body")),
        past=revising.past(session, [pages.subject(slug)], named),
    )
