"""EAN-13, the bar code of books, for papers and as a picture: tables instead of a package that silently mends a wrong
check digit.

Source: GS1 General Specifications, section 5.2 (symbology EAN/UPC).
"""

from __future__ import annotations

from itertools import groupby
from xml.sax.saxutils import escape

LEFT = (
    "0001101",
    "0011001",
    "0010011",
    "0111101",
    "0100011",
    "0110001",
    "0101111",
    "0111011",
    "0110111",
    "0001011",
)
PARITY = (
    *("AAAAAA", "AABABB", "AABBAB", "AABBBA", "ABAABB"),
    *("ABBAAB", "ABBBAA", "ABABAB", "ABABBA", "ABBABA"),
)
EDGE, MIDDLE = "101", "01010"


class WrongCheckDigit(ValueError):
    """A number that is no EAN-13."""


def check_digit(twelve: str) -> int:
    """The digit that makes the weighted sum of all thirteen a multiple of ten."""
    return -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(twelve)) % 10


def is_ean13(code: str) -> bool:
    return len(code) == 13 and code.isascii() and code.isdigit() and check_digit(code[:12]) == int(code[12])


def ean13(code: str) -> str:
    """The 95 modules of a bar code, ``1`` for a bar; raises ``WrongCheckDigit`` for what is no EAN-13."""
    if not is_ean13(code):
        raise WrongCheckDigit(code)
    right = {digit: "".join("10"[int(module)] for module in left) for digit, left in enumerate(LEFT)}
    first, left, last = int(code[0]), code[1:7], code[7:]
    codes = [
        LEFT[int(digit)] if parity == "A" else right[int(digit)][::-1]
        for digit, parity in zip(left, PARITY[first], strict=True)
    ]
    return EDGE + "".join(codes) + MIDDLE + "".join(right[int(digit)] for digit in last) + EDGE


# The nominal size: a module of 0.33 mm, bars 22.85 mm high, those at edges and middle five modules longer, digits
# below; eleven modules of white on the left, seven on the right.
MODULE = 0.33  # millimetres
WHITE_LEFT, WHITE_RIGHT, BARS, GUARD = 11, 7, 69, 5  # modules
ABOVE, BELOW = 12, 10  # modules, for the lines of text


def svg(code: str, caption: str) -> str:
    """The bar code as a picture in its nominal size, ``caption`` above it, black on white wherever it stands.

    Raises ``WrongCheckDigit`` for what is no EAN-13. Source: GS1 General Specifications, sections 5.2.1 and 5.2.3.
    """
    modules = ean13(code)
    width, height = WHITE_LEFT + len(modules) + WHITE_RIGHT, ABOVE + BARS + BELOW
    bars, at = [], 0
    for value, run in groupby(modules):
        length = len(list(run))
        if value == "1":
            long = at < len(EDGE) or at >= len(modules) - len(EDGE) or 45 <= at < 50
            bars.append(f"M{WHITE_LEFT + at} {ABOVE}h{length}v{BARS + GUARD * long}h-{length}z")
        at += length
    line = ABOVE + BARS + 8
    first = f'<text x="2" y="{line}">{code[0]}</text>'
    halves = ((WHITE_LEFT + 4, code[1:7]), (WHITE_LEFT + 51, code[7:]))
    texts = first + "".join(
        f'<text x="{x}" y="{line}" textLength="40" lengthAdjust="spacing">{half}</text>' for x, half in halves
    )
    said = escape(caption)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * MODULE:.2f}mm" height="{height * MODULE:.2f}mm" '
        f'viewBox="0 0 {width} {height}" role="img"><title>{said}</title>'
        f'<path fill="#fff" d="M0 0h{width}v{height}H0z"/><path shape-rendering="crispEdges" d="{"".join(bars)}"/>'
        f'<g font-family="OCR-B, OCRB, monospace" font-size="9"><text x="{WHITE_LEFT}" y="9" '
        f'textLength="{len(modules)}" lengthAdjust="spacingAndGlyphs">{said}</text>{texts}</g></svg>\n'
    )
