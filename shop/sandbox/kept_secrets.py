"""Secrets of an instance folder: made the first time, and readable by nobody else on the machine."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def keep_secrets(file: Path) -> dict[str, str]:
    """Secrets of this folder, made the first time; nobody else on the machine can read them."""
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    made = {
        "secret_key": secrets.token_urlsafe(32),
        "webhook_secret": "whsec_" + secrets.token_urlsafe(24),
        "admin_password": secrets.token_urlsafe(12),
    }
    if made.keys() - kept.keys():
        kept = made | kept
        write_secrets(file, kept)
    return kept


def write_secrets(file: Path, kept: Mapping[str, str]) -> None:
    write_secretly(file, json.dumps(dict(kept), indent=2))


def write_secretly(file: Path, text: str) -> None:
    """Write a whole file at once that nobody else on the machine can read."""
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    draft.replace(file)
