"""What the desk calls things: every state, worry and event in the words of a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from shop.admin import library_words, order_words, parcel_words
from shop.admin.desk import locale
from shop.letters.models import Kind, LetterState
from shop.markets import write_money
from shop.money import Currency, Money
from shop.orders.models import TimelineEntry, Worry
from shop.payments.models import AttemptState, InboxState, RefundSource, RefundState
from shop.payments.orphans import Obstacle
from shop.stock import Movement

ATTEMPT = {
    AttemptState.NEW: _l("the page was being opened"),
    AttemptState.OPEN: _l("the page is open"),
    AttemptState.COMPLETE: _l("the buyer has gone through with it"),
    AttemptState.CLOSED: _l("the page is closed"),
}

REFUND = {
    RefundState.OWED: _l("asked for, not yet confirmed by Stripe"),
    RefundState.PENDING: _l("under way at Stripe"),
    RefundState.SUCCEEDED: _l("the money went back"),
    RefundState.FAILED: _l("the money did not go back"),
    RefundState.CANCELLED: _l("called off"),
}

REFUND_SOURCE = {
    RefundSource.ADMIN: _l("asked for at this desk"),
    RefundSource.SYSTEM: _l("asked for by the shop itself"),
    RefundSource.DASHBOARD: _l("made in Stripe’s dashboard"),
}

REFUND_REASONS = {
    "requested_by_customer": _l("The buyer asked for it"),
    "not_deliverable": _l("We cannot post it there"),
    "copies_missing": _l("There are no copies left"),
    "paid_twice": _l("It was paid twice"),
    "other": _l("Another reason"),
}
"""What a person may choose from."""

OTHER_REFUND_REASONS = {
    "duplicate": _l("It was paid twice"),
    "fraudulent": _l("The payment is fraudulent"),
    "paid_late": _l("It was paid too late"),
    "amount_differs": _l("The sum did not match"),
    "expired_uncaptured_charge": _l("The payment ran out"),
}
"""What Stripe or the shop itself may have written."""

WORRY = {
    Worry.CHECKOUT_REFUSED: (
        _l("No payment page"),
        _l(
            "Stripe refused to open a payment page for this order: something in the set-up is wrong. Look at the "
            "set-up page and at Stripe’s dashboard."
        ),
    ),
    Worry.AMOUNT_DIFFERS: (
        _l("The sum does not match"),
        _l(
            "The money that arrived is not what the order costs. Compare the payment with the order, then refund it "
            "or write to the buyer."
        ),
    ),
    Worry.ADDRESS_REFUSED: (
        _l("The address may not be served"),
        _l(
            "The parcel would go to an address that the shop does not post to. Refund the order, or write to the buyer."
        ),
    ),
    Worry.COPIES_MISSING: (
        _l("Copies are missing"),
        _l("There are not enough copies for this order. Find or order copies, or refund it."),
    ),
    Worry.PAID_TWICE: (
        _l("Paid twice"),
        _l("A second payment came for the same order. It goes back; make sure that it did."),
    ),
    Worry.PAID_LATE: (
        _l("Paid late"),
        _l("The money came after the order had been given up. Look at whether it is to be posted or refunded."),
    ),
    Worry.REFUND_FAILED: (
        _l("A refund failed"),
        _l(
            "The buyer’s bank did not take the money back. It is with you again; write to the buyer about another "
            "way."
        ),
    ),
    Worry.DISPUTE: (
        _l("The payment is disputed"),
        _l(
            "The buyer’s bank asks for the money back. Answer in Stripe’s dashboard before the deadline; do not post "
            "meanwhile."
        ),
    ),
    Worry.FRAUD_WARNING: (
        _l("A warning of fraud"),
        _l(
            "The card’s bank suspects that the payment was not made by its owner. Better refund it than be disputed."
        ),
    ),
    Worry.WITHDRAWN: (
        _l("The buyer withdraws"),
        _l("The buyer has stated that he withdraws. Do not post what was not posted yet; refund it in time."),
    ),
}

DISPUTE = {
    "warning_needs_response": _l("an enquiry to be answered"),
    "warning_under_review": _l("an enquiry under review"),
    "warning_closed": _l("an enquiry, closed"),
    "needs_response": _l("to be answered"),
    "under_review": _l("under review"),
    "won": _l("won"),
    "lost": _l("lost"),
    "prevented": _l("prevented"),
    "appeal_needs_response": _l("lost; an appeal can be made"),
    "appeal_under_review": _l("an appeal under review"),
}

COMPARISON = {
    "paid_here": _l("Paid here and not at Stripe: look for the payment in Stripe’s dashboard before you post"),
    "amounts": _l("Sums that differ: compare them in Stripe’s dashboard"),
    "missing_there": _l("Not known to Stripe: perhaps the shop was moved to another account"),
    "stuck": _l("Does not fit what is recorded here: let the audit say what is wrong"),
    "holds": _l("Copies held although nothing can be paid any more: look at the order"),
    "paid_there": _l("Paid at Stripe and not known here: recorded"),
    "holds_ended": _l("Copies that were held although nothing could be paid any more: on sale again"),
    "orphans": _l("Money without an order: kept"),
    "applied": _l("Brought up to date"),
}
"""What a comparison with Stripe may find; first what a person must look at."""

LEDGER = {
    "charge": _l("payments"),
    "refund": _l("refunds"),
    "refund_failure": _l("refunds that failed"),
    "dispute": _l("disputes"),
    "dispute_reversal": _l("disputes won"),
    "fee": _l("other fees"),
}
"""Stripe's reporting categories that a bookshop meets."""

OBSTACLE = {
    Obstacle.NO_ORPHAN: _l("This payment is not waiting for an order."),
    Obstacle.REFUNDED: _l("Some of this money has gone back or is about to: the order is not rebuilt."),
    Obstacle.MARK: _l("The payment does not say clearly what was ordered: the order cannot be rebuilt."),
    Obstacle.NUMBER_TAKEN: _l("An order with this number is known already: it is not rebuilt."),
    Obstacle.SUMS: _l("What was paid cannot be split into the prices of the copies: the order cannot be rebuilt."),
}

LETTER = {
    Kind.ORDER_PAID: _l("Order confirmed"),
    Kind.PAYMENT_DELAYED: _l("Payment on the way"),
    Kind.PAYMENT_FAILED: _l("Payment did not arrive"),
    Kind.POSTED: _l("Parcel posted"),
    Kind.REFUNDED: _l("Refund made"),
    Kind.LATE_PAYMENT_REFUNDED: _l("Late payment refunded"),
    Kind.SECOND_PAYMENT_REFUNDED: _l("Second payment refunded"),
    Kind.REFUND_FAILED: _l("Refund failed"),
    Kind.ORDER_LINK: _l("Link to the order"),
    Kind.LIBRARY_ORDER: _l("Library order"),
    Kind.LIBRARY_ACKNOWLEDGED: _l("Acknowledgement to the library"),
    Kind.LIBRARY_PAPER: _l("Paper to the library"),
    Kind.LIBRARY_DUE: _l("Reminder of an invoice"),
    Kind.LIBRARY_PAID: _l("Receipt of a library’s payment"),
    Kind.LIBRARY_REFUNDED: _l("Refund to a library"),
    Kind.LIBRARY_POSTED: _l("Parcel to the library posted"),
    Kind.LIBRARY_REMINDER: _l("Reminder to the distributor"),
    Kind.LIBRARY_ATTENTION: _l("To the shopkeeper: a library waits"),
    Kind.NEW_ORDER: _l("To the shopkeeper: order paid"),
    Kind.ATTENTION: _l("To the shopkeeper: something needs attention"),
    Kind.INVITATION: _l("Link to set a password"),
    Kind.MAIL_TEST: _l("Test letter"),
    Kind.WITHDRAWAL_ACKNOWLEDGED: _l("Acknowledgement of a withdrawal"),
    Kind.WITHDRAWAL_STATED: _l("To the shopkeeper: withdrawal stated"),
}

SECRET = (Kind.INVITATION, Kind.MAIL_TEST)
"""Letters that the desk neither shows nor sends again: whoever read one could be somebody else."""

LETTER_STATE = {
    LetterState.OWED: _l("waiting to be sent"),
    LetterState.SENT: _l("sent"),
    LetterState.FAILED: _l("not delivered"),
}

INBOX = {
    InboxState.NEW: _l("to be processed"),
    InboxState.DONE: _l("processed"),
    InboxState.FAILED: _l("could not be processed"),
}

OUTCOME = {
    "applied": _l("applied"),
    "stranger": _l("not about this shop"),
    "ignored": _l("nothing to do"),
    "nothing_new": _l("nothing new"),
    "other_mode": _l("from the other mode, test or live"),
    "orphan": _l("money without an order"),
    "stale": _l("asked again"),
}

MOVEMENT = {
    Movement.COUNT: _l("counted"),
    Movement.HOLD: _l("held for an order"),
    Movement.RELEASE: _l("released"),
    Movement.ALLOCATE: _l("sold"),
    Movement.FREE: _l("freed by a refund"),
    Movement.SHIP: _l("sent out"),
    Movement.RETURN: _l("came back"),
    Movement.REPLACE: _l("put aside for a free parcel"),
    Movement.UNPOST: _l("has not left after all"),
}

LIBRARY, REQUEST, STAGE, PAPER = (
    library_words.LIBRARY,
    library_words.REQUEST,
    library_words.STAGE,
    library_words.PAPER,
)
library_state, library_event = library_words.library_state, library_words.library_event
PAYMENT, FULFILMENT = order_words.PAYMENT, order_words.FULFILMENT
REPLACED, PARCEL, RETURN_END = parcel_words.REPLACED, parcel_words.PARCEL, parcel_words.RETURN_END

ACTOR = {
    "buyer": _l("the buyer"),
    "stripe": _l("Stripe"),
    "system": _l("the shop"),
    "distributor": _l("the distributor"),
    "library": _l("the library"),
}


def actor(kind: str, name: str = "") -> str:
    """Who did it; a person of the desk by name."""
    return name or str(ACTOR.get(kind, kind))


def written_actor(actor_text: str) -> str:
    """The same, from the form ``admin: Name`` in which other rows keep it."""
    kind, _separator, name = actor_text.partition(": ")
    return actor(kind, name)


def refund_reason(word: str) -> str:
    """Why money went back; empty when nobody said."""
    known = REFUND_REASONS.get(word) or OTHER_REFUND_REASONS.get(word)
    return str(known) if known else word


def sum_of(amount: int, currency: Currency) -> str:
    """Minor units of a currency as the desk writes them."""
    return write_money(Money(amount, currency), locale())


def found_sum(written: str) -> str:
    """A sum as a comparison keeps it, ``2550 GBP``; empty for none."""
    amount, _blank, code = written.partition(" ")
    return sum_of(int(amount), Currency(code)) if code in set(Currency) else written


def ledger_kind(word: str) -> str:
    """What a movement of money at Stripe is called; its own word for one that is not known."""
    return str(LEDGER.get(word, word))


def worry(word: str) -> str:
    """A worry's short name; the word itself for one that is no longer known."""
    return str(WORRY[Worry(word)][0]) if word in set(Worry) else word


def _sum(details: Mapping[str, Any]) -> str:
    return write_money(Money(int(details["amount"]), Currency(details["currency"])), locale())


def _posted(details: Mapping[str, Any]) -> str:
    carrier, tracking = details.get("carrier", ""), details.get("tracking", "")
    erased = "tracking" in details.get("erased", ())
    if erased and carrier:
        return str(_("The parcel was posted with %(carrier)s; its tracking number was erased.", carrier=carrier))
    if erased:
        return str(_("The parcel was posted; its tracking number was erased."))
    if carrier and tracking:
        return str(
            _(
                "The parcel was posted with %(carrier)s, tracking number %(tracking)s.",
                carrier=carrier,
                tracking=tracking,
            )
        )
    if carrier:
        return str(_("The parcel was posted with %(carrier)s.", carrier=carrier))
    if tracking:
        return str(_("The parcel was posted, tracking number %(tracking)s.", tracking=tracking))
    return str(_("The parcel was posted."))


def _dispute(details: Mapping[str, Any]) -> str:
    status = str(details.get("status", ""))
    return str(_("The dispute is now: %(status)s.", status=DISPUTE.get(status, status)))


def _letter(details: Mapping[str, Any]) -> str:
    kind = str(details.get("letter", ""))
    return str(
        _("The letter “%(letter)s” was sent again.", letter=LETTER[Kind(kind)] if kind in set(Kind) else kind)
    )


EVENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "placed": lambda d: _("The order was placed."),
    "checkout_opened": lambda d: _("A payment page was opened at Stripe."),
    "checkout_failed": lambda d: _("Stripe did not open a payment page."),
    "checkout_refused": lambda d: _("Stripe refused to open a payment page."),
    "checkout_unanswered": lambda d: _("Stripe did not answer when a payment page was to be opened."),
    "refund_refused": lambda d: _("Stripe refused a refund."),
    "checkout_closed": lambda d: _("The payment page was closed."),
    "processing": lambda d: _("Checkout was completed; the money is on its way."),
    "paid": lambda d: _("The order was paid."),
    "payment_failed": lambda d: _("The money did not arrive."),
    "expired": lambda d: _("The time to pay ran out; the copies were released."),
    "cancelled": lambda d: _("The order was cancelled before payment."),
    "revived": lambda d: _("The money came late, and the order was revived."),
    "paid_twice": lambda d: _("A second payment arrived."),
    "paid_late": lambda d: _("A payment arrived too late."),
    "refund_asked": lambda d: _("A refund of %(sum)s was asked for.", sum=_sum(d)),
    "refunded": lambda d: _("%(sum)s was refunded.", sum=_sum(d)),
    "refund_failed": lambda d: _("A refund failed."),
    "posted": _posted,
    **parcel_words.EVENTS,
    "refund_undone": lambda d: _("The refund of %(sum)s was taken back.", sum=_sum(d)),
    "fulfilment_cancelled": lambda d: _("Posting was called off; the copies went back to sale."),
    "cancelled_fulfilment": lambda d: _("Posting was called off; the copies went back to sale."),
    "attention": lambda d: _("Needs attention: %(worry)s.", worry=worry(str(d.get("worry", "")))),
    "attention_settled": lambda d: _("Was looked at: %(worry)s.", worry=worry(str(d.get("worry", "")))),
    "concern": lambda d: _("Something about this order needs a look."),
    "copies_called_off": lambda d: ngettext(
        "%(num)d copy went back to sale before it was posted.",
        "%(num)d copies went back to sale before they were posted.",
        int(d.get("copies", 0)),
    ),
    "copies_back": lambda d: ngettext(
        "%(num)d copy came back and stands on the shelf.",
        "%(num)d copies came back and stand on the shelf.",
        int(d.get("copies", 0)),
    ),
    "rebuilt": lambda d: _("The order was rebuilt from what Stripe knows of its payment."),
    "dispute_opened": lambda d: _("The buyer’s bank disputes the payment."),
    "dispute_changed": _dispute,
    "withdrawal_stated": lambda d: _("The buyer stated that he withdraws."),
    "withdrawal_done": lambda d: _("The withdrawal was dealt with."),
    "erased": lambda d: _("Everything personal was erased."),
    "letter_resent": _letter,
}


def event(entry: TimelineEntry) -> str:
    """One entry of an order's timeline as a sentence."""
    known = EVENTS.get(entry.kind)
    return (
        known({**entry.told, "erased": entry.erased})
        if known
        else str(_("Something else happened (%(kind)s).", kind=entry.kind))
    )


def library_actor(written: str) -> str:
    """Who moved a library order; what the shop calls a buyer is the library here, and the distributor has a name."""
    return str(ACTOR["library"]) if written == "buyer" else written_actor(written)
