"""The shop's processes: the launcher's own parts, one more worker, each with its log; killed and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from shop.database import prepare
from shop.sandbox.launch import ADMIN, Launch, Plan, answers, free_port
from tests.live_shop import ROOT, clean_environment
from tests.sandbox_process import Sandbox
from tests.storm.mail import PostOffice

PATIENCE = 90  # seconds until everything must answer
WEB_WORKERS = 3
# Several commands in one Python: starting it takes longer than most of them.
COMMANDS = """
import json, sys
from click.testing import CliRunner
from flask.cli import cli
done = [CliRunner().invoke(cli, ["shop", *words]) for words in json.loads(sys.argv[1])]
print(json.dumps([(each.exit_code, each.output, repr(each.exception or "")) for each in done]))
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    output: str
    raised: str


class Parts:
    """Sandbox, mail server, web server with several workers, two shop workers, on one database."""

    def __init__(self, instance: Path, database_url: str) -> None:
        self.instance = instance
        self.mail = PostOffice(free_port())
        environ = clean_environment(instance) | {
            "PORT": str(free_port()),
            "SANDBOX_PORT": str(free_port()),
            "INSTANCE": str(instance),
            "WEB_CONCURRENCY": str(WEB_WORKERS),
            "SMTP_URL": f"smtp://127.0.0.1:{self.mail.port}",
            "DATABASE_URL": database_url or f"sqlite:///{instance / 'shop.sqlite'}",
            # Each buyer has an address of her own, told by the proxy that she comes through.
            "TRUSTED_PROXIES": "1",
            # Long enough that refunds and letters wait, short enough that the storm need not.
            "UNDO_SECONDS": "4",
        }
        self.plan = Plan(environ)
        self.url = f"http://127.0.0.1:{self.plan.port}"
        self.engine = create_engine(self.plan.database)
        prepare(self.engine)
        self.sandbox = Sandbox(
            instance,
            port=self.plan.sandbox_port,
            smtp_port=0,
            clock_file=Path(self.plan.environ["SHOP_CLOCK_OFFSET_FILE"]),
        )
        commands = self.plan.parts()
        self.commands = {
            "sandbox": commands["sandbox"],
            "shop": commands["shop"],
            "worker-1": commands["worker"],
            "worker-2": commands["worker"],
        }
        self.kills: Counter[str] = Counter()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    @property
    def admin(self) -> tuple[str, str]:
        """E-mail and password of the shopkeeper."""
        return ADMIN, self.plan.kept["admin_password"]

    def session(self) -> Session:
        return Session(self.engine)

    def start(self) -> Parts:
        self.mail.open()
        Launch(self.plan).prepare()
        for name in self.commands:
            self._start(name)
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for url in self.plan.questions().values():
            while not answers(url):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no answer from {url}; the logs are in {self.instance}")
                time.sleep(0.05)

    def _start(self, name: str) -> None:
        with (self.instance / f"{name}.log").open("ab") as output:
            self._running[name] = subprocess.Popen(
                self.commands[name],
                cwd=ROOT,
                env=self.plan.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, victim: str) -> None:
        """SIGKILL to a shop worker, to one web worker, or to the whole web server; what died is started again."""
        with self._lock:
            if victim == "web":
                children = self._children("shop")
                if children:
                    with suppress(ProcessLookupError):
                        os.kill(children[self.kills["web"] % len(children)], signal.SIGKILL)
            else:
                self._end(victim, signal.SIGKILL)
                self._start(victim)
            self.kills[victim] += 1

    def _children(self, name: str) -> list[int]:
        pid = self._running[name].pid
        with suppress(OSError):
            return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self._running.pop(name)
        with suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop_workers(self) -> None:
        with self._lock:
            for name in ("worker-1", "worker-2"):
                if name in self._running:
                    self._end(name, signal.SIGTERM)

    def stop(self) -> None:
        with self._lock:
            for name in ("worker-1", "worker-2", "shop", "sandbox"):
                if name in self._running:
                    self._end(name, signal.SIGTERM)
        self.mail.close()
        self.engine.dispose()

    def commands_run(self, *commands: str) -> list[Done]:
        """``flask shop …`` for each, one after the other, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS, json.dumps([command.split() for command in commands])],
            cwd=ROOT,
            env=self.plan.environ,
            capture_output=True,
            text=True,
            timeout=3600,
        )
        if done.returncode:
            raise RuntimeError(f"{commands}: {done.stdout}{done.stderr}")
        return [Done(*each) for each in json.loads(done.stdout.splitlines()[-1])]

    def mistakes(self) -> Iterator[str]:
        """Exceptions that the shop's own processes wrote down, each with how often, by where they were raised."""
        found: Counter[str] = Counter()
        for name in self.commands:
            said = (self.instance / f"{name}.log").read_text(errors="replace")
            for trace in re.findall(r"^Traceback .*?\n(?=\S)(?!Traceback)[^\n]*", said, re.DOTALL | re.MULTILINE):
                places = re.findall(r'File "[^"]*/((?:shop|migrations)/[^"]+)", line (\d+)', trace)
                where = ":".join(places[-1]) if places else "elsewhere"
                found[f"{name.partition('-')[0]}: {where}: {trace.rstrip().splitlines()[-1][:160]}"] += 1
        for what, times in found.most_common():
            yield f"{times} × {what}"
