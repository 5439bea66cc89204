"""Those who buy: each is a story that may wait for the clock to move, told by ``yield``."""

from __future__ import annotations

import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from shop.orders.numbers import new_number
from tests.sandbox_process import Answer
from tests.storm.lots import Lot
from tests.storm.world import TRIES, GaveUp, Placed, World

Story = Iterator[None]
"""Each ``yield`` waits until the clock has been moved, or the storm is about to end."""

DECLINED = ("4000000000000002", "4000000000009995", "4000000000000069", "4000000000000119")
SECURE, SECURE_DECLINED = "4000002500003155", "4000008400001629"
DELAYED, DELAYED_FAILING = "4000000000030009", "4000000000030017"
CARDS = {
    "disputing card": ("4000000000000259", "4000000000002685"),
    "inquiring card": ("4000000000001976",),
    "card with a warning": ("4000000000005423",),
    "refunds arrive later": ("4000000000007726",),
    "refunds come back": ("4000000000005126",),
}
USUAL = "4242 4242 4242 4242"
TOTAL = re.compile(r'name="shown_total" value="(\d+)"')
OWN_PAGE = 20 * 3600  # seconds for which a page lives that the shop has not opened


class SoldOut(Exception):
    """The copies are gone."""


class Buyer:
    """One buyer in the storm; ``order`` is what she ordered last."""

    def __init__(self, world: World, lot: Lot) -> None:
        self.world = world
        self.lot = lot
        self.dice = random.Random(lot.dice)
        self.copies = dict(lot.copies)
        self.attempt = secrets.token_urlsafe(16)
        self.order: Placed | None = None
        # Her own address, so that the caps on unpaid copies take her for herself.
        number = lot.number
        self.headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}

    def live(self) -> Story:
        """Her whole story."""
        tell: dict[str, Callable[[], Story]] = {
            "leaves": self.leaves,
            "pays twice from two tabs": self.pays_from_two_tabs,
            "clicks twice": self.clicks_twice,
            "declined, then pays": self.declined_then_pays,
            "declined, then leaves": self.declined_then_leaves,
            "pays late": self.pays_late,
            "comes back to pay": self.comes_back,
            "cancels": self.cancels,
            "cancels while paying": self.cancels_while_paying,
            "changes her mind": self.changes_her_mind,
            "delayed, comes": lambda: self.delayed("complete_delayed"),
            "delayed, fails": lambda: self.delayed("fail_delayed"),
            "delayed, left to time": lambda: self.delayed(""),
            "3-D Secure passed": lambda: self.secure(accepted=True),
            "3-D Secure refused": lambda: self.secure(accepted=False),
            "second page": self.second_page,
            "page of an order that is over": self.page_of_order_that_is_over,
            "other sum": self.other_sum,
            "orphan": self.orphan,
            "disputed orphan": self.disputed_orphan,
            "another shop's": self.another_shops,
            "asks for her link": self.asks_for_link,
        }
        try:
            yield from tell.get(self.lot.fate, self.pays)()
        except SoldOut:
            self.world.note("turned away", "no copies left")

    # What she does

    def place(self) -> str:
        """Order until there is a page to pay on; the Russian edition gone, the paperback will do."""
        for turn in range(TRIES):
            answer = self.send_form()
            if answer is None or answer.status in (502, 503):
                time.sleep(min(0.1 * 2 ** min(turn, 5), 2))
            elif answer.status == 303 and answer.location.startswith(self.world.sandbox.url):
                self.order = self.world.placed(answer.location)
                return answer.location
            elif answer.status == 303:  # it was over before she came to pay
                self.attempt = secrets.token_urlsafe(16)
            elif answer.status == 409 and self.copies["russian"]:
                self.world.note("turned away", "took the paperback instead")
                self.copies = {"paperback": 1, "russian": 0}
            elif answer.status == 409:
                raise SoldOut
            elif answer.status == 429:
                self.world.note("turned away", "asked to wait")
                time.sleep(0.5)
            elif answer.status != 500:
                raise GaveUp(f"an order was answered {answer.status}: {answer.text[:200]}")
        raise GaveUp("no page to pay on")

    def form(self) -> str:
        query = {**self.copies, "country": self.lot.country}
        return f"/{self.lot.market}/order?{urlencode(query)}"

    def send_form(self) -> Answer | None:
        page = self.world.ask(self.form(), headers=self.headers)
        if page is None:
            return None
        total = TOTAL.search(page.text)
        if total is None:
            return page
        data = {**self.copies, "country": self.lot.country, "shown_total": total[1], "attempt": self.attempt}
        return self.world.ask(f"/{self.lot.market}/order", data, self.headers)

    def pay(self, page: str, card: str = USUAL, *, accepted: bool = True, returns: bool = True) -> bool:
        """Fill in Stripe's page; true when it was taken, and she was led back to the shop."""
        answer = self.world.sandbox.pay(page, card_number=card, secure=accepted, **self.lot.address)
        done = answer.status == 303
        if done and returns and self.dice.random() < 0.7:  # the others close the tab
            self.world.ask(answer.location, headers=self.headers)
        return done

    def cancel(self, order: Placed) -> None:
        self.world.ask(f"{order.path}/cancel", {}, self.headers)

    # Her stories

    def pays(self) -> Story:
        card = self.dice.choice(CARDS.get(self.lot.fate, (USUAL,)))
        self.pay(self.place(), card)
        yield from ()

    def leaves(self) -> Story:
        self.place()
        yield from ()

    def pays_from_two_tabs(self) -> Story:
        page = self.place()
        at_once([lambda: self.pay(page), lambda: self.pay(page)])
        yield from ()

    def clicks_twice(self) -> Story:
        at_once([self.send_form, self.send_form, self.send_form])
        self.pay(self.place())
        yield from ()

    def declined_then_pays(self) -> Story:
        page = self.place()
        for card in self.dice.sample(DECLINED, 2):
            self.pay(page, card)
        self.pay(page)
        yield from ()

    def declined_then_leaves(self) -> Story:
        self.pay(self.place(), self.dice.choice(DECLINED))
        yield from ()

    def pays_late(self) -> Story:
        """After the page's end, perhaps; then once more from her order page, if that can be."""
        page = self.place()
        yield
        if not self.pay(page) and self.order:
            self.world.ask(self.order.path, headers=self.headers)

    def comes_back(self) -> Story:
        self.place()
        yield
        assert self.order
        for _ in range(5):
            answer = self.world.ask(f"{self.order.path}/pay", {}, self.headers)
            if answer is not None and answer.status == 303:
                if answer.location.startswith(self.world.sandbox.url):
                    self.pay(answer.location)
                return
            time.sleep(0.3)

    def cancels(self) -> Story:
        self.place()
        assert self.order
        self.cancel(self.order)
        yield from ()

    def cancels_while_paying(self) -> Story:
        page = self.place()
        order = self.order
        assert order
        at_once([lambda: self.pay(page), lambda: self.cancel(order)])
        yield from ()

    def changes_her_mind(self) -> Story:
        """Back to the form with another number of copies; the first page may still be open in the other tab."""
        first = self.place()
        self.copies = {"paperback": self.copies["paperback"] % 3 + 1, "russian": 0}
        second = self.place()
        if self.dice.random() < 0.3:
            self.pay(first, returns=False)
        self.pay(second)
        yield from ()

    def delayed(self, deed: str) -> Story:
        page = self.place()
        self.pay(page, DELAYED_FAILING if deed == "fail_delayed" else DELAYED)
        if deed and self.dice.random() < 0.5:
            yield
        if deed:
            self.world.control(f"sessions/{page_id(page)}", do=deed)

    def secure(self, *, accepted: bool) -> Story:
        card = self.dice.choice((SECURE, SECURE_DECLINED))
        self.pay(self.place(), card, accepted=accepted)
        yield from ()

    def asks_for_link(self) -> Story:
        yield from self.pays()
        if self.order:
            form = {"number": self.order.number, "email": self.lot.email}
            self.world.ask(f"/{self.lot.market}/orders", form, self.headers)

    # Pages that the shop has not opened

    def twin(self, order: Placed, **changes: object) -> str:
        """Another page for an order, as a restored backup or a second installation would leave behind."""
        now = self.world.sandbox.control("clock")["now"]
        params = self.world.asked_for(order.id) | {"expires_at": now + OWN_PAGE} | changes
        made = self.world.api("POST", "/v1/checkout/sessions", params, key=secrets.token_hex(16))
        return str(made["url"])

    def second_page(self) -> Story:
        page = self.place()
        assert self.order
        twin = self.twin(self.order)
        if self.dice.random() < 0.5:
            at_once([lambda: self.pay(page), lambda: self.pay(twin, returns=False)])
        else:
            self.pay(page)
            yield
            self.pay(twin, self.dice.choice((USUAL, DELAYED, CARDS["disputing card"][0])), returns=False)

    def page_of_order_that_is_over(self) -> Story:
        self.place()
        assert self.order
        twin = self.twin(self.order)
        self.cancel(self.order)
        if self.dice.random() < 0.5:
            yield
        self.pay(twin, returns=False)

    def other_sum(self) -> Story:
        self.place()
        assert self.order
        lines = self.world.asked_for(self.order.id)["line_items"]
        lines[0]["price_data"]["unit_amount"] += 100
        self.pay(self.twin(self.order, line_items=lines), returns=False)
        yield from ()

    def ownerless(self, **mark: str) -> str:
        """A page with another mark than any order's; she then gives up the order that it was copied from."""
        self.place()
        assert self.order
        metadata = self.world.asked_for(self.order.id)["metadata"] | mark
        page = self.twin(
            self.order, metadata=metadata, payment_intent_data={"metadata": metadata, "description": "Order"}
        )
        self.cancel(self.order)
        self.order = None
        return page

    def orphan(self) -> Story:
        self.pay(self.ownerless(order=new_number()), returns=False)
        yield from ()

    def disputed_orphan(self) -> Story:
        self.pay(self.ownerless(order=new_number()), CARDS["disputing card"][0], returns=False)
        yield from ()

    def another_shops(self) -> Story:
        card = self.dice.choice((USUAL, DELAYED, CARDS["disputing card"][0], CARDS["card with a warning"][0]))
        self.pay(self.ownerless(shop="another-shop"), card, returns=False)
        yield from ()


def page_id(page: str) -> str:
    return page.partition("#")[0].rpartition("/")[2]


def at_once(works: list[Callable[[], object]]) -> None:
    """Do everything in the same moment."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
