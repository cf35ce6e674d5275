"""A plain request leaves nothing behind that only the garbage collector finds: it would run all the time.

Objects that hold each other are found by it alone, and while it looks for them a worker does nothing else.
"""

import gc
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from resources.http.api_request import ApiRequest
from resources.http.dispatch import Dispatcher
from resources.http.pipeline import Pipeline
from tests.resources.calls import Calls
from tests.resources.test_fast_path_and_flask_agree import Exchange

REQUESTS = 300
# Caches may be renewed meanwhile, and background threads work. What is left of a request is three objects at least.
FEW = REQUESTS


@pytest.fixture(autouse=True)
def collected_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Clients:
    """Requests as the event loop hands them over."""

    def __init__(self, call: Calls) -> None:
        pipeline = call.app.wsgi_app
        assert isinstance(pipeline, Pipeline)
        self._dispatcher = Dispatcher(pipeline, 2)
        self._tokens = call.services.tokens

    def left_behind(self, method: str, path: str, expected: int, **more: str) -> int:
        """The number of objects that the collector finds after REQUESTS of buyers who are all new.

        The smaller one of two trials: what the last threads of an earlier test leave behind, they leave once.
        """
        self._send(method, path, expected, "warm-up", more)
        found = []
        for trial in "first", "second":
            gc.collect()
            for number in range(REQUESTS):
                self._send(method, path, expected, f"{trial}-buyer-{number}", more)
            found.append(gc.collect())
        return min(found)

    def _send(self, method: str, path: str, expected: int, user: str, more: dict[str, str]) -> None:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {self._tokens.issue(user)}",
            **{name: value.format(user=user) for name, value in more.items()},
        }
        exchange = Exchange()
        self._dispatcher.receive(exchange, environ)
        assert exchange.sent.result(30)[0] == expected


@pytest.mark.parametrize(
    ("method", "path", "expected", "more"),
    [
        ("POST", "/seckill/1", 201, {}),
        ("POST", "/seckill/1", 201, {"HTTP_IDEMPOTENCY_KEY": "key-of-{user}"}),
        ("POST", "/seckill/2", 409, {}),
        ("POST", "/seckill/2", 409, {"HTTP_IDEMPOTENCY_KEY": "key-of-{user}"}),
        ("GET", "/seckill/1", 200, {}),
        ("GET", "/goods/1", 200, {}),
    ],
)
def test_nothing_is_left_to_the_garbage_collector(
    sqlite_call: Calls, method: str, path: str, expected: int, more: dict[str, str]
) -> None:
    sqlite_call.services.sale_cache.hot_requests = 1
    assert sqlite_call.create(stock=10_000)["id"] == 1
    sqlite_call.create(stock=0)
    assert Clients(sqlite_call).left_behind(method, path, expected, **more) < FEW


def test_it_would_be_if_the_environment_kept_its_request(sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ApiRequest.__init__

    def keep(request: ApiRequest, environ: dict[str, object]) -> None:
        begin(request, environ)
        environ["test.request"] = request

    monkeypatch.setattr(ApiRequest, "__init__", keep)
    sqlite_call.create(stock=10_000)
    with pytest.raises(AssertionError, match=" < 300"):
        assert Clients(sqlite_call).left_behind("POST", "/seckill/1", 201) < FEW


def test_it_would_be_if_a_callback_held_its_future(sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Future.add_done_callback

    def holding(future: Future[object], callback: object) -> None:
        add(future, lambda done, own=future: callback(done))  # type: ignore[operator, misc]

    monkeypatch.setattr(Future, "add_done_callback", holding)
    sqlite_call.create(stock=10_000)
    with pytest.raises(AssertionError, match=" < 300"):
        assert Clients(sqlite_call).left_behind("POST", "/seckill/1", 201) < FEW
