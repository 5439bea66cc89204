"""Made-up orders agree with everything that the shop promises of real ones."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop import audit
from shop.app import create_app
from shop.demo import making
from shop.letters.models import Kind, Letter
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Buyer, Order
from shop.orders.snapshot import order_facts
from shop.settings import Settings
from tests import factories
from tests.factories import Catalogue
from tests.fake_gateway import FakeGateway

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)


def test_the_audit_finds_nothing_in_made_up_orders_beside_real_ones(
    session: Session, gateway: FakeGateway, catalogue: Catalogue
):
    factories.make_admin(session)
    factories.make_paid_order(session, gateway)
    making.make(session, 700, "one", NOW)
    making.make(session, 100, "one", NOW)
    assert list(audit.run(session)) == []
    session.rollback()
    factories.make_paid_order(session, gateway)  # no id is taken
    states = dict(iter(session.execute(select(Order.payment_state, func.count()).group_by(Order.payment_state))))
    assert sum(states.values()) == 802
    assert set(states) >= {PaymentState.PAID, PaymentState.EXPIRED, PaymentState.REFUNDED}
    languages = {slug[:2] for slug in session.scalars(select(Order.market_slug).distinct())}
    assert languages == {"en", "ru"}


def test_the_same_seed_draws_the_same_orders(app: Flask, session: Session, catalogue: Catalogue):
    making.make(session, 40, "a seed", NOW)
    drawn = select(Order.number, Buyer.name, Order.country).join(Buyer).order_by(Order.id).limit(1)
    assert tuple(session.execute(drawn).one()) == DRAWN


DRAWN = ("RR-ZHRR9WMG", "Rachel Williams", "US")


def test_a_number_that_an_order_has_already_is_not_drawn_again(session: Session, catalogue: Catalogue):
    making.make(session, 20, "again", NOW)
    drawn = making._free_numbers(session, Random("again:0:0:numbers"), 20)
    assert len(set(drawn)) == 20
    assert not set(drawn) & set(session.scalars(select(Order.number)))


def test_letters_of_made_up_orders_say_what_the_shop_itself_would(session: Session, catalogue: Catalogue):
    making.make(session, 30, "letters", NOW)
    letters = session.scalars(select(Letter).where(Letter.kind == Kind.ORDER_PAID)).all()
    assert letters
    for letter in letters:
        assert letter.context == order_facts(session, session.get_one(Order, letter.order_id))
    session.rollback()


def test_production_takes_no_made_up_orders(app: Flask):
    environ = {
        "SHOP_ENV": "production",
        "SHOP_URL": "https://shop.example",
        "SECRET_KEY": "of a shop in production, long enough",
        "STRIPE_SECRET_KEY": "rk_live_123",
        "STRIPE_WEBHOOK_SECRET": "whsec_123",
        "SMTP_URL": "smtp://127.0.0.1:9",
        "MAIL_FROM": "shop@shop.example",
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
        "INSTANCE": app.instance_path,
    }
    done = (
        create_app(Settings.from_environ(environ))
        .test_cli_runner()
        .invoke(args=["shop", "demo-data", "--orders", "1"])
    )
    assert done.exit_code == 1
    assert "production" in done.output


def test_a_shop_without_a_catalogue_has_nothing_to_sell(app: Flask, session: Session):
    with pytest.raises(making.NothingToSell, match="import the catalogue"):
        making.make(session, 1, "none", NOW)
