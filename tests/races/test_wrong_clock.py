"""A process with a wrong clock decides as the others do: the database's clock alone does."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
import requests

from harness.service import Service
from harness.wrong_clock import wrong_clock
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside, until

HALF_AN_HOUR = timedelta(minutes=30)
# What a busy machine may make of a moment; the clocks are an hour off.
A_MOMENT = timedelta(minutes=5)


def sweeps(service: Service) -> float:
    """How many sweeps the service has made."""
    text = requests.get(f"{service.url}/metrics", timeout=20).text
    (line,) = (line for line in text.splitlines() if line.startswith("seckill_sweep_seconds_count"))
    return float(line.split()[-1])


def order(service: Service, order_no: str) -> dict:
    headers = service.headers("operator", admin=True)
    return requests.get(f"{service.url}/orders/{order_no}", headers=headers, timeout=20).json()


def cancel(service: Service, order_no: str) -> str:
    headers = service.headers("alice")
    answer = requests.post(f"{service.url}/orders/{order_no}/cancel", headers=headers, timeout=20)
    return answer.json().get("order_status", answer.json()["status"])


def close(first: str, second: datetime) -> bool:
    return abs(datetime.fromisoformat(first) - second) < A_MOMENT


def decide_alike(inside: Inside, right: Service, wrong: Service) -> None:
    now = datetime.now(timezone.utc)
    window = {
        "on_sale": (now - HALF_AN_HOUR, now + HALF_AN_HOUR),
        "upcoming": (now + HALF_AN_HOUR, None),
        "ended": (None, now - HALF_AN_HOUR),
    }
    items = {
        status: right.create_goods(
            **{
                name: moment.isoformat()
                for name, moment in zip(("starts_at", "ends_at"), moments, strict=True)
                if moment
            }
        )
        for status, moments in window.items()
    }
    bought = {}
    for service in (right, wrong):
        for status, item in items.items():
            shown = service.goods(item)["status"]
            assert shown == status, f"an item that is {status} is shown as {shown}"
            live = requests.get(f"{service.url}/seckill/{item}", timeout=20).json()
            assert live["status"] == status
            assert close(live["server_time"], now)
        assert service.buy(items["upcoming"], "alice").json()["code"] == "sale_not_started"
        assert service.buy(items["ended"], "alice").json()["code"] == "sale_ended"
        bought[service] = [service.buy(items["on_sale"], "alice").json() for _ in range(3)]
        for placed in bought[service]:
            assert close(placed["purchased_at"], now)
            assert close(placed["expires_at"], now + timedelta(seconds=900))

    # Orders in time stay pending, for all who read them and for the sweeper with the wrong clock.
    swept = sweeps(wrong)
    until(lambda: sweeps(wrong) >= swept + 2, 60)
    for stays, cancelled, _ in bought.values():
        assert {order(service, stays["order_no"])["status"] for service in (right, wrong)} == {"pending"}
        assert cancel(wrong, cancelled["order_no"]) == "cancelled"

    # Orders whose time is over are not, although nobody has swept them before.
    overdue = [orders[2]["order_no"] for orders in bought.values()]
    for order_no in overdue:
        with inside.transaction() as execute:
            execute("UPDATE orders SET expires_at = UTC_TIMESTAMP(3) WHERE order_no = %s", order_no)
            execute("COMMIT")
        assert {order(service, order_no)["status"] for service in (right, wrong)} == {"expired"}
        assert cancel(wrong, order_no) == "expired"
    until(lambda: right.goods(items["on_sale"])["sold"] == 2, 60)
    assert_audit_clean(right)


def started(
    start_service: Callable[..., Service], uri: str, seconds: int, zone: str, *without_guard: str
) -> tuple[Service, Service]:
    """A service that sweeps nothing, and one on the same database with a wrong clock that does."""
    settings = {
        "SWEEP_SECONDS": 0.2,
        "process_environment": wrong_clock(seconds, zone),
        "without_guard": ("sleep_by_waiting", *without_guard),
    }
    right = start_service(uri, SWEEPER="off")
    for _ in range(2):
        with contextlib.suppress(RuntimeError):  # now and then a process under libfaketime hangs at its start
            return right, start_service(uri, **settings)
    return right, start_service(uri, **settings)


@pytest.mark.parametrize(("seconds", "zone"), [(3600, "Asia/Kathmandu"), (-3600, "America/St_Johns")])
def test_a_process_with_a_wrong_clock_decides_as_the_others_do(
    inside: Inside, own_uri: str, start_service: Callable[..., Service], seconds: int, zone: str
) -> None:
    decide_alike(inside, *started(start_service, own_uri, seconds, zone))


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_by_its_own_clock_it_would_not(
    inside: Inside, own_uri: str, start_service: Callable[..., Service], seconds: int
) -> None:
    services = started(start_service, own_uri, seconds, "UTC", "host_clock")
    with pytest.raises(AssertionError, match=r"an item that is .* is shown as"):
        decide_alike(inside, *services)
