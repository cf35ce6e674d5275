"""Shares of the database connections of a worker: who uses one share never waits for another's.

Reads are many and may be slow; purchases and payments must not queue behind them. So each kind of work has a number of
connections of its own. Reads and checks of health have a pool of their own as well, whose sessions end a statement that
takes too long (core/db/database.py).
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from enum import Enum

from config import Settings

# One for the cache of hot items, one for `/readyz`, one for `/live`: none of them ever waits.
_WATCHERS = 3
_JOBS = 3
# The look-up of keys at closed sales (core/purchase/replays.py).
_LOOKS = 1


class Share(Enum):
    """What connections are used for."""

    PURCHASES = "purchases"
    CHANGES = "changes"  # payments, orders, administration
    JOBS = "jobs"  # in the background
    READS = "reads"
    WATCH = "watch"  # the cache of hot items, health, and live figures


# A thread that says nothing changes something.
_current: ContextVar[Share] = ContextVar("share", default=Share.CHANGES)


def current() -> Share:
    """The share of what this thread is doing."""
    return _current.get()


def use(share: Share) -> None:
    """Let this thread use `share` from now on."""
    _current.set(share)


@contextlib.contextmanager
def using(share: Share) -> Iterator[None]:
    """Let this thread use `share` within the block."""
    token = _current.set(share)
    try:
        yield
    finally:
        _current.reset(token)


def batch_workers(settings: Settings) -> int:
    """How many batches of purchases a worker settles at once, at most."""
    return max(1, settings.DATABASE_POOL_SIZE // 2)


def sizes(settings: Settings) -> Mapping[Share, int]:
    """The number of connections of each share, in one worker."""
    workers = batch_workers(settings)
    return {
        Share.PURCHASES: workers + _LOOKS,
        Share.CHANGES: max(1, settings.DATABASE_POOL_SIZE - workers),
        Share.JOBS: _JOBS,
        Share.READS: settings.DATABASE_READ_POOL_SIZE,
        Share.WATCH: _WATCHERS,
    }


# Those whose statements are reads alone, which the server may end when nobody waits for them any more.
ENDED_BY_SERVER = frozenset({Share.READS, Share.WATCH})


def pool_size(settings: Settings, ended_by_server: bool) -> int:
    """Connections of one of a worker's two pools."""
    return sum(size for share, size in sizes(settings).items() if (share in ENDED_BY_SERVER) == ended_by_server)


def connections(settings: Settings) -> int:
    """Connections that one worker opens, at most."""
    return sum(sizes(settings).values())
