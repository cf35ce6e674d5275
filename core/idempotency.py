"""Idempotency keys of all requests that change something but purchases, whose orders keep theirs.

A key's row holds the answer, and is written in the transaction of the request's effect: either both are there or
neither is. So a request that is sent again, whatever became of its first answer, has its effect once. Explained in
docs/idempotency.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Select, delete, insert, or_, select, update

from core import refusals
from core.db.clock import Deadline, database_now, deadline_of_request, utc_now, utc_now_after_wait
from core.db.database import AnyRow, Database, joining
from core.db.transaction import run
from core.refusals import Refusal, RefusalWithEffect
from models import IdempotencyKey

# How long an answer is given again, by the database's clock.
KEPT = timedelta(hours=24)
# Seconds between two looks of a worker for answers that are older.
PRUNE_SECONDS = 60.0
FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request under a key. `fingerprint` is equal for two requests exactly if their contents are equal."""

    user_id: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is stored: its status, the headers that are its own, and its body."""

    status: int
    headers: Mapping[str, str]
    body: str


def once(
    database: Database, request: KeyedRequest, act: Callable[[], Answer], prepare: Callable[[], None] | None = None
) -> tuple[Answer, bool]:
    """The answer of `act`, done at most once in 24 hours for this user and key; and whether it was given before.

    All transactions and reads of `act` join one transaction, which also stores the answer. It may be run again, as
    `run` says. What `act` raises undoes it: a refusal is not stored, and the same request is judged afresh. Only what
    stands behind a RefusalWithEffect stays. `prepare` is called ahead of the transaction, where there is no answer yet.
    Raises Refusal idempotency_key_reused, Busy (nothing was done), or Unavailable (perhaps it was).
    """
    deadline = deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS)
    known = _look(database, request, deadline)
    if known is not None:
        return known, True
    if prepare is not None:
        prepare()

    def work(connection: Connection) -> tuple[Answer | RefusalWithEffect, bool]:
        row = connection.execute(key_row(request).with_for_update()).one_or_none()
        known = stored_answer(row, request)
        if known is not None:
            return known, True
        if row is None:
            _insert(connection, request)
            row = connection.execute(key_row(request)).one()
        try:
            with joining(connection):
                answer = act()
        except RefusalWithEffect as refusal:
            return refusal, False
        store_answer(connection, row, request, answer)
        return answer, False

    def was_committed(connection: Connection, result: tuple[Answer | RefusalWithEffect, bool]) -> bool:
        answer, is_replay = result
        if isinstance(answer, RefusalWithEffect):
            return True  # nothing shows it; it is refused either way, and what it wrote is written again by the next
        # A locking read: a plain one could find no row while the COMMIT still runs.
        row = connection.execute(key_row(request).with_for_update()).one_or_none()
        return is_replay or stored_answer(row, request) == answer

    answer, is_replay = run(database, work, deadline, was_committed)
    if isinstance(answer, RefusalWithEffect):
        raise answer
    return answer, is_replay


def prune(database: Database, stopping: Callable[[], bool] = lambda: False, at_once: int = FORGOTTEN_AT_ONCE) -> int:
    """Forget the keys that are older than 24 hours, in pieces of `at_once`. How many there were. Raises Busy or
    Unavailable.

    Any number of processes may do so at once. Once `stopping`, nothing more is begun.
    """
    forgotten = 0
    while not stopping():
        with database.reading() as connection:
            before = database_now(connection) - KEPT
            old = select(IdempotencyKey.id).where(IdempotencyKey.kept_at <= before).order_by(IdempotencyKey.kept_at)
            ids = connection.execute(old.limit(at_once)).scalars().all()
        if not ids:
            break
        gone = delete(IdempotencyKey).where(IdempotencyKey.id.in_(sorted(ids)), IdempotencyKey.kept_at <= before)
        deadline = Deadline(database.settings.PURCHASE_WAIT_SECONDS)
        forgotten += run(database, lambda connection, gone=gone: connection.execute(gone).rowcount, deadline)  # type: ignore[misc]
        if len(ids) < at_once:
            break
    return forgotten


def key_row(request: KeyedRequest) -> Select[tuple[int]]:
    return select(*IdempotencyKey.__table__.columns, utc_now_after_wait().label("now")).where(
        IdempotencyKey.user_id == request.user_id, IdempotencyKey.idempotency_key == request.key
    )


def stored_answer(row: AnyRow | None, request: KeyedRequest) -> Answer | None:
    """The answer that was given under the key; None where there is none, or it is over 24 hours old."""
    if row is None or row.status is None or row.now - row.kept_at >= KEPT:
        return None
    if row.fingerprint != request.fingerprint:
        raise Refusal(refusals.IDEMPOTENCY_KEY_REUSED)
    return Answer(row.status, row.headers, row.body)


def _look(database: Database, request: KeyedRequest, deadline: Deadline) -> Answer | None:
    """The answer under the key, without waiting for a request under way. The key's row is there afterwards."""
    if database.is_sqlite:  # one writer at a time: nobody queues at a row
        with database.reading(deadline) as connection:
            return stored_answer(connection.execute(key_row(request)).one_or_none(), request)
    # In a transaction of its own: requests that come at once then queue at a row that is there. At a row that is only
    # being inserted they would deadlock as soon as the first of them is refused, and rolled back.
    return run(database, lambda connection: make_row(connection, request), deadline, lambda connection, known: True)


def make_row(connection: Connection, request: KeyedRequest) -> Answer | None:
    row = connection.execute(key_row(request)).one_or_none()
    if row is None:
        _insert(connection, request)
    return stored_answer(row, request)


def _insert(connection: Connection, request: KeyedRequest) -> None:
    connection.execute(
        insert(IdempotencyKey).values(user_id=request.user_id, idempotency_key=request.key, kept_at=utc_now())
    )


def store_answer(connection: Connection, row: AnyRow, request: KeyedRequest, answer: Answer) -> None:
    # The condition stands here too: should the lock ever be lost, the effect is undone and not done twice.
    free = or_(IdempotencyKey.status.is_(None), IdempotencyKey.kept_at == row.kept_at)
    kept = (
        update(IdempotencyKey)
        .where(IdempotencyKey.id == row.id, free)
        .values(
            fingerprint=request.fingerprint,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
            kept_at=utc_now_after_wait(),
        )
    )
    if connection.execute(kept).rowcount != 1:
        raise RuntimeError("an idempotency key's row changed under its lock")
