"""A server with two workers, and many callers at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from shop.sandbox.launch import free_port

ROOT = Path(__file__).resolve().parent.parent
WORKERS, THREADS = 2, 8
CALLERS = 16
PATIENCE = 60


SERVERS = {
    # As the README has it in production.
    "granian": (
        *("serve.py", "wsgi:app", "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", "{port}", "--workers", "{workers}", "--blocking-threads", "{threads}", "--no-ws"),
        *("--http", "1", "--respawn-failed-workers", "--log-level", "error"),
    ),
    "gunicorn": (
        *("-m", "gunicorn", "benchmarks.apps:{app}()", "--bind", "127.0.0.1:{port}", "--workers", "{workers}"),
        *("--threads", "{threads}", "--timeout", "90", "--no-control-socket", "--log-level", "warning"),
    ),
}


class Served(int):
    """The port of a running server, which knows its process and when it was started."""

    process: subprocess.Popen[bytes]
    began: float

    def workers(self) -> list[str]:
        """Each worker's process id."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        return [child for child in children if "multiprocessing.resource_tracker" not in _command(child)]

    def memory(self) -> list[float]:
        """Memory of each worker, in megabytes."""
        return [size for size in map(_resident, self.workers()) if size]

    def lose_a_worker(self) -> None:
        """Kill one, for which the server starts another."""
        os.kill(int(self.workers()[0]), signal.SIGKILL)


def _command(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def _resident(pid: str) -> float:
    """What is in memory for this process: what it shares with others counts in part (proportional set size)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("\nPss:")[2].split()[0]) / 1024


@contextmanager
def served(
    app: str, environ: Mapping[str, str], server: str = "gunicorn", workers: int = WORKERS
) -> Iterator[Served]:
    """Serve ``benchmarks.apps:{app}()``, or the shop as it is under Granian; gives the port."""
    port = Served(free_port())
    words = (each.format(app=app, port=int(port), workers=workers, threads=THREADS) for each in SERVERS[server])
    port.began = time.monotonic()
    port.process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=dict(environ))
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                break
            except OSError:
                if port.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{app} does not answer") from None
                time.sleep(0.02)
        yield port
    finally:
        port.process.terminate()
        port.process.wait(30)


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """As ``post``, without a body."""
    lines = [
        f"GET {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in (headers or {"Host": "localhost"}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def fetch(port: int, request: bytes) -> bytes:
    """One answer, head and body."""
    with socket.create_connection(("127.0.0.1", int(port)), 90) as connection:
        connection.sendall(request)
        return _answer(connection)


def post(path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A request as it goes over the wire, made beforehand so that the callers have little to do."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _answer(connection: socket.socket) -> bytes:
    """One whole answer, its body's length taken from the headers."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += _more(connection)
    head, _, body = found.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    while len(body) < int(length or 0) and not head.startswith(b"HTTP/1.1 304"):
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    found = connection.recv(65536)
    if not found:
        raise RuntimeError("the server hung up")
    return found


def rate(port: int, requests: Sequence[bytes]) -> float:
    """Send all requests, ``CALLERS`` at once, each answered well; answers how many a second that is."""
    waiting = iter(requests)
    lock = threading.Lock()
    failures: list[object] = []

    def call() -> None:
        try:
            send_all()
        except (OSError, RuntimeError) as error:
            failures.append(error)

    def send_all() -> None:
        with socket.create_connection(("127.0.0.1", int(port)), 90) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                connection.sendall(request)
                answer = _answer(connection)
                if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")):
                    failures.append(answer[:300])
                    return

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    begun = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    took = time.perf_counter() - begun
    if failures:
        raise RuntimeError(f"not every request was answered well: {failures[0]!r}")
    return len(requests) / took
