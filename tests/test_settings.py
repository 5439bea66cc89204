"""Settings are checked whole: every mistake is named, and production is strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from shop.errors import SettingsError
from shop.settings import Settings, environment

GOOD = {
    "SHOP_ENV": "production",
    "SHOP_URL": "https://books.example",
    "SECRET_KEY": "k" * 32,
    "DATABASE_URL": "postgresql+psycopg://shop@localhost/shop",
    "STRIPE_SECRET_KEY": "rk_live_1234567890",
    "STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old",
    "SMTP_URL": "smtp+starttls://user:secret@mail.example:587",
    "MAIL_FROM": "Bookstall <shop@books.example>",
    "TRUSTED_HOSTS": "books.example, www.books.example",
}


def settings(**changes: str) -> Settings:
    return Settings.from_environ(GOOD | changes)


def test_a_good_environment_is_taken():
    good = settings()
    assert good.production
    assert good.livemode
    assert good.webhook_secrets == ("whsec_new", "whsec_old")
    assert good.hosts is not None
    assert {"books.example", "www.books.example"} == set(good.hosts)
    assert good.stripe_api_base == "https://api.stripe.com"
    assert good.proxies == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
        ({"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY is missing"),
        ({"STRIPE_WEBHOOK_SECRET": " "}, "STRIPE_WEBHOOK_SECRET is missing"),
        ({"SMTP_URL": ""}, "SMTP_URL is missing"),
        ({"STRIPE_SECRET_KEY": "sk_test_123"}, "test key in production"),
        ({"STRIPE_SECRET_KEY": "pk_live_123"}, "not a secret or restricted key"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter"),
        ({"SHOP_URL": "http://books.example"}, "https://"),
        ({"SHOP_URL": "https://books.example/shop"}, "SHOP_URL is not an address"),
        ({"SHOP_ENV": "staging"}, "SHOP_ENV is 'staging'"),
        ({"SHOP_CLOCK_OFFSET_FILE": "/tmp/clock"}, "refused in production"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:8001"}, "STRIPE_API_BASE is set while"),
        ({"SMTP_URL": "mail.example"}, "SMTP_URL does not begin"),
        ({"MAIL_FROM": "the shop"}, "MAIL_FROM is not"),
        ({"DATABASE_URL": "mysql://localhost/shop"}, "DATABASE_URL begins neither"),
        ({"TRUSTED_PROXIES": "one"}, "TRUSTED_PROXIES is not"),
        ({"KEEP_ORDERS_YEARS": "0"}, "KEEP_ORDERS_YEARS is not"),
        ({"UNDO_SECONDS": "3601"}, "UNDO_SECONDS is not"),
        ({"UNDO_SECONDS": "soon"}, "UNDO_SECONDS is not"),
        ({"MARC_ORGANIZATION": "Long Lane Books"}, "MARC_ORGANIZATION is not"),
        ({"KEEP_LIBRARIES_MONTHS": "two"}, "KEEP_LIBRARIES_MONTHS is not"),
        ({"SHOP_URL": "https://books.example:99999"}, "SHOP_URL is not an address"),
        ({"SHOP_URL": "https://me:secret@books.example"}, "SHOP_URL is not an address"),
        ({"SHOP_URL": "https://books.example?x=1"}, "SHOP_URL is not an address"),
        ({"SMTP_URL": "smtp://mail.example:mail"}, "SMTP_URL does not begin"),
        ({"MAIL_FROM": "a@books.example, b@books.example"}, "MAIL_FROM is not one"),
        ({"MAIL_FROM": "Bookstall\nBcc: x@y.example <shop@books.example>"}, "MAIL_FROM is not one"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_new, old"}, "STRIPE_WEBHOOK_SECRET is not the signing secret"),
        ({"STRIPE_CHECKOUT_ORIGINS": "pay.books.example"}, "STRIPE_CHECKOUT_ORIGINS: pay.books.example"),
        ({"STRIPE_CHECKOUT_ORIGINS": "http://pay.books.example"}, "STRIPE_CHECKOUT_ORIGINS: http"),
        ({"TRUSTED_HOSTS": "www.books.example, https://books.example"}, "TRUSTED_HOSTS: https://books.example"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, str], named: str):
    with pytest.raises(SettingsError, match=named):
        settings(**changes)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"SHOP_ENV": "production", "TRUSTED_PROXIES": "-1"})
    for name in ("SHOP_URL", "SECRET_KEY", "STRIPE_SECRET_KEY", "SMTP_URL", "MAIL_FROM", "TRUSTED_PROXIES"):
        assert name in str(refused.value)


def test_a_key_that_is_none_is_not_called_a_test_key_besides():
    with pytest.raises(SettingsError) as refused:
        settings(STRIPE_SECRET_KEY="pk_live_123")
    assert "test key" not in str(refused.value)


@pytest.mark.parametrize(
    "sender", ["shop@books.example", "Лавка <shop@books.example>", '"Books, old and new" <shop@books.example>']
)
def test_a_sender_may_have_a_name(sender: str) -> None:
    assert settings(MAIL_FROM=sender).mail_from == sender


def test_no_mistake_tells_a_secret():
    with pytest.raises(SettingsError) as refused:
        settings(SECRET_KEY="mine alone", STRIPE_SECRET_KEY="sk_test_mine", SMTP_URL="user:mine@mail.example")
    assert "mine" not in str(refused.value)


def test_an_environment_that_says_nothing_means_production():
    with pytest.raises(SettingsError, match="SHOP_URL is missing"):
        Settings.from_environ({})
    assert settings(SHOP_ENV="").production


def test_development_takes_test_keys_the_sandbox_and_a_moved_clock(tmp_path):
    found = settings(
        SHOP_ENV="development",
        SHOP_URL="http://127.0.0.1:8000/",
        STRIPE_SECRET_KEY="sk_test_1",
        STRIPE_API_BASE="http://127.0.0.1:8001/",
        SHOP_CLOCK_OFFSET_FILE=str(tmp_path / "clock"),
        DATABASE_URL="",
        INSTANCE=str(tmp_path),
    )
    assert found.database_url == f"sqlite:///{tmp_path}/shop.sqlite"
    assert found.shop_url == "http://127.0.0.1:8000"
    assert "http://127.0.0.1:8001" in found.checkout_origins
    assert not found.livemode


def test_both_ways_to_write_a_postgresql_address_are_taken():
    assert settings(DATABASE_URL="postgresql://shop@db/shop").database_url == "postgresql+psycopg://shop@db/shop"


def test_what_the_environment_leaves_out_is_read_from_the_instance_folder(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SECRET_KEY='kept beside the database'\nSMTP_URL='smtp://beside'\n")
    found = environment({"INSTANCE": str(tmp_path), "SMTP_URL": "smtp://here", "MAIL_FROM": " "})
    assert found == {
        "INSTANCE": str(tmp_path),
        "SECRET_KEY": "kept beside the database",
        "SMTP_URL": "smtp://here",
    }
