"""Documents for readers to save: a few kinds, known by their content and never by their name."""

from __future__ import annotations

import re
import zipfile
import zlib
from io import BytesIO

from shop.uploads import pictures
from shop.uploads.keeping import Made, Prepared, digest_of
from shop.uploads.models import UploadKind
from shop.uploads.refusals import NotTaken, Refusal

MOST_BYTES = 30 * 1024 * 1024
MOST_MEMBERS = 5_000
MOST_UNPACKED = 300 * 1024 * 1024
TAIL = 2048  # bytes at the end of a PDF within which it has to end (ISO 32000-2, 7.5.5, and readers' leniency)
PDF, EPUB, TEXT = "application/pdf", "application/epub+zip", "text/plain"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
ENDINGS = {PDF: "pdf", EPUB: "epub", TEXT: "txt", DOCX: "docx", ODT: "odt"}
ENDINGS |= {pictures.JPEG: "jpg", pictures.PNG: "png", pictures.AVIF: "avif"}
"""What a file's name ends with, by its media type."""
MARKUP = re.compile(r"\A\s*(<|#!|%!)|<\s*(!doctype|html|script|svg|iframe|\?php|\?xml)\b", re.IGNORECASE)
CODE = re.compile(
    r"(vbaProject|vbaData|activeX|(^|/)(Basic|Scripts)/)|\.(exe|dll|js|vbs|bat|cmd|com|scr|jar|sh)$", re.I
)
STREAM = re.compile(rb"\bstream\r?\n.*?\bendstream\b", re.DOTALL)
"""Packed data of a PDF, in which any short word may turn up by chance; what is hidden in it is not looked for."""
ACTIVE = re.compile(rb"/(JavaScript|JS|Launch|EmbeddedFile|RichMedia)\b")


def prepare(data: bytes) -> Prepared:
    """A document as it came, or a picture without what is not to be seen; raises ``NotTaken``."""
    if not data:
        raise NotTaken(Refusal.EMPTY)
    if len(data) > MOST_BYTES:
        raise NotTaken(Refusal.TOO_LARGE)
    if data.startswith(b"%PDF-"):
        _check_pdf(data)
        media_type = PDF
    elif data.startswith(b"PK\x03\x04"):
        media_type = _packed(data)
    elif data.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF")):
        return Prepared(digest_of(data), UploadKind.DOCUMENT, [pictures.whole(data)])
    else:
        _check_text(data)
        media_type = TEXT
    return Prepared(digest_of(data), UploadKind.DOCUMENT, [Made(data, media_type)])


def _check_pdf(data: bytes) -> None:
    if b"%%EOF" not in data[-TAIL:]:
        raise NotTaken(Refusal.DAMAGED)
    if ACTIVE.search(STREAM.sub(b"", data)):
        raise NotTaken(Refusal.PROGRAM)


def _check_text(data: bytes) -> None:
    """Text in UTF-8 without anything that a browser or a shell could take for more than text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotTaken(Refusal.NO_DOCUMENT) from None
    if any(ord(each) < 32 and each not in "\t\r\n\f" for each in text) or "\x7f" in text:
        raise NotTaken(Refusal.NO_DOCUMENT)
    if MARKUP.search(text):
        raise NotTaken(Refusal.NO_DOCUMENT)


def _packed(data: bytes) -> str:
    """The kind of a document that is an archive: EPUB, OpenDocument text or Office Open XML text."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_UNPACKED:
                raise NotTaken(Refusal.SWELLS)
            if archive.testzip() is not None:  # every checksum; no member unpacks to more than it says
                raise NotTaken(Refusal.DAMAGED)
            media_type = _kind(archive, members)
    # zipfile raises NotImplementedError for a way of packing that it does not know, RuntimeError for a password.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise NotTaken(Refusal.DAMAGED) from error
    names = [each.filename for each in members]
    if any(name.startswith("/") or ".." in name.split("/") or "\\" in name for name in names):
        raise NotTaken(Refusal.NO_DOCUMENT)
    # An EPUB's pages may hold scripts of their own (EPUB 3.3, 6.4); readers keep those apart.
    if any(CODE.search(name) for name in names if media_type != EPUB):
        raise NotTaken(Refusal.PROGRAM)
    return media_type


def _kind(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> str:
    names = {each.filename for each in members}
    if members and members[0].filename == "mimetype" and members[0].compress_type == zipfile.ZIP_STORED:
        told = archive.read(members[0]).decode("ascii", "replace").strip()
        if told == EPUB and "META-INF/container.xml" in names:
            return EPUB
        if told == ODT and "content.xml" in names:
            return ODT
    elif {"[Content_Types].xml", "word/document.xml"} <= names:
        return DOCX
    raise NotTaken(Refusal.NO_DOCUMENT)
