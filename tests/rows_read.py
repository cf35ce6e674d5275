"""How many rows a server reads, which shows how a statement is carried out, whatever the machine does meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from core.db.database import Database

Statement = tuple[str, Any]  # the text that is sent, and its parameters


@contextmanager
def sent_by(database: Database) -> Iterator[list[Statement]]:
    """A list that gets the statements which are sent meanwhile."""
    sent: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        sent.append((statement, parameters))

    engines = {database.engine, database.read_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def rows_read(connection: Connection, statement: str, parameters: Any = ()) -> int:
    """The rows and index entries that MySQL or MariaDB reads for one statement."""
    connection.exec_driver_sql("FLUSH STATUS")
    connection.exec_driver_sql(statement, parameters).all()
    return sum(int(value) for _, value in connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%'"))


def rows_read_by(database: Database, connection: Connection, act: Callable[[], object]) -> int:
    """The rows and index entries that MySQL or MariaDB reads for all that `act` asks; the questions are asked again."""
    with sent_by(database) as sent:
        act()
    return sum(rows_read(connection, *each) for each in sent if each[0].lstrip("( ").startswith("SELECT"))
