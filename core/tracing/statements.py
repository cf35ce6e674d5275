"""Spans of the statements that are sent to the database, of those requests that are traced.

The text of a statement is as it was written, with marks in place of values: what buyers sent is in no span.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from opentelemetry.trace import Span, SpanKind
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from config import Settings
from core.db import mysql_connection
from core.db.database import Database
from core.db.faults import read
from core.ops.metrics import record
from core.tracing.tracer import Tracer, current, end_failed

_SPAN = "seckill.span"  # of the statement that is under way, in a connection's `info`
Answer = TypeVar("Answer")


def traced(tracer: Tracer, engine: Engine, settings: Settings) -> Database:
    """The database of `engine`, with a span for each statement of a request that is traced."""
    spans = _StatementSpans(tracer, "sqlite" if settings.on_sqlite else "mysql")
    database = Database(engine, settings, _mysql_connection(spans))
    sqlite_connection = _sqlite_connection(spans)

    def open_sqlite(dialect: Any, record: ConnectionPoolEntry, arguments: Any, options: dict[str, Any]) -> None:
        options["factory"] = sqlite_connection

    for each in (database.engine, database.read_engine):
        if database.is_sqlite:
            event.listen(each, "do_connect", open_sqlite)
        event.listen(each, "before_cursor_execute", spans.begin)
        event.listen(each, "after_cursor_execute", spans.end)
        event.listen(each, "handle_error", spans.fail)
    return database


class _StatementSpans:
    """Makes the spans of statements."""

    def __init__(self, tracer: Tracer, system: str) -> None:
        self._tracer = tracer
        self._system = system

    def of(self, statement: str) -> Span | None:
        """The span of a statement that is sent now; None if it is not traced."""
        parent = current()
        if parent is None:
            return None
        operation = statement.split(None, 1)[0].upper()
        attributes = {"db.system.name": self._system, "db.query.text": statement}
        return self._tracer.part(operation, parent, SpanKind.CLIENT, attributes)

    def around(self, statement: str, send: Callable[[], Answer]) -> Answer:
        """Send a statement."""
        span = self.of(statement)
        if span is None:
            return send()
        try:
            answer = send()
        except Exception as error:
            _end(span, error)
            raise
        _end(span)
        return answer

    # As SQLAlchemy's events call them: of what passes through its cursors.

    def begin(self, connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        connection.info[_SPAN] = self.of(statement)

    def end(self, connection: Connection, *rest: Any) -> None:
        _end(connection.info.pop(_SPAN, None))

    def fail(self, context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.invalidated:
            _end(context.connection.info.pop(_SPAN, None), context.original_exception)


def _mysql_connection(spans: _StatementSpans) -> type[mysql_connection.Connection]:
    class TracedConnection(mysql_connection.Connection):
        def execute(self, statement: str, *values: str) -> tuple[list[tuple[str | None, ...]], int]:
            return spans.around(statement, lambda: super(TracedConnection, self).execute(statement, *values))

        def execute_all(self, changes: Sequence[tuple[str, Sequence[str]]]) -> list[int]:
            # One round trip, and so one span.
            text = "; ".join(statement for statement, _ in changes)
            return spans.around(text, lambda: super(TracedConnection, self).execute_all(changes))

        def commit(self) -> None:
            spans.around("COMMIT", super().commit)

        def rollback(self) -> None:
            spans.around("ROLLBACK", super().rollback)

    return TracedConnection


def _sqlite_connection(spans: _StatementSpans) -> type[sqlite3.Connection]:
    class TracedConnection(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            return spans.around(statement, lambda: super(TracedConnection, self).execute(statement, *values))

        def commit(self) -> None:
            spans.around("COMMIT", super().commit)

        def rollback(self) -> None:
            spans.around("ROLLBACK", super().rollback)

    return TracedConnection


def _end(span: Span | None, error: BaseException | None = None) -> None:
    """End the span of a statement, if there is one. A failure is only logged: the statement has had its effect."""
    if span is not None:
        record(lambda: _end_unguarded(span, error))


def _end_unguarded(span: Span, error: BaseException | None) -> None:
    """End a span. An error adds the database's number of it."""
    if error is None:
        span.end()
        return
    if (number := read(error).errno).isdecimal():
        span.set_attribute("db.response.status_code", number)
    end_failed(span, error)
