"""Letters: what could not be delivered, what is owed, what was sent."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from shop.admin.desk import desk, person
from shop.admin.listing import listing
from shop.admin.words import SECRET
from shop.database import transact
from shop.extensions import db, now
from shop.letters import outbox
from shop.letters.models import Letter, LetterState
from shop.libraries.models import LibraryOrder
from shop.orders import timeline
from shop.orders.models import Order
from shop.orders.placing import locked

SHOWN = 200


def not_delivered() -> ColumnElement[bool]:
    """Letters refused for good that nobody has sent again."""
    later = aliased(Letter)
    again = select(later.id).where(
        later.kind == Letter.kind,
        later.cause == Letter.cause,
        later.recipient == Letter.recipient,
        later.copy > Letter.copy,
    )
    return (Letter.state == LetterState.FAILED) & Letter.erased_at.is_(None) & ~again.exists()


@desk.get("/letters")
def letter_list() -> ResponseReturnValue:
    """Undelivered and owed letters first, then the rest, newest first."""
    session = db.session()
    page = listing(session, select(Letter).where(Letter.state == LetterState.SENT), Letter.id)
    failed, owed = [], []
    if page.is_first:
        failed = list(
            session.scalars(select(Letter).where(not_delivered()).order_by(Letter.id.desc()).limit(SHOWN))
        )
        waiting = select(Letter).where(Letter.state == LetterState.OWED)
        owed = list(session.scalars(waiting.order_by(Letter.due_at, Letter.id).limit(SHOWN)))
    shown = [*failed, *owed, *page.rows]
    return render_template(
        "admin/letters.html",
        failed=failed,
        owed=owed,
        page=page,
        orders=_names(session, Order.id, Order.number, {each.order_id for each in shown}),
        tickets=_names(session, LibraryOrder.id, LibraryOrder.ticket, {each.library_order_id for each in shown}),
    )


def _names(session: Session, key: object, name: object, ids: set[int | None]) -> dict[int, str]:
    """What the rows are called that letters are about."""
    wanted = select(key, name).where(key.in_([each for each in ids if each]))  # type: ignore[attr-defined, call-overload]
    return dict(iter(session.execute(wanted)))


@desk.post("/letters/<int:letter_id>")
def letter_again(letter_id: int) -> ResponseReturnValue:
    """Owe a letter once more, whatever it is about."""
    session, actor, at = db.session(), person().actor, now()
    letter = session.get(Letter, letter_id) if letter_id < 2**31 else None
    if letter is None or letter.kind in SECRET:
        abort(404)

    def work(s: Session) -> None:
        row = s.get_one(Letter, letter_id)
        order = locked(s, row.order_id) if row.order_id else None
        outbox.again(s, row, at)
        if order is not None:
            timeline.note(s, order, "letter_resent", actor, at, letter=row.kind.value)

    transact(session, work)
    flash(_("The letter will be sent again."))
    return redirect(url_for("admin.letter_list"), code=303)
