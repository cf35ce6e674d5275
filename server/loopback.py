"""Requests to this very host stay on it, whatever proxy the environment names."""

import os

# As curl, urllib and requests read them; the last one for all of 127.0.0.0/8 by those who know it.
_NAMES = ("localhost", "127.0.0.1", "::1", "127.0.0.0/8")


def reach_directly() -> None:
    """Let this process, and those that it starts, use no proxy for what is on this host."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if given.strip() == "*":
        return
    names = [name for name in given.replace(",", " ").split() if name not in _NAMES]
    # Both spellings: some read the one first, some the other.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*names, *_NAMES])
