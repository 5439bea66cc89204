"""What must agree when the storm is over: the shop's rows, Stripe's own ledger, and the letters that arrived."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.catalogue.models import Edition
from shop.letters.models import Kind, Letter, LetterState
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Concern, Order, Shipment, Worry
from shop.payments.disputes import HARMLESS
from shop.payments.ledger import LedgerEntry
from shop.payments.models import (
    AttemptState,
    CheckoutAttempt,
    Dispute,
    InboxEvent,
    InboxState,
    Payment,
    PaymentRole,
    Refund,
    RefundLine,
    RefundState,
)
from shop.stock import Movement, Stock, StockMovement
from shop.trader import Trader
from tests.storm.world import World

PAID = (PaymentState.PAID, PaymentState.PART_REFUNDED, PaymentState.REFUNDED)
OVER = (PaymentState.EXPIRED, PaymentState.CANCELLED)
GIVEN = ("succeeded", "pending", "requires_action")
"""States of a refund whose money is with the buyer, or on its way."""


def unsettled(session: Session) -> Counter[str]:
    """What is still to be done, by kind."""
    count = select(func.count())
    questions = {
        "letters owed": count.select_from(Letter).where(Letter.state == LetterState.OWED),
        "refunds owed": count.select_from(Refund).where(Refund.state == RefundState.OWED),
        "refunds pending": count.select_from(Refund).where(Refund.state == RefundState.PENDING),
        "events not done": count.select_from(InboxEvent).where(InboxEvent.state != InboxState.DONE),
        "pages not closed": count.select_from(CheckoutAttempt).where(CheckoutAttempt.state != AttemptState.CLOSED),
        "orders awaiting payment": count.select_from(Order).where(
            Order.payment_state.in_((PaymentState.AWAITING, PaymentState.PROCESSING)), ~Order.needs_attention
        ),
    }
    found = Counter({name: session.scalar(question) or 0 for name, question in questions.items()})
    session.rollback()
    return +found


def undecided(session: Session) -> list[str]:
    """Orders that keep their copies until a person has decided about money that disagrees, the oldest first."""
    about = select(Concern.order_id).where(Concern.worry == Worry.AMOUNT_DIFFERS, Concern.settled_at.is_(None))
    waiting = (Order.payment_state == PaymentState.AWAITING, Order.holding, Order.id.in_(about))
    return list(session.scalars(select(Order.number).where(*waiting).order_by(Order.id)))


class Truth:
    """What Stripe knows of the pages that bear this shop's mark."""

    def __init__(self, ledger: dict[str, Any], shop_id: str) -> None:
        self.sessions = [each for each in ledger["sessions"] if each["metadata"].get("shop") == shop_id]
        self.intents = {each["id"]: each for each in ledger["payment_intents"]}
        self.charges = {each["id"]: each for each in ledger["charges"]}
        self.refunds: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for made in ledger["refunds"]:
            self.refunds[made["payment_intent"]].append(made)
        self.disputes: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for each in ledger["disputes"]:
            self.disputes[each["payment_intent"]].append(each)
        self.warnings = ledger["warnings"]
        self.movements = ledger["balance_transactions"]
        self.pages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for page in self.sessions:
            self.pages[page["metadata"].get("order", "")].append(page)
        self.paid = {page["payment_intent"]: page for page in self.sessions if page["payment_status"] == "paid"}

    def given_back(self, intent_id: str) -> int:
        return sum(made["amount"] for made in self.refunds[intent_id] if made["status"] in GIVEN)

    def taken_back(self, intent_id: str) -> bool:
        """Whether a bank has the money, or asks for it."""
        return any(each["status"] not in HARMLESS for each in self.disputes[intent_id])


def differences(world: World) -> Iterator[str]:
    """Everything that does not agree, each in a sentence."""
    yield from world.trouble
    ledger = world.sandbox.ledger()
    with world.parts.session() as session:
        truth = Truth(ledger, session.scalars(select(Trader.shop_id)).one())
        yield from (f"left undone: {number} {what}" for what, number in unsettled(session).items())
        yield from _money(session, truth)
        yield from _states(session, truth)
        yield from _refunds(session, truth)
        yield from _disputes(session, truth)
        yield from _ledger(session, truth)
        yield from _copies(session)
        yield from _letters(session, world)
        yield from _written_for(session, truth, world)


def _money(session: Session, truth: Truth) -> Iterator[str]:
    """Nothing lost, nothing invented, nothing kept twice."""
    mine = {each.intent_id: each for each in session.scalars(select(Payment))}
    for intent_id in truth.paid.keys() - mine.keys():
        yield f"lost: {intent_id} of order {truth.paid[intent_id]['metadata'].get('order')} is not known here"
    for intent_id in mine.keys() - truth.paid.keys():
        yield f"invented: {intent_id} was not paid on a page of ours"
    for intent_id in mine.keys() & truth.paid.keys():
        payment, page = mine[intent_id], truth.paid[intent_id]
        if (payment.amount, payment.currency.value) != (page["amount_total"], page["currency"].upper()):
            yield f"sum: {intent_id} is {payment.money} here and {page['amount_total']} {page['currency']} there"
    paying = Counter(each.order_id for each in mine.values() if each.role is PaymentRole.ORDER)
    yield from (
        f"double: order {order_id} is paid {times} times" for order_id, times in paying.items() if times > 1
    )
    excused = set(
        session.scalars(
            select(Concern.order_id).where(
                Concern.worry.in_((Worry.REFUND_FAILED, Worry.AMOUNT_DIFFERS)), Concern.settled_at.is_(None)
            )
        )
    )
    for payment in mine.values():
        if payment.role is not PaymentRole.SURPLUS or payment.order_id in excused:
            continue
        if truth.given_back(payment.intent_id) != payment.amount and not truth.taken_back(payment.intent_id):
            yield f"double: {payment.intent_id} (order {payment.order_id}) was kept beside what it was paid for"


def _states(session: Session, truth: Truth) -> Iterator[str]:
    """Every order stands as Stripe's pages of it say."""
    for order in session.scalars(select(Order).order_by(Order.id)):
        pages = truth.pages[order.number]
        paying = session.scalar(
            select(Payment.intent_id).where(Payment.order_id == order.id, Payment.role == PaymentRole.ORDER)
        )
        state = order.payment_state
        if paying:
            back = truth.given_back(paying)
            should: tuple[PaymentState, ...] = (
                (PaymentState.REFUNDED,)
                if back == truth.paid[paying]["amount_total"]
                else (PaymentState.PART_REFUNDED if back else PaymentState.PAID,)
            )
        elif any(page["status"] == "open" for page in pages):
            should = (PaymentState.AWAITING, *OVER)
        elif any(page["status"] == "complete" and page["payment_status"] == "unpaid" for page in pages):
            should = (PaymentState.FAILED, *OVER)
        elif order.needs_attention:
            should = (PaymentState.AWAITING, *OVER)
        else:
            should = OVER
        if state not in should:
            told = ", ".join(f"{page['status']}/{page['payment_status']}" for page in pages)
            yield f"state: {order.number} is {state.value}, while its pages are {told or 'none'}"


def _refunds(session: Session, truth: Truth) -> Iterator[str]:
    for payment in session.scalars(select(Payment)):
        mine = {
            (row.provider_id or f"row {row.id}", row.amount, row.state.value)
            for row in payment.refunds
            if row.provider_id or row.state not in (RefundState.FAILED, RefundState.CANCELLED)
        }
        words = {"canceled": "cancelled", "requires_action": "pending"}
        theirs = {
            (made["id"], made["amount"], words.get(made["status"], made["status"]))
            for made in truth.refunds[payment.intent_id]
        }
        if mine != theirs:
            yield f"refunds of {payment.intent_id}: {sorted(mine - theirs)} here, {sorted(theirs - mine)} there"


def _disputes(session: Session, truth: Truth) -> Iterator[str]:
    mine = dict(iter(session.execute(select(Dispute.provider_id, Dispute.status))))
    concerns = set(session.scalars(select(Concern.cause).where(Concern.worry == Worry.FRAUD_WARNING)))
    for payment in session.scalars(select(Payment)):
        theirs = truth.disputes[payment.intent_id]
        for each in theirs:
            if mine.get(each["id"]) != each["status"]:
                yield f"dispute {each['id']} ({payment.role}): {mine.get(each['id'])} here, {each['status']} there"
        for each in truth.warnings:
            if each["charge"] == payment.charge_id and payment.order_id and each["id"] not in concerns:
                yield f"warning {each['id']} of order {payment.order_id} was not heard"
    for order in session.scalars(select(Order)):
        intents = session.scalars(select(Payment.intent_id).where(Payment.order_id == order.id))
        if order.disputed != any(truth.taken_back(intent_id) for intent_id in intents):
            yield f"dispute: {order.number} is marked disputed={order.disputed}"


def _ledger(session: Session, truth: Truth) -> Iterator[str]:
    """Every movement of our money, its fee, and the sums of each currency, to the penny."""
    intents = set(session.scalars(select(Payment.intent_id)))
    sources = {each["id"] for rows in (truth.refunds, truth.disputes) for key in intents for each in rows[key]}
    sources |= {charge["id"] for charge in truth.charges.values() if charge["payment_intent"] in intents}
    theirs = {
        each["id"]: (
            each["currency"].upper(),
            each["reporting_category"],
            each["amount"],
            each["fee"],
            each["net"],
        )
        for each in truth.movements
        if each["source"] in sources
    }
    mine = {
        each.provider_id: (each.currency.value, each.kind, each.amount, each.fee, each.net)
        for each in session.scalars(select(LedgerEntry))
    }
    for name in theirs.keys() | mine.keys():
        if theirs.get(name) != mine.get(name):
            yield f"ledger: {name} is {mine.get(name)} here and {theirs.get(name)} there"
    sums: dict[str, list[Counter[str]]] = {}
    for place, rows in enumerate((mine, theirs)):
        for currency, kind, amount, fee, net in rows.values():
            both = sums.setdefault(currency, [Counter(), Counter()])
            both[place].update({kind: amount, "fees": fee, "net": net})
    for currency, (here, there) in sums.items():
        if here != there:
            yield f"ledger: {currency} sums up to {dict(here)} here and {dict(there)} there"


def _copies(session: Session) -> Iterator[str]:
    """Copies on the shelf, sold and held agree; none was sold that was not there."""
    counted: Counter[int] = Counter()
    for edition_id, number in session.execute(
        select(StockMovement.edition_id, func.sum(StockMovement.on_hand))
        .where(StockMovement.kind == Movement.COUNT)
        .group_by(StockMovement.edition_id)
    ):
        counted[edition_id] = number
    gone, sold, held, back = Counter[int](), Counter[int](), Counter[int](), Counter[int]()
    parcels = list(session.scalars(select(Shipment)))
    posted = {each.order_id for each in parcels if each.has_left and not each.is_free}
    short = set(session.scalars(select(Concern.order_id).where(Concern.worry == Worry.COPIES_MISSING)))
    for order in session.scalars(select(Order)):
        if order.fulfilment_state is FulfilmentState.TO_POST:
            sold.update(order.copies)
        if order.payment_state in (PaymentState.AWAITING, PaymentState.PROCESSING):
            held.update(order.copies)
        if (order.fulfilment_state is FulfilmentState.POSTED or order.is_partly_posted) != (order.id in posted):
            yield f"parcel: {order.number} is {order.fulfilment_state.value}"
        editions = {line.position: line.edition_id for line in order.lines}
        for parcel in parcels:
            if parcel.order_id == order.id:
                copies = {editions[line.position]: line.quantity for line in parcel.lines}
                gone.update(copies if parcel.has_left else {})
                sold.update(copies if parcel.is_waiting else {})
                back.update(copies if parcel.restocked else {})
        for line in session.scalars(
            select(RefundLine)
            .join(Refund, Refund.id == RefundLine.refund_id)
            .join(Payment, Payment.id == Refund.payment_id)
            .where(Payment.order_id == order.id, RefundLine.posted, RefundLine.returned_at.is_not(None))
        ):
            back[editions[line.position]] += line.quantity
    for row, slug in session.execute(select(Stock, Edition.slug).join(Edition, Edition.id == Stock.edition_id)):
        should = (counted[row.edition_id] - gone[row.edition_id] + back[row.edition_id], held[row.edition_id])
        if (row.on_hand, row.held, row.allocated) != (*should, sold[row.edition_id]):
            stands = f"{row.on_hand} on hand, {row.held} held, {row.allocated} sold"
            yield f"copies: {slug}: {stands}; should be {should[0]}, {should[1]}, {sold[row.edition_id]}"
        if row.available < 0 and not short:
            yield f"oversold: {slug} by {-row.available}"
        yield from _promises(session, row.edition_id, slug)


def _promises(session: Session, edition_id: int, slug: str) -> Iterator[str]:
    """No copy was ever promised that was not there: what was left after each promise, one after the other."""
    left = 0
    wanted = select(StockMovement).where(StockMovement.edition_id == edition_id).order_by(StockMovement.id)
    for each in session.scalars(wanted):
        left += each.on_hand - each.held - each.allocated
        if each.kind is Movement.HOLD and left < 0:
            yield f"oversold: {slug} to order {each.order_id}, {-left} too many"


def _letters(session: Session, world: World) -> Iterator[str]:
    """Each letter owed has arrived, as one and the same letter however often, and no other has."""
    arrived = world.parts.mail.by_id()
    owed: dict[str, set[str]] = defaultdict(set)
    for letter in session.scalars(select(Letter)):
        if letter.state is not LetterState.SENT:
            yield f"letter {letter.id} ({letter.kind}) is {letter.state.value}: {letter.last_error}"
        owed[letter.message_id].add(letter.recipient)
    for message_id in owed.keys() - arrived.keys():
        yield f"letter missing: {message_id} to {', '.join(owed[message_id])}"
    for message_id, copies in arrived.items():
        recipients = {each.recipient for each in copies}
        if recipients != owed.get(message_id, set()):
            yield f"letter owed for nothing: {message_id} to {', '.join(recipients)}"
        if len({each.content for each in copies}) != 1:
            yield f"letter {message_id} was not the same each time"


def _written_for(session: Session, truth: Truth, world: World) -> Iterator[str]:
    """What Stripe knows to have happened has its letter in the post, once."""
    arrived: dict[tuple[str, str], set[str]] = defaultdict(set)
    for message_id, copies in world.parts.mail.by_id().items():
        arrived[copies[0].kind, copies[0].recipient].add(message_id)
    should: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def expect(kind: Kind, recipient: str, least: int, most: int) -> None:
        both = should[kind.value, recipient]
        both[0] += least
        both[1] += most

    copies = Counter(
        {
            (kind, recipient): number
            for kind, recipient, number in session.execute(
                select(Letter.kind, Letter.recipient, func.count())
                .where(Letter.copy > 0)
                .group_by(Letter.kind, Letter.recipient)
            )
        }
    )
    for payment in session.scalars(select(Payment).where(Payment.order_id.is_not(None))):
        reader = truth.paid[payment.intent_id]["customer_details"]["email"]
        if payment.role is PaymentRole.ORDER:
            expect(Kind.ORDER_PAID, reader, 1, 1)
            for made in truth.refunds[payment.intent_id]:
                stands = made["status"] in GIVEN
                expect(Kind.REFUNDED, reader, int(stands), 1)
    for shipment in session.scalars(select(Shipment)):
        if not shipment.has_left:
            continue
        order = session.get_one(Order, shipment.order_id)
        expect(Kind.POSTED, order.buyer.email, 1, 1)
    for kind in (Kind.ORDER_PAID, Kind.POSTED, Kind.REFUNDED):
        readers = {recipient for name, recipient in (*arrived, *should) if name == kind.value}
        for reader in readers:
            least, most = should[kind.value, reader]
            came, again = len(arrived[kind.value, reader]), copies[kind, reader]
            if not least + again <= came <= most + again:
                should_be = f"should be {least} to {most}, and {again} sent again"
                yield f"letters: {came} of kind {kind.value} reached {reader}, {should_be}"
