"""Context variables that hold a value for the time of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Value = TypeVar("Value")


@contextmanager
def held(variable: ContextVar[Value], value: Value) -> Iterator[None]:
    """Let `variable` hold `value` in this thread within the block, and after it what it held before."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
