"""Finds faults of an installation and how to mend them: settings, database, durability."""

import contextlib
import shlex
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import config
from config import Settings
from core.db import schema, server_proof, server_settings, server_version
from core.db.clock import Deadline, database_now
from core.db.database import Database
from core.db.faults import DENIED, MISSING_GRANT
from core.db.mysql_connection import Connection as OurConnection
from core.db.tls import Unprotected, is_loopback
from core.ops import doctor_coupons, doctor_identity, doctor_mysql, doctor_traces, secret_key
from core.ops.command_line import flask_line
from core.ops.finding import Finding, State, judge, judge_protection
from core.ops.key_source import source
from core.refusals import Refusal

MAX_CLOCK_DIFFERENCE_SECONDS = 1.0
# Findings of a read-only server. The locks are not tested there: the test would fail for that alone.
_IN_THE_WAY = frozenset({"writable", *server_settings.LOOKED_AT})


def examine(database: Database, settings: Settings) -> list[Finding]:
    """Examine the settings and, over a session like those of the service, the database. It leaves nothing behind."""
    return [*examine_settings(settings), *_database(database, settings)]


def examine_settings(settings: Settings) -> Iterator[Finding]:
    unknown = config.unknown_names()
    yield judge(
        "settings",
        not unknown,
        f"unknown, without effect: {', '.join(unknown)}" if unknown else "all names are known",
        "correct or remove these names; config.py lists every setting",
    )
    yield judge(
        "debug",
        settings.on_sqlite or not settings.DEBUG,
        "on" if settings.DEBUG else "off",
        "unset SECKILL_DEBUG: it allows short secrets and is not for production",
        State.WARNING,
    )
    yield from _secrets(settings)
    yield from secret_files()
    yield _payments(settings)
    yield doctor_identity.examine(settings)
    yield doctor_traces.examine(settings)
    yield _pages(settings)
    lock, limit = settings.LOCK_WAIT_SECONDS, settings.DATABASE_TIMEOUT_SECONDS
    yield judge(
        "lock wait",
        lock < limit,
        f"LOCK_WAIT_SECONDS {lock}, DATABASE_TIMEOUT_SECONDS {limit}",
        "make the first less than the second, or a wait for a lock looks like a dead database",
    )


def _pages(settings: Settings) -> Finding:
    found = f"served: {', '.join(settings.PAGES) or 'none'}"
    if "docs" in settings.PAGES and not (settings.on_sqlite or settings.DEBUG):
        # No fault: some want it so.
        found += f"; /docs is open to everybody, {config.PREFIX}PAGES without docs closes it"
    return Finding("pages", State.OK, found)


def _payments(settings: Settings) -> Finding:
    keys = len(settings.PAYMENT_WEBHOOK_SECRETS)
    page = settings.PAYMENT_URL or "not named by PAYMENT_URL"
    found = f"a provider tells, keys: {keys}; buyers' page: {page}" if keys else "no way to pay an order"
    return judge(
        "payments",
        settings.on_sqlite or (keys > 0 and not settings.test_payments),
        "buyers pay by a call, without money" if settings.test_payments else found,
        f"set {config.PREFIX}PAYMENT_WEBHOOK_SECRETS, and PAYMENT_PROVIDER to webhook: docs/payments.md",
        State.WARNING,
    )


def _secrets(settings: Settings) -> Iterator[Finding]:
    if not settings.has_key:
        path = config.INSTANCE / "secret_key"
        yield Finding("secret", State.WARNING, "none yet", secret_key.missing(path))
        return
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        length = len(key.encode())
        known = key.lower() in config.KNOWN_SECRETS
        first = key is settings.SECRET_KEY
        found = f"{length} bytes" + (f", from {source(key)}" if first else "") + (", a known example" if known else "")
        yield judge(
            "secret" if first else "fallback secret",
            length >= config.MIN_SECRET_BYTES and not known,
            found,
            f"set {config.PREFIX}SECRET_KEY to at least {config.MIN_SECRET_BYTES} random bytes of your own",
            State.WARNING if settings.on_sqlite else State.PROBLEM,
        )


def secret_files() -> Iterator[Finding]:
    for path in (config.INSTANCE / "secret_key", config.env_file()):
        # A file that was named may be root's, and the service's group may read it.
        fit = 0o600 if path.parent in (config.INSTANCE, config.ENV_FILE.parent) else 0o640
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(path.stat().st_mode)
            yield judge(
                "secret file",
                not mode & 0o077 & ~fit,
                f"{path}, mode {mode:03o}",
                f"chmod {fit:o} {shlex.quote(str(path))}: whoever reads it can sign tokens",
                State.WARNING,
            )


def _database(database: Database, settings: Settings) -> Iterator[Finding]:
    path = database.engine.url.database or ""
    if database.is_sqlite and not Path(path).exists():
        # Connecting would create an empty file.
        yield Finding("database", State.PROBLEM, f"no file {path}", f"run `{flask_line('init-db')}`")
        return
    try:
        with database.reading(Deadline(settings.DATABASE_TIMEOUT_SECONDS)) as connection:
            in_the_way = False
            for finding in _session(database, settings, connection):
                in_the_way |= finding.state is State.PROBLEM and finding.name in _IN_THE_WAY
                yield finding
            provable = not in_the_way and schema.revision(connection) == schema.SCHEMA_REVISION
        if provable:
            yield _locks(settings)
    except (Refusal, DBAPIError) as error:
        # The driver's error is the cause of ours.
        cause = error if isinstance(error, DBAPIError) else error.__cause__ or error
        original = cause.orig if isinstance(cause, DBAPIError) else cause
        number = getattr(original, "errno", None)
        if isinstance(original, Unprotected):
            mend = "check the TLS options (ssl_…)"
        elif number in DENIED or number in MISSING_GRANT:
            mend = "check the user, password, grants and database name"
        elif isinstance(original, AttributeError):  # the driver's, for one that it does not know
            mend = "check the options"
        else:
            mend = "check the host and port, and that it runs"
        yield Finding(
            "database",
            State.PROBLEM,
            f"cannot be used: {str(original).strip().partition(chr(10))[0]}",
            f"{mend} in {config.PREFIX}SQLALCHEMY_DATABASE_URI",
        )


def _locks(settings: Settings) -> Finding:
    try:
        server_proof.prove(settings)
    except server_proof.BrokenPromise as broken:
        mend = f"{server_version.supported()}; one primary, and no proxy that changes statements"
        return Finding("locks", State.PROBLEM, str(broken), f"use {mend}")
    return Finding("locks", State.OK, "two transactions wait for and skip each other's rows; keys and CHECKs hold")


def _session(database: Database, settings: Settings, connection: Connection) -> Iterator[Finding]:
    if database.is_sqlite:
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        yield Finding("database", State.OK, f"SQLite {version}, {database.engine.url.database}")
    else:
        yield from _server(connection)
    found = _schema(connection)
    yield found
    if found.state is State.OK:
        yield from doctor_coupons.examine(connection)
    yield _clock(connection)
    yield from _sqlite(connection) if database.is_sqlite else doctor_mysql.examine(connection, settings)


def _server(connection: Connection) -> Iterator[Finding]:
    from mysql.connector import __version__ as driver_version
    from mysql.connector.connection import MySQLConnection

    version = str(connection.exec_driver_sql("SELECT VERSION()").scalar_one())
    server = server_version.server(version)
    yield judge(
        "database",
        not (server.refusal or server.warning),
        f"{server.product} {version}",
        f"{server.refusal or server.warning}; tried on {server_version.RUN_ON}",
        State.PROBLEM if server.refusal else State.WARNING,
    )
    yield judge(
        "driver",
        isinstance(connection.connection.dbapi_connection, MySQLConnection),
        f"mysql-connector-python {driver_version}, {type(connection.connection.dbapi_connection).__name__}",
        "connect with use_pure=True: the C extension leaves killed connections in the pool",
    )
    opened = connection.connection.dbapi_connection
    if isinstance(opened, OurConnection):
        guard = opened.protection()
        # A proxy on this host can lead to a server elsewhere, which then sees another address (as in a container).
        seen_as = str(connection.exec_driver_sql("SELECT SUBSTRING_INDEX(USER(), '@', -1)").scalar_one())
        yield judge_protection(replace(guard, local=guard.local and is_loopback(seen_as)), opened.login_plugin)


def _schema(connection: Connection) -> Finding:
    foreign = schema.foreign_tables(connection)
    if foreign:
        found = f"tables that no migration of ours made: {', '.join(sorted(foreign))}"
        return Finding("schema", State.PROBLEM, found, f"use an empty database, then run `{flask_line('init-db')}`")
    try:
        schema.check(connection)
    except schema.WrongSchema as wrong:
        return Finding(
            "schema", State.PROBLEM, str(wrong), f"run `{flask_line('init-db')}`, or the release that fits the schema"
        )
    return Finding("schema", State.OK, f"revision {schema.revision(connection)}")


def _clock(connection: Connection) -> Finding:
    before = datetime.now(timezone.utc)
    theirs = database_now(connection)
    ours = before + (datetime.now(timezone.utc) - before) / 2
    difference = (theirs - ours).total_seconds()
    return judge(
        "clock",
        abs(difference) <= MAX_CLOCK_DIFFERENCE_SECONDS,
        f"the database is {difference:+.3f} s from this host; the database's clock decides",
        "synchronise both hosts (NTP): tokens expire by this host's clock, sales by the database's",
        State.WARNING,
    )


def _sqlite(connection: Connection) -> Iterator[Finding]:
    for name, wanted, shown in (("journal_mode", "wal", "WAL"), ("synchronous", 2, "FULL"), ("foreign_keys", 1, "ON")):
        value = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        mend = f"the session must be at {shown}; WAL needs a local file system"
        yield judge(name, value == wanted, shown if value == wanted else str(value), mend)
