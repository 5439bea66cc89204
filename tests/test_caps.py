"""Nobody can lock the stock by opening payment pages and leaving."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from shop.catalogue import offers
from shop.database import transact
from shop.errors import TooMany
from shop.markets import MARKETS
from shop.orders import caps, placing
from tests import factories


def order(session: Session, now: datetime, visitor: str, copies: int = 5) -> int:
    """Place as the storefront does: the cap first, then the order."""
    wish = placing.Wish({"paperback": copies}, "GB")

    def work(s: Session) -> int:
        offer = offers.offer(s, wish.quantities, wish.country)
        caps.check(s, offer, visitor, now)
        return placing.place(s, MARKETS["en-gb"], wish, offer, now, visitor).id

    return transact(session, work)


def test_one_visitor_cannot_keep_more_than_his_share_waiting(
    session: Session, catalogue: factories.Catalogue, now: datetime
) -> None:
    factories.set_stock(session, catalogue.paperback, 20)
    order(session, now, "a")
    order(session, now, "a")
    with pytest.raises(TooMany):
        order(session, now, "a", 1)
    order(session, now, "b")


def test_all_visitors_together_leave_a_quarter_of_the_copies_on_sale(
    session: Session, catalogue: factories.Catalogue, now: datetime
) -> None:
    factories.set_stock(session, catalogue.paperback, 40)
    for visitor in "abcdef":
        order(session, now, visitor)
    with pytest.raises(TooMany) as refused:
        order(session, now, "g", 1)
    assert 60 <= refused.value.retry_after <= 45 * 60


def test_a_hold_that_ends_makes_room_and_forgets_the_visitor(
    session: Session, catalogue: factories.Catalogue, now: datetime
) -> None:
    factories.set_stock(session, catalogue.paperback, 20)
    first = order(session, now, "a")
    order(session, now, "a")

    def give_back(s: Session) -> str:
        held = placing.locked(s, first)
        placing.let_go(s, held, now)
        return held.visitor

    assert transact(session, give_back) == ""
    order(session, now, "a")
