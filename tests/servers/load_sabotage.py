"""Guards against load, taken out: see tests/servers/sabotage.py."""

from typing import Any


def health_waits_in_line() -> None:
    """Checks of health wait for a thread as reads do."""
    from resources import reception
    from resources.front import Front

    Front.tell_health = lambda self, environ, reply: False
    reception.FREE = frozenset()


def one_share() -> None:
    """All database connections are for whoever comes first."""
    from core.database import Database
    from core.shares import Share

    connected = Database._connected

    def shared(self: Any, share: Share, deadline: Any) -> Any:
        return connected(self, Share.READS, deadline)

    Database._connected = shared


def no_statement_limit() -> None:
    """The server ends no statement by itself."""
    from core.database import Database

    Database._limit_mysql = lambda self, dbapi_connection, record: None


SABOTAGES = (health_waits_in_line, one_share, no_statement_limit)
