"""What a worker needs to count its purchases, to store the counts, and to show those of all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.db.database import Database
from core.db.shares import Share
from core.live import collector, store
from core.live.board import Board, Row
from core.live.clock import KnownTime
from core.live.collector import Collector
from core.live.counter import PurchaseCounter
from core.live.live import Live
from core.ops import background_jobs
from core.ops.host_memory import HostMemory


@dataclass(frozen=True)
class Monitor:
    """Safe to share between threads."""

    live: Live
    clock: KnownTime
    collect: Callable[[], None]
    rows: Callable[[int], list[Row]]  # those of all workers of the host, from a second on
    store: Callable[[], None]
    store_seconds: float

    @classmethod
    def of(
        cls,
        database: Database,
        memory: HostMemory,
        counter: PurchaseCounter,
        waiting: Callable[[], Mapping[int, int]],
        transactions: Callable[[], Mapping[int, int]],
        clock: KnownTime | None = None,
    ) -> "Monitor":
        """`waiting` and `transactions` count those of this process by item. Opens no connection."""
        clock = clock or KnownTime()
        ours = Collector(counter, clock, Board(memory.mine.board), memory.id, waiting, transactions)

        def rows(first: int) -> list[Row]:
            others = (Board(part.board).read(first) for part in memory.parts if part is not memory.mine)
            return [*ours.rows(first), *(row for shown in others for row in shown)]

        seconds = store.SECONDS_ON_SQLITE if database.is_sqlite else store.SECONDS
        writer = store.writer(database.of(Share.JOBS), ours, clock)
        return cls(Live(database, clock, memory.id, ours.turn, rows), clock, ours.turn, rows, writer, seconds)

    def start(self) -> None:
        """Count and store from now on. To be called after the process was forked."""
        background_jobs.start("figures", collector.SECONDS, self.collect)
        background_jobs.start("stored figures", self.store_seconds, self.store)
