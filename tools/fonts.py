"""The shop's fonts: Literata cut down to what English and Russian need, and the rules that name the files.

``python -m tools.fonts FOLDER`` takes the unpacked npm package ``@expo-google-fonts/literata`` (OFL; a file for each
weight, with all characters), writes ``shop/static/fonts`` and the rules at the head of ``shop.css``; the files are kept
in the repository, so that nobody needs the package but whoever changes this.
"""

from __future__ import annotations

import re
import shutil
import string
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
FONTS = ROOT / "shop" / "static" / "fonts"
STYLESHEET = ROOT / "shop" / "static" / "shop.css"
LATIN = string.ascii_letters
SIGNS = string.digits + " !\"%&'()*+,-./:;?@[]_$£€\u00a0«»‘’“”–—…·×"
CYRILLIC = "".join(map(chr, range(0x410, 0x450))) + "Ёё№"
RARE = "#<=>\\^`{|}~§©°′″−•„†₽"
ACCENTS = "àáâãäåæçèéêëíîïñòóôõöøúûüýßÅÇÉÖÜ"
ROMANISED = "ĭĬėĖīĪŭŬẏʹʺłŁšŠžŽčČćğĞşŞ"
"""Romanised Russian (ALA-LC) and names."""
RUSSIAN_ON_ENGLISH_PAGES = "ГДЕМНПРСТабвгдеийклмнопрстуфхцчщыюя"
"""What the other language is called, the Russian edition's title, publisher and citation."""
RUSSIAN_TITLE, ENGLISH_TITLE = "Русская революция в отступлении", "The Russian Revolution in Retreat"
ACRONYMS = "AGLNS"
"""SAN, GLN: the names of a library's numbers are the same in either language."""
NEEDLESS = ["vhea", "vmtx"]  # for lines that run downwards
LARGEST = 25_000  # bytes of one file


@dataclass(frozen=True, slots=True)
class Cut:
    """One file: from which one of the package, and which characters."""

    source: str
    text: str


REGULAR, BOLD = "400Regular/Literata_400Regular", "700Bold/Literata_700Bold"
ITALIC = "400Regular_Italic/Literata_400Regular_Italic"
UPRIGHT_FEATURES = ["kern", "ccmp", "tnum"]  # figures of one width: sums, ISBN
ITALIC_FEATURES = ["kern", "ccmp"]
FURTHER = RARE + ACCENTS + ROMANISED

# A page loads one file of each style that it uses: a second one, for a word or for its figures, would be asked for only
# once the page has been laid out. So a file carries the figures and signs that its language needs, and what is
# certainly said in the other script: the names of languages, the titles.
CUTS = {
    "en": Cut(REGULAR, LATIN + SIGNS + "ĭ" + RUSSIAN_ON_ENGLISH_PAGES),
    "en-bold": Cut(BOLD, LATIN + SIGNS + RUSSIAN_TITLE),
    "en-italic": Cut(ITALIC, LATIN + string.digits + " ,.:;-–—’()«»?!\u00a0‘“”&'/"),
    "ru": Cut(REGULAR, CYRILLIC + LATIN + SIGNS + "„ĭ"),
    "ru-bold": Cut(BOLD, CYRILLIC + string.digits + " !()*+,-./:;?$£€\u00a0«»„“’–—…×" + ENGLISH_TITLE + ACRONYMS),
    "ru-italic": Cut(ITALIC, CYRILLIC.rstrip("№") + LATIN + string.digits + " ,.:;-–—’()«»?!\u00a0"),
    "cyrillic": Cut(REGULAR, CYRILLIC),  # for more Russian than an English page usually has
    "further": Cut(REGULAR, FURTHER),
    "further-bold": Cut(BOLD, FURTHER),
    "further-italic": Cut(ITALIC, FURTHER),
}
STYLES = {REGULAR: "font-weight: 400", BOLD: "font-weight: 700", ITALIC: "font-style: italic; font-weight: 400"}
# Where two files of a family have a character, the rule that comes later wins (CSS Fonts 4, 5.3). All rules of a family
# and style have the very same weight: a browser takes those that fit best and does not look into the others, so that
# a range of weights beside single ones would hide their characters.
FAMILIES = {
    "Literata": (
        *("further", "cyrillic", "en"),
        *("further-bold", "ru-bold", "en-bold"),
        *("further-italic", "ru-italic", "en-italic"),
    ),
    "Literata Russian": (
        *("further", "ru"),
        *("further-bold", "en-bold", "ru-bold"),
        *("further-italic", "en-italic", "ru-italic"),
    ),
}


def cut(source: Path, text: str, features: list[str]) -> TTFont:
    """A font with these characters alone; names them in an error if the source lacks one."""
    font = TTFont(source, lazy=False)
    if missing := sorted(set(text) - set(map(chr, font.getBestCmap()))):
        raise SystemExit(f"{source.name} lacks {' '.join(missing)}")
    options = Options()
    options.layout_features, options.hinting, options.glyph_names = features, False, False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # the licence asks for its notices to stay
    options.notdef_outline = True
    options.drop_tables = [*options.drop_tables, *NEEDLESS]
    subsetter = Subsetter(options)
    subsetter.populate(text=text)
    subsetter.subset(font)
    font.flavor = "woff2"
    return font


def ranges(text: Iterable[str]) -> str:
    """These characters as ``unicode-range`` names them."""
    spans: list[list[int]] = []
    for code in sorted(map(ord, set(text))):
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return ", ".join(f"U+{first:X}" + (f"-{last:X}" if last > first else "") for first, last in spans)


def rules() -> str:
    """The ``@font-face`` rules of all families."""
    return "".join(
        f'@font-face {{ font-family: "{family}"; {STYLES[CUTS[name].source]}; '
        f'font-display: swap; src: url("fonts/literata-{name}.woff2") format("woff2"); '
        f"unicode-range: {ranges(CUTS[name].text)}; }}\n"
        for family, names in FAMILIES.items()
        for name in names
    )


def main(package: Path) -> None:
    FONTS.mkdir(parents=True, exist_ok=True)
    for name, wanted in CUTS.items():
        target = FONTS / f"literata-{name}.woff2"
        features = ITALIC_FEATURES if wanted.source == ITALIC else UPRIGHT_FEATURES
        cut(package / f"{wanted.source}.ttf", wanted.text, features).save(target)
        size = target.stat().st_size
        print(f"{size:7,}  {target.relative_to(ROOT)}")
        if size > LARGEST:
            raise SystemExit(f"{target.name} is larger than {LARGEST:,} bytes")
    shutil.copy(package / "LICENSE_FONT", FONTS / "OFL.txt")
    css = STYLESHEET.read_text(encoding="utf-8")
    STYLESHEET.write_text(
        re.sub(r"(@font-face \{[^}]*fonts/literata-[^}]*\}\n)+", lambda _: rules(), css), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
