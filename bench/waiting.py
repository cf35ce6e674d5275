"""What requests cost that wait: processor time of a process in which they wait for an item that is stuck.

    .venv/bin/python -m bench.waiting [REQUESTS] [SECONDS]

Queues so many requests (4000) behind a batch that does not end, and prints the share of a core that the process took
over so many seconds (5).
"""

import sys
import threading
import time
from collections.abc import Sequence

from core.db.clock import Deadline
from core.purchase.batcher import Batcher
from core.purchase.decide import PurchaseRequest
from core.purchase.queue import JoinLate, PurchaseQueue


def main(requests: int = 4000, seconds: float = 5) -> None:
    released = threading.Event()

    def settle(batch: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate) -> list[str]:
        released.wait()
        return ["settled"] * len(batch)

    batcher: Batcher[str] = Batcher(
        settle, PurchaseQueue(requests, seconds), batch_max=64, workers=4, grace_seconds=10 * seconds
    )
    futures = [batcher.submit(PurchaseRequest(1, str(number)), Deadline(10 * seconds)) for number in range(requests)]
    time.sleep(1)
    began, spent = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - spent) / (time.perf_counter() - began)
    print(f"{requests} requests wait: {share:.2%} of a core")
    released.set()
    for future in futures:
        future.result(60)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
