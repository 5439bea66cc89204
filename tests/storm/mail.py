"""The mail server of the storm: it can be away, and it keeps what it took."""

from __future__ import annotations

import email
import email.policy
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller


@dataclass(frozen=True, slots=True)
class Received:
    """A letter as it came in."""

    message_id: str
    recipient: str
    content: str
    """Everything but what a mail server adds."""

    @property
    def kind(self) -> str:
        """Of the letter that the Message-ID was made from."""
        return self.message_id.lstrip("<").partition(".")[0]


class PostOffice:
    """SMTP on loopback; closed, its port refuses connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[Received] = []
        self.mood = "takes"
        self._controller: Controller | None = None
        self._lock = threading.Lock()

    def behave(self, mood: str) -> None:
        """``takes`` letters, is ``away``, ``refuses`` them for now, or ``forgets`` to say that it took them."""
        self.mood = mood
        if mood == "away":
            self.close()
        else:
            self.open()

    def open(self) -> None:
        if self._controller is None:
            self._controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True)
            self._controller.start()

    def close(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.mood == "refuses":
            return "451 4.3.0 Try again later"
        content = (envelope.original_content or b"").decode("utf-8", "replace")
        message = email.message_from_string(content, policy=email.policy.default)
        boundary = message.get_boundary() or "-"
        with self._lock:
            for recipient in envelope.rcpt_tos:
                self.received.append(
                    Received(str(message["Message-ID"]), recipient, content.replace(boundary, "BOUNDARY"))
                )
        return "451 4.3.0 Try again later" if self.mood == "forgets" else "250 2.0.0 Kept"

    def by_id(self) -> dict[str, list[Received]]:
        """Every copy that came in, by Message-ID."""
        found: dict[str, list[Received]] = defaultdict(list)
        with self._lock:
            for each in self.received:
                found[each.message_id].append(each)
        return dict(found)
