"""Bad bodies and broken addresses on the wire, against the running service."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from harness.eventually import eventually
from harness.service import PATIENT, Service

MIB = 2**20
LARGE = 10 * MIB
CHUNK = b" " * 65536
GROWTH = 20 * MIB
PATIENCE = 60  # seconds


@dataclass
class Answer:
    """What a client reads before the connection ends."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("bad-bodies")
    uri = f"sqlite:///{directory / 'seckill.db'}"
    running = Service(uri, directory / "service.log", workers=2, threads=8, fork=True, **PATIENT)
    # The memory of one that is still loading grows.
    assert eventually(lambda: "seckill_workers 2.0" in requests.get(f"{running.url}/metrics", timeout=PATIENCE).text)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def goods_id(service: Service) -> int:
    return service.create_goods(stock=10**6)


def connection(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)


def head(service: Service, method: str, target: str, **headers: str) -> bytes:
    """The first lines of a request by an administrator, as bytes on the wire."""
    given = {"Host": "x", **service.headers("operator", admin=True), **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read(wire: socket.socket, bodiless: bool = False) -> Answer:
    """Read one answer."""
    with wire.makefile("rb") as file:
        status = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if bodiless else int(headers.get("content-length", 0))
        return Answer(status, headers, file.read(length))


def send(service: Service, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """One request on a connection of its own."""
    with connection(service) as wire:
        length = {"Content_Length": str(len(body))} if body else {}
        wire.sendall(head(service, method, target, **length, **headers) + body)
        return read(wire, bodiless=method == "HEAD")


def chunks(*parts: bytes) -> bytes:
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def send_chunked(service: Service, target: str, *parts: bytes) -> Answer:
    with connection(service) as wire:
        start = head(service, "POST", target, Transfer_Encoding="chunked", Content_Type="application/json")
        wire.sendall(start + chunks(*parts))
        return read(wire)


def upload(service: Service, chunked: bool) -> Answer:
    """A client that sends 10 MB until it is cut off, and then reads the answer."""
    framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": str(LARGE)}
    piece = f"{len(CHUNK):x}\r\n".encode() + CHUNK + b"\r\n" if chunked else CHUNK
    with connection(service) as wire:
        wire.sendall(head(service, "POST", "/goods", Content_Type="application/json", **framing))
        # The service answers and closes without reading the rest.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(LARGE // len(CHUNK)):
                wire.sendall(piece)
        return read(wire)


def resident(service: Service) -> int:
    """The memory of all workers, in bytes."""
    total = 0
    for pid in service.worker_pids():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
def test_a_body_of_ten_megabytes_is_told_413_and_leaves_memory_flat(service: Service, chunked: bool) -> None:
    for _ in range(5):
        assert upload(service, chunked).status == 413
    before, count = (
        resident(service),
        len(requests.get(f"{service.url}/goods?limit=100", timeout=PATIENCE).json()["items"]),
    )
    for _ in range(50):
        answer = upload(service, chunked)
        assert answer.status == 413
        assert answer.json["code"] == "body_too_large"
    assert resident(service) - before < GROWTH
    after = requests.get(f"{service.url}/goods?limit=100", timeout=PATIENCE).json()["items"]
    assert len(after) == count


def test_an_ordinary_client_sees_the_413(service: Service) -> None:
    headers = service.headers("operator", admin=True, **{"Content-Type": "application/json"})
    answer = requests.post(f"{service.url}/goods", data=b" " * LARGE, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    streamed = requests.post(f"{service.url}/goods", data=iter([CHUNK] * 160), headers=headers, timeout=PATIENCE)
    assert streamed.status_code == 413


@pytest.mark.parametrize("target", ["/nowhere", "/healthz"])
def test_a_large_body_for_an_address_that_takes_none_is_answered_too(service: Service, target: str) -> None:
    answer = requests.put(f"{service.url}{target}", data=b" " * LARGE, timeout=PATIENCE)
    assert answer.status_code == (404 if target == "/nowhere" else 405)


def test_a_small_chunked_body_is_read_whole(service: Service, goods_id: int) -> None:
    answer = send_chunked(service, f"/seckill/{goods_id}", b'{"quan', b'tity"', b": 3}")
    assert answer.status == 201
    assert answer.json["quantity"] == 3


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/seckill/{item}", 201),
        ("/seckill/{item}/quote", 200),
        ("/orders/{order}/cancel", 200),
        ("/goods/{item}/pause", 200),
    ],
)
def test_a_chunked_body_of_no_chunk_is_none(service: Service, target: str, status: int) -> None:
    item = service.create_goods()
    bought = service.buy(item, "shopper").json()
    answer = send_chunked(service, target.format(item=item, order=bought["order_no"]))
    assert answer.status == status, answer.body


def test_a_chunked_body_is_checked_like_any_other(service: Service, goods_id: int) -> None:
    target = f"/seckill/{goods_id}"
    assert send_chunked(service, target, b"{").json["code"] == "malformed_json"
    assert send_chunked(service, target, b'{"quantity": 0}').json["code"] == "validation_failed"
    edge = b'{"quantity": 2}'
    assert send_chunked(service, target, edge, b" " * (65536 - len(edge))).json["quantity"] == 2
    assert send_chunked(service, target, edge, b" " * (65537 - len(edge))).status == 413


CUT_OFF = {
    "no byte of a hundred": ({"Content_Length": "100"}, b""),
    "six bytes of a hundred": ({"Content_Length": "100"}, b'{"quan'),
    "all that matters of a hundred": ({"Content_Length": "100"}, b'{"quantity": 5}'),
    "no chunk": ({"Transfer_Encoding": "chunked"}, b""),
    "half a chunk": ({"Transfer_Encoding": "chunked"}, b'6\r\n{"qua'),
    "no chunk but rubbish": ({"Transfer_Encoding": "chunked"}, b'{"quan'),
}


@pytest.mark.parametrize(("framing", "part"), CUT_OFF.values(), ids=CUT_OFF.keys())
def test_a_body_that_is_cut_off_buys_nothing(
    service: Service, goods_id: int, framing: dict[str, str], part: bytes
) -> None:
    sold = service.goods(goods_id)["sold"]
    with connection(service) as wire:
        wire.sendall(head(service, "POST", f"/seckill/{goods_id}", Content_Type="application/json", **framing) + part)
        wire.shutdown(socket.SHUT_WR)
        answer = read(wire)
    assert answer.status == 400, answer.body
    assert service.goods(goods_id)["sold"] == sold


def test_clients_that_leave_in_the_middle_of_their_bodies_harm_nobody(service: Service, goods_id: int) -> None:
    before = time.monotonic()  # a client may take 30 s for a body: one that waits for those of others takes as long
    for framing, part in [*CUT_OFF.values()] * 10:
        with connection(service) as wire:
            wire.sendall(head(service, "POST", f"/seckill/{goods_id}", Content_Type="application/json", **framing))
            wire.sendall(part)
    assert service.buy(goods_id, "alice").status_code == 201
    assert time.monotonic() - before < 25


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/goods/%00", 404, "goods_not_found"),
        ("/goods/1%00", 404, "goods_not_found"),
        (f"/goods/{'9' * 40}", 404, "goods_not_found"),
        (f"/seckill/{'9' * 40}", 404, "goods_not_found"),
        ("/goods/-1", 404, "goods_not_found"),
        ("/goods/%FF%FE", 404, "goods_not_found"),
        ("/goods/%", 404, "goods_not_found"),
        ("/goods/%zz", 404, "goods_not_found"),
        ("/goods/%F0%9F%98%80", 404, "goods_not_found"),
        ("/goods/%27%20OR%201=1", 404, "goods_not_found"),
        ("/orders/%00", 404, "order_not_found"),
        (f"/orders/{'9' * 40}", 404, "order_not_found"),
        ("/%FF/%00", 404, "not_found"),
        ("/goods?limit=%00", 422, "validation_failed"),
        ("/goods?limit=%FF", 422, "validation_failed"),
        ("/goods?q=%00", 422, "validation_failed"),
        ("/goods?%FF=%FF", 422, "validation_failed"),
        ("/goods?%", 422, "validation_failed"),
        ("/goods?cursor=%F0%9F", 422, "validation_failed"),
        (f"/goods?cursor={'a' * 4000}", 422, "validation_failed"),
        (f"/orders?goods_id={'9' * 40}", 422, "validation_failed"),
        ("/orders?user_id=%00", 422, "validation_failed"),
    ],
)
def test_rubbish_in_an_address_is_a_documented_refusal(service: Service, target: str, status: int, code: str) -> None:
    answer = send(service, "GET", target)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "target", ["/goods?q=%FF", "/goods?q=%ED%A0%80", "/goods?q=%F0%9F%98%80", "/goods?&&&", "/goods?"]
)
def test_a_query_that_can_be_read_is_answered(service: Service, target: str) -> None:
    assert send(service, "GET", target).status == 200


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Authorization", "Bearer ÿþ", 401),
        ("Authorization", "Bearer é.é.é", 401),
        ("Idempotency_Key", "schlüssel", 422),
        ("Idempotency_Key", "ÿ", 422),
        ("X_Request_ID", "é", 201),
        ("Accept_Language", "zÿ", 201),
        ("If_Match", '"é"', 201),
        ("Content_Type", "é", 415),
    ],
)
def test_a_header_beyond_ascii_is_a_documented_refusal_or_no_matter(
    service: Service, goods_id: int, name: str, value: str, status: int
) -> None:
    headers = {"Content_Type": "application/json", name: value}
    answer = send(service, "POST", f"/seckill/{goods_id}", b"{}", **headers)
    assert answer.status == status, answer.body
    assert answer.headers["x-request-id"].isascii()
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("target", ["/goods", "/healthz", "/nowhere", "/openapi.json"])
def test_head_is_answered_without_a_body(service: Service, target: str) -> None:
    answer = send(service, "HEAD", target)
    assert answer.status == (404 if target == "/nowhere" else 200)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(("target", "method"), [("/goods", "POST"), ("/goods/1", "PATCH"), ("/seckill/1", "POST")])
def test_options_names_the_methods(service: Service, target: str, method: str) -> None:
    answer = send(service, "OPTIONS", target)
    assert answer.status == 200
    assert method in answer.headers["allow"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET\r\n\r\n",
        b"GET /goods HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /goods HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /goods HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
        b"POST /goods HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /goods HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_harms_nobody(service: Service, raw: bytes) -> None:
    with connection(service) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        try:
            received = wire.recv(65536)
        except ConnectionResetError:
            received = b""
    assert not received or received.startswith(b"HTTP/1.1 4"), received
    assert requests.get(f"{service.url}/healthz", timeout=PATIENCE).status_code == 200


def test_nothing_of_all_this_was_a_bug_to_the_service(service: Service, goods_id: int) -> None:
    """Reads the log of what the tests above did; alone, it reads that of a purchase."""
    assert service.buy(goods_id, "alice").status_code == 201
    assert eventually(lambda: '"status": 201' in service.log.read_text())  # lines are gathered for a moment
    log = service.log.read_text()
    assert '"status": 500' not in log
    assert "Traceback" not in log
