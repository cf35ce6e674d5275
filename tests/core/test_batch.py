"""One transaction for a list of purchases, for any items."""

from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from core import audit, goods
from core.clock import Deadline
from core.purchase import batch
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused, Replayed
from core.purchase.line import BATCH_SIZE
from core.purchase.slots import Caps
from core.shop import Shop


def put_up(shop: Shop, **fields: object) -> int:
    row = goods.create(shop.database, "t", {"name": "x", "currency": "CNY", "price": 100, "stock": 10, **fields})
    return row.id


def serve(shop: Shop, requests: list[PurchaseRequest]) -> list[Outcome | None]:
    return batch.serve(shop.database, Caps(shop.database, 2), requests, Deadline(10))


def told(outcome: Outcome | None) -> str | None:
    match outcome:
        case Refused(refusal):
            return refusal.code
        case Placed() | Replayed():
            return type(outcome).__name__
    return None


def test_a_list_for_several_items_is_settled_in_one_go(shop: Shop) -> None:
    limited, scarce, gone = put_up(shop, per_user_limit=2), put_up(shop, stock=2), 999
    outcomes = serve(
        shop,
        [
            PurchaseRequest(limited, "alice", 2, "key"),
            PurchaseRequest(scarce, "bob", 1),
            PurchaseRequest(limited, "alice", 1),
            PurchaseRequest(limited, "alice", 2, "key"),
            PurchaseRequest(gone, "carol", 1),
            PurchaseRequest(scarce, "carol", 2),
            PurchaseRequest(scarce, "carol", 1),
            PurchaseRequest(scarce, "dave", 1),
            PurchaseRequest(scarce, "alice", 2, "key"),
        ],
    )
    assert [told(outcome) for outcome in outcomes] == [
        "Placed",
        "Placed",
        "limit_reached",
        "Replayed",
        "goods_not_found",
        "insufficient_stock",
        "Placed",
        "sold_out",
        "idempotency_key_reused",
    ]
    assert [goods.find(shop.database, item).sold for item in (limited, scarce)] == [2, 2]
    assert audit.run(shop.settings).clean
    again = serve(shop, [PurchaseRequest(limited, "alice", 2, "key")])
    assert [told(outcome) for outcome in again] == ["Replayed"]


def test_an_order_remembers_what_the_item_was_when_it_was_placed(shop: Shop) -> None:
    free, limited = put_up(shop, name="free"), put_up(shop, name="键盘", per_user_limit=4, price=199, currency="JPY")
    serve(shop, [PurchaseRequest(free, "alice"), PurchaseRequest(limited, "alice", 2)])
    goods.change(shop.database, "t", limited, {"per_user_limit": 3, "price": 1, "name": "other"}, 0, None)
    serve(shop, [PurchaseRequest(limited, "bob"), PurchaseRequest(free, "bob")])
    with shop.database.reading() as connection:
        query = "SELECT user_id, goods_id, per_user_limit, unit_price, goods_name, currency FROM orders ORDER BY id"
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert sorted(rows) == sorted(
        [
            ("alice", free, None, 100, "free", "CNY"),
            ("alice", limited, 4, 199, "键盘", "JPY"),
            ("bob", limited, 3, 1, "other", "JPY"),
            ("bob", free, None, 100, "free", "CNY"),
        ]
    )


@pytest.mark.mariadb
def test_a_batch_is_one_insert_and_one_update_counted_at_the_server(
    make_app: Callable[..., Flask], mariadb_uri: str
) -> None:
    mariadb_shop: Shop = make_app(mariadb_uri).extensions["seckill"]
    item, other = put_up(mariadb_shop, stock=1000), put_up(mariadb_shop, stock=1000)
    serve(mariadb_shop, [PurchaseRequest(item, "first"), PurchaseRequest(other, "first")])  # makes the slots

    def counted() -> Counter[str]:
        """Statements at the server; an INSERT is one with the rows in it, or with a SELECT."""
        query = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert', 'Com_insert_select', 'Com_update')"
        with mariadb_shop.database.reading() as connection:
            rows = connection.execute(text(query)).all()
        assert len(rows) == 3
        counts: Counter[str] = Counter()
        for name, value in rows:
            counts[name.removesuffix("_select")] += int(value)
        return counts

    before = counted()
    outcomes = serve(
        mariadb_shop,
        [PurchaseRequest(goods_id, f"buyer-{n}", 1, f"key-{n}") for goods_id in (item, other) for n in range(100)],
    )
    after = counted()
    assert {told(outcome) for outcome in outcomes} == {"Placed", "idempotency_key_reused"}
    assert {name: after[name] - before[name] for name in before} == {"Com_insert": 1, "Com_update": 1}


def test_a_figure_that_cannot_be_recorded_after_commit_costs_nobody_their_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise OSError("no space left")

    item = put_up(shop)
    monkeypatch.setattr(batch.TRANSACTION_SECONDS, "observe", broken)
    monkeypatch.setattr(BATCH_SIZE, "observe", broken)
    assert told(shop.checkout.buy(PurchaseRequest(item, "alice"))) == "Placed"
    assert goods.find(shop.database, item).sold == 1
