"""Things to test with. Each function makes one thing through the shop's own code and commits it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from argon2 import PasswordHasher
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop import stock
from shop.catalogue import offers
from shop.catalogue.models import Edition, Unconfirmed
from shop.database import transact
from shop.markets import MARKETS
from shop.orders import placing
from shop.orders.models import Order
from shop.payments import checkouts
from shop.staff import Admin, Role
from shop.stock import Stock
from shop.trader import trader
from tests import shipped
from tests.fake_gateway import LONDON, FakeGateway

PASSWORD = "correct horse battery staple"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # cheap, for tests alone
HOMES = {"gb": "GB", "us": "US"}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Ids of the editions that were imported."""

    paperback: int
    russian: int


def stock_the_shop(session: Session, now: datetime | None = None) -> Catalogue:
    """Put the shipped catalogue into empty tables, confirm everything, and give the shop a seller with a name."""
    at = now or datetime.now(UTC)

    def work(session: Session) -> Catalogue:
        shipped.copy(session, at)
        confirmed = update(Unconfirmed).values(confirmed_at=at, confirmed_by="Vera Keeper")
        session.execute(confirmed.execution_options(synchronize_session=False))
        seller = trader(session)
        seller.name, seller.email = "Long Lane Books", "help@longlane.example"
        seller.address = "1 Long Lane\nLondon EC1A 9HF"
        ids = dict(iter(session.execute(select(Edition.slug, Edition.id))))
        return Catalogue(ids["paperback"], ids["russian"])

    return transact(session, work)


def set_stock(session: Session, edition_id: int, copies: int, now: datetime | None = None) -> None:
    """Count the shelf so that so many copies are available."""

    def work(session: Session) -> None:
        row = session.get_one(Stock, edition_id)
        promised = row.held + row.allocated
        stock.count(session, edition_id, copies + promised, "counted", "system", now or datetime.now(UTC))

    transact(session, work)


def make_admin(
    session: Session,
    email: str = "vera@longlane.example",
    name: str = "Vera Keeper",
    language: str = "en",
    *,
    notified: bool = True,
    role: Role = Role.OWNER,
) -> Admin:
    """A person of the order desk whose password is ``PASSWORD``."""

    def work(session: Session) -> Admin:
        admin = Admin(
            email=email,
            name=name,
            language=language,
            role=role,
            password_hash=HASH,
            active=True,
            notified=notified,
            created_at=datetime.now(UTC),
        )
        session.add(admin)
        return admin

    return transact(session, work)


def make_order(
    session: Session,
    market: str = "en-gb",
    country: str | None = None,
    now: datetime | None = None,
    *,
    purchase_order: str = "",
    note: str = "",
    attempt: str = "",
    **quantities: int,
) -> Order:
    """An order placed as a buyer would: ``make_order(session, "ru-us", paperback=1, russian=2)``. One paperback
    to the region's home country unless told otherwise."""
    where = MARKETS[market]
    wish = placing.Wish(
        quantities=quantities or {"paperback": 1},
        country=country or where.region.home,
        purchase_order=purchase_order,
        note=note,
        attempt=attempt,
    )

    def work(session: Session) -> Order:
        offer = offers.offer(session, wish.quantities, wish.country)
        return placing.place(session, where, wish, offer, now or datetime.now(UTC))

    return transact(session, work)


def make_paid_order(session: Session, gateway: FakeGateway, now: datetime | None = None, **asked: object) -> Order:
    """An order whose buyer has paid at the provider in memory and come back."""
    from shop.payments import settling

    at = now or datetime.now(UTC)
    order = make_order(session, now=at, **asked)  # type: ignore[arg-type]
    pay(session, gateway, order, at)
    assert settling.refresh(session, gateway, order.id, at)
    session.refresh(order)
    return order


def pay(
    session: Session, gateway: FakeGateway, order: Order, now: datetime | None = None, **changes: object
) -> str:
    """The buyer opens the provider's page and pays; the shop has not heard of it yet. Returns the page's id."""
    at = now or datetime.now(UTC)
    url = checkouts.pay_page(session, gateway, order.id, "http://localhost", at)
    page = next(each for each in gateway.checkouts.values() if each.url == url)
    session.refresh(order)
    address = {"address": LONDON} if order.country == "GB" else {"address": abroad(order.country)}
    gateway.pay(page.checkout_id, **{**address, **changes})  # type: ignore[arg-type]
    return page.checkout_id


def abroad(country: str) -> object:
    """An address in another country."""
    from shop.payments.gateway import Address

    return Address("Ivan Reader", "5 Station Road", "", "Springfield", "", "12345", country)
