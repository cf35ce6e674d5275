"""Sweeping: orders whose time is over give back what they held."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import event, text

from core.ops import audit, background_jobs
from core.orders import expiry, order_life
from core.orders.orders import Viewer
from core.payments import payments
from core.refusals import Unavailable
from core.services import Services
from tests.core.selling import Selling


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


def test_a_sweep_notes_what_is_overdue_and_nothing_else(services: Services, selling: Selling) -> None:
    item, other, code = selling.item(), selling.item(stock=1), selling.coupon()
    late = [selling.bought(item, "alice", 2, code), selling.bought(item, "bob"), selling.bought(other, "bob", 1, code)]
    pending, paid, cancelled = (selling.bought(item, user, coupon=code) for user in ("carol", "dave", "erin"))
    order_life.cancel(services.database, Viewer("erin", False), cancelled.order_no)
    payments.pay(services.database, "dave", paid.order_no)
    selling.make_overdue(*late, paid, cancelled)
    before = len(selling.happened())
    assert expiry.sweep(services.database) == 3
    assert expiry.sweep(services.database) == 0
    assert [selling.status(order) for order in (*late, pending, paid, cancelled)] == [
        *["expired"] * 3,
        "pending",
        "paid",
        "cancelled",
    ]
    assert all(selling.row(order).closed_at == selling.row(order).expires_at for order in late)
    assert (selling.stock(item), selling.stock(other), selling.used()) == ((8, 2), (1, 0), (2, 2))
    happened = selling.happened()[before:]
    assert Counter(happened) == Counter(
        [*(("order.expired", order.order_no) for order in late), ("goods.restocked", None)]
    )
    assert audit.run(services.settings).clean


def test_many_orders_take_few_transactions_in_batches(
    services: Services, selling: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 4)
    monkeypatch.setattr(expiry, "READ_AT_ONCE", 6)
    item, other = selling.item(stock=100), selling.item(stock=100)
    orders = [selling.bought(goods_id, f"buyer-{n}") for n in range(7) for goods_id in (item, other)]
    selling.make_overdue(*orders)
    before = len(selling.outbox())
    assert expiry.sweep(services.database) == 14
    sizes = [len(events) for events in selling.outbox()[before:]]
    assert sum(sizes) == 14
    assert max(sizes) <= 4
    assert (selling.stock(item), selling.stock(other)) == ((100, 0), (100, 0))


def test_a_sweep_that_is_to_stop_begins_nothing(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    selling.make_overdue(order)
    assert expiry.sweep(services.database, lambda: True) == 0
    assert selling.status(order) == "pending"


def test_an_item_that_fails_does_not_hold_up_the_others(services: Services, selling: Selling) -> None:
    items = [selling.item() for _ in range(3)]
    orders = [selling.bought(item) for item in items]
    selling.make_overdue(*orders)
    with (
        services.database.engine.begin() as connection
    ):  # its units are not among those sold: nothing may be made of it
        connection.execute(text("UPDATE goods SET sold = 0 WHERE id = :item"), {"item": items[1]})
    with pytest.raises(RuntimeError, match="not among those sold"):
        expiry.sweep(services.database)
    assert [selling.status(order) for order in orders] == ["expired", "pending", "expired"]


def test_a_row_that_somebody_keeps_does_not_hold_up_the_others(make_app: Callable[..., Flask], server_uri: str) -> None:
    services: Services = make_app(server_uri).extensions["seckill"]
    selling = Selling(services)
    kept, free = selling.item(), selling.item()
    orders = [selling.bought(item) for item in (kept, free)]
    selling.make_overdue(*orders)
    with services.database.engine.begin() as holder:
        holder.execute(text("SELECT id FROM goods WHERE id = :item FOR UPDATE"), {"item": kept})
        with pytest.raises(Exception, match="busy"):
            expiry.sweep(services.database)
        assert [selling.status(order) for order in orders] == ["pending", "expired"]
    assert expiry.sweep(services.database) == 1


def test_the_sweeper_finds_its_orders_by_the_index(make_app: Callable[..., Flask], server_uri: str) -> None:
    services: Services = make_app(server_uri).extensions["seckill"]
    statements: list[str] = []
    event.listen(
        services.database.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, parameters, context, many: statements.append(statement),
    )
    selling = Selling(services)
    selling.make_overdue(selling.bought(selling.item()))
    statements.clear()
    assert expiry.sweep(services.database) == 1
    look, locking = statements[0], next(each for each in statements if "orders_order_no" in each)
    assert "FORCE INDEX (orders_status_expires)" in look
    assert locking.endswith("FOR UPDATE")
    changing = [each for each in statements if each.startswith("UPDATE orders")]
    assert changing
    assert all("FORCE INDEX (orders_order_no)" in each for each in changing)


def test_what_it_did_is_told_in_figures(sqlite_app: Flask) -> None:
    services: Services = sqlite_app.extensions["seckill"]
    selling = Selling(services)
    item = selling.item()
    selling.make_overdue(selling.bought(item), selling.bought(item))

    def figures() -> tuple[float, float]:
        (expired,) = (
            each
            for metric in expiry.ORDERS_EXPIRED.collect()
            for each in metric.samples
            if each.name.endswith("_total")
        )
        (count,) = (
            each for metric in expiry.SWEEP_SECONDS.collect() for each in metric.samples if each.name.endswith("_count")
        )
        return expired.value, count.value

    before = figures()
    expiry.sweep(services.database)
    after = figures()
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def test_a_background_job_goes_on_after_its_errors_and_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    runs = threading.Semaphore(0)
    done = threading.Event()

    def work() -> None:
        if done.is_set():
            return
        runs.release()
        raise Unavailable()

    with caplog.at_level(logging.WARNING, "seckill.background_jobs"):
        thread = background_jobs.start("tester", 0.01, work)
        for _ in range(20):
            assert runs.acquire(timeout=60)
        done.set()
    assert thread.daemon
    messages = [record.getMessage() for record in caplog.records if record.name == "seckill.background_jobs"]
    # Once a second at most; how long twenty runs took is not for a test to say.
    assert 1 <= len(messages) < 20
    assert messages[0] == "tester failed: unavailable"
