"""Purchases of items that do not exist leave nothing behind in the table of figures."""

from flask import Flask
from sqlalchemy import select

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
    while not (rows := stored(call)):
        monitor.collect()
        monitor.store()
    assert {row.goods_id for row in rows} == {0, item}


def stored(call: Calls) -> list[SaleFigures]:
    with call.services.database.reading() as connection:
        return list(connection.execute(select(SaleFigures.goods_id)))
