"""Lines of the log on their way out: warnings first, whatever waits, and a count of those that are lost."""

import fcntl
import io
import logging
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from core.ops import log_output
from core.ops.log_output import GatheredLines
from harness.eventually import eventually

FLOOD = 3000
PIPE_BYTES = 4096


class Reader:
    """The reader of a log through a pipe, who may stop."""

    def __init__(self) -> None:
        self.end, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.stream = os.fdopen(write, "w", encoding="utf-8")
        self.text = ""

    def has_some(self) -> bool:
        """Whether something was written that is not read yet."""
        return bool(select.select([self.end], [], [], 0)[0])

    def read(self, until: str) -> list[str]:
        """The lines up to the one that contains `until`."""
        while until not in self.text:
            self.text += os.read(self.end, 65536).decode()
        return self.text.splitlines()


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    os.close(made.end)  # a writer that is blocked ends
    made.stream.close()


@pytest.fixture
def log_targets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[GatheredLines]]:
    """Lets the lines that it holds have what this module logs about them, as `request_log.configure` does."""
    held: list[GatheredLines] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for lines in held:
                lines.write_first(record.getMessage() + "\n")

    handler = Handler()
    log_output.log.addHandler(handler)
    yield held
    log_output.log.removeHandler(handler)


def lost(why: str) -> float:
    return REGISTRY.get_sample_value("seckill_log_lines_lost_total", {"why": why}) or 0.0


def test_a_warning_is_not_lost_behind_a_flood_that_nobody_reads(
    reader: Reader, log_targets: list[GatheredLines]
) -> None:
    lines, before = GatheredLines(reader.stream, ordinary_max=1000, at_once=100), lost("full")
    log_targets.append(lines)
    lines.write_first("begin\n")
    for number in range(FLOOD):
        lines.write(f"request {number} {'x' * 100}\n")
    lines.write_first("look at this\n")
    for number in range(FLOOD, 2 * FLOOD):
        lines.write(f"request {number} {'x' * 100}\n")
    dropped = int(lost("full") - before)
    assert dropped >= 2 * FLOOD - 1000 - 100 - 100
    written = reader.read(f"request {2 * FLOOD - 1} ")
    # Ahead of it is only what was on its way already: in the pipe, and in the piece that the pipe did not take.
    assert written.index("look at this") <= 1 + PIPE_BYTES / 100 + 100
    assert f"{dropped} lines of the log were lost" in written
    assert len([line for line in written if line.startswith("request")]) == 2 * FLOOD - dropped


def test_warnings_are_bounded_and_the_newest_are_kept(reader: Reader) -> None:
    lines, before = GatheredLines(reader.stream, urgent_max=10), lost("full")
    for number in range(FLOOD):
        lines.write_first(f"warning {number} {'x' * 100}\n")
    assert lines.waiting <= 10
    written = reader.read(f"warning {FLOOD - 1} ")
    assert len(written) == FLOOD - (lost("full") - before)


def test_lines_that_a_full_disk_does_not_take_are_counted_and_do_not_make_more_of_them(
    log_targets: list[GatheredLines],
) -> None:
    with Path("/dev/full").open("w") as full:
        lines, before = GatheredLines(full), lost("unwritten")
        log_targets.append(lines)
        for number in range(7):
            lines.write(f"{number}\n")
        lines.write_first("look at this\n")
        lines.flush()
        lines.drain(seconds=20)
        assert lost("unwritten") - before == 8


def test_the_end_of_a_process_does_not_wait_for_a_reader_that_has_stopped(reader: Reader) -> None:
    lines = GatheredLines(reader.stream)
    for number in range(FLOOD):
        lines.write(f"request {number} {'x' * 100}\n")
    lines.write_first("look at this\n")
    assert eventually(reader.has_some)
    lines.drain(seconds=0.1)
    assert lines.waiting  # it returned, though they are not written


def test_a_thread_that_adds_the_first_line_while_the_writer_falls_asleep_is_not_forgotten() -> None:
    stream = io.StringIO()
    lines = GatheredLines(stream)
    for number in range(20):
        lines.write(f"{number}\n")
        assert eventually(lambda number=number: f"{number}\n" in stream.getvalue())
