"""Neither a database that is away, nor a full disk, nor a cleaned temporary folder costs `/metrics` or a worker."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from harness.eventually import eventually
from harness.service import Service
from tests.resources.calls import Calls


def metrics(service: Service) -> dict[tuple[str, ...], float]:
    answer = requests.get(f"{service.url}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_without_a_database_the_metrics_are_answered_with_what_is_in_memory(unreachable_call: Calls) -> None:
    unreachable_call.get("/healthz")
    for _ in range(2):
        answer = unreachable_call.get("/metrics")
        assert answer.status_code == 200
        assert "seckill_database_up 0.0" in answer.text
        assert "seckill_http_requests_total{" in answer.text
        assert "seckill_item_stock" not in answer.text


def test_a_service_shows_its_workers_and_counts_those_that_it_replaces(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, workers=2)
    item = service.create_goods(stock=7)
    assert service.buy(item, "alice").ok
    assert eventually(lambda: metrics(service).get(("seckill_item_stock", str(item))) == 6)
    assert eventually(lambda: metrics(service)["seckill_workers",] == 2)  # one may still be loading
    assert metrics(service)["seckill_worker_restarts_total",] == 0
    # What is of the database is left out while it takes long to look.
    assert eventually(lambda: metrics(service).get(("seckill_item_sold", str(item))) == 1)
    assert eventually(lambda: metrics(service)["seckill_database_up",] == 1)
    os.kill(service.worker_pids()[0], signal.SIGKILL)

    def is_replaced() -> bool:
        try:
            found = metrics(service)
        except requests.ConnectionError:  # the killed worker's share of the port
            return False
        return (found["seckill_worker_restarts_total",], found["seckill_workers",]) == (1, 2)

    assert eventually(is_replaced)


def test_requests_that_have_no_line_are_counted_on_whatever_worker(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, workers=2, LOG_REQUESTS="off")
    counted = ("seckill_http_requests_total", "GET", "/goods", "200")
    for _ in range(30):  # over connections of their own, so that both workers answer some
        assert requests.get(f"{service.url}/goods", timeout=60).ok
    assert eventually(lambda: metrics(service).get(counted) == 30)
    assert '"route": "/goods"' not in service.log.read_text()


def test_a_full_disk_and_a_cleaned_temporary_folder_cost_neither_metrics_nor_a_worker(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    settings = {"SWEEPER": "off", "PUBLISHER": "off"}
    service = start_service(sqlite_uri, process_environment={"TMPDIR": str(temporary)}, **settings)
    item = service.create_goods()
    assert service.buy(item, "alice").ok
    (pid,) = service.worker_pids()
    operator = service.headers("operator", admin=True)

    def export() -> requests.Response:
        return requests.get(f"{service.url}/orders/export", headers=operator, timeout=60)

    assert export().status_code == 200  # it is sent from a temporary file
    assert list(temporary.iterdir()) == []  # nothing there is to be cleaned
    temporary.rmdir()
    assert export().status_code == 200
    assert eventually(lambda: metrics(service)["seckill_database_up",] == 1)
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))  # no file grows any more: not the log, not the database
    assert service.buy(item, "bob").status_code >= 500
    assert export().status_code == 500
    for _ in range(5):
        assert metrics(service)["seckill_workers",] == 1
    assert eventually(lambda: metrics(service).get(("seckill_log_lines_lost_total", "unwritten"), 0) > 0)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    temporary.mkdir()
    assert eventually(lambda: service.buy(item, "carol").status_code == 201)
    assert export().status_code == 200
    assert service.worker_pids() == [pid]
    assert eventually(lambda: "lines of the log were lost" in service.log.read_text())
