"""Settings: read once from the environment, checked whole, every mistake named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from email.utils import getaddresses
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

from shop.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
STRIPE_API = "https://api.stripe.com"
ENVIRONMENTS = ("development", "production")
SMTP_SCHEMES = ("smtp", "smtps", "smtp+starttls")
HOST = r"\.?[\w-]+(\.[\w-]+)*(:\d{1,5})?"
"""As Werkzeug takes it: with a dot before it, every name under it."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, and for what it leaves out the file ``env`` in the instance folder, if there is one."""
    folder = Path(environ.get("INSTANCE", "").strip() or ROOT / "instance")
    beside = {name: value for name, value in dotenv_values(folder / "env").items() if value}
    return beside | {name: value for name, value in environ.items() if value.strip()}


@dataclass(frozen=True, slots=True)
class Settings:
    """What whoever runs the shop decides; what the owner changes in daily life is in the database."""

    shop_env: str
    shop_url: str
    secret_key: str
    database_url: str
    stripe_secret_key: str
    stripe_webhook_secret: str
    stripe_api_base: str
    stripe_checkout_origins: str
    smtp_url: str
    mail_from: str
    trusted_hosts: str
    trusted_proxies: str
    shop_clock_offset_file: str
    metrics_token: str
    marc_organization: str
    keep_orders_years: str
    keep_libraries_months: str
    undo_seconds: str
    page_max_age: str
    instance: str

    @property
    def production(self) -> bool:
        return self.shop_env == "production"

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money; events of the other mode are not ours."""
        return self.stripe_secret_key.startswith(("sk_live_", "rk_live_"))

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return tuple(_listed(self.stripe_webhook_secret))

    @property
    def hosts(self) -> list[str] | None:
        """Host names that are answered; the shop's own is always among them."""
        named = _listed(self.trusted_hosts)
        own = urlsplit(self.shop_url).hostname or ""
        return [own, *named] if named or self.production else None

    @property
    def proxies(self) -> int:
        return int(self.trusted_proxies)

    @property
    def order_years(self) -> int:
        """How long a buyer's name and addresses are kept."""
        return int(self.keep_orders_years)

    @property
    def library_months(self) -> int:
        """How long a library's enquiry is kept."""
        return int(self.keep_libraries_months)

    @property
    def undo(self) -> timedelta:
        """How long a refund or a posting waits at the desk, so that it can be taken back."""
        return timedelta(seconds=int(self.undo_seconds))

    @property
    def page_seconds(self) -> int:
        """How long a public page may be kept by whoever got it without asking again."""
        return int(self.page_max_age)

    @property
    def instance_path(self) -> Path:
        return Path(self.instance).resolve()

    @property
    def checkout_origins(self) -> tuple[str, ...]:
        """Where a form may be redirected to for payment (Content-Security-Policy ``form-action``)."""
        named = _listed(self.stripe_checkout_origins)
        if self.stripe_api_base != STRIPE_API:
            parts = urlsplit(self.stripe_api_base)
            named.append(f"{parts.scheme}://{parts.netloc}")
        return ("https://checkout.stripe.com", *named)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check every setting; raises ``SettingsError`` naming all mistakes together."""
        values = {field.name: environ.get(field.name.upper(), "").strip() for field in fields(cls)}
        values["shop_env"] = values["shop_env"] or "production"
        values["instance"] = values["instance"] or str(ROOT / "instance")
        values["trusted_proxies"] = values["trusted_proxies"] or "0"
        values["keep_orders_years"] = values["keep_orders_years"] or "7"
        values["keep_libraries_months"] = values["keep_libraries_months"] or "24"
        values["undo_seconds"] = values["undo_seconds"] or "60"
        values["page_max_age"] = values["page_max_age"] or "0"
        values["stripe_api_base"] = values["stripe_api_base"].rstrip("/") or STRIPE_API
        values["shop_url"] = values["shop_url"].rstrip("/")
        if not values["database_url"]:
            values["database_url"] = f"sqlite:///{Path(values['instance']).resolve() / 'shop.sqlite'}"
        problems = list(_problems(values))
        if problems:
            raise SettingsError("; ".join(problems))
        return cls(**values)


def _problems(values: dict[str, str]) -> list[str]:
    found: list[str] = []
    required = (
        "shop_url",
        "secret_key",
        "stripe_secret_key",
        "stripe_webhook_secret",
        "smtp_url",
        "mail_from",
    )
    found += [f"{name.upper()} is missing" for name in required if not values[name]]
    if values["shop_env"] not in ENVIRONMENTS:
        found.append(f"SHOP_ENV is {values['shop_env']!r}, not one of {', '.join(ENVIRONMENTS)}")
    if not values["trusted_proxies"].isdigit():
        found.append("TRUSTED_PROXIES is not a whole number")
    for name in ("keep_orders_years", "keep_libraries_months"):
        if not re.fullmatch("[1-9][0-9]{0,2}", values[name]):
            found.append(f"{name.upper()} is not a whole number from 1 to 999")
    if not re.fullmatch("[0-9]{1,4}", values["undo_seconds"]) or int(values["undo_seconds"]) > 3600:
        found.append("UNDO_SECONDS is not a whole number from 0 to 3600")
    if not re.fullmatch("[0-9]{1,5}", values["page_max_age"]) or int(values["page_max_age"]) > 86400:
        found.append("PAGE_MAX_AGE is not a whole number from 0 to 86400")
    for name in ("shop_url", "stripe_api_base"):
        if values[name] and not _origin(values[name]):
            found.append(f"{name.upper()} is not an address of the form https://host")
    for origin in _listed(values["stripe_checkout_origins"]):
        if not _origin(origin) or not origin.startswith("https://"):
            found.append(f"STRIPE_CHECKOUT_ORIGINS: {origin} is not an address of the form https://host")
    for host in _listed(values["trusted_hosts"]):
        if not re.fullmatch(HOST, host):
            found.append(f"TRUSTED_HOSTS: {host} is not the name of a host, such as www.shop.example")
    key = values["stripe_secret_key"]
    live, test = key.startswith(("sk_live_", "rk_live_")), key.startswith(("sk_test_", "rk_test_"))
    if key and not live and not test:
        found.append("STRIPE_SECRET_KEY is not a secret or restricted key (sk_… or rk_…)")
    if live and values["stripe_api_base"] != STRIPE_API:
        found.append("STRIPE_API_BASE is set while STRIPE_SECRET_KEY is a live key")
    smtp = _split(values["smtp_url"])
    if not re.fullmatch("[A-Za-z0-9-]{0,16}", values["marc_organization"]):
        found.append("MARC_ORGANIZATION is not a code of MARC's list of organizations, such as UkOxU")
    if values["smtp_url"] and (smtp is None or smtp.scheme not in SMTP_SCHEMES or not smtp.hostname):
        found.append(
            f"SMTP_URL does not begin with one of {', '.join(s + '://' for s in SMTP_SCHEMES)} and a host"
        )
    if values["mail_from"] and not _one_mailbox(values["mail_from"]):
        found.append("MAIL_FROM is not one e-mail address, with or without a name: Name <address>")
    if values["database_url"].startswith("postgresql://"):
        values["database_url"] = "postgresql+psycopg://" + values["database_url"].removeprefix("postgresql://")
    if not values["database_url"].startswith(("sqlite:///", "postgresql+psycopg://")):
        found.append("DATABASE_URL begins neither with sqlite:/// nor with postgresql+psycopg://")
    if values["shop_env"] == "production":
        if test:
            found.append("STRIPE_SECRET_KEY is a test key in production")
        if not all(secret.startswith("whsec_") for secret in _listed(values["stripe_webhook_secret"])):
            found.append("STRIPE_WEBHOOK_SECRET is not the signing secret of an endpoint (whsec_…)")
        if values["secret_key"] and len(values["secret_key"]) < 32:
            found.append("SECRET_KEY is shorter than 32 characters")
        if values["shop_url"].startswith("http://"):
            found.append("SHOP_URL does not begin with https:// in production")
        if values["shop_clock_offset_file"]:
            found.append("SHOP_CLOCK_OFFSET_FILE moves the clock and is refused in production")
    return found


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _split(address: str) -> SplitResult | None:
    """The parts of an address, its port among them a number; nothing of what is none."""
    try:
        parts = urlsplit(address)
        return parts if parts.port != 0 else None  # reading it raises where it is no port
    except ValueError:
        return None


def _origin(address: str) -> bool:
    """Whether this is scheme, host and port, and nothing besides."""
    parts = _split(address)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    return not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)


def _one_mailbox(value: str) -> bool:
    boxes = getaddresses([value])
    return value.isprintable() and len(boxes) == 1 and re.fullmatch(r"[^@\s]+@[^@\s]+", boxes[0][1]) is not None
