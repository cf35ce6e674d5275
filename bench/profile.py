"""Where Python's time goes: one worker's part of the service, in one process, without a server or a network.

    .venv/bin/python -m bench.profile [BUYERS] [SECONDS]

Requests come in as granian's event loop hands them over, from one thread, and each buyer's next one when the last is
answered.

Prints the processor time of the thread itself, in µs a purchase, for each function on the way, and what a certain
refusal and a read cost in one thread. It starts a MariaDB of its own and ends it. Wrapping costs a µs or two a call.
"""

import gc
import itertools
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import app
import config
from bench.servers import BenchMariaDB
from core.catalogue import goods
from core.db import mysql_connection, transaction
from core.purchase import batch, batcher, queue, statements
from harness.service import SECRET
from resources import fast_path, seckill
from resources.http import dispatch, operation, request_log
from serve import THREADS
from server import prepare
from server.loopback import reach_directly

FUNCTIONS: tuple[tuple[Any, str], ...] = (
    (dispatch.Dispatcher, "_receive"),
    (fast_path.FastPath, "answer"),
    (operation, "authenticate"),
    (operation, "_body"),
    (dispatch.Dispatcher, "_send"),
    (request_log, "note"),
    (seckill, "bought"),
    (batcher.Batcher, "submit"),
    (queue.PurchaseQueue, "take"),
    (batcher.Batcher, "_finish"),
    (batch, "serve"),
    (batch, "decide"),
    (transaction, "run_once"),
    (statements, "standing"),
    (mysql_connection.Connection, "execute"),
    (mysql_connection.Connection, "execute_all"),
)


class Clock:
    """The thread time spent in wrapped functions, in seconds, and their calls."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def wrap(self, owner: Any, name: str) -> None:
        function = getattr(owner, name)
        label = f"{getattr(owner, '__qualname__', owner.__name__)}.{name}"

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self.spent[label] += time.thread_time() - began
                self.calls[label] += 1

        setattr(owner, name, timed)


def environ(method: str, path: str, **headers: str) -> dict[str, Any]:
    body = b'{"quantity":1}' if method == "POST" else b""
    sent = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"} if body else {}
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        **sent,
        **headers,
    }


class Buyers:
    """`buyers` who each send `service` the next request when they are answered."""

    def __init__(self, service: dispatch.Dispatcher, make: Callable[[], dict[str, Any]], buyers: int) -> None:
        self._service = service
        self._make = make
        self._buyers = buyers
        self._free: SimpleQueue[bool] = SimpleQueue()
        self._lock = threading.Lock()
        self._sent = 0
        self.statuses: Counter[int] = Counter()

    def response_bytes(self, status: int, headers: object, body: bytes) -> None:
        with self._lock:
            self.statuses[status] += 1
        self._free.put(True)

    def response_chunks(self, status: int, headers: object, chunks: object) -> None:
        raise NotImplementedError

    def run(self, seconds: float) -> None:
        for _ in range(self._buyers):
            self._free.put(True)
        receiver = threading.Thread(target=self._hand_over)
        receiver.start()
        time.sleep(seconds)
        self._free.put(False)
        receiver.join()
        while sum(self.statuses.values()) < self._sent:  # nobody is left behind to be counted with the next buyers
            time.sleep(0.01)

    def _hand_over(self) -> None:
        while self._free.get():
            with self._lock:
                self._sent += 1
            self._service.receive(self, self._make())


class _Answered:
    """One who has an answer and does nothing about it."""

    def response_bytes(self, status: int, headers: object, body: bytes) -> None:
        pass

    def response_chunks(self, status: int, headers: object, chunks: object) -> None:
        raise NotImplementedError


def alone(service: dispatch.Dispatcher, method: str, path: str, times: int = 5000) -> float:
    """µs of processor time that one request costs in a thread alone, once the item is hot and answered from memory."""
    Buyers(service, lambda: environ(method, path), 4).run(0.5)
    requests, answered = [environ(method, path) for _ in range(times)], _Answered()
    began = time.thread_time()
    for request in requests:
        service.receive(answered, request)
    return (time.thread_time() - began) / times * 1e6


def main(buyers: int = 100, seconds: float = 4) -> None:
    reach_directly()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mariadb = BenchMariaDB(directory / "mariadb")
        stack.callback(mariadb.stop)
        mariadb.start()
        uri = mariadb.create_database("profile")
        application = app.create_app(config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, RATE_LIMITS=False))
        prepare.upgrade(application)
        services = application.extensions["seckill"]
        request_log.configure(services.settings, stack.enter_context((directory / "log").open("w")))
        item = {"name": "item", "currency": "CNY", "price": 100, "per_user_limit": 10**6}
        on_sale = goods.create(services.database, "profile", {**item, "stock": 10**8}).id
        gone = goods.create(services.database, "profile", {**item, "stock": 0}).id
        service = dispatch.Dispatcher(application.wsgi_app, THREADS)
        tokens = itertools.cycle([f"Bearer {services.tokens.issue(f'buyer-{number}')}" for number in range(200)])
        keys = itertools.count()
        gc.collect()
        gc.freeze()

        def purchase() -> dict[str, Any]:
            headers = {"HTTP_AUTHORIZATION": next(tokens), "HTTP_IDEMPOTENCY_KEY": f"key-{next(keys)}"}
            return environ("POST", f"/seckill/{on_sale}", **headers)

        for method, path in (("POST", f"/seckill/{gone}"), ("GET", f"/seckill/{gone}"), ("GET", f"/goods/{gone}")):
            print(f"{alone(service, method, path):8.1f} µs  {method} {path} from memory, in one thread")
        Buyers(service, purchase, buyers).run(1)
        clock = Clock()
        for owner, name in FUNCTIONS:
            clock.wrap(owner, name)
        sale = Buyers(service, purchase, buyers)
        sale.run(seconds)
        purchases = sale.statuses[201]
        print(f"\n{dict(sale.statuses)} told to {buyers} buyers; µs of thread time a purchase, callees included")
        for label, spent in sorted(clock.spent.items(), key=lambda pair: -pair[1]):
            print(f"{spent / purchases * 1e6:8.1f}  {label} ({clock.calls[label]} calls)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
