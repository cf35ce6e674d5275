"""Keeps the workers running: replaces each that dies, however often, and drains the host before it stops."""

import contextlib
import functools
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from granian.server import mp

from config import Settings
from core.ops.host_memory import HostMemory

_WATCH_SECONDS = 0.25
# A worker that ends sooner, or before it took requests, has failed at its start: the next try waits, each time longer.
_FAILED_WITHIN_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
# So many tries of each worker, if none ever came up: then the service itself ends.
_TRIES = 5

log = logging.getLogger("seckill.server")


class Wakeup:
    """What ends a wait of the main thread from a signal handler: the part of threading.Event that granian uses.

    An Event has a lock. The handler runs in the main thread itself, and where that has the lock, in `wait` or `clear`,
    it waits for itself for ever. This has none: a byte in a pipe is the flag.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def set(self) -> None:
        """End the present wait, or the next."""
        with contextlib.suppress(BlockingIOError):  # full: it is set
            os.write(self._write, b"\0")

    def clear(self) -> None:
        """Let the next wait be one."""
        with contextlib.suppress(BlockingIOError):  # empty
            while os.read(self._read, 4096):
                pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, `timeout` seconds at most. Returns whether it is."""
        return bool(select.select([self._read], [], [], timeout)[0])


class Supervisor(mp.MPServer):
    """granian's server, but it replaces dead workers however often they die, and drains before it stops.

    Its own respawn takes two deaths within 5.5 seconds for a crash loop and quits.
    """

    def __init__(self, settings: Settings, host: HostMemory, **options: Any) -> None:
        super().__init__(**options)
        self.main_loop_interrupt = Wakeup()  # type: ignore[assignment]
        self.gave_up = False
        self.failed = False
        self._settings = settings
        self._host = host
        self._stop_signal = 0
        self._signals_heard = 0
        self._pid = os.getpid()
        self._came_up = False
        # By the number of the part of the host's memory that it has. A dead worker keeps it until it is replaced.
        self._workers: dict[int, mp.WorkerProcess] = {}
        # Of each place among the workers: failed starts in a row, and when the next is tried.
        self._failures = [0] * self.workers
        self._next_tries: dict[int, float] = {}

    def serve(self, *rest: Any, **named: Any) -> None:
        """Serve until a signal. A fault of this process ends the workers: nobody would replace or stop them."""
        try:
            super().serve(*rest, **named)
        except Exception as error:
            log.exception("the supervisor failed, and the service ends: %s", type(error).__name__)
            self.failed = True
            self._stop_workers()  # type: ignore[no-untyped-call]

    def signal_handler_interrupt(self, signum: int = 0, *rest: Any, **named: Any) -> None:
        if os.getpid() != self._pid:
            os._exit(0)  # a worker that is still starting has inherited this handler: it serves nobody yet
        self._stop_signal = signum
        self._signals_heard += 1
        super().signal_handler_interrupt(signum, *rest, **named)  # type: ignore[no-untyped-call]

    def _spawn_worker(
        self, idx: int, target: Any, callback_loader: Callable[..., Any], socket_loader: Any = None
    ) -> mp.WorkerProcess:
        """`callback_loader` is given the number of the worker's part of the host's memory."""
        part = next(number for number in range(len(self._host.parts)) if not self._is_taken(number))
        loader = functools.partial(callback_loader, part)
        self._workers[part] = super()._spawn_worker(idx=idx, target=target, callback_loader=loader)
        return self._workers[part]

    def _is_taken(self, part: int) -> bool:
        worker = self._workers.get(part)
        return worker is not None and (worker.is_alive() or worker in self.wrks)

    def _serve_loop(self, spawn_target: Any, target_loader: Callable[[], Any]) -> None:
        while not self.interrupt_signal and not self.gave_up:
            self.main_loop_interrupt.wait(_WATCH_SECONDS)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
                self._next_tries.clear()  # no place is empty any more
            for index, worker in enumerate(self.wrks):
                if self.interrupt_signal:
                    break
                if not worker.is_alive():
                    self._replace(index, spawn_target, target_loader)
            self._came_up = self._came_up or any(part.started for part in self._host.parts)
            self.gave_up = not self._came_up and min(self._failures) >= _TRIES
        if self._stop_signal == signal.SIGTERM and self._settings.DRAIN_SECONDS:
            # `readyz` fails from here on: whoever balances load sends no more. Another signal ends the wait.
            self._host.draining = True
            self._wait_until_drained()
        self.interrupt_children.clear()  # else granian's shutdown ends with code 1

    def _wait_until_drained(self) -> None:
        heard, end = self._signals_heard, time.monotonic() + self._settings.DRAIN_SECONDS
        while self._signals_heard == heard and (left := end - time.monotonic()) > 0:
            self.main_loop_interrupt.clear()
            self.main_loop_interrupt.wait(min(left, _WATCH_SECONDS))

    def _replace(self, index: int, spawn_target: Any, target_loader: Callable[[], Any]) -> None:
        """Start another worker in place of a dead one, at once or, after a failed start, when its pause is over."""
        now = time.monotonic()
        if index not in self._next_tries:
            self._next_tries[index] = now + self._bury(index, now)
        if now < self._next_tries[index]:
            return
        del self._next_tries[index]
        try:
            worker = self._spawn_worker(index, spawn_target, target_loader)
            worker.start()
        except (OSError, RuntimeError) as error:  # no process, or no thread to watch it, can be had for now
            self._failures[index] += 1
            self._next_tries[index] = now + self._pause(index)
            log.warning("no worker can be started: %s", error)
            return
        self.wrks[index] = worker

    def _bury(self, index: int, now: float) -> float:
        """Note the end of a worker. Returns the seconds until the next may start."""
        worker = self.wrks[index]
        number = next(number for number, owner in self._workers.items() if owner is worker)
        part = self._host.parts[number]
        failed = not part.started or now - worker.birth < _FAILED_WITHIN_SECONDS
        part.leave()
        self._host.count_restart()
        self._failures[index] = self._failures[index] + 1 if failed else 0
        pause = self._pause(index)
        told = (
            f"worker failed at its start, the next try is in {pause:g} s"
            if failed
            else "worker ended, starting another"
        )
        log.warning(told, extra={"pid": worker._id(), "exit_code": worker.inner.exitcode})
        return pause

    def _pause(self, index: int) -> float:
        failures = self._failures[index]
        return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 20)) if failures else 0.0
