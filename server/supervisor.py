"""Keeps the workers running: replaces each that dies, however often, and drains the host before it stops.

Its signals are blocked, and read by `sigtimedwait` where it waits: none is lost, and no handler interrupts it. Workers
inherit the mask, so one that is still starting loses none either.
"""

import logging
import math
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

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

log = logging.getLogger("seckill.server")


def hold_signals() -> None:
    """Keep signals waiting for `Supervisor.run`. To be called before this process has a thread that could take one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_SIGNALS, signal.SIGCHLD})


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
class _Worker:
    """One of the workers that are to run, with its part of the host's memory. Between two processes it has none."""

    part: int
    process: Process | None = None
    started_at: float = 0.0
    failures: int = 0  # failed starts in a row
    next_try: float = 0.0

    @property
    def pause(self) -> float:
        """Seconds until its next process may start."""
        if not self.failures:
            return 0.0
        return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self.failures - 1, 20))

    def ended(self, now: float, failed: bool) -> None:
        """Note that it has no process since `now`, and whether its start has failed."""
        self.process = None
        self.failures = self.failures + 1 if failed else 0
        self.next_try = now + self.pause


class Supervisor:
    """Runs the workers of a host, one for each part of its memory, until a signal to stop."""

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
        self._workers = [_Worker(number) for number in range(len(host.parts))]
        self._came_up = False

    def run(self) -> None:
        """Serve until a signal. Raises CannotServe when no worker ever came up, or this process itself has a fault.

        However it ends, the workers have ended: nobody would replace or stop them. `hold_signals` was called before.
        """
        try:
            if self._watch() == signal.SIGTERM and self._drain_seconds:
                # `readyz` fails from here on: whoever balances load sends no more. Another signal ends the wait.
                self._host.draining = True
                self._watch(self._drain_seconds)
        except CannotServe:
            raise
        except Exception as error:
            log.exception("the supervisor failed, and the service ends: %s", type(error).__name__)
            raise CannotServe("the supervisor failed; the log says why") from error
        finally:
            self._stop()

    def _watch(self, seconds: float = math.inf) -> int | None:
        """Keep the workers running until a signal that stops the service, or for `seconds`. Returns the signal."""
        # SIGHUP is ignored under `nohup`: a closed terminal is to stop nothing then.
        stop_signals = {number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self.replace_dead()
            self._came_up = self._came_up or any(part.started for part in self._host.parts)
            if not self._came_up and all(worker.failures >= _TRIES for worker in self._workers):
                raise CannotServe("no worker could start; the log says why")
            # The end of a worker ends the wait as well.
            taken = signal.sigtimedwait({*stop_signals, signal.SIGCHLD}, min(left, _WATCH_SECONDS))
            if taken is not None and taken.si_signo in stop_signals:
                return taken.si_signo
        return None

    def replace_dead(self) -> None:
        """Start each worker whose process has ended: at once or, after a failed start, when its pause is over."""
        for worker in self._workers:
            if worker.process is not None and not worker.process.is_alive():
                self.record_end(worker, worker.process)
            if worker.process is None and self._clock() >= worker.next_try:
                self._start_process(worker)

    def _start_process(self, worker: _Worker) -> None:
        worker.started_at = self._clock()
        try:
            worker.process = self._start(worker.part)
        except OSError as error:  # no process can be had for now
            worker.ended(worker.started_at, failed=True)
            log.warning("no worker can be started: %s", error)

    def record_end(self, worker: _Worker, process: Process) -> None:
        """Note the end of a worker's process, and when the next may start."""
        now = self._clock()
        part = self._host.parts[worker.part]
        failed = not part.started or now - worker.started_at < _FAILED_WITHIN_SECONDS
        part.leave()
        self._host.count_restart()
        worker.ended(now, failed)
        message = (
            f"worker failed at its start, the next try is in {worker.pause:g} s"
            if failed
            else "worker ended, starting another"
        )
        log.warning(message, extra={"pid": process.pid, "exit_code": process.exitcode})

    def _stop(self) -> None:
        """Tell the workers to stop, and kill those that do not in time."""
        running = [worker.process for worker in self._workers if worker.process is not None]
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
