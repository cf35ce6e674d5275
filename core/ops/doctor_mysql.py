"""Examines whether a MySQL or MariaDB server is configured for the service and loses no committed row."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from config import Settings
from core.db import server_settings, shares
from core.ops import doctor_group
from core.ops.finding import Finding, State, judge

# Connections that administrators, backups and monitoring need beside the workers.
SPARE_CONNECTIONS = 10
# The number of workers that a server should have connections for.
WORKERS = 4
# Read by name: the answer omits those that a server does not have.
_VARIABLES = (
    "time_zone",
    "innodb_flush_log_at_trx_commit",
    "log_bin",
    "sync_binlog",
    "innodb_doublewrite",
    "max_connections",
    "max_user_connections",
    "read_only",
    "wsrep_on",
)


def examine(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Examine the server's settings over a session like those of the service."""
    values = server_settings.values(connection, (*_VARIABLES, *server_settings.LOOKED_AT))
    isolation = connection.get_isolation_level()
    yield judge("isolation", isolation == "READ COMMITTED", isolation, "remove isolation settings from the URL")
    zone = values["time_zone"]
    yield judge("time zone", zone == "+00:00", zone, "remove time_zone from the URL: every time is stored in UTC")
    yield _sysdate(connection)
    for obstacle in server_settings.obstacles(values):
        yield Finding(obstacle.name, State.PROBLEM, obstacle.found, obstacle.mend)
    yield from judge_durability(values)
    read_only = values.get("read_only", "OFF") not in ("OFF", "0")
    yield judge("writable", not read_only, f"read_only={values.get('read_only', 'OFF')}", "point the URL at a primary")
    yield judge_connections(values, shares.connections(settings))
    yield from doctor_group.examine(connection)
    if values.get("wsrep_on") == "ON":
        yield Finding(
            "galera",
            State.WARNING,
            "wsrep_on=ON: row locks do not reach the other nodes",
            "send all writes to one node; the losers of a conflict are run again, and slower",
        )


def _sysdate(connection: Connection) -> Finding:
    # Tested by its effect: not every server shows the option as a variable.
    row = connection.execute(text("SELECT SYSDATE(6), SLEEP(0.05), SYSDATE(6)")).one()
    return judge(
        "sysdate_is_now",
        row[0] != row[2],
        "off" if row[0] != row[2] else "on",
        "start the server without --sysdate-is-now: a purchase must see the time after its wait for a lock",
    )


def judge_durability(values: dict[str, str]) -> Iterator[Finding]:
    flush = values.get("innodb_flush_log_at_trx_commit", "unknown")
    # On MariaDB, 3 also flushes at every commit.
    mend = "SET GLOBAL innodb_flush_log_at_trx_commit=1, and in the server's file: else a crash loses orders"
    yield judge("innodb_flush_log_at_trx_commit", flush in ("1", "3"), flush, mend)
    if values.get("log_bin") in ("ON", "1"):
        sync = values.get("sync_binlog", "unknown")
        mend = "SET GLOBAL sync_binlog=1, and in the server's file: else a crash loses what replicas need"
        yield judge("sync_binlog", sync == "1", sync, mend)
    doublewrite = values.get("innodb_doublewrite", "unknown")
    mend = "switch it on, unless the file system writes pages atomically"
    safe = doublewrite in ("ON", "1", "FAST", "DETECT_AND_RECOVER")
    yield judge("innodb_doublewrite", safe, doublewrite, mend, State.WARNING)


def judge_connections(values: dict[str, str], worker: int) -> Finding:
    limits = [int(values[name]) for name in ("max_connections", "max_user_connections") if values.get(name, "0") != "0"]
    room = max(0, min(limits) - SPARE_CONNECTIONS) // worker
    return judge(
        "connections",
        room >= WORKERS,
        f"the server takes {min(limits)}, a worker up to {worker}: room for {room} workers",
        "raise max_connections, or lower DATABASE_POOL_SIZE and DATABASE_READ_POOL_SIZE",
        State.WARNING if room else State.PROBLEM,
    )
