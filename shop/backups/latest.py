"""Which backup was made last: a small file in the instance folder, where the command writes and the set-up page looks.

It is no row, for a row would be turned back with everything else when a backup is restored.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NAME = "last-backup.json"


@dataclass(frozen=True, slots=True)
class Latest:
    """When it was made, what it is called, and how large it is in bytes."""

    made_at: datetime
    name: str
    size: int


def note(instance: Path, made: Latest) -> None:
    """Remember the last backup, whole or not at all."""
    told = {"made_at": made.made_at.astimezone(UTC).isoformat(), "name": made.name, "size": made.size}
    draft = instance / f".{NAME}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(told) + "\n")
    draft.replace(instance / NAME)


def latest(instance: Path) -> Latest | None:
    """The last backup that was made of this shop; ``None`` if there was none, or nobody can read what was noted."""
    try:
        told = json.loads((instance / NAME).read_text())
        made_at = datetime.fromisoformat(told["made_at"]).astimezone(UTC)
        return Latest(made_at, str(told["name"]), int(told["size"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
