"""The test cards that the payment page knows ("Testing" in Stripe's documentation; stripe.md, section 13)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """What a card number makes happen."""

    number: str
    brand: str = "visa"
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    secure: bool = False
    delayed: str | None = None
    dispute: str | None = None
    inquiry: bool = False
    warning: bool = False
    refund: str | None = None

    @property
    def declined(self) -> bool:
        """Whether the bank refuses it (after 3-D Secure, where that comes first)."""
        return self.code is not None


def _declined(number: str, decline_code: str, code: str = "card_declined", *, secure: bool = False) -> Card:
    messages = {
        "insufficient_funds": "Your card has insufficient funds.",
        "expired_card": "Your card has expired.",
        "incorrect_cvc": "Your card's security code is incorrect.",
    }
    message = messages.get(decline_code, "Your card was declined.")
    return Card(number, code=code, decline_code=decline_code, message=message, secure=secure)


CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242"),
        Card("4000056655665556"),
        Card("5555555555554444", brand="mastercard"),
        Card("378282246310005", brand="amex"),
        Card("4000008260000000"),
        Card("4000006430000009"),
        _declined("4000000000000002", "generic_decline"),
        _declined("4000000000009995", "insufficient_funds"),
        _declined("4000000000009987", "lost_card"),
        _declined("4000000000009979", "stolen_card"),
        _declined("4000000000000069", "expired_card", "expired_card"),
        _declined("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        _declined("4000000000000119", "processing_error", "processing_error"),
        Card("4000002500003155", secure=True),
        Card("4000000000003220", secure=True),
        Card("4000002760003184", secure=True),
        _declined("4000008400001629", "generic_decline", secure=True),
        Card("4000000000000259", dispute="fraudulent"),
        Card("4000000000002685", dispute="product_not_received"),
        Card("4000000000001976", dispute="fraudulent", inquiry=True),
        Card("4000000000005423", warning=True),
        Card("4000000000007726", refund="pending"),
        Card("4000000000005126", refund="failing"),
        # Stripe has no card that pays late; these two stand for a bank debit and are the sandbox's own.
        Card("4000000000030009", delayed="succeeds"),
        Card("4000000000030017", delayed="fails"),
    )
}


def luhn(number: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
