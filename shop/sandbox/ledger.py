"""Our balance at Stripe: one row for every movement, and the whole truth for tests to compare with."""

from shop.sandbox import movement_objects as shapes
from shop.sandbox.store import Json
from shop.sandbox.world import World

DAY = 24 * 3600
# A share in tenths of a percent and a fixed sum, rounded half up to the penny.
FEES = {"gbp": (15, 20), "usd": (29, 30), "eur": (15, 25)}
USUAL_FEE = (29, 30)
DISPUTE_FEES = {"gbp": 2000, "usd": 1500, "eur": 2000}


def processing_fee(amount: int, currency: str) -> int:
    """What Stripe keeps of a payment."""
    share, fixed = FEES.get(currency, USUAL_FEE)
    return (amount * share + 500) // 1000 + fixed


def _enter(
    world: World, source: Json, amount: int, fee: int, fee_text: str, kind: str, category: str, text: str | None
) -> str:
    now = world.clock.now()
    immediate = category != "charge"
    body = shapes.balance_transaction(
        world.new_id("txn_"),
        amount=amount,
        fee=fee,
        fee_text=fee_text,
        kind=kind,
        category=category,
        source=source["id"],
        currency=source["currency"],
        description=text,
        created=now,
        # Payments become available two days later, at midnight; what is taken is taken at once.
        available_on=now if immediate else (now // DAY + 2) * DAY,
    )
    if immediate:
        body["status"] = "available"
    return str(world.store.save(body)["id"])


def take_payment(world: World, charge: Json) -> str:
    """The money of a charge, less Stripe's fee."""
    fee = processing_fee(charge["amount"], charge["currency"])
    kind = "charge" if charge["payment_method_details"]["type"] == "card" else "payment"
    text = "Stripe processing fees"
    return _enter(world, charge, charge["amount"], fee, text, kind, "charge", charge["description"])


def give_back(world: World, refund: Json, charge: Json) -> str:
    """The money of a refund; the fee stays with Stripe."""
    kind = "refund" if charge["payment_method_details"]["type"] == "card" else "payment_refund"
    text = "REFUND FOR CHARGE" + (f" ({charge['description']})" if charge["description"] else "")
    return _enter(world, refund, -refund["amount"], 0, "", kind, "refund", text)


def refund_came_back(world: World, refund: Json, charge: Json) -> str:
    """The money of a refund that the buyer's bank sent back."""
    kind = "refund_failure" if charge["payment_method_details"]["type"] == "card" else "payment_failure_refund"
    return _enter(world, refund, refund["amount"], 0, "", kind, "refund_failure", "REFUND FAILURE")


def withdraw(world: World, dispute: Json) -> str:
    """A dispute takes the money and a fee."""
    fee = DISPUTE_FEES.get(dispute["currency"], 1500)
    text = f"Chargeback withdrawal for {dispute['charge']}"
    return _enter(world, dispute, -dispute["amount"], fee, "Dispute fee", "adjustment", "dispute", text)


def reinstate(world: World, dispute: Json) -> str:
    """A dispute that was won gives the money back, not the fee."""
    text = f"Chargeback reversal for {dispute['charge']}"
    return _enter(world, dispute, dispute["amount"], 0, "", "adjustment", "dispute_reversal", text)


def current(world: World, body: Json) -> Json:
    """A balance transaction as of now: pending until its day comes."""
    available = body["available_on"] <= world.clock.now()
    return body | {"status": "available" if available else "pending"}


def balance(world: World) -> Json:
    """What we have ("The Balance object")."""
    sums: dict[str, dict[str, int]] = {}
    for record in world.store.records("balance_transaction"):
        body = current(world, record.body)
        place = sums.setdefault(body["currency"], {"available": 0, "pending": 0})
        place[body["status"]] += body["net"]

    def part(name: str) -> list[Json]:
        currencies = sorted(sums) or ["gbp"]
        return [
            {
                "amount": sums.get(c, {}).get(name, 0),
                "currency": c,
                "source_types": {"card": sums.get(c, {}).get(name, 0)},
            }
            for c in currencies
        ]

    return {"object": "balance", "available": part("available"), "livemode": False, "pending": part("pending")}


def truth(world: World) -> Json:
    """Everything, for a test to compare its shop with; oldest first, totals by currency."""
    names = {
        "sessions": "checkout.session",
        "payment_intents": "payment_intent",
        "charges": "charge",
        "refunds": "refund",
        "disputes": "dispute",
        "warnings": "radar.early_fraud_warning",
        "balance_transactions": "balance_transaction",
    }
    with world.store.transaction():
        found = {
            name: [record.body for record in world.store.records(kind, newest_first=False)]
            for name, kind in names.items()
        }
    found["balance_transactions"] = [current(world, body) for body in found["balance_transactions"]]
    totals: dict[str, dict[str, int]] = {}
    blank = (
        "payments",
        "charged",
        "refunds",
        "refunded",
        "disputed",
        "reinstated",
        "refund_failures",
        "fees",
        "net",
    )
    kinds = {
        "charge": ("charged", "payments", 1),
        "refund": ("refunded", "refunds", -1),
        "dispute": ("disputed", None, -1),
        "dispute_reversal": ("reinstated", None, 1),
        "refund_failure": ("refund_failures", None, 1),
    }
    for body in found["balance_transactions"]:
        total = totals.setdefault(body["currency"], dict.fromkeys(blank, 0))
        name, counter, sign = kinds[body["reporting_category"]]
        total[name] += sign * body["amount"]
        if counter is not None:
            total[counter] += 1
        total["fees"] += body["fee"]
        total["net"] += body["net"]
    return {"now": world.clock.now(), "totals": totals} | found
