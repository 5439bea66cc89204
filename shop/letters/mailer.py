"""Handing a finished message to a mail server."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import unquote, urlsplit

from shop.errors import MailRefused, MailServerAway, MailUnavailable

TIMEOUT = 20  # seconds for connecting and for each answer
CLOSING = 421  # "service not available, closing transmission channel" (RFC 5321, 4.2.3)


class Mailer(Protocol):
    def send(self, message: EmailMessage) -> None:
        """Hand over one message.

        Raises ``MailUnavailable`` (try this one later), ``MailServerAway`` (try all of them later) or
        ``MailRefused`` (never try this one again).
        """


class SmtpMailer:
    """SMTP (RFC 5321) to the server of ``SMTP_URL``: ``smtp://``, ``smtp+starttls://`` or ``smtps://``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or "localhost"
        self._port = parts.port or {"smtp": 25, "smtp+starttls": 587, "smtps": 465}[parts.scheme]
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")

    def send(self, message: EmailMessage) -> None:
        try:
            server = self._connect()
        except (smtplib.SMTPException, OSError) as error:
            raise MailServerAway(_told(error)) from error
        try:
            server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _text in error.recipients.values()]
            if CLOSING in codes:
                raise MailServerAway(_told(error)) from error
            if all(500 <= code < 600 for code in codes):
                raise MailRefused(_told(error)) from error
            raise MailUnavailable(_told(error)) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(_told(error)) from error
        except smtplib.SMTPDataError as error:
            if 500 <= error.smtp_code < 600:
                raise MailRefused(_told(error)) from error
            raise MailUnavailable(_told(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            # A refused sender is among these: it is the shop's own address, so it concerns every letter.
            raise MailServerAway(_told(error)) from error
        finally:
            # The letter's fate is decided; how the server says goodbye does not change it.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _connect(self) -> smtplib.SMTP:
        context, name = ssl.create_default_context(), _own_name()
        server: smtplib.SMTP
        if self._scheme == "smtps":
            server = smtplib.SMTP_SSL(self._host, self._port, name, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, name, timeout=TIMEOUT)
        try:
            if self._scheme == "smtp+starttls":
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
        except BaseException:  # raised again: whatever it is, the connection does not stay open
            server.close()
            raise
        return server


def _own_name() -> str:
    """What the machine calls itself in EHLO (RFC 5321, 4.1.4), without asking a name server that may be away."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def _told(error: Exception) -> str:
    """The server's answer as one line for the order desk."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
