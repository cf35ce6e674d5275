"""Keeps the workers running: replaces each that dies, however often, and drains the host before it stops."""

import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from granian.server import mp
from prometheus_client.multiprocess import mark_process_dead

from config import Settings
from core.purchase.in_progress import forget_process
from core.shop import DRAINING

_WATCH_SECONDS = 0.25

log = logging.getLogger("seckill.server")


class Supervisor(mp.MPServer):
    """granian's server, but it replaces dead workers however often they die, and drains before it stops.

    Its own respawn takes two deaths within 5.5 seconds for a crash loop and quits.
    """

    def __init__(self, settings: Settings, runtime_dir: Path, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        self._runtime_dir = runtime_dir
        self._stop_signal = 0
        self._signals_heard = 0
        self._pid = os.getpid()
        hand_over_requests()

    def signal_handler_interrupt(self, signum: int = 0, *rest: Any, **named: Any) -> None:
        if os.getpid() != self._pid:
            os._exit(0)  # a worker that is still starting has inherited this handler: it serves nobody yet
        self._stop_signal = signum
        self._signals_heard += 1
        super().signal_handler_interrupt(signum, *rest, **named)  # type: ignore[no-untyped-call]

    def _serve_loop(self, spawn_target: Any, target_loader: Callable[[], Any]) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(_WATCH_SECONDS)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            dead = [index for index, worker in enumerate(self.wrks) if not worker.is_alive()]
            if dead and not self.interrupt_signal:
                self._replace(dead, spawn_target, target_loader)
        if self._stop_signal == signal.SIGTERM and self._settings.DRAIN_SECONDS:
            # `readyz` fails from here on: whoever balances load sends no more. Another signal ends the wait.
            (self._runtime_dir / DRAINING).touch()
            self._wait_until_drained()
        self.interrupt_children.clear()  # else granian's shutdown ends with code 1

    def _wait_until_drained(self) -> None:
        heard, end = self._signals_heard, time.monotonic() + self._settings.DRAIN_SECONDS
        while self._signals_heard == heard and (left := end - time.monotonic()) > 0:
            self.main_loop_interrupt.clear()
            self.main_loop_interrupt.wait(min(left, _WATCH_SECONDS))

    def _replace(self, dead: list[int], spawn_target: Any, target_loader: Callable[[], Any]) -> None:
        for index in dead:
            pid = self.wrks[index]._id()
            log.warning("worker ended, starting another", extra={"pid": pid})
            mark_process_dead(pid)
            forget_process(self._runtime_dir, pid)
        self._respawn_workers(dead, spawn_target, target_loader)


def hand_over_requests() -> None:
    """From now on what granian is given to load is its callback itself (resources/reception.py), no application.

    The wrapper that it puts around an application keeps a thread until there is an answer.
    """
    mp._wsgi_call_wrap = lambda callback, *rest: callback  # type: ignore[attr-defined]
