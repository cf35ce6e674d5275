"""The publisher: numbers events, creates their deliveries and sends those that are due.

Any number of publishers may run, in all workers of all hosts. A slow or dead subscriber delays no other: each has one
sender thread in a process, which pauses after each failure.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter

from core import threads
from core.db import shares
from core.db.database import Database
from core.db.shares import Share
from core.events import deliveries, event_log, webhooks
from core.events.deliveries import Claim
from core.events.sequencer import number
from core.events.url_policy import NAMES
from core.events.webhook_call import Answer, DeliveryError, Message, send
from core.json_text import to_json
from core.name_lookup import NameLookup
from core.ops.metrics import record
from core.refusals import Refusal

SECONDS = 1.0
# Sender threads of a process.
_SENDERS = 16
# A sender makes no further attempt under one claim after this many seconds.
_CLAIM_SECONDS = 20.0
NUMBER_SECONDS = 0.8
FAN_OUT_SECONDS = 1.0
FAN_OUT_SECONDS_WHEN_BUSY = 0.05
_SHARE_WHEN_BUSY = 0.04
_DELETE_SECONDS = 0.5
_LONGEST_PAUSE = 1.0
# From this many purchases in progress on, a process is busy.
BUSY_FROM = 4
# Seconds that a process pauses for a subscriber after a failure: the first time, and at most.
_FIRST_REST = 5.0
_LONGEST_REST = 60.0
_BUSY_STATUSES = (408, 429)

ATTEMPTS = Counter(
    "seckill_webhook_attempts_total",
    "Attempts to deliver an event to a webhook, by what the delivery is after it: delivered, pending or failed.",
    ["status"],
)

log = logging.getLogger("seckill.publisher")


@dataclass
class _Rest:
    """A pause for a subscriber: its length, and its end by the publisher's clock."""

    seconds: float
    until: float


class Publisher:
    """One process's publisher.

    `resting` says whether to begin no new work, since the host is about to stop; `busy`, whether purchases need this
    process, so that deliveries have to wait. `clock` (in seconds) times the pauses after failures; by `pause`, given
    seconds, a sender makes way for purchases.
    """

    def __init__(
        self,
        database: Database,
        resting: Callable[[], bool] = lambda: False,
        busy: Callable[[], bool] = lambda: False,
        names: NameLookup = NAMES,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._database = database
        self._resting = resting
        self._busy = busy
        self._names = names
        self._clock = clock
        self._pause = pause
        self._senders: dict[int, threading.Thread] = {}
        self._rests: dict[int, _Rest] = {}
        self._lock = threading.Lock()
        self._attempts: collections.Counter[str] = collections.Counter()
        # The publisher uses at most one connection of the pool.
        self._books = threading.Lock()
        self._pace = threading.Lock()

    def turn(self) -> int:
        """Number events, create deliveries, and start senders for those that are due. Returns how many were numbered.

        Raises Busy or Unavailable.
        """
        if self._resting():
            return 0
        numbered = 0
        due: list[int] = []
        with self._books:
            found = deliveries.waiting(self._database)
            if found.events:
                numbered = number(self._database, NUMBER_SECONDS, wait=False)
            if found.subscribers:
                self.fan_out()
                due = deliveries.due(self._database)
            if found.removed:
                self._delete_removed_logs()
        self._start_senders(due)
        return numbered

    def finish(self) -> dict[str, int]:
        """Wait until all senders have ended. Returns the number of attempts so far, by the delivery's status."""
        while True:
            with self._lock:
                senders = list(self._senders.values())
                if not senders:
                    return dict(self._attempts)
            for sender in senders:
                sender.join()

    def fan_out(self) -> None:
        """Create deliveries for events that have none yet, within a bounded time."""
        end = time.monotonic() + (FAN_OUT_SECONDS_WHEN_BUSY if self._busy() else FAN_OUT_SECONDS)
        behind = collections.deque(deliveries.behind(self._database))
        while behind and time.monotonic() < end:
            # In turn, so that one that is far behind does not hold up the others.
            webhook_id = behind.popleft()
            if deliveries.fan_out(self._database, webhook_id):
                behind.append(webhook_id)

    def _delete_removed_logs(self) -> None:
        end = time.monotonic() + (0 if self._busy() else _DELETE_SECONDS)
        while webhooks.delete_removed_logs(self._database) and time.monotonic() < end:
            pass

    def _start_senders(self, due: list[int]) -> None:
        now = self._clock()
        with self._lock:
            for webhook_id in due:
                rest = self._rests.get(webhook_id)
                if webhook_id in self._senders or len(self._senders) >= _SENDERS or (rest and rest.until > now):
                    continue
                # Its end removes it under this lock, and so not before it is added.
                sender = threads.start("webhook", self._serve, webhook_id)
                if sender is not None:
                    self._senders[webhook_id] = sender

    def _serve(self, webhook_id: int) -> None:
        shares.use(Share.JOBS)
        try:
            while not self._resting() and self._send_some(webhook_id):
                pass
        except Refusal:
            pass  # the database has logged it; the claims time out
        except Exception:
            log.exception("a sender of webhooks ended")
        finally:
            with self._lock:
                del self._senders[webhook_id]

    def _send_some(self, webhook_id: int) -> bool:
        """Claim the deliveries to a subscriber that are due, and send them. Returns whether to continue at once."""
        with self._books:
            taken = deliveries.claim(self._database, webhook_id)
            if taken is None:
                return False
            began = time.monotonic()
            events = event_log.find_all(self._database, [row.seq for row in taken.rows])
        for place, row in enumerate(taken.rows):
            passed = time.monotonic() - began
            if passed > _CLAIM_SECONDS or self._resting():
                self._hand_back(taken, place, 0)
                return True
            if row.seq not in events:
                continue  # retention has deleted it, and will delete this delivery (core/ops/retention.py)
            body = to_json(event_log.as_message(events[row.seq]))
            message = Message(event_log.event_id(row.seq), taken.now + timedelta(seconds=passed), body, taken.secrets)
            spent_before = time.thread_time()
            answer = send(taken.url, message, self._database.settings.WEBHOOKS_TO_PRIVATE, self._names)
            with self._books:
                status = deliveries.note(self._database, taken, row, answer)
            record(ATTEMPTS.labels(status).inc)
            self._make_way(time.thread_time() - spent_before)
            with self._lock:
                self._attempts[status] += 1
                if not _is_down(answer):
                    self._rests.pop(webhook_id, None)
            if _is_down(answer):
                self._hand_back(taken, place + 1, self._leave_alone(webhook_id))
                return False
        return True

    def _make_way(self, spent: float) -> None:
        """While busy, leave the processor to purchases: all senders together take a small share of its time."""
        if self._busy():
            with self._pace:
                self._pause(min(_LONGEST_PAUSE, spent * (1 / _SHARE_WHEN_BUSY - 1)))

    def _hand_back(self, taken: Claim, place: int, seconds: float) -> None:
        with self._books:
            deliveries.hand_back(self._database, taken, taken.rows[place:], seconds)

    def _leave_alone(self, webhook_id: int) -> float:
        with self._lock:
            before = self._rests.get(webhook_id)
            seconds = min(_LONGEST_REST, before.seconds * 2) if before else _FIRST_REST
            self._rests[webhook_id] = _Rest(seconds, self._clock() + seconds)
            return seconds


def _is_down(answer: Answer) -> bool:
    """Whether the failure concerns the subscriber rather than this event."""
    if answer.status is None or answer.error == DeliveryError.GONE:
        return True
    return answer.status >= 500 or answer.status in _BUSY_STATUSES
