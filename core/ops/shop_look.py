"""What alarms and dashboards need from the database, read in one look whose every statement is bounded.

docs/observability.md says what each figure is for. Where rows are counted, a count stops at COUNTED_MAX.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import ColumnElement, Connection, Select, func, literal, or_, select, union_all

from core.db.clock import database_now
from core.events.deliveries import GIVE_UP
from core.events.webhooks import MOST
from models import DeliveryStatus, Event, Goods, Order, OrderStatus, Outbox, Payment, Webhook, WebhookDelivery

# Items that have figures of their own, at most.
ITEMS_MAX = 100
# The newest items, among which those on sale are looked for.
_ITEMS_LOOKED_AT = 10_000
# Rows that are counted, at most.
COUNTED_MAX = 10_000
# Rows of the outbox that are counted; each has the events of a whole batch.
_OUTBOX_MAX = 1000


def look(connection: Connection, wanted: Sequence[int]) -> Iterator[Metric]:
    """Read the figures one after the other. `wanted` are the items that buyers request now, the most wanted first."""
    before = time.time()
    now = database_now(connection)
    ahead = now.timestamp() - (before + time.time()) / 2
    yield GaugeMetricFamily(
        "seckill_database_clock_ahead_seconds", "The database's clock less this host's, to half a round trip.", ahead
    )
    yield from _items(connection, wanted, now)
    yield from _orders(connection, now)
    yield GaugeMetricFamily(
        "seckill_payments_unresolved",
        "Payments that did not fit and that no operator has resolved.",
        _count(connection, select(Payment.id).where(Payment.resolved.is_(False))),
    )
    yield from _events(connection, now)


def _items(connection: Connection, wanted: Sequence[int], now: datetime) -> Iterator[Metric]:
    stock = GaugeMetricFamily("seckill_item_stock", "Units of an item that can be bought.", labels=["goods_id"])
    sold = GaugeMetricFamily("seckill_item_sold", "Units of an item that orders hold.", labels=["goods_id"])
    figures = select(Goods.id, Goods.stock, Goods.sold)
    on_sale = figures.where(
        Goods.id > select(func.max(Goods.id)).scalar_subquery() - _ITEMS_LOOKED_AT,
        or_(Goods.starts_at.is_(None), Goods.starts_at <= now),
        or_(Goods.ends_at.is_(None), Goods.ends_at > now),
        Goods.paused.is_(False),
    )
    rows = connection.execute(figures.where(Goods.id.in_(wanted[:ITEMS_MAX]))).all() if wanted else []
    found = {row.id: row for row in rows}
    for row in connection.execute(on_sale.order_by(Goods.id.desc()).limit(ITEMS_MAX)):
        if len(found) < ITEMS_MAX:
            found[row.id] = row
    for goods_id, row in found.items():
        stock.add_metric([str(goods_id)], row.stock)
        sold.add_metric([str(goods_id)], row.sold)
    yield stock
    yield sold


def _orders(connection: Connection, now: datetime) -> Iterator[Metric]:
    def oldest(column: Any) -> datetime | None:
        query = select(column).where(Order.status == OrderStatus.PENDING).order_by(column).limit(1)
        return connection.execute(query).scalar_one_or_none()

    yield GaugeMetricFamily(
        "seckill_oldest_unpaid_order_seconds",
        "Age of the oldest pending order; 0 where there is none.",
        _age(oldest(Order.purchased_at), now),
    )
    yield GaugeMetricFamily(
        "seckill_oldest_overdue_order_seconds",
        "Time since the end of the pending order that is overdue the longest; 0 where none is.",
        _age(oldest(Order.expires_at), now),
    )
    yield GaugeMetricFamily(
        "seckill_orders_refund_due",
        "Orders whose money is to be given back.",
        _count(connection, select(Order.id).where(Order.status == OrderStatus.REFUND_DUE)),
    )


def _events(connection: Connection, now: datetime) -> Iterator[Metric]:
    on_sqlite = connection.dialect.name == "sqlite"
    length = func.json_array_length(Outbox.events) if on_sqlite else func.json_length(Outbox.events)
    rows = select(Outbox.occurred_at, length.label("events")).order_by(Outbox.id).limit(_OUTBOX_MAX).subquery()
    count, since = connection.execute(select(func.sum(rows.c.events), func.min(rows.c.occurred_at))).one()
    yield GaugeMetricFamily(
        "seckill_events_unnumbered", "Events that are not published yet: they have no number.", int(count or 0)
    )
    yield GaugeMetricFamily(
        "seckill_oldest_unnumbered_event_seconds",
        "Age of the oldest event without a number; 0 where there is none.",
        _age(since, now),
    )
    waiting = GaugeMetricFamily(
        "seckill_webhook_deliveries_waiting", "Events that a subscriber is yet to get.", labels=["webhook"]
    )
    behind = GaugeMetricFamily(
        "seckill_webhook_events_behind", "Events not looked at for a subscriber yet.", labels=["webhook"]
    )
    oldest = GaugeMetricFamily(
        "seckill_webhook_oldest_waiting_seconds",
        "Age of the oldest event that a subscriber is yet to get; 0 where there is none.",
        labels=["webhook"],
    )
    active = select(Webhook.id, Webhook.after_seq).where(Webhook.active).order_by(Webhook.id).limit(MOST)
    webhooks = connection.execute(active).all()
    newest = connection.execute(select(func.max(Event.seq))).scalar_one() or 0
    for webhook in webhooks:
        behind.add_metric([str(webhook.id)], max(0, newest - webhook.after_seq))
    if webhooks:
        for row in connection.execute(union_all(*(_waiting(webhook.id) for webhook in webhooks))):
            waiting.add_metric([str(row.id)], row.waiting)
            oldest.add_metric([str(row.id)], min(_age(row.since, now), GIVE_UP.total_seconds()))
    yield from (waiting, behind, oldest)


def _waiting(webhook_id: int) -> Select[*tuple[Any, ...]]:
    """How many deliveries to a subscriber wait, and since when the oldest does."""
    pending = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.status == DeliveryStatus.PENDING)
    oldest = select(func.min(WebhookDelivery.seq)).where(*pending).scalar_subquery()
    return select(
        literal(webhook_id).label("id"),
        _counted(select(WebhookDelivery.id).where(*pending)).label("waiting"),
        select(Event.occurred_at).where(Event.seq == oldest).scalar_subquery().label("since"),
    )


def _counted(query: Select[Any]) -> ColumnElement[int]:
    return select(func.count()).select_from(query.limit(COUNTED_MAX).subquery()).scalar_subquery()


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(select(_counted(query))).scalar_one())


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(timedelta(0), now - since).total_seconds()
