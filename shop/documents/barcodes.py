"""EAN-13, the bar code of books: ten lines of tables instead of a package that silently mends a wrong check digit.

Source: GS1 General Specifications, section 5.2 (symbology EAN/UPC).
"""

from __future__ import annotations

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
