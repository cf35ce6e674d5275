"""One transaction for a list of purchases, for any items."""

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import insert, text

from core.catalogue import goods
from core.catalogue.quotes import NO_CHOICES, Address, Choices
from core.db.clock import EPOCH, Deadline
from core.db.transaction import RERUNS
from core.ops import audit
from core.purchase import batch
from core.purchase.batcher import BATCH_SIZE
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused, Replayed
from core.purchase.slots import Caps
from core.services import Services
from models import Coupon, ShippingMethod


def put_up(services: Services, **fields: object) -> int:
    row = goods.create(services.database, "t", {"name": "x", "currency": "CNY", "price": 100, "stock": 10, **fields})
    return row.id


def serve(services: Services, requests: list[PurchaseRequest]) -> list[Outcome | None]:
    return batch.serve(services.database, Caps(services.database, 2), requests, Deadline(60))


def code_of(outcome: Outcome | None) -> str | None:
    match outcome:
        case Refused(refusal):
            return refusal.code
        case Placed() | Replayed():
            return type(outcome).__name__
    return None


def test_a_list_for_several_items_is_settled_in_one_go(services: Services) -> None:
    limited, scarce, gone = put_up(services, per_user_limit=2), put_up(services, stock=2), 999
    outcomes = serve(
        services,
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
    assert [code_of(outcome) for outcome in outcomes] == [
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
    assert [goods.find(services.database, item).sold for item in (limited, scarce)] == [2, 2]
    assert audit.run(services.settings).clean
    again = serve(services, [PurchaseRequest(limited, "alice", 2, "key")])
    assert [code_of(outcome) for outcome in again] == ["Replayed"]


def test_an_order_remembers_what_the_item_was_when_it_was_placed(services: Services) -> None:
    free, limited = (
        put_up(services, name="free"),
        put_up(services, name="键盘", per_user_limit=4, price=199, currency="JPY"),
    )
    serve(services, [PurchaseRequest(free, "alice"), PurchaseRequest(limited, "alice", 2)])
    goods.change(services.database, "t", limited, {"per_user_limit": 3, "price": 1, "name": "other"}, 0, None)
    serve(services, [PurchaseRequest(limited, "bob"), PurchaseRequest(free, "bob")])
    with services.database.reading() as connection:
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


def counted(services: Services) -> Counter[str]:
    """Statements at the server; an INSERT is one with the rows in it, or with a SELECT."""
    query = (
        "SHOW GLOBAL STATUS WHERE Variable_name IN"
        " ('Com_insert', 'Com_insert_select', 'Com_select', 'Com_update',"
        " 'Com_update_multi', 'Com_commit')"
    )
    with services.database.reading() as connection:
        rows = connection.execute(text(query)).all()
    assert len(rows) == 6
    counts: Counter[str] = Counter()
    for name, value in rows:
        counts[name.removesuffix("_select") if "insert" in name else name] += int(value)
    return counts


def spent(services: Services, requests: list[PurchaseRequest]) -> tuple[set[str | None], dict[str, int]]:
    """What a batch came to, and its statements at the server."""
    before = counted(services)
    outcomes = {code_of(outcome) for outcome in serve(services, requests)}
    after = counted(services)
    return outcomes, {name.removeprefix("Com_"): after[name] - before[name] for name in before}


def reruns() -> float:
    """How many transactions of this process were run again."""
    return sum(
        sample.value for metric in RERUNS.collect() for sample in metric.samples if sample.name.endswith("_total")
    )


@pytest.fixture
def server_shop(make_app: Callable[..., Flask], server_uri: str) -> Services:
    return make_app(server_uri).extensions["seckill"]


def slots_made(services: Services, *items: int) -> None:
    serve(services, [PurchaseRequest(item, "first") for item in items])


def test_a_batch_is_one_insert_and_one_update_counted_at_the_server(server_shop: Services) -> None:
    item, other = put_up(server_shop, stock=1000), put_up(server_shop, stock=1000)
    slots_made(server_shop, item, other)
    outcomes, statements = spent(
        server_shop,
        [PurchaseRequest(goods_id, f"buyer-{n}", 1, f"key-{n}") for goods_id in (item, other) for n in range(100)],
    )
    assert outcomes == {"Placed", "idempotency_key_reused"}
    # The orders and the outbox; the stock of both items.
    assert (statements["insert"], statements["update"]) == (2, 1)


def test_coupons_and_shipping_add_as_many_statements_to_two_purchases_as_to_hundreds(server_shop: Services) -> None:
    item = put_up(server_shop, stock=10_000, shippable=True)
    plain = put_up(server_shop, stock=10_000)
    slots_made(server_shop, item, plain)
    made = {"created_at": EPOCH, "updated_at": EPOCH}
    with server_shop.database.engine.begin() as connection:
        connection.execute(insert(Coupon).values(code="TEN", kind="percent", percent=10, per_user_limit=1, **made))
        connection.execute(insert(ShippingMethod).values(code="parcel", name="Parcel", base_fee=500, **made))
    address = Address("Li Lei", "1", "CN", "1 Road", "1")
    choices = Choices("TEN", "parcel", None, address)

    numbers = itertools.count()

    def statements_of(goods_id: int, count: int, chosen: Choices) -> dict[str, int]:
        """The statements of a batch of so many buyers that the server let through at the first attempt."""
        while True:
            buyers = itertools.islice(numbers, count)
            requests = [PurchaseRequest(goods_id, f"buyer-{n}", 1, f"{goods_id}-{n}", chosen) for n in buyers]
            before = reruns()
            outcomes, statements = spent(server_shop, requests)
            assert outcomes == {"Placed"}
            if reruns() == before:
                return statements

    two = statements_of(item, 2, choices)
    assert statements_of(item, 300, choices) == two
    bare = statements_of(plain, 300, NO_CHOICES)
    assert statements_of(plain, 2, NO_CHOICES) == bare
    # The uses written; the coupon's count; the methods, the coupon's row and the buyers' uses read.
    more = {name: two[name] - bare[name] for name in two}
    assert more == {"insert": 1, "update": 0, "update_multi": 1, "select": 3, "commit": 0}
    with server_shop.database.reading() as connection:
        used = connection.execute(text("SELECT used FROM coupons")).scalar_one()
        assert used == connection.execute(text("SELECT COUNT(*) FROM coupon_uses")).scalar_one() >= 302


def test_a_figure_that_cannot_be_recorded_after_commit_costs_nobody_their_answer(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise OSError("no space left")

    item = put_up(services)
    monkeypatch.setattr(batch.TRANSACTION_SECONDS, "observe", broken)
    monkeypatch.setattr(BATCH_SIZE, "observe", broken)
    assert code_of(services.checkout.buy(PurchaseRequest(item, "alice")).result(60)) == "Placed"
    assert goods.find(services.database, item).sold == 1
