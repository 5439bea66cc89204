"""Pictures, made anew from their pixels: nothing else of what was sent (place, camera, appended code) is kept."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from shop.uploads.keeping import Made, Prepared, digest_of
from shop.uploads.models import UploadKind
from shop.uploads.refusals import NotTaken, Refusal

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
MOST_BYTES = 20 * 1024 * 1024
MOST_PIXELS = 40_000_000
"""So that a picture unpacked fits into the memory of a small machine; three bytes each."""
LONGEST_SIDE = 20_000
WIDTHS = (800, 1400, 2000)
PHONE_BYTES = 60 * 1024
"""What the smallest width may weigh at most: a phone loads it over a slow line."""
AVIF, JPEG, PNG = "image/avif", "image/jpeg", "image/png"
QUALITIES = {AVIF: (55, 45, 35, 25, 15), JPEG: (78, 68, 58, 48, 38, 28)}
OPTIONS: dict[str, dict[str, Any]] = {
    AVIF: {"speed": 8},
    JPEG: {"progressive": True, "optimize": True},
    PNG: {"optimize": True},
}
NAMES = {AVIF: "AVIF", JPEG: "JPEG", PNG: "PNG"}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError)
"""What Pillow raises about a damaged file, by the format it is in."""


def prepare(data: bytes) -> Prepared:
    """A picture in up to three widths, each as AVIF with JPEG beside; raises ``NotTaken``."""
    image = read(data)
    made = []
    for width in WIDTHS:
        sized = _scaled(image, min(width, image.width))
        most = PHONE_BYTES if width == WIDTHS[0] else None
        made += [_encoded(sized, AVIF, most), _encoded(sized, JPEG, most)]
        if image.width <= width:
            break
    return Prepared(digest_of(data), UploadKind.PICTURE, made)


def whole(data: bytes) -> Made:
    """A picture to be saved by readers: in its own size, as PNG if it came so, else as JPEG."""
    image = read(data, shrink=False)
    media_type = PNG if data.startswith(b"\x89PNG") else JPEG
    return Made(_bytes(image, media_type, 90), media_type, image.width, image.height)


def read(data: bytes, *, shrink: bool = True) -> Image.Image:
    """The pixels of a picture, upright, in sRGB, on white; ``shrink`` may lessen those that no width needs.

    Raises ``NotTaken`` for what is no picture, is damaged, or would unpack to too much.
    """
    if not data:
        raise NotTaken(Refusal.EMPTY)
    if len(data) > MOST_BYTES:
        raise NotTaken(Refusal.TOO_LARGE)
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as found:
            if found.width * found.height > MOST_PIXELS or max(found.size) > LONGEST_SIDE:
                raise NotTaken(Refusal.TOO_MANY_PIXELS)
            if shrink:
                found.draft("RGB", (WIDTHS[-1], WIDTHS[-1]))  # a JPEG is unpacked smaller where it is far larger
            found.load()
            image = _flat(ImageOps.exif_transpose(found))
    except UnidentifiedImageError:
        raise NotTaken(Refusal.NO_PICTURE) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotTaken(Refusal.TOO_MANY_PIXELS) from None
    except BROKEN as error:
        raise NotTaken(Refusal.DAMAGED) from error
    image.info = {}
    return image


def _flat(image: Image.Image) -> Image.Image:
    """Three channels of eight bits in sRGB; what is transparent stands on white."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # sixteen bits of grey
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            known = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (
            ImageCms.PyCMSError
        ):  # a profile that does not fit its picture: the plain numbers are as good a guess
            known = None
        image = known or image
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled(image: Image.Image, width: int) -> Image.Image:
    if width == image.width:
        return image
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, media_type: str, most: int | None) -> Made:
    """A file that weighs no more than it may: first its quality gives way, then its size."""
    while True:
        for quality in QUALITIES[media_type]:
            data = _bytes(image, media_type, quality)
            if most is None or len(data) <= most:
                return Made(data, media_type, image.width, image.height)
        image = _scaled(image, max(1, image.width * 4 // 5))


def _bytes(image: Image.Image, media_type: str, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, NAMES[media_type], quality=quality, **OPTIONS[media_type])
    return out.getvalue()
