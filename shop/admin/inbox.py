"""Messages from Stripe, as they were kept and worked."""

from __future__ import annotations

import logging

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select, tuple_

from shop.admin.desk import desk
from shop.errors import GatewayRefused, GatewayUnavailable
from shop.extensions import db, gateway, now
from shop.payments import inbox
from shop.payments.models import InboxEvent, InboxState

log = logging.getLogger(__name__)

PER_PAGE = 50


@desk.get("/inbox")
def inbox_list() -> ResponseReturnValue:
    """Failed messages first, then all, newest first."""
    session = db.session()
    wanted = select(InboxEvent)
    before = request.args.get("before", "")
    failed: list[InboxEvent] = []
    if before:
        last = session.get(InboxEvent, before)
        if last is None:
            abort(404)
        wanted = wanted.where(tuple_(InboxEvent.received_at, InboxEvent.id) < (last.received_at, last.id))
    else:
        broken = select(InboxEvent).where(InboxEvent.state == InboxState.FAILED)
        failed = list(session.scalars(broken.order_by(InboxEvent.received_at.desc()).limit(PER_PAGE)))
    newest = wanted.order_by(InboxEvent.received_at.desc(), InboxEvent.id.desc()).limit(PER_PAGE + 1)
    rows = list(session.scalars(newest))
    older = rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else None
    return render_template(
        "admin/inbox.html", failed=failed, rows=rows[:PER_PAGE], older=older, is_first=not before
    )


@desk.post("/inbox/<event_id>")
def replay(event_id: str) -> ResponseReturnValue:
    """Work a message once more: its object is fetched afresh, so that it can do no harm twice."""
    session = db.session()
    if session.get(InboxEvent, event_id) is None:
        abort(404)
    try:
        inbox.replay(session, gateway(), event_id, now())
    except GatewayUnavailable:
        session.rollback()
        flash(_("Stripe does not answer. Please try again later."), "warning")
    except GatewayRefused as error:
        session.rollback()
        flash(_("Stripe refused to show what the message is about: %(code)s.", code=error.code), "warning")
    except Exception:
        # The event stays failed with its error, and whoever pressed the button is told.
        session.rollback()
        log.exception("event %s could not be worked", event_id)
        flash(_("The message still cannot be processed."), "warning")
    else:
        event = session.get_one(InboxEvent, event_id, populate_existing=True)
        if event.state is InboxState.DONE:
            flash(_("The message was processed again."))
        else:
            flash(_("The message still cannot be processed."), "warning")
    return redirect(url_for("admin.inbox_list"), code=303)
