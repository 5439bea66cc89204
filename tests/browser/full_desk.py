"""A desk with something in every state on it, and the addresses of all its pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO

from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.catalogue import covers
from shop.catalogue.models import Unconfirmed
from shop.content import attachments, entries
from shop.content.models import Entry, EntryKind
from shop.database import transact
from shop.letters.models import Letter, LetterState
from shop.libraries import desk as library_desk
from shop.libraries.models import LibraryOrder
from shop.libraries.papers import Terms
from shop.markets import MARKETS
from shop.money import Currency
from shop.orders import fulfilment, parcels, timeline
from shop.orders.models import Order, Shipment
from shop.payments import refunds
from shop.payments.models import Dispute, InboxEvent, InboxState, Payment, PaymentRole, Refund
from shop.staff import Admin, Role, people
from shop.uploads import documents, keeping, pictures
from shop.withdrawals import statements
from shop.withdrawals.statements import Statement
from tests import factories
from tests.live_shop import LiveShop
from tests.sandbox_shop import wait_until
from tests.test_races import buy, command, order_of, order_page
from tests.test_uploads import PDF

ACTOR = timeline.admin("Vera Keeper")
HOUR = timedelta(hours=1)
PEOPLE = {"en": "vera@longlane.example", "ru": "anna@longlane.example"}
PACKERS = {"en": "pavel@longlane.example", "ru": "polina@longlane.example"}
INVITED = "rita@longlane.example"
ENTRY = {"day": "2026-11-01", "credit": "An author"}
PARTS = ("title", "caption", "source", "link", "text")
PAGES = (
    *("", "account", "account/second-factor", "confirm", "content", "editions", "editions/paperback"),
    *("editions/paperback/cover", "editions/russian/cover", "inbox", "journal", "letters", "libraries", "money"),
    *("orders", "packing", "packing/carrier", "people", "reports", "setup", "setup/distributors/paperback"),
    *("setup/distributors/russian", "setup/postage", "setup/prices", "libraries/rules", "setup/vendor"),
    *("withdrawals", "setup/trader", "statements", "stock", "no/such/page", "content/pages/returns"),
    *(f"content/{kind.value}" for kind in EntryKind),
    *(f"content/{kind.value}/new" for kind in EntryKind),
)
"""Pages that every desk has, an empty one too."""
ASKED = (
    *("orders?state=to_post&tick=all", "orders?q=nobody", "orders?country=GB&note=yes", "packing?ticked=all"),
    *("setup?letter=ABCDEFGH", "libraries?state=unpaid", "withdrawals?state=done", "withdrawals?state=all"),
    *("journal?q=nobody", "orders/RR-00000000"),
)
"""The same with a question."""
MISTAKES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("setup/trader", {"name": "", "email": "nonsense"}, "main form button"),
    ("setup/prices", {"paperback-GBP": "x"}, "main form button"),
    ("editions/paperback", {"isbn": "123", "title": ""}, "button.main"),
    ("editions/paperback", {"description-en": "# Words\n\n* one\n* two"}, "button[name=preview]"),
    ("content/news/new", {"slug": "Not Good"}, "button.main"),
    ("content/pages/returns", {"body-ru": "## Words"}, "button[name=preview]"),
    ("editions/paperback/cover", {"alt-ru": ""}, "button.main"),
    ("people", {"name": "", "email": "x"}, "main form:has([name=email]) button"),
    ("stock", {"counted": "x"}, "main form:has([name=counted]) button"),
    ("account/second-factor", {}, "main form button"),
    ("account", {"old": "wrong", "new": "short"}, "main form:has([name=old]) button"),
    ("confirm", {"password": "wrong"}, "main form button"),
    ("packing/carrier", {"list": "RR-00000000\tRoyal Mail\tAB1"}, "main form button"),
    ("setup/distributors/paperback", {"name": "", "email": "nonsense"}, "main form button.main"),
    ("setup/vendor", {"iban": "GB00 1"}, "main form button"),
    ("libraries/rules", {"remind_days": "x", "holidays": "soon"}, "main form button"),
    ("setup/postage", {}, "main form button.main"),
    ("setup/postage", {"grams": "x", "amount": "x"}, "main form[action$='/bands'] button"),
    ("setup/distributors/russian", {"local-email": "nonsense"}, "form[action$='/countries'] button"),
    ("setup", {"code": "WRONG"}, "main form:has([name=code]) button"),
    ("orders?state=to_post", {}, "fieldset.ticked button"),
    ("packing", {}, "button.main"),
    ("orders", {"since": "2026-12-01", "until": "2026-01-01"}, "form.days button"),
)
WORDS = {"alts": {"en": "A street", "ru": "Улица"}, "credits": {"en": "An archive", "ru": "Архив"}}


def furnish(shop: LiveShop) -> None:
    """Fill a fresh shop: made-up orders in every state, real ones under way, people, entries, messages, doubts."""
    at = datetime.now(UTC)
    done = command(shop, "demo-data", "--orders", "150")
    assert done.returncode == 0, done.stderr
    with shop.session() as session:
        for language, email in PEOPLE.items():
            factories.make_admin(session, email, {"en": "Vera Keeper", "ru": "Анна Хранитель"}[language], language)
        for language, email in PACKERS.items():
            factories.make_admin(session, email, "Pavel Packer", language, role=Role.PACKER)
        transact(session, lambda s: people.invite(s, INVITED, "Rita", Role.READER, "en", at))
        gone = factories.make_admin(session, "gone@longlane.example", "Gone", role=Role.READER).id
        transact(session, lambda s: people.change(s, gone, role=Role.READER, active=False, notified=False))
        _doubts_and_messages(session, at)
        _content(session, shop, at)
    _orders(shop, at)
    _libraries(shop, at)
    _withdrawals(shop, at)


def _libraries(shop: LiveShop, at: datetime) -> None:
    """One that the distributor is to answer, and three that the shop supplies: asked, accepted, with an invoice."""
    library = {"contact_name": "Olga", "email": "lib@uni.example"}
    for edition, town in (
        ("russian", "Reading"),
        ("paperback", "Leeds"),
        ("paperback", "York"),
        ("paperback", "Bath"),
    ):
        shop.submit(
            shop.page("/en-gb/libraries").form("institution"),
            **library,
            institution=f"University of {town}",
            edition=edition,
            quantity="2",
            request="order",
            consent="yes",
            country="GB",
            delivery_address=f"Library\n{town}",
            payment_route="bank transfer",
            currency="GBP",
        )
    with shop.session() as session:
        own = session.scalars(select(LibraryOrder.id).order_by(LibraryOrder.id.desc()).limit(2)).all()
        for order_id in own:
            transact(session, library_desk.accept, order_id, f"PO {order_id}", 2, ACTOR, at)
        transact(session, library_desk.invoice, own[0], Terms(2, 2200, 350, Currency.GBP), ACTOR, at)


def _withdrawals(shop: LiveShop, at: datetime) -> None:
    """One that is to be dealt with, of an order that nobody knows, and one that was."""
    with shop.session() as session:
        for number in ("RR-00000000", "RR-00000001"):
            said = Statement("Ada Reader", number, "ada@reader.example", "The whole order")
            kept = transact(session, statements.keep, said, MARKETS["en-gb"], at).id
        transact(session, statements.finish, kept, ACTOR, at)


def _doubts_and_messages(session: Session, at: datetime) -> None:
    def work(s: Session) -> None:
        doubt = update(Unconfirmed).where(Unconfirmed.fact.in_(["prices", "weight", "distributor", "series"]))
        s.execute(doubt.values(confirmed_at=None, confirmed_by="").execution_options(synchronize_session=False))
        message = {"type": "charge.refunded", "object_id": "ch_1", "received_at": at, "due_at": at}
        s.add(InboxEvent(id="evt_broken", **message, state=InboxState.FAILED, last_error="it broke", tries=3))
        s.add(InboxEvent(id="evt_done", **message, state=InboxState.DONE, outcome="applied", done_at=at))
        money = {"intent_id": "pi_nobody", "amount": 2550, "currency": Currency.GBP, "received_at": at}
        s.add(Payment(role=PaymentRole.ORPHAN, **money))

    transact(session, work)


def _content(session: Session, shop: LiveShop, at: datetime) -> None:
    picture = BytesIO()
    Image.effect_noise((1200, 800), 60).convert("RGB").save(picture, "JPEG")
    made, text = pictures.prepare(picture.getvalue()), documents.prepare(PDF)
    for each in (made, text):
        keeping.write(shop.instance, each)

    def work(s: Session) -> None:
        for kind in EntryKind:
            for state in ("shown", "hidden"):
                typed = ENTRY | {"slug": f"{kind.value}-{state}"}
                typed |= {
                    f"{part}-en": f"{part.capitalize()} of a {kind.value}" for part in PARTS if part != "link"
                }
                typed |= {f"{part}-ru": "" for part in PARTS} | {"link-en": ""}
                entry_id = entries.create(s, kind, typed, str(ACTOR), at)
                if state == "shown":
                    entries.publish(s, entry_id, str(ACTOR), at)
                    if kind in (EntryKind.PHOTO, EntryKind.DOWNLOAD):
                        kept = keeping.keep(s, made if kind is EntryKind.PHOTO else text, str(ACTOR), at)
                        attachments.attach(s, entry_id, attachments.EVERY, kept, WORDS, str(ACTOR), at)
        covers.put(s, 1, keeping.keep(s, made, str(ACTOR), at), WORDS, str(ACTOR), at)

    transact(session, work)


def _orders(shop: LiveShop, at: datetime) -> None:
    """Real ones: to post, just posted, come back, being replaced, being refunded, refunded, disputed, not paid."""
    urls = [buy(shop) for _ in range(8)]
    for url in urls[:-1]:
        shop.sandbox.pay(url)
        shop.get(order_page(shop, url))
    with shop.session() as session:
        ids = [order_of(session, url).id for url in urls]
        paid = {row.order_id: row.id for row in session.scalars(select(Payment).where(Payment.order_id.in_(ids)))}
        _to_post, fresh, back, broken, going, gone, contested, _open = ids
        for order_id in (fresh, back, broken):
            grace = HOUR if order_id == fresh else timedelta(0)
            transact(session, fulfilment.post, order_id, "Royal Mail", "AB 123 GB", ACTOR, at, grace=grace)
        parcel = {row.order_id: row.id for row in session.scalars(select(Shipment))}
        transact(session, parcels.come_back, parcel[back], False, ACTOR, at)
        transact(session, parcels.replace, parcel[broken], {1: 1}, "lost", ACTOR, at)
        transact(session, refunds.ask, paid[going], 500, "other", ACTOR, at, grace=HOUR)
        transact(session, refunds.ask, paid[gone], 2550, "requested_by_customer", ACTOR, at)
        undelivered = (
            update(Letter).where(Letter.order_id == gone).values(state=LetterState.FAILED, last_error="550 5.1.1")
        )
        transact(session, lambda s: s.execute(undelivered.execution_options(synchronize_session=False)))
        intent = session.scalars(select(Payment.intent_id).where(Payment.order_id == contested)).one()
        charges = shop.sandbox.ledger()["charges"]
        shop.sandbox.control(
            "disputes", {"charge": next(c["id"] for c in charges if c["payment_intent"] == intent)}
        )
    with shop.session() as session:
        wait_until(
            lambda: session.rollback() or session.scalar(select(Order.disputed).where(Order.id == contested))
        )


def addresses(shop: LiveShop) -> Iterator[str]:
    """Every page of the desk, those of orders in each pair of states and with whatever may hang on one."""
    yield from (*PAGES, *ASKED)
    with shop.session() as session:
        for entry in session.scalars(select(Entry)):
            yield f"content/entries/{entry.id}"
            if entry.kind in (EntryKind.PHOTO, EntryKind.DOWNLOAD):
                yield f"content/entries/{entry.id}/files/all"
        for row in session.scalars(select(LibraryOrder)):
            yield from (f"libraries/{row.ticket}", f"libraries/{row.ticket}/desk")
        yield from (f"people/{row.id}" for row in session.scalars(select(Admin)))
        for order in _telling(session):
            yield f"orders/{order.number}"
        to_post = _to_post(session)
        yield f"orders/{to_post.number}/address"
        left = _on_its_way(session)
        yield from (f"parcels/{left.id}/back", f"parcels/{left.id}/replace")
        payment = session.scalars(select(Payment).where(Payment.order_id == to_post.id)).first()
        orphan = session.scalars(select(Payment).where(Payment.role == PaymentRole.ORPHAN)).one()
        assert payment is not None
        yield from (f"payments/{payment.id}/refund", f"payments/{orphan.id}/refund")
        for way in ("copies&copies-1=1", "amount&sum=5", "amount&sum=much"):
            yield f"payments/{payment.id}/refund?way={way}"


def mistakes(shop: LiveShop) -> Iterator[tuple[str, dict[str, str], str]]:
    """Forms filled in wrongly, or asking for a preview: the page, what is typed and the button."""
    yield from MISTAKES
    with shop.session() as session:
        to_post, parcel = _to_post(session), _on_its_way(session)
        entry = session.scalars(select(Entry).where(Entry.kind == EntryKind.PHOTO)).first()
        asked, accepted, invoiced = (
            f"libraries/{ticket}/desk"
            for ticket in session.scalars(select(LibraryOrder.ticket).order_by(LibraryOrder.id).offset(1))
        )
        assert entry is not None
        yield f"orders/{to_post.number}/address", {"name": "", "line1": ""}, "button.main"
        yield f"parcels/{parcel.id}/back", {}, "button.main"
        yield f"parcels/{parcel.id}/replace", {"copies-1": "99"}, "button.main"
        yield f"content/entries/{entry.id}", {"slug": "Not Good", "title-en": ""}, "button.main"
        yield f"content/entries/{entry.id}/files/all", {}, "button.main"
        yield asked, {"offer-copies": "x", "offer-unit": "much"}, "section[aria-labelledby=offer] button"
        yield asked, {"accept-purchase_order": "", "accept-copies": "x"}, "section[aria-labelledby=accept] button"
        yield accepted, {"invoice-copies": "x", "invoice-unit": "much"}, "section[aria-labelledby=invoice] button"
        yield invoiced, {"credit-back": "99"}, "form[action$='/credit'] button"
        yield invoiced, {"paid-day": ""}, "form[action$='/paid'] button"
        yield invoiced, {"record-email": "nonsense"}, "form[action$='/record'] button"


def _to_post(session: Session) -> Order:
    found = session.scalars(select(Order).where(Order.fulfilment_state == "to_post")).first()
    assert found is not None
    return found


def _on_its_way(session: Session) -> Shipment:
    newest = session.scalars(select(Shipment).order_by(Shipment.id.desc())).all()
    return next(
        each for each in newest if each.has_left and each.returned_at is None and parcels.replaceable(each)
    )


def _telling(session: Session) -> list[Order]:
    """Orders that show everything an order's page can show."""
    found = {}
    for order in session.scalars(select(Order).order_by(Order.id.desc())):
        key = (order.payment_state, order.fulfilment_state, order.needs_attention, order.disputed, order.refunding)
        found.setdefault(key, order)
    ids = {order.id for order in found.values()}
    for wanted in (
        select(Shipment.order_id).where(Shipment.returned_at.is_not(None)),
        select(Shipment.order_id).where(Shipment.undo_until.is_not(None)),
        select(Shipment.order_id).where(Shipment.of_id.is_not(None)),
        select(Payment.order_id).join(Refund).order_by(Refund.id.desc()),
        select(Payment.order_id).join(Dispute),
    ):
        one = session.scalars(wanted).first()
        if one is not None:
            ids.add(one)
    return list(session.scalars(select(Order).where(Order.id.in_(ids)).order_by(Order.id)))
