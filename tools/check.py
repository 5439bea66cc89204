"""``make check``: everything that can be said about the project without running its suite. Names every failure."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TEMPLATES = "templates"

# A shop that could start; only its tables are looked at.
ENVIRON = {
    "SHOP_ENV": "development",
    "SHOP_URL": "http://127.0.0.1:8000",
    "SECRET_KEY": "of a shop that is only looked at",
    "STRIPE_SECRET_KEY": "sk_test_checked",
    "STRIPE_WEBHOOK_SECRET": "whsec_checked",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "SMTP_URL": "smtp://127.0.0.1:9",
    "MAIL_FROM": "shop@example.org",
    "FLASK_APP": "wsgi.py",
    "FLASK_SKIP_DOTENV": "1",
}


def commands() -> dict[str, list[list[str]]]:
    """What is asked, by what it is about; the later of two commands runs if the earlier succeeds."""
    python = sys.executable
    flask = [python, "-m", "flask"]
    return {
        "format": [[str(BIN / "ruff"), "format", "--check", "--quiet", "."]],
        "lint": [[str(BIN / "ruff"), "check", "--quiet", "--output-format", "concise", "."]],
        "types": [[str(BIN / "mypy"), "--no-error-summary"]],
        "import rules": [[str(BIN / "lint-imports"), "--no-cache"]],
        "templates": [[str(BIN / "djlint"), TEMPLATES, "--lint", "--quiet"]],
        "dead code": [[str(BIN / "vulture")]],
        "migrations": [[*flask, "db", "upgrade"], [*flask, "db", "check"]],
        "translations": [[python, "-m", "tools.translations", "check"]],
    }


def run(steps: list[list[str]], environ: dict[str, str]) -> tuple[str, float]:
    """Run commands until one fails; what that one said, and how long it all took in seconds."""
    began = time.monotonic()
    for step in steps:
        done = subprocess.run(step, cwd=ROOT, env=environ, capture_output=True, text=True)
        if done.returncode:
            return (done.stdout + done.stderr).strip() or f"exit code {done.returncode}", time.monotonic() - began
    return "", time.monotonic() - began


def main() -> int:
    """Run all checks, two at a time; print what the failing ones say; 1 if there is one."""
    failed = []
    with tempfile.TemporaryDirectory() as instance, ThreadPoolExecutor(2) as pool:
        database = f"sqlite:///{instance}/check.sqlite"
        environ = os.environ | ENVIRON | {"INSTANCE": instance, "DATABASE_URL": database}
        answers = {name: pool.submit(run, steps, environ) for name, steps in commands().items()}
        for name, answer in answers.items():
            said, seconds = answer.result()
            print(f"{'failed' if said else 'ok':>6}  {name} ({seconds:.1f} s)", flush=True)
            if said:
                print(said, flush=True)
                failed.append(name)
    print(f"Not in order: {', '.join(failed)}." if failed else "Everything is in order.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
