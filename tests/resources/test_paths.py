"""Paths that are nearly a route's, or that could lead elsewhere: 404, and no redirect but the one of `/`."""

import re
import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPResponse

import pytest
from werkzeug.test import TestResponse

from harness.service import PATIENT, Service
from tests.resources.calls import OPERATOR, Calls, problem

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# As they come in a request's first line.
NO_ROUTES = [
    "/seckill//1",
    "//seckill/1",
    "/seckill/1/",
    "/seckill/1//quote",
    "/seckill//",
    "//goods",
    "///goods/1",
    "/goods/",
    "/goods//1",
    "/orders//",
    "/orders//1/cancel",
    "//docs",
    "/docs//",
    "/healthz/",
    "/openapi.json/",
    "//",
    "///",
    "//evil.example",
    "//evil.example/",
    "//evil.example/docs",
    "//evil.example//docs",
    "/%2Fevil.example/",
    "/%5cevil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/problems//evil.example",
    "/goods/./1",
    "/goods/../orders",
    "/goods/%2e%2e/orders",
    "/GOODS/1",
    "http://evil.example//goods",
    "http://evil.example/seckill//1",
    "https://evil.example:8443/goods/",
]
# A route's, but of nothing that exists.
NOTHING_THERE = [
    "/docs/../goods",
    "/docs//evil.example",
    "/docs//evil.example/%2e%2e",
    "/goods/\u00e9",
    "/goods/%C3%A9",
    "/goods/%FF",
    "/goods/1%0d%0aLocation:%20http://evil.example/",
    "/goods/1%00",
]
# What names no path at all: the server itself may refuse it.
NO_PATHS = ["goods", "evil.example:80", "*", "evil.example", "http:evil.example"]


def put_in(target: str) -> str:
    """The PATH_INFO of a request for `target`, as PEP 3333 has it."""
    path = re.sub(r"^https?://[^/]*", "", target)
    path = re.sub("%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), path)
    return path.encode("utf-8").decode("latin-1") if path.isprintable() else path


def test_a_path_that_is_no_route_is_a_404_without_a_redirect(sqlite_call: Calls) -> None:
    for target in [*NO_ROUTES, "", "goods", "*"]:
        for method in METHODS:
            answer = send(sqlite_call, method, target)
            assert (answer.status_code, answer.headers.get("Location")) == (404, None), (method, target)
            if method != "HEAD":
                problem(answer, 404, "not_found")


def test_a_path_of_nothing_that_exists_is_a_404_without_a_redirect(sqlite_call: Calls) -> None:
    for target in NOTHING_THERE:
        for method in METHODS:
            answer = send(sqlite_call, method, target)
            assert "Location" not in answer.headers
            assert answer.status_code in ((404,) if method == "GET" else (200, 400, 404, 405)), (method, target)


def send(call: Calls, method: str, target: str) -> TestResponse:
    there = {"PATH_INFO": put_in(target), "HTTP_HOST": "evil.example"}
    return call.send(method, "/", OPERATOR, environ_overrides=there)


def test_no_page_says_the_host_that_the_caller_names(sqlite_call: Calls) -> None:
    for path in (
        "/",
        "/shop/orders",
        "/?lang=zh",
        "/docs",
        "/docs/",
        "/openapi.json",
        "/goods",
        "/nowhere",
        "/problems/sold_out",
        "/readyz",
    ):
        answer = sqlite_call.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in answer.text
        assert "evil.example" not in str(answer.headers)
    problem(sqlite_call.get("/nowhere", headers={"Host": "evil.example"}), 404, "not_found")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("paths")
    running = Service(f"sqlite:///{directory / 'seckill.db'}", directory / "service.log", fork=True, **PATIENT)
    yield running
    running.stop()


def over_the_wire(port: int, method: str, target: str, host: str) -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body of an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode("utf-8"))
        answer = HTTPResponse(connection, method=method)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()


@pytest.mark.parametrize("target", NO_ROUTES + NOTHING_THERE + NO_PATHS)
def test_over_the_wire_as_well(service: Service, target: str) -> None:
    for method in METHODS:
        status, headers, body = over_the_wire(service.port, method, target, "evil.example")
        assert "location" not in headers
        assert b"evil.example" not in body
        if method == "HEAD" or "content-type" not in headers or (method, status) == ("OPTIONS", HTTPStatus.OK):
            assert status in (200, 400, 404, 405)  # without a body, perhaps the server's own
            continue
        assert headers["content-type"] == "application/problem+json"
        assert status in (400, 401, 404, 405)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:99", "a b", "", "[::1", "user@evil.example", "\u00e9"])
def test_the_host_that_a_request_names_leads_nowhere(service: Service, host: str) -> None:
    # An answer that leads elsewhere, by the name of a path alone.
    for target in ("/?lang=zh", "http://evil.example/?lang=zh"):
        status, headers, _ = over_the_wire(service.port, "GET", target, host)
        assert (status, headers.get("location")) in ((303, "/"), (400, None))


def test_a_purchase_by_an_odd_path_buys_nothing(service: Service) -> None:
    goods_id = service.create_goods(stock=5)
    for target in (f"/seckill//{goods_id}", f"//seckill/{goods_id}", f"/seckill/{goods_id}/"):
        status, headers, body = over_the_wire(service.port, "POST", target, f"127.0.0.1:{service.port}")
        assert (status, "location" in headers, b'"code":"not_found"' in body) == (404, False, True)
    assert service.goods(goods_id)["stock"] == 5
