"""Divides the database connections of a worker among kinds of work, which never wait for each other's (bulkheads).

Reads are many and may be slow; purchases and payments must not queue behind them. So each kind of work has its own
number of connections. Reads and health checks also have their own pool, in whose sessions the server ends statements
that take too long (core/db/database.py).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import StrEnum

from config import Settings
from core.held import held

# One for the rows of items, one for `/readyz` and one for `/live`, so that none of them ever waits.
_WATCHERS = 3
_JOBS = 3
# The look-up of keys at closed sales (core/purchase/replays.py).
_REPLAYS = 1


class Share(StrEnum):
    """The kinds of work that connections are divided among."""

    PURCHASES = "purchases"
    CHANGES = "changes"  # payments, orders, administration
    JOBS = "jobs"  # in the background
    READS = "reads"
    WATCH = "watch"  # rows of items and the cache of hot ones, health, and live figures


# A thread that has not set its share is for changes.
_current: ContextVar[Share] = ContextVar("share", default=Share.CHANGES)


def current() -> Share:
    """The share that this thread uses."""
    return _current.get()


def use(share: Share) -> None:
    """Let this thread use `share` from now on."""
    _current.set(share)


def using(share: Share) -> AbstractContextManager[None]:
    """Let this thread use `share` within the block."""
    return held(_current, share)


def batch_workers(settings: Settings) -> int:
    """The maximum number of purchase batches that a worker settles at the same time."""
    return max(1, settings.DATABASE_POOL_SIZE // 2)


def sizes(settings: Settings) -> Mapping[Share, int]:
    """The number of connections of each share, in one worker."""
    workers = batch_workers(settings)
    return {
        Share.PURCHASES: workers + _REPLAYS,
        Share.CHANGES: max(1, settings.DATABASE_POOL_SIZE - workers),
        Share.JOBS: _JOBS,
        Share.READS: settings.DATABASE_READ_POOL_SIZE,
        Share.WATCH: _WATCHERS,
    }


# The shares with reads only, whose statements the server may end when the driver no longer waits for them.
ENDED_BY_SERVER = frozenset({Share.READS, Share.WATCH})


def pool_size(settings: Settings, ended_by_server: bool) -> int:
    """The number of connections in one of a worker's two pools."""
    return sum(size for share, size in sizes(settings).items() if (share in ENDED_BY_SERVER) == ended_by_server)


def connections(settings: Settings) -> int:
    """The maximum number of connections of one worker."""
    return sum(sizes(settings).values())
