"""The shop as `make run` starts it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool

from shop.app import create_app
from shop.sandbox.launch import SHORTEST_LIFE, answers, free_port
from shop.settings import Settings
from tests.conftest import engine_of
from tests.live_shop import ROOT, LiveShop, clean_environment
from tests.sandbox_process import fetch


def test_everything_answers(live_shop: LiveShop):
    assert live_shop.get("/readyz").status == 200
    assert live_shop.get("/").status == 302
    assert live_shop.sandbox.control("health")
    assert live_shop.page("/ru-gb/").language == "ru"
    assert live_shop.admin[1] in live_shop.said


def test_a_shop_put_together_before_its_workers_has_opened_nothing_that_they_must_not_share(settings: Settings):
    def opened() -> set[str]:
        files = Path("/proc/self/fd")
        named = {link.readlink().as_posix() for link in files.iterdir() if link.is_symlink()}
        return {name for name in named if name.startswith("socket:") or ".sqlite" in name}

    before, threads = opened(), threading.active_count()
    engine = engine_of(create_app(settings))
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.checkedin() + engine.pool.checkedout() == 0
    assert opened() == before
    assert threading.active_count() == threads


def test_secrets_are_kept_from_others(live_shop: LiveShop):
    assert stat.S_IMODE((live_shop.instance / "secrets.json").stat().st_mode) == 0o600


def test_a_second_shop_in_the_same_folder_is_refused(live_shop: LiveShop):
    done = subprocess.run(
        [sys.executable, "-m", "shop.sandbox.launch"],
        cwd=ROOT,
        env=live_shop.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "already" in done.stderr


def test_a_busy_port_is_named(live_shop: LiveShop, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "shop.sandbox.launch"],
        cwd=ROOT,
        env=live_shop.environ | {"INSTANCE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"Port {live_shop.port} is in use" in done.stderr


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"PORT": "eighty"}, "PORT is 'eighty'"),
        ({"PORT": "9000", "SANDBOX_PORT": "9000"}, "must differ"),
        ({"SHOP_URL": "ftp://shop"}, "SHOP_URL"),
    ],
)
def test_a_mistaken_setting_is_named(environ: dict[str, str], what: str, tmp_path):
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "shop.sandbox.launch"],
        cwd=ROOT,
        env=clean_environment(tmp_path) | ports | {"INSTANCE": str(tmp_path)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert what in done.stderr


def test_it_runs_again_in_the_same_folder_and_stops_whole(tmp_path):
    first = LiveShop(tmp_path).start()
    password, pids = first.admin[1], processes_of(first)
    first.stop()
    assert pids
    assert not [pid for pid in pids if is_alive(pid)]
    second = LiveShop(tmp_path).start()
    try:
        assert second.admin[1] == password
        assert second.get("/readyz").status == 200
    finally:
        second.stop()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    """A shop whose processes are killed, and which goes on."""
    running = LiveShop(tmp_path_factory.mktemp("mortal")).start()
    yield running
    running.stop()


@pytest.mark.parametrize("part", ["flask shop worker", "serve.py", "-m shop.sandbox"])
def test_a_part_that_was_killed_is_started_again(mortal: LiveShop, part: str) -> None:
    killed, before = parents_of(processes_of(mortal), part), len(mortal.said)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: "was killed; it is started again" in mortal.said[before:])
    wait_until(lambda: parents_of(processes_of(mortal), part) not in (None, killed))
    wait_until(lambda: answers(f"{mortal.url}/readyz"))
    assert mortal.process.poll() is None


def test_however_fast_web_workers_are_killed_the_shop_answers_again(mortal: LiveShop) -> None:
    before = len(mortal.said)
    time.sleep(SHORTEST_LIFE)
    wait_until(lambda: kill_workers(mortal) or "The shop was killed; it is started again" in mortal.said[before:])
    wait_until(lambda: answers(f"{mortal.url}/readyz"))
    assert mortal.process.poll() is None


def test_when_one_part_ends_the_rest_is_stopped_and_it_is_said_which(tmp_path):
    running = LiveShop(tmp_path).start()
    try:
        pids = processes_of(running)
        os.kill(parents_of(pids, "flask shop worker"), signal.SIGTERM)
        wait_until(lambda: "worker has ended" in running.said)
        wait_until(lambda: not [pid for pid in pids if is_alive(pid)])
        with pytest.raises(OSError):  # noqa: PT011 - the kind of refusal is the system's
            fetch(running.url)
    finally:
        running.stop()


def processes_of(running: LiveShop) -> list[int]:
    """Every process that was started with this shop's folder."""
    mark = f"INSTANCE={running.instance}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != running.process.pid:
            try:
                with open(f"/proc/{entry}/environ", "rb") as environ:
                    if mark in environ.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                continue  # it has ended, or is another's
    return found


def web_processes_of(running: LiveShop) -> list[int]:
    """The web server, and then its workers."""
    return sorted(pid for pid in processes_of(running) if b"serve.py" in command_of(pid))


def kill_workers(running: LiveShop) -> None:
    for worker in web_processes_of(running)[1:]:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def parents_of(pids: list[int], part: str) -> int | None:
    """Of the processes whose command names a part the one that was there first."""
    wanted = b"\0".join([b"", *part.encode().split(), b""])
    return min((pid for pid in pids if wanted in command_of(pid)), default=None)


def command_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as command:
        return command.read()


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as state:
            return state.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
