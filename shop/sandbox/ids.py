"""Names for new objects, shaped like Stripe's; from a seed they are the same in every run."""

import hashlib
import itertools
import secrets
import string

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase

# How many characters follow the prefix: sessions fill Stripe's 66, the rest are about 24 long.
LENGTHS = {"cs_test_": 58, "req_": 14, "whsec_": 32}


class Ids:
    """Makes ids; `number` comes from the store so that a restart goes on where it stopped."""

    def __init__(self, seed: str | None) -> None:
        self._seed = seed
        self._requests = itertools.count(1)

    def make(self, prefix: str, number: int) -> str:
        """A new id such as `pi_3Q…`."""
        length = LENGTHS.get(prefix, 24)
        if self._seed is None:
            return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
        digest = hashlib.shake_256(f"{self._seed}:{prefix}:{number}".encode()).digest(length)
        return prefix + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest)

    def request(self) -> str:
        """The name of one API call, for the header `Request-Id`."""
        return self.make("req_", next(self._requests))
