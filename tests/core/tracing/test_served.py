"""A running service that is traced: to a file, to a collector, and to one that is away."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import Service
from harness.serving import serving

BUYERS = 20


class Collector:
    """An OTLP collector of the tests' own: an HTTP server on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, ExportTraceServiceRequest]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                export = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                collector.requests.append((self.path, self.headers["Authorization"], export))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    @property
    def names(self) -> list[str]:
        return [
            span.name
            for *_, export in list(self.requests)
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    with serving(collector.server):
        yield collector


def buy(service: Service) -> None:
    item = service.create_goods(stock=BUYERS)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: service.buy(item, f"buyer-{number}"), range(BUYERS)))
    assert [answer.status_code for answer in answers] == [201] * BUYERS


def test_spans_go_to_a_file_and_none_is_lost_at_the_end(
    start_service: Callable[..., Service], mysql_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "spans.jsonl"
    service = start_service(mysql_uri, workers=2, TRACES="all", TRACES_TO=path)
    buy(service)
    assert service.stop(signal.SIGTERM) == 0
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    requests = [span for span in spans if span["name"] == "POST /seckill/<goods_id>"]
    batches = {span["context"]["span_id"]: span for span in spans if span["name"] == "purchase batch"}
    assert len(requests) == BUYERS
    assert sum(batch["attributes"]["seckill.batch.size"] for batch in batches.values()) == BUYERS
    assert all(batches[link["context"]["span_id"]] for request in requests for link in request["links"])
    assert {span["name"] for span in spans if span["parent_id"] in batches} >= {"SELECT", "INSERT", "COMMIT"}
    assert {span["resource"]["attributes"]["service.name"] for span in spans} == {"flash-sale"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_spans_go_to_a_collector_past_any_proxy(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    with collecting() as collector:
        service = start_service(
            sqlite_uri,
            process_environment={
                "http_proxy": "http://127.0.0.1:1",
                "no_proxy": "",  # what the tests themselves have set would hide the proxy
                "NO_PROXY": "",
                "OTEL_SERVICE_NAME": "shop",
            },
            TRACES="all",
            TRACES_TO=collector.url,
            TRACES_AUTHORIZATION="Bearer collectors-secret",
        )
        buy(service)
        assert eventually(lambda: collector.names.count("POST /seckill/<goods_id>") == BUYERS)
        assert {"wait in queue", "purchase batch", "INSERT", "COMMIT"} < set(collector.names)
        path, authorization, export = collector.requests[0]
    assert (path, authorization) == ("/v1/traces", "Bearer collectors-secret")
    attributes = {each.key: each.value.string_value for each in export.resource_spans[0].resource.attributes}
    assert attributes["service.name"] == "shop"
    assert "collectors-secret" not in service.log.read_text()


def gone() -> socket.socket | None:
    return None


def hangs() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))  # takes connections, and never answers


@pytest.mark.parametrize("collector", [gone, hangs])
def test_a_collector_that_is_away_costs_no_answer_and_no_stop(
    start_service: Callable[..., Service], sqlite_uri: str, collector: Callable[[], Any]
) -> None:
    listener = collector()
    port = listener.getsockname()[1] if listener else free_port()
    service = start_service(sqlite_uri, TRACES="all", TRACES_TO=f"http://127.0.0.1:{port}/v1/traces")
    buy(service)
    assert eventually(lambda: "spans could not be sent to TRACES_TO" in service.log.read_text())
    buy(service)
    assert service.stop(signal.SIGTERM) == 0  # within 30 seconds, as any other
    log = service.log.read_text()
    assert "Traceback" not in log
    assert log.count("spans could not be sent") == 1
    if listener:
        listener.close()
