"""A process that may have no more threads, as where its container limits their number."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Within it every start of a thread fails, as the interpreter says it; those that run go on."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield
