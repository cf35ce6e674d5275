"""A worker that can start no more threads serves on with those that it has."""

import pytest

from tests.no_threads import no_more_threads
from tests.resources.calls import OPERATOR, Calls


@pytest.fixture
def item(sqlite_call: Calls) -> int:
    """An item of which every request is answered by the sale cache, whose thread has not started; the others have."""
    item = sqlite_call.create(stock=10)["id"]
    sqlite_call.bought(item, "first-buyer")
    sqlite_call.services.sale_cache.hot_requests = 1
    return item


def test_a_purchase_of_a_hot_item_is_placed(sqlite_call: Calls, item: int) -> None:
    with no_more_threads():
        assert sqlite_call.buy(item, "buyer").status_code == 201
        assert not sqlite_call.services.sale_cache.watching


def test_a_read_of_a_hot_item_is_answered_and_leaves_nobody_waiting(sqlite_call: Calls, item: int) -> None:
    with no_more_threads():
        answer = sqlite_call.get(f"/seckill/{item}")
        assert (answer.status_code, answer.json["stock"]) == (200, 9)
        assert sqlite_call.services.sale_cache.sizes["waiting"] == 0
    assert sqlite_call.get(f"/seckill/{item}").status_code == 200
    assert sqlite_call.services.sale_cache.watching


def test_the_live_figures_are_busy_and_come_afterwards(sqlite_call: Calls, item: int) -> None:
    with no_more_threads():
        for path in ("/live", *(f"/live?goods_id={made_up}" for made_up in range(1, 30))):
            answer = sqlite_call.get(path, OPERATOR)
            assert (answer.status_code, answer.json["code"]) == (503, "busy")
    assert sqlite_call.get(f"/live?goods_id={item}", OPERATOR).status_code == 200
