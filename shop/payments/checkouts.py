"""Checkout attempts: what the provider is asked for, written down before it is asked; closed before copies go."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue.models import Edition
from shop.database import transact
from shop.errors import GatewayRefused, GatewayUnavailable, WrongState
from shop.orders import placing, timeline
from shop.orders.lifecycle import Action, PaymentState, after_payment
from shop.orders.models import Concern, Order, Worry
from shop.orders.timeline import Actor
from shop.payments import settling
from shop.payments.gateway import CheckoutFacts, CheckoutLine, CheckoutRequest, PaymentGateway, Trials
from shop.payments.models import AttemptState, CheckoutAttempt
from shop.payments.wording import page_words
from shop.trader import trader

log = logging.getLogger(__name__)

LIFE = timedelta(minutes=45)
SHORTEST = timedelta(minutes=31)
"""Stripe refuses a page that would live less than 30 minutes by its own clock (Checkout Session, expires_at)."""
PATIENCE = 3
"""So many pages the provider may find too short-lived before that counts as a mistake in the set-up: a request
that waited long comes late by his clock, but one of the next will not."""
MARGIN = timedelta(minutes=5)
"""How long after a page's end an unanswered attempt is looked for at Stripe."""
LIVE = (AttemptState.NEW, AttemptState.OPEN)


def prepared(session: Session, order: Order) -> bool:
    """Whether an order has a page, or one on the way."""
    return _latest(session, order.id) is not None


def prepare(
    session: Session, gateway: PaymentGateway, order: Order, shop_url: str, now: datetime
) -> CheckoutAttempt:
    """Write down a new attempt with its key and full parameters, in the transaction that needs it."""
    latest = _latest(session, order.id)
    number = latest.number + 1 if latest else 1
    expires_at = (now + LIFE).replace(microsecond=0)
    attempt = CheckoutAttempt(
        order_id=order.id,
        number=number,
        key=f"checkout:{order.number}:{number}",
        parameters=gateway.parameters(_request(session, order, shop_url, expires_at)),
        expires_at=expires_at,
        created_at=now,
    )
    session.add(attempt)
    session.flush()
    return attempt


def pay_page(session: Session, gateway: PaymentGateway, order_id: int, shop_url: str, now: datetime) -> str:
    """The address of the page where an order is paid; the one that is open, or a new one.

    Raises ``WrongState`` when the order cannot be paid any more, ``GatewayUnavailable`` when the provider does
    not answer (the order keeps its copies, and the same call may be made again) and ``GatewayRefused`` when it
    refuses (the order is given up, its copies are free, the shopkeeper is told).
    """

    def current(s: Session) -> CheckoutAttempt | None:
        order = placing.locked(s, order_id)
        if order.payment_state is not PaymentState.AWAITING:
            raise WrongState(f"{order.number} is {order.payment_state.value}")
        if order.needs_attention:  # money that disagrees has come, or the copies are missing: a person looks first
            raise WrongState(f"{order.number} waits for a person")
        latest = _latest(s, order_id)
        if latest is None or latest.state is AttemptState.CLOSED:
            return prepare(s, gateway, order, shop_url, now)
        return latest

    for _ in range(3):
        attempt = transact(session, current)
        if attempt is None:
            break
        key, parameters = attempt.key, attempt.parameters
        if attempt.state is AttemptState.OPEN and attempt.expires_at > now:
            return attempt.url
        if attempt.state is not AttemptState.NEW:
            settling.learn(session, gateway, str(attempt.checkout_id), now)
            continue
        attempt_id, attempt_number = attempt.id, attempt.number
        left = attempt.expires_at - now
        late = left < SHORTEST
        session.rollback()
        try:
            page = gateway.open_checkout(key, parameters)
        except GatewayRefused as error:
            # A page that would live too short was never opened: the next round makes a new one.
            behind = not late and error.parameter == "expires_at" and attempt_number < PATIENCE
            transact(session, _refused, order_id, attempt_id, str(error), now, give_up=not late and not behind)
            if late:
                continue
            if behind:
                raise GatewayUnavailable(f"{key} would have ended too soon by the provider's clock") from error
            raise
        except GatewayUnavailable as error:
            url = transact(session, _unanswered, order_id, attempt_id, now)
            if not url and error.spent:
                url = _look_for(session, gateway, order_id, attempt_id, now)
            if url:
                return url
            log.warning("checkout %s was not answered: %s", key, error)
            raise
        url = transact(session, _opened, order_id, attempt_id, page, now)
        if not url:
            close_pages(session, gateway, order_id, now)
        elif left > timedelta():  # an answer that was lost may come when the page has run out: the next round asks
            return url
    raise WrongState(f"order {order_id} has no page to pay on")


def cancel(session: Session, gateway: PaymentGateway, order_id: int, actor: Actor, now: datetime) -> Order:
    """Give up an unpaid order: its page is closed at the provider first, who decides a race with a payment.

    Afterwards the order is cancelled, or it is what the buyer's payment has made of it.
    """
    adopt(session, gateway, order_id, now)
    close_pages(session, gateway, order_id, now, Action.CANCEL, actor)
    return session.get_one(Order, order_id, populate_existing=True)


def adopt(session: Session, gateway: PaymentGateway, order_id: int, now: datetime) -> None:
    """Find out what became of an attempt whose answer was lost, by making the very same call again."""
    attempt = _latest(session, order_id)
    if attempt is None or attempt.state is not AttemptState.NEW:
        session.rollback()
        return
    attempt_id, key, parameters = attempt.id, attempt.key, attempt.parameters
    session.rollback()
    try:
        page = gateway.open_checkout(key, parameters)
    except GatewayRefused as error:
        transact(session, _refused, order_id, attempt_id, str(error), now, give_up=False)
    except GatewayUnavailable as error:
        if not error.spent:
            raise
        _look_for(session, gateway, order_id, attempt_id, now)
    else:
        transact(session, _opened, order_id, attempt_id, page, now)


def _look_for(session: Session, gateway: PaymentGateway, order_id: int, attempt_id: int, now: datetime) -> str:
    """Look through the provider's list for a page whose key leads to a kept failure; its address if it is there.

    If it is not, the attempt is over, and the next one has another key. Should its page show up after all, it is
    recognised by its mark, and money on it is settled like any other.
    """
    attempt = session.get_one(CheckoutAttempt, attempt_id)
    since, number = attempt.created_at - MARGIN, attempt.order.number
    session.rollback()
    for facts in gateway.checkouts_since(since):
        if facts.metadata.get("order") == number:
            transact(session, settling.apply, gateway, facts, now)
    transact(session, _never_was, attempt_id)
    order = session.get_one(Order, order_id, populate_existing=True)
    attempt = session.get_one(CheckoutAttempt, attempt_id, populate_existing=True)
    usable = attempt.state is AttemptState.OPEN and order.payment_state is PaymentState.AWAITING
    url = attempt.url if usable else ""
    session.rollback()
    return url


def close_pages(
    session: Session,
    gateway: PaymentGateway,
    order_id: int,
    now: datetime,
    action: Action = Action.EXPIRE,
    actor: Actor = timeline.SYSTEM,
) -> None:
    """Close an unpaid order's open pages, then let its copies go; a payment found there is settled instead."""
    open_pages = select(CheckoutAttempt.checkout_id).where(
        CheckoutAttempt.order_id == order_id, CheckoutAttempt.state == AttemptState.OPEN
    )
    checkouts = [each for each in session.scalars(open_pages) if each]
    awaiting = session.get_one(Order, order_id).payment_state is PaymentState.AWAITING
    session.rollback()
    ended = [gateway.close_checkout(checkout_id) for checkout_id in checkouts]

    def end(s: Session) -> None:
        for facts in ended:
            settling.apply(s, gateway, facts, now, lapsing=False)
        order = placing.locked(s, order_id)
        if action is Action.CANCEL and awaiting and order.payment_state is PaymentState.EXPIRED:
            # The provider's own message that the page is closed was quicker: it is cancelled all the same.
            order.payment_state = after_payment(order.payment_state, action)
            timeline.note(s, order, order.payment_state.value, actor, now)
            return
        awaited = order.payment_state is PaymentState.AWAITING and not settling.waits_for_person(order)
        if not awaited or _live(s, order_id):
            return
        placing.let_go(s, order, now)
        order.payment_state = after_payment(order.payment_state, action)
        timeline.note(s, order, order.payment_state.value, actor, now)

    transact(session, end)


def sweep(session: Session, gateway: PaymentGateway, now: datetime) -> int:
    """End every unpaid order whose page has outlived itself; answers how many orders were looked at.

    Copies go back only after the provider has said that the page is dead (Stripe, "Manage limited inventory").
    Raises ``GatewayUnavailable`` at the end when one of them was not answered for, and at once when he is away.
    """
    over = (
        select(CheckoutAttempt.order_id)
        .join(Order)
        .where(
            Order.payment_state == PaymentState.AWAITING,
            CheckoutAttempt.state == AttemptState.OPEN,
            CheckoutAttempt.expires_at <= now,
        )
    )
    trials = Trials()
    for order_id in (orders := list(session.scalars(over.distinct()))):
        with trials.of(f"order {order_id}"):
            _end(session, gateway, order_id, now)
    unanswered = list(
        session.scalars(
            select(CheckoutAttempt).where(
                CheckoutAttempt.state == AttemptState.NEW, CheckoutAttempt.expires_at <= now - MARGIN
            )
        )
    )
    _search(session, gateway, unanswered, now)
    pageless = list(
        session.scalars(
            select(Order.id).where(
                Order.payment_state == PaymentState.AWAITING,
                ~select(Concern.id)
                .where(
                    Concern.order_id == Order.id,
                    Concern.worry == Worry.AMOUNT_DIFFERS,
                    Concern.settled_at.is_(None),
                )
                .exists(),
                Order.placed_at <= now - LIFE,
                ~select(CheckoutAttempt.id)
                .where(CheckoutAttempt.order_id == Order.id, CheckoutAttempt.state != AttemptState.CLOSED)
                .exists(),
            )
        )
    )
    session.rollback()
    for order_id in pageless:
        with trials.of(f"order {order_id}"):
            _end(session, gateway, order_id, now)
    trials.end()
    return len(orders) + len(unanswered) + len(pageless)


def _search(
    session: Session, gateway: PaymentGateway, unanswered: Iterable[CheckoutAttempt], now: datetime
) -> None:
    """Look through the provider's list for pages whose opening was never answered."""
    lost = {(attempt.order.number, attempt.number): attempt for attempt in unanswered}
    if not lost:
        return
    since = min(attempt.created_at for attempt in lost.values()) - MARGIN
    orders = {attempt.order_id: attempt.id for attempt in lost.values()}
    session.rollback()
    for facts in gateway.checkouts_since(since):
        transact(session, settling.apply, gateway, facts, now)
    for order_id, attempt_id in orders.items():
        transact(session, _never_was, attempt_id)
        _end(session, gateway, order_id, now)


def _end(session: Session, gateway: PaymentGateway, order_id: int, now: datetime) -> None:
    """Close one order's pages; one that the provider does not know keeps its copies, and the others their turn."""
    try:
        close_pages(session, gateway, order_id, now)
    except GatewayRefused:
        log.exception("the page of order %s could not be closed", order_id)


def _never_was(session: Session, attempt_id: int) -> None:
    attempt = session.get_one(CheckoutAttempt, attempt_id)
    if attempt.state is AttemptState.NEW:
        attempt.state = AttemptState.CLOSED


def _opened(session: Session, order_id: int, attempt_id: int, page: CheckoutFacts, now: datetime) -> str:
    """Keep the page's id and address; an empty answer means that the order was ended meanwhile."""
    order = placing.locked(session, order_id)
    attempt = session.get_one(CheckoutAttempt, attempt_id)
    if attempt.state is AttemptState.NEW:
        attempt.state = AttemptState.OPEN
        attempt.checkout_id, attempt.url = page.checkout_id, page.url
        timeline.note(session, order, "checkout_opened", timeline.SYSTEM, now, attempt=attempt.number)
    return attempt.url if order.payment_state is PaymentState.AWAITING else ""


def _unanswered(session: Session, order_id: int, attempt_id: int, now: datetime) -> str:
    """Note that the provider did not answer, unless a twin of this call has opened the page."""
    order = placing.locked(session, order_id)
    attempt = session.get_one(CheckoutAttempt, attempt_id)
    if attempt.state is AttemptState.OPEN:
        return attempt.url
    timeline.note(session, order, "checkout_unanswered", timeline.SYSTEM, now, attempt=attempt.number)
    return ""


def _refused(session: Session, order_id: int, attempt_id: int, why: str, now: datetime, *, give_up: bool) -> None:
    order = placing.locked(session, order_id)
    attempt = session.get_one(CheckoutAttempt, attempt_id)
    if attempt.state is not AttemptState.NEW:
        return
    attempt.state = AttemptState.CLOSED
    if not give_up or order.payment_state is not PaymentState.AWAITING:
        return
    log.error("checkout %s was refused: %s", attempt.key, why)
    placing.let_go(session, order, now)
    order.payment_state = after_payment(order.payment_state, Action.EXPIRE)
    timeline.note(session, order, "checkout_refused", timeline.SYSTEM, now, attempt=attempt.number)
    timeline.worry(session, order, Worry.CHECKOUT_REFUSED, now, cause=attempt.key)


def _latest(session: Session, order_id: int) -> CheckoutAttempt | None:
    newest = (
        select(CheckoutAttempt)
        .where(CheckoutAttempt.order_id == order_id)
        .order_by(CheckoutAttempt.number.desc())
        .limit(1)
    )
    return session.scalar(newest)


def _live(session: Session, order_id: int) -> bool:
    """Whether some page of the order can still be paid, as far as is known."""
    live = select(CheckoutAttempt.id).where(CheckoutAttempt.order_id == order_id, CheckoutAttempt.state.in_(LIVE))
    return session.scalar(live.limit(1)) is not None


def _request(session: Session, order: Order, shop_url: str, expires_at: datetime) -> CheckoutRequest:
    market = order.market
    page = f"{shop_url}/{market.slug}/orders/{order.token}"
    words = page_words(order)
    editions = {each.id: each for each in session.scalars(select(Edition).where(Edition.id.in_(order.copies)))}
    return CheckoutRequest(
        number=order.number,
        locale=market.checkout_locale,
        currency=order.currency,
        lines=tuple(
            CheckoutLine(
                slug=line.slug,
                title=line.title,
                description=line.name,
                quantity=line.quantity,
                unit=line.unit_amount,
                tax_code=editions[line.edition_id].tax_code,
            )
            for line in order.lines
        ),
        postage=order.postage_amount,
        postage_name=words.postage,
        min_days=order.min_days,
        max_days=order.max_days,
        country=order.country,
        description=words.description,
        # The braces must reach the provider as they stand, so the address is not built by url_for.
        success_url=page + "?session_id={CHECKOUT_SESSION_ID}",
        cancel_url=page,
        expires_at=expires_at,
        metadata={
            "shop": trader(session).shop_id,
            "order": order.number,
            "copies": ",".join(f"{line.slug}:{line.quantity}" for line in order.lines),
            "country": order.country,
            "language": market.language,
            "market": market.slug,
        },
    )
