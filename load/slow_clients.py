"""What slow and idle clients cost the others, through nginx on a MariaDB of its own.

    python -m load.slow_clients            after `make test-packages`; takes about a minute

Buys with and without slow clients, round by round, and prints the others' latencies and their ratios. What is compared
was measured seconds apart, so the host's own ups and downs fall on both.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import requests

import serve
from harness.mariadb import MariaDB
from harness.nginx import Nginx
from harness.service import Service
from load.slow_connections import Sizes, SlowConnections
from server.loopback import reach_directly

SLOW = Sizes(slow_headers=150, slow_bodies=150, idle=1000)
ROUNDS = 3
SECONDS = 5.0  # of each measurement
BUYERS = 8
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Latencies:
    """Of the purchases of one measurement: percentiles in milliseconds, purchases a second, and answers but 201."""

    p50: float
    p99: float
    rate: float
    failed: int

    @classmethod
    def of(cls, seconds: list[float], failed: int) -> "Latencies":
        cuts = statistics.quantiles(seconds, n=100)
        return cls(cuts[49] * 1000, cuts[98] * 1000, len(seconds) / SECONDS, failed)


class Buyers:
    """Buy a unit each, again and again, each over a connection of their own that they keep."""

    def __init__(self, service: Service, url: str) -> None:
        self._service = service
        self._url = url
        self.goods_id = service.create_goods(stock=10**6)

    def measure(self) -> Latencies:
        """Buy for SECONDS."""
        with ThreadPoolExecutor(BUYERS) as pool:
            runs = list(pool.map(self._buy, range(BUYERS)))
        return Latencies.of([took for times, _ in runs for took in times], sum(failed for _, failed in runs))

    def _buy(self, buyer: int) -> tuple[list[float], int]:
        times: list[float] = []
        failed = 0
        headers = self._service.headers(f"buyer-{buyer}")
        deadline = time.monotonic() + SECONDS
        with requests.Session() as session:
            while (began := time.monotonic()) < deadline:
                try:
                    answer = session.post(
                        f"{self._url}/seckill/{self.goods_id}", headers=headers, timeout=PATIENCE_SECONDS
                    )
                    failed += answer.status_code != 201
                except requests.RequestException:
                    failed += 1
                times.append(time.monotonic() - began)
        return times, failed


def measure(service: Service, nginx: Nginx, write: Callable[[str], None]) -> None:
    """Run the rounds; `write` takes each line of the report."""
    buyers = Buyers(service, nginx.url)
    buyers.measure()  # connections, caches
    write(
        f"{BUYERS} buyers, {SECONDS:g} s each; beside them: {SLOW.slow_headers} with slow headers, "
        f"{SLOW.slow_bodies} with slow bodies, {SLOW.idle} idle"
    )
    write(f"{'round':8}{'slow':8}{'p50 ms':>9}{'p99 ms':>9}{'a second':>10}{'failed':>8}")
    ratios: list[tuple[float, float]] = []
    for number in range(1, ROUNDS + 1):
        found: dict[bool, Latencies] = {}
        # Who comes first changes: whatever warms up or fills up does not always favour the same.
        for slowed in (False, True) if number % 2 else (True, False):
            found[slowed] = _measure_slowed(service, nginx, buyers) if slowed else buyers.measure()
            one = found[slowed]
            write(f"{number:<8}{'yes' if slowed else 'no':8}{one.p50:9.1f}{one.p99:9.1f}{one.rate:10.0f}{one.failed:8}")
        ratios.append((found[True].p50 / found[False].p50, found[True].p99 / found[False].p99))
    write("")
    for name, index in (("p50", 0), ("p99", 1)):
        each = [ratio[index] for ratio in ratios]
        write(
            f"{name} with slow clients / without: {statistics.median(each):.2f} "
            f"({', '.join(f'{ratio:.2f}' for ratio in each)})"
        )


def _measure_slowed(service: Service, nginx: Nginx, buyers: Buyers) -> Latencies:
    dawdler = service.headers("dawdler")
    with SlowConnections(("127.0.0.1", nginx.port), SLOW, f"/seckill/{buyers.goods_id}", dawdler) as slow:
        found = buyers.measure()
        if slow.waiting() != SLOW.all:
            raise SystemExit(f"only {slow.waiting()} of {SLOW.all} were kept: this measures something else")
        return found


def main() -> None:
    reach_directly()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slow-clients-")))
        database = MariaDB(directory / "mariadb")
        stack.callback(database.stop)
        database.start()
        service = Service(
            database.create_database("measured"),
            directory / "service.log",
            workers=serve.WORKERS,
            threads=serve.THREADS,
        )
        stack.callback(service.stop)
        nginx = Nginx(directory / "nginx", service.port)
        stack.callback(nginx.stop)
        measure(service, nginx, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
