"""What each application would make anew, though it is the same for all: a fifth of the time of a short test.

A test process makes thousands of applications. Routes are compiled once, and each SQL statement once for each kind of
database. Both are what Werkzeug and SQLAlchemy keep for one application or engine, looked up by the same keys.
"""

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
    made: dict[tuple[str, str], Rule] = {}
    compile_rule = Rule.compile

    def once(rule: Rule) -> None:
        key = rule.rule, repr((rule.defaults, rule.subdomain, rule.host, rule.merge_slashes, rule.strict_slashes))
        like = made.get(key)
        if like is None:
            compile_rule(rule)
            made[key] = rule
            return
        rule._parts, rule._trace, rule._converters = like._parts, like._trace, like._converters
        rule.arguments = set(like.arguments)
        rule._build = like._build.__func__.__get__(rule, None)  # type: ignore[attr-defined]
        rule._build_unknown = like._build_unknown.__func__.__get__(rule, None)  # type: ignore[attr-defined]

    Rule.compile = once  # type: ignore[method-assign]
