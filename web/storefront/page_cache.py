"""Pages that many look at: each is made at most once a second, however many ask for it.

A page is made with gaps for what differs from visitor to visitor. To fill them takes no template.
"""

import gzip
import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property

from markupsafe import Markup, escape

_SECONDS = 1.0
# While one thread makes a page anew, or fails to, the others send the last one for so long.
_STALE_SECONDS = 10.0
_PAGES = 256
_GAP = re.compile("\0([a-z_]+)\0")


def gap(name: str) -> Markup:
    """Where the visitor's own value will stand in a page."""
    return Markup(f"\0{name}\0")  # noqa: S704  # a constant of ours


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


class _Entry:
    def __init__(self) -> None:
        self.making = threading.Lock()
        self.page: MadePage | None = None
        self.made_at = 0.0

    def age(self) -> float:
        return time.monotonic() - self.made_at


class PageCache:
    """Made pages by key, the most lately used ones. Shared by all threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], str]) -> MadePage:
        """The page of `key`, at most a second old unless it is being made. Raises what `make` raises."""
        entry = self._entry(key)
        page = entry.page
        if page is not None and entry.age() < _SECONDS:
            return page
        may_wait = page is None or entry.age() >= _STALE_SECONDS
        if not entry.making.acquire(blocking=may_wait):
            assert page is not None
            return page
        try:
            if entry.page is None or entry.age() >= _SECONDS:
                # Its age counts from before it was read.
                began = time.monotonic()
                entry.page, entry.made_at = MadePage(make()), began
            return entry.page
        finally:
            entry.making.release()

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > _PAGES:
                self._entries.popitem(last=False)
            return entry
