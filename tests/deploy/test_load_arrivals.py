"""Buyers who come at a rate: none waits for another's answer, and whoever is not answered is counted."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from config import ROOT
from core.tokens import Tokens
from harness.service import SECRET, Service
from load import arrivals
from load.arrivals import DROPPED, LATE, LOST, Arrivals
from load.options import MAX_ARRIVALS, parse

SOLD_OUT = b'{"code": "sold_out"}'
REFUSAL = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(SOLD_OUT),
    SOLD_OUT,
)
Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def serve(act: Act, drive: Callable[[int], Awaitable[None]]) -> None:
    """A server that reads requests and lets `act` answer them, while `drive` runs with its port."""

    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
                await act(writer)
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        await drive(server.sockets[0].getsockname()[1])
        await asyncio.gather(*handling)  # type: ignore[arg-type]


def run_against(act: Act, rate: str = "200/s", drive: Callable[[Arrivals], Awaitable[None]] | None = None) -> Arrivals:
    made: list[Arrivals] = []

    async def one(port: int) -> None:
        options = parse(["--host", f"http://127.0.0.1:{port}", "--seconds", "1", "--arrivals", rate], {})
        made.append(Arrivals(options, 1, Tokens(SECRET)))
        await (drive(made[0]) if drive else made[0].run())

    asyncio.run(serve(act, one))
    return made[0]


def test_a_run_stops_by_itself_and_adds_up(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    more = {"HOST": service.url, "ARRIVALS": "40/s", "SECONDS": "2", "STOCK": "20"}
    ended = subprocess.run(
        [sys.executable, "-m", "load"],
        cwd=ROOT,
        env=service.environment | more,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    (due,) = re.findall(r"^(\d+) buyers were due in 2 s, 40 a second asked for$", ended.stdout, flags=re.MULTILINE)
    (answered,) = re.findall(r"^ +(\d+)  answered", ended.stdout, flags=re.MULTILINE)
    assert int(due) == int(answered) > 20
    assert "sold 20 of 20, 20 accepted" in ended.stdout
    assert re.search(r"p50 ms .*p99 ms\nbuy +\d+ +[\d.]+", ended.stdout)


def test_nobody_waits_for_somebody_else_s_answer() -> None:
    waiting: list[asyncio.StreamWriter] = []

    async def answer_twenty_together(writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        if len(waiting) == 20:
            for each in waiting:
                each.write(REFUSAL)
        elif len(waiting) > 20:
            writer.write(REFUSAL)

    run = run_against(answer_twenty_together)
    assert run.due >= 20
    assert run.tally.outcomes == {"sold_out": run.due}


def test_a_latency_begins_when_the_buyer_was_due() -> None:
    async def refuse(writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSAL)

    async def come_late(run: Arrivals) -> None:
        run.come(time.monotonic() - 5)
        await run.finish()

    run = run_against(refuse, drive=come_late)
    assert run.tally.latencies["buy"][0] >= 5000
    assert run.generator[LATE] == 1


def test_who_finds_too_many_before_them_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST_OPEN", 5)
    held: list[asyncio.StreamWriter] = []

    async def hold(writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async def run_and_let_go(run: Arrivals) -> None:
        running = asyncio.create_task(run.run())
        while run.generator[DROPPED] < 10 or len(held) < 5:
            await asyncio.sleep(0.01)
        for writer in held:
            writer.write(REFUSAL)
            writer.close()
        monkeypatch.setattr(arrivals, "MOST_OPEN", 0)
        await running

    run = run_against(hold, drive=run_and_let_go)
    assert run.tally.outcomes == {"sold_out": 5}
    assert run.generator[DROPPED] == run.due - 5
    assert f"{run.generator[DROPPED]:10}  dropped" in run.report(stock=1, sold=0)


def test_who_gets_no_answer_is_counted() -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    run = run_against(hang_up)
    assert run.generator[LOST] == run.due > 0
    assert not run.tally.outcomes


def test_a_kept_connection_that_was_closed_loses_no_buyer() -> None:
    async def answer_and_hang_up(writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSAL)  # without `Connection: close`
        await writer.drain()
        writer.close()

    run = run_against(answer_and_hang_up)
    assert run.tally.outcomes == {"sold_out": run.due}


def test_a_rate_has_bounds() -> None:
    assert parse(["--arrivals", "500/s"], {}).arrivals == 500
    given = parse([], {"ARRIVALS": "0.5"})
    assert given.arrivals == 0.5
    assert parse([], given.as_environment()) == given
    for wrong in ("fast", "0", "-1/s", "1e3", "500/m", f"{MAX_ARRIVALS + 1}/s"):
        with pytest.raises(SystemExit):
            parse(["--arrivals", wrong], {})
    with pytest.raises(SystemExit):
        parse(["--arrivals", "2000/s", "--seconds", "600"], {})
