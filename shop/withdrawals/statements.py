"""Keeping a statement of withdrawal, with the letters and the task that follow from it, and marking it as done."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, lazyload

from shop.database import add_once, lock
from shop.errors import WrongState
from shop.letters import outbox
from shop.letters.models import Kind
from shop.markets import Market, day_of
from shop.orders import placing, timeline
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order, Worry
from shop.orders.timeline import BUYER, Actor
from shop.trader import trader
from shop.withdrawals.models import Withdrawal

REFUND_WITHIN = timedelta(days=14)
"""Consumer Contracts Regulations 2013 (UK), regulation 34; Directive 2011/83/EU, article 13."""
LETTERS = (Kind.WITHDRAWAL_ACKNOWLEDGED, Kind.WITHDRAWAL_STATED)
PAID = (PaymentState.PROCESSING, PaymentState.PAID, PaymentState.PART_REFUNDED)
WITH_ORDER = joinedload(Withdrawal.order).options(lazyload(Order.lines), lazyload(Order.buyer))


@dataclass(frozen=True, slots=True)
class Statement:
    """What a buyer typed, cleaned. ``details``: which copies, if not all."""

    name: str
    number: str
    email: str
    details: str = ""

    def digest(self) -> str:
        """SHA-256 of what is stated, whatever the case and the blanks."""
        said = [" ".join(each.casefold().split()) for each in (self.name, self.number, self.email, self.details)]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def known(session: Session, statement: Statement) -> Withdrawal | None:
    """The row that this very statement has already become."""
    return session.scalar(select(Withdrawal).where(Withdrawal.submission == statement.digest()))


def keep(session: Session, statement: Statement, market: Market, now: datetime) -> Withdrawal:
    """Keep a statement, owe its letters, and put a paid order under attention; said twice, it is one statement.

    A number that nobody knows is kept as well: the statement is made all the same, and a person finds out what it is
    about. Two that come at once wait for each other at the unique key.
    """
    order = _order(session, statement)
    added = add_once(
        session,
        Withdrawal,
        token=secrets.token_urlsafe(32),
        submission=statement.digest(),
        market=market.slug,
        stated_at=now,
        due_on=day_of(now) + REFUND_WITHIN,
        name=statement.name,
        number=statement.number,
        email=statement.email,
        details=statement.details,
        order_id=order.id if order else None,
        done_by="",
    )
    kept = session.scalars(select(Withdrawal).where(Withdrawal.submission == statement.digest())).one()
    if not added:
        return kept
    cause, due, order_id = cause_of(kept), kept.due_on.isoformat(), kept.order_id
    facts, acknowledged = _facts(session, kept), Kind.WITHDRAWAL_ACKNOWLEDGED
    outbox.owe(session, acknowledged, cause, kept.email, market.locale, facts, now, order_id=order_id)
    if order is not None:
        timeline.note(session, order, "withdrawal_stated", BUYER, now, due_on=due)
    if order is not None and order.payment_state in PAID:
        timeline.worry(session, order, Worry.WITHDRAWN, now, cause=cause, due_on=due)
    else:
        outbox.owe_shopkeepers(session, Kind.WITHDRAWAL_STATED, cause, facts, now, order_id)
    return kept


def cause_of(kept: Withdrawal) -> str:
    """What its letters and its worry follow from."""
    return f"withdrawal:{kept.id}"


def _order(session: Session, statement: Statement) -> Order | None:
    """The order with this number and this e-mail address, locked."""
    found = placing.by_number(session, statement.number)
    order = placing.locked(session, found.id) if found else None
    if order is None or not order.buyer.email:
        return None
    return order if order.buyer.email.casefold() == statement.email.casefold() else None


def _facts(session: Session, kept: Withdrawal) -> dict[str, object]:
    seller = trader(session)
    return {
        "name": kept.name,
        "number": kept.number,
        "email": kept.email,
        "which": kept.details,
        "stated_at": kept.stated_at.isoformat(),
        "due_on": kept.due_on.isoformat(),
        "market": kept.market,
        "path": f"/{kept.market}/withdraw/{kept.token}",
        "trader": {
            "name": seller.name,
            "address": seller.address,
            "email": seller.email,
            "phone": seller.phone,
            "vat_number": seller.vat_number,
        },
    }


def by_token(session: Session, token: str) -> Withdrawal | None:
    return session.scalar(select(Withdrawal).where(Withdrawal.token == token))


def of_order(session: Session, order_id: int) -> Sequence[Withdrawal]:
    return session.scalars(select(Withdrawal).where(Withdrawal.order_id == order_id).order_by(Withdrawal.id)).all()


def waiting(session: Session, most: int) -> Sequence[Withdrawal]:
    """Those that nobody has dealt with, the most urgent first."""
    wanted = select(Withdrawal).where(Withdrawal.done_at.is_(None)).options(WITH_ORDER)
    return session.scalars(wanted.order_by(Withdrawal.due_on, Withdrawal.id).limit(most)).all()


def finish(session: Session, withdrawal_id: int, actor: Actor, now: datetime) -> None:
    """A person has dealt with a statement; its order's worry is settled with it.

    Raises ``WrongState`` if it was done already, ``LookupError`` for one that is not there.
    """
    found = session.get(Withdrawal, withdrawal_id)
    if found is None:
        raise LookupError(withdrawal_id)
    # The order before its statement, as everywhere.
    order = placing.locked(session, found.order_id) if found.order_id else None
    kept = lock(session, Withdrawal, withdrawal_id)
    if kept is None or kept.done_at is not None:
        raise WrongState(f"withdrawal {withdrawal_id} is done already")
    kept.done_at, kept.done_by = now, actor.name
    if order is None:
        return
    timeline.note(session, order, "withdrawal_done", actor, now)
    for concern in order.concerns:
        if concern.worry is Worry.WITHDRAWN and concern.cause == cause_of(kept):
            timeline.settle_worry(session, order, concern, actor, now)


def is_late(kept: Withdrawal, today: date) -> bool:
    """Whether the last day to pay back is over and nobody has said that it was done."""
    return kept.done_at is None and kept.due_on < today
