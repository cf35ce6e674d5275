"""What the line is made of: a buyer's place in it, and what it knows of an item."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from core.clock import Deadline
from core.purchase.decide import PurchaseRequest
from core.refusals import Unavailable

Answer = TypeVar("Answer")


class Item:
    """What the line knows of an item, for as long as somebody who wants it is in it."""

    __slots__ = ("alone", "goods_id", "in_hand", "inside", "last_wait", "moved_at", "retry_at")

    def __init__(self, goods_id: int) -> None:
        self.goods_id = goods_id
        self.inside = 0
        self.in_hand = False  # of a leader whose batch is under way
        self.alone = False  # to be served by itself: it may be what held its last batch up
        self.retry_at = 0.0  # not before, for want of a slot
        self.moved_at = time.monotonic()
        self.last_wait = 0.0

    def moved(self, now: float, waited: float) -> None:
        """Somebody had an outcome, after `waited` seconds."""
        self.moved_at, self.last_wait, self.retry_at, self.alone = now, waited, 0.0, False


class Place(Generic[Answer]):
    """A buyer's place in the line. The bell rings when it is settled, or called to lead."""

    __slots__ = (
        "_hear",
        "bell",
        "called",
        "deadline",
        "entered_at",
        "error",
        "in_thread",
        "item",
        "last",
        "next",
        "outcome",
        "request",
        "taken_by",
    )

    def __init__(
        self,
        request: PurchaseRequest,
        deadline: Deadline,
        item: Item,
        hear: "Callable[[Place[Answer]], None] | None" = None,
    ) -> None:
        """`hear` is for a buyer whose thread is not here: it is called whenever the bell rings, and must not wait."""
        self.request = request
        self.deadline = deadline
        self.item = item
        self.entered_at = time.monotonic()
        self.last: Deadline | None = None  # once taken: when nobody knows any more
        # The leader who has it in hand: its batch may buy from then on.
        self.taken_by: Place[Answer] | None = None
        self.called = False  # to lead
        self.outcome: Answer | None = None
        self.error: Exception | None = None
        # Whom to wake after this one. All at once, they would fight over the interpreter with the next leader.
        self.next: Place[Answer] | None = None
        self.in_thread = hear is None
        self._hear = hear
        # A bare lock, held until the bell rings: an Event costs five times as much.
        self.bell = threading.Lock()
        self.bell.acquire()

    @property
    def settled(self) -> bool:
        return self.outcome is not None or self.error is not None

    def ring(self) -> None:
        """Wake who waits here."""
        with contextlib.suppress(RuntimeError):  # it rings already
            self.bell.release()
        if self._hear is not None:
            self._hear(self)

    def pass_on(self) -> None:
        """Wake the next of those who were settled together."""
        following, self.next = self.next, None
        if following is not None:
            following.ring()

    def answer(self) -> Answer | Exception:
        """What came of it, once it is settled."""
        return self.outcome if self.outcome is not None else self.error or Unavailable()

    def result(self) -> Answer:
        if self.outcome is None:
            raise self.error or Unavailable()
        return self.outcome
