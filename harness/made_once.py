"""What each application would make anew, though it is the same for all: a fifth of the time of a short test.

A test process makes thousands of applications. Routes are compiled once, and each SQL statement once for each kind of
database. Both are what Werkzeug and SQLAlchemy keep for one application or engine, looked up by the same keys.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

_STATEMENTS = 5000


class _Statements:
    """Compiled statements of all engines; an engine's own cache has the same interface."""

    def __init__(self) -> None:
        self._kept: Any = LRUCache(_STATEMENTS)

    @staticmethod
    def _key(key: tuple[Any, ...]) -> tuple[Any, ...]:
        dialect, *rest = key
        # What the SQL depends on: two servers of one kind and release are alike.
        return (
            type(dialect),
            getattr(dialect, "server_version_info", None),
            getattr(dialect, "is_mariadb", None),
            *rest,
        )

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._kept.get(self._key(key))

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        self._kept[self._key(key)] = value


def compile_statements_once() -> None:
    """For all engines of this process, from their next connection on."""
    statements = _Statements()

    @event.listens_for(Engine, "engine_connect")
    def share(connection: Connection) -> None:
        connection.engine._compiled_cache = statements  # type: ignore[assignment]


def compile_routes_once() -> None:
    """For all applications of this process."""
    made: dict[tuple[str, str, bool], Callable[..., Any]] = {}
    make = Rule._compile_builder

    def once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        key = (rule.rule, repr((rule._trace, rule.defaults)), append_unknown)
        if key not in made:
            made[key] = make(rule, append_unknown)
        return made[key]

    Rule._compile_builder = once  # type: ignore[method-assign]
