"""The shop's fonts: Literata cut down to what English and Russian need, and the metrics of what stands in for it.

``python -m tools.fonts FOLDER`` takes the unpacked npm package ``@fontsource-variable/literata`` and writes
``shop/static/fonts``; the files are kept in the repository, so that nobody needs the package but whoever changes this.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

ROOT = Path(__file__).resolve().parent.parent
FONTS = ROOT / "shop" / "static" / "fonts"
ASCII = "".join(map(chr, range(0x20, 0x7F)))
SIGNS = "\u00a0«»‘’“”„–—…·•×−£€§©°′″"
ACCENTS = "àáâãäåæçèéêëíîïñòóôõöøúûüýßÅÇÉÖÜ"
RUSSIAN = "".join(map(chr, range(0x410, 0x450))) + "Ёё"
FURTHER = "ĭĬėĖīĪŭŬẏʹʺłŁšŠžŽčČćğĞşŞ†₽"
"""Romanised Russian (ALA-LC) and names; rare enough to wait for."""
RUSSIAN_ON_ENGLISH_PAGES = "ГДЕМНПРСТабвгдеийклмнопрстуфхцчщыюя"
"""Enough for what the other language is called, the Russian edition's title, publisher and citation, so that those few
words do not bring all of Cyrillic to an English page."""
FIGURES = ["kern", "mark", "ccmp", "tnum", "pnum"]
WEIGHTS = (400, 700)
LARGEST = 25_000  # bytes of one file


@dataclass(frozen=True, slots=True)
class Cut:
    """One file: from which one of the package, which characters, and one weight or a range of them."""

    source: str
    text: str
    weight: int | tuple[int, int] = WEIGHTS


CUTS = {
    # One file a weight, each within what a server may send before it is answered (10 segments, RFC 6928): on a slow
    # line both come in one round trip, where one variable file of both takes two.
    "literata-latin": Cut("latin-wght-normal", ASCII + SIGNS, 400),
    "literata-latin-bold": Cut("latin-wght-normal", ASCII + SIGNS, 700),
    "literata-accents": Cut("latin-wght-normal", ACCENTS),
    "literata-cyrillic": Cut("cyrillic-wght-normal", RUSSIAN + "№"),
    "literata-further": Cut("latin-ext-wght-normal", FURTHER),
    "literata-latin-italic": Cut("latin-wght-italic", ASCII + SIGNS + ACCENTS, 400),
    "literata-cyrillic-italic": Cut("cyrillic-wght-italic", RUSSIAN, 400),
    "literata-switch": Cut("cyrillic-wght-normal", RUSSIAN_ON_ENGLISH_PAGES),
}


def cut(source: Path, wanted: Cut) -> TTFont:
    """A font with these characters alone; names them in an error if the source lacks one."""
    font = TTFont(source, lazy=False)
    if missing := sorted(set(wanted.text) - set(map(chr, font.getBestCmap()))):
        raise SystemExit(f"{source.name} lacks {' '.join(missing)}")
    options = Options()
    options.layout_features, options.hinting, options.glyph_names = FIGURES, False, False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # the licence asks for its notices to stay
    options.notdef_outline = True
    subsetter = Subsetter(options)
    subsetter.populate(text=wanted.text)
    subsetter.subset(font)
    made: TTFont = instantiateVariableFont(font, {"wght": wanted.weight})
    made.flavor = "woff2"
    return made


def main(package: Path) -> None:
    FONTS.mkdir(parents=True, exist_ok=True)
    for name, wanted in CUTS.items():
        target = FONTS / f"{name}.woff2"
        cut(package / "files" / f"literata-{wanted.source}.woff2", wanted).save(target)
        size = target.stat().st_size
        print(f"{size:7,}  {target.relative_to(ROOT)}")
        if size > LARGEST:
            raise SystemExit(f"{target.name} is larger than {LARGEST:,} bytes")
    shutil.copy(package / "LICENSE", FONTS / "OFL.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
