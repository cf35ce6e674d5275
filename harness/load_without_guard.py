"""Guards against load, taken out: see harness/without_guard.py."""

from typing import Any


def health_waits_in_queue() -> None:
    """Checks of health wait for a thread as reads do."""
    from resources.fast_path import FastPath
    from resources.http import dispatch

    FastPath.health = lambda self, request: None
    dispatch.WATCH_PATHS = frozenset()


def one_share() -> None:
    """All database connections are for whoever comes first."""
    from core.db.database import Database
    from core.db.shares import Share

    connected = Database.connect_share

    def shared(self: Any, share: Share, deadline: Any) -> Any:
        return connected(self, Share.READS, deadline)

    Database.connect_share = shared


def no_statement_limit() -> None:
    """The server ends no statement by itself."""
    from core.db.database import Database

    Database.limit_mysql = lambda self, dbapi_connection, record: None


def bodies_hold_the_loop() -> None:
    """The event loop waits for each body, and does nothing else meanwhile."""
    import time

    from server.granian_adapter import BODY_SECONDS, GranianAdapter

    read_body = GranianAdapter.read_body

    async def blocking(self: Any, environ: Any, protocol: Any) -> bytes:
        if int(environ.get("CONTENT_LENGTH", "0")) > 500:  # bytes, as the slow ones are
            time.sleep(BODY_SECONDS)
        return await read_body(self, environ, protocol)

    GranianAdapter.read_body = blocking


def export_fails_midway() -> None:
    """The database goes away in the middle of an export."""
    from core.orders import order_list
    from core.refusals import Unavailable

    every = order_list.every

    def broken(*arguments: Any) -> Any:
        yield from every(*arguments)
        raise Unavailable

    order_list.every = broken


WITHOUT_GUARD = (export_fails_midway, bodies_hold_the_loop, health_waits_in_queue, one_share, no_statement_limit)
