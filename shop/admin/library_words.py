"""What the desk calls the states and events of library orders."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from shop.libraries.models import LibraryEvent, LibraryOrder, LibraryState, Request, Stage
from shop.libraries.paper_models import PaperKind

LIBRARY = {
    LibraryState.RECEIVED: _l("received"),
    LibraryState.SENT: _l("sent to the distributor"),
    LibraryState.ANSWERED: _l("answered"),
    LibraryState.SUPPLIED: _l("supplied"),
    LibraryState.CANNOT_SUPPLY: _l("cannot be supplied"),
    LibraryState.CLOSED: _l("closed"),
}

REQUEST = {
    Request.QUOTE: _l("a quotation"),
    Request.PRO_FORMA: _l("a pro-forma invoice"),
    Request.ORDER: _l("an order now"),
    Request.AVAILABILITY: _l("whether it is available"),
}

STAGE = {
    Stage.NONE: _l("nothing issued yet"),
    Stage.QUOTED: _l("offer made"),
    Stage.ORDERED: _l("purchase order accepted"),
    Stage.INVOICED: _l("invoiced"),
}

PAPER = {
    PaperKind.QUOTE: _l("Quotation"),
    PaperKind.PRO_FORMA: _l("Pro-forma invoice"),
    PaperKind.INVOICE: _l("Invoice"),
    PaperKind.CREDIT_NOTE: _l("Credit note"),
}

LIBRARY_EVENTS = {
    "received": _l("The library asked."),
    "routed": _l("It was sent to the distributor."),
    "sent": _l("It was sent to the distributor."),
    "seen": _l("The distributor has it in hand."),
    "remark": _l("The distributor added a line."),
    "reminded": _l("The distributor was reminded."),
    "told": _l("You were told that the distributor says nothing."),
    "joined": _l("It repeats a purchase order and was joined to that ticket."),
    "accepted": _l("The purchase order was accepted, and its copies were put aside."),
    "issued_quote": _l("A quotation was issued."),
    "issued_pro_forma": _l("A pro-forma invoice was issued."),
    "issued_invoice": _l("An invoice was issued."),
    "issued_credit_note": _l("A credit note was issued."),
    "paid": _l("It was paid."),
    "unpaid": _l("The payment was taken back: it had been noted by mistake."),
    "paid_online": _l("It was paid by its link."),
    "paid_twice": _l("A second payment came; all of it goes back."),
    "paid_late": _l("A payment came for what was not open any more; all of it goes back."),
    "amount_differs": _l("A payment came that is not the sum asked for."),
    "refunded": _l("Money went back."),
    "refund_failed": _l("A refund failed."),
    "unpaid_online": _l("Its payment went back: it is open again."),
    "dispute_opened": _l("The payer’s bank disputes the payment."),
    "dispute_changed": _l("The dispute has changed."),
    "posted": _l("A parcel was posted."),
    "record_changed": _l("Addresses or numbers were changed."),
    "reminded_due": _l("The library was reminded of the invoice."),
    "told_unpaid": _l("You were told that the invoice is unpaid."),
    "joined_by": _l("The same purchase order came once more, under another ticket."),
    "answered": _l("It was answered."),
    "supplied": _l("It was supplied."),
    "cannot_supply": _l("It cannot be supplied."),
    "closed": _l("It was closed."),
}


def library_state(order: LibraryOrder) -> str:
    """How a library order stands; what the distributor has in hand is named so."""
    if order.joined_to_id is not None and order.state is LibraryState.CLOSED:
        return str(_("joined to another"))
    if order.seen_at is not None and order.state is LibraryState.SENT:
        return str(_("in the distributor’s hands"))
    return str(LIBRARY[order.state])


def library_event(entry: LibraryEvent) -> str:
    """One event of a library order as a sentence."""
    known = LIBRARY_EVENTS.get(entry.kind)
    return str(known or _("Something else happened (%(kind)s).", kind=entry.kind))
