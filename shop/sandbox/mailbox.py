"""The mailbox: an SMTP server that keeps every letter as a file, and what its pages need to show it."""

import email
import email.policy
import re
import secrets
import threading
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

NAME = re.compile(r"[0-9]{13,17}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that was caught."""

    id: str
    received: float
    sender: str
    recipients: list[str]
    message: EmailMessage

    def part(self, kind: str) -> str | None:
        """The body as `plain` or `html`, if it has one."""
        try:
            part = self.message.get_body((kind,))
            return None if part is None else _printable(str(part.get_content()))
        except (KeyError, LookupError, ValueError, AttributeError):
            return None

    def header(self, name: str) -> str | None:
        """A header as text, however badly it was written."""
        try:
            value = self.message[name]
        except (ValueError, IndexError, AttributeError):
            return None
        return None if value is None else _printable(str(value))

    def as_json(self) -> dict[str, Any]:
        """What tests look at."""
        return {
            "id": self.id,
            "received": self.received,
            "from": self.header("From"),
            "to": self.header("To"),
            "envelope_from": self.sender,
            "envelope_to": self.recipients,
            "reply_to": self.header("Reply-To"),
            "subject": self.header("Subject"),
            "message_id": self.header("Message-ID"),
            "date": self.header("Date"),
            "language": self.header("Content-Language"),
            "headers": [[_printable(name), _printable(str(value))] for name, value in self.message.raw_items()],
            "attachments": [
                {"name": part.get_filename(), "type": part.get_content_type()}
                for part in self.message.iter_attachments()
            ]
            if self.message.is_multipart()
            else [],
            "text": self.part("plain"),
            "html": self.part("html"),
        }


def _printable(text: str) -> str:
    """Bytes that are no UTF-8 come as halves of characters, which nothing can print."""
    return text.encode("utf-8", "replace").decode()


class Mailbox:
    """Letters on disk, so that a restart loses none; `refusing` makes the server answer 451."""

    def __init__(self, folder: Path, port: int) -> None:
        self.refusing = False
        self._folder = folder
        self._port = port
        self._controller: Controller | None = None
        self._lock = threading.Lock()
        self._read: dict[str, Letter] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Begin to listen, on loopback, if a port was given."""
        if self._port:
            self._controller = Controller(self, hostname="127.0.0.1", port=self._port, enable_SMTPUTF8=True)
            self._controller.start()

    def stop(self) -> None:
        """Listen no more."""
        if self._controller is not None:
            self._controller.stop(no_assert=True)

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """Refuse while told so."""
        if self.refusing:
            return "451 4.3.0 The mailbox was told to refuse; try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a letter before saying yes to it."""
        if self.refusing:
            return "451 4.3.0 The mailbox was told to refuse; try again later"
        content = envelope.original_content or b""
        heads = f"X-Envelope-From: {envelope.mail_from}\r\n"
        heads += "".join(f"X-Envelope-To: {address}\r\n" for address in envelope.rcpt_tos)
        with self._lock:
            name = f"{time.time_ns() // 1000:016}-{secrets.token_hex(4)}"
            draft = self._folder / f"{name}.part"
            draft.write_bytes(heads.encode("utf-8", "replace") + content)
            draft.rename(self._folder / f"{name}.eml")
        return "250 2.0.0 Kept"

    def letters(self) -> list[Letter]:
        """All letters, newest first."""
        names = sorted((path.stem for path in self._folder.glob("*.eml")), reverse=True)
        return [letter for name in names if (letter := self.letter(name)) is not None]

    def letter(self, name: str) -> Letter | None:
        """One letter by its id; a letter never changes, so it is read once."""
        if name not in self._read:
            found = self._open(name)
            if found is None:
                return None
            self._read[name] = found
        return self._read[name]

    def _open(self, name: str) -> Letter | None:
        path = self._folder / f"{name}.eml"
        if not NAME.fullmatch(name) or not path.is_file():
            return None
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        sender = str(message["X-Envelope-From"] or "")
        recipients = [str(value) for value in message.get_all("X-Envelope-To", [])]
        del message["X-Envelope-From"], message["X-Envelope-To"]
        return Letter(name, int(name.split("-")[0]) / 1e6, sender, recipients, message)
