"""Whoever is measured: what the service and its peers have in common."""

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import serve
from bench import cpu
from bench.wrk import Answers, Load
from config import ROOT
from harness.database_server import free_port

# What `make run` takes where nobody says otherwise; the peers on the same server get the same.
WORKERS = serve.WORKERS
THREADS = serve.THREADS
# So high that it is checked for each purchase and never met.
PER_USER_LIMIT = 100_000
START_SECONDS = 30
SETTLE_SECONDS = 30
# Longer than the service may keep its counts of requests together before it adds them to its figures.
SETTLE_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class State:
    """What a contender has sold so far: units by its stock, rows of orders, and purchases by its own count.

    `queued` are purchases, or orders to be stored, that are still under way. `figures` are its own metrics; only it
    reads them.
    """

    units: int = 0
    rows: int = 0
    queued: int = 0
    counted: int = 0
    figures: Any = None


@dataclass(frozen=True)
class Verdict:
    """What a run came to by the contender's own books, and why it is void, if it is."""

    sold: int = 0
    busy: int = 0
    refused: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Contender(ABC):
    """A server that can be bought from: POST /seckill/<id> at `port`."""

    name: str
    port: int

    @abstractmethod
    def server_pids(self) -> list[int]:
        """The processes that answer requests."""

    def database_pids(self) -> list[int]:
        """The processes that keep the data."""
        return []

    def put_up(self, items: int = 1, stock: int = 10**8) -> int:
        """Forget all that was sold and put up new items of `stock` units each.

        Returns the first one's id; those of the others follow it.
        """
        return 1

    def state(self) -> State:
        return State()

    def settle(self) -> None:
        """Wait until requests that the generator gave up at its end are done with, and counted."""
        deadline = time.monotonic() + SETTLE_SECONDS
        last = self.state()
        while time.monotonic() < deadline:
            time.sleep(SETTLE_PAUSE_SECONDS)
            now = self.state()
            if not now.queued and (now.units, now.rows, now.counted) == (last.units, last.rows, last.counted):
                return
            last = now

    def judge(self, before: State, after: State, load: Load, answers: Answers) -> Verdict:
        """Hold the generator's counts against the contender's books."""
        return Verdict()

    @abstractmethod
    def stop(self) -> None: ...


def count_problems(sold: int, accepted: int, connections: int) -> list[str]:
    """Why `sold` units do not fit `accepted` answers.

    The generator drops at its end what is under way: one request a connection may have bought without being counted.
    """
    if sold < accepted:
        return [f"lost: {accepted} purchases were answered, {sold} are there"]
    if sold > accepted + connections:
        return [f"too many: {accepted} purchases were answered on {connections} connections, {sold} are there"]
    return []


class Program:
    """A server in a process of its own, which answers HTTP when it is ready."""

    def __init__(self, command: list[str], log: Path, port: int, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=os.environ | environment, stdout=file, stderr=file
            )
        try:
            if port:
                self._wait_until_ready(port)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=2)
                return
            except requests.RequestException:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"it did not get ready:\n{self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def pids(self) -> list[int]:
        return cpu.tree(self.process.pid)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class OnGranian(Contender):
    """An application that sells nothing, on the service's own server with its settings."""

    def __init__(self, name: str, module: str, directory: Path, threads: int = 0) -> None:
        """`threads` that answer as the service's do; without any, granian's own threads answer, by WSGI."""
        self.name = name
        self.port = free_port()
        numbers = [self.port, WORKERS, *([threads] if threads else [])]
        command = ["bench.peers.on_granian", f"bench.peers.{module}:app", *map(str, numbers)]
        self._program = Program(command, directory / f"{name}.log", self.port, {})

    def server_pids(self) -> list[int]:
        return self._program.pids()

    def stop(self) -> None:
        self._program.stop()
