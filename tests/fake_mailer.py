"""A mail server in memory: it takes every letter, and remembers."""

from __future__ import annotations

from collections import deque
from email.message import EmailMessage

from shop.errors import ShopError


class FakeMailer:
    """Keeps what was sent; ``troubles`` is a queue of errors raised by the next sendings."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.sent: list[EmailMessage] = []
        self.troubles: deque[ShopError | None] = deque()

    def send(self, message: EmailMessage) -> None:
        if self.troubles and (trouble := self.troubles.popleft()):
            raise trouble
        self.sent.append(message)

    def to(self, address: str) -> list[EmailMessage]:
        """Letters to one reader, oldest first."""
        return [message for message in self.sent if address in str(message["To"])]
