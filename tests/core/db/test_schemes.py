"""A shop on MariaDB, by either scheme of its address: SQLAlchemy has a dialect of another name for each."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import event

from tests.resources.calls import OPERATOR, Calls


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_a_shop_on_mariadb_by_either_scheme(make_app: Callable[..., Flask], mariadb_uri: str, scheme: str) -> None:
    call = Calls(make_app(mariadb_uri.replace("mysql+", f"{scheme}+", 1), PAYMENT_PROVIDER="test"))
    engine = call.services.database.engine
    assert engine.dialect.name == scheme
    item = call.create()["id"]
    call.create_coupon("TEN")
    order_no = call.bought(item, "alice", coupon_code="TEN")["order_no"]
    assert call.post(f"/orders/{order_no}/pay", "alice").json["status"] == "paid"
    statements: list[str] = []
    for pool in {engine, call.services.database.read_engine}:
        event.listen(pool, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    for path in ("/coupons?kind=percent&active=true", "/orders?user_id=alice", "/payments?outcome=paid"):
        assert call.get(path, OPERATOR).status_code == 200
        assert [statement for statement in statements if "FORCE INDEX" in statement], path
        statements.clear()
    assert call.get("/coupons?kind=percent&active=true", OPERATOR).json["items"][0]["used"] == 1
