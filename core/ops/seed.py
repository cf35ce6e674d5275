"""Items, coupons and shipping methods to try the service with. Amounts are in fen, the minor unit of CNY."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from core.catalogue import coupons, goods, shipping
from core.catalogue.coded_table import CodedTable
from core.catalogue.pricing import shown
from core.db.clock import database_now
from core.db.database import Database
from core.db.transaction import run_with_default_deadline
from core.refusals import Refusal
from models import CouponKind, Goods

ACTOR = "cli"
UPCOMING_SECONDS = 120

# English name, Chinese name, price, list price.
_RANGE = (
    ("Mechanical Keyboard", "机械键盘", 19900, 39900),
    ("Noise-cancelling Headphones", "降噪耳机", 69900, 129900),
    ("Robot Vacuum", "扫地机器人", 99900, 189900),
    ("Espresso Machine", "意式咖啡机", 129900, 219900),
    ("Down Jacket", "羽绒服", 29900, 89900),
    ("Travel Mug", "保温杯", 4900, 9900),
    ("Electric Toothbrush", "电动牙刷", 9900, 24900),
    ("Running Shoes", "跑步鞋", 25900, 59900),
    ("Desk Lamp", "护眼台灯", 8800, 16800),
    ("Longjing Tea", "西湖龙井", 12800, 25600),
)

_COUPONS: tuple[dict[str, Any], ...] = (
    {
        "code": "WELCOME10",
        "kind": "percent",
        "percent": 10,
        "max_discount": 5000,
        "currency": "CNY",
        "per_user_limit": 1,
    },
    {"code": "SAVE50", "kind": "amount", "amount": 5000, "currency": "CNY", "min_spend": 50000, "total_limit": 100},
    {"code": "FREESHIP", "kind": "free_shipping", "total_limit": 100, "per_user_limit": 2},
)
_METHODS: tuple[dict[str, Any], ...] = (
    {"code": "standard", "name": "Standard 标准快递", "base_fee": 800, "additional_fee": 200, "free_from": 100000},
    {"code": "express", "name": "Express 次日达", "base_fee": 2000, "additional_fee": 500, "regions": ["CN"]},
    {"code": "shanghai", "name": "Same day in Shanghai 上海当日达", "base_fee": 1500, "regions": ["CN-31"]},
)


def coupons_and_methods(database: Database) -> tuple[list[Row[Any]], list[Row[Any]]]:
    """Create coupons of every kind and shipping methods, unless they exist, and return the rows of both."""
    methods = ({"currency": "CNY", **fields} for fields in _METHODS)
    return (
        [_found_or_made(coupons.table, database, fields) for fields in _COUPONS],
        [_found_or_made(shipping.table, database, fields) for fields in methods],
    )


def worth(coupon: Row[Any]) -> str:
    """A coupon's value, for people."""
    if coupon.kind == CouponKind.FREE_SHIPPING:
        return "free shipping"
    if coupon.kind == CouponKind.AMOUNT:
        return _money(coupon.amount, coupon.currency)
    at_most = "" if coupon.max_discount is None else f", at most {_money(coupon.max_discount, coupon.currency)}"
    return f"{coupon.percent} %{at_most}"


def fee(method: Row[Any]) -> str:
    """A shipping method's fee for the first unit, for people."""
    return _money(method.base_fee, method.currency)


def _money(amount: int, currency: str | None) -> str:
    # An administrator may have removed its currency, which opens it to all.
    return f"{amount:,}" if currency is None else shown(amount, currency)


def _found_or_made(table: CodedTable, database: Database, fields: dict[str, Any]) -> Row[Any]:
    try:
        return table.find(database, fields["code"])
    except Refusal as refusal:
        if refusal.code != table.not_found:
            raise
    try:
        return table.create(database, fields)
    except (Refusal, IntegrityError):
        return table.find(database, fields["code"])  # another process has made it meanwhile


def items(database: Database, count: int, stock: int, shippable: bool = False) -> Iterator[Row[Any]]:
    """Create `count` items of `stock` units each, all on sale, and yield each row once it is committed."""
    for number in range(count):
        round_, place = divmod(number, len(_RANGE))
        english, chinese, price, list_price = _RANGE[place]
        # English and Chinese names alternate, and swap in each round.
        name = (english, chinese)[(number + round_) % 2]
        yield goods.create(
            database,
            ACTOR,
            {
                "name": f"{name} {round_ + 1}" if round_ else name,
                "description": f"{english} · {chinese}",
                "currency": "CNY",
                "price": price,
                "list_price": list_price,
                "stock": stock,
                "shippable": shippable,
            },
        )


def demo(database: Database, only_if_empty: bool = False) -> list[Row[Any]]:
    """Create four items and return their rows: on sale, opening in two minutes, sold out, on sale and shippable.

    Every call creates four more; with `only_if_empty`, only if there are no items. It creates all or none, even if
    interrupted. The coupons and shipping methods are created once.
    """
    coupons_and_methods(database)

    def work(connection: Connection) -> list[Row[Any]]:
        # In the transaction, which excludes other writers on SQLite: several processes may start at once.
        if only_if_empty and connection.execute(select(Goods.id).limit(1)).first() is not None:
            return []
        opens = database_now(connection) + timedelta(seconds=UPCOMING_SECONDS)
        wanted: list[dict[str, Any]] = [
            {"name": "Mechanical Keyboard", "price": 19900, "list_price": 39900, "stock": 100, "per_user_limit": 2},
            {"name": "降噪耳机", "price": 69900, "list_price": 129900, "stock": 50, "starts_at": opens},
            {"name": "Travel Mug", "price": 4900, "list_price": 9900, "stock": 0},
            {"name": "西湖龙井 Longjing Tea", "price": 12800, "list_price": 25600, "stock": 100, "shippable": True},
        ]
        return [goods.create_in(connection, ACTOR, {"currency": "CNY", **fields}) for fields in wanted]

    return run_with_default_deadline(database, work)
