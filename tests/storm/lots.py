"""What is drawn from the seed: who comes, what becomes of each order, and the weather."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

FATES = {
    "pays": 24,
    "pays twice from two tabs": 6,
    "clicks twice": 6,
    "declined, then pays": 6,
    "declined, then leaves": 4,
    "leaves": 6,
    "pays late": 5,
    "comes back to pay": 5,
    "cancels": 4,
    "cancels while paying": 5,
    "changes her mind": 5,
    "delayed, comes": 4,
    "delayed, fails": 4,
    "delayed, left to time": 3,
    "3-D Secure passed": 3,
    "3-D Secure refused": 3,
    "disputing card": 3,
    "inquiring card": 1,
    "card with a warning": 2,
    "refunds arrive later": 3,
    "refunds come back": 3,
    "address not served": 2,
    "second page": 3,
    "page of an order that is over": 3,
    "other sum": 1,
    "orphan": 3,
    "disputed orphan": 1,
    "another shop's": 3,
    "asks for her link": 2,
}
"""What becomes of a purchase, and how often."""

AFTERMATHS = {
    "": 44,
    "posted": 12,
    "posted twice at once": 3,
    "refunded whole": 4,
    "refunded by sum": 4,
    "refunded by copies": 5,
    "refunded in the dashboard": 4,
    "refunded in part in the dashboard": 4,
    "refunded by both at once": 4,
    "refund fails afterwards": 5,
    "refunded and posted at once": 4,
    "posted, refunded, copies back": 4,
    "dispute won": 3,
    "dispute lost": 3,
    "disputed and refunded at once": 2,
    "warned of": 3,
    "letter again": 2,
    "posted in parts": 3,
    "posting taken back": 3,
    "parcel lost": 3,
    "parcel came back": 4,
    "refunded in time, taken back": 2,
}
"""What happens to an order once it is paid."""

MARKETS = {"gb": ("en-gb", "ru-gb"), "us": ("en-us", "ru-us")}
COUNTRIES = {"gb": ("GB", "GB", "GB", "CH", "AU"), "us": ("US", "US", "CA")}
PLACES = {
    "GB": ("London", "WC1E 6BT", ""),
    "CH": ("Bern", "3011", ""),
    "AU": ("Sydney", "2000", "NSW"),
    "US": ("Springfield", "62701", "IL"),
    "CA": ("Ottawa", "K1A 0B1", "ON"),
}
PEOPLE = ("Ada Reader", "Иван Читатель", "Żaneta Łęcka", "O’Brien & Sons")


@dataclass(frozen=True, slots=True)
class Lot:
    """One buyer: what she wants, and what becomes of it."""

    number: int
    fate: str
    aftermath: str
    market: str
    country: str
    copies: dict[str, int]
    name: str
    dice: int
    """A seed of her own, for what she decides on the way."""

    @property
    def email(self) -> str:
        return f"reader{self.number}@readers.example"

    @property
    def address(self) -> dict[str, str]:
        """What she types on the payment page."""
        city, code, state = PLACES[self.country]
        code = "BT1 5GS" if self.fate == "address not served" and self.country == "GB" else code
        return {
            "email": self.email,
            "name": self.name,
            "line1": f"{self.number} Gower Street",
            "city": city,
            "postal_code": code,
            "state": state,
            "country": self.country,
        }


def buyers(seed: int, number: int) -> list[Lot]:
    """So many buyers; each fate comes up at least once when there are enough of them."""
    dice = random.Random(f"buyers {seed}")
    fates = _deal(dice, FATES, number)
    aftermaths = _deal(dice, AFTERMATHS, number)
    return [_buyer(dice, place, fates[place], aftermaths[place]) for place in range(number)]


def _deal(dice: random.Random, weights: dict[str, int], number: int) -> list[str]:
    names = list(weights)
    dice.shuffle(names)
    dealt = names[:number] + dice.choices(names, [weights[name] for name in names], k=max(0, number - len(names)))
    dice.shuffle(dealt)
    return dealt


def _buyer(dice: random.Random, number: int, fate: str, aftermath: str) -> Lot:
    region = "gb" if fate == "address not served" else dice.choice(("gb", "gb", "us"))
    country = "GB" if fate == "address not served" else dice.choice(COUNTRIES[region])
    russian = dice.choice((0, 0, 0, 1, 1, 2))
    copies = {
        "paperback": dice.choice((1, 1, 1, 2, 3)) if not russian else dice.choice((0, 0, 1)),
        "russian": russian,
    }
    return Lot(
        number=number,
        fate=fate,
        aftermath=aftermath,
        market=dice.choice(MARKETS[region]),
        country=country,
        copies=copies,
        name=dice.choice(PEOPLE),
        dice=dice.randrange(2**32),
    )


@dataclass(frozen=True, slots=True)
class Spell:
    """Some seconds of weather."""

    seconds: float
    faults: dict[str, float | int | bool]
    webhooks: dict[str, float]
    mail: str
    """What the mail server does: ``takes``, ``away``, ``refuses``, or ``forgets`` that it has taken a letter."""
    jump: int
    """By how much the clock is moved, in seconds, when the spell begins."""
    kills: tuple[str, ...] = field(default=())
    count: bool = False
    """Whether the shelves are counted."""
    command: str = ""
    """What somebody runs beside it all."""


FAULTS: tuple[tuple[int, dict[str, float | int | bool]], ...] = (
    (6, {"rate": 0.28}),
    (1, {"rate": 0.4}),
    (2, {"rate": 0.28, "status": 500}),
    (2, {"rate": 0.28, "status": 429}),
    (2, {"rate": 0.28, "status": 409}),
    (2, {"rate": 0.28, "truncated": True}),
    (1, {"rate": 0.28, "slow": 0.2}),
    (1, {"rate": 1.0}),
)
VICTIMS = (*("worker-1", "worker-2") * 2, *("web",) * 6, "shop")
"""A web worker is killed more often than the whole web server."""
MAIL = (*("takes",) * 6, "away", "away", "refuses", "forgets")
COMMANDS = ("", "", "audit", "", "", "", "", "reconcile", "", "", "", "worker --once")
BEGINNING = ("web", "worker-1", "web")
JUMPS = ((10, 0), (5, 130), (3, 660), (4, 50 * 60))
DAYS = (25 * 3600, 3 * 24 * 3600 + 60, 8 * 24 * 3600)
"""Over idempotency keys, over delayed payments, and over patience with letters."""


def weather(seed: int) -> Iterator[Spell]:
    """Weather without an end; within it the clock moves less than the 29 days that events are remembered."""
    dice = random.Random(f"weather {seed}")
    days = list(DAYS)
    for turn in range(10**6):
        jump = dice.choices([seconds for _, seconds in JUMPS], [weight for weight, _ in JUMPS])[0]
        if days and turn % 8 == 5:
            jump = days.pop(dice.randrange(len(days)))
        faults = dice.choices([each for _, each in FAULTS], [weight for weight, _ in FAULTS])[0]
        yield Spell(
            seconds=dice.uniform(3, 7) if faults["rate"] != 1.0 else 1.5,
            faults=faults,
            webhooks={
                "drop": dice.choice((0.1, 0.3, 0.6, 1.0)),
                "repeat": dice.choice((0.1, 0.3, 0.5)),
                "delay": dice.choice((0.0, 0.2, 0.4)),
                "shuffle": dice.choice((0.2, 0.5)),
            },
            mail="away" if turn == 1 else dice.choice(MAIL),
            jump=jump,
            # A short storm, too, has everything in it.
            kills=(BEGINNING[turn],)
            if turn < len(BEGINNING)
            else tuple(dice.sample(VICTIMS, dice.choice((0, 1, 1)))),
            count=dice.random() < 0.4,
            command=COMMANDS[turn % len(COMMANDS)],
        )
