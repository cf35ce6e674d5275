"""One run: a contender, a load, and what came of both."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import cpu, wrk
from bench.contenders import Contender, Verdict
from bench.wrk import Answers, Load

# Requests that go ahead of each run, unmeasured: connections are opened, plans and caches filled.
WARM_UP_REQUESTS = 300
WARM_UP_SECONDS = 8
_OK = ("200", "201", "304")


@dataclass(frozen=True)
class Run:
    """What one run came to. Counts are of answers and stand apart: none is part of another.

    `accepted` were bought (of reads: answered), `refused` had a refusal of the contract, `busy` were answered
    503 busy, `failed` had anything else or a broken connection, `unanswered` were sent and had no answer by the end,
    `never_sent` were due and not sent. `per_second` is the rate of `accepted`, or of `refused` where refusals are what
    is measured. Latencies are in seconds, `cpu` is in microseconds for each such answer.
    """

    scenario: str
    name: str
    contender: str
    round: int
    connections: int
    seconds: float
    per_second: float
    accepted: int
    refused: int
    busy: int
    failed: int
    unanswered: int = 0
    never_sent: int = 0
    codes: dict[str, int] | None = None
    latency: dict[str, float] | None = None
    wrk_latency: dict[str, float] = field(default_factory=dict)
    lateness: dict[str, float] | None = None
    sold_out_after: float | None = None
    answered_after: float | None = None
    cpu: dict[str, float] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def void(self) -> bool:
        return bool(self.problems)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def warm_up(contender: Contender, load: Load, tokens: Path) -> None:
    """Send some of `load`, each item once at least."""
    total = max(WARM_UP_REQUESTS, load.items)
    spread = "turn" if load.items > 1 else "one"
    ahead = replace(load, kind="burst", spread=spread, total=total, seconds=WARM_UP_SECONDS, timed=False)
    wrk.run(ahead, contender.port, load.tokens or tokens, wrk.unique_name())
    contender.settle()


def measure(
    contender: Contender,
    load: Load,
    tokens: Path,
    labels: tuple[str, str, int],
    count_refused: bool = False,
    beside: Load | None = None,
) -> Run:
    """Put `load` on `contender` and hold what came back against its books. `labels` are scenario, name and round.

    Of a load `beside` it the run has the latencies alone, in `told`, a key of stored results.
    """
    before = contender.state()
    server, database = contender.server_pids(), contender.database_pids()
    began = cpu.seconds(server), cpu.seconds(database)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(wrk.run, beside, contender.port, tokens, wrk.unique_name()) if beside else None
        answers = wrk.run(load, contender.port, load.tokens or tokens, wrk.unique_name())
        others = other.result() if other else None
    used = {
        "server": cpu.seconds(server) - began[0],
        "database": cpu.seconds(database) - began[1],
        "client": answers.cpu_seconds,
    }
    contender.settle()
    verdict = contender.judge(before, contender.state(), *_together(load, answers, beside, others))
    details = dict(verdict.details) | ({"beside": others.latency} if others else {})
    counts = _counts(answers, verdict)
    counted = counts["refused"] if count_refused else counts["accepted"]
    due = round(load.rate * answers.seconds) if load.kind == "open" else answers.sent
    scenario, name, number = labels
    return Run(
        scenario,
        name,
        contender.name,
        number,
        load.connections,
        round(answers.seconds, 3),
        round(counted / answers.seconds, 1),
        **counts,
        unanswered=max(0, answers.sent - answers.answered) if answers.sent is not None else 0,
        never_sent=max(0, due - answers.sent) if due is not None and answers.sent is not None else 0,
        codes=answers.codes,
        latency=answers.latency,
        wrk_latency=answers.wrk_latency,
        lateness=answers.lateness,
        sold_out_after=answers.sold_out_after,
        answered_after=answers.answered_after,
        cpu={side: round(seconds / counted * 1e6, 1) for side, seconds in used.items()} if counted else {},
        told=details,
        problems=verdict.problems,
    )


def _together(load: Load, answers: Answers, beside: Load | None, others: Answers | None) -> tuple[Load, Answers]:
    """Both loads as one, for the books."""
    if beside is None or others is None:
        return load, answers
    codes = Counter(answers.codes) + Counter(others.codes)
    both = replace(
        answers, answered=answers.answered + others.answered, not_ok=answers.not_ok + others.not_ok, codes=codes
    )
    return replace(load, connections=load.connections + beside.connections), both


def _counts(answers: Answers, verdict: Verdict) -> dict[str, int]:
    broken = answers.socket_errors + answers.timeouts
    if answers.codes is None:
        # wrk counts good answers and others alone; which others these were, the contender's books know.
        busy = min(verdict.busy, answers.not_ok)
        refused = min(verdict.refused, answers.not_ok - busy)
        failed = answers.not_ok - busy - refused + broken
        return {"accepted": answers.answered - answers.not_ok, "refused": refused, "busy": busy, "failed": failed}

    def of(*statuses: str) -> int:
        return sum(number for code, number in (answers.codes or {}).items() if code[:3] in statuses)

    accepted, refused, busy = of(*_OK), of("409"), of("503")
    failed = answers.answered - accepted - refused - busy + broken
    return {"accepted": accepted, "refused": refused, "busy": busy, "failed": failed}


def pause() -> None:
    """Let what a run has left to do in the background be done before the next."""
    time.sleep(0.1)
