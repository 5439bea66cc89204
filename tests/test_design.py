"""The system of docs/DESIGN.md, where it can be computed: contrast, weight, drawings."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from shop.settings import ROOT
from tests.client import Client
from tests.factories import Catalogue

STATIC = ROOT / "shop" / "static"
CSS = (STATIC / "shop.css").read_text(encoding="utf-8")
TEXT, EDGE = 4.5, 3.0  # WCAG 2.2: 1.4.3 for text, 1.4.11 for the edges of fields and buttons
PAIRS = (
    *((colour, ground, TEXT) for colour in ("ink", "quiet", "vermilion") for ground in ("paper", "leaf")),
    ("on-vermilion", "vermilion", TEXT),
    *(("field", ground, EDGE) for ground in ("paper", "leaf")),
)


def palette(scheme: str) -> dict[str, str]:
    """The colours by name; those of the dark scheme over those of the light one."""
    blocks = re.findall(r":root \{([^}]*--paper[^}]*)\}", CSS)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks[:2])
    return light if scheme == "light" else light | dark


def luminance(colour: str) -> float:
    """WCAG 2.2, “relative luminance”."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_is_told_from_its_ground(scheme: str) -> None:
    colours = palette(scheme)
    assert [(one, on) for one, on, least in PAIRS if contrast(colours[one], colours[on]) < least] == []


def test_the_contrasts_that_are_written_down_are_the_computed_ones() -> None:
    written = (ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8")
    for name in ("ink", "quiet", "vermilion", "field"):
        row = next(line for line in written.splitlines() if palette("light")[name] in line)
        told = [float(each) for each in re.findall(r"\| (\d+\.\d) ", row)]
        computed = [
            contrast(palette(scheme)[name], palette(scheme)[ground])
            for scheme in ("light", "dark")
            for ground in ("paper", "leaf")
        ]
        assert told == [round(each, 1) for each in computed], name


def test_the_stylesheet_stays_small() -> None:
    rules = re.sub(r"@font-face \{[^}]*\}\n?|/\*.*?\*/\n?", "", CSS, flags=re.DOTALL)  # comments stay at home
    assert len(rules.encode()) < 20_500


def test_the_faces_of_a_family_write_their_weights_alike() -> None:
    """Chromium and WebKit join only such faces: beside “400 700” a face of “400” would never be drawn."""
    weights: dict[tuple[str, str], set[str]] = {}
    for face in re.findall(r"@font-face \{([^}]*url[^}]*)\}", CSS):
        told = dict(re.findall(r"([\w-]+): ([^;]+);", face))
        weights.setdefault((told["font-family"], told.get("font-style", "normal")), set()).add(told["font-weight"])
    for family in ('"Literata"', '"Literata Russian"'):
        assert weights.pop((family, "normal")) == {"400", "700"}
        assert weights.pop((family, "italic")) == {"400"}
    assert weights == {}


@pytest.mark.parametrize("path", sorted(STATIC.glob("*/*.svg")), ids=lambda path: path.name)
def test_a_drawing_needs_no_font_and_says_what_it_shows(path: Path) -> None:
    tags = {each.tag.rpartition("}")[2] for each in ElementTree.parse(path).iter()}
    assert "title" in tags
    assert tags <= {"svg", "title", "path", "circle"}
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize("market", ["en-us", "ru-gb"])
def test_what_networks_show_beside_a_link_is_drawn_in_the_readers_language(
    client: Client, catalogue: Catalogue, market: str
) -> None:
    page = client.get(f"/{market}/books/russian").page
    [picture] = page.all("head/meta[@property='og:image']")
    address = picture.get("content", "")
    assert re.fullmatch(rf"http://localhost/static/[^/]+/share/share\.{market[:2]}\.png", address)
    with Image.open(STATIC / "share" / f"share.{market[:2]}.png") as drawn:
        assert drawn.size == (1200, 630)
    answer = client.get(address.removeprefix("http://localhost"))
    assert answer.status_code == 200
    answer.close()


@pytest.mark.parametrize("market", ["en-gb", "ru-us"])
def test_drawn_covers_say_that_they_were_drawn_here(client: Client, catalogue: Catalogue, market: str) -> None:
    told = {"en": "Cover drawn for this shop", "ru": "Обложка нарисована для этого магазина"}[market[:2]]
    for path in ("", "books/paperback", "books/russian"):
        assert told in client.get(f"/{market}/{path}").page.text.replace("\u00a0", " ")
