"""deploy/nginx.conf in front of the service: the contract holds, and nginx's own answers are in its form."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from config import Settings
from harness.database_server import free_port
from harness.nginx import CONFIG, Nginx, has_ipv6, program
from harness.service import PATIENT, Service
from resources.http.body import MAX_BYTES
from resources.http.problems import MIME_TYPE, PROBLEMS
from tests.deploy.conftest import Upstream

pytestmark = pytest.mark.nginx

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
StartNginx = Callable[..., Nginx]
StartUpstream = Callable[..., Upstream]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    running = Service(f"sqlite:///{directory}/seckill.db", directory / "log", workers=2, fork=True, **PATIENT)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def front(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx before `service`."""
    running = Nginx(tmp_path_factory.mktemp("front") / "nginx", service.port)
    yield running
    running.stop()


def _is_problem(answer: requests.Response, code: str) -> None:
    """As the contract has it, whoever made it."""
    assert answer.headers["Content-Type"] == MIME_TYPE
    body = answer.json()
    assert (answer.status_code, body["status"]) == (PROBLEMS[code].status, PROBLEMS[code].status)
    assert (body["type"], body["code"]) == (f"/problems/{code}", code)
    assert body["title"] == PROBLEMS[code].title.in_language(answer.headers["Content-Language"])
    assert re.fullmatch(r"[0-9a-f]{32}", body["request_id"])
    assert answer.headers["X-Request-ID"] == body["request_id"]
    assert answer.headers["Vary"] == "Accept-Language"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_file_is_valid_as_it_is_and_as_the_tests_start_it(front: Nginx, tmp_path: Path) -> None:
    checked = front.check()
    assert checked.returncode == 0, checked.stderr
    # As it is it needs the paths of the package and a low port; -t changes none of them.
    asis = subprocess.run([program(), "-t", "-c", CONFIG], capture_output=True, text=True, timeout=30, check=False)
    assert "syntax is ok" in asis.stderr


def test_it_listens_on_ipv4_and_ipv6_wherever_it_listens() -> None:
    listened = re.findall(r"^\s*(?:# +)?listen (\[::\]:)?(\d+ .*);", CONFIG.read_text(), flags=re.MULTILINE)
    by_ipv6, by_ipv4 = ({rest for ipv6, rest in listened if bool(ipv6) is wanted} for wanted in (True, False))
    assert by_ipv6 == by_ipv4
    assert len(by_ipv4) == 3


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
def test_who_comes_by_ipv6_is_served(front: Nginx) -> None:
    answer = requests.get(f"http://[::1]:{front.port}/goods", timeout=60)
    assert (answer.status_code, answer.json()["next_cursor"]) == (200, None)


def test_its_limits_are_those_of_the_service() -> None:
    text = CONFIG.read_text()
    # Not more: the service hangs up on a larger body while nginx still sends it, which would be a 503 now and then.
    assert int(re.search(r"client_max_body_size (\d+)k;", text)[1]) * 1024 == MAX_BYTES
    default = {name: field.default for name, field in Settings.model_fields.items()}
    worst = default["PURCHASE_WAIT_SECONDS"] + 2 * default["DATABASE_TIMEOUT_SECONDS"]
    assert int(re.search(r"proxy_read_timeout (\d+)s;", text)[1]) >= worst + 10


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 2 * MAX_BYTES, 1024 * 1024])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_body_that_is_too_large_is_a_413_in_the_services_form(
    front: Nginx, service: Service, size: int, language: str
) -> None:
    headers = service.headers("alice", **{"Accept-Language": language, "Content-Type": "application/json"})
    answer = requests.post(f"{front.url}/seckill/1", data=b" " * size, headers=headers, timeout=60)
    _is_problem(answer, "body_too_large")
    assert answer.headers["Content-Language"] == language
    assert answer.json()["detail"] == PROBLEMS["body_too_large"].detail.in_language(language)


def test_the_largest_body_that_the_service_takes_gets_there(front: Nginx, service: Service) -> None:
    headers = service.headers("alice", **{"Content-Type": "application/json"})
    body = b"{}".rjust(MAX_BYTES)
    answer = requests.post(f"{front.url}/seckill/{service.create_goods()}", data=body, headers=headers, timeout=60)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "line",
    ["GET /goods?q=" + "a" * 40_000, "BAD LINE", "POST /seckill/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd"],
)
def test_what_is_no_request_is_a_bad_request_in_the_services_form(front: Nginx, line: str) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=60) as client:
        client.sendall(f"{line}{'' if 'HTTP' in line else ' HTTP/1.1'}\r\n\r\n".encode())
        head, _, body = client.makefile("rb").read().decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 ")
    assert f"Content-Type: {MIME_TYPE}" in head
    assert json.loads(body)["code"] == "bad_request"


def test_a_method_that_nginx_itself_refuses_names_those_allowed(front: Nginx) -> None:
    answer = requests.request("TRACE", f"{front.url}/goods", timeout=60)
    _is_problem(answer, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_the_contract_passes_through(front: Nginx, service: Service) -> None:
    headers = dict(service.headers("小明", **{"Idempotency-Key": "once", "X-Request-ID": "shop:42"}))
    name = "机械键盘「限量」"
    item = service.create_goods(name=name, stock=2)
    first = requests.post(f"{front.url}/seckill/{item}", json={}, headers=headers, timeout=60)
    again = requests.post(f"{front.url}/seckill/{item}", json={}, headers=headers, timeout=60)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["X-Request-ID"] == "shop:42"  # once, not twice
    assert first.headers["Location"] == f"/orders/{first.json()['order_no']}"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert name in first.content.decode()  # as itself, not as \uXXXX
    order = requests.get(f"{front.url}{first.headers['Location']}", headers=headers, timeout=60)
    assert order.json() == first.json()

    read = requests.get(f"{front.url}/goods/{item}", timeout=60)
    assert read.headers["Cache-Control"] == "public, max-age=1"
    unchanged = requests.get(f"{front.url}/goods/{item}", headers={"If-None-Match": read.headers["ETag"]}, timeout=60)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == read.headers["ETag"]
    found = requests.get(f"{front.url}/goods", params={"q": "键盘"}, timeout=60).json()["items"]
    assert [one["name"] for one in found] == [name]

    refused = requests.post(
        f"{front.url}/seckill/{item}", json={"quantity": 2}, headers=service.headers("b"), timeout=60
    )
    _is_problem(refused, "insufficient_stock")
    assert refused.json()["available"] == 1


def test_a_chunked_body_arrives_whole(front: Nginx, service: Service) -> None:
    item = service.create_goods()
    headers = service.headers("alice", **{"Content-Type": "application/json"})
    answer = requests.post(
        f"{front.url}/seckill/{item}", data=iter([b'{"quan', b'tity": 3}']), headers=headers, timeout=60
    )
    assert (answer.status_code, answer.json()["quantity"]) == (201, 3)


def test_the_service_gets_what_it_may_believe(start_nginx: StartNginx, start_upstream: StartUpstream) -> None:
    upstream = start_upstream(ANSWER)
    nginx = start_nginx(upstream.port)
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X-Real-IP": "6"}
    requests.get(nginx.url, headers=forged | {"X-Request-ID": "a" * 65, "Forwarded": "for=6.6.6.6"}, timeout=60)
    (request,) = upstream.requests
    sent = dict(re.findall(r"^([\w-]+): (.*)\r$", request.lower(), flags=re.MULTILINE))
    assert sent["x-forwarded-for"] == "127.0.0.1"
    assert sent["x-forwarded-proto"] == "http"
    assert "6.6.6.6" not in request
    assert "evil" not in request
    assert re.fullmatch(r"[0-9a-f]{32}", sent["x-request-id"])  # the caller's is no id that the service would take
    assert "connection" not in sent  # the connection is kept


def test_requests_share_a_kept_connection_to_the_service(front: Nginx, service: Service) -> None:
    connection = HTTPConnection("127.0.0.1", front.port, timeout=60)
    for _ in range(20):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'
    connection.close()
    established = Path("/proc/net/tcp").read_text().count(f":{service.port:04X} 01 ")
    assert 1 <= established <= 16


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics?x=1",
        "//metrics",
        "/./metrics",
        "/%6detrics",
        "/goods/../metrics",
        "/metrics/",
        "/metric%73",
    ],
)
def test_the_figures_are_not_shown_outside(front: Nginx, service: Service, path: str) -> None:
    assert "seckill_" in requests.get(f"{service.url}/metrics", timeout=60).text
    connection = HTTPConnection("127.0.0.1", front.port, timeout=60)
    connection.request("GET", path)  # as it is, not tidied up by the client
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert (answer.status, body["code"]) == (404, "not_found")
    assert answer.headers["Content-Type"] == MIME_TYPE


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/problems/busy"])
def test_everything_else_is_shown(front: Nginx, path: str) -> None:
    assert requests.get(f"{front.url}{path}", timeout=60).status_code == 200


def test_without_the_service_buyers_are_told_to_come_back(
    start_service: Callable[..., Service], start_nginx: StartNginx, sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri)
    nginx = start_nginx(service.port)
    headers = service.headers("alice")
    assert requests.post(f"{nginx.url}/seckill/1", headers=headers, timeout=60).status_code == 201
    service.stop(signal.SIGTERM)
    for _ in range(3):
        answer = requests.post(f"{nginx.url}/seckill/1", headers=headers, timeout=60)
        _is_problem(answer, "unavailable")
        assert answer.headers["Retry-After"] == "2"
    answer = requests.get(f"{nginx.url}/goods", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, timeout=60)
    _is_problem(answer, "unavailable")
    assert answer.headers["Content-Language"] == "zh"


@pytest.mark.parametrize(
    ("method", "changes", "sent"),
    [
        ("POST", {}, 1),
        ("PATCH", {}, 1),
        ("GET", {}, 2),  # the second host is there, and asked
        ("POST", {"proxy_next_upstream error": "proxy_next_upstream non_idempotent error"}, 2),  # the guard's twin
    ],
)
def test_a_purchase_is_not_sent_twice_when_its_host_dies(
    start_nginx: StartNginx, start_upstream: StartUpstream, method: str, changes: dict[str, str], sent: int
) -> None:
    dying = [start_upstream(), start_upstream()]
    nginx = start_nginx(*[upstream.port for upstream in dying], changes=changes)
    answer = requests.request(method, f"{nginx.url}/seckill/1", timeout=60)
    _is_problem(answer, "unavailable")
    assert sum(len(upstream.requests) for upstream in dying) == sent


def test_a_host_that_is_down_is_passed_over_even_by_purchases(
    start_nginx: StartNginx, start_upstream: StartUpstream
) -> None:
    alive = start_upstream(ANSWER)
    nginx = start_nginx(free_port(), alive.port)
    for _ in range(4):
        assert requests.post(f"{nginx.url}/seckill/1", json={}, timeout=60).status_code == 200
    assert len(alive.requests) == 4


@pytest.mark.parametrize(
    ("changes", "lies_work"),
    [
        ({}, False),
        # Names with underscores the service leaves out itself.
        ({"underscores_in_headers off;": "underscores_in_headers on;"}, False),
        # The twin: without the guard each lie is another address.
        ({"X-Forwarded-For $remote_addr;": "X-Forwarded-For $http_x_forwarded_for;"}, True),
    ],
)
def test_no_header_gives_a_caller_another_address(
    start_service: Callable[..., Service],
    sqlite_uri: str,
    start_nginx: StartNginx,
    changes: dict[str, str],
    lies_work: bool,
) -> None:
    service = start_service(sqlite_uri, RATE_LIMITS="on", RATE_LIMIT_PER_ADDRESS="5/hour", PROXIES=1)
    nginx = start_nginx(service.port, changes=changes)
    lie = "X-Forwarded-For" if any("remote_addr" in old for old in changes) else "X_Forwarded_For"
    statuses = [
        requests.get(f"{nginx.url}/goods", headers={lie: f"6.6.6.{number}"}, timeout=60).status_code
        for number in range(6)
    ]
    assert statuses == [200] * 5 + [200 if lies_work else 429]
    if not lies_work:
        lied = requests.get(f"{nginx.url}/goods", headers={"X-Forwarded-For": "6.6.6.6"}, timeout=60)
        assert (lied.status_code, lied.json()["code"]) == (429, "rate_limited")
