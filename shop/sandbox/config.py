"""What the sandbox is told by its environment, read once."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
API_VERSION = "2026-10-28.endive"
TEST_KEYS = ("sk_test_", "rk_test_")


class ConfigError(Exception):
    """The environment asks for something the sandbox refuses to do."""


@dataclass(frozen=True, slots=True)
class Config:
    """The sandbox's settings; every one has a default that works on a laptop."""

    host: str
    port: int
    instance: Path
    webhook_url: str | None
    webhook_secrets: tuple[str, ...]
    offset_file: Path
    seed: str | None
    smtp_port: int
    translations: Path
    public_url: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Config":
        """Read the settings and name every mistake at once."""
        problems: list[str] = []

        def value(name: str, default: str = "") -> str:
            return environ.get(name, "").strip() or default

        def number(name: str, default: int) -> int:
            text = value(name, str(default))
            if not text.isdecimal() or int(text) > 65535:
                problems.append(f"{name} is not a port: {text!r}")
                return default
            return int(text)

        host = value("SANDBOX_HOST", "127.0.0.1")
        if not is_loopback(host):
            problems.append(f"SANDBOX_HOST is {host!r}: the sandbox listens on loopback only")
        webhook_url = value("SANDBOX_WEBHOOK_URL") or None
        if webhook_url is not None and not is_web_address(webhook_url):
            problems.append(f"SANDBOX_WEBHOOK_URL is not an http address: {webhook_url!r}")
        secrets = tuple(s.strip() for s in value("STRIPE_WEBHOOK_SECRET").split(",") if s.strip())
        if webhook_url is not None and not secrets:
            problems.append("STRIPE_WEBHOOK_SECRET is missing: webhooks could not be signed")
        for key in value("STRIPE_SECRET_KEY").split(","):
            if key.strip() and not key.strip().startswith(TEST_KEYS):
                problems.append("STRIPE_SECRET_KEY is not a test key: the sandbox takes sk_test_ and rk_test_")
        instance = Path(value("INSTANCE", "instance"))
        config = cls(
            host=host,
            port=number("SANDBOX_PORT", 8001),
            instance=instance,
            webhook_url=webhook_url,
            webhook_secrets=secrets,
            offset_file=Path(value("SHOP_CLOCK_OFFSET_FILE", str(instance / "clock-offset"))),
            seed=value("SANDBOX_SEED") or None,
            smtp_port=number("SANDBOX_SMTP_PORT", 0),
            translations=Path(value("SANDBOX_TRANSLATIONS", str(ROOT / "translations"))),
            public_url=value("SANDBOX_URL").rstrip("/") or None,
        )
        if problems:
            raise ConfigError("; ".join(problems))
        return config


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_web_address(text: str) -> bool:
    """Whether a text is an absolute http(s) address with a host."""
    if any(ord(c) <= 32 for c in text):
        return False
    try:
        parts = urlsplit(text)
        port_is_sane = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_sane
