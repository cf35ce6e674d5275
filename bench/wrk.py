"""The load generator: wrk with the scripts in lua/, and the results it prints at its end."""

import json
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "lua"
# Seconds after which wrk counts a request as timed out; the service answers long before.
TIMEOUT = 10
# Users whose tokens are made ahead.
USERS = 10_000


@dataclass(frozen=True)
class Load:
    """What is sent. `seconds` bounds every kind of load.

    `kind` is the script: closed (each connection sends when it has its answer), open (`rate` requests a second are due)
    or burst (`total` requests at once). `timed` has a closed load look at every answer. `items` ids begin at `first`;
    `spread` chooses the next: one, even, turn or zipf. `key` is none, new or won. `tokens` has the tokens of `users`
    users, one a line, where they are not the usual ones. `body` is that of every purchase, and `type` its type.
    """

    first: int = 1
    items: int = 1
    spread: str = "one"
    key: str = "new"
    users: int = USERS
    method: str = "POST"
    header: str = ""
    kind: str = "closed"
    connections: int = 64
    seconds: float = 2.0
    timed: bool = False
    rate: float = 0.0
    total: int = 0
    tokens: Path | None = None
    body: str = '{"quantity":1}'
    type: str = "application/json"


@dataclass(frozen=True)
class Answers:
    """What came of a load. Times are in seconds; `codes` counts by status and problem code, where it was looked at."""

    seconds: float
    answered: int
    not_ok: int
    socket_errors: int
    timeouts: int
    cpu_seconds: float
    codes: dict[str, int] | None = None
    latency: dict[str, float] | None = None
    wrk_latency: dict[str, float] = field(default_factory=dict)
    lateness: dict[str, float] | None = None
    sent: int | None = None
    sold_out_after: float | None = None
    answered_after: float | None = None


class LoadFailed(Exception):
    """wrk itself failed; the text is its output."""


def run(load: Load, port: int, tokens: Path, name: str) -> Answers:
    """Put `load` on the loopback interface's `port` and wait for its end. `name` makes its idempotency keys its own."""
    options: dict[str, Any] = {
        "method": load.method,
        "host": f"127.0.0.1:{port}",
        "first": load.first,
        "items": load.items,
        "spread": load.spread,
        "tokens": tokens,
        "users": load.users,
        "key": load.key,
        "body": load.body,
        "type": load.type,
        "run": name,
        "timed": int(load.timed),
        "rate": load.rate,
        "total": load.total,
        "header": load.header,
    }
    command = ["wrk", "--threads", "1", "--connections", str(load.connections)]
    # wrk takes whole seconds.
    command += ["--duration", f"{max(1, round(load.seconds))}s", "--timeout", f"{TIMEOUT}s"]
    command += ["--script", f"{load.kind}.lua", f"http://127.0.0.1:{port}/", "--"]
    command += [f"{option}={value}" for option, value in options.items() if value != ""]
    before = _children_seconds()
    process = subprocess.Popen(command, cwd=SCRIPTS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=load.seconds + 30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    lines = [line.removeprefix("RESULT ") for line in output.splitlines() if line.startswith("RESULT ")]
    if process.returncode != 0 or not lines:
        raise LoadFailed(output[-2000:])
    return _answers(json.loads(lines[-1]), _children_seconds() - before)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _answers(result: dict[str, Any], cpu_seconds: float) -> Answers:
    def times(name: str) -> dict[str, float] | None:
        return {key: round(value / 1e6, 6) for key, value in result[name].items()} if name in result else None

    def count(name: str) -> int | None:
        return int(result[name]) if name in result else None

    return Answers(
        seconds=result["microseconds"] / 1e6,
        answered=int(result["answered"]),
        not_ok=int(result["not_ok"]),
        socket_errors=int(result["socket_errors"]),
        timeouts=int(result["timeouts"]),
        cpu_seconds=cpu_seconds,
        codes={name: int(number) for name, number in result["codes"].items()} if "codes" in result else None,
        latency=times("latency"),
        wrk_latency=times("wrk_latency") or {},
        lateness=times("lateness"),
        sent=count("sent"),
        sold_out_after=result["sold_out_after"] / 1e6 if "sold_out_after" in result else None,
        answered_after=result["answered_after"] / 1e6 if "answered_after" in result else None,
    )


def unique_name() -> str:
    """A name for a load, unlike any other."""
    return f"{time.time_ns():x}"
