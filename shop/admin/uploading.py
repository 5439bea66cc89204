"""Files from the owner's machine: the picture of a photo, the files of a download, the cover of an edition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import Form

from shop.admin import revising
from shop.admin.desk import desk, person
from shop.admin.naming import edition_name, language_name
from shop.admin.revising import line_field
from shop.catalogue import covers, offers
from shop.changes import Meanwhile, compare, seal
from shop.content import attachments
from shop.content.attachments import EVERY
from shop.content.models import Entry, EntryKind
from shop.database import transact
from shop.extensions import ROOM, db, now, settings
from shop.markets import LANGUAGES
from shop.uploads import documents, keeping, pictures
from shop.uploads.keeping import Prepared
from shop.uploads.models import StoredFile, Upload
from shop.uploads.refusals import NotTaken, Refusal

BESIDE = 64 * 1024
"""Bytes that the words of a form may take beside its file."""
ROOM["admin.attach_file"] = documents.MOST_BYTES + BESIDE
ROOM["admin.put_cover"] = pictures.MOST_BYTES + BESIDE

REFUSALS = {
    Refusal.EMPTY: _l("Please choose a file; this one is empty or none was chosen."),
    Refusal.TOO_LARGE: _l("This file is too large. Pictures may have 20 MB, other files 30 MB."),
    Refusal.NO_PICTURE: _l(
        "This is no picture that the shop takes. Please choose a JPEG, PNG, WebP or AVIF file."
    ),
    Refusal.TOO_MANY_PIXELS: _l("This picture has too many pixels: 40 million at most. Please make it smaller."),
    Refusal.DAMAGED: _l("This file is damaged or incomplete. Please try to copy or save it anew."),
    Refusal.NO_DOCUMENT: _l(
        "This is no file that the shop takes. Please choose a PDF, EPUB, DOCX, ODT, JPEG or PNG file, or plain text "
        "in UTF-8. What counts is the content, not the name."
    ),
    Refusal.PROGRAM: _l("This file holds scripts, macros or other files. Please save it without them."),
    Refusal.SWELLS: _l("This file unpacks to far more than a reader could want."),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a file: where it is filled, for whom it is, and what lies there."""

    name: str
    page: str
    upload: Upload | None

    @property
    def preview(self) -> StoredFile | None:
        """The smallest picture that every browser shows."""
        files = self.upload.files if self.upload else []
        return next((each for each in files if each.width and each.media_type != pictures.AVIF), None)


@dataclass(frozen=True, slots=True)
class Task:
    """What one page of this module changes: a picture with words, or a document."""

    heading: str
    place: str
    back: str
    is_picture: bool
    upload: Upload | None
    facts: Mapping[str, str]
    put: Callable[[Session, Upload | None, Mapping[str, Mapping[str, str]], str, datetime], list[str]]
    take_away: Callable[[Session, str, datetime], None]


def slots(entry: Entry) -> list[Slot]:
    """Where an entry may have files: a photo one picture, a download one file for all or one for each language."""
    known = attachments.attached(db.session(), [entry.id])[entry.id]
    wanted = {EntryKind.PHOTO: (EVERY,), EntryKind.DOWNLOAD: (EVERY, *LANGUAGES)}.get(entry.kind, ())
    return [
        Slot(
            _for_whom(entry.kind, code),
            url_for("admin.file_page", entry_id=entry.id, language=code),
            known[code].upload if code in known else None,
        )
        for code in wanted
    ]


def _for_whom(kind: EntryKind, code: str) -> str:
    if kind is EntryKind.PHOTO:
        return str(_("The picture"))
    if code == EVERY:
        return str(_("For readers of every language"))
    return str(_("In one language: %(language)s", language=language_name(code)))


@desk.context_processor
def places() -> dict[str, object]:
    return {"file_slots": slots, "cover_slot": cover_slot}


@desk.get("/content/entries/<int:entry_id>/files/<language>")
def file_page(entry_id: int, language: str) -> ResponseReturnValue:
    task = _of_entry(entry_id, language)
    return _page(task, _form(task)(data=_words(task.facts)))


@desk.post("/content/entries/<int:entry_id>/files/<language>")
def attach_file(entry_id: int, language: str) -> ResponseReturnValue:
    """Take a file for an entry, or other words for the one it has."""
    return _take(lambda: _of_entry(entry_id, language))


@desk.post("/content/entries/<int:entry_id>/files/<language>/remove")
def detach_file(entry_id: int, language: str) -> ResponseReturnValue:
    return _leave(_of_entry(entry_id, language))


@desk.get("/editions/<slug>/cover")
def cover_page(slug: str) -> ResponseReturnValue:
    task = _of_edition(slug)
    return _page(task, _form(task)(data=_words(task.facts)))


@desk.post("/editions/<slug>/cover")
def put_cover(slug: str) -> ResponseReturnValue:
    """Take a picture of the cover, or other words for the one there is."""
    return _take(lambda: _of_edition(slug))


@desk.post("/editions/<slug>/cover/remove")
def remove_cover(slug: str) -> ResponseReturnValue:
    return _leave(_of_edition(slug))


@desk.get("/uploads/<digest>")
def upload_preview(digest: str) -> Response:
    """A picture as the desk shows it, published or not."""
    row = db.session.scalars(select(StoredFile).where(StoredFile.digest == digest).limit(1)).first()
    path = keeping.place(settings().instance_path, row.digest) if row and row.width else None
    if row is None or path is None or not path.is_file():
        abort(404)
    return send_file(path, mimetype=row.media_type, etag=row.digest)


def cover_slot(slug: str) -> Slot:
    edition = offers.edition(db.session(), slug)
    row = covers.cover_of(db.session(), edition.id) if edition else None
    return Slot(str(_("The cover")), url_for("admin.cover_page", slug=slug), row.upload if row else None)


def _of_edition(slug: str) -> Task:
    session = db.session()
    edition = offers.edition(session, slug)
    if edition is None:
        abort(404)
    edition_id = edition.id
    row = covers.cover_of(session, edition_id)

    def put(
        s: Session, upload: Upload | None, words: Mapping[str, Mapping[str, str]], actor: str, at: datetime
    ) -> list[str]:
        compare(revising.seen(), covers.told(covers.cover_of(s, edition_id)))
        return covers.put(s, edition_id, upload, words, actor, at)

    return Task(
        _("Cover: %(edition)s", edition=edition_name(slug)),
        "admin.edition_list",
        url_for("admin.edition_page", slug=slug),
        True,
        row.upload if row else None,
        covers.told(row),
        put,
        lambda s, actor, at: covers.take_away(s, edition_id, actor, at),
    )


def _of_entry(entry_id: int, language: str) -> Task:
    session = db.session()
    entry = session.get(Entry, entry_id) if entry_id < 2**31 else None
    if entry is None or language not in ({EVERY, *LANGUAGES} if entry.kind is EntryKind.DOWNLOAD else {EVERY}):
        abort(404)
    if entry.kind not in (EntryKind.DOWNLOAD, EntryKind.PHOTO):
        abort(404)
    row = attachments.attached(session, [entry_id])[entry_id].get(language)

    def put(
        s: Session, upload: Upload | None, words: Mapping[str, Mapping[str, str]], actor: str, at: datetime
    ) -> list[str]:
        compare(revising.seen(), attachments.told(attachments.attached(s, [entry_id])[entry_id].get(language)))
        return attachments.attach(s, entry_id, language, upload, words, actor, at)

    return Task(
        f"{entry.slug}: {_for_whom(entry.kind, language)}",
        "admin.content_page",
        url_for("admin.entry_page", entry_id=entry_id),
        entry.kind is EntryKind.PHOTO,
        row.upload if row else None,
        attachments.told(row),
        put,
        lambda s, actor, at: attachments.detach(s, entry_id, language, actor, at),
    )


def _take(find: Callable[[], Task]) -> ResponseReturnValue:
    task, session, actor, at = find(), db.session(), str(person().actor), now()
    form = _form(task)(request.form)
    fits = form.validate()
    try:
        prepared = _prepared(task)
    except NotTaken as refused:
        return _page(task, form, revising.seen(), problem=str(REFUSALS[refused.reason])), 422
    if not fits:
        return _page(task, form, revising.seen()), 422
    words = {
        "alts": {code: form[f"alt-{code}"].data for code in LANGUAGES} if task.is_picture else {},
        "credits": {code: form[f"made_by-{code}"].data for code in LANGUAGES} if task.is_picture else {},
    }
    if prepared is not None:
        keeping.write(settings().instance_path, prepared)

    def work(s: Session) -> list[str]:
        upload = keeping.keep(s, prepared, actor, at) if prepared else None
        return task.put(s, upload, words, actor, at)

    try:
        changed = transact(session, work)
    except Meanwhile:
        fresh = find()
        again = _(
            "Somebody else has changed this meanwhile. Please look, then choose the file once more and save."
        )
        return _page(fresh, form, seal(fresh.facts), problem=again), 409
    flash(_("Saved.") if changed else _("Nothing was changed."))
    return redirect(task.back, code=303)


def _leave(task: Task) -> ResponseReturnValue:
    actor, at = str(person().actor), now()
    transact(db.session(), lambda s: task.take_away(s, actor, at))
    flash(_("Removed: readers no longer see it."))
    return redirect(task.back, code=303)


def _prepared(task: Task) -> Prepared | None:
    """What is to be kept of the file that was sent; nothing where only words are changed."""
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        if task.upload is None:
            raise NotTaken(Refusal.EMPTY)
        return None
    most = pictures.MOST_BYTES if task.is_picture else documents.MOST_BYTES
    data = sent.stream.read(most + 1)
    return pictures.prepare(data) if task.is_picture else documents.prepare(data)


def _words(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if name.partition("-")[0] in ("alt", "made_by")}


def _form(task: Task) -> type[Form]:
    fields = {}
    for code in LANGUAGES if task.is_picture else ():
        there = {"lang": code}
        fields[f"alt-{code}"] = line_field(_l("What the picture shows"), 300, required=True, render_kw=there)
        fields[f"made_by-{code}"] = line_field(_l("Credit"), 200, render_kw=there)
    made: type[Form] = type("UploadForm", (Form,), fields)
    return made


def _page(task: Task, form: Form, seen: str | None = None, problem: str = "") -> str:
    return render_template(
        "admin/upload.html",
        task=task,
        form=form,
        seal=seal(task.facts) if seen is None else seen,
        problem=problem,
        order=revising.in_order(),
        slot=Slot("", "", task.upload),
        taken=".jpg,.jpeg,.png,.webp,.avif" if task.is_picture else ".pdf,.epub,.txt,.docx,.odt,.jpg,.jpeg,.png",
    )
