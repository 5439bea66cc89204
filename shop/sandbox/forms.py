"""Stripe's form encoding: `a[0][b]=c&expand[]=d` becomes nested dictionaries of texts."""

import re
from typing import Any
from urllib.parse import parse_qsl

from shop.sandbox.errors import invalid

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
DEEPEST = 12
MOST = 5000

Form = dict[str, Any]


def decode(text: bytes) -> Form:
    """Read a body or a query; whatever is not such a form is a 400."""
    try:
        pairs = parse_qsl(text.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except UnicodeDecodeError:
        raise invalid("Invalid request: the parameters are not UTF-8.") from None
    except ValueError:
        raise invalid("Invalid request: too many parameters.") from None
    form: Form = {}
    for name, value in pairs:
        match = NAME.fullmatch(name)
        if match is None:
            raise invalid(f"Received unknown parameter: {name[:200]}", name[:200], "parameter_unknown")
        parts = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(parts) > DEEPEST:
            raise invalid(f"Received unknown parameter: {name[:200]}", name[:200], "parameter_unknown")
        _put(form, parts, value, match[1])
    return form


def _put(form: Form, parts: list[str], value: str, top: str) -> None:
    """Lay one value into the tree; `[]` means the next place of a list."""
    here = form
    for depth, raw in enumerate(parts):
        rest = parts[depth + 1 :]
        part = raw
        if not raw:
            part = str(len(here))
            last = here.get(str(len(here) - 1))
            # `a[][x]=1&a[][y]=2` is one element until a name comes again.
            if rest and isinstance(last, dict) and rest[0] and rest[0] not in last:
                part = str(len(here) - 1)
        if not rest:
            if isinstance(here.get(part), dict):
                raise invalid(f"Invalid object: {top} is given both as a value and as a hash.", top)
            here[part] = value
            return
        below = here.setdefault(part, {})
        if not isinstance(below, dict):
            raise invalid(f"Invalid object: {top} is given both as a value and as a hash.", top)
        here = below
