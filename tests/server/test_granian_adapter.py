"""The way from granian's interface and back, with requests of the test's own making."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resources.http.dispatch import Exchange
from server import granian_adapter
from server.environ import environ_of
from server.granian_adapter import GranianAdapter

Headers = list[tuple[str, str]]
PATIENCE = 60


class SentHeaders:
    """granian's headers: pairs of names and values, of which those that are no text have a name only."""

    def __init__(self, *pairs: tuple[str, str | None]) -> None:
        self._pairs = pairs

    def items(self) -> Headers:
        return [(name, value) for name, value in self._pairs if value is not None]

    def keys(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self._pairs))


def scope_of(*headers: tuple[str, str | None], **more: str) -> Any:
    given = {
        "proto": "http",
        "http_version": "1.1",
        "server": "127.0.0.1:8000",
        "client": "192.0.2.7:5000",
        "scheme": "http",
        "method": "POST",
        "path": "/seckill/1",
        "query_string": "",
    }
    return SimpleNamespace(**given | more, headers=SentHeaders(*headers))


class Protocol:
    """One request's way to the client. A body that is None never comes."""

    def __init__(self, body: bytes | None = b"", fails: bool = False) -> None:
        self._body = body
        self._fails = fails
        self.sent: list[tuple[int, bytes]] = []

    async def __call__(self) -> bytes:
        if self._body is None:
            await asyncio.Event().wait()
        assert self._body is not None
        return self._body

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        if self._fails:
            raise ValueError("no such header")
        self.sent.append((status, body))

    def response_file(self, status: int, headers: Headers, path: str) -> None:
        if self._fails:
            raise ValueError("no such header")
        self.sent.append((status, Path(path).read_bytes()))


class Dispatcher:
    """Answers each request by `answer`."""

    in_hand = 0

    def __init__(self, answer: Callable[[Exchange, Any], object]) -> None:
        self.answer = answer

    def receive(self, exchange: Exchange, environ: Any) -> None:
        self.answer(exchange, environ)

    def refuse(self, error: Exception, exchange: Exchange, environ: Any) -> None:
        exchange.response_bytes(503, [], type(error).__name__.encode())


def run(
    answer: Callable[[Exchange, Any], object], act: Callable[[GranianAdapter], Awaitable[None]], **times: float
) -> None:
    """Let `act` call an adapter whose requests are answered by `answer`. `times` are the adapter's."""

    async def main() -> None:
        adapter = GranianAdapter(Dispatcher(answer), **times)  # type: ignore[arg-type]
        adapter.__rsgi_init__(asyncio.get_running_loop())
        await asyncio.wait_for(act(adapter), PATIENCE)

    asyncio.run(main())


def echo(exchange: Exchange, environ: Any) -> None:
    exchange.response_bytes(200, [], environ["wsgi.input"].read())


WITH_BODY = ("content-length", "5")


def test_an_answer_that_is_there_at_once_is_sent_at_once() -> None:
    async def act(adapter: GranianAdapter) -> None:
        protocol = Protocol(b"hello")
        await adapter.__rsgi__(scope_of(WITH_BODY), protocol)  # type: ignore[arg-type]
        assert protocol.sent == [(200, b"hello")]

    run(echo, act)


def test_answers_from_other_threads_are_all_sent_though_one_cannot_be(caplog: pytest.LogCaptureFixture) -> None:
    waiting: list[Exchange] = []

    async def act(adapter: GranianAdapter) -> None:
        protocols = [Protocol(), Protocol(fails=True), Protocol()]
        calls = [asyncio.ensure_future(adapter.__rsgi__(scope_of(), protocol)) for protocol in protocols]  # type: ignore[arg-type]
        while len(waiting) < len(calls):
            await asyncio.sleep(0)

        def answer_all() -> None:
            for exchange in waiting:
                exchange.response_bytes(201, [], b"bought")
                exchange.response_bytes(500, [], b"only the first is sent")

        # The thread is waited for too: it calls the loop after the last answer.
        await asyncio.gather(asyncio.to_thread(answer_all), *calls)
        assert [protocol.sent for protocol in protocols] == [[(201, b"bought")], [], [(201, b"bought")]]

    with caplog.at_level(logging.ERROR):
        run(lambda exchange, environ: waiting.append(exchange), act)
    assert "a response could not be sent: ValueError" in caplog.text


def test_a_body_that_never_comes_is_told_busy_and_keeps_nobody_waiting() -> None:
    async def act(adapter: GranianAdapter) -> None:
        slow, quick = Protocol(None), Protocol(b"hello")
        late = asyncio.ensure_future(adapter.__rsgi__(scope_of(WITH_BODY), slow))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await adapter.__rsgi__(scope_of(WITH_BODY), quick)  # type: ignore[arg-type]
        assert quick.sent == [(200, b"hello")]
        await late
        assert slow.sent == [(503, b"Busy")]

    run(echo, act, body_seconds=0.05, tick_seconds=0.01)


@pytest.mark.parametrize("stated", ["65538", "10000000", "x", "-1", "0", ""])
def test_a_body_that_is_too_long_or_of_no_length_is_not_read(stated: str) -> None:
    async def act(adapter: GranianAdapter) -> None:
        protocol = Protocol(None)
        await adapter.__rsgi__(scope_of(("content-length", stated)), protocol)  # type: ignore[arg-type]
        assert protocol.sent == [(200, b"")]

    run(echo, act)


def test_an_answer_in_pieces_is_sent_from_a_thread_once_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granian_adapter, "OPEN_SECONDS", 0)

    def answer(exchange: Exchange, environ: Any) -> None:
        threading.Thread(target=exchange.response_chunks, args=(200, [], iter([b"a", b"b"]))).start()

    async def act(adapter: GranianAdapter) -> None:
        protocol = Protocol()
        await adapter.__rsgi__(scope_of(), protocol)  # type: ignore[arg-type]
        assert protocol.sent == [(200, b"ab")]
        await asyncio.sleep(0.01)  # the file is closed

    run(answer, act)


def test_an_answer_in_pieces_that_cannot_be_sent_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(granian_adapter, "OPEN_SECONDS", 0)

    def answer(exchange: Exchange, environ: Any) -> None:
        threading.Thread(target=exchange.response_chunks, args=(200, [], iter([b"a"]))).start()

    async def act(adapter: GranianAdapter) -> None:
        protocol = Protocol(fails=True)
        await adapter.__rsgi__(scope_of(), protocol)  # type: ignore[arg-type]
        assert protocol.sent == []
        await asyncio.sleep(0.01)  # the file is closed

    run(answer, act)
    # Threads of earlier tests may have something to say as well.
    own = [record.getMessage() for record in caplog.records if record.name == "seckill.server"]
    assert own == ["a response could not be sent: ValueError"]


def test_of_an_answer_whose_pieces_fail_nothing_is_sent_but_the_error() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("no more")

    def answer(exchange: Exchange, environ: Any) -> None:
        def make() -> None:
            with pytest.raises(ValueError, match="no more"):
                exchange.response_chunks(200, [], pieces())
            exchange.response_bytes(500, [], b"error")

        threading.Thread(target=make).start()

    async def act(adapter: GranianAdapter) -> None:
        protocol = Protocol()
        await adapter.__rsgi__(scope_of(), protocol)  # type: ignore[arg-type]
        assert protocol.sent == [(500, b"error")]

    run(answer, act)


@pytest.mark.parametrize(
    ("pieces", "body", "has_encoding"),
    [
        ([b"ab", b"c", b""], b"abc", True),
        ([b""], b"", False),  # no body
        ([b"ab", b"", b""], b"", True),  # cut off, as the next one
        ([b"", b""], b"", True),
    ],
)
def test_a_body_without_a_length_is_whole_or_cut_off_or_none(
    pieces: list[bytes], body: bytes, has_encoding: bool
) -> None:
    class Chunked(Protocol):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

    found = []

    def answer(exchange: Exchange, environ: Any) -> None:
        found.append("HTTP_TRANSFER_ENCODING" in environ)
        echo(exchange, environ)

    async def act(adapter: GranianAdapter) -> None:
        protocol = Chunked()
        await adapter.__rsgi__(scope_of(("transfer-encoding", "chunked")), protocol)  # type: ignore[arg-type]
        assert protocol.sent == [(200, body)]

    run(answer, act)
    assert found == [has_encoding]


def test_a_header_with_an_underscore_does_not_pass_for_another() -> None:
    environ = environ_of(scope_of(("x-forwarded-for", "192.0.2.1"), ("x_forwarded_for", "6.6.6.6"), ("x_odd", None)))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"
    assert "HTTP_X_ODD" not in environ


def test_a_header_that_is_no_text_does_not_pass_for_one_that_was_not_sent() -> None:
    environ = environ_of(scope_of(("host", "shop"), ("idempotency-key", None)))
    assert environ["HTTP_IDEMPOTENCY_KEY"] == ""
    assert environ["HTTP_HOST"] == "shop"


def test_headers_that_come_twice_are_one_list() -> None:
    environ = environ_of(scope_of(("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("x-odd", None)))
    assert environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"
    assert environ["HTTP_X_ODD"] == ""


@pytest.mark.parametrize(
    ("client", "address"), [("192.0.2.7:5000", "192.0.2.7"), ("[2001:db8::1]:5000", "2001:db8::1")]
)
def test_the_caller_s_address_is_without_its_port(client: str, address: str) -> None:
    assert environ_of(scope_of(client=client))["REMOTE_ADDR"] == address


def test_a_path_beyond_ascii_is_bytes_one_a_character() -> None:
    assert environ_of(scope_of(path="/键"))["PATH_INFO"] == "/键".encode().decode("latin-1")
