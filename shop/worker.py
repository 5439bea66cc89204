"""The worker: letters, inbox, refunds, holds, reconciliation, housekeeping. It may run in several copies."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

from flask import Flask
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shop import duty, erasure, sales, throttle
from shop.bibliography.romanisation import ala_lc
from shop.database import transact
from shop.documents import library_papers
from shop.errors import GatewayError, GatewayRefused
from shop.extensions import db, gateway, mailer, now, settings
from shop.letters import delivery
from shop.letters.rendering import Renderer
from shop.libraries import chasing, files, papers
from shop.libraries.paper_models import PaperFile
from shop.payments import checkouts, inbox, invoice_checkouts, reconciliation, refund_calls
from shop.staff import AdminSession

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between rounds
LEASE = timedelta(minutes=15)
SHORT = timedelta(minutes=1)
"""For duties that several workers may do at once without harm: what a killed one had in hand waits no longer."""
SESSIONS_KEPT = timedelta(days=8)
ERASED_AT_ONCE = 200  # orders in one round of housekeeping, so that a backlog does not outlast its lease


class Worker:
    """One process that does what nobody waits for."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context():
            self._render = Renderer(settings().shop_url, settings().mail_from, ala_lc, attached=attached)
        self._stop = threading.Event()
        self._failed = False

    def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT); what is under way is finished first.

        Reconciling may take long, and waits for the provider: letters and refunds do not wait for it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)
        long = threading.Thread(target=self._go_round, args=(self._long_duties,), name="long duties")
        long.start()
        self._go_round(self._short_duties, self._letters)
        long.join()
        self._do((self._letters,), everything=False)  # those that the last of it has caused

    def _go_round(self, *works: Callable[[Session, datetime, bool], None]) -> None:
        while not self._stop.is_set():
            self._do(works, everything=False)
            self._stop.wait(PAUSE)

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def round(self, *, everything: bool = False) -> bool:
        """Do once whatever is due, and say whether all of it went well; ``everything`` does also what is not due."""
        self._failed = False
        self._do((self._short_duties, self._long_duties, self._letters), everything=everything)
        return not self._failed

    def _do(self, works: Iterable[Callable[[Session, datetime, bool], None]], *, everything: bool) -> None:
        with self.app.app_context():
            session, moment = db.session(), now()
            for work in works:
                work(session, moment, everything)

    def _short_duties(self, session: Session, moment: datetime, everything: bool) -> None:
        self._try("inbox", lambda: inbox.work_due(session, gateway(), moment))
        self._duty(session, "refunds", timedelta(seconds=2), perform_refunds, moment, everything, SHORT)
        self._duty(session, "holds", timedelta(seconds=30), release_holds, moment, everything, SHORT)

    def _long_duties(self, session: Session, moment: datetime, everything: bool) -> None:
        self._duty(session, reconciliation.DUTY, timedelta(minutes=10), reconcile, moment, everything)
        self._duty(session, "papers", timedelta(seconds=30), make_papers, moment, everything)
        self._duty(session, "libraries", timedelta(minutes=5), remind_of_libraries, moment, everything)
        self._duty(session, "housekeeping", timedelta(hours=1), keep_house, moment, everything)

    def _letters(self, session: Session, moment: datetime, _everything: bool) -> None:
        self._try("letters", lambda: delivery.deliver_due(session, mailer(), self._render, moment))

    def _duty(
        self,
        session: Session,
        name: str,
        every: timedelta,
        work: Callable[[Session, datetime, datetime | None], None],
        moment: datetime,
        everything: bool,
        lease: timedelta = LEASE,
    ) -> None:
        """Run a duty that is due; when it fails it is due again in a while, and the others go on."""

        def run() -> None:
            if everything:
                transact(session, duty.put_off, name, moment)
            mine = transact(session, duty.claim, name, lease, moment)
            if mine is None:
                return
            since = mine.begun_at
            session.rollback()
            try:
                work(session, moment, since)
            except BaseException:  # raised again: another worker may try soon, even if this one is told to end
                transact(session, duty.put_off, name, moment + min(every, timedelta(minutes=1)))
                raise
            transact(session, duty.finish, name, moment, every)

        self._try(name, run)

    def _try(self, name: str, work: Callable[[], object]) -> None:
        """What fails is left as it stands in the database and comes round again; the rest goes on."""
        try:
            work()
        except GatewayError as error:
            log.warning("%s: the payment provider: %s", name, error)
            self._failed = True
        except SQLAlchemyError:  # the next round tries again; the log says why this one did not
            log.exception("%s: the database", name)
            self._failed = True
        except Exception:
            # A mistake in one duty must not end the process that delivers everybody's letters.
            log.exception("%s", name)
            self._failed = True
        finally:
            db.session.rollback()


def perform_refunds(session: Session, moment: datetime, _since: datetime | None) -> None:
    for refund_id in refund_calls.due(session, moment):
        try:
            refund_calls.perform(session, gateway(), refund_id, moment)
        except GatewayRefused:  # its payment is not known there: reconciliation reports it, the others go on
            log.exception("refund %s could not be made", refund_id)


def release_holds(session: Session, moment: datetime, _since: datetime | None) -> None:
    checkouts.sweep(session, gateway(), moment)
    invoice_checkouts.sweep(session, gateway(), moment)


def reconcile(session: Session, moment: datetime, since: datetime | None) -> None:
    report = reconciliation.run(session, gateway(), moment, since)
    if not report.clean:
        log.warning("reconciliation has found: %s", report)


def attached(fact: Mapping[str, Any]) -> bytes:
    """The bytes of a letter's attachment; read in a session of its own, for the delivery's must hold nothing open."""
    if "paper" in fact:
        with Session(db.engine) as own:
            return own.get_one(PaperFile, fact["paper"]).pdf
    return files.path(settings().instance_path, str(fact["file"])).read_bytes()


def remind_of_libraries(session: Session, moment: datetime, _since: datetime | None) -> None:
    for order_id in chasing.due(session, moment):
        transact(session, chasing.chase, order_id, moment)
    for paper_id in chasing.due_papers(session, moment):
        transact(session, chasing.chase_paper, paper_id, moment)


def make_papers(session: Session, moment: datetime, _since: datetime | None) -> None:
    """Papers whose PDF was not made when they were issued."""
    for paper_id in papers.unmade(session):
        library_papers.make(session, paper_id, moment)


def keep_house(session: Session, moment: datetime, _since: datetime | None) -> None:
    transact(session, throttle.sweep, moment)
    old = delete(AdminSession).where(AdminSession.seen_at < moment - SESSIONS_KEPT)
    transact(session, lambda s: s.execute(old))
    sales.close_days(session, moment)
    years, months = settings().order_years, settings().library_months
    erasure.run(session, moment, years=years, months=months, most=ERASED_AT_ONCE)
    transact(session, files.forget_waiting, moment)
    files.clear(session, settings().instance_path, moment)
