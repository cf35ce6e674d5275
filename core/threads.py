"""Starts threads where a process may be unable to have one more: its host or its container limits their number."""

import threading
from collections.abc import Callable
from typing import Any


def start(name: str, target: Callable[..., Any], *arguments: Any) -> threading.Thread | None:
    """Start a daemon thread. None where no thread can be started now: the caller goes on without it."""
    thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def keep(thread: threading.Thread | None, name: str, target: Callable[[], Any]) -> threading.Thread | None:
    """`thread` where it runs, else a new one: it was not started yet, has ended, or was left behind by a fork.

    None where no thread can be started now.
    """
    return thread if thread is not None and thread.is_alive() else start(name, target)
