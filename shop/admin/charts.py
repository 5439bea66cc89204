"""Bar charts as geometry; the template writes them as SVG. Units are those of the drawing, not pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 340, 150
TOP, BOTTOM, GAP = 10, 18, 4
VALUES, ROW = 34, 15
LETTER, LONGEST = 6, 34
"""How wide a letter is drawn at most, on an average, and how many of them a name before a lying bar may have."""
STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. ``series`` numbers the colour; ``words`` is what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    series: int
    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word below a column, or a line across with what it stands for."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns of bars, one column for each label, with the same numbers as a table."""

    title: str
    bars: Sequence[Bar]
    labels: Sequence[Mark]
    lines: Sequence[Mark]
    series: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    width: int = WIDTH
    height: int = HEIGHT
    margin: float = 0
    """What is kept free at the left for the words of the lines."""
    across: bool = False
    """Bars lie, with their names before them: ``labels`` are heights, ``lines`` the values at the bars' ends."""


def across(
    title: str, labels: Sequence[str], series: str, numbers: Sequence[int], write: Callable[[int], str]
) -> Chart:
    """A chart of one series with a lying bar for each name, for names that would not fit below columns."""
    names = [name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…" for name in labels]
    margin = _width(names) + GAP
    room = WIDTH - margin - VALUES
    scale = room / max(*numbers, 0, 1)
    bars = [
        Bar(margin, ROW * place + 3, round(value * scale, 1), ROW - 6, 0, f"{name}: {write(value)}")
        for place, (name, value) in enumerate(zip(labels, numbers, strict=True))
    ]
    middles = [ROW * place + ROW / 2 + 3 for place in range(len(labels))]
    return Chart(
        title,
        bars,
        [Mark(at, name) for at, name in zip(middles, names, strict=True)],
        [Mark(round(bar.x + bar.width + 4, 1), write(value)) for bar, value in zip(bars, numbers, strict=True)],
        [series],
        [(name, [write(value)]) for name, value in zip(labels, numbers, strict=True)],
        height=max(ROW * len(labels), ROW),
        across=True,
    )


def columns(
    title: str,
    labels: Sequence[tuple[str, str]],
    series: Sequence[tuple[str, Sequence[int]]],
    write: Callable[[int], str],
) -> Chart:
    """A chart of one or more series over the same labels, each a short and a long word."""
    values = [value for _, numbers in series for value in numbers]
    step = _step(max(*values, 0, 1), min(*values, 0))
    highest = ceil(max(*values, 0, 1) / step) * step
    lowest = floor(min(*values, 0) / step) * step
    scale = (HEIGHT - TOP - BOTTOM) / (highest - lowest)
    lines = [(value, write(value)) for value in range(lowest, highest + 1, step)]
    margin = _width([words for _, words in lines]) + GAP
    room = (WIDTH - margin) / max(1, len(labels))
    width = room * 0.8 / max(1, len(series))

    def y(value: float) -> float:
        return TOP + (highest - value) * scale

    bars = [
        Bar(
            round(margin + room * (place + 0.1) + width * number, 1),
            round(y(max(value, 0)), 1),
            round(width, 1),
            round(abs(value) * scale, 1),
            number,
            f"{long}, {name}: {write(value)}" if len(series) > 1 else f"{long}: {write(value)}",
        )
        for number, (name, numbers) in enumerate(series)
        for place, ((_, long), value) in enumerate(zip(labels, numbers, strict=True))
        if value
    ]
    return Chart(
        title,
        bars,
        [Mark(round(margin + room * (place + 0.5), 1), short) for place, (short, _) in enumerate(labels)],
        [Mark(round(y(value), 1), words) for value, words in lines],
        [name for name, _ in series],
        [(long, [write(numbers[place]) for _, numbers in series]) for place, (_, long) in enumerate(labels)],
        margin=margin,
    )


def _width(words: Sequence[str]) -> float:
    """How much room the longest of some words takes."""
    return round(LETTER * max(map(len, words), default=0), 1)


def _step(highest: int, lowest: int) -> int:
    """A round distance between lines, so that there are few of them."""
    rough = max(1, (highest - lowest) / 3)
    power: int = 10 ** floor(log10(rough))
    return next(step * power for step in STEPS if step * power >= rough)
