"""``python -m tests.storm --orders 2000 --seed 7 --database both``: exit code 1 if anything does not agree."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.postgres import NoPostgres, Postgres
from tests.storm.storm import Report, raging
from tools.translations import compile_stale

KINDS = ("sqlite", "postgresql")


def main() -> int:
    options = argparse.ArgumentParser(prog="make storm")
    options.add_argument("--orders", type=int, default=200)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--database", choices=(*KINDS, "both"), default="both")
    chosen = options.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(10**6)
    compile_stale()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped, as after Ctrl-C
    bad = False
    for kind in KINDS if chosen.database == "both" else (chosen.database,):
        say(f"A storm over {chosen.orders} orders on {kind}, SEED={seed} …")
        folder = Path(tempfile.mkdtemp(prefix=f"storm-{kind}-"))
        report = one(kind, folder, chosen.orders, seed)
        say("\n".join(table(report)))
        if report.differences:
            bad = True
            say(f"The logs and the sandbox’s memory are in {folder}")
        else:
            shutil.rmtree(folder)
    return int(bad)


def one(kind: str, folder: Path, orders: int, seed: int) -> Report:
    if kind == "sqlite":
        return raging(folder, "", orders, seed)
    try:
        server = Postgres()
    except NoPostgres as missing:
        raise SystemExit(f"make storm: {missing}") from missing
    try:
        return raging(folder, server.create("storm"), orders, seed)
    finally:
        server.stop()


def table(report: Report) -> list[str]:
    """What happened, in a few lines."""
    lines = []
    for group in (
        "fates",
        "aftermaths",
        "turned away",
        "desk",
        "weather",
        "mail",
        "kills",
        "commands",
        "answers",
        "letters",
    ):
        found = report.happened.get(group, {})
        told = ", ".join(f"{name} {number}" for name, number in sorted(found.items(), key=lambda each: -each[1]))
        lines.append(f"  {group:<12} {told or 'none'}")
    for name in ("calls", "deliveries"):
        share, number = report.shares[name], int(report.shares[f"number of {name}"])
        lines.append(f"  {name:<12} {number}, of which {share:.0%} went wrong")
    lines.append("  minutes      " + ", ".join(f"{name} {each:.1f}" for name, each in report.minutes.items()))
    lines += [f"  in the logs  {each}" for each in report.mistakes[:20]]
    lines.append(f"{len(report.differences)} differences")
    lines += [f"  {each}" for each in report.differences]
    return lines


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
