"""`expand[]`: which properties can be expanded, and doing it ("Expanding Responses" of the API reference)."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ForwardRef, Union

import stripe
from stripe._list_object import ListObject
from stripe._stripe_object import StripeObject

from shop.sandbox.errors import ApiError

Json = dict[str, Any]
Load = Callable[[str], Json | None]
OnRequest = Callable[[Json, str], Any]
DEEPEST = 4

CLASSES: dict[str, type[StripeObject]] = {
    "account": stripe.Account,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "item": stripe.LineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "price": stripe.Price,
    "product": stripe.Product,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "refund": stripe.Refund,
    "shipping_rate": stripe.ShippingRate,
    "tax_code": stripe.TaxCode,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
NAMES = {cls.__name__: kind for kind, cls in CLASSES.items()} | {"DisputeResource": "dispute"}

# Left out of an answer unless asked for ("This field is not included by default").
ON_REQUEST = {
    "checkout.session": ("line_items", "total_details.breakdown", "shipping_cost.taxes"),
    "charge": ("refunds",),
    "item": ("discounts", "taxes"),
    "price": ("currency_options", "tiers"),
    "shipping_rate": ("fixed_amount.currency_options",),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a property leads: ids of other objects, a list of objects, or a hash of the object's own."""

    targets: tuple[str, ...] = ()
    inner: type[StripeObject] | None = None
    expandable: bool = False


_edges: dict[str, dict[str, Edge]] = {}


def edges(cls: type[StripeObject]) -> dict[str, Edge]:
    """The properties of a resource class that hold anything but plain values."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name not in _edges:
        _edges[name] = _read_edges(cls)
    return _edges[name]


def _read_edges(cls: type[StripeObject]) -> dict[str, Edge]:
    found: dict[str, Edge] = {}
    for base in reversed(cls.__mro__):
        for name, hint in inspect.get_annotations(base).items():
            edge = _edge(hint)
            if edge is not None:
                found[name] = edge
    return found


def _edge(hint: Any) -> Edge | None:
    texts = references = False
    targets: list[str] = []
    inner: type[StripeObject] | None = None
    stack = [hint]
    while stack:
        part = stack.pop()
        origin = typing.get_origin(part)
        if origin is Union or origin in (list, ListObject):
            references |= origin is ListObject
            stack.extend(typing.get_args(part))
        elif part is str:
            texts = True
        elif isinstance(part, ForwardRef):
            targets.append(part.__forward_arg__)
        elif isinstance(part, type) and issubclass(part, StripeObject):
            inner = part
    if not targets and inner is None:
        return None
    return Edge(tuple(targets), inner, expandable=bool(targets) and (texts or references))


def check(paths: list[str], kind: str, *, listed: bool) -> None:
    """Refuse what cannot be expanded, before anything is done."""
    for path in paths:
        parts = path.split(".")
        if listed:
            if parts[0] != "data" or len(parts) < 2:
                hint = f" You may want to try expanding 'data.{path}' instead." if parts[0] != "data" else ""
                raise _cannot(path, hint)
            parts = parts[1:]
        if len(parts) > DEEPEST:
            raise ApiError(400, f"You cannot expand more than {DEEPEST} levels of a property.", param="expand")
        if not _leads(CLASSES[kind], kind, parts):
            raise _cannot(path, "")


def _cannot(path: str, hint: str) -> ApiError:
    return ApiError(400, f"This property cannot be expanded ({path[:200]}).{hint}", param="expand")


def _leads(cls: type[StripeObject], kind: str | None, parts: list[str]) -> bool:
    """Whether a path ends at something expandable."""
    wanted = ".".join(parts)
    if kind is not None and wanted in ON_REQUEST.get(kind, ()):
        return True
    edge = edges(cls).get(parts[0])
    if edge is None:
        return False
    rest = parts[1:]
    if edge.targets:
        if rest and rest[0] == "data":
            rest = rest[1:]
        if not rest:
            return edge.expandable or (kind is not None and parts[0] in ON_REQUEST.get(kind, ()))
        known = [NAMES[name] for name in edge.targets if name in NAMES]
        # Objects that the sandbox never makes (customers, invoices …) are always null: nothing to look into.
        return not known or any(_leads(CLASSES[name], name, rest) for name in known)
    return bool(rest) and edge.inner is not None and _leads(edge.inner, None, rest)


def expand(body: Json, paths: list[str], load: Load, on_request: OnRequest) -> Json:
    """Fill in the asked-for properties; `load` finds an object, `on_request` makes what is usually left out."""
    for path in paths:
        _expand(body, path.split("."), load, on_request)
    return body


def _expand(here: Any, parts: list[str], load: Load, on_request: OnRequest) -> None:
    if isinstance(here, list):
        for element in here:
            _expand(element, parts, load, on_request)
        return
    if not parts or not isinstance(here, dict):
        return
    for size in range(1, min(len(parts), 2) + 1):
        dotted = ".".join(parts[:size])
        holder = here if size == 1 else here.get(parts[0])
        if dotted in ON_REQUEST.get(here.get("object", ""), ()) and isinstance(holder, dict):
            holder.setdefault(parts[size - 1], on_request(here, dotted))
    name = parts[0]
    value = here.get(name)
    if isinstance(value, str):
        here[name] = load(value) or value
    elif isinstance(value, list):
        here[name] = [(load(v) or v) if isinstance(v, str) else v for v in value]
    _expand(here.get(name), parts[1:], load, on_request)
