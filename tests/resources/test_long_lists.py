"""Lists of long tables beside short ones: a server reads little more than a page, also where it joins other tables."""

from collections.abc import Callable

import pytest
from flask import Flask

from bench import list_rows
from bench.list_rows import HOT_ITEM
from core.db.database import patient_engine
from models import DeliveryStatus
from tests.resources.calls import OPERATOR, Calls
from tests.rows_read import rows_read_by

COUNT = 5000
PAGE = 50
# The page and one row more, from an index and three tables; and what the request reads besides.
READ_AT_MOST = 5 * PAGE


@pytest.mark.parametrize("orders", [0, 10, COUNT])
def test_events_deliveries_and_changes_read_little_more_than_their_page(
    make_app: Callable[..., Flask], server_uri: str, orders: int
) -> None:
    call = Calls(make_app(server_uri))
    item, webhook = call.create()["id"], call.create_webhook()["id"]
    assert item == HOT_ITEM
    engine = patient_engine(call.services.settings)
    if orders:
        list_rows.fill(engine, orders)
    list_rows.fill_changes(engine, COUNT)
    list_rows.fill_events(engine, COUNT)
    list_rows.fill_deliveries(engine, COUNT, webhook)
    paths = [f"/events?limit={PAGE}&after={after}" for after in (0, COUNT // 2, COUNT - PAGE // 2)]
    paths += [
        f"/webhooks/{webhook}/deliveries?limit={PAGE}{status}"
        for status in ("", *(f"&status={status}" for status in DeliveryStatus))
    ]
    paths += [f"/goods/{item}/changes?limit={PAGE}"]
    with engine.connect() as connection:
        for events in (COUNT, 5):  # after retention few are left
            if events < COUNT:
                connection.exec_driver_sql(f"DELETE FROM events WHERE seq <= {COUNT - events}")
                connection.commit()
            for table in ("goods", "orders", "events", "webhook_deliveries", "goods_changes"):
                connection.exec_driver_sql(f"ANALYZE TABLE {table}").all()
            for path in paths:
                read = rows_read_by(
                    call.services.database,
                    connection,
                    lambda path=path: call.get(path, OPERATOR).get_json()["items"],  # type: ignore[misc]
                )
                assert read < READ_AT_MOST, path
