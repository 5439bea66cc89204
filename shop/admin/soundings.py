"""What the set-up page finds out by looking rather than by asking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.admin.desk import locale
from shop.duty import Duty
from shop.letters.models import Letter, LetterState
from shop.markets import write_moment
from shop.payments.models import InboxEvent, InboxState, Refund, RefundState
from shop.settings import STRIPE_API, Settings

PATIENCE = timedelta(minutes=10)  # work that has been due for longer has nobody doing it


@dataclass(frozen=True, slots=True)
class Sounding:
    """One thing that was looked at: what it is, how it stands, and whether that is well."""

    what: str
    how: str
    well: bool


def soundings(session: Session, settings: Settings, now: datetime) -> list[Sounding]:
    return [_key(settings), _webhook(session), _letter(session), *_worker(session, now)]


def _key(settings: Settings) -> Sounding:
    if settings.livemode:
        how = _("Live key: real money moves.")
    elif settings.stripe_api_base != STRIPE_API:
        how = _("Test key, and a stand-in answers for Stripe: no real money moves.")
    else:
        how = _("Test key: no real money moves.")
    return Sounding(_("Stripe key"), how, settings.livemode or not settings.production)


def _webhook(session: Session) -> Sounding:
    last = session.scalar(select(func.max(InboxEvent.received_at)))
    how = write_moment(last, locale()) if last else _("None yet. Register the webhook in Stripe’s dashboard.")
    return Sounding(_("Last message from Stripe"), how, last is not None)


def _letter(session: Session) -> Sounding:
    last = session.scalar(select(func.max(Letter.sent_at)))
    how = write_moment(last, locale()) if last else _("None yet.")
    return Sounding(_("Last letter sent"), how, last is not None)


def _worker(session: Session, now: datetime) -> list[Sounding]:
    seen = session.scalar(select(func.max(Duty.begun_at)))
    late = now - PATIENCE
    left = sum(
        session.scalar(select(func.count()).where(*where)) or 0
        for where in (
            (Letter.state == LetterState.OWED, Letter.due_at < late),
            (InboxEvent.state != InboxState.DONE, InboxEvent.due_at < late),
            (Refund.state == RefundState.OWED, Refund.next_try_at < late),
        )
    )
    lying = (
        ngettext(
            "%(num)d thing has been waiting for more than ten minutes: the worker seems to have stopped.",
            "%(num)d things have been waiting for more than ten minutes: the worker seems to have stopped.",
            left,
        )
        if left
        else _("Nothing is waiting.")
    )
    activity = write_moment(seen, locale()) if seen else _("It has never run here.")
    return [
        Sounding(_("Worker last seen at work"), activity, seen is not None and seen >= late),
        Sounding(_("Work left waiting"), lying, not left),
    ]
