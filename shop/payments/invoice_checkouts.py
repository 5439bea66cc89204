"""The pages on which invoices are paid: one at a time for each, for exactly what is open of it.

An invoice's link is an address of ours that never dies; the provider's page behind it is opened when somebody wants
to pay, and closed as soon as something else is open: the invoice was paid by transfer, credited, or issued anew.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import transact
from shop.errors import GatewayError, GatewayRefused, GatewayUnavailable, WrongState
from shop.libraries import papers
from shop.libraries.paper_models import Paper, PaperKind
from shop.markets import MARKETS
from shop.money import Currency, Money
from shop.payments import invoice_news, refunds, settling
from shop.payments.checkouts import MARGIN, SHORTEST
from shop.payments.gateway import CheckoutFacts, CheckoutLine, CheckoutRequest, PaymentGateway, Trials
from shop.payments.models import (
    AttemptState,
    Dispute,
    InvoiceAttempt,
    Payment,
    PaymentRole,
    Refund,
    RefundState,
)
from shop.payments.wording import invoice_words
from shop.trader import trader

log = logging.getLogger(__name__)

LIFE = timedelta(hours=2)
"""Nothing is held meanwhile, and whoever pays for a university may have to fetch the card."""
WORTHWHILE = timedelta(minutes=5)
"""A page that ends sooner is not shown to anybody any more."""
ROUNDS = 4
LEAST = {Currency.GBP: 30, Currency.USD: 50, Currency.EUR: 50}
MOST = 99_999_999
"""What may be charged at once, in minor units (Stripe, "Minimum and maximum charge amounts")."""


def payable(session: Session, paper: Paper) -> Money | None:
    """What can be paid of an invoice by its link; ``None`` for nothing, or for a sum that no card pays."""
    if paper.kind is not PaperKind.INVOICE or paper.ended_at is not None or not paper.data:
        return None
    left = papers.open_sum(session, paper)
    return Money(left, paper.currency) if LEAST[paper.currency] <= left <= MOST else None


class Step(NamedTuple):
    """What is to be done next to open a page, with no transaction open. ``url``: nothing, it is there."""

    attempt_id: int
    key: str
    parameters: Mapping[str, Any]
    expires_at: datetime
    url: str = ""
    checkout_id: str = ""
    """A page that has to be closed first."""


def pay_page(session: Session, gateway: PaymentGateway, paper_id: int, shop_url: str, now: datetime) -> str:
    """The address of the page where an invoice is paid: the one that is open, or a new one.

    Raises ``WrongState`` when nothing can be paid by it, ``GatewayUnavailable`` when the provider does not answer
    (the same call may be made again), ``GatewayRefused`` when he refuses.
    """
    for _ in range(ROUNDS):
        step = transact(session, _next_step, gateway, paper_id, shop_url, now)
        if step.url:
            return step.url
        if step.checkout_id:
            _end(session, gateway, step.checkout_id, now)
            continue
        try:
            page = gateway.open_checkout(step.key, step.parameters)
        except GatewayRefused as error:
            transact(session, _never_was, step.attempt_id)
            if step.expires_at - now < SHORTEST:  # too late for an attempt of before: the next has its own time
                continue
            log.error("checkout %s was refused: %s", step.key, error)
            raise
        except GatewayUnavailable as error:
            if error.spent:  # its key leads to a failure that was kept: the page is there, or never will be
                _search(session, gateway, [step.attempt_id], now)
            log.warning("checkout %s was not answered: %s", step.key, error)
            raise
        transact(session, _opened, step.attempt_id, page)
    raise WrongState(f"invoice {paper_id} has no page to pay on")


def _next_step(session: Session, gateway: PaymentGateway, paper_id: int, shop_url: str, now: datetime) -> Step:
    paper, _order = invoice_news.locked(session, paper_id)
    latest = _latest(session, paper_id)
    left = payable(session, paper)
    if left is None:
        raise WrongState(f"{paper.number} cannot be paid by its link")
    if awaits_person(session, paper):
        raise WrongState(f"{paper.number} waits for a person")
    if latest is None or latest.state is AttemptState.CLOSED:
        latest = _prepare(session, gateway, paper, left, latest, shop_url, now)
    step = Step(latest.id, latest.key, latest.parameters, latest.expires_at)
    if latest.state is AttemptState.NEW:
        return step
    if latest.state is AttemptState.COMPLETE:  # a delayed method: its money is on the way
        raise WrongState(f"{paper.number} is being paid")
    if _fits(latest, left) and latest.expires_at - now > WORTHWHILE:
        return step._replace(url=latest.url)
    return step._replace(checkout_id=str(latest.checkout_id))


def _prepare(
    session: Session,
    gateway: PaymentGateway,
    paper: Paper,
    left: Money,
    latest: InvoiceAttempt | None,
    shop_url: str,
    now: datetime,
) -> InvoiceAttempt:
    """Write down a new attempt with its key and full parameters, in the transaction that needs it."""
    expires_at = (now + LIFE).replace(microsecond=0)
    attempt = InvoiceAttempt(
        paper_id=paper.id,
        number=latest.number + 1 if latest else 1,
        key=f"invoice:{secrets.token_hex(16)}",
        parameters=gateway.parameters(_request(session, paper, left, shop_url, expires_at)),
        amount=left.amount,
        currency=left.currency,
        expires_at=expires_at,
        created_at=now,
    )
    session.add(attempt)
    session.flush()
    return attempt


def _request(session: Session, paper: Paper, left: Money, shop_url: str, expires_at: datetime) -> CheckoutRequest:
    order = paper.order
    market, words = MARKETS[order.market], invoice_words(paper, order)
    page = shop_url + papers.pay_path(paper)
    return CheckoutRequest(
        number=paper.number,
        locale=market.checkout_locale,
        currency=left.currency,
        lines=(
            CheckoutLine(
                slug=order.edition.slug,
                title=words.title,
                description=words.purchase_order,
                quantity=1,
                unit=left.amount,
                tax_code=order.edition.tax_code,
            ),
        ),
        description=f"{words.title} ({order.ticket})",
        # The braces must reach the provider as they stand, so the address is not built by url_for.
        success_url=page + "?session_id={CHECKOUT_SESSION_ID}",
        cancel_url=page,
        expires_at=expires_at,
        metadata={"shop": trader(session).shop_id, "invoice": paper.number, "ticket": order.ticket},
    )


def _opened(session: Session, attempt_id: int, page: CheckoutFacts) -> None:
    """Keep the page's id and address. Whether it is still the one to show, the next step decides."""
    invoice_news.locked(session, session.get_one(InvoiceAttempt, attempt_id).paper_id)
    attempt = session.get_one(InvoiceAttempt, attempt_id, populate_existing=True)
    if attempt.state is AttemptState.NEW:
        attempt.state, attempt.checkout_id, attempt.url = AttemptState.OPEN, page.checkout_id, page.url


def _never_was(session: Session, attempt_id: int) -> None:
    attempt = session.get_one(InvoiceAttempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.state is AttemptState.NEW:
        attempt.state = AttemptState.CLOSED


def _end(session: Session, gateway: PaymentGateway, checkout_id: str, now: datetime) -> None:
    """Close a page and apply what it has become; the provider decides the race with a payment."""
    facts = gateway.close_checkout(checkout_id)
    transact(session, settling.apply, gateway, facts, now)


def refresh(session: Session, gateway: PaymentGateway, paper_id: int, now: datetime) -> bool:
    """Ask about an invoice's pages that are not final; false when the provider did not answer."""
    waiting = select(InvoiceAttempt.checkout_id).where(
        InvoiceAttempt.paper_id == paper_id,
        InvoiceAttempt.state.in_((AttemptState.OPEN, AttemptState.COMPLETE)),
    )
    checkouts = [each for each in session.scalars(waiting) if each]
    session.rollback()
    try:
        for checkout_id in checkouts:
            settling.learn(session, gateway, checkout_id, now)
    except GatewayError as error:
        log.warning("invoice %s could not be looked up: %s", paper_id, error)
        return False
    return True


def close_stale(
    session: Session, gateway: PaymentGateway, now: datetime, library_order_id: int | None = None
) -> int:
    """Close every page (or those of one ticket) that has outlived itself or asks for what is not open any more.

    Answers how many were closed. Raises ``GatewayUnavailable`` at the end when one of them was not answered for.
    """
    live = select(InvoiceAttempt).join(Paper).where(InvoiceAttempt.state == AttemptState.OPEN)
    if library_order_id is not None:
        live = live.where(Paper.library_order_id == library_order_id)
    stale = [
        str(attempt.checkout_id)
        for attempt in session.scalars(live)
        if attempt.expires_at <= now or not _fits(attempt, payable(session, attempt.paper))
    ]
    session.rollback()
    trials = Trials()
    for checkout_id in stale:
        with trials.of(checkout_id):
            try:
                _end(session, gateway, checkout_id, now)
            except GatewayRefused:  # not known there: reconciliation reports it, the others have their turn
                log.exception("page %s could not be closed", checkout_id)
    trials.end()
    return len(stale)


def sweep(session: Session, gateway: PaymentGateway, now: datetime) -> int:
    """Close what is stale, and look for the pages whose opening was never answered; answers how many there were."""
    lost = list(
        session.scalars(
            select(InvoiceAttempt.id).where(
                InvoiceAttempt.state == AttemptState.NEW, InvoiceAttempt.expires_at <= now - MARGIN
            )
        )
    )
    session.rollback()
    if lost:
        _search(session, gateway, lost, now)
    return close_stale(session, gateway, now) + len(lost)


def _search(session: Session, gateway: PaymentGateway, attempts: list[int], now: datetime) -> None:
    """Look through the provider's list for pages whose opening was not answered; those that are not there are over.

    Should one show up after all, it is recognised by its mark, and money on it is settled like any other.
    """
    rows = [session.get_one(InvoiceAttempt, each) for each in attempts]
    since = min(row.created_at for row in rows) - MARGIN
    numbers = {row.paper.number for row in rows}
    session.rollback()
    for facts in gateway.checkouts_since(since):
        if facts.metadata.get("invoice") in numbers:
            transact(session, settling.apply, gateway, facts, now)
    for each in attempts:
        transact(session, _never_was, each)


def is_open(session: Session, paper_id: int) -> bool:
    """Whether somebody may be paying an invoice just now."""
    return _some(session, paper_id, AttemptState.OPEN, AttemptState.COMPLETE)


def is_underway(session: Session, paper_id: int) -> bool:
    """Whether somebody has paid by a method whose money comes later."""
    return _some(session, paper_id, AttemptState.COMPLETE)


def _some(session: Session, paper_id: int, *states: AttemptState) -> bool:
    wanted = select(InvoiceAttempt.id).where(InvoiceAttempt.paper_id == paper_id, InvoiceAttempt.state.in_(states))
    return session.scalar(wanted.limit(1)) is not None


def payments_of(session: Session, library_order_id: int) -> list[Payment]:
    """What has been paid by the links of a ticket's invoices, oldest first."""
    wanted = select(Payment).join(Paper, Paper.id == Payment.paper_id)
    return list(session.scalars(wanted.where(Paper.library_order_id == library_order_id).order_by(Payment.id)))


def pages_of(session: Session, library_order_id: int) -> list[InvoiceAttempt]:
    """Every page that was opened, or tried to be, for a ticket's invoices, oldest first."""
    wanted = select(InvoiceAttempt).join(Paper, Paper.id == InvoiceAttempt.paper_id)
    return list(
        session.scalars(wanted.where(Paper.library_order_id == library_order_id).order_by(InvoiceAttempt.id))
    )


def is_unsettled(session: Session, library_order_id: int) -> bool:
    """Whether something about a ticket's payments by link is not over: a page, a refund, a dispute."""
    if any(page.state is not AttemptState.CLOSED for page in pages_of(session, library_order_id)):
        return True
    payments = [payment.id for payment in payments_of(session, library_order_id)]
    under_way = select(Refund.id).where(
        Refund.payment_id.in_(payments), Refund.state.in_((RefundState.OWED, RefundState.PENDING))
    )
    asked_back = select(Dispute.id).where(Dispute.payment_id.in_(payments), Dispute.closed_at.is_(None))
    return any(session.scalar(each.limit(1)) is not None for each in (under_way, asked_back))


def _fits(attempt: InvoiceAttempt, left: Money | None) -> bool:
    return left is not None and (attempt.amount, attempt.currency) == (left.amount, left.currency)


def _latest(session: Session, paper_id: int) -> InvoiceAttempt | None:
    newest = (
        select(InvoiceAttempt)
        .where(InvoiceAttempt.paper_id == paper_id)
        .order_by(InvoiceAttempt.number.desc())
        .limit(1)
    )
    return session.scalar(newest.execution_options(populate_existing=True))


def awaits_person(session: Session, paper: Paper) -> bool:
    """Whether money has come for a ticket that is neither its price nor on its way back."""
    return any(
        payment.role is PaymentRole.SURPLUS and refunds.refundable(session, payment) > 0
        for payment in payments_of(session, paper.library_order_id)
    )
