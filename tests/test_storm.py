"""A small storm on each database; ``make storm`` lets a large one loose."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.storm import lots
from tests.storm.storm import raging

ORDERS = len(lots.FATES)
SEED = 1921


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_after_a_storm_money_copies_letters_and_stripes_ledger_agree(
    kind: str, new_database: Callable[[str, str], str], tmp_path: Path
):
    """Nothing lost, nothing double, nothing oversold, each letter once; a second reconciliation finds nothing."""
    report = raging(tmp_path, new_database(kind, "storm"), ORDERS, SEED)
    assert report.differences == []
    assert (
        min(report.shares["calls"], report.shares["deliveries"]) > 0.1
    )  # of so few; 0.28 and more in the long run
    assert set(report.happened["fates"]) == set(lots.FATES)
    assert sum(report.happened["kills"].values()) > 0


def test_the_same_seed_draws_the_same_buyers_and_the_same_weather():
    assert lots.buyers(7, 100) == lots.buyers(7, 100) != lots.buyers(8, 100)
    first, again, other = (list(islice(lots.weather(seed), 50)) for seed in (7, 7, 8))
    assert first == again != other
