"""Keeps the workers running: replaces each that dies, however often, and drains the host before it stops.

Its signals are blocked, and it takes them one by one where it waits. So none is lost, and none comes in between,
whatever it is at. Workers inherit that: one that is still starting loses none either.
"""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from click import ClickException

from core.ops.host_memory import HostMemory

_WATCH_SECONDS = 0.25
# A worker that ends sooner, or before it took requests, has failed at its start: the next try waits, each time longer.
_FAILED_WITHIN_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
# So many tries of each worker, if none ever came up: then the service itself ends.
_TRIES = 5

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

log = logging.getLogger("seckill.server")


def hold_signals() -> None:
    """Keep signals waiting for `Supervisor.run`. To be called before this process has a thread that could take one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGCHLD})


class CannotServe(ClickException):
    """Why the service ends although nobody stopped it, in one line."""


class Process(Protocol):
    """A worker's process: of multiprocessing's, what the supervisor uses."""

    @property
    def pid(self) -> int | None: ...
    @property
    def exitcode(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...


@dataclass
class _Place:
    """One of the workers that are to run, with its part of the host's memory. `process` is None between two workers."""

    part: int
    process: Process | None = None
    born: float = 0.0
    failures: int = 0  # failed starts in a row
    next_try: float = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next worker may start here."""
        if not self.failures:
            return 0.0
        return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self.failures - 1, 20))


class Supervisor:
    """Runs the workers of a host, one for each part of its memory, until a signal says to stop."""

    def __init__(
        self,
        host: HostMemory,
        start: Callable[[int], Process],
        drain_seconds: float,
        stop_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`start` begins the process of a worker, given the number of its part of the host's memory.

        On SIGTERM the host drains for `drain_seconds`. A worker that does not stop is killed after `stop_seconds`.
        """
        self._host = host
        self._start = start
        self._drain_seconds = drain_seconds
        self._stop_seconds = stop_seconds
        self._clock = clock
        self._places = [_Place(number) for number in range(len(host.parts))]
        self._came_up = False

    def run(self) -> None:
        """Serve until a signal. Raises CannotServe when no worker ever came up, or this process itself has a fault.

        However it ends, the workers have ended: nobody would replace or stop them. `hold_signals` was called before.
        """
        signals = _heard()
        try:
            stopped_by = self._watch(signals)
            if stopped_by == signal.SIGTERM and self._drain_seconds:
                self._drain(signals)
        except CannotServe:
            raise
        except Exception as error:
            log.exception("the supervisor failed, and the service ends: %s", type(error).__name__)
            raise CannotServe("the supervisor failed; the log says why") from error
        finally:
            self._stop()

    def _watch(self, signals: set[signal.Signals]) -> int:
        """Keep the workers running until one of `signals`, which is returned."""
        while True:
            self.replace_dead()
            self._came_up = self._came_up or any(part.started for part in self._host.parts)
            if not self._came_up and all(place.failures >= _TRIES for place in self._places):
                raise CannotServe("no worker could start; the log says why")
            # The end of a worker ends the wait as well.
            heard = signal.sigtimedwait({*signals, signal.SIGCHLD}, _WATCH_SECONDS)
            if heard is not None and heard.si_signo in signals:
                return heard.si_signo

    def _drain(self, signals: set[signal.Signals]) -> None:
        """Fail `readyz`, so that whoever balances load sends no more. Another signal ends the wait."""
        self._host.draining = True
        signal.sigtimedwait(signals, self._drain_seconds)

    def replace_dead(self) -> None:
        """Start a worker in each place without one: at once or, after a failed start, when its pause is over."""
        for place in self._places:
            if place.process is not None and not place.process.is_alive():
                self._bury(place, place.process)
            if place.process is None and self._clock() >= place.next_try:
                self._fill(place)

    def _fill(self, place: _Place) -> None:
        place.born = self._clock()
        try:
            place.process = self._start(place.part)
        except (OSError, RuntimeError) as error:  # no process can be had for now
            place.failures += 1
            place.next_try = place.born + place.pause
            log.warning("no worker can be started: %s", error)

    def _bury(self, place: _Place, process: Process) -> None:
        """Note the end of a worker, and when the next may start."""
        now = self._clock()
        part = self._host.parts[place.part]
        failed = not part.started or now - place.born < _FAILED_WITHIN_SECONDS
        part.leave()
        self._host.count_restart()
        place.process = None
        place.failures = place.failures + 1 if failed else 0
        place.next_try = now + place.pause
        told = (
            f"worker failed at its start, the next try is in {place.pause:g} s"
            if failed
            else "worker ended, starting another"
        )
        log.warning(told, extra={"pid": process.pid, "exit_code": process.exitcode})

    def _stop(self) -> None:
        """Tell the workers to stop, and kill those that do not in time."""
        running = [place.process for place in self._places if place.process is not None]
        for process in running:
            process.terminate()
        end = self._clock() + self._stop_seconds
        for process in running:
            process.join(max(0.0, end - self._clock()))
        for process in running:
            if process.is_alive():
                log.warning("a worker did not stop in time, and is killed", extra={"pid": process.pid})
                process.kill()
                process.join()


def _heard() -> set[signal.Signals]:
    """The signals that stop the service. A closed terminal does, unless SIGHUP is ignored, as `nohup` has it."""
    return {number for number in _STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
