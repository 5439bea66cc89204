"""Uploads: pictures made anew, documents known by their content, what is hostile refused, and who may have them."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from shop.app import MAX_BODY
from shop.catalogue.version import current
from shop.changes import Change
from shop.content.attachments import EntryFile
from shop.settings import Settings
from shop.uploads import documents, keeping, pictures
from shop.uploads.models import StoredFile, Upload
from shop.uploads.refusals import NotTaken, Refusal
from tests.client import Answer, Client
from tests.factories import Catalogue, make_admin
from tests.test_admin_content import act, write
from tests.test_admin_orders import colleague, desk

__all__ = ["colleague", "desk"]
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\nstartxref\n0\n%%EOF\n"
WORDS = {"alt-en": "A street", "alt-ru": "Улица", "made_by-en": "State archive", "made_by-ru": "Госархив"}


def picture(
    width: int = 900,
    height: int = 600,
    kind: str = "JPEG",
    colour: str = "#c33",
    mode: str = "RGB",
    **more: object,
) -> bytes:
    out = BytesIO()
    Image.new(mode, (width, height), colour).save(out, kind, **more)  # type: ignore[arg-type]
    return out.getvalue()


def noise(width: int, height: int) -> bytes:
    """A picture that no format can make small."""
    out = BytesIO()
    Image.effect_noise((width, height), 80).convert("RGB").save(out, "PNG")
    return out.getvalue()


def packed(*members: tuple[str, bytes], first: str = "") -> bytes:
    """An archive; ``first`` is the media type that stands unpacked at its beginning."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(zipfile.ZipInfo("mimetype"), first, zipfile.ZIP_STORED)
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


EPUB = packed(("META-INF/container.xml", b"<container/>"), ("page.xhtml", b"<html/>"), first=documents.EPUB)
ODT = packed(("content.xml", b"<office/>"), first=documents.ODT)
DOCX = packed(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>"))


def opened(made: keeping.Made) -> Image.Image:
    return Image.open(BytesIO(made.data))


# Pictures


def test_a_picture_is_made_in_three_widths_in_two_formats() -> None:
    made = pictures.prepare(picture(3000, 1500)).files
    assert [(each.media_type, each.width, each.height) for each in made] == [
        (kind, width, width // 2) for width in pictures.WIDTHS for kind in (pictures.AVIF, pictures.JPEG)
    ]
    assert {opened(each).format for each in made} == {"AVIF", "JPEG"}


def test_a_small_picture_is_not_blown_up() -> None:
    assert {each.width for each in pictures.prepare(picture(500, 300)).files} == {500}
    assert {each.width for each in pictures.prepare(picture(1000, 300)).files} == {800, 1000}


def test_what_a_phone_loads_weighs_sixty_kilobytes_at_most() -> None:
    made = pictures.prepare(noise(1600, 2000)).files
    smallest = made[:2]
    assert [each.media_type for each in smallest] == [pictures.AVIF, pictures.JPEG]
    assert all(len(each.data) <= 60 * 1024 for each in smallest)


def test_place_camera_and_everything_else_beside_the_pixels_is_left_out() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[2] = (55.0, 45.0, 7.0)  # GPSLatitude
    sent = picture(exif=exif, comment=b"a secret comment") + b"<script>appended()</script>"
    assert b"Secret Camera" in sent
    for made in pictures.prepare(sent).files:
        assert dict(opened(made).getexif()) == {}
        assert not any(told in made.data for told in (b"Secret", b"secret", b"script", b"Exif"))
    assert b"Secret" not in pictures.whole(sent).data


def test_a_picture_that_was_taken_on_its_side_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise (TIFF 6.0, orientation)
    made = pictures.prepare(picture(900, 600, exif=exif)).files[0]
    assert (made.width, made.height) == (600, 900)


@pytest.mark.parametrize(
    ("mode", "kind", "colour"),
    [
        ("RGBA", "PNG", "#ff000000"),
        ("LA", "PNG", "#80808000"),
        ("P", "PNG", "#fff"),
        ("RGBA", "WEBP", "#00ff0000"),
    ],
)
def test_what_is_transparent_stands_on_white(mode: str, kind: str, colour: str) -> None:
    image = Image.new("RGBA", (64, 64), colour).convert(mode)
    out = BytesIO()
    image.save(out, kind)
    red, green, blue = opened(pictures.prepare(out.getvalue()).files[1]).getpixel((10, 10))
    assert min(red, green, blue) > 245


def test_sixteen_bits_of_grey_and_four_inks_become_plain_colours() -> None:
    grey = BytesIO()
    Image.new("I;16", (64, 64), 32768).save(grey, "PNG")
    assert abs(opened(pictures.prepare(grey.getvalue()).files[1]).getpixel((5, 5))[0] - 128) < 4
    inks = picture(64, 64, mode="CMYK", colour="#ff0000")
    assert opened(pictures.prepare(inks).files[1]).mode == "RGB"


def test_colours_of_another_space_are_brought_into_that_of_the_web() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    sent = picture(icc_profile=profile.tobytes())
    made = pictures.prepare(sent).files[1]
    assert "icc_profile" not in opened(made).info


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels; a few bytes of them are there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Refusal.EMPTY),
        (HTML, Refusal.NO_PICTURE),
        (SVG, Refusal.NO_PICTURE),
        (PDF, Refusal.NO_PICTURE),
        (b"GIF89a" + bytes(100), Refusal.NO_PICTURE),
        (b"\xff\xd8\xff\xe0 not really", Refusal.DAMAGED),
        (picture()[:-400], Refusal.DAMAGED),
        (picture(kind="PNG")[:-40], Refusal.DAMAGED),
        (bomb(30_000, 30_000), Refusal.TOO_MANY_PIXELS),
        (bomb(9_000, 9_000), Refusal.TOO_MANY_PIXELS),
        (bomb(10_001, 10_001), Refusal.TOO_MANY_PIXELS),
        (bomb(21_000, 10), Refusal.TOO_MANY_PIXELS),
        (bomb(100, 100), Refusal.DAMAGED),
        (bytes(pictures.MOST_BYTES + 1), Refusal.TOO_LARGE),
    ],
)
def test_what_is_no_sound_picture_is_refused_with_its_reason(sent: bytes, reason: Refusal) -> None:
    with pytest.raises(NotTaken) as refused:
        pictures.prepare(sent)
    assert refused.value.reason is reason


@given(place=st.integers(0, 5000), value=st.binary(min_size=1, max_size=40))
def test_a_picture_with_bytes_changed_is_taken_or_refused_and_breaks_nothing(place: int, value: bytes) -> None:
    whole = SOUND
    at = place % len(whole)
    try:
        made = pictures.read(whole[:at] + value + whole[at + len(value) :])
    except NotTaken:
        return
    assert made.mode == "RGB"


SOUND = picture(120, 80, kind="PNG", colour="#28c")


# Documents


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (PDF, documents.PDF),
        (EPUB, documents.EPUB),
        (ODT, documents.ODT),
        (DOCX, documents.DOCX),
        ("Заметки\n\nк книге 2 < 3".encode(), documents.TEXT),
        (picture(), pictures.JPEG),
        (picture(kind="PNG"), pictures.PNG),
    ],
)
def test_a_document_is_known_by_its_content(sent: bytes, kind: str) -> None:
    made = documents.prepare(sent)
    assert [each.media_type for each in made.files] == [kind]
    assert made.digest == hashlib.sha256(sent).hexdigest()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Refusal.EMPTY),
        (HTML, Refusal.NO_DOCUMENT),
        (SVG, Refusal.NO_DOCUMENT),
        (b"\xef\xbb\xbf  " + HTML, Refusal.NO_DOCUMENT),
        (b"Some words, then <SCRIPT>x</SCRIPT>", Refusal.NO_DOCUMENT),
        (b"#!/bin/sh\nrm -rf /", Refusal.NO_DOCUMENT),
        (b"<?php echo 1;", Refusal.NO_DOCUMENT),
        (b"MZ\x90\x00", Refusal.NO_DOCUMENT),
        (b"\x7fELF\x02", Refusal.NO_DOCUMENT),
        (b"words\x00words", Refusal.NO_DOCUMENT),
        ("слова".encode("cp1251"), Refusal.NO_DOCUMENT),
        (PDF[:-8], Refusal.DAMAGED),
        (PDF.replace(b"/Type", b"/OpenAction<</S/JavaScript/JS(app.alert)>>/Type"), Refusal.PROGRAM),
        (PDF.replace(b"/Type", b"/S/Launch/Type"), Refusal.PROGRAM),
        (EPUB[:-30], Refusal.DAMAGED),
        (b"PK\x03\x04 and nothing more", Refusal.DAMAGED),
        (packed(("notes.txt", b"words")), Refusal.NO_DOCUMENT),
        (packed(("x.html", HTML), first="text/html"), Refusal.NO_DOCUMENT),
        (packed(("content.xml", b""), ("../../evil", b"x"), first=documents.ODT), Refusal.NO_DOCUMENT),
        (packed(("content.xml", b""), ("Basic/Standard/Module1.xml", b"x"), first=documents.ODT), Refusal.PROGRAM),
        (
            packed(("[Content_Types].xml", b""), ("word/document.xml", b""), ("word/vbaProject.bin", b"x")),
            Refusal.PROGRAM,
        ),
        (packed(*((f"{n}", b"") for n in range(documents.MOST_MEMBERS + 1)), first=documents.ODT), Refusal.SWELLS),
    ],
)
def test_what_is_no_sound_document_is_refused_with_its_reason(sent: bytes, reason: Refusal) -> None:
    with pytest.raises(NotTaken) as refused:
        documents.prepare(sent)
    assert refused.value.reason is reason


def test_a_pdf_with_something_before_it_is_text_and_served_as_nothing_else() -> None:
    assert documents.prepare(b"junk\n" + PDF).files[0].media_type == documents.TEXT


def test_an_archive_that_unpacks_to_far_more_is_refused_before_it_is_unpacked() -> None:
    zeros = bytes(10 * 1024 * 1024)
    sent = packed(*((f"{n}.xml", zeros) for n in range(31)), first=documents.ODT)
    assert len(sent) < 1024 * 1024
    with pytest.raises(NotTaken) as refused:
        documents.prepare(sent)
    assert refused.value.reason is Refusal.SWELLS


def test_a_word_that_turns_up_in_packed_data_by_chance_is_no_script() -> None:
    inside = PDF.replace(b"endobj", b"endobj 2 0 obj<<>>\nstream\n\x9d/JS \x00/Launch\nendstream endobj")
    assert documents.prepare(inside).files[0].media_type == documents.PDF


# At the desk


def send(desk: Client, page: str, data: bytes | None, name: str = "file.bin", **words: str) -> Answer:
    """Choose a file on a page for one and save."""
    form = desk.get(page).page.form("file")
    typed = {name: value for name, value in form.fields.items() if name != "file"} | words
    if data is not None:
        typed["file"] = FileStorage(BytesIO(data), name)  # type: ignore[assignment]
    return post(desk, page, typed)


def post(client: FlaskClient, page: str, typed: dict[str, object]) -> Answer:
    """Send a form with files, its body made in memory."""
    boundary, body = encode_multipart(typed)
    kind = f"multipart/form-data; boundary={boundary}"
    return client.post(page, data=body, content_type=kind, headers={"Sec-Fetch-Site": "same-origin"})  # type: ignore[return-value]


def photo(desk: Client, slug: str = "street-1921", data: bytes | None = None, publish: bool = True) -> str:
    """A published photograph; its page at the desk."""
    page = write(desk, slug, "photo")
    sent = send(desk, f"{page}/files/all", data or picture(1800, 1200), **WORDS)
    assert sent.status_code == 303, sent.page.text
    if publish:
        assert act(desk, page, "publish").status_code == 303
    return page


def fetch(client: Client, address: str, **headers: str) -> Answer:
    """A file, read to its end."""
    return client.get(
        address, headers={name.replace("_", "-"): value for name, value in headers.items()}, buffered=True
    )


def addresses(client: Client, page: str) -> list[str]:
    """Every address of a file that a page has."""
    return list(dict.fromkeys(re.findall(r"/media/[0-9a-f]{32}/[\w.-]+", client.get(page).get_data(as_text=True))))


def test_a_photograph_is_shown_in_both_languages_with_its_words(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    before = current(session)
    photo(desk)
    assert current(session) > before
    for market, alt, title, credit in (
        ("en-gb", "A street", "A prize", "State archive"),
        ("ru-gb", "Улица", "Премия", "Госархив"),
    ):
        page = desk.get(f"/{market}/photos").page
        (image,) = page.all(".//figure//img")
        assert (image.get("alt"), image.get("loading")) == (alt, "lazy")
        assert (image.get("width"), image.get("height")) == ("1800", "1200")
        assert title in page.text.replace("\u00a0", " ")
        assert credit in page.text
    assert len(addresses(desk, "/en-gb/photos")) == 6
    for address in addresses(desk, "/en-gb/photos"):
        answer = fetch(desk, address)
        assert answer.status_code == 200
        assert answer.mimetype in ("image/avif", "image/jpeg")
        assert answer.headers["Content-Disposition"].startswith("inline")


def test_a_phone_is_given_the_lightest_width_alone(desk: Client, session: Session, catalogue: Catalogue) -> None:
    photo(desk, data=noise(1500, 1000))
    page = desk.get("/en-gb/photos").page
    for figure in page.all(".//figure"):
        assert [each.tag for each in figure] == ["picture", "figcaption"]  # HTML: the caption first or last
    sources = page.all(".//picture/source")
    narrow = [each.get("srcset", "") for each in sources if each.get("media")]
    assert len(narrow) == 2
    for address, _, width in (each.partition(" ") for each in narrow):
        assert re.fullmatch(r"\d+w", width)
        assert len(fetch(desk, address).get_data()) <= 60 * 1024


def test_a_file_may_be_kept_for_good_in_parts_and_never_as_a_page(
    desk: Client, client: Client, catalogue: Catalogue
) -> None:
    page = write(desk, "notes", "download")
    text = "Заметки к книге".encode()
    assert send(desk, f"{page}/files/all", text).status_code == 303
    act(desk, page, "publish")
    (address,) = addresses(client, "/en-gb/downloads")
    assert address.endswith("/notes.txt")
    answer = fetch(client, address)
    assert answer.get_data() == text
    assert answer.content_type == "text/plain; charset=utf-8"
    headers = answer.headers
    assert headers["Content-Disposition"] == "attachment; filename=notes.txt"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in headers
    assert fetch(client, address, If_None_Match=headers["ETag"]).status_code == 304
    part = fetch(client, address, Range="bytes=0-13")
    assert (part.status_code, part.get_data()) == (206, text[:14])
    for wrong in (address[:-3] + "html", address.replace("/media/", "/media/0"), "/media/" + "0" * 32 + "/x.txt"):
        assert client.get(wrong).status_code == 404


def test_a_download_says_its_kind_and_size_in_the_readers_language(
    desk: Client, client: Client, catalogue: Catalogue
) -> None:
    page = write(desk, "chapter", "download")
    sent = PDF.replace(b"endobj", b"endobj%" + b"x" * 1_230_000 + b"\n")
    assert send(desk, f"{page}/files/all", sent).status_code == 303
    act(desk, page, "publish")
    assert "PDF, 1.2 MB" in client.get("/en-gb/downloads").page.text.replace("\u00a0", " ")
    assert "PDF, 1,2 МБ" in client.get("/ru-gb/downloads").page.text.replace("\u00a0", " ")


def test_each_reader_gets_the_file_in_his_language_or_the_other_and_is_told(
    desk: Client, client: Client, catalogue: Catalogue
) -> None:
    page = write(desk, "chapter", "download")
    assert send(desk, f"{page}/files/en", b"In English").status_code == 303
    act(desk, page, "publish")
    assert "Английский" in client.get("/ru-gb/downloads").page.text
    assert send(desk, f"{page}/files/ru", "По-русски".encode()).status_code == 303
    (mine,) = addresses(client, "/ru-gb/downloads")
    assert fetch(client, mine).get_data().decode() == "По-русски"
    (theirs,) = addresses(client, "/en-gb/downloads")
    assert fetch(client, theirs).get_data().decode() == "In English"


def test_what_is_not_published_is_for_the_desk_alone(desk: Client, app: Flask, catalogue: Catalogue) -> None:
    page = photo(desk, publish=False)
    preview = desk.get(page).page.all(".//img[@class='upload']")[0].get("src", "")
    digest = preview.rpartition("/")[2]
    assert fetch(desk, preview).mimetype == "image/jpeg"
    assert desk.get(f"/media/{digest}/street-1921.jpg").status_code == 404
    assert app.test_client().get(preview).status_code == 302


def test_an_entry_taken_back_takes_its_file_along_unless_another_shows_it(
    desk: Client, client: Client, catalogue: Catalogue
) -> None:
    same = picture(700, 500)
    first, second = photo(desk, "one", same), photo(desk, "two", same)
    address = addresses(client, "/en-gb/photos")[0]
    act(desk, first, "take_back")
    assert fetch(client, address).status_code == 200
    act(desk, second, "take_back")
    assert fetch(client, address).status_code == 404
    act(desk, first, "publish")
    assert fetch(client, address).status_code == 200


def test_the_same_content_is_kept_once(desk: Client, session: Session, catalogue: Catalogue) -> None:
    same = picture(700, 500)
    photo(desk, "one", same)
    photo(desk, "two", same)
    assert len(session.scalars(select(Upload)).all()) == 1
    assert len(session.scalars(select(StoredFile)).all()) == 2
    assert len(session.scalars(select(EntryFile)).all()) == 2


@pytest.mark.parametrize(
    ("data", "name", "sentence"),
    [
        (SVG, "picture.png", "This is no picture that the shop takes."),
        (HTML, "picture.jpg", "This is no picture that the shop takes."),
        (picture()[:-400], "cut.jpg", "This file is damaged or incomplete."),
        (bomb(30_000, 30_000), "bomb.png", "This picture has too many pixels"),
        (bytes(pictures.MOST_BYTES + 1), "huge.jpg", "This file is too large."),
        (None, "", "Please choose a file"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence_and_what_was_typed_stays(
    desk: Client, session: Session, catalogue: Catalogue, data: bytes | None, name: str, sentence: str
) -> None:
    page = f"{write(desk, 'street', 'photo')}/files/all"
    answer = send(desk, page, data, name, **WORDS)
    assert answer.status_code == 422
    assert sentence in answer.page.text
    assert answer.page.form("file").fields["alt-ru"] == "Улица"
    assert session.scalars(select(Upload)).all() == []


def test_a_refusal_speaks_russian_to_a_russian(client: Client, session: Session, catalogue: Catalogue) -> None:
    make_admin(session, language="ru")
    form = client.get("/admin/sign-in").page.form("password")
    client.submit(form, email="vera@longlane.example", password="correct horse battery staple")
    page = f"{write(client, 'street', 'photo')}/files/all"
    assert "Такое изображение магазин не\u00a0принимает." in send(client, page, SVG, **WORDS).page.text


def test_a_body_too_long_for_any_file_is_refused_and_other_forms_take_no_more_than_before(
    desk: Client, app: Flask, catalogue: Catalogue
) -> None:
    page = f"{write(desk, 'street', 'photo')}/files/all"
    answer = send(desk, page, bytes(documents.MOST_BYTES + 200_000), **WORDS)
    assert answer.status_code == 413
    assert "Nothing was saved." in answer.page.text

    def long() -> dict[str, object]:
        return {"file": FileStorage(BytesIO(bytes(MAX_BODY + 1)), "x")}

    for other in ("/admin/content/pages/returns", "/en-gb/order"):
        assert post(desk, other, long()).status_code == 413
    assert post(app.test_client(), page, long()).status_code == 413
    assert post(app.test_client(), page, {"file": FileStorage(BytesIO(b"x"), "x")}).status_code == 302


def test_a_picture_without_words_for_those_who_do_not_see_it_is_not_taken(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    page = f"{write(desk, 'street', 'photo')}/files/all"
    answer = send(desk, page, picture(), **WORDS | {"alt-ru": " "})
    assert answer.status_code == 422
    assert answer.page.all(".//input[@id='alt-ru'][@aria-invalid='true']")
    assert session.scalars(select(Upload)).all() == []


def test_words_change_without_the_file_and_the_history_tells(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    page = photo(desk)
    assert send(desk, f"{page}/files/all", None, **{"alt-en": "Another street"}).status_code == 303
    (image,) = desk.get("/en-gb/photos").page.all(".//figure//img")
    assert image.get("alt") == "Another street"
    fields = set(session.scalars(select(Change.field)))
    assert {"file-all", "alt-en", "made_by-ru"} <= fields
    assert "What the picture shows" in desk.get(page).page.text


def test_of_two_who_change_one_file_the_second_is_told(
    desk: Client, colleague: Client, catalogue: Catalogue
) -> None:
    page = f"{photo(desk)}/files/all"
    stale = colleague.get(page).page.form("file")
    assert send(desk, page, None, **{"alt-en": "A square"}).status_code == 303
    typed = {name: value for name, value in stale.fields.items() if name != "file"} | {"alt-en": "A lane"}
    answer = post(colleague, page, typed)
    assert answer.status_code == 409
    assert "Тем временем это изменил кто-то другой." in answer.page.text
    assert answer.page.form("file").fields["alt-en"] == "A lane"
    (image,) = desk.get("/en-gb/photos").page.all(".//figure//img")
    assert image.get("alt") == "A square"


def test_a_cover_takes_the_place_of_the_drawn_one_and_can_be_removed(
    desk: Client, session: Session, catalogue: Catalogue
) -> None:
    drawn = "Cover drawn for this shop"
    assert drawn in desk.get("/en-gb/books/paperback").page.text
    before = current(session)
    assert send(desk, "/admin/editions/paperback/cover", picture(600, 900), **WORDS).status_code == 303
    assert current(session) > before
    page = desk.get("/en-gb/books/paperback").page
    assert drawn not in page.text
    assert [each.get("alt") for each in page.all(".//figure[@class='cover']//img")] == ["A street"]
    (image,) = desk.get("/ru-us/books/paperback").page.all(".//figure[@class='cover']//img")
    assert (image.get("alt"), image.get("width"), image.get("height")) == ("Улица", "600", "900")
    address = addresses(desk, "/en-gb/books/paperback")[0]
    assert fetch(desk, address).status_code == 200
    form = next(
        each for each in desk.get("/admin/editions/paperback/cover").page.forms() if "remove" in each.action
    )
    assert desk.submit(form).status_code == 303
    assert drawn in desk.get("/en-gb/books/paperback").page.text
    assert fetch(desk, address).status_code == 404


def test_files_lie_in_the_instance_folder_under_the_digest_of_their_bytes(
    desk: Client, session: Session, settings: Settings, catalogue: Catalogue
) -> None:
    photo(desk)
    for row in session.scalars(select(StoredFile)):
        path = Path(settings.instance_path) / "uploads" / row.digest[:2] / row.digest
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:32] == row.digest
        assert path.stat().st_size == row.size


@pytest.mark.parametrize("language", ["fr", "en", "all/remove"])
def test_a_place_for_a_file_that_there_is_not_is_not_found(
    desk: Client, catalogue: Catalogue, language: str
) -> None:
    page = write(desk, "street", "photo")
    assert desk.get(f"{page}/files/{language}").status_code == 404
    news = write(desk, "prize")
    assert desk.get(f"{news}/files/all").status_code == 404
