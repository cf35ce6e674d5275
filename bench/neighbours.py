"""Ours beside what could be in its way: a flooded item, slow clients, a console, and the other kind of server."""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import requests

from bench.measure import Run
from bench.ours import Ours
from bench.servers import DATABASES
from bench.stage import Stage
from bench.trial import CONNECTIONS, Trial
from bench.wrk import Load
from core.tokens import Tokens
from harness.service import SECRET
from load.slow_connections import Sizes, SlowConnections

FLOOD_CONNECTIONS = 128
QUIET_CONNECTIONS = 2
SLOW = Sizes(slow_bodies=64, idle=1000)
BUYER_CONNECTIONS = 16
_LOOK_SECONDS = 1.0  # as web/console/views/live.js


def flooded() -> list[Trial]:
    """Everybody wants one item, and a few buy another one."""

    def measure(stage: Stage, number: int) -> Run:
        ours = stage.ours()
        first = ours.put_up(items=2)
        flood = Load(first=first, connections=FLOOD_CONNECTIONS, timed=True, seconds=stage.options.seconds)
        quiet = replace(flood, first=first + 1, connections=QUIET_CONNECTIONS)
        stage.warm_up(ours, replace(flood, items=2))
        return stage.measure(ours, flood, ("flooded", "flooded item", number), beside=quiet)

    return [Trial("flooded", "flooded item", measure)]


def slow_clients() -> list[Trial]:
    """Purchases on few connections, alone and beside clients that send slowly or nothing, without a proxy."""

    def of(name: str, connect: Callable[[Ours, int], SlowConnections] | None) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours()
            first = ours.put_up()
            load = Load(first=first, connections=BUYER_CONNECTIONS, timed=True, seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            labels = ("slow_clients", name, number)
            if connect is None:
                return stage.measure(ours, load, labels)
            with connect(ours, first) as others:
                run = stage.measure(ours, load, labels)
                if (kept := others.waiting()) != SLOW.all:
                    run = replace(run, problems=(*run.problems, f"only {kept} of {SLOW.all} clients were kept"))
                return run

        return Trial("slow_clients", name, measure)

    def slow(ours: Ours, goods_id: int) -> SlowConnections:
        headers = {"Authorization": f"Bearer {Tokens(SECRET).issue('dawdler')}"}
        return SlowConnections(("127.0.0.1", ours.port), SLOW, f"/seckill/{goods_id}", headers)

    return [of("alone", None), of("beside them", slow)]


class _Console:
    """Asks for the live figures of all items once a second, as an open console does, while the `with` block runs."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/live"
        self._headers = {"Authorization": f"Bearer {Tokens(SECRET).issue('operator', is_admin=True)}"}
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self.answers: list[int | str] = []

    def __enter__(self) -> "_Console":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._thread.join()

    def _look_on(self) -> None:
        with requests.Session() as session:
            while not self._leave.is_set():
                try:
                    status: int | str = session.get(self._url, headers=self._headers, timeout=20).status_code
                except requests.RequestException as error:
                    status = type(error).__name__
                self.answers.append(status)
                self._leave.wait(_LOOK_SECONDS)


def watched() -> list[Trial]:
    """Purchases of one hot item, with and without an operator who watches them."""

    def of(name: str, has_console: bool) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            # A worker goes on reading for a while after the console has left: each has a service of its own.
            ours = stage.ours("ours_watched" if has_console else "ours")
            load = Load(first=ours.put_up(), connections=CONNECTIONS, seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            labels = ("watched", name, number)
            if not has_console:
                return stage.measure(ours, load, labels)
            with _Console(ours.url) as console:
                run = stage.measure(ours, load, labels)
            if set(console.answers) != {200}:
                run = replace(run, problems=(*run.problems, f"the console was answered {set(console.answers)}"))
            return run

        return Trial("watched", name, measure)

    return [of("nobody looks", False), of("a console", True)]


def servers() -> list[Trial]:
    """The same on each kind of server: purchases of one hot item, and reads of its live state."""

    def on(kind: str, method: str) -> Trial:
        name = f"{kind}, {'purchases' if method == 'POST' else 'reads'}"

        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours(f"ours_on_{kind}", kind=kind)
            connections = stage.connections.get("ours", CONNECTIONS)
            load = Load(first=ours.put_up(), method=method, connections=connections, seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("servers", name, number))

        return Trial("servers", name, measure)

    return [on(kind, method) for method in ("POST", "GET") for kind in DATABASES]
