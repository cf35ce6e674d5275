"""Figures that are looked up in the database when metrics are asked for: right, bounded, and never in the way."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, update

from core.catalogue import goods
from core.events import deliveries, webhooks
from core.events.sequencer import number
from core.live.clock import KnownTime, as_datetime
from core.ops import shop_look, shop_metrics
from core.ops.shop_metrics import ShopMetrics
from core.refusals import Unavailable
from core.services import Services
from harness.eventually import eventually
from models import Order, OrderStatus, Outbox, Payment, WebhookDelivery
from tests.core.selling import Selling

ITEM_METRICS = ("seckill_item_stock", "seckill_item_sold", "seckill_item_waiting", "seckill_item_stalled_seconds")


@pytest.fixture
def shop(services: Services) -> Selling:
    return Selling(services)


def patient(services: Services, **more: Any) -> ShopMetrics:
    """Metrics for which a scrape waits long; by default it has the database looked into each time."""
    monitor = services.monitor
    options = {"seconds": 0, "wait_seconds": 20} | more
    return ShopMetrics(services.database, monitor.clock, monitor.collect, monitor.rows, **options)


def shown(services: Services) -> dict[tuple[str, ...], float]:
    """What a fresh look shows."""
    return as_shown(patient(services))


def as_shown(metrics: ShopMetrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
    }


def put_forward(clock: KnownTime, seconds: float) -> None:
    """Let the database's clock have shown a time that is so much later."""
    now = time.monotonic()
    clock.update(as_datetime(clock.at(now) + seconds), now, now)


def write(services: Services, statement: object) -> None:
    with services.database.engine.begin() as connection:
        connection.execute(statement)


def test_items_on_sale_are_shown_with_what_is_left_and_sold(services: Services, shop: Selling) -> None:
    item, empty = shop.item(stock=5), shop.item(stock=0)
    now = shop.now()
    ended = shop.item(ends_at=now - timedelta(hours=1))
    upcoming = shop.item(starts_at=now + timedelta(hours=1))
    paused = shop.item()
    goods.set_paused(services.database, "t", paused, True, None)
    shop.bought(item, quantity=2)
    found = shown(services)
    assert found["seckill_database_up",] == 1
    assert (found["seckill_item_stock", str(item)], found["seckill_item_sold", str(item)]) == (3, 2)
    assert (found["seckill_item_stock", str(empty)], found["seckill_item_sold", str(empty)]) == (0, 0)
    assert not [key for key in found if key[-1] in (str(ended), str(upcoming), str(paused))]


def test_no_more_than_so_many_items_have_figures_and_those_that_buyers_ask_for_do(
    services: Services, shop: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_look, "ITEMS_MAX", 3)
    monkeypatch.setattr(shop_metrics, "ITEMS_MAX", 3)
    items = [shop.item() for _ in range(6)]
    wanted = items[0]
    services.monitor.collect()
    counter = services.checkout.counter
    counter.batch({wanted: 1})
    counter.settled(wanted, "placed", 0.1, 0.0, None)
    found = shown(services)
    for name in ITEM_METRICS[:2]:
        assert [key[1] for key in found if key[0] == name] == [str(id) for id in (wanted, items[5], items[4])], name
    for name in ITEM_METRICS[2:]:
        assert [key[1] for key in found if key[0] == name] == [str(wanted)], name


def test_an_item_whose_buyers_come_while_nothing_is_decided_is_shown_as_stalled(
    services: Services, shop: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = shop.item()
    counter, clock = services.checkout.counter, services.monitor.clock
    # Only the test moves it: buyers who come no more are forgotten after a few seconds.
    moment = time.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: moment)
    put_forward(clock, -6)
    counter.batch({item: 1})
    services.monitor.collect()  # it is known to exist
    counter.settled(item, "busy", 3.0, 0.0, None)
    services.monitor.collect()
    put_forward(clock, 3)
    counter.settled(item, "busy", 3.0, 0.0, None)
    services.monitor.collect()
    put_forward(clock, 3)
    assert 5 <= shown(services)["seckill_item_stalled_seconds", str(item)] <= 8
    counter.settled(item, "sold_out", 0.1, 0.0, None)
    assert shown(services)["seckill_item_stalled_seconds", str(item)] == 0


def test_the_oldest_orders_and_money_to_give_back_are_shown(services: Services, shop: Selling) -> None:
    found = shown(services)
    for name in ("oldest_unpaid_order_seconds", "oldest_overdue_order_seconds", "orders_refund_due"):
        assert found[f"seckill_{name}",] == 0, name
    item = shop.item(stock=10)
    orders = [shop.bought(item, user) for user in ("a", "b", "c", "d")]
    now = shop.now()
    write(services, update(Order).values(purchased_at=now - timedelta(seconds=100)))
    oldest = update(Order).where(Order.order_no == orders[0].order_no)
    write(services, oldest.values(purchased_at=now - timedelta(seconds=500)))
    overdue = update(Order).where(Order.order_no == orders[1].order_no)
    write(services, overdue.values(expires_at=now - timedelta(seconds=40)))
    due = update(Order).where(Order.order_no.in_([orders[2].order_no, orders[3].order_no]))
    write(services, due.values(status=OrderStatus.REFUND_DUE, purchased_at=now - timedelta(days=1)))
    paid = {"event_id": "e", "type": "payment.succeeded", "order_no": "x", "payment_id": "p", "amount": 1}
    paid |= {"currency": "CNY", "outcome": "mismatch", "received_at": now, "resolved": False}
    write(services, insert(Payment).values(**paid))
    write(services, insert(Payment).values(**paid | {"event_id": "f", "resolved": None}))
    found = shown(services)
    assert 500 <= found["seckill_oldest_unpaid_order_seconds",] < 600
    assert 40 <= found["seckill_oldest_overdue_order_seconds",] < 140
    assert found["seckill_orders_refund_due",] == 2
    assert found["seckill_payments_unresolved",] == 1


def test_events_on_their_way_are_shown(services: Services, shop: Selling) -> None:
    database = services.database
    item = shop.item(stock=10)
    hook = webhooks.create(database, "https://example.com/x", None, True)[0].id
    for user in ("a", "b"):
        shop.bought(item, user)
    write(services, update(Outbox).values(occurred_at=shop.now() - timedelta(seconds=50)))
    found = shown(services)
    written = found["seckill_events_unnumbered",]
    assert written >= 2
    assert 50 <= found["seckill_oldest_unnumbered_event_seconds",] < 150
    number(database, 20)
    found = shown(services)
    assert (found["seckill_events_unnumbered",], found["seckill_oldest_unnumbered_event_seconds",]) == (0, 0)
    assert found["seckill_webhook_events_behind", str(hook)] == written
    assert found["seckill_webhook_deliveries_waiting", str(hook)] == 0
    deliveries.fan_out(database, hook)
    found = shown(services)
    assert found["seckill_webhook_events_behind", str(hook)] == 0
    assert found["seckill_webhook_deliveries_waiting", str(hook)] == written
    assert 50 <= found["seckill_webhook_oldest_waiting_seconds", str(hook)] < 150
    write(services, update(WebhookDelivery).values(status="delivered"))
    found = shown(services)
    assert found["seckill_webhook_deliveries_waiting", str(hook)] == 0
    assert found["seckill_webhook_oldest_waiting_seconds", str(hook)] == 0


def test_no_count_goes_on_for_ever(services: Services, shop: Selling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_look, "COUNTED_MAX", 2)
    item = shop.item(stock=10)
    for user in ("a", "b", "c"):
        shop.bought(item, user)
    write(services, update(Order).values(status=OrderStatus.REFUND_DUE))
    assert shown(services)["seckill_orders_refund_due",] == 2


def test_the_difference_of_the_clocks_is_shown(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(shown(services)["seckill_database_clock_ahead_seconds",]) < 60
    hour = timedelta(hours=1)
    real_now = shop_look.database_now
    monkeypatch.setattr(shop_look, "database_now", lambda connection: real_now(connection) + hour)
    assert 3540 < shown(services)["seckill_database_clock_ahead_seconds",] < 3660


def test_many_who_ask_make_one_look(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = shop_look.look
    monkeypatch.setattr(shop_metrics, "look", lambda *given: (looks.append(1), look(*given))[1])
    metrics = patient(make_app(sqlite_uri).extensions["seckill"], seconds=3600)
    threads = [threading.Thread(target=lambda: as_shown(metrics)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looks) == 1
    assert as_shown(metrics)["seckill_database_up",] == 1


def test_a_database_that_fails_leaves_its_figures_out(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_app(sqlite_uri).extensions["seckill"]
    metrics = patient(services)
    Selling(services).item()
    assert len(as_shown(metrics)) > 5

    def failing(*given: object) -> Iterator[object]:
        yield from list(look(*given))[:1]
        raise Unavailable()

    look = shop_look.look
    monkeypatch.setattr(shop_metrics, "look", failing)
    # What was read ahead of the failure is there, and nothing that is older.
    assert set(as_shown(metrics)) == {("seckill_database_up",), ("seckill_database_clock_ahead_seconds",)}
    assert as_shown(metrics)["seckill_database_up",] == 0
    monkeypatch.undo()
    assert as_shown(metrics)["seckill_database_up",] == 1


def test_figures_that_are_old_are_shown_no_more(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment, hangs, goes = [0.0], threading.Event(), threading.Event()

    def hanging(*given: object) -> Iterator[object]:
        hangs.set()
        goes.wait(60)
        return iter(())

    services = make_app(sqlite_uri).extensions["seckill"]
    metrics = patient(services, wait_seconds=0.1, monotonic=lambda: moment[0])
    assert eventually(lambda: as_shown(metrics)["seckill_database_up",] == 1)
    monkeypatch.setattr(shop_metrics, "look", hanging)
    assert eventually(lambda: as_shown(metrics) and hangs.is_set())
    assert as_shown(metrics)["seckill_database_up",] == 1
    moment[0] += 31
    assert as_shown(metrics) == {("seckill_database_up",): 0}
    goes.set()
