"""Where Python's time goes: the application in one process, without a server, under threads that buy.

    .venv/bin/python -m bench.profile [THREADS] [SECONDS]

Prints the processor time of the thread itself, in µs a purchase, for each function on the way, and what a certain
refusal and a read cost in one thread. It starts a MariaDB of its own and ends it. Wrapping costs a µs or two a call.
"""

import gc
import itertools
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import app
import config
import prepare
from bench.servers import BenchMariaDB
from core import goods, mysql_connection, transaction
from core.purchase import batch, checkout, line, statements
from resources import front, request_log
from tests.servers.service import SECRET

FUNCTIONS: tuple[tuple[Any, str], ...] = (
    (front.Front, "__call__"),
    (front, "identity"),
    (front.request_log, "note"),
    (front.seckill, "bought"),
    (front, "_wanted_in"),
    (checkout.Checkout, "buy"),
    (line.Line, "enter"),
    (line.Line, "_follow"),
    (line.Line, "_finish"),
    (batch, "serve"),
    (batch, "decide"),
    (transaction, "_run_once"),
    (statements, "standing"),
    (mysql_connection.Connection, "ask"),
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


def crowd(wsgi: Callable[..., Any], make: Callable[[], dict[str, Any]], threads: int, seconds: float) -> None:
    """Let `threads` threads ask for `seconds`."""
    end = time.monotonic() + seconds

    def ask() -> None:
        while time.monotonic() < end:
            b"".join(wsgi(make(), lambda status, headers: None))

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()


def alone(wsgi: Callable[..., Any], method: str, path: str, times: int = 5000) -> float:
    """µs of processor time that one request costs in a thread alone, once a crowd is answered from memory."""
    crowd(wsgi, lambda: environ(method, path), 4, 0.5)
    requests = [environ(method, path) for _ in range(times)]
    began = time.thread_time()
    for request in requests:
        wsgi(request, lambda status, headers: None)
    return (time.thread_time() - began) / times * 1e6


def main(threads: int = 60, seconds: float = 4) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mariadb = BenchMariaDB(directory / "mariadb")
        stack.callback(mariadb.stop)
        mariadb.start()
        uri = mariadb.create_database("profile")
        application = app.create_app(config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, RATE_LIMITS=False))
        prepare.upgrade(application)
        request_log.configure(False, stack.enter_context((directory / "log").open("w")))
        shop = application.extensions["seckill"]
        item = {"name": "item", "currency": "CNY", "price": 100, "per_user_limit": 10**6}
        on_sale = goods.create(shop.database, "profile", {**item, "stock": 10**8}).id
        gone = goods.create(shop.database, "profile", {**item, "stock": 0}).id
        tokens = itertools.cycle([f"Bearer {shop.tokens.issue(f'buyer-{number}')}" for number in range(200)])
        keys = itertools.count()
        gc.collect()
        gc.freeze()

        def purchase() -> dict[str, Any]:
            headers = {"HTTP_AUTHORIZATION": next(tokens), "HTTP_IDEMPOTENCY_KEY": f"key-{next(keys)}"}
            return environ("POST", f"/seckill/{on_sale}", **headers)

        for method, path in (("POST", f"/seckill/{gone}"), ("GET", f"/seckill/{gone}"), ("GET", f"/goods/{gone}")):
            print(f"{alone(application.wsgi_app, method, path):8.1f} µs  {method} {path} from memory, in one thread")
        crowd(application.wsgi_app, purchase, threads, 1)
        clock = Clock()
        for owner, name in FUNCTIONS:
            clock.wrap(owner, name)
        # Wrapped by name on its class, which an instance that is called does not look at.
        crowd(front.Front.__call__.__get__(application.wsgi_app), purchase, threads, seconds)
        purchases = clock.calls["Front.__call__"]
        print(f"\n{purchases} purchases by {threads} threads; µs of thread time a purchase, callees included")
        for label, spent in sorted(clock.spent.items(), key=lambda pair: -pair[1]):
            print(f"{spent / purchases * 1e6:8.1f}  {label} ({clock.calls[label]} calls)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
