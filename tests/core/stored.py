"""Rows as the service stores them, for tests of what an audit says of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Connection, insert, select, text

from core.events import events
from core.events.events import EventType, NewEvent
from core.ops import audit
from core.ops.audit import Report
from core.services import Services
from models import OPEN_OUTCOMES, Coupon, CouponUse, Event, Goods, Order, Payment, PaymentClaim

# Of the beginning of a run, which may take longer than a payment may.
NOW = datetime.now(timezone.utc).replace(microsecond=0)
MINUTES = timedelta(minutes=1)
# The types of an order's events in each status, after the first.
EVENT_TYPES = {
    "pending": (),
    "paid": (EventType.ORDER_PAID,),
    "cancelled": (EventType.ORDER_CANCELLED,),
    "expired": (EventType.ORDER_EXPIRED,),
    "refund_due": (EventType.ORDER_CANCELLED, EventType.ORDER_REFUND_DUE),
    "refunded": (EventType.ORDER_PAID, EventType.ORDER_REFUNDED),
}


def sql(services: Services, *statements: str, unchecked: bool = False) -> None:
    """Change rows behind the service's back; `unchecked`: past the database's own constraints too."""
    with services.database.engine.connect() as connection:
        if unchecked:
            _lift_checks(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.invalidate()  # the switch must not outlive this


def _lift_checks(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    elif connection.dialect.is_mariadb:
        connection.exec_driver_sql("SET SESSION check_constraint_checks = 0")
    else:
        # MySQL has no switch for all of them.
        checks = connection.exec_driver_sql(
            "SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS"
            " WHERE CONSTRAINT_SCHEMA = DATABASE() AND CONSTRAINT_TYPE = 'CHECK' AND ENFORCED = 'YES'"
        ).all()
        for table, name in checks:
            connection.exec_driver_sql(f"ALTER TABLE {table} ALTER CHECK {name} NOT ENFORCED")


def place(
    services: Services,
    goods_id: int,
    number: str,
    event_types: Sequence[str] | None = None,
    numbered: bool = False,
    **values: Any,
) -> None:
    """Store an order as the service does: stock, events, payment and coupon use and all.

    `event_types` are of its events after the first, if not those of its status; `numbered`: in `events`, not in the
    outbox.
    """
    order: dict[str, Any] = {
        "order_no": number,
        "goods_id": goods_id,
        "goods_name": "Kettle",
        "user_id": "alice",
        "quantity": 1,
        "currency": "CNY",
        "unit_price": 100,
        "discount": 0,
        "shipping_fee": 0,
        "status": "pending",
        "per_user_limit": 2,
        "purchased_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    } | values
    status = order["status"]
    order.setdefault("subtotal", order["unit_price"] * order["quantity"])
    order.setdefault("total", order["subtotal"] - order["discount"] + order["shipping_fee"])
    order.setdefault("paid_at", NOW + MINUTES if status in ("paid", "refunded") else None)
    if status == "refunded":
        order = {"refunded_at": NOW + 2 * MINUTES, "refund_reference": "r", "closed_at": None} | order
    order.setdefault("closed_at", NOW + MINUTES if status in ("cancelled", "expired", "refund_due") else None)
    happened = [
        NewEvent(kind, goods_id, number)
        for kind in (EventType.ORDER_PLACED, *(EVENT_TYPES[status] if event_types is None else event_types))
    ]
    with services.database.engine.begin() as connection:
        connection.execute(insert(Order), [order])
        if status in ("pending", "paid") or (status == "refunded" and order["closed_at"] is None):
            move = {"stock": Goods.stock - order["quantity"], "sold": Goods.sold + order["quantity"]}
            connection.execute(Goods.__table__.update().where(Goods.id == goods_id).values(move))
        if numbered:
            connection.execute(insert(Event), [one._asdict() | {"occurred_at": NOW} for one in happened])
        else:
            events.write(connection, NOW, happened)
    if status in ("paid", "refund_due") and order["total"]:
        pay(services, number, status, order["total"], order["currency"])
    elif status == "refunded":
        outcome = "refund_due" if order["paid_at"] is None else "paid"
        pay(services, number, outcome, order["total"], order["currency"], resolution="refunded")


def pay(
    services: Services,
    number: str,
    outcome: str,
    amount: int,
    currency: str = "CNY",
    event_id: str | None = None,
    **columns: Any,
) -> None:
    """Store a payment, by default one of its own, with its claim if it had an effect."""
    event_id = event_id or f"event-{outcome}-{number}"
    resolution = columns.get("resolution")
    row = {
        "event_id": event_id,
        "type": "payment.succeeded",
        "order_no": number,
        "payment_id": f"payment-of-{event_id}",
        "amount": amount,
        "currency": currency,
        "outcome": outcome,
        "received_at": NOW,
        "resolved": True if resolution else False if outcome in OPEN_OUTCOMES else None,
        "resolved_at": NOW if resolution else None,
    } | columns
    with services.database.engine.begin() as connection:
        connection.execute(insert(Payment), [row])
        if outcome in ("paid", "refund_due", "already_paid") or resolution in ("refunded", "accepted"):
            claim = {name: row[name] for name in ("payment_id", "order_no", "amount", "currency")}
            known = select(PaymentClaim.payment_id).where(PaymentClaim.payment_id == row["payment_id"])
            if connection.execute(known).first() is None:
                connection.execute(insert(PaymentClaim), [claim])


def put_up_coupon(services: Services, code: str = "TEN", **values: Any) -> str:
    with services.database.engine.begin() as connection:
        made = {"kind": "percent", "percent": 10, "created_at": NOW, "updated_at": NOW} | values
        connection.execute(insert(Coupon), [{"code": code} | made])
    return code


def use(services: Services, order_no: str, coupon_code: str = "TEN", held: bool = True, **values: Any) -> None:
    """Store an order's use of a coupon, counted if it is held."""
    row = {
        "order_no": order_no,
        "coupon_code": coupon_code,
        "user_id": "alice",
        "total_limit": None,
        "per_user_limit": None,
        "number": 1,
        "user_number": 1,
        "returned_at": None if held else NOW,
    } | values
    with services.database.engine.begin() as connection:
        connection.execute(insert(CouponUse), [row])
        counted = "UPDATE coupons SET used = used + :held WHERE code = :code"
        connection.execute(text(counted), {"held": int(held), "code": coupon_code})


def broken(report: Report) -> dict[str, int]:
    """The checks that something breaks, and how often."""
    return {result.check.name: result.count for result in report.results if result.count}


def rows_of(report: Report, name: str) -> tuple[audit.Breach, ...]:
    return next(result.breaches for result in report.results if result.check.name == name)
