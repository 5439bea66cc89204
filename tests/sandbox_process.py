"""The sandbox as a process of its own, for tests: started on free ports, driven over loopback, stopped at the end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SECRET = "whsec_for_tests"
KEY = "sk_test_for_tests"
ADDRESS = {
    "email": "reader@example.com",
    "name": "Ada Reader",
    "line1": "1 Gower Street",
    "city": "London",
    "postal_code": "WC1E 6BT",
    "country": "GB",
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Answer:
    """A status, headers (in lower case) and a body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30,
) -> Answer:
    """One request without proxies, cookies or following redirects."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class Sandbox:
    """One sandbox process; a context manager."""

    def __init__(
        self,
        instance: Path | None = None,
        *,
        port: int | None = None,
        smtp_port: int | None = None,
        secret: str = SECRET,
        webhook_url: str = "",
        clock_file: Path | None = None,
        seed: str = "",
        environ: dict[str, str] | None = None,
    ) -> None:
        self._folder = None if instance is not None else tempfile.TemporaryDirectory(prefix="sandbox-")
        self.instance = instance if instance is not None else Path(self._folder.name)  # type: ignore[union-attr]
        self.port = port or free_port()
        self.smtp_port = free_port() if smtp_port is None else smtp_port
        self.secret = secret
        self.webhook_url = webhook_url
        self.clock_file = clock_file or self.instance / "clock-offset"
        self.seed = seed
        self.extra = environ or {}
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._folder is not None:
            self._folder.cleanup()

    def environ(self) -> dict[str, str]:
        """The environment of the process: nobody's proxies, nobody's home."""
        kept = {
            n: v
            for n, v in os.environ.items()
            if "proxy" not in n.lower() and not n.startswith(("SANDBOX_", "STRIPE_"))
        }
        return (
            kept
            | {
                "NO_PROXY": "127.0.0.1,localhost",
                "PYTHONPATH": str(ROOT),
                "SANDBOX_PORT": str(self.port),
                "SANDBOX_SMTP_PORT": str(self.smtp_port),
                "INSTANCE": str(self.instance),
                "SANDBOX_WEBHOOK_URL": self.webhook_url,
                "STRIPE_WEBHOOK_SECRET": self.secret,
                "SHOP_CLOCK_OFFSET_FILE": str(self.clock_file),
                "SANDBOX_SEED": self.seed,
            }
            | self.extra
        )

    def start(self) -> "Sandbox":
        """Start the process and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shop.sandbox"], cwd=ROOT, env=self.environ(), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the sandbox ended with {self.process.returncode}")
            try:
                if fetch(f"{self.url}/_control/health", timeout=2).status == 200:
                    return self
            except OSError:
                time.sleep(0.03)
        raise RuntimeError("the sandbox does not answer")

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def restart(self) -> "Sandbox":
        """Stop it and start it again on the same folder."""
        self.stop()
        return self.start()

    def _end(self, signum: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def control(self, path: str, body: dict[str, Any] | None = None, *, status: int | None = 200) -> Any:
        """`control("clock", {"advance": 60})`; without a body it is a GET. `status=None` takes any."""
        method = "GET" if body is None else "POST"
        data = None if body is None else json.dumps(body)
        answer = fetch(
            f"{self.url}/_control/{path.lstrip('/')}", method, data, {"Content-Type": "application/json"}
        )
        if status is not None and answer.status != status:
            raise AssertionError(f"{path}: {answer.status} {answer.text}")
        return answer.json()

    def advance(self, seconds: int) -> None:
        """Move the clock."""
        self.control("clock", {"advance": seconds})

    def ledger(self) -> Any:
        """The whole truth."""
        return self.control("ledger")

    def pay(
        self, url: str, *, card_number: str = "4242 4242 4242 4242", secure: bool = True, **fields: str
    ) -> Answer:
        """Fill in the payment page and press pay; 3-D Secure is answered with `secure`. 303 means done."""
        form = ADDRESS | {"card_number": card_number, "action": "pay"} | fields
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = fetch(url, "POST", urlencode(form), headers)
        if answer.status == 303 and answer.location.endswith("/challenge"):
            verdict = urlencode({"action": "accept" if secure else "refuse"})
            answer = fetch(self.absolute(answer.location), "POST", verdict, headers)
        return answer

    def absolute(self, location: str) -> str:
        """An address of ours from a `Location` header."""
        return location if location.startswith("http") else self.url + location

    def mail(self) -> list[dict[str, Any]]:
        """The letters that were caught, newest first."""
        letters: list[dict[str, Any]] = fetch(f"{self.url}/mailbox.json").json()
        return letters
