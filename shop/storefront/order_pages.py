"""The buyer's order page behind its secret address, and the letter that brings the address again."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from wtforms import EmailField, Form, StringField
from wtforms.validators import DataRequired, Length, Regexp

from shop import throttle
from shop.database import transact
from shop.documents import library_papers, receipts
from shop.errors import GatewayError
from shop.extensions import db, gateway, now, settings
from shop.letters import outbox
from shop.letters.models import Kind, Letter, LetterState
from shop.orders import placing
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order
from shop.orders.timeline import BUYER
from shop.payments import checkouts, settling
from shop.payments.models import Payment, PaymentRole, Refund, RefundState
from shop.storefront.order_form import TOO_LONG, once, one_line
from shop.storefront.ordering import Answer, lead_to_payment
from shop.storefront.wording import STATES, Standing, state_of

LINKS_AT_ONCE = 10
LINK_EVERY = timedelta(minutes=1)
"""So often one address may ask; many readers may share it, so it is slowed and never closed."""
UNSETTLED = (PaymentState.AWAITING, PaymentState.PROCESSING)
PAID = (PaymentState.PAID, PaymentState.PART_REFUNDED, PaymentState.REFUNDED)
UNPAID = (Standing.TO_PAY, Standing.CONFIRMING)
SHOWN_REFUNDS = (RefundState.OWED, RefundState.PENDING, RefundState.SUCCEEDED)


class LinkForm(Form):
    """By what a buyer is known: the order's number and the e-mail address given when paying."""

    number = StringField(
        _l("Order number"),
        [
            once,
            DataRequired(_l("Please write the order number, such as RR-12345678.")),
            Length(max=40, message=TOO_LONG),
        ],
        filters=[one_line],
    )
    email = EmailField(
        _l("E-mail address"),
        [
            once,
            DataRequired(_l("Please write the e-mail address that you gave when paying.")),
            Length(max=254, message=TOO_LONG),
            Regexp(r"[^@\s]+@[^@\s]+", message=_l("That is not an e-mail address.")),
        ],
        filters=[one_line],
    )


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/orders", "orders", ask_link, methods=["GET"])
    blueprint.add_url_rule("/orders", "send_link", send_link, methods=["POST"])
    blueprint.add_url_rule("/orders/<token>", "order_page", show_order, methods=["GET"])
    blueprint.add_url_rule("/orders/<token>/receipt.pdf", "receipt", show_receipt, methods=["GET"])
    blueprint.add_url_rule("/orders/<token>/pay", "pay", go_on_paying, methods=["POST"])
    blueprint.add_url_rule("/orders/<token>/cancel", "cancel", cancel_order, methods=["POST"])


def find(session: Session, token: str) -> Order:
    order = placing.by_token(session, token)
    if order is None:
        abort(404)
    return order


def hidden(page: str, status: int = 200) -> Response:
    """A page nobody else may keep, list or learn the address of."""
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def hidden_file(body: bytes, name: str) -> Response:
    """A PDF that nobody else may keep, list or learn the address of."""
    response = make_response(body)
    response.mimetype = "application/pdf"
    response.headers["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def show_receipt(token: str) -> Answer:
    """What was paid for, as a PDF, once it was."""
    session = db.session()
    order = find(session, token)
    if order.payment_state not in PAID or order.buyer.erased_at is not None:
        abort(404)
    back = (
        select(func.sum(Refund.amount))
        .join(Payment)
        .where(
            Payment.order_id == order.id,
            Payment.role == PaymentRole.ORDER,
            Refund.state == RefundState.SUCCEEDED,
        )
    )
    facts = receipts.facts(session, order, session.scalar(back) or 0)
    return hidden_file(library_papers.paper(facts), f"receipt-{order.number}")


def show_order(token: str) -> Answer:
    """How the order stands; Stripe is asked first when the webhook may not have come yet."""
    session = db.session()
    order = find(session, token)
    answered = True
    if order.payment_state in UNSETTLED:
        answered = settling.refresh(session, gateway(), order.id, now())
        order = find(session, token)
    returned = "session_id" in request.args
    payments = select(Payment.id).where(Payment.order_id == order.id)
    refunds = list(
        session.scalars(
            select(Refund)
            .where(Refund.payment_id.in_(payments), Refund.state.in_(SHOWN_REFUNDS))
            .order_by(Refund.asked_at, Refund.id)
        )
    )
    state = state_of(order, answered=answered, refunds=bool(refunds))
    return hidden(
        render_template(
            "storefront/order_page.html",
            order=order,
            state=state,
            words=STATES[state],
            refunds=refunds,
            RefundState=RefundState,
            may_pay=state in UNPAID and not order.needs_attention and not (returned and not answered),
            may_cancel=state in (*UNPAID, Standing.SHORT),
            over=order.payment_state in placing.OVER,
            confirmation=_confirmation(session, order),
            LetterState=LetterState,
            receipt=order.payment_state in PAID and order.buyer.erased_at is None,
            again={**{line.slug: line.quantity for line in order.lines}, "country": order.country},
            noindex=True,
        )
    )


def _confirmation(session: Session, order: Order) -> LetterState | None:
    """What became of the letter that confirms the order; nothing when none was written."""
    sent = select(Letter.state).where(Letter.order_id == order.id, Letter.kind == Kind.ORDER_PAID)
    states = set(session.scalars(sent))
    return next(
        (state for state in (LetterState.SENT, LetterState.OWED, LetterState.FAILED) if state in states), None
    )


def go_on_paying(token: str) -> Answer:
    session = db.session()
    order = find(session, token)
    return lead_to_payment(session, order.id, order.token)


def cancel_order(token: str) -> Answer:
    """Give the order up: Stripe's page is closed first; an order that is no longer open stays as it is."""
    session = db.session()
    order = find(session, token)
    order_id = order.id
    if order.payment_state is PaymentState.AWAITING:
        try:
            checkouts.cancel(session, gateway(), order_id, BUYER, now())
        except GatewayError:
            session.rollback()
            g.no_twin = True
            order = session.get_one(Order, order_id, populate_existing=True)
            return hidden(render_template("storefront/cancel_away.html", order=order, noindex=True), 503)
    return redirect(url_for("storefront.order_page", token=token), 303)


def ask_link() -> Answer:
    return hidden(render_template("storefront/orders.html", form=LinkForm(formdata=None), bad={}, sent=False))


def send_link() -> Answer:
    """Owe the letter when number and address fit; the answer is the same when they do not."""
    session, at = db.session(), now()
    form = LinkForm(formdata=request.form)
    if not form.validate():
        bad = {field.name: str(field.errors[0]) for field in form if field.errors}
        return hidden(render_template("storefront/orders.html", form=form, bad=bad, sent=False), 400)
    number, email = form.number.data or "", form.email.data or ""
    visitor = throttle.mark(request.remote_addr, settings().secret_key)
    root = settings().shop_url

    def work(s: Session) -> None:
        throttle.pace(s, f"link:{visitor}", LINKS_AT_ONCE, LINK_EVERY, at)
        known = placing.by_number(s, number)
        # Locked, so that no letter is owed to somebody who is just being erased.
        order = placing.locked(s, known.id) if known else None
        if order is None or not order.buyer.email or order.buyer.email.casefold() != email.casefold():
            return
        path = url_for("storefront.order_page", market=order.market, token=order.token)
        outbox.owe(
            s,
            Kind.ORDER_LINK,
            f"link:{order.id}:{at.isoformat(timespec='minutes')}",
            order.buyer.email,
            order.market.locale,
            {"number": order.number, "url": root + path},
            at,
            order_id=order.id,
        )

    transact(session, work)
    return hidden(render_template("storefront/orders.html", form=form, bad={}, sent=True))
