"""The benchmarks run; how fast anything is, no test says."""

from __future__ import annotations

import subprocess
import sys

from tests.live_shop import ROOT


def test_settling_is_measured_and_every_order_is_settled():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "--part",
            "settling",
            "--orders",
            "20",
            "--rounds",
            "1",
            "--share",
            "0.02",
            "--lazy",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "settling of insert" in done.stdout


def test_the_pages_of_the_desk_are_measured_on_both_databases():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--part", "desk", "--desk-orders", "150", "--rounds", "3", "--lazy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "PostgreSQL, 150 orders" in done.stdout, done.stderr
    assert "export, first byte" in done.stdout
