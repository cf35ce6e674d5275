"""SQL seen, held up or rewritten on its way to the driver, whichever way it takes."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Rewrite = Callable[[Any, str, Any], str]


def locks(statement: str) -> bool:
    """Whether the statement ends in a clause that locks rows and waits for them.

    A statement with a join names the table whose rows it locks (`OF`) on MySQL.
    """
    return re.search(r"\s+FOR UPDATE(?: OF \w+)?$", statement) is not None


def without_locks(statement: str) -> str:
    """The statement without its clauses that lock rows, those within the parentheses of a UNION included."""
    return re.sub(r"\s+FOR UPDATE(?: OF \w+)?(?: SKIP LOCKED)?(?=\)|$)", "", statement)


def rewrite(change: Rewrite) -> None:
    """Let `change(connection, statement, parameters)` return the statement that is executed instead."""
    from sqlalchemy import Engine, event

    from core.db.mysql_connection import Connection

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def rewritten(connection, cursor, statement, parameters, context, executemany):
        return change(connection, statement, parameters), parameters

    execute = Connection.execute
    Connection.execute = lambda self, statement, *values: execute(
        self, change(_seen_as(self), statement, values), *values
    )
    Connection.execute_all = one_by_one


def after(act: Callable[[Any, str, Any], None]) -> None:
    from sqlalchemy import Engine, event

    from core.db.mysql_connection import Connection

    @event.listens_for(Engine, "after_cursor_execute")
    def done(connection, cursor, statement, parameters, context, executemany):
        act(connection, statement, parameters)

    execute = Connection.execute

    def execute_and_act(self: Any, statement: str, *values: str) -> Any:
        answer = execute(self, statement, *values)
        act(_seen_as(self), statement, values)
        return answer

    Connection.execute = execute_and_act
    Connection.execute_all = one_by_one


def one_by_one(self: Any, changes: Any) -> list[int]:
    """`execute_all`, so that what is done at a statement is done between it and the one before."""
    return [self.execute(statement, *values)[1] for statement, values in changes]


def _seen_as(driver_connection: Any) -> Any:
    """The driver's connection as SQLAlchemy's events show it; a purchase's statements go past SQLAlchemy."""
    return SimpleNamespace(
        connection=SimpleNamespace(cursor=driver_connection.cursor, dbapi_connection=driver_connection)
    )
