"""Set-ups and upgrades that are interrupted: before a statement that changes something, by an error or by SIGKILL.

python -m harness.interrupted 3      a set-up that kills itself before its third change
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

_CHANGE = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b")


class Interrupted(BaseException):
    """The end of a process, as far as one test can have it; the text is the statement that was not sent."""


@contextmanager
def before_change(number: int, act: Callable[[str], None] | None = None) -> Iterator[None]:
    """Raise Interrupted, or call `act`, instead of sending the change of this number, counted from 1."""
    seen = 0

    def stop(statement: str) -> None:
        raise Interrupted(statement)

    def look(connection, cursor, statement, parameters, context, executemany):
        nonlocal seen
        seen += _CHANGE.match(statement) is not None
        if seen == number and _CHANGE.match(statement):
            (act or stop)(statement)

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)


@contextmanager
def counted_changes() -> Iterator[list[int]]:
    """The number of changes that were sent, in a list of one."""
    count = [0]

    def look(connection, cursor, statement, parameters, context, executemany):
        count[0] += _CHANGE.match(statement) is not None

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", look)


if __name__ == "__main__":
    import config
    import serve
    from app import create_app
    from server.prepare import prove, upgrade

    works = {"upgrade": upgrade, "prove": prove, "start": lambda app: serve.prepare_here(config.load())}
    work = works[sys.argv[2] if len(sys.argv) > 2 else "upgrade"]
    with before_change(int(sys.argv[1]), lambda statement: os.kill(os.getpid(), signal.SIGKILL)):
        work(create_app())
