"""What open pages cost the service: processor time of a thousand of them that watch one item.

    python -m load.watchers [pages]            needs node; takes about three minutes, and stops by itself

Each page is the real client (web/client/) with a connection of its own, at a service of its own with two workers.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import serve
from bench.cpu import seconds, tree
from harness.service import Service
from load.crowd import allow_descriptors
from server.loopback import reach_directly

PAGES = 1000
MOST_PAGES = 5000
SECONDS = 30
GOAL_PERCENT = 5.0  # of one core
_PROGRAM = Path(__file__).with_suffix(".js")


def measure(service: Service, goods_id: int, pages: int) -> tuple[float, dict[str, int]]:
    """The share of one core, in percent, that the service takes with so many pages open; and what the pages counted."""
    command = ["node", str(_PROGRAM), service.url, str(goods_id), str(pages), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # the words are ours
        assert process.stdout is not None
        process.stdout.readline()
        used, began = seconds(tree(service.process.pid)), time.monotonic()
        counted = json.loads(process.stdout.readline())
        share = (seconds(tree(service.process.pid)) - used) / (time.monotonic() - began)
    return share * 100, counted


def idle(service: Service) -> float:
    """The same with no page open."""
    used = seconds(tree(service.process.pid))
    time.sleep(10)
    return (seconds(tree(service.process.pid)) - used) / 10 * 100


def report(service: Service, pages: int, say: Callable[[str], None]) -> float:
    """Measure one kind of sale after the other; returns the largest share."""
    now = datetime.now(timezone.utc)
    soon = (now + timedelta(minutes=9)).isoformat()
    later = (now + timedelta(days=1)).isoformat()
    alone = idle(service)
    say(f"no page open: {alone:.1f} % of one core; {pages} pages more:")
    say(f"{'the sale':28}{'requests/s':>12}{'304':>8}{'failed':>8}{'% of a core':>13}")
    most = 0.0
    for name, fields, bought in (
        ("starts in a day", {"starts_at": later}, False),
        ("starts in nine minutes", {"starts_at": soon}, False),
        ("runs, nothing is bought", {}, False),
        ("runs, one is bought a second", {}, True),
        ("is sold out", {"stock": 0}, False),
    ):
        goods_id = service.create_goods(**{"stock": 10_000, **fields})
        with _Purchases(service, goods_id, bought):
            share, counted = measure(service, goods_id, pages)
        most = max(most, share - alone)
        known = 100 * counted["unchanged"] / max(1, counted["requests"])
        say(f"{name:28}{counted['requests'] / SECONDS:12.1f}{known:7.0f}%{counted['failed']:8}{share - alone:13.1f}")
    return most


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
    print(f"at most {most:.1f} % of one core; the goal for {PAGES} pages is {GOAL_PERCENT:g} %")
    return 0 if most <= GOAL_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
