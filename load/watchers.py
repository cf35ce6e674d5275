"""What open pages cost the service: processor time of a thousand of them that watch one item.

    python -m load.watchers [pages]            needs node; takes about a quarter of an hour, and stops by itself

Each page is the real client (web/client/) with a connection of its own, at a service of its own with two workers.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import serve
from bench.cpu import seconds, tree
from harness.service import Service
from load.slow_connections import allow_descriptors
from server.loopback import reach_directly

PAGES = 1000
MOST_PAGES = 5000
SECONDS = 120  # the longest that a page of a sale that is near or runs waits between two requests
IDLE_SECONDS = 20
GOAL_PERCENT = 5.0  # of one core
Counts = dict[str, int]


class Kind(NamedTuple):
    """A sale, and when its pages are looked at: seconds after they were opened, and what that is called."""

    starts_in: timedelta | None
    windows: Mapping[int, str]


# One unit a second is bought in a sale that runs, so that there is something new to send.
KINDS = (
    # Far from the start pages poll once in two minutes: by then all have begun to.
    Kind(timedelta(minutes=30), {160: "starts in half an hour"}),
    Kind(timedelta(seconds=170), {15: "starts in two minutes"}),
    Kind(timedelta(seconds=100), {15: "starts in the middle of it"}),
    Kind(None, {5: "runs, in the first two minutes", 460: "runs, nobody at the page for five minutes"}),
)
_PROGRAM = Path(__file__).with_suffix(".js")


def measure(service: Service, goods_id: int, pages: int, windows: Sequence[int]) -> Iterator[tuple[float, Counts]]:
    """The share of one core, in percent, that the service takes with so many pages open, and what the pages counted.

    Once for each of `windows`: seconds since the pages were opened.
    """
    command = ["node", str(_PROGRAM), service.url, str(goods_id), str(pages), str(SECONDS), *map(str, windows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # the words are ours
        assert process.stdout is not None
        try:
            for _ in windows:
                process.stdout.readline()
                used, began = seconds(tree(service.process.pid)), time.monotonic()
                counted = json.loads(process.stdout.readline())
                yield 100 * (seconds(tree(service.process.pid)) - used) / (time.monotonic() - began), counted
        finally:
            process.kill()  # whoever interrupts this leaves no pages open


def idle(service: Service) -> float:
    """The same with no page open."""
    used, began = seconds(tree(service.process.pid)), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return 100 * (seconds(tree(service.process.pid)) - used) / (time.monotonic() - began)


def report(service: Service, pages: int, write: Callable[[str], None]) -> float:
    """Measure one kind of sale after the other; returns the largest share that the pages took."""
    write(f"what {pages} pages cost more than none, each for {SECONDS} s:")
    write(f"{'the sale':44}{'requests/s':>12}{'304':>8}{'failed':>8}{'% of a core':>13}{'without pages':>15}")
    most = 0.0
    for kind in KINDS:
        ahead = {} if kind.starts_in is None else {"starts_at": _from_now(kind.starts_in)}
        goods_id = service.create_goods(stock=10_000, **ahead)
        with _Purchases(service, goods_id, kind.starts_in is None):
            alone = idle(service)
            measured = measure(service, goods_id, pages, list(kind.windows))
            for name, (share, counted) in zip(kind.windows.values(), measured, strict=True):
                most = max(most, share - alone)
                requests = max(1, counted["requests"])
                write(
                    f"{name:44}{requests / SECONDS:12.1f}{100 * counted['unchanged'] / requests:7.0f}%"
                    f"{counted['failed']:8}{share - alone:13.1f}{alone:15.1f}"
                )
    return most


def _from_now(ahead: timedelta) -> str:
    return (datetime.now(timezone.utc) + ahead).isoformat()


class _Purchases:
    """One unit a second, while the `with` block runs."""

    def __init__(self, service: Service, goods_id: int, wanted: bool) -> None:
        self._buy = lambda: service.buy(goods_id, "buyer")
        self._wanted = wanted
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while self._wanted and not self._done.wait(1):
            self._buy()


def main() -> int:
    """Returns 0 if the goal is met."""
    reach_directly()
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else PAGES
    if not 1 <= pages <= MOST_PAGES:
        sys.exit(f"error: from 1 to {MOST_PAGES} pages")
    allow_descriptors(2 * pages + 200)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watchers-")))
        service = Service(
            f"sqlite:///{folder / 'watched.db'}", folder / "service.log", workers=serve.WORKERS, threads=serve.THREADS
        )
        stack.callback(service.stop)
        most = report(service, pages, lambda line: print(line, flush=True))
    print(f"they take at most {most:.1f} % of one core; the goal for {PAGES} pages is {GOAL_PERCENT:g} %")
    return 0 if most <= GOAL_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
