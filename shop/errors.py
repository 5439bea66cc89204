"""What can go wrong in the domain, as facts. Pages are made of them in ``storefront.errors`` and ``admin``."""


class ShopError(Exception):
    """Anything that the shop itself refuses."""


class SettingsError(ShopError):
    """The environment does not describe a shop that can start."""


class CurrencyMismatch(ShopError):
    """Two sums in different currencies were put together."""


class CatalogueError(ShopError):
    """A catalogue file contradicts itself; the sentence names where."""


class NotOrderable(ShopError):
    """These copies cannot be sent there as an order of this kind. ``reason`` is a word of ``offers.Refusal``."""

    def __init__(self, reason: str, edition: str | None = None, limit: int | None = None) -> None:
        super().__init__(f"{reason}: {edition}" if edition else reason)
        self.reason = reason
        self.edition = edition
        self.limit = limit


class OutOfStock(ShopError):
    """Fewer copies are available than were asked for."""

    def __init__(self, edition_id: int, quantity: int) -> None:
        super().__init__(f"edition {edition_id}: {quantity} copies are not available")
        self.edition_id = edition_id
        self.quantity = quantity


class WrongState(ShopError):
    """The order is not in a state that allows this action."""


class TooMany(ShopError):
    """An address, or everybody together, has asked too often. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


class GatewayError(ShopError):
    """The payment provider did not do what was asked."""


class GatewayRefused(GatewayError):
    """Definitely not done: the provider answered with a 4xx. ``code`` is the provider's own word.

    ``parameter`` is the one that he refused, if he names it.
    """

    def __init__(self, code: str, message: str = "", parameter: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.parameter = parameter


class GatewayUnavailable(GatewayError):
    """No usable answer: the outcome is unknown and the same call may be made again with the same key.

    Unless it is ``spent``: then the provider has kept this failure under the key and repeats it for a day.
    """

    def __init__(self, message: str = "", *, spent: bool = False) -> None:
        super().__init__(message)
        self.spent = spent


class ForgedEvent(ShopError):
    """A webhook whose signature or form does not hold."""


class MailUnavailable(ShopError):
    """The mail server did not take the letter; it stays owed."""


class MailServerAway(MailUnavailable):
    """The mail server takes no letter at all just now, whoever it is for."""


class MailRefused(ShopError):
    """The mail server refuses this letter for good."""
