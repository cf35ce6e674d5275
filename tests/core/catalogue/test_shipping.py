"""What a shipping method costs and whom it serves; and that there are never too many."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from core.catalogue import shipping
from core.catalogue.shipping import Method
from core.refusals import InvalidField
from core.services import Services
from models import ShippingMethod

PLAIN = Method("express", "Express", None, 1200, 0, None, None, True)


def method(**changes: object) -> Method:
    """A method for 1200, to anywhere."""
    return dataclasses.replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("changes", "quantity", "subtotal", "fee"),
    [
        ({}, 1, 0, 1200),
        ({}, 1000, 0, 1200),
        ({"additional_fee": 300}, 1, 0, 1200),
        ({"additional_fee": 300}, 2, 0, 1500),
        ({"additional_fee": 300}, 1000, 0, 1200 + 999 * 300),
        ({"free_from": 5000}, 1, 4999, 1200),
        ({"free_from": 5000, "additional_fee": 300}, 9, 5000, 0),
        ({"free_from": 0}, 1, 0, 0),
        ({"base_fee": 0}, 7, 1, 0),
    ],
)
def test_the_fee(changes: dict, quantity: int, subtotal: int, fee: int) -> None:
    assert shipping.fee(method(**changes), quantity, subtotal) == fee


@given(
    base=st.integers(0, 10**12),
    additional=st.integers(0, 10**12),
    free_from=st.none() | st.integers(0, 10**12),
    quantity=st.integers(1, 999),
    subtotal=st.integers(0, 10**15),
)
def test_a_fee_is_never_negative_and_another_unit_costs_the_additional_fee(
    base: int, additional: int, free_from: int | None, quantity: int, subtotal: int
) -> None:
    known = method(base_fee=base, additional_fee=additional, free_from=free_from)
    fee, more = (shipping.fee(known, units, subtotal) for units in (quantity, quantity + 1))
    free = free_from is not None and subtotal >= free_from
    assert fee >= 0
    assert more - fee == (0 if free else additional)


@pytest.mark.parametrize(
    ("changes", "region", "obstacle"),
    [
        ({}, "CN-31", None),
        ({}, None, None),
        ({"active": False}, "CN-31", "inactive"),
        ({"currency": "CNY"}, None, None),
        ({"currency": "USD"}, None, "currency"),
        ({"regions": ["CN"]}, "CN", None),
        ({"regions": ["CN"]}, "CN-31", None),
        ({"regions": ["CN-31"]}, "CN-31", None),
        ({"regions": ["CN-31"]}, "CN", "region"),
        ({"regions": ["CN-31"]}, "CN-32", "region"),
        ({"regions": ["CN-3"]}, "CN-31", "region"),  # a code, not the beginning of one
        ({"regions": ["JP", "CN"]}, "CN-31", None),
        ({"regions": ["JP", "KR"]}, "CN-31", "region"),
        ({"regions": ["CN"]}, None, "address_required"),
        ({"regions": ["JP"], "currency": "USD", "active": False}, "CN-31", "inactive"),
        ({"regions": ["JP"], "currency": "USD"}, "CN-31", "currency"),
    ],
)
def test_whom_a_method_serves(changes: dict, region: str | None, obstacle: str | None) -> None:
    assert shipping.obstacle(method(**changes), "CNY", region) == obstacle


def make(services: Services, code: str) -> bool:
    """Whether there was room for one more."""
    try:
        shipping.table.create(services.database, {"code": code, "name": code, "base_fee": 1})
    except InvalidField as refused:
        return [error["code"] for error in refused.details["errors"]] != ["too_many"]
    return True


def count(services: Services) -> int:
    with services.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(ShippingMethod)).scalar_one()


def all_at_once(services: Services, makers: int = 4) -> list[bool]:
    together = threading.Barrier(makers)

    def one(number: int) -> bool:
        together.wait()
        return make(services, f"late-{number}")

    with ThreadPoolExecutor(makers) as pool:
        return list(pool.map(one, range(makers)))


def test_there_is_room_for_a_hundred_methods_and_no_more_whoever_comes_at_once(services: Services) -> None:
    for number in range(shipping.MAX_METHODS - 1):
        assert make(services, f"m{number}")
    assert sorted(all_at_once(services)) == [False, False, False, True]
    assert count(services) == shipping.MAX_METHODS
    assert not make(services, "one-more")


def test_without_the_lock_there_would_be_more(make_app, server_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    services = make_app(server_uri).extensions["seckill"]
    for number in range(shipping.MAX_METHODS - 1):
        assert make(services, f"m{number}")
    counted = threading.Barrier(4)

    def count_without_a_lock(connection: Connection) -> None:
        found = connection.execute(select(func.count()).select_from(ShippingMethod)).scalar_one()
        counted.wait(60)
        if found >= shipping.MAX_METHODS:
            raise InvalidField("code", "too_many")

    careless = dataclasses.replace(shipping.table, make_room=count_without_a_lock)
    monkeypatch.setattr(shipping, "table", careless)
    all_at_once(services)
    assert count(services) > shipping.MAX_METHODS
