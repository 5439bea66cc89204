"""Which parameters exist and of what type, read from the types that the `stripe` package ships.

The package generates its parameter types from Stripe's API description, so a parameter that is not there is one
that Stripe does not know in this version either.
"""

import functools
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Union

from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject

from shop.sandbox.errors import absent, invalid
from shop.sandbox.lengths import LENGTHS, USUAL_LENGTH

INTEGER = re.compile(r"-?\d{1,18}")
OPTIONS = frozenset(RequestOptions.__annotations__)


@dataclass(slots=True)
class Shape:
    """What a parameter may be; more than one of the kinds where Stripe allows alternatives."""

    scalar: type | None = None
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False
    item: "Shape | None" = None
    values: "Shape | None" = None
    fields: "dict[str, Shape] | None" = None
    required: frozenset[str] = field(default_factory=frozenset)


@functools.cache
def shape_of(params: type) -> Shape:
    """The shape of a whole parameter class, such as `SessionCreateParams`."""
    # The common options' own hints name things that their module imports for type checkers only.
    hints = typing.get_type_hints(params, localns={"StripeContext": object, "Mapping": Mapping})
    names = [name for name in hints if name not in OPTIONS]
    required: Iterable[str] = getattr(params, "__required_keys__", ())
    return Shape(
        fields={name: _shape(hints[name]) for name in names},
        required=frozenset(name for name in required if name in names),
    )


def _shape(hint: Any) -> Shape:
    """Translate one type hint."""
    shape = Shape()
    for option in _options(hint):
        origin = typing.get_origin(option)
        if origin is Literal:
            words = [word for word in typing.get_args(option) if isinstance(word, str)]
            shape.may_be_empty |= "" in words
            shape.choices += tuple(word for word in words if word)
        elif origin in (list, typing.List):  # noqa: UP006
            shape.item = _shape(typing.get_args(option)[0])
        elif origin is dict:
            shape.values = _shape(typing.get_args(option)[1])
            # "Individual keys can be unset by posting an empty value to them."
            shape.values.may_be_empty = True
        elif isinstance(option, type) and hasattr(option, "__required_keys__"):
            inner = shape_of(option)
            shape.fields, shape.required = inner.fields, inner.required
        elif option in (str, int, bool, float, Decimal):
            # `Literal[…] | str` is how the package writes an enumeration; any other text is refused.
            shape.scalar = shape.scalar or option
        elif origin is not UntypedStripeObject:
            raise TypeError(f"a parameter type nobody has met before: {option!r}")
    if shape.choices and shape.scalar is str:
        shape.scalar = None
    return shape


def _options(hint: Any) -> list[Any]:
    """The alternatives of a hint, with wrappers such as `NotRequired` taken off."""
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return [option for part in typing.get_args(hint) for option in _options(part)]
    if getattr(origin, "_name", None) in ("NotRequired", "Required"):
        return _options(typing.get_args(hint)[0])
    return [hint]


def parse(params: type, form: dict[str, Any]) -> dict[str, Any]:
    """Check a decoded form against a parameter class and give its values their types."""
    return _fields(shape_of(params), form, "")


def _fields(shape: Shape, form: dict[str, Any], path: str) -> dict[str, Any]:
    assert shape.fields is not None
    unknown = [_below(path, name) for name in form if name not in shape.fields]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(name[:200] for name in unknown[:5])
        raise invalid(f"Received unknown parameter{plural}: {names}", unknown[0][:200], "parameter_unknown")
    for name in sorted(shape.required):
        if name not in form:
            raise absent(_below(path, name))
    return {name: _value(shape.fields[name], value, _below(path, name)) for name, value in form.items()}


def _below(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _value(shape: Shape, value: Any, path: str) -> Any:
    """One value: a text for scalars, a dictionary for lists and hashes."""
    if isinstance(value, dict):
        if shape.item is not None:
            if not all(key.isdecimal() and len(key) < 6 for key in value):
                raise invalid("Invalid array", path)
            inner = shape.item
            order = sorted(value, key=int)
            return [_value(inner, value[key], f"{path}[{place}]") for place, key in enumerate(order)]
        if shape.fields is not None:
            return _fields(shape, value, path)
        if shape.values is not None:
            inner = shape.values
            return {key: _value(inner, below, _below(path, key)) for key, below in value.items()}
        raise invalid(f"Invalid {_noun(shape)}: {path} must not be a hash or an array.", path)
    text = str(value)
    if shape.scalar is None and not shape.choices and not (shape.may_be_empty and not text):
        raise invalid("Invalid array" if shape.item is not None else "Invalid object", path)
    return _scalar(shape, text, path)


def _noun(shape: Shape) -> str:
    names = {int: "integer", bool: "boolean", float: "number", Decimal: "decimal"}
    return names.get(shape.scalar or str, "string")


def _scalar(shape: Shape, text: str, path: str) -> Any:
    shown = text if len(text) <= 40 else text[:20] + "..." + text[-10:]
    if not text:
        if shape.may_be_empty:
            return ""
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{path}' cannot be unset. You should remove '{path}' from your request or supply a "
            "non-empty value.",
            path,
            "parameter_invalid_empty",
        )
    if "\0" in text:
        raise invalid(f"Invalid string: {path} contains a null character.", path)
    if shape.scalar is int and INTEGER.fullmatch(text):
        return int(text)
    if text in shape.choices:
        return text
    if shape.choices and shape.scalar is None:
        raise invalid(f"Invalid {path}: must be one of {', '.join(shape.choices)}", path)
    if shape.scalar is int:
        raise invalid(f"Invalid integer: {shown}", path, "parameter_invalid_integer")
    if shape.scalar is bool:
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {shown}", path)
        return text == "true"
    if shape.scalar in (float, Decimal):
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise invalid(f"Invalid decimal: {shown}", path) from None
        if not number.is_finite():
            raise invalid(f"Invalid decimal: {shown}", path)
        return text
    most = LENGTHS.get(re.sub(r"\[\d+\]", "[]", path), USUAL_LENGTH)
    if len(text) > most:
        raise invalid(f"Invalid string: {shown}; must be at most {most} characters", path)
    return text
