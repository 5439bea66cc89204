"""The one place where time is read. Entry points read it once and pass ``now`` on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """UTC now, moved by the seconds in a file where development names one (``SHOP_CLOCK_OFFSET_FILE``)."""

    def __init__(self, offset_file: str = "") -> None:
        self._file = Path(offset_file) if offset_file else None

    def now(self) -> datetime:
        """An aware instant in UTC."""
        return datetime.now(UTC) + self._offset()

    def _offset(self) -> timedelta:
        if self._file is None:
            return timedelta()
        try:
            return timedelta(seconds=float(self._file.read_text().strip() or 0))
        except FileNotFoundError:
            return timedelta()
