"""The audit: everything that can be recomputed is, from rows alone, and every difference is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, selectinload

from shop import erasure, library_audit, sales
from shop.database import look
from shop.letters.models import Kind, Letter
from shop.libraries.models import LibraryOrder
from shop.orders import parcels, terms, timeline
from shop.orders.lifecycle import FulfilmentState, PaymentState
from shop.orders.models import Buyer, Order, OrderLine, Shipment, ShipmentLine, Worry
from shop.payments.copies import DEAD
from shop.payments.models import Payment, PaymentRole, Refund, RefundLine, RefundSource
from shop.payments.refunds import BACK
from shop.stock import Movement, Stock, StockMovement

BATCH = 500
SURPLUS = {
    Worry.PAID_TWICE.value: Kind.SECOND_PAYMENT_REFUNDED,
    Worry.PAID_LATE.value: Kind.LATE_PAYMENT_REFUNDED,
}
TO_BUYERS = (Kind.ORDER_PAID, Kind.POSTED, Kind.REFUNDED, *SURPLUS.values())
PAID = (PaymentState.PAID, PaymentState.PART_REFUNDED, PaymentState.REFUNDED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree: ``what`` it is about, and what stands against what."""

    kind: str
    what: str
    stands: str
    should: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}: {self.stands}, should be {self.should}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def run(session: Session) -> Iterator[Difference]:
    """Recompute stock, totals, states and letters owed, and follow every timeline, all as of one moment."""
    look(session)
    yield from _stock(session)
    last, loaded = 0, [selectinload(each) for each in (Order.timeline, Order.parcels, Order.concerns)]
    orders = select(Order).options(*loaded).order_by(Order.id).limit(BATCH)
    while batch := list(session.scalars(orders.where(Order.id > last))):
        for order in batch:
            yield from _order(session, order)
        yield from _terms(session, batch)
        last = batch[-1].id
        session.expunge_all()
    yield from _letters(session)
    yield from _refunds(session)
    for kind, what, stands, should in library_audit.differences(session):
        yield Difference(kind, what, stands, should)
    for day, what, stands, should in sales.differences(session):
        yield Difference("day", f"{day}, {what}", stands, should)


def _terms(session: Session, orders: list[Order]) -> Iterator[Difference]:
    """What orders are found by. The words themselves are personal, and not told."""
    for order, spare, missing in terms.differences(session, orders):
        stands = f"{len(spare)} too many, {len(missing)} missing"
        yield Difference("search terms", order.number, stands, "those of its number, buyer and parcels")
    for order in orders:
        if order.buyer.search != order.buyer.found_by:
            yield Difference("search terms", order.number, "the buyer's are stale", "as its fields")


def _stock(session: Session) -> Iterator[Difference]:
    sums = {
        row.edition_id: (row.on_hand or 0, row.held or 0, row.allocated or 0)
        for row in session.execute(
            select(
                StockMovement.edition_id,
                func.sum(StockMovement.on_hand).label("on_hand"),
                func.sum(StockMovement.held).label("held"),
                func.sum(StockMovement.allocated).label("allocated"),
            ).group_by(StockMovement.edition_id)
        )
    }
    promised: dict[str, Counter[int]] = {"held": Counter(), "allocated": Counter()}
    for order in session.scalars(select(Order).where(Order.holding | Order.allocated)):
        for edition_id, quantity in order.copies.items():
            promised["held"][edition_id] += quantity if order.holding else 0
            promised["allocated"][edition_id] += quantity if order.allocated else 0
    put_aside = (
        select(OrderLine.edition_id, func.sum(ShipmentLine.quantity))
        .join(Shipment, Shipment.order_id == OrderLine.order_id)
        .join(
            ShipmentLine,
            and_(ShipmentLine.shipment_id == Shipment.id, ShipmentLine.position == OrderLine.position),
        )
        .where(parcels.WAITING)
        .group_by(OrderLine.edition_id)
    )
    promised["allocated"].update(dict(iter(session.execute(put_aside))))
    for_libraries = select(LibraryOrder.edition_id, func.sum(LibraryOrder.held), func.sum(LibraryOrder.allocated))
    for edition_id, held, allocated in session.execute(for_libraries.group_by(LibraryOrder.edition_id)):
        promised["held"][edition_id] += held
        promised["allocated"][edition_id] += allocated
    for row in session.scalars(select(Stock).order_by(Stock.edition_id)):
        name = f"edition {row.edition_id}"
        stands = (row.on_hand, row.held, row.allocated)
        moved = sums.get(row.edition_id, (0, 0, 0))
        if stands != moved:
            yield Difference("stock", f"{name} on hand, held, allocated", str(stands), str(moved))
        for kind, counter in promised.items():
            if getattr(row, kind) != counter[row.edition_id]:
                yield Difference(
                    "promises", f"{name} {kind}", str(getattr(row, kind)), str(counter[row.edition_id])
                )


def _order(session: Session, order: Order) -> Iterator[Difference]:
    books = sum(line.quantity * line.unit_amount for line in order.lines)
    if books != order.books_amount:
        yield Difference("total", order.number, str(order.books_amount), str(books))
    for broken in timeline.breaks(order):
        yield Difference("timeline", order.number, broken, "an unbroken chain")
    if order.buyer.erased_at is not None:
        for left in erasure.remains(session, order):
            yield Difference("erasure", order.number, f"{left} is still there", "erased")
    payments = list(session.scalars(select(Payment).where(Payment.order_id == order.id)))
    paying = [payment for payment in payments if payment.role is PaymentRole.ORDER]
    told = sum(entry.kind == "paid" for entry in order.timeline)
    if told != len(paying):
        yield Difference("paid", order.number, f"{told} times in the timeline", f"{len(paying)} times")
    expected = _payment_state(session, order, paying)
    if order.payment_state not in expected:
        wanted = " or ".join(sorted(state.value for state in expected))
        yield Difference("payment state", order.number, order.payment_state.value, wanted)
    for payment in paying:
        if payment.amount != order.total.amount or payment.currency is not order.currency:
            yield Difference("payment", order.number, str(payment.money), str(order.total))
    yield from _fulfilment(session, order)
    yield from _copies(session, order)
    open_concerns = any(concern.settled_at is None for concern in order.concerns)
    if open_concerns != order.needs_attention:
        yield Difference("attention", order.number, str(order.needs_attention), str(open_concerns))


def _payment_state(session: Session, order: Order, paying: list[Payment]) -> set[PaymentState]:
    if not paying:
        return set(PaymentState) - set(PAID)
    back = session.scalar(
        select(func.coalesce(func.sum(Refund.amount), 0)).where(
            Refund.payment_id == paying[0].id, Refund.state.in_(BACK)
        )
    )
    if not back:
        return {PaymentState.PAID}
    return {PaymentState.REFUNDED if back >= paying[0].amount else PaymentState.PART_REFUNDED}


def _fulfilment(session: Session, order: Order) -> Iterator[Difference]:
    own = [parcel for parcel in order.parcels if parcel.has_left and not parcel.is_free]
    posted = order.fulfilment_state is FulfilmentState.POSTED
    if bool(own) != posted and not order.is_partly_posted:
        yield Difference("fulfilment", order.number, order.fulfilment_state.value, f"{len(own)} parcels")
    yield from _parcels(session, order)
    if order.allocated != (order.fulfilment_state is FulfilmentState.TO_POST):
        yield Difference(
            "allocation", order.number, f"allocated={order.allocated}", f"as for {order.fulfilment_state.value}"
        )
    waiting = order.payment_state in (PaymentState.AWAITING, PaymentState.PROCESSING)
    if order.holding != waiting:
        yield Difference("hold", order.number, f"holding={order.holding}", f"as for {order.payment_state.value}")
    moved = session.execute(
        select(func.sum(StockMovement.held), func.sum(StockMovement.allocated)).where(
            StockMovement.order_id == order.id, StockMovement.kind != Movement.COUNT
        )
    ).one()
    copies = sum(order.copies.values())
    aside = sum(line.quantity for parcel in order.parcels if parcel.is_waiting for line in parcel.lines)
    should = (copies if order.holding else 0, (copies if order.allocated else 0) + aside)
    if (moved[0] or 0, moved[1] or 0) != should:
        yield Difference("movements", order.number, str(tuple(moved)), str(should))


def _parcels(session: Session, order: Order) -> Iterator[Difference]:
    """What each line and the stock say of an order's parcels, and what the parcels hold."""
    packed, left = Counter[int](), Counter[int]()
    editions = {line.position: line.edition_id for line in order.lines}
    for parcel in order.parcels:
        for each in parcel.lines:
            if parcel.has_left:
                left[editions[each.position]] += each.quantity
                packed[each.position] += 0 if parcel.is_free else each.quantity
    for line in order.lines:
        if line.posted != packed[line.position]:
            name = f"{order.number}, line {line.position}"
            yield Difference("posted copies", name, str(line.posted), str(packed[line.position]))
    gone = select(StockMovement.edition_id, -func.sum(StockMovement.on_hand)).where(
        StockMovement.order_id == order.id, StockMovement.kind.in_((Movement.SHIP, Movement.UNPOST))
    )
    moved = dict(iter(session.execute(gone.group_by(StockMovement.edition_id))))
    if +Counter(moved) != +left:
        yield Difference("parcels", order.number, str(moved), str(dict(left)))


def _copies(session: Session, order: Order) -> Iterator[Difference]:
    """What refunds have taken of each line, and what of it is called off or back on the shelf."""
    taken: Counter[int] = Counter()
    called_off: Counter[int] = Counter()
    back: Counter[int] = Counter()
    editions = {line.position: line.edition_id for line in order.lines}
    rows = session.execute(
        select(RefundLine, Refund.state)
        .join(Refund, Refund.id == RefundLine.refund_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.order_id == order.id)
    )
    for line, state in rows:
        if state not in DEAD or line.returned_at is not None:
            taken[line.position] += line.quantity
        if line.returned_at is not None and line.posted:
            back[editions[line.position]] += line.quantity
        elif line.returned_at is not None:
            called_off[line.position] += line.quantity
    for each in order.lines:
        name = f"{order.number}, line {each.position}"
        if taken[each.position] > each.quantity:
            yield Difference("refunded copies", name, str(taken[each.position]), f"at most {each.quantity}")
        if called_off[each.position] != each.called_off:
            yield Difference("called off", name, str(each.called_off), str(called_off[each.position]))
    returned = select(StockMovement.edition_id, func.sum(StockMovement.on_hand)).where(
        StockMovement.order_id == order.id, StockMovement.kind == Movement.RETURN
    )
    moved = dict(iter(session.execute(returned.group_by(StockMovement.edition_id))))
    for parcel in order.parcels:
        if parcel.restocked:
            back.update({editions[line.position]: line.quantity for line in parcel.lines})
    if +Counter(moved) != +back:
        yield Difference("returned copies", order.number, str(moved), str(dict(back)))


def _letters(session: Session) -> Iterator[Difference]:
    """Every payment that paid an order, every parcel and every refund has its one letter, and no other is there.

    A buyer without an address, or one who was erased, is owed none and may have been written to.
    """
    mute = set(session.scalars(select(Buyer.order_id).where(Buyer.email == "")))
    owed: set[tuple[Kind, str]] = set()
    possible: set[tuple[Kind, str]] = set()
    for kind, cause, order_id, certain in _causes(session):
        (owed if certain and order_id not in mute else possible).add((kind, cause))
    written: Counter[tuple[Kind, str]] = Counter()
    for kind, cause in session.execute(
        select(Letter.kind, Letter.cause).where(Letter.kind.in_(TO_BUYERS), Letter.copy == 0)
    ):
        written[(kind, cause)] += 1
    for kind, cause in sorted(owed - set(written)):
        yield Difference("letter", f"{kind.value} for {cause}", "none", "one")
    for (kind, cause), number in sorted(written.items()):
        known = (kind, cause) in owed | possible
        if number > 1 or not known:
            yield Difference("letter", f"{kind.value} for {cause}", str(number), "one" if known else "none")


def _causes(session: Session) -> Iterator[tuple[Kind, str, int | None, bool]]:
    """What each letter to a buyer follows from: kind, cause, order, and whether it must have been written."""
    for payment_id, order_id in session.execute(
        select(Payment.id, Payment.order_id).where(Payment.role == PaymentRole.ORDER)
    ):
        yield Kind.ORDER_PAID, f"payment:{payment_id}", order_id, True
    left = select(Shipment.id, Shipment.order_id).where(
        Shipment.posted_at.is_not(None), Shipment.undone_at.is_(None)
    )
    for shipment_id, order_id in session.execute(left):
        yield Kind.POSTED, f"shipment:{shipment_id}", order_id, True
    for refund, role, order_id in session.execute(
        select(Refund, Payment.role, Payment.order_id).join(Payment).where(Payment.order_id.is_not(None))
    ):
        if role is PaymentRole.ORDER:
            # One that failed may have succeeded before, and been written about.
            yield Kind.REFUNDED, f"refund:{refund.id}", order_id, refund.state in BACK
        elif refund.reason in SURPLUS:
            yield SURPLUS[refund.reason], f"payment:{refund.payment_id}", order_id, True


def _refunds(session: Session) -> Iterator[Difference]:
    """No more has gone back than came, and no more was decided here.

    Both together may be more for a while: what was decided before a refund in the dashboard became known is refused
    by the provider if nothing is left for it.
    """
    decided_here = and_(Refund.state.not_in(DEAD), Refund.source != RefundSource.DASHBOARD)
    found: dict[int, Difference] = {}
    for counted in (decided_here, Refund.state.in_(BACK)):
        sums = (
            select(Payment.id, Payment.amount, func.sum(Refund.amount))
            .join(Refund)
            .where(counted)
            .group_by(Payment.id, Payment.amount)
            .having(func.sum(Refund.amount) > Payment.amount)
        )
        for payment_id, amount, given in session.execute(sums):
            found[payment_id] = Difference("refunds", f"payment {payment_id}", str(given), f"at most {amount}")
    yield from found.values()
