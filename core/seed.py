"""Items to try the service with. Prices are in fen, the minor unit of CNY."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from core import goods
from core.clock import database_now
from core.database import Database

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


def items(database: Database, count: int, stock: int) -> Iterator[Row[Any]]:
    """Put up `count` items of `stock` units each, all on sale, and yield each one's row once it is stored."""
    for number in range(count):
        round_, place = divmod(number, len(_RANGE))
        english, chinese, price, list_price = _RANGE[place]
        # The languages alternate, and from round to round they change places.
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
            },
        )


def demo(database: Database) -> list[Row[Any]]:
    """Put up three items and return their rows: on sale, opening in two minutes, sold out; in that order.

    Every call makes three more.
    """
    with database.reading() as connection:
        opens = database_now(connection) + timedelta(seconds=UPCOMING_SECONDS)
    wanted: list[dict[str, Any]] = [
        {"name": "Mechanical Keyboard", "price": 19900, "list_price": 39900, "stock": 100, "per_user_limit": 2},
        {"name": "降噪耳机", "price": 69900, "list_price": 129900, "stock": 50, "starts_at": opens},
        {"name": "Travel Mug", "price": 4900, "list_price": 9900, "stock": 0},
    ]
    return [goods.create(database, ACTOR, {"currency": "CNY", **fields}) for fields in wanted]
