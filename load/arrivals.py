"""`make load ARRIVALS=500/s`: buyers who come at a given rate, however long the service takes to answer.

An open model: nobody waits for somebody else's answer before they come, and each latency is counted from the moment at
which the buyer was due, not from when their request could be sent. So a service that stalls is seen to stall: a loop of
requests would send less meanwhile, and leave out what hurt (coordinated omission).
"""

import asyncio
import json
import random
import sys
import time
import uuid
from collections import Counter
from urllib.parse import urlsplit

import uvloop

import config
from core.tokens import Tokens
from load.connections import Answer, Connections, Lost
from load.options import Options
from load.sale import Sale
from load.slow_connections import allow_descriptors
from load.tally import ACCEPTED, FAILED, LIMITED, REPLAYED, RunCounts, outcome

# Requests without an answer at one time. Who comes beyond is dropped, and counted as such: it is not made to wait.
MOST_OPEN = 2000
# Seconds that somebody waits for an answer.
PATIENCE_SECONDS = 35
# Whoever sets out so much later than due came too late because of this program: it, or the host, was too slow.
LATE_SECONDS = 0.1
DROPPED = "dropped"
LATE = "late"
LOST = "no answer"


class Arrivals:
    """One run: each buyer comes once, presses the button once, and goes."""

    def __init__(self, options: Options, goods_id: int, tokens: Tokens) -> None:
        parts = urlsplit(options.url)
        self.tally = RunCounts()
        self.generator: Counter[str] = Counter()  # buyers sent late or not at all, and answers lost
        self.due = 0
        self._options = options
        self._tokens = tokens
        self._path = f"/seckill/{goods_id}"
        self._connections = Connections(parts.hostname or "", parts.port or 80)
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Let buyers come for the seconds of the options, then wait for the last answers."""
        began = time.monotonic()
        due = 0.0
        # Independent buyers come with exponential gaps: two at once now and then, and nobody for a while.
        while (due := due + random.expovariate(self._options.arrivals)) < self._options.seconds:
            ahead = began + due - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            elif self.due % 64 == 0:
                await asyncio.sleep(0)  # late: answers are to be read all the same
            self.come(began + due)
        await self.finish()

    async def finish(self) -> None:
        """Wait for the last answers, and close the connections."""
        if self._open:
            await asyncio.wait(self._open)
        await self._connections.close()

    def come(self, due: float) -> None:
        """Let a buyer come who was due at `due` (`time.monotonic`)."""
        self.due += 1
        if len(self._open) >= MOST_OPEN:
            self.generator[DROPPED] += 1
            return
        self.generator[LATE] += time.monotonic() - due > LATE_SECONDS
        task = asyncio.create_task(self._buy(due))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _buy(self, due: float) -> None:
        buyer = uuid.uuid4().hex
        headers = {
            "Authorization": f"Bearer {self._tokens.issue(f'load-{buyer}', hours=1)}",
            "Idempotency-Key": buyer,
            "Content-Type": "application/json",
        }
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._connections.post(self._path, headers, b'{"quantity": 1}')
        except (Lost, TimeoutError):
            self.generator[LOST] += 1
            return
        self.tally.time("buy", (time.monotonic() - due) * 1000)
        self._count(answer)

    def _count(self, answer: Answer) -> None:
        code = None
        if answer.status >= 400 and "json" in answer.headers.get("content-type", ""):
            code = json.loads(answer.body).get("code")
        # The first request of a key can be a replay where it was sent twice: the order is the buyer's, once.
        found = outcome(answer.status, code, answer.headers.get("idempotent-replayed") == "true")
        self.tally.outcomes[ACCEPTED if found == REPLAYED else found] += 1
        self.tally.limited += code == LIMITED
        if found == FAILED:
            self.tally.complain(f"a purchase was answered {answer.status} {code or ''}".rstrip())

    def report(self, stock: int, sold: int) -> str:
        """What became of all who were due, for people to read."""
        seconds = self._options.seconds
        answered = self.tally.outcomes.total()
        generator = self.generator
        return "\n".join(
            [
                self.tally.summary(stock, sold),
                "",
                f"{self.due} buyers were due in {seconds} s, {self._options.arrivals:g} a second asked for",
                f"{answered:10}  answered, {answered / seconds:.1f} a second",
                f"{generator[LOST]:10}  got no answer",
                f"{generator[DROPPED]:10}  dropped: {MOST_OPEN} requests were open already",
                f"{generator[LATE]:10}  set out over {LATE_SECONDS * 1000:g} ms late:"
                " this program or its host was too slow",
            ]
        )


def main(options: Options) -> int:
    """Returns 0 if all adds up, and everybody was let in and answered; else 1."""
    allow_descriptors(MOST_OPEN + 200)
    tokens = Tokens(config.load().SECRET_KEY)
    try:
        sale = Sale(options, tokens)
    except (RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
    run = Arrivals(options, sale.goods_id, tokens)
    uvloop.run(run.run())
    sold = sale.sold()
    print(run.report(options.stock, sold), flush=True)
    everybody_answered = run.tally.outcomes.total() == run.due
    return 1 if not everybody_answered or run.tally.verdict(options.stock, sold) else 0
