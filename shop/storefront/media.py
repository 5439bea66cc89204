"""Uploaded pictures and documents for readers: their addresses, what templates show of them, and serving them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from flask import Flask, Response, abort, g, send_file, url_for
from flask_babel import gettext
from sqlalchemy import select

from shop.catalogue import covers
from shop.catalogue.models import Edition
from shop.content import attachments
from shop.content.attachments import EVERY, EntryFile
from shop.content.models import Entry, EntryText
from shop.extensions import db, settings
from shop.markets import write_size
from shop.storefront.caching import YEAR
from shop.storefront.filters import locale
from shop.uploads import keeping
from shop.uploads.documents import ENDINGS
from shop.uploads.models import StoredFile, Upload, UploadKind
from shop.uploads.pictures import AVIF, JPEG

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DIGEST = re.compile(r"[0-9a-f]{32}")
POLICY = "default-src 'none'; sandbox"
"""Should a browser open a file after all, nothing in it runs or loads."""
KINDS = {"pdf": "PDF", "epub": "EPUB", "docx": "DOCX", "odt": "ODT", "jpg": "JPEG", "png": "PNG"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as templates show it. ``phone`` and ``wide`` are addresses by media type, as ``srcset``."""

    src: str
    width: int
    height: int
    alt: str
    credit: str
    phone: Mapping[str, str]
    wide: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be saved: its address, kind and size in words, and its language if that is not the reader's."""

    url: str
    kind: str
    size: str
    language: str


def init_app(app: Flask) -> None:
    app.add_url_rule("/media/<digest>/<name>", "media", media)
    app.jinja_env.globals.update(
        uploaded_cover=uploaded_cover,
        pictures_of=pictures_of,
        documents_of=documents_of,
        file_kind=kind_words,
        file_size=size_words,
    )


def media(digest: str, name: str) -> Response:
    """A file that something published shows; for anybody, for a year, in parts if asked, and never as a page."""
    if not DIGEST.fullmatch(digest) or not NAME.fullmatch(name):
        abort(404)
    session = db.session()
    rows = session.scalars(select(StoredFile).where(StoredFile.digest == digest)).all()
    ids = [row.upload_id for row in rows]
    if not rows or not name.endswith(f".{ENDINGS[rows[0].media_type]}"):
        abort(404)
    if not (covers.shown(session, ids) or attachments.shown(session, ids)):
        abort(404)
    kinds = set(session.scalars(select(Upload.kind).where(Upload.id.in_(ids))))
    session.rollback()
    return answer(rows[0], name, saved=UploadKind.PICTURE not in kinds)


def answer(row: StoredFile, name: str, *, saved: bool) -> Response:
    """The bytes of a file with headers that keep a browser from taking them for anything else."""
    path = keeping.place(settings().instance_path, row.digest)
    if not path.is_file():
        abort(404)
    response = send_file(
        path,
        mimetype=row.media_type,
        as_attachment=saved,
        download_name=name,
        conditional=True,
        etag=row.digest,
        max_age=YEAR,
    )
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def uploaded_cover(edition: Edition) -> Picture | None:
    """The cover that the owner has uploaded, or ``None`` while the drawn one stands for it."""
    row = covers.cover_of(db.session(), edition.id)
    return _picture(row.upload, f"{edition.slug}-cover", row.alts, row.credits) if row else None


def pictures_of(listed: Sequence[tuple[Entry, EntryText]]) -> dict[int, Picture]:
    """The pictures of those entries that have one, by the entry's id."""
    names = {entry.id: entry.slug for entry, _text in listed}
    found = {}
    for entry_id, files in attachments.attached(db.session(), names).items():
        row = files.get(EVERY)
        if row is not None and row.upload.kind is UploadKind.PICTURE:
            found[entry_id] = _picture(row.upload, names[entry_id], row.alts, row.credits)
    return found


def documents_of(listed: Sequence[tuple[Entry, EntryText]]) -> dict[int, Document]:
    """The files to be saved of those entries that have one, by the entry's id."""
    names = {entry.id: entry.slug for entry, _text in listed}
    found = {}
    for entry_id, files in attachments.attached(db.session(), names).items():
        rows = [row for row in _by_language(files) if row.upload.kind is UploadKind.DOCUMENT]
        if rows:
            found[entry_id] = _document(rows[0], names[entry_id])
    return found


def _by_language(files: Mapping[str, EntryFile]) -> list[EntryFile]:
    """An entry's files, the one in the reader's own language first, then the one for all."""
    mine = g.market.language
    return sorted(files.values(), key=lambda row: (row.language != mine, row.language != EVERY, row.language))


def _document(row: EntryFile, name: str) -> Document:
    file = row.upload.files[0]
    called = name if row.language == EVERY else f"{name}-{row.language}"
    foreign = row.language not in (EVERY, g.market.language)
    return Document(
        _address(file, called), kind_words(file.media_type), size_words(file.size), row.language if foreign else ""
    )


def kind_words(media_type: str) -> str:
    """What a kind of document is called."""
    ending = ENDINGS[media_type]
    return KINDS.get(ending) or cast(str, gettext("plain text"))


def size_words(size: int) -> str:
    """How large a file is, as the page's reader writes it."""
    return write_size(size, locale())


def _address(file: StoredFile, name: str) -> str:
    return url_for("media", digest=file.digest, name=f"{name}.{ENDINGS[file.media_type]}")


def _picture(upload: Upload, name: str, alts: Mapping[str, str], credits: Mapping[str, str]) -> Picture:  # noqa: A002
    """``phone`` is the smallest width alone, whatever the screen's density, so that it stays light there."""
    sizes: dict[str, list[StoredFile]] = {AVIF: [], JPEG: []}
    for file in sorted(upload.files, key=lambda each: each.width or 0):
        sizes[file.media_type].append(file)
    largest = sizes[JPEG][-1]
    language = g.market.language
    return Picture(
        _address(sizes[JPEG][0], name),
        largest.width or 0,
        largest.height or 0,
        alts.get(language, ""),
        credits.get(language, ""),
        {kind: f"{_address(files[0], name)} {files[0].width}w" for kind, files in sizes.items()},
        {
            kind: ", ".join(f"{_address(file, name)} {file.width}w" for file in files)
            for kind, files in sizes.items()
        },
    )
