"""Parameters of Stripe's API: decoded from forms, and checked against the types that Stripe's library publishes."""

import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import is_typeddict


class WrongParameter(Exception):
    """A parameter that Stripe does not have, or of another type."""

    def __init__(self, name: str, code: str = "parameter_unknown") -> None:
        super().__init__(name)
        self.name = name
        self.code = code


def nested(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=c` as {"a": {"b": {"0": "c"}}}."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        *parents, last = re.findall(r"[^\[\]]+", name)
        at = found
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return found


def typed(kind: Any, value: Any, name: str = "") -> Any:
    """`value` of a form, converted to `kind`. Raises WrongParameter."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if is_typeddict(kind):
        if not isinstance(value, dict):
            raise WrongParameter(name, "parameter_invalid")
        # Two names that the library imports for type checkers only.
        hints = typing.get_type_hints(kind, localns={"StripeContext": object, "Mapping": Mapping})
        for part in value:
            if part not in hints:
                raise WrongParameter(f"{name}[{part}]" if name else part)
        return {part: typed(hints[part], each, f"{name}[{part}]" if name else part) for part, each in value.items()}
    if origin is typing.Union:
        for option in options:
            try:
                return typed(option, value, name)
            except WrongParameter:
                continue
        raise WrongParameter(name, "parameter_invalid")
    if origin is list and isinstance(value, dict):
        return [typed(options[0], value[str(at)], f"{name}[{at}]") for at in range(len(value))]
    if origin is dict and isinstance(value, dict):
        return {part: typed(options[1], each, f"{name}[{part}]") for part, each in value.items()}
    if origin is typing.Literal and value in options:
        return value
    if kind is bool and value in ("true", "false"):
        return value == "true"
    if kind is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if kind is str and isinstance(value, str):
        return value
    raise WrongParameter(name, "parameter_invalid")
