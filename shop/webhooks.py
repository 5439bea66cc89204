"""POST /stripe/webhook: kept first, settled after; 2xx only when the work is done."""

from __future__ import annotations

import logging

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import RequestEntityTooLarge

from shop.database import transact
from shop.errors import ForgedEvent, GatewayError, GatewayRefused
from shop.extensions import db, gateway, now
from shop.payments import inbox, settling
from shop.payments.gateway import IncomingEvent
from shop.payments.settling import Outcome

log = logging.getLogger(__name__)

MAX_BODY = 512 * 1024
MISSING = "resource_missing"  # Stripe's word for an id that its account does not have
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}

blueprint = Blueprint("webhooks", __name__)


@blueprint.post("/stripe/webhook")
def stripe_webhook() -> ResponseReturnValue:
    """Answer 400 to what is forged or names nothing, 503 when Stripe could not be asked, so that it delivers again."""
    request.max_content_length = MAX_BODY
    try:
        event = gateway().verify(request.get_data(cache=False), request.headers.get("Stripe-Signature", ""))
    except ForgedEvent as error:
        log.warning("a webhook was refused: %s", error)
        return "bad signature", 400, PLAIN
    except RequestEntityTooLarge:
        return "too large", 413, PLAIN
    if event.type in inbox.TYPES and not event.object_id:
        log.warning("event %s names no object", event.event_id)
        return "no object", 400, PLAIN
    session = db.session()
    waits, seen = transact(session, _keep, event)
    if not waits:
        return "", 200, PLAIN
    if event.livemode != gateway().livemode:
        transact(session, inbox.ignore, event.event_id, Outcome.OTHER_MODE, now())
        return "", 200, PLAIN
    try:
        inbox.work_now(session, gateway(), event.event_id, event.type, event.object_id, now(), seen)
    except GatewayError as error:
        log.warning("event %s waits: %s", event.event_id, error)
        if isinstance(error, GatewayRefused) and error.code == MISSING:
            return "no such object", 400, PLAIN  # it stays in the inbox, where a person sees it
        return "later", 503, PLAIN
    return "", 200, PLAIN


def _keep(session: Session, event: IncomingEvent) -> tuple[bool, settling.Seen | None]:
    """Keep an event, and look in the same transaction at the order that it is about."""
    seen = settling.see(session, event.object_id) if event.type in inbox.CHECKOUT else None
    return inbox.keep(session, event, now(), delivered=True), seen


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
