"""Guards of payments, to be taken out by `harness.without_guard`."""

import time
from datetime import datetime, timezone
from typing import Any

from harness.rewriting import locks, rewrite, without_locks

# Seconds. Those who queue for a lock take it one after the other; those without one are all to find it open, though
# the machine may let one of them stand still for a while.
_WINDOW = 0.05
_WIDE_WINDOW = 6.0


def slow_to_record(seconds: float = _WINDOW) -> None:
    """Only slow: some time passes between the look for an event and the record of its payment."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if statement.startswith("INSERT INTO payments"):
            time.sleep(seconds)
        return statement

    rewrite(change)


def very_slow_to_record() -> None:
    """Only slow, and more so: for those whom no lock keeps in a queue."""
    slow_to_record(_WIDE_WINDOW)


def no_look_for_event() -> None:
    """Nobody looks whether an event was recorded before."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        return statement.replace("payments.event_id = ", "0 = 1 AND payments.event_id = ")

    rewrite(change)


def no_order_lock() -> None:
    """The order that money is for is read without a lock; and recording it takes a while."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if "FROM orders" in statement and locks(statement):
            return without_locks(statement)
        return statement

    rewrite(change)
    slow_to_record(_WIDE_WINDOW)


def host_clock_judges() -> None:
    """The age of a signature is judged by the host's clock."""
    import core.payments.signature

    core.payments.signature.database_now = lambda connection: datetime.fromtimestamp(time.time(), timezone.utc)


WITHOUT_GUARD = (slow_to_record, very_slow_to_record, no_look_for_event, no_order_lock, host_clock_judges)
