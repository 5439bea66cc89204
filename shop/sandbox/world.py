"""What every part of the sandbox works with: its settings, time, memory, mail and webhooks."""

from dataclasses import dataclass

from shop.sandbox.clock import Clock
from shop.sandbox.config import Config
from shop.sandbox.deliveries import Deliveries
from shop.sandbox.faults import Faults
from shop.sandbox.ids import Ids
from shop.sandbox.store import Json, Record, Store


@dataclass(slots=True)
class World:
    """One running sandbox."""

    config: Config
    clock: Clock
    store: Store
    ids: Ids
    deliveries: Deliveries
    faults: Faults
    base_url: str

    def new_id(self, prefix: str) -> str:
        """A fresh id; inside a transaction, so that a seed gives the same one after a rollback."""
        return self.ids.make(prefix, self.store.count("ids") if self.config.seed else 0)

    def get(self, kind: str, object_id: str) -> Record:
        """An object that is known to exist."""
        record = self.store.find(kind, object_id)
        assert record is not None, f"{kind} {object_id} is gone"
        return record

    def get_body(self, kind: str, object_id: str) -> Json:
        """The public part of an object that is known to exist."""
        return self.get(kind, object_id).body
