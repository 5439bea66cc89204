"""What the shop can show a bank about an order: one file of plain text."""

from __future__ import annotations

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from shop.admin.desk import desk, speak
from shop.admin.orders import find
from shop.extensions import db
from shop.letters.models import SHOPKEEPER, Letter
from shop.markets import LANGUAGES
from shop.payments.models import Dispute, Payment


@desk.get("/orders/<number>/evidence.txt")
def evidence(number: str) -> ResponseReturnValue:
    """Order, address, payments, parcels, timeline and letters, in the language that the address asks for."""
    session = db.session()
    order = find(session, number)
    asked = request.args.get("language", "")
    if asked in LANGUAGES:
        speak(asked)
    payments = list(session.scalars(select(Payment).where(Payment.order_id == order.id).order_by(Payment.id)))
    disputes = session.scalars(
        select(Dispute).join(Payment).where(Payment.order_id == order.id).order_by(Dispute.id)
    )
    letters = session.scalars(
        select(Letter)
        .where(Letter.order_id == order.id, Letter.kind.not_in(SHOPKEEPER), Letter.text != "")
        .order_by(Letter.id)
    )
    text = render_template(
        "admin/evidence.txt", order=order, payments=payments, disputes=list(disputes), letters=list(letters)
    )
    return Response(
        text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{order.number}.txt"'},
    )
