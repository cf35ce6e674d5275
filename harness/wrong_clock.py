"""A process whose own clock is wrong, by libfaketime; its time-outs, which are monotonic, are not."""

from collections.abc import Mapping
from pathlib import Path


def wrong_clock(seconds: int, time_zone: str) -> Mapping[str, str]:
    """The environment of a process whose clock is so many seconds ahead, or behind if negative."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        raise RuntimeError("libfaketime is not installed; `make test-packages` installs it")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "TZ": time_zone,
    }
