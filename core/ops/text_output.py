"""Writes text to terminals, files and pipes that may not accept every character or byte, without losing other lines."""

import codecs
import contextlib
import os
import select
import sys
from typing import Any, TextIO

_WAIT_SECONDS = 1.0
ESCAPED = "seckill.escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that a stream cannot encode by JSON escapes: a JSON line stays valid JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    pairs = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(pairs[place : place + 2], "big") for place in range(0, len(pairs), 2))
    return "".join(f"\\u{unit:04x}" for unit in units), error.end


codecs.register_error(ESCAPED, _escape)


def escape_what_cannot_be_shown() -> None:
    """Let standard output and error accept any text, whatever the locale's encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with contextlib.suppress(OSError, ValueError):
                reconfigure(errors=ESCAPED)


def takes_everything(stream: TextIO | None) -> bool:
    """Whether `stream` is in an encoding of Unicode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def drop_what_cannot_be_written() -> None:
    """Before the process ends: a closed output is not an error of the process."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


class LineWriter:
    """Writes lines to a stream without its buffer. A line that cannot be written does not affect the others.

    Not thread-safe.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._torn = False  # whether the last line was truncated, for example by a full disk
        try:
            self._file = None if stream is None else stream.fileno()
        except (OSError, ValueError):
            self._file = None  # a stream in memory

    def write(self, lines: list[str]) -> int:
        """Write `lines`, each of which ends with a newline. What cannot be written is dropped.

        Returns how many lines were not written whole.
        """
        if self._stream is None:
            return 0
        # A log that is closed or cannot be written must not fail a request.
        if self._file is None:
            unwritten = len(lines)
            for line in lines:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(line.encode(self._encoding, ESCAPED).decode(self._encoding))
                    self._stream.flush()
                    unwritten -= 1
            return unwritten
        if self._torn and self._write(self._file, b"\n"):
            return len(lines)
        return self._write(self._file, "".join(lines).encode(self._encoding, ESCAPED)).count(b"\n")

    def _write(self, file: int, data: bytes) -> bytes:
        """Write `data`. Returns what could not be written."""
        left = memoryview(data)
        while left:
            try:
                written = os.write(file, left)
            except BlockingIOError:  # another process may have made the shared terminal or pipe non-blocking
                select.select([], [file], [], _WAIT_SECONDS)
                continue
            except OSError:
                break
            self._torn = left[written - 1] != ord("\n")
            left = left[written:]
        return bytes(left)
