"""A server with two workers, and many callers at once."""

from __future__ import annotations

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


@contextmanager
def served(app: str, environ: Mapping[str, str]) -> Iterator[int]:
    """Serve ``benchmarks.apps:{app}()`` as the README does in production; gives the port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", f"benchmarks.apps:{app}()", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(WORKERS), "--threads", str(THREADS), "--timeout", "90", "--no-control-socket"]
    command += ["--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT, env=dict(environ))
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{app} does not answer") from None
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(30)


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
    while len(body) < int(length or 0):
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    found = connection.recv(65536)
    if not found:
        raise RuntimeError("the server hung up")
    return found


def rate(port: int, requests: Sequence[bytes]) -> float:
    """Send all requests, ``CALLERS`` at once, each answered with 200; answers how many a second that is."""
    waiting = iter(requests)
    lock, failures = threading.Lock(), []

    def call() -> None:
        with socket.create_connection(("127.0.0.1", port), 90) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                connection.sendall(request)
                answer = _answer(connection)
                if not answer.startswith(b"HTTP/1.1 200"):
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
        raise RuntimeError(f"not every request was answered with 200: {failures[0]!r}")
    return len(requests) / took
