"""Making the orders: how many on which day, from where, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from shop import sales
from shop.catalogue import offers, shelf
from shop.catalogue.models import EditionText
from shop.catalogue.offers import Offer
from shop.database import lock, transact
from shop.demo.rows import COLUMNS, Rows
from shop.demo.stories import Outcome, Story
from shop.demo.writing import write
from shop.errors import NotOrderable, ShopError
from shop.markets import MARKETS, Market
from shop.orders.models import Order
from shop.orders.numbers import ALPHABET, number_of
from shop.staff import NOTIFIED, Admin
from shop.stock import Movement, Stock
from shop.trader import trader

LOT = 2_500
"""Orders written in one transaction."""
SPAN = timedelta(days=3 * 365)
RECENT = timedelta(days=2, hours=6)
"""Most of what is younger is still to be posted."""
WEIGHTS = {"GB": 900, "US": 800, "DE": 90, "CA": 80, "FR": 60, "IL": 60, "IE": 45, "NL": 35, "CH": 30, "FI": 25}
CARTS = ({"paperback": 1}, {"russian": 1}, {"paperback": 1, "russian": 1}, {"paperback": 2}, {"russian": 3})
CART_WEIGHTS = (50, 32, 10, 5, 3)
SPARE = 500
"""Copies of each edition that lie on the shelf besides, at least."""


class NothingToSell(ShopError):
    """The shop has no edition that could be ordered."""


@dataclass(frozen=True, slots=True)
class Trade:
    """What can be ordered, and to where, with its chances."""

    offers: dict[tuple[str, int], Offer]
    countries: Sequence[str]
    weights: Sequence[int]
    names: dict[tuple[int, str], str]
    facts: dict[str, object]
    actor: str
    shopkeeper: tuple[str, str] | None


def tidy(session: Session) -> None:
    """Let PostgreSQL do at once what it does by itself some minutes after so much was written (manual, 24.1)."""
    engine = session.get_bind()
    session.rollback()
    if engine.dialect.name == "postgresql" and isinstance(engine, Engine):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))


def make(session: Session, number: int, seed: str, now: datetime) -> int:
    """Add so many orders of the last three years; the same seed draws the same ones in an empty shop. Answers how many.

    Raises ``NothingToSell`` for a shop without a catalogue. Days that are over are closed at the end.
    """
    trade = transact(session, _trade, now)
    seed = f"{seed}:{session.scalar(select(func.count(Order.id)))}"  # whoever asks again gets others
    done = 0
    while done < number:
        size = min(LOT, number - done)
        transact(session, _lot, trade, seed, done, size, number, now)
        done += size
    transact(session, lambda s: s.execute(text("ANALYZE")))
    transact(session, sales.reopen_all)
    sales.close_days(session, now)
    return done


def _trade(session: Session, now: datetime) -> Trade:
    found = _offers(session)
    served = sorted({country for country, _place in found})
    if not served:
        raise NothingToSell("There is nothing that could be ordered: import the catalogue first.")
    for offer in found.values():  # they are read again and again, in later transactions
        _ = [line.edition.heading for line in offer.lines]
    texts = session.execute(select(EditionText.edition_id, EditionText.language, EditionText.name))
    seller = trader(session)
    keeper = session.execute(
        select(Admin.email, Admin.language, Admin.name).where(NOTIFIED).order_by(Admin.id).limit(1)
    ).first()
    session.flush()
    session.expunge_all()
    return Trade(
        found,
        served,
        [WEIGHTS.get(country, 3) for country in served],
        {(edition_id, language): name for edition_id, language, name in texts},
        {
            "dispatch_days": seller.dispatch_days,
            "trader": {
                "name": seller.name,
                "address": seller.address,
                "email": seller.email,
                "phone": seller.phone,
                "vat_number": seller.vat_number,
            },
        },
        keeper.name if keeper else "Demo",
        (keeper.email, keeper.language) if keeper else None,
    )


def _offers(session: Session) -> dict[tuple[str, int], Offer]:
    """Every cart to every country that takes it, priced from the catalogue in memory: there are a thousand."""
    found: dict[tuple[str, int], Offer] = {}
    known = shelf.read(session, ())
    shelf.use(session, known)
    try:
        for country in sorted(known.zone_of):
            for place, cart in enumerate(CARTS):
                try:
                    found[country, place] = offers.offer(session, cart, country)
                except NotOrderable:
                    continue
    finally:
        shelf.use(session, None)
    return found


def _lot(session: Session, trade: Trade, seed: str, done: int, size: int, number: int, now: datetime) -> None:
    """Write some of the orders with all that belongs to them, and the copies that they needed."""
    rows = Rows(session, size)
    chance = Random(f"{seed}:{done}")
    first = None
    names = _free_numbers(session, Random(f"{seed}:{done}:numbers"), size)
    for place, called in enumerate(names, done):
        story = _story(chance, trade, (place + chance.random()) / number, called, now)
        first = first or story.placed_at
        story.tell(rows, chance)
    for edition_id in sorted(set(rows.on_hand) | set(rows.held) | set(rows.allocated)):
        row = lock(session, Stock, edition_id)
        if row is None:
            row = Stock(edition_id=edition_id, on_hand=0, held=0, allocated=0)
            session.add(row)
            session.flush()
        gone = -rows.on_hand[edition_id]
        came = gone + rows.held[edition_id] + rows.allocated[edition_id] + (0 if row.available > SPARE else SPARE)
        before = (first or now) - timedelta(hours=1)
        rows.move(
            edition_id,
            Movement.COUNT,
            None,
            f"admin: {trade.actor}",
            before,
            on_hand=came,
            reason="From the printer",
        )
        session.execute(
            update(Stock)
            .where(Stock.edition_id == edition_id)
            .values(
                on_hand=Stock.on_hand + came - gone,
                held=Stock.held + rows.held[edition_id],
                allocated=Stock.allocated + rows.allocated[edition_id],
            )
            .execution_options(synchronize_session=False)
        )
    for model, columns in COLUMNS.items():
        write(session, model, columns, rows.of[model])
    session.expunge_all()


def _free_numbers(session: Session, chance: Random, size: int) -> list[str]:
    """So many order numbers that no order has: of a million drawn some fifteen are drawn twice."""
    found: list[str] = []
    while len(found) < size:
        drawn = ["".join(chance.choices(ALPHABET, k=7)) for _ in range(size - len(found))]
        fresh = [each for each in dict.fromkeys(map(number_of, drawn)) if each not in found]
        taken = set(session.scalars(select(Order.number).where(Order.number.in_(fresh))))
        found += [each for each in fresh if each not in taken]
    return found


def _story(chance: Random, trade: Trade, part: float, number: str, now: datetime) -> Story:
    """One order at a part of the time that is passed (0 to 1); trade has grown meanwhile."""
    placed_at = now - SPAN * (1 - part**0.8) - timedelta(seconds=chance.randrange(60, 3600))
    country = chance.choices(trade.countries, trade.weights)[0]
    carts = [place for place in range(len(CARTS)) if (country, place) in trade.offers]
    cart = chance.choices(carts, [CART_WEIGHTS[place] for place in carts])[0]
    offer = trade.offers[country, cart]
    return Story(
        number=number,
        market=_market(chance, offer, country),
        offer=offer,
        names=trade.names,
        facts=trade.facts,
        keeper=trade.shopkeeper,
        actor=trade.actor,
        placed_at=placed_at,
        now=now,
        outcome=_outcome(chance, now - placed_at),
    )


def _market(chance: Random, offer: Offer, country: str) -> Market:
    language = "ru" if chance.random() < 0.42 else "en"
    return MARKETS[f"{language}-{offer.zone.region}"]


def _outcome(chance: Random, age: timedelta) -> Outcome:
    drawn = chance.random()
    if drawn < 0.06:
        return Outcome.EXPIRED
    if drawn < 0.075:
        return Outcome.CANCELLED
    if drawn < 0.08:
        return Outcome.FAILED
    if age < timedelta(hours=3) and drawn < 0.2:
        return Outcome.AWAITING
    if age < RECENT:
        return Outcome.WORRY if drawn > 0.97 else Outcome.TO_POST
    if age < 3 * RECENT and drawn > 0.97:
        return Outcome.TO_POST  # forgotten: overdue
    if timedelta(days=10) < age < timedelta(days=40) and drawn > 0.998:
        return Outcome.DISPUTED
    if drawn > 0.985:
        return Outcome.CALLED_OFF
    if drawn > 0.965:
        return Outcome.REFUNDED
    return Outcome.PART_REFUNDED if drawn > 0.95 else Outcome.POSTED
