"""Examines where traces go: whether somebody listens at the collector's address, or the file can be written."""

import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from config import PREFIX, Settings
from core.ops.finding import Finding, State, judge

_PORTS = {"http": 80, "https": 443}
_CONNECT_SECONDS = 3.0


def examine(settings: Settings) -> Finding:
    """Sends nothing, and writes nothing."""
    if settings.TRACES == "off":
        return Finding("traces", State.OK, "off")
    target = settings.TRACES_TO
    wrong = _unreached(target) if "://" in target else _unwritable(Path(target))
    return judge(
        "traces",
        not wrong,
        f"{settings.TRACES}, to {target}" + (f": {wrong}" if wrong else ""),
        f"check {PREFIX}TRACES_TO: docs/observability.md; until then the spans are lost, and nothing else",
        State.WARNING,
    )


def _unreached(address: str) -> str | None:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        with contextlib.closing(socket.create_connection((host, port), _CONNECT_SECONDS)):
            return None
    except (OSError, ValueError) as error:  # a name that is no name of a host is a ValueError
        return f"cannot be reached ({type(error).__name__})"


def _unwritable(path: Path) -> str | None:
    # At its full size it is renamed: the folder has to be writable too.
    fit = os.access(path.parent, os.W_OK) and (not path.exists() or (path.is_file() and os.access(path, os.W_OK)))
    return None if fit else "cannot be written"
