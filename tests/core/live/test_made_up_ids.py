"""Purchases of items that do not exist leave nothing behind in the table of figures."""

from flask import Flask
from sqlalchemy import select

from harness.eventually import eventually
from models import SaleFigures
from tests.resources.calls import Calls


def test_purchases_of_made_up_ids_are_stored_under_no_item(app: Flask) -> None:
    call = Calls(app)
    item = call.create()["id"]
    assert call.post(f"/seckill/{item}", "alice").status_code == 201
    for made_up in range(item + 1, item + 20):
        assert call.post(f"/seckill/{made_up}", "alice").status_code == 404
    monitor = call.services.monitor
    monitor.store()  # asks for the database's time
    last = monitor.clock.now()

    def are_stored() -> bool:  # a second is stored after its end: wait for that of the last one with purchases
        is_over = monitor.clock.now() > last + 2
        monitor.collect()
        monitor.store()
        return is_over and bool(stored(call))

    assert eventually(are_stored)
    assert stored(call) == {0, item}


def stored(call: Calls) -> set[int]:
    with call.services.database.reading() as connection:
        return set(connection.execute(select(SaleFigures.goods_id)).scalars())
