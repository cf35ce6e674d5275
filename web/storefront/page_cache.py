"""Pages that many look at: each is made at most once a second, however many ask for it.

A page is made with gaps for what differs from visitor to visitor. To fill them takes no template.
"""

import gzip
import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from functools import cached_property
from typing import NamedTuple

from markupsafe import Markup, escape

from core.db.clock import deadline_of_request
from core.refusals import Busy

SECONDS = 1.0
# While one thread makes a page anew, the others send the last one for so long.
STALE_SECONDS = 10.0
PAGES = 256
FAILURES = 256
# Random, so that nothing that people typed is taken for a gap.
_MARK = secrets.token_hex(16)
_GAP = re.compile(f"\0{_MARK}:([a-z_]+)\0")


def gap(name: str) -> Markup:
    """Where the visitor's own value will stand in a page."""
    return Markup(f"\0{_MARK}:{name}\0")  # noqa: S704  # a constant of ours


class MadePage:
    """A page as it was made, its gaps still open."""

    def __init__(self, html: str) -> None:
        # Texts and names of gaps in turn.
        self._parts = _GAP.split(html)

    def filled(self, values: Mapping[str, str]) -> bytes:
        """The page of one visitor. Values are escaped."""
        parts = self._parts
        return "".join(escape(values[part]) if at % 2 else part for at, part in enumerate(parts)).encode()

    @cached_property
    def whole(self) -> bytes:
        """A page without gaps."""
        return self.filled({})

    @cached_property
    def packed(self) -> bytes:
        """The same, in gzip."""
        return gzip.compress(self.whole, 6, mtime=0)

    @cached_property
    def etag(self) -> str:
        return hashlib.sha256(self.whole).hexdigest()[:16]


class _Kept(NamedTuple):
    """A page or a failure, and when its making began (monotonic clock, seconds)."""

    what: MadePage | Exception
    began: float

    def younger_than(self, seconds: float) -> bool:
        return time.monotonic() - self.began < seconds


# What came of making a page; None for a failure that concerns the request that made it alone.
_Made = Future[MadePage | Exception | None]


class PageCache:
    """Made pages by key, the most lately used ones. Shared by all threads."""

    def __init__(
        self,
        wait_seconds: float,
        for_all: Callable[[Exception], bool] = lambda error: True,
        seconds: float = SECONDS,
        stale_seconds: float = STALE_SECONDS,
        pages: int = PAGES,
        failures: int = FAILURES,
    ) -> None:
        """A request without a deadline waits for `wait_seconds` while another makes its page.

        `for_all` returns whether an error of `make` would meet everybody who asks for the page. A page or a failure is
        sent until it is `seconds` old, a page that is being made anew until `stale_seconds`. At most `pages` and
        `failures` are kept.
        """
        self._wait_seconds = wait_seconds
        self._for_all = for_all
        self._seconds = seconds
        self._stale_seconds = stale_seconds
        self._most_pages = pages
        self._most_failures = failures
        self._pages: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._failures: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._making: dict[Hashable, _Made] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], str]) -> MadePage:
        """The page of `key`, at most `seconds` old unless it is being made.

        Raises what `make` raises, here or within the last `seconds` elsewhere, and Busy where the request's deadline
        passes while another thread makes the page.
        """
        deadline = deadline_of_request(self._wait_seconds)
        while True:
            with self._lock:
                found, making = self._kept(key), self._making.get(key)
                if found is None and making is None:
                    mine = self._making[key] = _Made()
                    break
            if found is None and making is not None:
                wait((making,), deadline.remaining())
                if not making.done():
                    raise Busy()
                found = making.result()
            if isinstance(found, MadePage):
                return found
            if found is not None:
                raise found.with_traceback(None)  # else it would gather the frames of all who raise it
        return self._make(key, mine, make)

    def _kept(self, key: Hashable) -> MadePage | Exception | None:
        """What may be sent without waiting, if there is something. Needs the lock."""
        page, failure = self._pages.get(key), self._failures.get(key)
        if page is not None:
            self._pages.move_to_end(key)
            if page.younger_than(self._stale_seconds if key in self._making else self._seconds):
                return page.what
        return failure.what if failure is not None and failure.younger_than(self._seconds) else None

    def _make(self, key: Hashable, mine: _Made, make: Callable[[], str]) -> MadePage:
        # Its age counts from before it was read.
        began = time.monotonic()
        found: MadePage | Exception | None = None
        try:
            found = MadePage(make())
            return found
        except Exception as error:
            found, began = (error, time.monotonic()) if self._for_all(error) else (None, began)
            raise
        finally:
            with self._lock:
                del self._making[key]
                # Only now: keys that lead to no page push none out.
                if isinstance(found, MadePage):
                    self._failures.pop(key, None)
                    _put(self._pages, key, _Kept(found, began), self._most_pages)
                elif found is not None:
                    _put(self._failures, key, _Kept(found, began), self._most_failures)
            mine.set_result(found)


def _put(kept: OrderedDict[Hashable, _Kept], key: Hashable, value: _Kept, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
