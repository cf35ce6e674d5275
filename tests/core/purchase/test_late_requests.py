"""Requests that come while a batch waits for its rows are settled with it."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, insert, text

from core.catalogue.quotes import Address, Choices
from core.db.clock import EPOCH, Deadline
from core.db.faults import TooLate
from core.ops import audit
from core.purchase import batch, statements
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused
from core.purchase.queue import JoinLate
from core.purchase.slots import Caps
from core.refusals import Unavailable
from core.services import Services
from models import ShippingMethod
from tests.core.purchase.earlier_time import decide_by_the_time_before
from tests.core.purchase.fake_settler import PATIENCE, FakeSettler, Outcomes, until, user_of, users_of
from tests.core.purchase.test_batch import code_of
from tests.core.selling import Selling


def test_requests_for_its_items_join_a_batch_in_the_order_of_arrival() -> None:
    with FakeSettler() as settler:
        settler.joined_items = {1}
        row = settler.hold(1)
        futures = [settler.begin("a")]
        futures += [settler.submit(user, item) for user, item in (("b", 1), ("c", 2), ("d", 1))]
        row.set()
        assert users_of(futures) == "abcd"
        assert settler.settled == list("abdc")


def test_requests_for_several_items_join_in_the_order_of_arrival() -> None:
    with FakeSettler() as settler:
        settler.joined_items = {1, 2}
        row = settler.hold(1)
        futures = settler.queue_together(("a", 1), ("b", 2))
        until(lambda: "ab" in settler.batches)
        futures += [settler.submit(user, item) for user, item in (("c", 2), ("d", 1), ("e", 3), ("f", 2))]
        row.set()
        assert users_of(futures) == "abcdef"
        assert settler.settled == list("-abcdfe")


def test_a_batch_that_others_join_is_no_larger_than_allowed() -> None:
    with FakeSettler(batch_max=3) as settler:
        settler.joined_items = {1}
        row = settler.hold(1)
        futures = [settler.begin("a"), *(settler.submit(user) for user in "bcdefg")]
        row.set()
        assert users_of(futures) == "abcdefg"
        assert settler.batches == ["a", "def", "g"]


def test_a_request_that_joins_is_answered_whatever_happens_to_the_batch() -> None:
    with FakeSettler() as settler:
        settler.joined_items = {1}
        row = settler.hold(1)
        first = settler.begin("a")
        late = [settler.submit(user) for user in "bcd"]
        settler.fail_with("c", ZeroDivisionError())
        row.set()
        assert users_of([first, late[0], late[2]]) == "abd"
        with pytest.raises(ZeroDivisionError):
            late[1].result(PATIENCE)
        assert settler.batches == ["a", "ab", "cd", "c", "d"]


def test_the_halves_of_a_batch_that_failed_are_joined_by_nobody() -> None:
    """One more that fails would spoil the halves as well."""
    with FakeSettler() as settler:
        settler.joined_items = {1}
        row = settler.hold(1)
        futures = [settler.begin("a"), settler.submit("b")]

        def fail(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if len(requests) == 2:
                futures.append(settler.submit("c"))
                raise ZeroDivisionError
            return settler.outcomes(requests)

        settler.answer = fail
        row.set()
        until(lambda: len(futures) == 3)
        assert users_of(futures) == "abc"
        assert settler.batches == ["a", "a", "b", "c"]


def test_requests_that_were_told_busy_join_no_batch() -> None:
    with FakeSettler() as settler:
        settler.joined_items = {1}
        row = settler.hold(1)
        first = settler.begin("a")
        late = settler.submit("b", seconds=1)
        settler.clock.advance(1)
        until(late.done)
        row.set()
        assert user_of(first) == "a"
        assert settler.settled == ["a"]


def test_a_batch_that_nobody_waits_for_any_more_takes_in_no_requests_of_the_next_one() -> None:
    """Its requests were answered by the watch, and the queue has forgotten their item: the next ones begin anew."""
    with FakeSettler(workers=3, grace=1) as settler:
        settler.joined_items = {1}
        forgotten = settler.hold(1)
        first = settler.begin("a", seconds=1)
        settler.pass_until(first.done, 0.1)
        assert isinstance(first.exception(), Unavailable)
        row = settler.hold(1)
        futures = [settler.begin("b"), settler.submit("c")]
        forgotten.set()
        until(lambda: "a" in settler.settled)
        settler.stall()
        futures.append(settler.submit("d"))
        row.set()
        assert users_of(futures) == "bcd"
        assert settler.settled == list("abcd")
        assert settler.busiest == 2, "two batches of one item, beside the one that was forgotten"


def serve(services: Services, requests: list[PurchaseRequest], join_late: JoinLate) -> list[Outcome | None]:
    return batch.serve(
        services.database, Caps(services.database, 2), requests, Deadline(20), patient=True, join_late=join_late
    )


def test_late_requests_are_settled_in_the_same_transaction(services: Services) -> None:
    selling = Selling(services)
    item, other = selling.item(stock=3, per_user_limit=2), selling.item()
    requests = [PurchaseRequest(item, "alice", 1, "key"), PurchaseRequest(other, "bob"), PurchaseRequest(999, "eve")]
    calls: list[set[int]] = []

    def join(items: Collection[int]) -> list[PurchaseRequest]:
        calls.append(set(items))
        more = [PurchaseRequest(item, "alice", 2), PurchaseRequest(item, "alice", 1, "key")]
        return [*more, PurchaseRequest(item, "bob", 2), PurchaseRequest(item, "carol")]

    outcomes = serve(services, requests, join)
    assert calls == [{item, other}]
    assert [code_of(outcome) for outcome in outcomes] == [
        *("Placed", "Placed", "goods_not_found"),
        *("limit_reached", "Replayed", "Placed", "sold_out"),
    ]
    assert {outcome.order.purchased_at for outcome in outcomes if isinstance(outcome, Placed)} == {
        outcome.order.purchased_at for outcome in outcomes[:1] if isinstance(outcome, Placed)
    }
    assert audit.run(services.settings).clean


def test_late_requests_may_choose_what_the_first_did_not(services: Services) -> None:
    selling = Selling(services)
    item, code = selling.item(shippable=False), selling.coupon()
    sent = selling.item(shippable=True)
    with services.database.engine.begin() as connection:
        method = {"code": "courier", "name": "Courier", "base_fee": 8, "additional_fee": 2, "regions": ["CN"]}
        connection.execute(insert(ShippingMethod).values({**method, "created_at": EPOCH, "updated_at": EPOCH}))
    address = Address("Li Na", "13800138000", "CN-31", "1 Nanjing Road", "200000")
    choices = Choices(shipping_method="courier", address=address)
    requests = [PurchaseRequest(item, "alice"), PurchaseRequest(sent, "bob")]

    def join(items: Collection[int]) -> list[PurchaseRequest]:
        with_coupon = PurchaseRequest(item, "carol", choices=Choices(coupon_code=code))
        return [with_coupon, PurchaseRequest(sent, "dave", choices=choices)]

    outcomes = serve(services, requests, join)
    assert [code_of(outcome) for outcome in outcomes] == ["Placed", "shipping_required", "Placed", "Placed"]
    with services.database.reading() as connection:
        query = "SELECT user_id, coupon_code, shipping_method FROM orders ORDER BY user_id"
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert rows == [("alice", None, None), ("carol", code, None), ("dave", None, "courier")]
    assert audit.run(services.settings).clean


def test_requests_that_joined_stay_when_the_transaction_is_run_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    selling = Selling(services)
    item = selling.item(stock=3)
    late = [[PurchaseRequest(item, "bob")], [PurchaseRequest(item, "carol")]]
    carry_out, runs = batch.carry_out, []

    def fail_once(connection: Connection, changes: Sequence[Any]) -> None:
        runs.append(changes)
        carry_out(connection, changes)
        if len(runs) == 1:
            raise TooLate

    monkeypatch.setattr(batch, "carry_out", fail_once)
    outcomes = serve(services, [PurchaseRequest(item, "alice")], lambda items: late.pop(0))
    assert [outcome.order.user_id for outcome in outcomes if isinstance(outcome, Placed)] == ["alice", "bob", "carol"]
    assert len(runs) == 2
    assert selling.stock(item) == (0, 3)
    assert audit.run(services.settings).clean


def outcome_of_the_late(services: Services) -> Outcome | None:
    """Whoever comes while the batch has its rows, but after the sale's end."""
    selling = Selling(services)
    end = selling.now() + timedelta(seconds=1)
    item = selling.item(ends_at=end)
    requests = [PurchaseRequest(item, "alice")]

    def join(items: Collection[int]) -> list[PurchaseRequest]:
        while selling.now() <= end:
            time.sleep(0.05)
        return [PurchaseRequest(item, "bob")]

    return serve(services, requests, join)[1]


def test_the_time_is_taken_when_the_last_has_come(services: Services) -> None:
    outcome = outcome_of_the_late(services)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.code == "sale_ended"


def test_by_the_time_of_the_lock_who_comes_too_late_would_buy(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_by_the_time_before(monkeypatch, statements, "lock_goods")
    # A thread that stands still ahead of the lock has it after the end.
    assert any(isinstance(outcome_of_the_late(services), Placed) for _ in range(5))


def test_a_service_lets_buyers_join_the_batch_that_waits_for_their_item(
    make_app: Callable[..., Flask], server_uri: str
) -> None:
    """On a server: on SQLite a test would have to hold up all who write."""
    # One wait for the row lasts however long it is held.
    patient = {"LOCK_WAIT_SECONDS": 20, "DATABASE_TIMEOUT_SECONDS": 30}
    services = make_app(server_uri, **patient).extensions["seckill"]
    selling = Selling(services)
    item = selling.item(stock=100)
    first = services.checkout.buy(PurchaseRequest(item, "first"))
    first.result(PATIENCE)  # the slots are made
    with services.database.engine.begin() as connection:
        connection.execute(text("SELECT id FROM goods WHERE id = :id FOR UPDATE"), {"id": item})
        waits = services.checkout.buy(PurchaseRequest(item, "buyer-0"))
        until(lambda: services.checkout.caps.open().get(item) == 1)
        late = [services.checkout.buy(PurchaseRequest(item, f"buyer-{number}")) for number in range(1, 20)]
    outcomes = [future.result(PATIENCE) for future in (waits, *late)]
    assert all(isinstance(outcome, Placed) for outcome in outcomes)
    moments = {outcome.order.purchased_at for outcome in outcomes if isinstance(outcome, Placed)}
    assert len(moments) == 1, "they were settled in batches of their own"
