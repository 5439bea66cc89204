"""What the set-up page finds out by looking rather than by asking: what runs, answers and arrives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import ColumnElement, ScalarSelect, bindparam, func, select
from sqlalchemy.orm import Session

from shop.admin.desk import locale
from shop.backups.latest import latest
from shop.duty import Duty
from shop.letters import proof
from shop.letters.models import Letter, LetterState
from shop.markets import write_moment, write_size
from shop.payments.models import UNDONE, InboxEvent, Refund, RefundState
from shop.settings import STRIPE_API, Settings
from shop.staff import Admin, Role, sessions

PATIENCE = timedelta(minutes=10)  # work that has been due for longer has nobody doing it
RECENT = timedelta(hours=1)  # the worker asks Stripe every ten minutes
STALLED = timedelta(hours=1)  # a mail server that is away for longer is no hiccup
BACKED_UP = timedelta(days=3)  # backups are made every night; one that fails is no alarm yet


@dataclass(frozen=True, slots=True)
class Sounding:
    """One thing that was looked at: what it is, how it stands, whether that is well, and where it is changed."""

    what: str
    how: str
    well: bool
    link: str = ""


def soundings(session: Session, settings: Settings, now: datetime) -> list[Sounding]:
    return [
        _key(settings),
        _answers(session, now),
        _webhook(session),
        _letter(session, now),
        _arrival(session, settings),
        *_worker(session, now),
        _second_factor(session),
        _database(session, settings),
        _backup(settings, now),
    ]


def many(what: type[object], *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many rows there are like that, to be asked along with other things."""
    return select(func.count()).select_from(what).where(*where).scalar_subquery()


def cuts(now: datetime) -> dict[str, datetime]:
    """The moments by which ``STALLING`` and ``LEFT_WAITING`` tell what is late."""
    return {"stalling": now - STALLED, "late": now - PATIENCE}


STALLING = many(Letter, Letter.state == LetterState.OWED, Letter.owed_at < bindparam("stalling"))
"""Letters owed for more than an hour: the mail server does not take them, or nobody brings them."""
LEFT_WAITING = (
    many(Letter, Letter.state == LetterState.OWED, Letter.due_at < bindparam("late"))
    + many(InboxEvent, InboxEvent.state.in_(UNDONE), InboxEvent.due_at < bindparam("late"))
    + many(Refund, Refund.state == RefundState.OWED, Refund.next_try_at < bindparam("late"))
)
"""How many things have been due for so long that nobody seems to be doing them."""


def way_of_letters(settings: Settings) -> str:
    """By which mail server and from which address letters go; another one has to be proved anew."""
    server = urlsplit(settings.smtp_url)
    return f"{server.hostname}:{server.port or ''} {parseaddr(settings.mail_from)[1]}"[:600]


def _key(settings: Settings) -> Sounding:
    if settings.livemode:
        how = _("Live key: real money moves.")
    elif settings.stripe_api_base != STRIPE_API:
        how = _("Test key, and a stand-in answers for Stripe: no real money moves.")
    else:
        how = _("Test key: no real money moves.")
    return Sounding(_("Stripe key"), how, settings.livemode or not settings.production)


def _answers(session: Session, now: datetime) -> Sounding:
    """The worker's last comparison with Stripe that came to its end has been answered to its last question."""
    last = session.scalar(select(Duty.begun_at).where(Duty.name == "reconciliation"))
    how = write_moment(last, locale()) if last else _("Not yet. The worker asks every ten minutes.")
    return Sounding(_("Stripe last answered"), how, last is not None and last >= now - RECENT)


def _webhook(session: Session) -> Sounding:
    last = session.scalar(select(func.max(InboxEvent.received_at)).where(InboxEvent.delivered))
    how = write_moment(last, locale()) if last else _("None yet. Register the webhook in Stripe’s dashboard.")
    return Sounding(_("Last message from Stripe"), how, last is not None, url_for("admin.inbox_list"))


def _letter(session: Session, now: datetime) -> Sounding:
    last = session.scalar(select(func.max(Letter.sent_at)))
    waiting = session.scalar(select(STALLING), cuts(now)) or 0
    how = write_moment(last, locale()) if last else str(_("None yet."))
    if waiting:
        since = ngettext(
            "%(num)d letter has been waiting for more than an hour.",
            "%(num)d letters have been waiting for more than an hour.",
            waiting,
        )
        how = f"{how}. {since}" if last else since
    return Sounding(
        _("Last letter that the mail server took"),
        how,
        last is not None and not waiting,
        url_for("admin.letter_list"),
    )


def _arrival(session: Session, settings: Settings) -> Sounding:
    way = way_of_letters(settings)
    arrived, asked = proof.last_arrival(session, way), proof.last_asked(session, way)
    if arrived:
        how = _("A test letter has arrived: %(moment)s.", moment=write_moment(arrived, locale()))
    elif asked:
        moment = write_moment(asked, locale())
        how = _("A test letter was asked for on %(moment)s; nobody has said yet that it came.", moment=moment)
    else:
        how = _("Not tried yet with this mail server and sender.")
    return Sounding(_("Letters arrive"), how, arrived is not None, "#letters")


def _worker(session: Session, now: datetime) -> list[Sounding]:
    seen = session.scalar(select(func.max(Duty.begun_at)))
    left = session.scalar(select(LEFT_WAITING), cuts(now)) or 0
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
        Sounding(_("Worker last seen at work"), activity, seen is not None and seen >= now - PATIENCE),
        Sounding(_("Work left waiting"), lying, not left),
    ]


def _second_factor(session: Session) -> Sounding:
    joined = select(Admin).where(Admin.active, Admin.password_hash != "", Admin.role != Role.READER)
    bare = [each.name for each in session.scalars(joined.order_by(Admin.id)) if not each.has_second_factor]
    if not bare:
        how = _("Whoever may change anything signs in with a code as well.")
    elif sessions.second_factor_required(session):
        how = _(
            "It is required; at their next click these are asked to set it up: %(names)s.", names=", ".join(bare)
        )
    else:
        how = _("By the password alone sign in: %(names)s.", names=", ".join(bare))
    return Sounding(_("Second factor"), how, not bare, url_for("admin.people_list"))


def _database(session: Session, settings: Settings) -> Sounding:
    dialect = session.get_bind().dialect
    if dialect.name == "sqlite":
        how = _("SQLite: enough for one small shop on one machine.")
    else:
        version = ".".join(str(part) for part in dialect.server_version_info or ())
        how = _("PostgreSQL %(version)s.", version=version)
    return Sounding(_("Database"), how, True)


def _backup(settings: Settings, now: datetime) -> Sounding:
    last = latest(settings.instance_path)
    if last is None:
        how = _("None has been made yet. “flask shop backup” makes one; let it run every night.")
        return Sounding(_("Last backup"), how, False)
    made = {"moment": write_moment(last.made_at, locale()), "size": write_size(last.size, locale())}
    if last.made_at < now - BACKED_UP:
        how = _("%(moment)s, %(size)s. That is long ago: does it still run every night?", **made)
        return Sounding(_("Last backup"), how, False)
    return Sounding(_("Last backup"), f"{made['moment']}, {made['size']}.", True)
