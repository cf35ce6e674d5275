"""The figures of the service."""

from prometheus_client.parser import text_string_to_metric_families

from tests.resources.calls import OPERATOR, Calls


def figures(call: Calls) -> dict[tuple, float]:
    answer = call.get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def rise(before: dict, after: dict, name: str, **labels: str) -> float:
    series = (name, *sorted(labels.items()))
    return after.get(series, 0) - before.get(series, 0)


def test_purchases_are_counted_by_their_outcome(sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=2)
    before = figures(sqlite_call)
    sqlite_call.bought(item["id"], key="k")
    sqlite_call.bought(item["id"], key="k")
    sqlite_call.buy(item["id"], quantity=2)
    sqlite_call.bought(item["id"])
    sqlite_call.buy(item["id"])
    sqlite_call.buy(10**6)
    after = figures(sqlite_call)
    expected = {"placed": 2, "replayed": 1, "insufficient_stock": 1, "sold_out": 1, "goods_not_found": 1}
    for outcome, count in expected.items():
        assert rise(before, after, "seckill_purchases_total", outcome=outcome) == count, outcome


def test_requests_are_counted_by_route_method_and_status(sqlite_call: Calls) -> None:
    before = figures(sqlite_call)
    for goods_id in range(1, 4):
        sqlite_call.get(f"/goods/{goods_id}")
    for path in ("/a", "/b", "/c"):
        sqlite_call.get(path)
    sqlite_call.send("BREW", "/goods")
    after = figures(sqlite_call)
    name = "seckill_http_requests_total"
    assert rise(before, after, name, route="/goods/<goods_id>", method="GET", status="404") == 3
    # Neither addresses nor methods that callers make up may make series.
    assert rise(before, after, name, route="none", method="GET", status="404") == 3
    assert rise(before, after, name, route="none", method="other", status="405") == 1


def test_no_user_item_or_order_is_a_label(sqlite_call: Calls) -> None:
    item = sqlite_call.create(name="name-marker")
    order = sqlite_call.bought(item["id"], "user-marker", key="key-marker")
    sqlite_call.get(f"/orders/{order['order_no']}", OPERATOR)
    text = sqlite_call.get("/metrics").text
    assert "marker" not in text
    assert order["order_no"] not in text


def test_the_time_of_purchase_transactions_is_measured(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    before = figures(sqlite_call)
    sqlite_call.bought(item["id"])
    assert rise(before, figures(sqlite_call), "seckill_purchase_transaction_seconds_count") == 1
