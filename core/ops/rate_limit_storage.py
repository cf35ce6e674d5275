"""Stores the request counts of callers: in this process, or in Redis for all workers and hosts together.

The library `limits` counts in Redis. Its own memory is not used: it starts a thread for each ten milliseconds in which
somebody calls, which goes through all keys. With a thousand callers that doubles the cost of a call, and nothing bounds
the keys.
"""

import logging
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol, TypeVar

from limits.storage import RedisStorage

from core.name_lookup import NameLookup

Found = TypeVar("Found")

# The maximum number of counted callers, users and addresses; beyond it, the oldest windows are dropped.
MOST_KEYS = 50_000
_FEW_KEYS = 1000
# Seconds without a call to Redis after a failure, and the timeouts to connect and to answer.
SILENT_SECONDS = 1.0
PATIENCE_SECONDS = 0.25

_names = NameLookup()

log = logging.getLogger("seckill.limits")


def is_shared(setting: str) -> bool:
    """Whether RATE_LIMIT_STORAGE names Redis."""
    return setting.startswith("redis")


def open_storage(setting: str) -> "Counts":
    """The counts that RATE_LIMIT_STORAGE selects. Opens no connection."""
    return SharedCounts(setting) if is_shared(setting) else LocalCounts()


class Counts(Protocol):
    """Counts calls in fixed windows."""

    def incr(self, key: str, expiry: int) -> int:
        """Count a call; returns the count of the key's window, which ends `expiry` seconds after it began."""

    def get_expiry(self, key: str) -> float:
        """The Unix time at which the key's window ends; now, where there is none."""


class LocalCounts:
    """Counts in this process; at most `most` keys. By the monotonic clock: one that is set back refuses nobody."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        # The count and the end of the window, in the order in which the windows began.
        self._counts: dict[str, list[float]] = {}
        self._room = min(_FEW_KEYS, most)
        self._lock = threading.Lock()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` for `key`; returns the count of its window, which ends `expiry` seconds after it began."""
        now = time.monotonic()
        with self._lock:
            entry = self._counts.get(key)
            if entry is not None and entry[1] > now:
                entry[0] += amount
                return int(entry[0])
            self._counts.pop(key, None)  # to the end of the dict
            if len(self._counts) >= self._room:
                self._make_room(now)
            self._counts[key] = [amount, now + expiry]
            return amount

    def _make_room(self, now: float) -> None:
        counts = {key: entry for key, entry in self._counts.items() if entry[1] > now}
        if len(counts) > self._most // 2:
            counts = dict(islice(counts.items(), len(counts) - self._most // 2, None))
        self._counts = counts
        # Twice the number in use: the cost of a pass over all is spread over as many new ones.
        self._room = min(self._most, max(_FEW_KEYS, 2 * len(counts)))

    def get(self, key: str) -> int:
        entry = self._counts.get(key)
        return int(entry[0]) if entry is not None and entry[1] > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """The Unix time at which the key's window ends; now, where there is none."""
        entry = self._counts.get(key)
        return time.time() + (max(0.0, entry[1] - time.monotonic()) if entry is not None else 0)

    def __len__(self) -> int:
        return len(self._counts)


class SharedCounts(RedisStorage):
    """Counts in Redis. While it fails, this process counts by itself, and one request a second tries Redis again."""

    def __init__(self, uri: str, silent_seconds: float = SILENT_SECONDS, **options: Any) -> None:
        """Opens no connection. `uri` is an address of Redis, whose options win over those here.

        After a failure Redis is not called for `silent_seconds`.
        """
        from redis.backoff import NoBackoff
        from redis.connection import Connection, SSLConnection
        from redis.retry import Retry

        self._local = LocalCounts()
        self._failing = False
        self._silent_seconds = silent_seconds
        self._silent_until = 0.0
        self._state = threading.Lock()
        patience = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
        kind = _bounded(SSLConnection if uri.startswith("rediss:") else Connection)
        super().__init__(uri, retry=Retry(NoBackoff(), 0), connection_class=kind, **patience, **options)  # type: ignore[arg-type]

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._call(
            lambda: super(SharedCounts, self).incr(key, expiry, amount), lambda: self._local.incr(key, expiry, amount)
        )

    def get(self, key: str) -> int:
        return self._call(lambda: super(SharedCounts, self).get(key), lambda: self._local.get(key))

    def get_expiry(self, key: str) -> float:
        """The Unix time at which the key's window ends; now, where there is none."""
        return self._call(lambda: self._expiry(key), lambda: self._local.get_expiry(key))

    def _expiry(self, key: str) -> float:
        # Rounded up to the millisecond: a caller that waits for `Retry-After` must not come too early.
        redis: Any = self.get_connection(readonly=True)
        milliseconds: int = redis.pttl(self.prefixed_key(key))
        return time.time() + max(0, milliseconds) / 1000

    def _call(self, redis: Callable[[], Found], local: Callable[[], Found]) -> Found:
        if not self._may_call_redis():
            return local()
        try:
            found = redis()
        except Exception as error:
            self._failed(error)
            return local()
        if self._failing:
            self._failing = False
            log.warning("requests are counted in Redis again")
        return found

    def _may_call_redis(self) -> bool:
        if not self._failing:
            return True
        with self._state:
            now = time.monotonic()
            if now < self._silent_until:
                return False
            self._silent_until = now + self._silent_seconds  # one thread tries, the others do not wait for it
            return True

    def _failed(self, error: Exception) -> None:
        with self._state:
            now = time.monotonic()
            first = not self._failing
            # Later failures of calls that began before the first failure are not logged again.
            self._failing, self._silent_until = True, now + self._silent_seconds
        if first:
            # Not the error's text: it can contain the address with a password.
            log.warning("requests are counted by each worker alone: Redis failed with %s", type(error).__name__)


def _bounded(kind: Any) -> Any:
    """A class of Redis connections that first resolve the host's name within a time limit."""

    class Bounded(kind):  # type: ignore[misc]
        def connect(self) -> None:
            # The pool calls this ahead of each command. Its own look-up, which has no time-out, comes right after one
            # that was answered.
            if not self.is_connected:
                _names.addresses(self.host, self.port, PATIENCE_SECONDS)
            super().connect()

    return Bounded
