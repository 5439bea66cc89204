"""`python -m shop.sandbox.launch`: the whole shop on one laptop, in the foreground, with one command.

It prepares the database, starts shop, worker and sandbox, prints where they are, and stops all of them on Ctrl-C,
on SIGTERM and when one of them ends by itself; one that was killed is started again. Whatever the environment
already says holds, so that each part can be replaced by another one: with `SMTP_URL` letters go there instead of to
the mailbox, with a `STRIPE_API_BASE` that is not the sandbox's the shop talks to that instead.
"""

import ctypes
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import urlsplit

from shop.sandbox.kept_secrets import keep_secrets, write_secretly, write_secrets

ROOT = Path(__file__).resolve().parents[2]
HERE = "127.0.0.1"
ADMIN = "admin@example.org"
CATALOGUE = "shop/data/catalogue.toml"
SELLER = {
    "name": "Bookstall Demonstration",
    "address": "1 Sample Street\\nLondon EC1A 1BB",
    "email": "hello@example.org",
}
PATIENCE = 60  # seconds until every part must answer
GRACE = 10  # seconds between asking a part to stop and ending it
CRASHED = 1
"""How the web server ends when it gives up starting its workers again."""
SHORTEST_LIFE = 2  # seconds
PR_SET_PDEATHSIG = 1

# Several `flask` commands in one Python: starting it takes longer than all of them together.
PREPARE = """
import json, sys
from flask.cli import cli
from tools.translations import compile_stale
compile_stale()
for words in json.loads(sys.argv[1]):
    cli.main(words, "flask", standalone_mode=False)
"""


class CannotStart(Exception):
    """Something the person at the keyboard can put right; the sentence says what."""


SETTINGS = (
    *("SHOP_ENV", "SHOP_URL", "SECRET_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
    *(
        "STRIPE_API_BASE",
        "SMTP_URL",
        "MAIL_FROM",
        "TRUSTED_HOSTS",
        "TRUSTED_PROXIES",
        "METRICS_TOKEN",
        "MARC_ORGANIZATION",
    ),
    *("STRIPE_CHECKOUT_ORIGINS", "SHOP_CLOCK_OFFSET_FILE", "INSTANCE", "UNDO_SECONDS"),
    "PAGE_MAX_AGE",
)


class Plan:
    """What is to be started and with which environment, from the settings that were given."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = {name: value for name, value in environ.items() if value.strip()}
        self.port = self._port("PORT", 8000)
        self.sandbox_port = self._port("SANDBOX_PORT", 8001)
        if self.port == self.sandbox_port:
            raise CannotStart(f"PORT and SANDBOX_PORT are both {self.port}; they must differ.")
        self.workers = self._number("WEB_CONCURRENCY", 2)
        self.instance = (ROOT / self.environ.get("INSTANCE", "instance")).resolve()
        self.instance.mkdir(parents=True, exist_ok=True)
        self.kept = keep_secrets(self.instance / "secrets.json")
        own_base = f"http://{HERE}:{self.sandbox_port}"
        base = urlsplit(self.environ.get("STRIPE_API_BASE", own_base))
        self.plays_stripe = base.hostname in (HERE, "localhost", "::1") and base.port == self.sandbox_port
        self.catches_mail = "SMTP_URL" not in self.environ
        self.runs_sandbox = self.plays_stripe or self.catches_mail
        smtp_port = self._port("SANDBOX_SMTP_PORT", 0) or free_port()
        database = f"sqlite:///{self.instance / 'shop.sqlite'}"
        given = {
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "SHOP_ENV": "development",
            "SHOP_URL": f"http://{HERE}:{self.port}",
            "SECRET_KEY": self.kept["secret_key"],
            "DATABASE_URL": database,
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": self.kept["webhook_secret"],
            "STRIPE_API_BASE": own_base,
            "SMTP_URL": f"smtp://{HERE}:{smtp_port}",
            "MAIL_FROM": "Bookstall <shop@example.org>",
            "SHOP_CLOCK_OFFSET_FILE": str(self.instance / "clock"),
            "SANDBOX_SMTP_PORT": str(smtp_port),
            "SANDBOX_WEBHOOK_URL": f"http://{HERE}:{self.port}/stripe/webhook",
        }
        self.new_database = not (self.instance / "shop.sqlite").exists()
        self.environ = given | self.environ
        # The parts talk to each other over loopback, whatever stands between this machine and the world.
        near = ",".join(
            filter(None, (self.environ.get("NO_PROXY") or self.environ.get("no_proxy"), HERE, "localhost"))
        )
        self.environ |= {
            "INSTANCE": str(self.instance),
            "NO_PROXY": near,
            "no_proxy": near,
            "FLASK_APP": "wsgi.py",
            "FLASK_SKIP_DOTENV": "1",  # what this environment says is all that every part sees
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def database(self) -> str:
        return self.environ["DATABASE_URL"]

    def _number(self, name: str, default: int) -> int:
        text = self.environ.get(name, str(default)).strip()
        if not text.isascii() or not text.isdigit():
            raise CannotStart(f"{name} is {text!r}, not a whole number.")
        return int(text)

    def _port(self, name: str, default: int) -> int:
        number = self._number(name, default)
        if number > 65535 or (number == 0 and default):
            raise CannotStart(f"{name} is {number}, not a port.")
        return number

    def preparation(self) -> list[list[str]]:
        """The `flask` commands that make a database ready, each safe to repeat."""
        seller = [word for name, value in SELLER.items() for word in (f"--{name}", value)]
        commands = [
            ["db", "upgrade"],
            ["shop", "catalogue", "import", "--if-empty", CATALOGUE],
            ["shop", "entries", "import"],
            ["shop", "trader", "set", "--if-empty", *seller],
        ]
        if self.needs_admin:
            commands.append(["shop", "admin", "create", "--email", ADMIN, "--name", "Demo", "--password-stdin"])
        return commands

    @property
    def needs_admin(self) -> bool:
        """Whether the demonstration's admin has yet to be made in this database."""
        fresh = self.new_database and self.database.startswith("sqlite:///" + str(self.instance))
        return fresh or self.kept.get("admin_in") != self.database

    def write_environment(self) -> None:
        """Leave the shop's settings beside its database, so that ``flask shop …`` finds them there."""
        names = [name for name in SETTINGS if name in self.environ]
        lines = [f"{name}='{self.environ[name]}'\n" for name in names if "'" not in self.environ[name]]
        write_secretly(self.instance / "env", "".join(lines))

    def parts(self) -> dict[str, list[str]]:
        """The processes to run, by what a person calls them."""
        python = sys.executable
        found = {}
        if self.runs_sandbox:
            found["sandbox"] = [python, "-m", "shop.sandbox"]
        found["shop"] = [
            *(python, "serve.py", "wsgi:app", "--interface", "wsgi", "--host", HERE, "--port", str(self.port)),
            *("--workers", str(self.workers), "--blocking-threads", "16", "--http", "1", "--no-ws"),
            # It would warn of more threads than processors; ours mostly wait, for Stripe or the database.
            *("--respawn-failed-workers", "--workers-kill-timeout", "5", "--log-level", "error"),
        ]
        found["worker"] = [python, "-m", "flask", "shop", "worker"]
        return found

    def questions(self) -> dict[str, str]:
        """Where to ask whether a part is ready."""
        found = {"shop": f"http://{HERE}:{self.port}/readyz"}
        if self.runs_sandbox:
            found["sandbox"] = f"http://{HERE}:{self.sandbox_port}/_control/health"
        return found

    def addresses(self) -> str:
        """What is printed once everything answers."""
        shop = self.environ["SHOP_URL"].rstrip("/")
        lines = [
            "",
            "Bookstall is running. Ctrl-C stops it.",
            "",
            f"  Shop        {shop}/",
            f"  Order desk  {shop}/admin/",
            f"              sign in as {ADMIN} with the password {self.kept['admin_password']}",
        ]
        sandbox = f"http://{HERE}:{self.sandbox_port}"
        if self.plays_stripe:
            lines.append(f"  Sandbox     {sandbox}/ (Stripe’s stand-in; pay with 4242 4242 4242 4242)")
        if self.catches_mail:
            lines.append(f"  Mailbox     {sandbox}/mailbox")
        return "\n".join([*lines, ""])


def free_port() -> int:
    """A port nobody listens on, below those the system hands out by itself."""
    for _ in range(200):
        port = random.randrange(20000, 32000)  # noqa: S311 - spreads rivals, no secret
        if is_free(port):
            return port
    raise CannotStart("No free port was found.")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return False
    return True


def alone(instance: Path) -> IO[str]:
    """Take the folder for this run; what is returned must stay open."""
    lock = (instance / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise CannotStart(f"A shop is running in {instance} already; INSTANCE names another folder.") from None
    return lock


def follow_parent() -> None:
    """In a child before it begins: end when the launcher ends, even if it is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Launch:
    """The running parts, started together and stopped together."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.running: dict[str, subprocess.Popen[Any]] = {}
        self.begun: dict[str, float] = {}
        self.told_to_stop = False

    def prepare(self) -> None:
        """Bring the database up to date; the parts must not see it half done."""
        plan = self.plan
        plan.write_environment()
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, json.dumps(plan.preparation())],
            cwd=ROOT,
            env=plan.environ,
            input=plan.kept["admin_password"] + "\n",
            text=True,
            capture_output=True,
            start_new_session=True,
        )
        if done.returncode:
            raise CannotStart(f"The database could not be prepared.\n{done.stdout}{done.stderr}".rstrip())
        if plan.needs_admin:
            plan.kept["admin_in"] = plan.database
            write_secrets(plan.instance / "secrets.json", plan.kept)

    def start(self) -> None:
        for name in self.plan.parts():
            self.start_part(name)

    def start_part(self, name: str) -> None:
        self.begun[name] = time.monotonic()
        self.running[name] = subprocess.Popen(
            self.plan.parts()[name],
            cwd=ROOT,
            env=self.plan.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if name == "sandbox" else None,
            start_new_session=True,  # Ctrl-C reaches the launcher alone, which stops them in order
            preexec_fn=follow_parent,  # the launcher has one thread, so this is safe
        )

    def wait_until_ready(self) -> None:
        """Wait until every part answers; raises when one ends or stays silent."""
        silent = self.plan.questions()
        deadline = time.monotonic() + PATIENCE
        while silent and not self.told_to_stop:
            self.raise_if_ended()
            silent = {name: url for name, url in silent.items() if not answers(url)}
            if silent and time.monotonic() > deadline:
                raise CannotStart(f"No answer from the {' and the '.join(silent)} within {PATIENCE} seconds.")
            if silent:
                time.sleep(0.05)

    def watch(self) -> None:
        """Wait for a signal, or for a part to end by itself, which raises; start again whatever was killed."""
        while not self.told_to_stop:
            for name, process in list(self.running.items()):
                if process.poll() == -signal.SIGKILL or self._gave_up(name):
                    print(f"The {name} was killed; it is started again.", file=sys.stderr, flush=True)
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # its children still have the port
                    self.start_part(name)
            self.raise_if_ended()
            time.sleep(0.2)

    def _gave_up(self, name: str) -> bool:
        """Whether the web server has ended because its workers were killed one after the other; at once, it is a
        mistake of its own (Granian, "Worker crash loop detected")."""
        lived = time.monotonic() - self.begun[name]
        return name == "shop" and self.running[name].poll() == CRASHED and lived > SHORTEST_LIFE

    def raise_if_ended(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                raise CannotStart(f"The {name} has ended (exit code {process.returncode}); the rest is stopped.")

    def stop(self) -> None:
        """Ask every part to stop and end those, with all their children, that do not."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for process in self.running.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self, _number: int, _frame: FrameType | None) -> None:
        self.told_to_stop = True


def answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def main() -> int:
    """Run until told to stop; 0 after a signal, 1 with a sentence when something went wrong."""
    launch: Launch | None = None
    try:
        plan = Plan(os.environ)
        lock = alone(plan.instance)
        for name, port in {"PORT": plan.port, "SANDBOX_PORT": plan.sandbox_port}.items():
            if not is_free(port) and (name == "PORT" or plan.runs_sandbox):
                raise CannotStart(f"Port {port} is in use; {name} chooses another: make run {name}={free_port()}")
        launch = Launch(plan)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, launch.told)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(signal.SIGHUP, launch.told)
        print("Bookstall is being prepared …", flush=True)
        launch.prepare()
        if not launch.told_to_stop:
            launch.start()
            launch.wait_until_ready()
        if not launch.told_to_stop:
            print(plan.addresses(), flush=True)
            launch.watch()
    except CannotStart as problem:
        print(f"bookstall: {problem}", file=sys.stderr, flush=True)
        return 1
    finally:
        if launch is not None:
            launch.stop()
    lock.close()
    print("Bookstall has stopped.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
