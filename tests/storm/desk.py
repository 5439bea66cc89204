"""The shopkeeper in the storm: posting, refunding and counting over HTTP, and what happens to his orders at Stripe."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable

from sqlalchemy import select

from shop.letters.models import Letter
from shop.orders.lifecycle import PaymentState
from shop.orders.models import Order, Shipment
from shop.payments.models import Payment, PaymentRole, Refund
from tests.sandbox_process import Answer
from tests.storm.buyers import Story, at_once
from tests.storm.lots import Lot
from tests.storm.world import TRIES, GaveUp, World

FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
COUNT = re.compile(r'action="/admin/stock/(\w+)".*?name="seen" value="(\d+)"', re.DOTALL)
UNPAID = (PaymentState.AWAITING, PaymentState.PROCESSING)


class Desk:
    """One person, signed in; many hands share the cookie."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._cookie = ""
        self._lock = threading.Lock()

    def sign_in(self) -> None:
        email, password = self.world.parts.admin
        for _ in range(TRIES):
            page = self.world.ask("/admin/sign-in")
            if page is not None and (token := TOKEN.search(page.text)):
                cookie = page.headers.get("set-cookie", "").partition(";")[0]
                form = {"email": email, "password": password, "csrf_token": token[1]}
                answer = self.world.ask("/admin/sign-in", form, {"Cookie": cookie})
                if answer is not None and answer.status == 303:
                    signed_in = answer.headers["set-cookie"].partition(";")[0]
                    # The first page with a form puts its token into the cookie.
                    page = self.world.ask("/admin/stock", headers={"Cookie": signed_in})
                    if page is not None and "set-cookie" in page.headers:
                        self._cookie = page.headers["set-cookie"].partition(";")[0]
                        return
            time.sleep(0.5)
        raise GaveUp("nobody can sign in")

    def open(self, path: str) -> Answer | None:
        """A page of the desk, signed in anew when the session has ended."""
        for _ in range(3):
            cookie = self._cookie
            answer = self.world.ask(path, headers={"Cookie": cookie})
            if answer is None or not answer.location.startswith(("/admin/sign-in", "/admin/confirm")):
                return answer
            with self._lock:
                if self._cookie == cookie:
                    self.sign_in()
        return None

    def send(self, page: Answer | None, path: str, **fields: str) -> Answer | None:
        """A form of a page: what is hidden in it (in the form that leads there) and what is typed."""
        if page is None or page.status not in (200, 422):
            return page
        form = next(
            (each for each in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'action="{path}"' in each),
            "",
        )
        if not form:
            return None
        return self.world.ask(path, dict(FIELD.findall(form)) | fields, {"Cookie": self._cookie})

    def _do(self, what: str, page: str, path: str, **fields: str) -> bool:
        """Fill in a form of a page, and note what came of it."""
        answer = self.send(self.open(page), path, **fields)
        done = answer is not None and answer.status == 303
        self.world.note("desk", what if done else _refused(what, answer))
        return done

    def post(self, order: Order, **copies: str) -> None:
        page = f"/admin/orders/{order.number}"
        self._do("posting", page, f"{page}/post", carrier="Royal Mail", tracking=f"RM{order.id}GB", **copies)

    def take_back_posting(self, order: Order) -> None:
        self._do("posting taken back", f"/admin/orders/{order.number}", "/admin/packing/undo")

    def take_back_refund(self, order: Order) -> None:
        with self.world.parts.session() as session:
            wanted = select(Refund.id).join(Payment).where(Payment.order_id == order.id).order_by(Refund.id)
            made = list(session.scalars(wanted))
        for refund_id in made:
            self._do("refund taken back", f"/admin/orders/{order.number}", f"/admin/refunds/{refund_id}/undo")

    def replace_lost(self, order: Order) -> None:
        for parcel in self._parcels(order):
            path = f"/admin/parcels/{parcel.id}/replace"
            self._do("replacement", path, path, reason="lost", **{"copies-1": "1"})

    def came_back(self, order: Order) -> None:
        for parcel in self._parcels(order):
            path = f"/admin/parcels/{parcel.id}/back"
            self._do("parcel came back", path, path, restock="yes" if order.id % 3 else "no")

    def _follow(self, order: Order, payment: Payment, dice: random.Random) -> Story:
        """What follows from a parcel's coming back."""
        end = dice.choice(("resent", "resent", "refunded", "nothing"))
        for parcel in self._parcels(order):
            path = f"/admin/parcels/{parcel.id}/next"
            page = f"/admin/orders/{order.number}"
            at_once([lambda page=page, path=path: self._do(f"decided: {end}", page, path, next=end)] * 2)
        if end == "refunded":
            self.refund(payment.id)
        yield
        self.end_free_parcel(order, dice)

    def end_free_parcel(self, order: Order, dice: random.Random) -> None:
        """Free parcels are posted, twice at once, or called off."""
        page, deed = f"/admin/orders/{order.number}", dice.choice(("post", "post", "drop"))
        for parcel in self._parcels(order):
            if parcel.is_waiting:
                path = f"/admin/parcels/{parcel.id}/{deed}"
                typed = {"carrier": "Royal Mail", "tracking": f"RM{parcel.id}FREE"} if deed == "post" else {}
                at_once([lambda path=path, typed=typed: self._do(f"free parcel: {deed}", page, path, **typed)] * 2)

    def _parcels(self, order: Order) -> list[Shipment]:
        with self.world.parts.session() as session:
            return list(
                session.scalars(select(Shipment).where(Shipment.order_id == order.id).order_by(Shipment.id))
            )

    def refund(self, payment_id: int, query: str = "", **fields: str) -> None:
        path = f"/admin/payments/{payment_id}/refund"
        answer = self.send(self.open(path + query), path, reason="requested_by_customer", **fields)
        self.world.note("desk", "refund asked" if answer and answer.status == 303 else _refused("refund", answer))

    def count(self, dice: random.Random) -> None:
        """Count a shelf: mostly a copy or two more than the books say, sometimes one is missing."""
        page = self.open("/admin/stock")
        if page is None or page.status != 200:
            return
        slug, seen = dice.choice(COUNT.findall(page.text))
        change = dice.choice((3, 2, 1, 0, -1))
        counted = max(0, int(seen) + change)
        answer = self.send(page, f"/admin/stock/{slug}", counted=str(counted), reason="counted in the storm")
        if answer is not None and answer.status == 303:
            self.world.note("desk", "shelf counted")
        elif answer is not None and answer.status == 409:
            self.world.note("desk", "count refused")

    def ownerless(self, dice: random.Random) -> None:
        """What is to become of money without an order: rebuilt, refunded, or left."""
        with self.world.parts.session() as session:
            wanted = select(Payment.id).where(Payment.role == PaymentRole.ORPHAN).order_by(Payment.id)
            found = list(session.scalars(wanted))
        for payment_id in found:
            match dice.choice(("rebuild", "rebuild", "refund", "leave")):
                case "rebuild":
                    path = f"/admin/payments/{payment_id}/rebuild"
                    at_once([lambda path=path: self.send(self.open("/admin/money"), path)] * 2)
                    self.world.note("desk", "orphan rebuilt")
                case "refund":
                    self.refund(payment_id)

    def afterwards(self, lot: Lot, order_id: int) -> Story:
        """What happens to one order once it is paid, if it is."""
        if not lot.aftermath:
            return
        for _ in range(2):
            if (found := self._paid(order_id)) is not None:
                break
            yield
        else:
            return
        order, payment = found
        dice, world = random.Random(f"afterwards {lot.dice}"), self.world
        deeds: dict[str, Callable[[], object]] = {
            "post": lambda: self.post(order),
            "whole": lambda: self.refund(payment.id),
            "sum": lambda: self.refund(
                payment.id, f"?way=amount&sum={dice.randint(1, 15)}.{dice.randint(10, 99)}"
            ),
            "copies": lambda: self.refund(payment.id, "?way=copies&copies-1=1"),
            "back": lambda: self.refund(payment.id, "?way=copies&copies-1=1", back="on"),
            "dashboard": lambda: world.control("refunds", payment_intent=payment.intent_id),
            "dashboard part": lambda: world.control("refunds", payment_intent=payment.intent_id, amount=150),
            "dispute": lambda: world.control("disputes", charge=payment.charge_id),
            "warn": lambda: world.control("warnings", charge=payment.charge_id),
        }
        match lot.aftermath:
            case "posted":
                deeds["post"]()
            case "posted twice at once":
                at_once([deeds["post"]] * 3)
            case "refunded whole":
                at_once([deeds["whole"]] * 2)
            case "refunded by sum":
                deeds["sum"]()
                deeds["sum"]()
            case "refunded by copies":
                deeds["copies"]()
                yield
                deeds["post"]()
            case "refunded in the dashboard":
                deeds["dashboard"]()
            case "refunded in part in the dashboard":
                deeds["dashboard part"]()
                yield
                deeds["whole"]()
            case "refunded by both at once":
                at_once([deeds["whole"], deeds["dashboard part"], deeds["dashboard"]])
            case "refund fails afterwards":
                deeds[dice.choice(("whole", "sum", "dashboard", "copies"))]()
                yield
                self._fail_refund(order.id, dice)
            case "refunded and posted at once":
                at_once([deeds[dice.choice(("whole", "copies"))], deeds["post"]])
            case "posted, refunded, copies back":
                deeds["post"]()
                deeds["back"]()
                yield
                deeds[dice.choice(("whole", "back"))]()
            case "dispute won" | "dispute lost":
                made = deeds["dispute"]()
                if dice.random() < 0.5:
                    yield
                if isinstance(made, dict):
                    world.control(f"disputes/{made['id']}", do="win" if lot.aftermath.endswith("won") else "lose")
            case "disputed and refunded at once":
                at_once([deeds["dispute"], deeds["whole"]])
            case "warned of":
                at_once([deeds["warn"], deeds["post"]])
            case "letter again":
                self._letter_again(order)
            case "posted in parts":
                at_once([lambda: self.post(order, **{"copies-1": "1"})] * 2)
                yield
                deeds["post"]()
            case "posting taken back":
                deeds["post"]()
                at_once([lambda: self.take_back_posting(order)] * 2)
                yield
                deeds["post"]()
            case "parcel lost":
                deeds["post"]()
                yield
                at_once([lambda: self.replace_lost(order)] * 2)
                yield
                self.end_free_parcel(order, dice)
            case "parcel came back":
                deeds["post"]()
                yield
                at_once([lambda: self.came_back(order)] * 2)
                yield from self._follow(order, payment, dice)
            case "refunded in time, taken back":
                deeds["sum"]()
                at_once([lambda: self.take_back_refund(order)] * 2)
        world.note("aftermaths", lot.aftermath)

    def _paid(self, order_id: int) -> tuple[Order, Payment] | None:
        with self.world.parts.session() as session:
            order = session.get_one(Order, order_id)
            payment = session.scalar(
                select(Payment).where(Payment.order_id == order_id, Payment.role == PaymentRole.ORDER)
            )
            return (order, payment) if payment is not None else None

    def _fail_refund(self, order_id: int, dice: random.Random) -> None:
        with self.world.parts.session() as session:
            wanted = select(Refund.provider_id).join(Payment).where(Payment.order_id == order_id)
            made = [each for each in session.scalars(wanted.order_by(Refund.id)) if each]
        if made:
            self.world.control(f"refunds/{dice.choice(made)}", do="fail")

    def _letter_again(self, order: Order) -> None:
        with self.world.parts.session() as session:
            letter = session.scalar(
                select(Letter.id).where(Letter.order_id == order.id).order_by(Letter.id).limit(1)
            )
        path = f"/admin/orders/{order.number}"
        self.send(self.open(path), f"{path}/letters/{letter}")


def _refused(what: str, answer: Answer | None) -> str:
    return f"{what} answered {answer.status}" if answer else f"{what} not possible"
