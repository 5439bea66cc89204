"""The sandbox's time: real time plus an offset that the shop reads from the same file."""

import os
import threading
import time
from pathlib import Path

FARTHEST = 20 * 365 * 24 * 3600  # farther ahead, calendars and certificates stop making sense


class ClockError(ValueError):
    """The clock was asked to do what it does not do."""


class Clock:
    """Reads the offset at every look, so that whoever writes the file moves the time at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def offset(self) -> int:
        """Seconds by which the sandbox is ahead of the real time."""
        try:
            text = self.path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 12 else 0

    def time(self) -> float:
        """Now, with fractions: what "at least 30 minutes from now" is measured from."""
        return time.time() + self.offset()

    def now(self) -> int:
        """Now, in whole seconds, as Stripe writes `created`."""
        return int(self.time())

    def advance(self, seconds: int) -> int:
        """Move the time forward and return the new offset."""
        if seconds < 0:
            raise ClockError("time does not go backwards")
        with self._lock:
            offset = self.offset() + seconds
            if offset > FARTHEST:
                raise ClockError("that is too far ahead")
            # A reader must never see half a number.
            draft = self.path.with_name(self.path.name + f".{os.getpid()}")
            draft.write_text(f"{offset}\n", "ascii")
            draft.replace(self.path)
            return offset
